/* SPDX-License-Identifier: Apache-2.0 */
/* adapter_v2.c - Open Inference Protocol V2: JSON tensors in and out. */
#include "adapter.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define DIMENSIONS_MAX 8

enum kind { KIND_NONE, KIND_FLOAT, KIND_INTEGER, KIND_BOOLEAN };

static const struct datatype {
    const char *name;
    enum kind kind;
    double low, high; /* of integers */
} datatypes[] = {
    {"FP32", KIND_FLOAT, 0, 0},
    {"FP64", KIND_FLOAT, 0, 0},
    {"FP16", KIND_FLOAT, 0, 0},
    {"BF16", KIND_FLOAT, 0, 0},
    {"INT64", KIND_INTEGER, -9223372036854775808.0, 9223372036854775807.0},
    {"INT32", KIND_INTEGER, -2147483648.0, 2147483647.0},
    {"INT16", KIND_INTEGER, -32768, 32767},
    {"INT8", KIND_INTEGER, -128, 127},
    {"UINT64", KIND_INTEGER, 0, 18446744073709551615.0},
    {"UINT32", KIND_INTEGER, 0, 4294967295.0},
    {"UINT16", KIND_INTEGER, 0, 65535},
    {"UINT8", KIND_INTEGER, 0, 255},
    {"BOOL", KIND_BOOLEAN, 0, 0},
};

struct tensor {
    const char *name;
    size_t name_len;
    const struct datatype *type; /* NULL: not seen yet */
    int64_t shape[DIMENSIONS_MAX];
    size_t dimensions;
    bool has_shape, has_data;
    size_t first, count;     /* of its values in work->data */
    size_t outer, inner;     /* of nested data; inner 0: flat */
    struct json_reader data; /* where the data starts, when it came before the datatype */
    bool postponed;
};

struct reading {
    struct json_reader json;
    const struct model *model;
    struct adapter_work *work;
    struct adapter_input *input;
    bool output_unknown;
};

static bool
read_value(struct json_reader *r, const struct datatype *type, float *value)
{
    double number;
    bool truth;
    enum json_type next = jr_peek(r);

    if (type->kind == KIND_BOOLEAN && (next == JSON_T_TRUE || next == JSON_T_FALSE)) {
        if (!jr_boolean(r, &truth))
            return false;
        *value = truth;
        return true;
    }
    if (next != JSON_T_NUMBER && next != JSON_T_NULL)
        return jr_fail(r, "expected a number");
    /* FP32 text is rounded once; FP64 is a double first, as a client's array was. */
    if (next == JSON_T_NULL || strcmp(type->name, "FP32") == 0)
        return jr_float(r, value);
    if (!jr_number(r, &number))
        return false;
    if (type->kind == KIND_INTEGER &&
        (!(number >= type->low && number <= type->high) || number != trunc(number)))
        return jr_fail(r, "a number does not fit the integer datatype");
    if (type->kind == KIND_BOOLEAN && number != 0 && number != 1)
        return jr_fail(r, "a BOOL is not true, false, 1 or 0");
    *value = (float)number;
    return true;
}

/* Flat, or one array a row. */
static bool
read_data(struct reading *d, struct json_reader *r, struct tensor *t)
{
    float value;

    t->first = d->work->len;
    t->outer = t->inner = 0;
    if (!jr_enter_array(r))
        return false;
    while (jr_element(r)) {
        bool nested = jr_peek(r) == JSON_T_ARRAY;
        size_t before = d->work->len;
        if (t->outer > 0 && nested != (t->inner > 0))
            return jr_fail(r, "data mixes numbers and arrays");
        t->outer++;
        if (!nested) {
            if (!read_value(r, t->type, &value))
                return false;
            adapter_push(d->work, value);
            continue;
        }
        if (!jr_enter_array(r))
            return false;
        while (jr_element(r)) {
            if (!read_value(r, t->type, &value))
                return false;
            adapter_push(d->work, value);
        }
        size_t inner = d->work->len - before;
        if (inner == 0 || (t->inner > 0 && inner != t->inner))
            return jr_fail(r, "the rows of nested data differ in length, or are empty");
        t->inner = inner;
    }
    t->count = d->work->len - t->first;
    return !r->failed;
}

