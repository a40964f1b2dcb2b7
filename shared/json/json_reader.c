/* SPDX-License-Identifier: Apache-2.0 */
/* json_reader.c - structure: objects, arrays, names, strings, skipping. */
#include "json/json_reader.h"

#include "buf/text.h"
#include "json/internal.h"

#include <string.h>

void
jr_open(struct json_reader *r, const char *data, size_t len)
{
    r->start = r->p = data;
    r->end = data + len;
    r->depth = 0;
    r->failed = false;
    r->err.code = ERR_OK;
    r->err.message[0] = '\0';
}

bool
jr_fail(struct json_reader *r, const char *what)
{
    if (!r->failed) {
        r->failed = true;
        err_set(&r->err, ERR_INVALID, "JSON, byte %zu: %s", (size_t)(r->p - r->start), what);
    }
    return false;
}

enum json_type
jr_peek(struct json_reader *r)
{
    if (r->failed || !jr_blanks(r))
        return JSON_T_END;
    switch (*r->p) {
    case '{':
        return JSON_T_OBJECT;
    case '[':
        return JSON_T_ARRAY;
    case '"':
        return JSON_T_STRING;
    case 't':
        return JSON_T_TRUE;
    case 'f':
        return JSON_T_FALSE;
    case 'n':
        return JSON_T_NULL;
    case '-':
    case 'N':
    case 'I':
        return JSON_T_NUMBER;
    default:
        return *r->p >= '0' && *r->p <= '9' ? JSON_T_NUMBER : JSON_T_END;
    }
}

static bool
enter(struct json_reader *r, char bracket, const char *expected)
{
    if (r->failed)
        return false;
    if (!jr_blanks(r) || *r->p != bracket)
        return jr_fail(r, expected);
    if (r->depth == JSON_DEPTH_MAX)
        return jr_fail(r, "nested too deep");
    r->p++;
    r->first[r->depth++] = 1;
    return true;
}

bool
jr_enter_object(struct json_reader *r)
{
    return enter(r, '{', "expected an object");
}

bool
jr_enter_array(struct json_reader *r)
{
    return enter(r, '[', "expected an array");
}

/* To the next item, past its comma; false at the closing bracket, which is consumed. */
static bool
next_item(struct json_reader *r, char bracket, const char *expected)
{
    if (r->failed)
        return false;
    if (!jr_blanks(r))
        return jr_fail(r, expected);
    uint8_t *first = &r->first[r->depth - 1];
    if (*r->p == bracket) {
        r->p++;
        r->depth--;
        return false;
    }
    if (*first) {
        *first = 0;
        return true;
    }
    if (*r->p != ',')
        return jr_fail(r, expected);
    r->p++;
    /* A bracket here would be a trailing comma: the caller's value does not begin with it. */
    return jr_blanks(r) || jr_fail(r, "the text ends within a list");
}

bool
jr_element(struct json_reader *r)
{
    return next_item(r, ']', "expected ',' or ']'");
}

bool
jr_member(struct json_reader *r, struct json_text *key)
{
    if (!next_item(r, '}', "expected ',' or '}'"))
        return false;
    if (*r->p != '"')
        return jr_fail(r, "expected a name");
    if (!jr_raw_string(r, key))
        return false;
    if (!jr_blanks(r) || *r->p != ':')
        return jr_fail(r, "expected ':'");
    r->p++;
    return true;
}

bool
jr_raw_string(struct json_reader *r, struct json_text *text)
{
    if (r->failed)
        return false;
    if (!jr_blanks(r) || *r->p != '"')
        return jr_fail(r, "expected a string");
    const char *start = ++r->p;
    bool escaped = false;
    for (;; r->p++) {
        if (r->p == r->end)
            return jr_fail(r, "the text ends within a string");
        unsigned char c = (unsigned char)*r->p;
        if (c == '"')
            break;
        if (c < 0x20)
            return jr_fail(r, "control character in a string");
        if (c == '\\') {
            escaped = true;
            if (++r->p == r->end)
                return jr_fail(r, "the text ends within a string");
            if (!jr_escape_valid(r))
                return jr_fail(r, "unknown escape");
        }
    }
    *text = (struct json_text){start, (size_t)(r->p - start), escaped};
    r->p++;
    return true;
}

static bool
literal(struct json_reader *r, const char *word, size_t len)
{
    if ((size_t)(r->end - r->p) < len || memcmp(r->p, word, len) != 0)
        return jr_fail(r, "expected a value");
    r->p += len;
    return true;
}

bool
jr_boolean(struct json_reader *r, bool *value)
{
    enum json_type type = jr_peek(r);

    if (type == JSON_T_TRUE && literal(r, "true", 4)) {
        *value = true;
        return true;
    }
    if (type == JSON_T_FALSE && literal(r, "false", 5)) {
        *value = false;
        return true;
    }
    return jr_fail(r, "expected true or false");
}

bool
jr_read_null(struct json_reader *r)
{
    return literal(r, "null", 4);
}

static bool
skip_scalar(struct json_reader *r, enum json_type type)
{
    struct json_text text;
    double number;
    bool boolean;

    switch (type) {
    case JSON_T_STRING:
        return jr_raw_string(r, &text);
    case JSON_T_NUMBER:
        return jr_number(r, &number);
    case JSON_T_TRUE:
    case JSON_T_FALSE:
        return jr_boolean(r, &boolean);
    case JSON_T_NULL:
        return jr_read_null(r);
    default:
        return jr_fail(r, "expected a value");
    }
}

bool
jr_skip(struct json_reader *r)
{
    int outside = r->depth;
    bool object[JSON_DEPTH_MAX + 1]; /* by depth: what we are in */
    struct json_text key;

    do {
        enum json_type type = jr_peek(r);
        if (type == JSON_T_OBJECT || type == JSON_T_ARRAY) {
            bool in = type == JSON_T_OBJECT;
            if (!(in ? jr_enter_object(r) : jr_enter_array(r)))
                return false;
            object[r->depth] = in;
        } else if (!skip_scalar(r, type)) {
            return false;
        }
        /* Out of all that end here, to the next value. */
        while (r->depth > outside && !(object[r->depth] ? jr_member(r, &key) : jr_element(r)))
            if (r->failed)
                return false;
    } while (r->depth > outside);
    return true;
}

enum err_code
jr_finish(struct json_reader *r, struct err *err)
{
    if (!r->failed && r->depth > 0)
        jr_fail(r, "unfinished value");
    if (!r->failed && jr_blanks(r))
        jr_fail(r, "expected the end of the text");
    if (!r->failed)
        return ERR_OK;
    return err_set(err, r->err.code, "%s", r->err.message);
}
