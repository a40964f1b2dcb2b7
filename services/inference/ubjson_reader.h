/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ubjson_reader.h - a pull parser for Universal Binary JSON, draft 12 (https://ubjson.org),
 * as XGBoost writes it.
 *
 * The same shape as json/json_reader.h: the first error sticks, later calls return
 * false ("end"), ubj_finish() reports it. Counted and typed containers ([$d#L…) have no
 * closing bracket and are understood; integers are big-endian; high-precision numbers and
 * typed containers of containers are refused. Every length is checked against the bytes
 * that are left, and elements without bytes (typed null or boolean arrays) are refused, so that the work
 * is bounded by the size of the input. No allocation. One thread at a time.
 */
#pragma once

#include "json/json_reader.h" /* struct json_text */

#define UBJ_DEPTH_MAX 64

struct ubj_reader {
    const uint8_t *start, *p, *end;
    int depth;
    struct {
        uint8_t type; /* marker of every element, 0: each has its own */
        bool counted;
        uint64_t left; /* elements still to come when counted */
    } level[UBJ_DEPTH_MAX];
    bool failed;
    struct err err;
};

void ubj_open(struct ubj_reader *r, const void *data, size_t len);
bool ubj_at_object(struct ubj_reader *r); /* the next value is an object */
bool ubj_enter_object(struct ubj_reader *r);
bool ubj_member(struct ubj_reader *r, struct json_text *key); /* false after the last one */
bool ubj_enter_array(struct ubj_reader *r);
bool ubj_element(struct ubj_reader *r); /* true: a value follows; false after the last one */
bool ubj_number(struct ubj_reader *r, double *value);          /* any number */
bool ubj_integer(struct ubj_reader *r, int64_t *value);        /* integers and booleans */
bool ubj_string(struct ubj_reader *r, struct json_text *text); /* borrowed from the input */
bool ubj_skip(struct ubj_reader *r);                           /* one value, whatever it is */
bool ubj_fail(struct ubj_reader *r, const char *what);         /* the caller's own error; false */
MUST_CHECK enum err_code ubj_finish(struct ubj_reader *r, struct err *err);