static bool
read_datatype(struct reading *d, struct tensor *t)
{
    struct json_text text;

    if (!jr_raw_string(&d->json, &text))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(datatypes); i++)
        if (jr_key_is(&text, datatypes[i].name))
            t->type = &datatypes[i];
    return t->type || jr_fail(&d->json, "the datatype must be FP16, BF16, FP32, FP64, INT8 … "
                                        "INT64, UINT8 … UINT64 or BOOL");
}

static bool
read_shape(struct reading *d, struct tensor *t)
{
    t->dimensions = 0;
    t->has_shape = true;
    if (!jr_enter_array(&d->json))
        return false;
    while (jr_element(&d->json)) {
        if (t->dimensions == DIMENSIONS_MAX)
            return jr_fail(&d->json, "a shape of more than 8 dimensions");
        int64_t *size = &t->shape[t->dimensions++];
        if (!jr_integer(&d->json, size))
            return false;
        if (*size < 0 || *size > (1 << 30))
            return jr_fail(&d->json, "a dimension is negative or too large");
    }
    return !d->json.failed;
}

static bool
read_tensor(struct reading *d, struct tensor *t)
{
    struct json_text key;

    *t = (struct tensor){0};
    if (!jr_enter_object(&d->json))
        return false;
    while (jr_member(&d->json, &key)) {
        bool ok = true;
        if (jr_key_is(&key, "name")) {
            ok = jr_string(&d->json, d->work->arena, &t->name, &t->name_len);
        } else if (jr_key_is(&key, "datatype")) {
            ok = read_datatype(d, t);
        } else if (jr_key_is(&key, "shape")) {
            ok = read_shape(d, t);
        } else if (jr_key_is(&key, "data")) {
            if (t->has_data)
                return jr_fail(&d->json, "data twice");
            t->has_data = true;
            t->postponed = !t->type;
            t->data = d->json;
            ok = t->type ? read_data(d, &d->json, t) : jr_skip(&d->json);
        } else {
            ok = jr_skip(&d->json);
        }
        if (!ok)
            return false;
    }
    if (d->json.failed)
        return false;
    if (!t->name || !t->type || !t->has_shape || !t->has_data)
        return jr_fail(&d->json, "an input needs name, shape, datatype and data");
    if (t->postponed && !read_data(d, &t->data, t)) {
        d->json.failed = true;
        d->json.err = t->data.err;
        return false;
    }
    return true;
}

static enum err_code
check_shape(const struct tensor *t, struct err *err)
{
    int64_t product = 1;

    for (size_t i = 0; i < t->dimensions; i++)
        if (__builtin_mul_overflow(product, t->shape[i], &product))
            return err_set(err, ERR_TOO_LARGE, "input '%.80s': the shape is too large", t->name);
    if ((uint64_t)product != t->count)
        return err_set(err, ERR_INVALID,
                       "input '%.80s': the shape has %" PRId64 " values, data has %zu", t->name,
                       product, t->count);
    if (t->inner > 0 && t->dimensions == 2 &&
        ((uint64_t)t->shape[0] != t->outer || (uint64_t)t->shape[1] != t->inner))
        return err_set(err, ERR_INVALID,
                       "input '%.80s': data is nested as [%zu,%zu], not as its shape", t->name,
                       t->outer, t->inner);
    return ERR_OK;
}

