/* SPDX-License-Identifier: Apache-2.0 */
/* ubjson_reader.c - pull values out of UBJSON, one marker at a time. */
#include "ubjson_reader.h"

#include <string.h>

bool
ubj_fail(struct ubj_reader *r, const char *what)
{
    if (!r->failed) {
        r->failed = true;
        err_set(&r->err, ERR_INVALID, "UBJSON byte %zu: %s", (size_t)(r->p - r->start), what);
    }
    return false;
}

void
ubj_open(struct ubj_reader *r, const void *data, size_t len)
{
    r->start = r->p = data;
    r->end = r->p + len;
    r->depth = 0;
    r->failed = false;
    r->level[0].type = 0;
    r->level[0].counted = false;
    r->level[0].left = 0;
}

static size_t
left(const struct ubj_reader *r)
{
    return (size_t)(r->end - r->p);
}

static void
skip_noops(struct ubj_reader *r)
{
    while (r->p < r->end && *r->p == 'N')
        r->p++;
}

/* The marker of the next value; consumed when it is in the input. 0: failed. */
static uint8_t
take_marker(struct ubj_reader *r)
{
    if (r->failed)
        return 0;
    if (r->level[r->depth].type)
        return r->level[r->depth].type;
    skip_noops(r);
    if (r->p == r->end) {
        ubj_fail(r, "ends where a value was expected");
        return 0;
    }
    return *r->p++;
}

/* Payload bytes of a marker's value; 0: none or of variable size. */
static size_t
payload(uint8_t marker)
{
    switch (marker) {
    case 'i':
    case 'U':
    case 'C':
        return 1;
    case 'I':
        return 2;
    case 'l':
    case 'd':
        return 4;
    case 'L':
    case 'D':
        return 8;
    default:
        return 0;
    }
}

