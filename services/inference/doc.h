/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doc.h - one way to read a model file that may be JSON or UBJSON.
 *
 * A thin choice between json/json_reader.h and ubjson_reader.h, so that what a file
 * means is written once. Behaves as they do: the first error sticks, readers return
 * false from then on, doc_finish() reports it.
 */
#pragma once

#include "json/json_reader.h"
#include "ubjson_reader.h"

struct doc {
    bool binary;
    union {
        struct json_reader json;
        struct ubj_reader ubj;
    } u;
};

/* Growing arrays that a reader fills again and again. Zero-initialise; doc_*_done() frees. */
struct doc_floats {
    float *data;
    size_t len, cap;
};
struct doc_ints {
    int64_t *data;
    size_t len, cap;
};

void doc_open(struct doc *d, bool binary, const void *data, size_t len); /* borrows data */
bool doc_enter_object(struct doc *d);
bool doc_member(struct doc *d, struct json_text *key);
bool doc_enter_array(struct doc *d);
bool doc_element(struct doc *d);
bool doc_at_object(struct doc *d);                          /* the next value is an object */
bool doc_integer(struct doc *d, int64_t *value);            /* a boolean reads as 0 or 1 */
bool doc_raw_string(struct doc *d, struct json_text *text); /* JSON: escapes not resolved */
/* Escapes resolved, UTF-8 checked for JSON, NUL-terminated, in arena. */
bool doc_string(struct doc *d, struct arena *arena, const char **s, size_t *len);
bool doc_skip(struct doc *d);
bool doc_fail(struct doc *d, const char *what); /* false */
bool doc_failed(const struct doc *d);
/* A whole array of numbers; what was in the vector before is replaced. */
bool doc_float_array(struct doc *d, struct doc_floats *out);
bool doc_int_array(struct doc *d, struct doc_ints *out);
void doc_floats_done(struct doc_floats *v);
void doc_ints_done(struct doc_ints *v);
MUST_CHECK enum err_code doc_finish(struct doc *d, struct err *err);

/* The text as a C string, cut to size - 1 bytes; false when it had to be cut. */
bool doc_text_copy(const struct json_text *text, char *out, size_t size);