/* One input that holds whole rows. */
static enum err_code
take_matrix(struct reading *d, const struct tensor *t, struct err *err)
{
    size_t features = d->model->info->features;
    uint64_t columns = t->dimensions == 2   ? (uint64_t)t->shape[1]
                       : t->dimensions == 1 ? (features == 1 ? 1 : (uint64_t)t->shape[0])
                                            : 0;

    if (t->dimensions != 1 && t->dimensions != 2)
        return err_set(err, ERR_INVALID, "input '%.80s' has %zu dimensions; expected [rows,%zu]",
                       t->name, t->dimensions, features);
    if (columns != features)
        return err_set(err, ERR_INVALID,
                       "model '%.80s' expects %zu features a row, input '%.80s' gives %" PRIu64,
                       d->model->endpoint, features, t->name, columns);
    d->input->data = d->work->data + t->first;
    d->input->rows = t->count / features;
    return ERR_OK;
}

/* Column of one feature into d->work->columns, which is features × rows. */
static enum err_code
take_column(struct reading *d, const struct tensor *t, size_t hint, uint8_t *seen, struct err *err)
{
    size_t features = d->model->info->features;
    int64_t f = model_feature(d->model, t->name, t->name_len, hint);

    if (f < 0)
        return err_set(err, ERR_INVALID, "model '%.80s' has no feature '%.80s'", d->model->endpoint,
                       t->name);
    if (seen[f])
        return err_set(err, ERR_INVALID, "input '%.80s' is given twice", t->name);
    seen[f] = 1;
    if (t->dimensions == 0 || t->dimensions > 2 || (t->dimensions == 2 && t->shape[1] != 1))
        return err_set(err, ERR_INVALID, "input '%.80s' must have the shape [rows] or [rows,1]",
                       t->name);
    if (hint == 0) {
        d->input->rows = t->count;
        if (t->count > ADAPTER_VALUES_MAX / features)
            return err_set(err, ERR_TOO_LARGE, "more than %u values in a request",
                           ADAPTER_VALUES_MAX);
        if (d->work->columns_cap < features * t->count) {
            d->work->columns_cap = features * t->count;
            d->work->columns = mem_realloc(d->work->columns, d->work->columns_cap * sizeof(float));
        }
    }
    if (t->count != d->input->rows)
        return err_set(err, ERR_INVALID, "input '%.80s' has %zu rows, the first one has %zu",
                       t->name, t->count, d->input->rows);
    if (t->count) /* columns may be NULL otherwise */
        memcpy(d->work->columns + (size_t)f * t->count, d->work->data + t->first,
               t->count * sizeof(float));
    d->work->len = t->first;
    return ERR_OK;
}

static enum err_code
finish_columns(struct reading *d, size_t given, const uint8_t *seen, struct err *err)
{
    size_t features = d->model->info->features, rows = d->input->rows;

    if (given != features)
        for (size_t f = 0; f < features; f++)
            if (!seen[f])
                return err_set(
                    err, ERR_INVALID,
                    "model '%.80s' expects %zu features, %zu are given; '%.80s' is missing",
                    d->model->endpoint, features, given, d->model->feature_names[f]);
    d->work->len = 0;
    for (size_t r = 0; r < rows; r++)
        for (size_t f = 0; f < features; f++)
            adapter_push(d->work, d->work->columns[f * rows + r]);
    d->input->data = d->work->data;
    return ERR_OK;
}

static enum err_code
reader_error(struct json_reader *r, struct err *err)
{
    jr_fail(r, "malformed");
    return err_set(err, r->err.code, "%s", r->err.message);
}

static enum err_code
read_inputs(struct reading *d, size_t max_rows, struct err *err)
{
    struct tensor t, first = {0};
    uint8_t *seen = NULL;
    size_t given = 0;

    if (!jr_enter_array(&d->json))
        return reader_error(&d->json, err);
    while (jr_element(&d->json)) {
        if (!read_tensor(d, &t))
            return reader_error(&d->json, err);
        if (check_shape(&t, err))
            return err->code;
        if (given == 0) {
            first = t;
        } else {
            if (given == 1) { /* one input a feature, after all */
                seen = arena_zalloc(d->work->arena, d->model->info->features);
                if (first.count > max_rows)
                    return err_set(err, ERR_TOO_LARGE, "%zu rows, at most %zu a request",
                                   first.count, max_rows);
                size_t len = d->work->len;
                if (take_column(d, &first, 0, seen, err))
                    return err->code;
                d->work->len = len;
            }
            if (take_column(d, &t, given, seen, err))
                return err->code;
        }
        given++;
    }
    if (d->json.failed)
        return reader_error(&d->json, err);
    if (given == 0)
        return err_set(err, ERR_INVALID, "inputs is empty");
    return given == 1 ? take_matrix(d, &first, err) : finish_columns(d, given, seen, err);
}

