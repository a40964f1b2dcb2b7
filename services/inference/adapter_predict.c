/* SPDX-License-Identifier: Apache-2.0 */
/* adapter_predict.c - the pod's plain face: rows or records in, predictions out. */
#include "adapter.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

struct reading {
    struct json_reader json;
    const struct model *model;
    struct adapter_work *work;
    size_t row, max_rows;
    struct err *err; /* filled before false is returned for a reason that is not JSON's */
    bool refused;
};

static bool
read_value(struct reading *d, size_t feature, float *value)
{
    bool truth;

    switch (jr_peek(&d->json)) {
    case JSON_T_TRUE:
    case JSON_T_FALSE:
        if (!jr_boolean(&d->json, &truth))
            return false;
        *value = truth;
        return true;
    case JSON_T_NUMBER:
    case JSON_T_NULL:
        return jr_float(&d->json, value);
    case JSON_T_END:
        return jr_fail(&d->json, "expected a value");
    default:
        d->refused = true;
        err_set(d->err, ERR_INVALID, "row %zu: feature '%.80s' is not a number", d->row,
                d->model->feature_names[feature]);
        return false;
    }
}

static bool
read_array_row(struct reading *d)
{
    size_t features = d->model->info->features, count = 0;
    float value;

    if (!jr_enter_array(&d->json))
        return false;
    while (jr_element(&d->json)) {
        if (!read_value(d, count < features ? count : features - 1, &value))
            return false;
        if (count < features)
            adapter_push(d->work, value);
        count++;
    }
    if (d->json.failed)
        return false;
    if (count != features) {
        d->refused = true;
        err_set(d->err, ERR_INVALID, "row %zu has %zu values, model '%.80s' expects %zu", d->row,
                count, d->model->endpoint, features);
        return false;
    }
    d->row++;
    return true;
}

static bool
read_record(struct reading *d)
{
    size_t features = d->model->info->features, start = d->work->len, hint = 0, len;
    struct json_text key;
    const char *name;

    if (!jr_enter_object(&d->json))
        return false;
    /* A record of no bytes becomes a row of floats: bound before it is made. */
    if (d->row == d->max_rows || d->work->len + features > ADAPTER_VALUES_MAX) {
        d->refused = true;
        err_set(d->err, ERR_TOO_LARGE, "more than %zu rows or %u values in a request", d->max_rows,
                ADAPTER_VALUES_MAX);
        return false;
    }
    for (size_t f = 0; f < features; f++)
        adapter_push(d->work, NAN);
    while (jr_member(&d->json, &key)) {
        name = key.data;
        len = key.len;
        if (key.escaped) {
            /* Rare: resolve it as a string of its own, quotes included. */
            struct json_reader r;
            jr_open(&r, key.data - 1, key.len + 2);
            if (!jr_string(&r, d->work->arena, &name, &len))
                return jr_fail(&d->json, "malformed name");
        }
        int64_t f = model_feature(d->model, name, len, hint);
        if (f < 0) {
            d->refused = true;
            err_set(d->err, ERR_INVALID, "row %zu: model '%.80s' has no feature '%.*s'", d->row,
                    d->model->endpoint, len < 80 ? (int)len : 80, name);
            return false;
        }
        if (!read_value(d, (size_t)f, &d->work->data[start + (size_t)f]))
            return false;
        hint = (size_t)f + 1;
    }
    d->row++;
    return !d->json.failed;
}

static bool
read_row(struct reading *d)
{
    return jr_peek(&d->json) == JSON_T_OBJECT ? read_record(d) : read_array_row(d);
}

static bool
read_rows(struct reading *d)
{
    if (!jr_enter_array(&d->json))
        return false;
    while (jr_element(&d->json))
        if (!read_row(d))
            return false;
    return !d->json.failed;
}

static enum err_code
read_request(const struct model *model, const char *body, size_t len, size_t max_rows,
             struct adapter_work *work, struct adapter_input *input, struct err *err)
{
    struct reading d = {.model = model, .work = work, .max_rows = max_rows, .err = err};
    struct json_text key;
    bool seen = false;

    adapter_begin(work);
    input->id[0] = '\0';
    jr_open(&d.json, body, len);
    if (!jr_enter_object(&d.json))
        jr_fail(&d.json, "expected an object");
    while (jr_member(&d.json, &key)) {
        bool many =
            jr_key_is(&key, "rows") || jr_key_is(&key, "instances") || jr_key_is(&key, "records");
        bool one = jr_key_is(&key, "row") || jr_key_is(&key, "record");
        bool ok;
        if (many || one) {
            if (seen)
                return err_set(err, ERR_INVALID,
                               "give one of rows, instances, records, row and record");
            seen = true;
            ok = many ? read_rows(&d) : read_row(&d);
        } else if (jr_key_is(&key, "id")) {
            ok = adapter_read_id(&d.json, work, input);
        } else {
            ok = jr_skip(&d.json);
        }
        if (!ok)
            break;
    }
    if (d.refused)
        return err->code;
    if (jr_finish(&d.json, err))
        return err->code;
    if (!seen)
        return err_set(err, ERR_INVALID,
                       "the request needs one of rows, instances, records, row and record");
    input->data = work->data;
    input->rows = d.row;
    return adapter_check(model, max_rows, input, err);
}

/* JSON has no NaN: what is not finite is null here. */
static void
write_value(struct buf *out, float x)
{
    if (isfinite(x))
        adapter_float(out, x);
    else
        buf_str(out, "null");
}

static void
write_response(struct buf *out, const struct model *model, const char *id, bool id_given,
               const float *values, size_t rows)
{
    size_t width = model->info->width;

    (void)id_given;
    buf_str(out, "{\"predictions\":[");
    for (size_t r = 0; r < rows; r++) {
        if (r > 0)
            buf_char(out, ',');
        if (width > 1)
            buf_char(out, '[');
        for (size_t i = 0; i < width; i++) {
            if (i > 0)
                buf_char(out, ',');
            write_value(out, values[r * width + i]);
        }
        if (width > 1)
            buf_char(out, ']');
    }
    buf_str(out, "],\"id\":");
    buf_json_str(out, id, strlen(id));
    buf_str(out, ",\"endpoint\":");
    buf_json_str(out, model->endpoint, strlen(model->endpoint));
    buf_str(out, ",\"model\":");
    buf_json_str(out, model->name, strlen(model->name));
    buf_str(out, ",\"version\":");
    buf_int(out, model->version);
    buf_char(out, '}');
}

const struct adapter adapter_predict = {read_request, write_response};
