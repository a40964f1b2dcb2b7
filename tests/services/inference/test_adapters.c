/* SPDX-License-Identifier: Apache-2.0 */
/* What the adapters accept, what they refuse and with which words. */
#include "adapter.h"
#include "fixture.h"

#include <math.h>
#include <stdlib.h>

static struct adapter_work work;

static enum err_code
read_body(const struct adapter *adapter, const char *body, struct adapter_input *input,
          struct err *err)
{
    struct model *model = fixture_model(3, 0.5);
    /* An exact heap copy lets the sanitizer see reads past the end. */
    size_t len = strlen(body);
    char *copy = mem_alloc(len + 1);
    memcpy(copy, body, len + 1);
    enum err_code code = adapter->read(model, copy, len, 4, &work, input, err);
    free(copy);
    model_unref(model);
    return code;
}

static const struct good {
    const struct adapter *adapter;
    const char *body;
    size_t rows;
    float values[4];
    const char *id;
} good[] = {
    {&adapter_v2,
     "{\"inputs\":[{\"name\":\"input\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[1,2.5]}]}",
     1,
     {1, 2.5f},
     ""},
    {&adapter_v2,
     "{\"id\":\"x-1\",\"inputs\":[{\"name\":\"i\",\"shape\":[2,2],\"datatype\":\"FP64\","
     "\"data\":[[1,2],[3,4]]}],\"outputs\":[{\"name\":\"predict\"}]}",
     2,
     {1, 2, 3, 4},
     "x-1"},
    {&adapter_v2,
     "{\"inputs\":[{\"data\":[7,8],\"datatype\":\"INT64\",\"name\":\"i\",\"shape\":[2]}]}",
     1,
     {7, 8},
     ""},
    {&adapter_v2,
     "{\"parameters\":{\"binary_data_output\":true},\"inputs\":["
     "{\"name\":\"b \\\"x\\\"\",\"shape\":[2],\"datatype\":\"FP32\",\"data\":[2,4]},"
     "{\"name\":\"a\",\"shape\":[2,1],\"datatype\":\"BOOL\",\"data\":[[true],[false]]}]}",
     2,
     {1, 2, 0, 4},
     ""},
    {&adapter_predict, "{\"rows\":[[1,2],[3,4]]}", 2, {1, 2, 3, 4}, ""},
    {&adapter_predict, "{\"row\":[1,-2e0],\"id\":\"q\"}", 1, {1, -2}, "q"},
    {&adapter_predict, "{\"instances\":[{\"b \\\"x\\\"\":2,\"a\":true}]}", 1, {1, 2}, ""},
    {&adapter_predict,
     "{\"record\":{\"a\":1,\"b \\\"x\\\"\":2}, \"extra\":{\"deep\":[1]}}",
     1,
     {1, 2},
     ""},
};

Test(adapters, accept)
{
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct adapter_input input;
        struct err err = {0};
        cr_assert_eq(read_body(good[i].adapter, good[i].body, &input, &err), ERR_OK, "%s: %s",
                     good[i].body, err.message);
        cr_assert_eq(input.rows, good[i].rows, "%s", good[i].body);
        cr_assert_str_eq(input.id, good[i].id);
        cr_assert_arr_eq(input.data, good[i].values, good[i].rows * 2 * sizeof(float), "%s",
                         good[i].body);
    }
    adapter_work_done(&work);
}

#define TENSOR(shape, type, data)                                                                  \
    "{\"inputs\":[{\"name\":\"i\",\"shape\":" shape ",\"datatype\":\"" type "\",\"data\":" data    \
    "}]}"

