/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_reader.h - a pull parser for JSON that comes from outside on the hot path.
 *
 * For request bodies and model files, where a tree of values would cost more than
 * the work itself. Configuration, REST documents and tools use jansson instead, whose names
 * begin with json_. RFC 8259, plus the bare words NaN, Infinity and -Infinity as numbers, which
 * Triton's clients and XGBoost write. Bounds: depth JSON_DEPTH_MAX, 800 characters a number.
 * Nothing is allocated but by jr_string(), in its arena. Names may repeat: that is the caller's
 * concern. Errors name the byte offset and what was expected.
 *
 *     jr_open(&r, data, len);
 *     jr_enter_object(&r);
 *     while (jr_member(&r, &key))
 *         if (jr_key_is(&key, "shape"))
 *             read_shape(&r, ...);
 *         else
 *             jr_skip(&r);
 *     return jr_finish(&r, err);
 *
 * The first error sticks: later calls do nothing and return false (jr_peek(): END), so loops
 * end by themselves and only jr_finish() needs to be checked. Each value must be consumed
 * exactly once, by the call for its type or by jr_skip(). Functions that fail leave
 * their outputs untouched. One thread at a time; the text is borrowed and not changed.
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

struct json_reader { /* private, but for failed */
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

void jr_open(struct json_reader *r, const char *data, size_t len);
/* Type of the next value, which is not consumed; END: none, or an error. */
enum json_type jr_peek(struct json_reader *r);

/* Both fail the reader when the next value is of another type. */
bool jr_enter_object(struct json_reader *r);
bool jr_enter_array(struct json_reader *r);
/* The next name; its value follows. False after the closing brace, which is consumed. */
bool jr_member(struct json_reader *r, struct json_text *key);
bool jr_key_is(const struct json_text *key, const char *name); /* name: at most 80 bytes */
/* True: a value follows. False after the closing bracket, which is consumed. */
bool jr_element(struct json_reader *r);

/* Correctly rounded; a number past the type's range fails, one too small becomes 0. */
bool jr_number(struct json_reader *r, double *value);
/* Rounded to float once; null reads as NaN. */
bool jr_float(struct json_reader *r, float *value);
bool jr_integer(struct json_reader *r, int64_t *value); /* no fraction, no exponent */
bool jr_boolean(struct json_reader *r, bool *value);
/* Escapes are well-formed but not resolved, UTF-8 is not checked. */
bool jr_raw_string(struct json_reader *r, struct json_text *text);
/* Escapes resolved, UTF-8 checked, NUL-terminated in arena; may contain NULs (compare *len). Fails
 * past the arena's limit. */
bool jr_string(struct json_reader *r, struct arena *arena, const char **s, size_t *len);
bool jr_skip(struct json_reader *r); /* one value, whatever it is */
bool jr_fail(struct json_reader *r,
             const char *what); /* the caller's own error, with the offset; false */

/* ERR_OK when no error stuck and only white space is left. */
MUST_CHECK enum err_code jr_finish(struct json_reader *r, struct err *err);