static uint64_t
big_endian(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static bool
read_integer(struct ubj_reader *r, uint8_t marker, int64_t *value)
{
    size_t n = payload(marker);

    if (n == 0 || marker == 'C' || marker == 'd' || marker == 'D')
        return ubj_fail(r, "expected an integer");
    if (left(r) < n)
        return ubj_fail(r, "ends inside an integer");
    uint64_t v = big_endian(r->p, n);
    r->p += n;
    switch (marker) {
    case 'i':
        *value = (int8_t)v;
        break;
    case 'I':
        *value = (int16_t)v;
        break;
    case 'l':
        *value = (int32_t)v;
        break;
    default:
        *value = (int64_t)v;
    }
    return true;
}

/* A length: an integer with a marker of its own, not negative. */
static bool
read_length(struct ubj_reader *r, uint64_t *length)
{
    int64_t n;

    if (r->p == r->end)
        return ubj_fail(r, "ends where a length was expected");
    uint8_t marker = *r->p++;
    if (!read_integer(r, marker, &n))
        return false;
    if (n < 0)
        return ubj_fail(r, "negative length");
    *length = (uint64_t)n;
    return true;
}

static bool
enter(struct ubj_reader *r)
{
    uint8_t type = 0;
    uint64_t count = 0;
    bool counted = false;

    if (r->depth + 1 >= UBJ_DEPTH_MAX)
        return ubj_fail(r, "nested too deeply");
    if (r->p < r->end && *r->p == '$') {
        r->p++;
        if (r->p == r->end)
            return ubj_fail(r, "ends inside a container's type");
        type = *r->p++;
        if (payload(type) == 0 && type != 'S')
            return ubj_fail(r, "a container of this element type is not supported");
        if (r->p == r->end || *r->p != '#')
            return ubj_fail(r, "a typed container needs a count");
    }
    if (r->p < r->end && *r->p == '#') {
        r->p++;
        if (!read_length(r, &count))
            return false;
        /* Each element takes a byte at least, so this also bounds memory above. */
        size_t each = payload(type) ? payload(type) : 1;
        if (count > left(r) / each)
            return ubj_fail(r, "a container counts more elements than the input holds");
        counted = true;
    }
    r->depth++;
    r->level[r->depth].type = type;
    r->level[r->depth].counted = counted;
    r->level[r->depth].left = count;
    return true;
}

/* True when another element follows in this container; leaves it otherwise. */
static bool
next(struct ubj_reader *r, uint8_t closing)
{
    if (r->failed)
        return false;
    if (r->level[r->depth].counted) {
        if (r->level[r->depth].left > 0) {
            r->level[r->depth].left--;
            return true;
        }
        r->depth--;
        return false;
    }
    skip_noops(r);
    if (r->p == r->end)
        return ubj_fail(r, "ends inside a container");
    if (*r->p == closing) {
        r->p++;
        r->depth--;
        return false;
    }
    return true;
}

bool
ubj_at_object(struct ubj_reader *r)
{
    if (r->failed || r->level[r->depth].type)
        return false;
    skip_noops(r);
    return r->p < r->end && *r->p == '{';
}

bool
ubj_enter_object(struct ubj_reader *r)
{
    uint8_t marker = take_marker(r);

    if (marker != '{')
        return ubj_fail(r, "expected an object");
    return enter(r);
}

bool
ubj_enter_array(struct ubj_reader *r)
{
    uint8_t marker = take_marker(r);

    if (marker != '[')
        return ubj_fail(r, "expected an array");
    return enter(r);
}

static bool
read_text(struct ubj_reader *r, struct json_text *text)
{
    uint64_t length;

    if (!read_length(r, &length))
        return false;
    if (length > left(r))
        return ubj_fail(r, "ends inside a string");
    text->data = (const char *)r->p;
    text->len = (size_t)length;
    text->escaped = false;
    r->p += length;
    return true;
}

bool
ubj_member(struct ubj_reader *r, struct json_text *key)
{
    return next(r, '}') && read_text(r, key);
}

bool
ubj_element(struct ubj_reader *r)
{
    return next(r, ']');
}

bool
ubj_string(struct ubj_reader *r, struct json_text *text)
{
    uint8_t marker = take_marker(r);

    if (marker != 'S')
        return ubj_fail(r, "expected a string");
    return read_text(r, text);
}

bool
ubj_number(struct ubj_reader *r, double *value)
{
    uint8_t marker = take_marker(r);
    int64_t integer;

    if (marker == 'd' || marker == 'D') {
        size_t n = payload(marker);
        if (left(r) < n)
            return ubj_fail(r, "ends inside a number");
        uint64_t bits = big_endian(r->p, n);
        r->p += n;
        if (marker == 'D') {
            memcpy(value, &bits, sizeof(*value));
        } else {
            uint32_t half = (uint32_t)bits;
            float f;
            memcpy(&f, &half, sizeof(f));
            *value = f;
        }
        return true;
    }
    if (!read_integer(r, marker, &integer))
        return false;
    *value = (double)integer;
    return true;
}

bool
ubj_integer(struct ubj_reader *r, int64_t *value)
{
    uint8_t marker = take_marker(r);

    if (marker == 'T' || marker == 'F') {
        *value = marker == 'T';
        return true;
    }
    return read_integer(r, marker, value);
}

bool
ubj_skip(struct ubj_reader *r)
{
    struct json_text ignored;
    uint8_t marker = take_marker(r);

    if (marker == 0)
        return false;
    if (marker == 'S')
        return read_text(r, &ignored);
    if (marker == 'Z' || marker == 'T' || marker == 'F')
        return true;
    size_t n = payload(marker);
    if (n) {
        if (left(r) < n)
            return ubj_fail(r, "ends inside a value");
        r->p += n;
        return true;
    }
    if (marker != '[' && marker != '{')
        return ubj_fail(r, "unknown marker");
    if (!enter(r))
        return false;
    n = payload(r->level[r->depth].type);
    if (marker == '[' && n) {
        r->p += n * r->level[r->depth].left; /* enter() has checked that it is there */
        r->depth--;
        return true;
    }
    while (marker == '{' ? ubj_member(r, &ignored) : ubj_element(r))
        if (!ubj_skip(r))
            return false;
    return !r->failed;
}

enum err_code
ubj_finish(struct ubj_reader *r, struct err *err)
{
    if (!r->failed) {
        skip_noops(r);
        if (r->p != r->end)
            ubj_fail(r, "bytes after the value");
    }
    if (!r->failed)
        return ERR_OK;
    return err_set(err, r->err.code, "%s", r->err.message);
}
