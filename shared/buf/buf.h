/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.h - a growing byte buffer.
 *
 * Zero-initialise (`struct buf b = { 0 };`), append, buf_done(). The bytes are
 * always followed by a NUL that len does not count, so b.data is a C string when
 * its content is text. buf_clear() keeps the memory for the next use. Not bounded:
 * bound what you append. One thread at a time.
 */
#pragma once

#include "err/err.h"

struct buf {
    char *data; /* NULL until the first append */
    size_t len;
    size_t cap;
};

void buf_done(struct buf *buf); /* frees; the struct is zero afterwards */
void buf_clear(struct buf *buf);
void buf_reserve(struct buf *buf, size_t extra); /* room for extra bytes and the NUL */
void buf_add(struct buf *buf, const void *data, size_t len);
void buf_str(struct buf *buf, const char *s);
void buf_char(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_int(struct buf *buf, int64_t n);
/* Shortest text that reads back to the same double; NaN, Infinity, -Infinity bare. */
void buf_double(struct buf *buf, double x);
/* s as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void buf_json_str(struct buf *buf, const char *s, size_t len);
/* Hand the memory over to the caller (free() it); the struct is zero afterwards. */
char *buf_take(struct buf *buf);

static inline __attribute__((unused)) void
buf_done_at(struct buf *buf)
{
    buf_done(buf);
}
