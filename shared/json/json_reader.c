/* SPDX-License-Identifier: Apache-2.0 */
/* json_reader.c - structure: objects, arrays, names, strings, skipping. */
#include "json/json_reader.h"

#include "buf/text.h"
#include "json/internal.h"

#include <string.h>

void
json_open(struct json_reader *r, const char *data, size_t len)
{
    r->start = r->p = data;
    r->end = data + len;
    r->depth = 0;
    r->failed = false;
    r->err.code = ERR_OK;
    r->err.message[0] = '\0';
}

bool
json_fail(struct json_reader *r, const char *what)
{
    if (!r->failed) {
        r->failed = true;
        err_set(&r->err, ERR_INVALID, "JSON, byte %zu: %s", (size_t)(r->p - r->start), what);
    }
    return false;
}

enum json_type
json_peek(struct json_reader *r)
{
    if (r->failed || !json_blanks(r))
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
    if (!json_blanks(r) || *r->p != bracket)
        return json_fail(r, expected);
    if (r->depth == JSON_DEPTH_MAX)
        return json_fail(r, "nested too deep");
    r->p++;
    r->first[r->depth++] = 1;
    return true;
}

bool
json_enter_object(struct json_reader *r)
{
    return enter(r, '{', "expected an object");
}

bool
json_enter_array(struct json_reader *r)
{
    return enter(r, '[', "expected an array");
}

/* To the next item, past its comma; false at the closing bracket, which is consumed. */
static bool
next_item(struct json_reader *r, char bracket, const char *expected)
{
    if (r->failed)
        return false;
    if (!json_blanks(r))
        return json_fail(r, expected);
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
        return json_fail(r, expected);
    r->p++;
    /* A bracket here would be a trailing comma: the caller's value does not begin with it. */
    return json_blanks(r) || json_fail(r, "the text ends within a list");
}

bool
json_element(struct json_reader *r)
{
    return next_item(r, ']', "expected ',' or ']'");
}

bool
json_member(struct json_reader *r, struct json_text *key)
{
    if (!next_item(r, '}', "expected ',' or '}'"))
        return false;
    if (*r->p != '"')
        return json_fail(r, "expected a name");
    if (!json_raw_string(r, key))
        return false;
    if (!json_blanks(r) || *r->p != ':')
        return json_fail(r, "expected ':'");
    r->p++;
    return true;
}

bool
json_raw_string(struct json_reader *r, struct json_text *text)
{
    if (r->failed)
        return false;
    if (!json_blanks(r) || *r->p != '"')
        return json_fail(r, "expected a string");
    const char *start = ++r->p;
    bool escaped = false;
    for (;; r->p++) {
        if (r->p == r->end)
            return json_fail(r, "the text ends within a string");
        unsigned char c = (unsigned char)*r->p;
        if (c == '"')
            break;
        if (c < 0x20)
            return json_fail(r, "control character in a string");
        if (c == '\\') {
            escaped = true;
            if (++r->p == r->end)
                return json_fail(r, "the text ends within a string");
            if (!json_escape_valid(r))
                return json_fail(r, "unknown escape");
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
        return json_fail(r, "expected a value");
    r->p += len;
    return true;
}

bool
json_boolean(struct json_reader *r, bool *value)
{
    enum json_type type = json_peek(r);

    if (type == JSON_T_TRUE && literal(r, "true", 4)) {
        *value = true;
        return true;
    }
    if (type == JSON_T_FALSE && literal(r, "false", 5)) {
        *value = false;
        return true;
    }
    return json_fail(r, "expected true or false");
}

bool
json_read_null(struct json_reader *r)
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
        return json_raw_string(r, &text);
    case JSON_T_NUMBER:
        return json_number(r, &number);
    case JSON_T_TRUE:
    case JSON_T_FALSE:
        return json_boolean(r, &boolean);
    case JSON_T_NULL:
        return json_read_null(r);
    default:
        return json_fail(r, "expected a value");
    }
}

bool
json_skip(struct json_reader *r)
{
    int outside = r->depth;
    bool object[JSON_DEPTH_MAX + 1]; /* by depth: what we are in */
    struct json_text key;

    do {
        enum json_type type = json_peek(r);
        if (type == JSON_T_OBJECT || type == JSON_T_ARRAY) {
            bool in = type == JSON_T_OBJECT;
            if (!(in ? json_enter_object(r) : json_enter_array(r)))
                return false;
            object[r->depth] = in;
        } else if (!skip_scalar(r, type)) {
            return false;
        }
        /* Out of all that end here, to the next value. */
        while (r->depth > outside && !(object[r->depth] ? json_member(r, &key) : json_element(r)))
            if (r->failed)
                return false;
    } while (r->depth > outside);
    return true;
}

enum err_code
json_finish(struct json_reader *r, struct err *err)
{
    if (!r->failed && r->depth > 0)
        json_fail(r, "unfinished value");
    if (!r->failed && json_blanks(r))
        json_fail(r, "expected the end of the text");
    if (!r->failed)
        return ERR_OK;
    return err_set(err, r->err.code, "%s", r->err.message);
}
