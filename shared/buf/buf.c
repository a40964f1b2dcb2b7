/* SPDX-License-Identifier: Apache-2.0 */
/* buf.c - append to a doubling buffer; numbers and JSON strings as text. */
#include "buf/buf.h"

#include "buf/text.h"

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
    char text[40];

    if (isnan(x)) {
        buf_str(buf, "NaN");
        return;
    }
    if (isinf(x)) {
        buf_str(buf, x < 0 ? "-Infinity" : "Infinity");
        return;
    }
    if (x > -1e15 && x < 1e15 && x == (double)(int64_t)x && !(x == 0 && signbit(x))) {
        buf_int(buf, (int64_t)x);
        return;
    }
    /* Normal numbers of up to 15 digits come out of %.15g unchanged; denormal ones
     * have fewer significant digits. */
    for (int digits = isnormal(x) ? 15 : 1; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, x);
        if (strtod(text, NULL) == x)
            break;
    }
    buf_str(buf, text);
}

void
buf_json_str(struct buf *buf, const char *s, size_t len)
{
    size_t i = 0;

    buf_reserve(buf, len + 2);
    buf_char(buf, '"');
    while (i < len) {
        size_t plain = i; /* the longest run that is copied as it is */
        size_t n;
        while (i < len && (unsigned char)s[i] >= 0x20 && s[i] != '"' && s[i] != '\\' &&
               s[i] != 0x7f && (n = text_utf8_sequence(s + i, len - i)) > 0)
            i += n;
        buf_add(buf, s + plain, i - plain);
        if (i == len)
            break;
        unsigned char c = (unsigned char)s[i++];
        if (c == '"' || c == '\\') {
            buf_char(buf, '\\');
            buf_char(buf, (char)c);
        } else if (c == '\n') {
            buf_str(buf, "\\n");
        } else if (c < 0x20 || c == 0x7f) {
            buf_printf(buf, "\\u%04x", c);
        } else {
            buf_str(buf, "\xef\xbf\xbd");
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
