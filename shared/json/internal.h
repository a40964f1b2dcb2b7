/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the reader's files share. */
#pragma once

#include "json/json_reader.h"

/* Past white space; false at the end of the text. */
static inline bool
jr_blanks(struct json_reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\t' || *r->p == '\r'))
        r->p++;
    return r->p < r->end;
}

/* r->p is at the character after a backslash; moves to the last one of the escape. */
bool jr_escape_valid(struct json_reader *r);
/* The word null, which jr_peek() has announced. */
bool jr_read_null(struct json_reader *r);