static const struct bad {
    const struct adapter *adapter;
    const char *body, *words; /* which the message must hold */
} bad[] = {
    {&adapter_v2, "", ""},
    {&adapter_v2, "[]", ""},
    {&adapter_v2, "{}", "no inputs"},
    {&adapter_v2, "{\"inputs\":[]}", "empty"},
    {&adapter_v2, "{\"inputs\":{}}", ""},
    {&adapter_v2, "{\"inputs\":[{}]}", "needs name, shape"},
    {&adapter_v2, TENSOR("[1,3]", "FP32", "[1,2,3]"),
     "expects 2 features a row, input 'i' gives 3"},
    {&adapter_v2, TENSOR("[1,2]", "FP32", "[1]"), "shape has 2 values, data has 1"},
    {&adapter_v2, TENSOR("[2,2]", "FP32", "[[1,2,3,4]]"), "nested"},
    {&adapter_v2, TENSOR("[2,2]", "FP32", "[[1,2],[3]]"), "differ in length"},
    {&adapter_v2, TENSOR("[1,2]", "FP32", "[1,[2]]"), "mixes"},
    {&adapter_v2, TENSOR("[1,2]", "FP32", "[[[1,2]]]"), "expected a number"},
    {&adapter_v2, TENSOR("[1,1,2]", "FP32", "[1,2]"), "3 dimensions"},
    {&adapter_v2, TENSOR("[-1,2]", "FP32", "[1,2]"), "dimension"},
    {&adapter_v2, TENSOR("[1000000000,1000000000,1000000000]", "FP32", "[1,2]"), "too large"},
    {&adapter_v2, TENSOR("[1,2]", "FP32", "[\"1\",2]"), "expected a number"},
    {&adapter_v2, TENSOR("[1,2]", "FP32", "[1,2"), ""},
    {&adapter_v2, TENSOR("[1,2]", "BYTES", "[\"a\",\"b\"]"), "datatype must be"},
    {&adapter_v2, TENSOR("[1,2]", "INT32", "[1.5,2]"), "does not fit"},
    {&adapter_v2, TENSOR("[1,2]", "UINT8", "[256,2]"), "does not fit"},
    {&adapter_v2, TENSOR("[1,2]", "BOOL", "[2,1]"), "BOOL"},
    {&adapter_v2, TENSOR("[1,2]", "FP32", "[NaN,2]"), "row 0: feature 'a' is missing"},
    {&adapter_v2, TENSOR("[5,2]", "FP32", "[1,2,1,2,1,2,1,2,1,2]"), "5 rows, at most 4"},
    {&adapter_v2, TENSOR("[0,2]", "FP32", "[]"), "no rows"},
    {&adapter_v2, TENSOR("[1,2]", "FP32", "[1,2]") "x", ""},
    {&adapter_v2,
     "{\"inputs\":[{\"name\":\"a\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1]},"
     "{\"name\":\"c\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1]}]}",
     "no feature 'c'"},
    {&adapter_v2,
     "{\"inputs\":[{\"name\":\"a\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1]},"
     "{\"name\":\"a\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1]}]}",
     "given twice"},
    {&adapter_v2,
     "{\"id\":\"a "
     "b\",\"inputs\":[{\"name\":\"i\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[1,2]}]}",
     "id must be"},
    {&adapter_v2,
     "{\"outputs\":[{\"name\":\"y\"}],\"inputs\":[{\"name\":\"i\",\"shape\":[1,2],\"datatype\":"
     "\"FP32\","
     "\"data\":[1,2]}]}",
     "one output, 'predict'"},
    {&adapter_predict, "", ""},
    {&adapter_predict, "3", ""},
    {&adapter_predict, "{}", "needs one of"},
    {&adapter_predict, "{\"rows\":[]}", "no rows"},
    {&adapter_predict, "{\"rows\":[[1]]}", "row 0 has 1 values, model 'e' expects 2"},
    {&adapter_predict, "{\"rows\":[[1,2],[1,2,3]]}", "row 1 has 3 values"},
    {&adapter_predict, "{\"rows\":[[1,\"2\"]]}", "row 0: feature 'b \"x\"' is not a number"},
    {&adapter_predict, "{\"rows\":[1,2]}", ""},
    {&adapter_predict, "{\"rows\":[[1,2]],\"row\":[1,2]}", "give one of"},
    {&adapter_predict, "{\"records\":[{\"a\":1}]}", "'b \"x\"' is missing"},
    {&adapter_predict, "{\"records\":[{\"z\":1}]}", "no feature 'z'"},
    {&adapter_predict, "{\"records\":[{},{},{},{},{}]}", "more than 4 rows"},
    {&adapter_predict, "{\"row\":[1,null]}", "missing"},
    {&adapter_predict, "{\"row\":[1,2]", ""},
    {&adapter_predict, "{\"row\":[1,2]}{", ""},
};

Test(adapters, refuse)
{
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct adapter_input input;
        struct err err = {0};
        cr_assert_neq(read_body(bad[i].adapter, bad[i].body, &input, &err), ERR_OK, "accepted: %s",
                      bad[i].body);
        cr_assert(err.code == ERR_INVALID || err.code == ERR_TOO_LARGE, "%s", bad[i].body);
        cr_assert(err.message[0] && strstr(err.message, bad[i].words), "%s: '%s' lacks '%s'",
                  bad[i].body, err.message, bad[i].words);
    }
    adapter_work_done(&work);
}

Test(adapters, float_text_reads_back)
{
    struct buf out = {0};
    uint32_t bits = 1;

    static const struct {
        float x;
        const char *text;
    } known[] = {{0, "0"},
                 {1, "1"},
                 {0.5f, "0.5"},
                 {0.1f, "0.1"},
                 {-2.25f, "-2.25"},
                 {100, "100"},
                 {1e7f, "10000000"},
                 {0.0001f, "0.0001"},
                 {0.99999994f, "0.99999994"},
                 {NAN, "NaN"},
                 {-INFINITY, "-Infinity"}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        buf_clear(&out);
        adapter_float(&out, known[i].x);
        cr_assert_str_eq(out.data, known[i].text);
    }
    for (int i = 0; i < 300000; i++) {
        float x;
        bits = bits * 1664525u + 1013904223u;
        memcpy(&x, &bits, sizeof(x));
        if (!isfinite(x))
            continue;
        buf_clear(&out);
        adapter_float(&out, x);
        cr_assert(strtof(out.data, NULL) == x, "%.9g is written %s", (double)x, out.data);
    }
    buf_done(&out);
}

Test(adapters, answers)
{
    struct model *model = fixture_model(3, 0);
    struct buf out = {0};
    const float values[] = {0.25f, NAN};

    adapter_v2.write(&out, model, "id-1", true, values, 2);
    cr_assert_str_eq(out.data, "{\"model_name\":\"e\",\"model_version\":\"3\",\"id\":\"id-1\","
                               "\"parameters\":{\"prediction_id\":\"id-1\"},\"outputs\":[{\"name\":"
                               "\"predict\",\"datatype\":\"FP32\",\"shape\":[2],\"data\":"
                               "[0.25,NaN]}]}");
    buf_clear(&out);
    adapter_predict.write(&out, model, "id-1", false, values, 2);
    cr_assert_str_eq(out.data, "{\"predictions\":[0.25,null],\"id\":\"id-1\",\"endpoint\":\"e\","
                               "\"model\":\"m\",\"version\":3}");
    buf_done(&out);
    model_unref(model);
}
