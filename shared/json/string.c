/* SPDX-License-Identifier: Apache-2.0 */
/* string.c - escapes, UTF-8 and names. */
#include "json/internal.h"

#include "buf/text.h"

#include <string.h>

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
jr_escape_valid(struct json_reader *r)
{
    if (*r->p != 'u')
        return *r->p && strchr("\"\\/bfnrt", *r->p);
    if (r->end - r->p < 5)
        return false;
    for (int i = 1; i <= 4; i++)
        if (hex_digit(r->p[i]) < 0)
            return false;
    r->p += 4;
    return true;
}

/* Four digits, known to be there. */
static unsigned
four(const char *p)
{
    return (unsigned)(hex_digit(p[0]) << 12 | hex_digit(p[1]) << 8 | hex_digit(p[2]) << 4 |
                      hex_digit(p[3]));
}

static size_t
put_utf8(char *out, unsigned c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* Resolve the escapes of text into out, which has text->len bytes of room: no escape
 * is shorter than what it stands for. False: half a surrogate pair. */
static bool
unescape(const struct json_text *text, char *out, size_t *len)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *p = text->data, *end = text->data + text->len;
    char *start = out;

    while (p < end) {
        if (*p != '\\') {
            *out++ = *p++;
            continue;
        }
        if (p[1] != 'u') {
            *out++ = to[strchr(from, p[1]) - from];
            p += 2;
            continue;
        }
        unsigned c = four(p + 2);
        p += 6;
        if (c >= 0xdc00 && c <= 0xdfff)
            return false;
        if (c >= 0xd800 && c <= 0xdbff) {
            if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
                return false;
            unsigned low = four(p + 2);
            if (low < 0xdc00 || low > 0xdfff)
                return false;
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            p += 6;
        }
        out += put_utf8(out, c);
    }
    *len = (size_t)(out - start);
    return true;
}

bool
jr_string(struct json_reader *r, struct arena *arena, const char **s, size_t *len)
{
    ProtobufCAllocator *bounded = arena_protobuf(arena);
    struct json_text text;

    if (!jr_raw_string(r, &text))
        return false;
    if (!text_utf8_valid(text.data, text.len))
        return jr_fail(r, "the string before is not UTF-8");
    char *copy = bounded->alloc(bounded->allocator_data, text.len + 1);
    if (!copy)
        return jr_fail(r, "the strings are too large together");
    size_t n = text.len;
    if (!text.escaped)
        memcpy(copy, text.data, n);
    else if (!unescape(&text, copy, &n))
        return jr_fail(r, "the string before has half a surrogate pair");
    copy[n] = '\0';
    *s = copy;
    *len = n;
    return true;
}

bool
jr_key_is(const struct json_text *key, const char *name)
{
    size_t len = strlen(name);
    char resolved[512];
    size_t n;

    if (!key->escaped)
        return key->len == len && memcmp(key->data, name, len) == 0;
    /* An escape takes at most six bytes for each one that it stands for. */
    if (key->len > sizeof(resolved) || key->len > 6 * len || !unescape(key, resolved, &n))
        return false;
    return n == len && memcmp(resolved, name, len) == 0;
}
