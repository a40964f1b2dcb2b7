/* SPDX-License-Identifier: Apache-2.0 */
/* csv.c - RFC 4180 with a header; a row must have as many cells as the header, empty
 * lines are skipped (a lone missing cell is written ""). */
#include "table/internal.h"

#include "buf/text.h"

#include <stdlib.h>
#include <string.h>

struct cursor {
    char *p, *end;
    char separator;
    bool last; /* the cell just read ended the record */
};

/* The next cell; quotes are taken off in place, doubled ones become one. */
static bool
next_cell(struct cursor *c, char **cell, size_t *len, bool *quoted)
{
    char *p = c->p, *out;

    *cell = p;
    *quoted = p < c->end && *p == '"';
    if (!*quoted) {
        while (p < c->end && *p != c->separator)
            p++;
        *len = (size_t)(p - *cell);
    } else {
        out = *cell = ++p;
        for (; p < c->end; *out++ = *p++)
            if (*p == '"' && *++p != '"')
                break;
        *len = (size_t)(out - *cell);
        if (p < c->end && *p != c->separator)
            return false;
    }
    c->last = p >= c->end;
    c->p = p + 1;
    return true;
}

/* Valid UTF-8 without NUL, copied only when the bytes are not. */
static const char *
clean(const char *text, size_t *len, struct buf *spare)
{
    if (text_utf8_valid(text, *len) && !memchr(text, 0, *len))
        return text;
    buf_clear(spare);
    for (size_t i = 0; i < *len;) {
        size_t n = text[i] ? text_utf8_sequence(text + i, *len - i) : 0;
        if (n)
            buf_add(spare, text + i, n);
        else
            buf_str(spare, "\xEF\xBF\xBD");
        i += n ? n : 1;
    }
    *len = spare->len;
    return spare->data;
}

static enum err_code
header_cell(struct input *in, const char *cell, size_t len, struct words *seen, size_t *place,
            struct err *err)
{
    CLEANUP(buf_done) struct buf spare = {0};
    const char *name = clean(cell, &len, &spare);

    if (seen->count == TABLE_COLUMNS_MAX)
        return input_error(in, err, ERR_TOO_LARGE, "more than %zu columns", TABLE_COLUMNS_MAX);
    if (words_find(seen, name, len) != WORD_NONE)
        return input_error(in, err, ERR_INVALID, "the header names '%.*s' twice",
                           (int)(len < 100 ? len : 100), name);
    words_add(seen, name, len);
    if (len)
        return store_column(in, name, len, place, err);
    /* The index that pandas.to_csv() writes first has no name. */
    CLEANUP(mem_free) char *given = mem_printf("column %zu", seen->count);
    return store_column(in, given, strlen(given), place, err);
}

static enum err_code
read_header(struct input *in, char *record, size_t len, char *separator, size_t **places,
            size_t *count, struct err *err)
{
    struct cursor c = {.p = record, .end = record + len, .separator = ','};
    struct words seen = {0};
    enum err_code code = ERR_OK;
    size_t room = 0, n;
    char *cell;
    bool quoted;

    if (!memchr(record, ',', len))
        c.separator = memchr(record, '\t', len) ? '\t' : memchr(record, ';', len) ? ';' : ',';
    *separator = c.separator;
    while (!c.last && !code) {
        if (*count == room) {
            room = room ? room * 2 : 64;
            *places = mem_realloc(*places, room * sizeof(**places));
        }
        if (!next_cell(&c, &cell, &n, &quoted))
            code = input_error(in, err, ERR_INVALID, "text after a closing quote in the header");
        else
            code = header_cell(in, cell, n, &seen, &(*places)[(*count)++], err);
    }
    words_done(&seen);
    return code;
}

static enum err_code
read_row(struct input *in, struct cursor *c, const size_t *places, size_t count, struct buf *spare,
         struct err *err)
{
    size_t at = 0, len;
    double value = 0;
    char *cell;
    bool quoted;

    for (; !c->last; at++) {
        if (!next_cell(c, &cell, &len, &quoted))
            return input_error(in, err, ERR_INVALID, "text after a closing quote in cell %zu",
                               at + 1);
        if (at >= count || places[at] == SIZE_MAX)
            continue;
        enum cell kind = cell_read(cell, len, &value);
        if (kind == CELL_WORD) {
            const char *word = clean(cell, &len, spare);
            if (store_word(in, places[at], word, len, err))
                return err->code;
        } else if (kind != CELL_NOTHING &&
                   store_number(in, places[at], value, kind == CELL_INTEGER, err)) {
            return err->code;
        }
    }
    if (at != count)
        return input_error(in, err, ERR_INVALID, "%zu cells, but the header has %zu", at, count);
    in->table->rows[in->side]++;
    return ERR_OK;
}

enum err_code
read_csv(struct input *in, struct err *err)
{
    CLEANUP(buf_done) struct buf spare = {0};
    CLEANUP(mem_free) size_t *places = NULL;
    size_t count = 0, len;
    char *record, separator = ',';

    for (;;) {
        if (input_record(in, true, &record, &len, err))
            return err->code;
        if (!record)
            break;
        if (!len)
            continue;
        if (!places) {
            if (read_header(in, record, len, &separator, &places, &count, err))
                return err->code;
            continue;
        }
        struct cursor c = {.p = record, .end = record + len, .separator = separator};
        if (read_row(in, &c, places, count, &spare, err))
            return err->code;
    }
    return places ? ERR_OK : err_set(err, ERR_INVALID, "%s: there is no header", in->name);
}
