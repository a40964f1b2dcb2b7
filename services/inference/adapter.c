/* SPDX-License-Identifier: Apache-2.0 */
/* adapter.c - what the adapters share. */
#include "adapter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
adapter_work_done(struct adapter_work *work)
{
    free(work->data);
    free(work->columns);
    arena_free(work->arena);
    *work = (struct adapter_work){0};
}

void
adapter_begin(struct adapter_work *work)
{
    if (!work->arena)
        work->arena = arena_new(4096, 0);
    else
        arena_reset(work->arena);
    work->len = 0;
}

void
adapter_push(struct adapter_work *work, float value)
{
    if (work->len == work->cap) {
        work->cap = work->cap ? work->cap * 2 : 256;
        work->data = mem_realloc(work->data, work->cap * sizeof(*work->data));
    }
    work->data[work->len++] = value;
}

bool
adapter_read_id(struct json_reader *r, struct adapter_work *work, struct adapter_input *input)
{
    const char *id;
    size_t len;

    if (!jr_string(r, work->arena, &id, &len))
        return false;
    if (len > ADAPTER_ID_MAX)
        return jr_fail(r, "id is longer than 128 bytes");
    for (size_t i = 0; i < len; i++)
        if (id[i] <= ' ' || id[i] > '~')
            return jr_fail(r, "id must be printable ASCII without spaces");
    memcpy(input->id, id, len);
    input->id[len] = '\0';
    return true;
}

enum err_code
adapter_check(const struct model *model, size_t max_rows, const struct adapter_input *input,
              struct err *err)
{
    size_t features = model->info->features;

    if (input->rows == 0)
        return err_set(err, ERR_INVALID, "no rows to predict");
    if (input->rows > max_rows)
        return err_set(err, ERR_TOO_LARGE, "%zu rows, at most %zu a request", input->rows,
                       max_rows);
    if (model->info->missing)
        return ERR_OK;
    for (size_t i = 0; i < input->rows * features; i++)
        if (isnan(input->data[i]))
            return err_set(err, ERR_INVALID,
                           "row %zu: feature '%.80s' is missing and this model needs every value",
                           i / features, model->feature_names[i % features]);
    return ERR_OK;
}

/* Digits of m without leading zeros, with the point after `whole` of them. */
static void
put_decimal(struct buf *out, uint32_t m, int digits, int exponent)
{
    char text[16];

    /* m = d.ddd × 10^exponent; cut zeros at the end. */
    while (digits > 1 && m % 10 == 0) {
        m /= 10;
        digits--;
    }
    for (int i = digits - 1; i >= 0; i--, m /= 10)
        text[i] = (char)('0' + m % 10);
    if (exponent < 0) {
        buf_add(out, "0.00000", (size_t)(1 - exponent));
        buf_add(out, text, (size_t)digits);
    } else if (digits <= exponent + 1) {
        buf_add(out, text, (size_t)digits);
        for (int i = digits; i < exponent + 1; i++)
            buf_char(out, '0');
    } else {
        buf_add(out, text, (size_t)(exponent + 1));
        buf_char(out, '.');
        buf_add(out, text + exponent + 1, (size_t)(digits - exponent - 1));
    }
}

void
adapter_float(struct buf *out, float x)
{
    static const double powers[] = {1,   1e1, 1e2, 1e3,  1e4,  1e5,  1e6,
                                    1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13};
    double a = fabs((double)x);
    char text[32];
    int exponent = -5;

    if (!isfinite(x)) {
        buf_str(out, isnan(x) ? "NaN" : x < 0 ? "-Infinity" : "Infinity");
        return;
    }
    if (x == 0) {
        buf_str(out, signbit(x) ? "-0.0" : "0");
        return;
    }
    if (a < 1e-5 || a >= 1e8) {
        snprintf(text, sizeof(text), "%.9g", (double)x);
        buf_str(out, text);
        return;
    }
    while (exponent < 0 ? a * powers[-exponent - 1] >= 1.0 : a >= powers[exponent + 1])
        exponent++;
    if (x < 0)
        buf_char(out, '-');
    /* Both m and the power are exact in double, so the quotient is rounded once. */
    for (int digits = exponent < 6 ? 6 : exponent + 1; digits <= 9; digits++) {
        int shift = digits - 1 - exponent;
        double scaled = a * powers[shift];
        uint32_t m = (uint32_t)(scaled + 0.5);
        if (digits < 9 && (float)(m / powers[shift]) != (float)a)
            continue;
        if (m >= (uint32_t)powers[digits]) { /* rounded up to the next power */
            m /= 10;
            exponent++;
        }
        put_decimal(out, m, digits, exponent);
        return;
    }
}
