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

/* A member of an object: its value is read into the place at offset. 0 is the object itself, for
 * readers of more than one place. */
struct doc_field {
    const char *name;
    bool (*read)(struct doc *d, void *place); /* false: an error, as all readers */
    size_t offset;
};
#define DOC_FIELD(type, name, field, read)                                                         \
    {                                                                                              \
        name, read, offsetof(type, field)                                                          \
    }
/* Read an object: each field when it comes, in any order and number; other members are skipped. */
bool doc_object(struct doc *d, const struct doc_field *fields, size_t count, void *object);

/* A whole array of numbers, for fields of the type; what was in the vector before is replaced. */
bool doc_floats(struct doc *d, void *floats);
bool doc_ints(struct doc *d, void *ints);
void doc_floats_done(struct doc_floats *v);
void doc_ints_done(struct doc_ints *v);
MUST_CHECK enum err_code doc_finish(struct doc *d, struct err *err);

/* The text as a C string, cut to size - 1 bytes; false when it had to be cut. */
bool doc_text_copy(const struct json_text *text, char *out, size_t size);
