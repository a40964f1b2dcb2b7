/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an XGBoost UBJSON file: refused, or a model that predicts without harm. */
#include "runtime.h"

#include <stdlib.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct runtime *runtime;
    struct err err;

    if (runtime_open("xgboost-ubjson", data, size, &runtime, &err))
        return 0;
    const struct runtime_info *info = &runtime->info;
    float *row = mem_calloc(info->features + info->width + info->scratch, sizeof(float));
    float *out = row + info->features;
    runtime_predict(runtime, row, 1, out, out + info->width);
    row[0] = __builtin_nanf("");
    runtime_predict(runtime, row, 1, out, out + info->width);
    free(row);
    runtime_close(runtime);
    return 0;
}
