/* SPDX-License-Identifier: Apache-2.0 */
/* input.c - a file as records: lines, which within quotes may hold line ends themselves. */
#include "table/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES ((size_t)128 << 10)

enum err_code
input_error(const struct input *in, struct err *err, enum err_code code, const char *format, ...)
{
    char text[ERR_MESSAGE_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return err_set(err, code, "%s:%zu: %s", in->name, in->line, text);
}

/* More bytes behind end; the unread ones move to the front first. */
static enum err_code
fill(struct input *in, struct err *err)
{
    ssize_t got;

    if (in->fd < 0) {
        in->ended = true;
        return ERR_OK;
    }
    memmove(in->buffer, in->buffer + in->start, in->end - in->start);
    in->end -= in->start;
    in->start = 0;
    if (in->room - in->end < READ_BYTES) {
        in->room =
            in->end + 2 * READ_BYTES > 2 * in->room ? in->end + 2 * READ_BYTES : 2 * in->room;
        in->buffer = mem_realloc(in->buffer, in->room + 1);
    }
    do
        got = read(in->fd, in->buffer + in->end, in->room - in->end);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_set(err, errno == EISDIR ? ERR_INVALID : ERR_INTERNAL, "%s: %s", in->name,
                       strerror(errno));
    in->ended = got == 0;
    in->end += (size_t)got;
    in->buffer[in->end] = 0;
    return ERR_OK;
}

static size_t
count_byte(const char *p, const char *end, char byte)
{
    size_t n = 0;

    while (p < end && (p = memchr(p, byte, (size_t)(end - p)))) {
        n++;
        p++;
    }
    return n;
}

enum err_code
input_record(struct input *in, bool quotes, char **record, size_t *len, struct err *err)
{
    size_t scanned = 0, lines = 0;
    bool open = false;

    in->line = in->next_line;
    for (;;) {
        char *from = in->buffer + in->start + scanned;
        char *end = memchr(from, '\n', in->end - in->start - scanned);
        if (!end && !in->ended) {
            if (in->end - in->start > TABLE_LINE_MAX)
                return input_error(in, err, ERR_TOO_LARGE, "the line is longer than %zu MiB",
                                   TABLE_LINE_MAX >> 20);
            if (fill(in, err))
                return err->code;
            continue;
        }
        bool last = !end;
        if (last)
            end = in->buffer + in->end;
        if (quotes)
            open ^= count_byte(from, end, '"') & 1;
        lines++;
        scanned = (size_t)(end - in->buffer) - in->start + !last;
        if (open && !last) {
            if (scanned > TABLE_LINE_MAX)
                return input_error(in, err, ERR_TOO_LARGE, "a quoted cell is longer than %zu MiB",
                                   TABLE_LINE_MAX >> 20);
            continue;
        }
        if (open)
            return input_error(in, err, ERR_INVALID, "a quote is opened and never closed");
        *record = in->buffer + in->start;
        *len = (size_t)(end - *record);
        if (last && !*len) {
            *record = NULL;
            return ERR_OK;
        }
        if (*len && (*record)[*len - 1] == '\r')
            --*len;
        (*record)[*len] = 0;
        in->start += scanned;
        in->next_line += lines;
        return ERR_OK;
    }
}

static bool
ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

static enum err_code
read_input(struct input *in, struct err *err)
{
    static const char mark[] = "\xEF\xBB\xBF";
    enum err_code code;

    in->line = in->next_line = 1;
    while (!in->ended && in->end < 4)
        if (fill(in, err))
            return err->code;
    if (in->end >= 3 && memcmp(in->buffer, mark, 3) == 0)
        in->start = 3;
    size_t first = in->start;
    while (first < in->end && strchr(" \t\r\n", in->buffer[first]))
        first++;
    if (ends_with(in->name, ".ndjson") || ends_with(in->name, ".jsonl") ||
        (first < in->end && in->buffer[first] == '{'))
        code = read_ndjson(in, err);
    else
        code = read_csv(in, err);
    return code ? code : store_end(in->table, err);
}

enum err_code
table_read(struct table *table, enum table_side side, const char *path, struct err *err)
{
    bool standard = strcmp(path, "-") == 0;
    struct input in = {.table = table, .side = side, .name = standard ? "standard input" : path};

    in.fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (in.fd < 0)
        return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_INVALID, "%s: %s", path,
                       strerror(errno));
    in.room = 2 * READ_BYTES;
    in.buffer = mem_alloc(in.room + 1);
    in.buffer[0] = 0;
    enum err_code code = read_input(&in, err);
    free(in.buffer);
    if (!standard)
        close(in.fd);
    return code;
}

enum err_code
table_read_memory(struct table *table, enum table_side side, const char *name, const char *data,
                  size_t len, struct err *err)
{
    struct input in = {
        .table = table, .side = side, .name = name, .fd = -1, .end = len, .room = len};

    in.buffer = mem_alloc(len + 1);
    memcpy(in.buffer, data, len);
    in.buffer[len] = 0;
    in.ended = true;
    enum err_code code = read_input(&in, err);
    free(in.buffer);
    return code;
}
