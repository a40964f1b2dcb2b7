/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adapter.h - from a request's body to rows of floats, and from predictions to an answer.
 *
 * A face of the pod (V2, /predict) is a reader and a writer. Readers pull the body
 * straight into the worker's float vector: no tree of values, no allocation once warm. They know
 * the model, so that wrong input is named by row and feature. Nothing here knows HTTP.
 */
#pragma once

#include "buf/buf.h"
#include "json/json_reader.h"
#include "model.h"

#define ADAPTER_ID_MAX 128
#define ADAPTER_VALUES_MAX (16u << 20) /* floats of one request */

/* One worker's memory, reused by its requests. Zero-initialise. */
struct adapter_work {
    float *data; /* rows × features of the request read last */
    size_t len, cap;
    float *columns; /* V2 with one input a feature, before they are transposed */
    size_t columns_cap;
    struct arena *arena; /* names; reset with each request */
};
void adapter_work_done(struct adapter_work *work);

struct adapter_input {
    const float *data; /* the work's; valid until the next read */
    size_t rows;
    char id[ADAPTER_ID_MAX + 1]; /* the caller's; empty: none */
};

struct adapter {
    /* max_rows bounds rows. ERR_INVALID, ERR_TOO_LARGE, ERR_UNSUPPORTED. */
    enum err_code (*read)(const struct model *model, const char *body, size_t len, size_t max_rows,
                          struct adapter_work *work, struct adapter_input *input, struct err *err);
    /* values: rows × info->width. Appends the whole answer. */
    void (*write)(struct buf *out, const struct model *model, const char *id, bool id_given,
                  const float *values, size_t rows);
};

/*
 * Open Inference Protocol V2, REST, JSON tensors
 * (https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md):
 * one input [rows, features] or [features], or one input [rows] or [rows, 1] for every
 * feature by its name. Datatypes FP16 to FP64, INT and UINT, BOOL; null, NaN and Infinity are accepted.
 */
extern const struct adapter adapter_v2;

/* {"rows": [[…]]}, {"instances": [[…] or {…}]}, {"records": [{…}]}, {"row": […]}, {"record": {…}},
 * each with an optional "id". A feature that a record does not name is missing. */
extern const struct adapter adapter_predict;

/* ---- for adapters ---- */
void adapter_begin(struct adapter_work *work);
void adapter_push(struct adapter_work *work, float value);
/* Reads "id": a string of 1 … ADAPTER_ID_MAX printable ASCII bytes. */
bool adapter_read_id(struct json_reader *r, struct adapter_work *work, struct adapter_input *input);
/* Rows within bounds, and no missing value for a model that has none. */
MUST_CHECK enum err_code adapter_check(const struct model *model, size_t max_rows,
                                       const struct adapter_input *input, struct err *err);
/* Shortest text of at most nine digits that reads back to x. Not finite: bare NaN, Infinity. */
void adapter_float(struct buf *out, float x);
