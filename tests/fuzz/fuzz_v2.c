/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a prediction request of either face: refused, or rows within the bounds. */
#include "adapter.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ROWS 16

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "{\"modelbus_linear\":1,\"link\":\"identity\",\"coef\":[[1,2,3]],"
                               "\"intercept\":[0],\"feature_names\":[\"a\",\"b\",\"c\"]}";
    static const struct adapter *const adapters[] = {&adapter_v2, &adapter_predict};
    static struct model *model;
    struct adapter_work work = {0};
    struct err err;

    if (!model) {
        struct runtime *runtime;
        const struct model_spec spec = {.endpoint = "e", .name = "m", .version = 1};
        if (runtime_open(NULL, text, sizeof(text) - 1, &runtime, &err) ||
            model_new(&spec, runtime, &model, &err))
            abort();
    }
    for (size_t i = 0; i < ARRAY_LEN(adapters); i++) {
        struct adapter_input input;
        if (adapters[i]->read(model, (const char *)data, size, MAX_ROWS, &work, &input, &err))
            continue;
        struct buf out = {0};
        float values[MAX_ROWS];
        if (input.rows == 0 || input.rows > MAX_ROWS)
            abort();
        runtime_predict(model->runtime, input.data, input.rows, values, NULL);
        adapters[i]->write(&out, model, input.id, true, values, input.rows);
        buf_done(&out);
    }
    adapter_work_done(&work);
    return 0;
}