/* Only the model's own output may be asked for. */
static bool
read_outputs(struct reading *d)
{
    struct json_text key, name;

    if (!jr_enter_array(&d->json))
        return false;
    while (jr_element(&d->json)) {
        if (!jr_enter_object(&d->json))
            return false;
        while (jr_member(&d->json, &key)) {
            if (!jr_key_is(&key, "name")) {
                if (!jr_skip(&d->json))
                    return false;
                continue;
            }
            if (!jr_raw_string(&d->json, &name))
                return false;
            if (!jr_key_is(&name, d->model->info->output))
                d->output_unknown = true;
        }
    }
    return !d->json.failed;
}

static enum err_code
read_request(const struct model *model, const char *body, size_t len, size_t max_rows,
             struct adapter_work *work, struct adapter_input *input, struct err *err)
{
    struct reading d = {.model = model, .work = work, .input = input};
    struct json_text key;
    bool inputs = false;

    adapter_begin(work);
    input->rows = 0;
    input->id[0] = '\0';
    jr_open(&d.json, body, len);
    if (!jr_enter_object(&d.json))
        return reader_error(&d.json, err);
    while (jr_member(&d.json, &key)) {
        bool ok = true;
        if (jr_key_is(&key, "inputs")) {
            if (inputs)
                return err_set(err, ERR_INVALID, "inputs twice");
            inputs = true;
            if (read_inputs(&d, max_rows, err))
                return err->code;
        } else if (jr_key_is(&key, "id")) {
            ok = adapter_read_id(&d.json, work, input);
        } else if (jr_key_is(&key, "outputs")) {
            ok = read_outputs(&d);
        } else {
            ok = jr_skip(&d.json);
        }
        if (!ok)
            return reader_error(&d.json, err);
    }
    if (jr_finish(&d.json, err))
        return err->code;
    if (!inputs)
        return err_set(err, ERR_INVALID, "the request has no inputs");
    if (d.output_unknown)
        return err_set(err, ERR_INVALID, "model '%.80s' has one output, '%s'", model->endpoint,
                       model->info->output);
    return adapter_check(model, max_rows, input, err);
}

static void
write_response(struct buf *out, const struct model *model, const char *id, bool id_given,
               const float *values, size_t rows)
{
    size_t width = model->info->width;

    buf_str(out, "{\"model_name\":");
    buf_json_str(out, model->endpoint, strlen(model->endpoint));
    buf_str(out, ",\"model_version\":\"");
    buf_str(out, model->version_text);
    if (id_given) {
        buf_str(out, "\",\"id\":");
        buf_json_str(out, id, strlen(id));
        buf_str(out, ",\"parameters\":{\"prediction_id\":");
    } else {
        buf_str(out, "\",\"parameters\":{\"prediction_id\":");
    }
    buf_json_str(out, id, strlen(id));
    buf_str(out, "},\"outputs\":[{\"name\":\"");
    buf_str(out, model->info->output);
    buf_str(out, "\",\"datatype\":\"FP32\",\"shape\":[");
    buf_int(out, (int64_t)rows);
    if (width > 1) {
        buf_char(out, ',');
        buf_int(out, (int64_t)width);
    }
    buf_str(out, "],\"data\":[");
    for (size_t i = 0; i < rows * width; i++) {
        if (i > 0)
            buf_char(out, ',');
        adapter_float(out, values[i]);
    }
    buf_str(out, "]}]}");
}

const struct adapter adapter_v2 = {read_request, write_response};
