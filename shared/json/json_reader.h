/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_reader.h - a pull parser for JSON that comes from outside on the hot path.
 *
 * For request bodies and model files, where a tree of values would cost more than
 * the work itself. Configuration, REST documents and tools use jansson instead.
 * RFC 8259, plus the bare words NaN, Infinity and -Infinity as numbers, which Triton's
 * clients and XGBoost write. Depth is bounded by JSON_DEPTH_MAX. No allocation except
 * json_string() into an arena. Errors name the byte offset and what was expected.
 *
 *     json_open(&r, data, len);
 *     JSON_EACH_MEMBER: while (json_member(&r, &key)) if (json_key_is(&key, "shape")) … else json_skip(&r);
 * The first error sticks: later calls return "end" and json_finish() reports it.
 */
#pragma once

#include "arena/arena.h"
#include "err/err.h"

#define JSON_DEPTH_MAX 64

enum json_type {
    JSON_T_END,
    JSON_T_OBJECT,
    JSON_T_ARRAY,
    JSON_T_STRING,
    JSON_T_NUMBER,
    JSON_T_TRUE,
    JSON_T_FALSE,
    JSON_T_NULL
};

struct json_reader {
    const char *start, *p, *end;
    int depth;
    uint8_t first[JSON_DEPTH_MAX]; /* no comma expected yet at this level */
    bool failed;
    struct err err;
};

struct json_text { /* raw contents between the quotes; escapes not resolved */
    const char *data;
    size_t len;
    bool escaped;
};

void json_open(struct json_reader *r, const char *data, size_t len);
enum json_type json_peek(struct json_reader *r); /* type of the next value */

bool json_enter_object(struct json_reader *r); /* fails the reader if the next value is none */
bool json_member(struct json_reader *r,
                 struct json_text *key); /* false after the closing brace (consumed) */
bool json_key_is(const struct json_text *key, const char *name);
bool json_enter_array(struct json_reader *r);
bool
json_element(struct json_reader *r); /* true: a value follows; false after the bracket (consumed) */

bool json_number(struct json_reader *r, double *value);
bool json_float(struct json_reader *r,
                float *value); /* correctly rounded to float; null reads as NaN */
bool json_integer(struct json_reader *r, int64_t *value);
bool json_boolean(struct json_reader *r, bool *value);
bool json_raw_string(struct json_reader *r, struct json_text *text);
/* Escapes resolved, UTF-8 checked, NUL-terminated in arena. */
bool json_string(struct json_reader *r, struct arena *arena, const char **s, size_t *len);
bool json_skip(struct json_reader *r); /* one value, whatever it is */
bool json_fail(struct json_reader *r,
               const char *what); /* the caller's own error, with the offset; false */

/* ERR_OK when no error stuck and only white space is left. */
MUST_CHECK enum err_code json_finish(struct json_reader *r, struct err *err);
