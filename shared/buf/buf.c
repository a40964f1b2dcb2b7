/* SPDX-License-Identifier: Apache-2.0 */
/* buf.c - append to a doubling buffer; numbers and JSON strings as text. */
#include "buf/buf.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
buf_done(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){0};
}

void
buf_clear(struct buf *buf)
{
    buf->len = 0;
    if (buf->data)
        buf->data[0] = '\0';
}

void
buf_reserve(struct buf *buf, size_t extra)
{
    size_t need = buf->len + extra + 1;

    if (need < buf->len) {
        fputs("buf: size overflow\n", stderr);
        abort();
    }
    if (need <= buf->cap)
        return;
    size_t cap = buf->cap ? buf->cap * 2 : 64;
    if (cap < need)
        cap = need;
    buf->data = mem_realloc(buf->data, cap);
    buf->cap = cap;
}

void
buf_add(struct buf *buf, const void *data, size_t len)
{
    buf_reserve(buf, len);
    if (len)
        memcpy(buf->data + buf->len, data, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void
buf_str(struct buf *buf, const char *s)
{
    buf_add(buf, s, strlen(s));
}

void
buf_char(struct buf *buf, char c)
{
    buf_reserve(buf, 1);
    buf->data[buf->len++] = c;
    buf->data[buf->len] = '\0';
}

void
buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    buf_reserve(buf, (size_t)n);
    va_start(args, format);
    vsnprintf(buf->data + buf->len, (size_t)n + 1, format, args);
    va_end(args);
    buf->len += (size_t)n;
}

void
buf_int(struct buf *buf, int64_t n)
{
    char digits[24];
    char *p = digits + sizeof(digits);
    uint64_t u = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;

    do
        *--p = (char)('0' + u % 10);
    while (u /= 10);
    if (n < 0)
        *--p = '-';
    buf_add(buf, p, (size_t)(digits + sizeof(digits) - p));
}

void
buf_double(struct buf *buf, double x)
{
    char text[32];

    if (isnan(x)) {
        buf_str(buf, "NaN");
        return;
    }
    if (isinf(x)) {
        buf_str(buf, x < 0 ? "-Infinity" : "Infinity");
        return;
    }
    if (x == (double)(int64_t)x && x > -1e15 && x < 1e15 && !(x == 0 && signbit(x))) {
        buf_int(buf, (int64_t)x);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, x);
        if (strtod(text, NULL) == x)
            break;
    }
    buf_str(buf, text);
}

/* Length of the valid UTF-8 sequence at s, 0 if it is not one (RFC 3629). */
static size_t
utf8_len(const unsigned char *s, size_t left)
{
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] >= 0xf0 && s[0] <= 0xf4   ? 4
               : s[0] >= 0xe0 && s[0] <= 0xef ? 3
               : s[0] >= 0xc2 && s[0] <= 0xdf ? 2
                                              : 0;
    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

void
buf_json_str(struct buf *buf, const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *)s;

    buf_char(buf, '"');
    for (size_t i = 0; i < len;) {
        size_t n = utf8_len(p + i, len - i);
        if (n == 0) {
            buf_str(buf, "\xef\xbf\xbd");
            i++;
        } else if (n > 1) {
            buf_add(buf, p + i, n);
            i += n;
        } else {
            unsigned char c = p[i++];
            if (c == '"' || c == '\\') {
                buf_char(buf, '\\');
                buf_char(buf, (char)c);
            } else if (c == '\n') {
                buf_str(buf, "\\n");
            } else if (c < 0x20 || c == 0x7f) {
                buf_printf(buf, "\\u%04x", c);
            } else {
                buf_char(buf, (char)c);
            }
        }
    }
    buf_char(buf, '"');
}

char *
buf_take(struct buf *buf)
{
    char *data = buf->data ? buf->data : mem_strdup("");

    *buf = (struct buf){0};
    return data;
}
