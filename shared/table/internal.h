/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the files of table/ share: words, columns, lines. */
#pragma once

#include "table/table.h"

#include "buf/buf.h"

#define WORD_NONE UINT32_MAX

/* words.c: strings with numbers from 0. */
struct words {
    char **text;
    size_t *len;
    uint32_t *slots; /* id + 1; 0: free */
    size_t count, room, slot_count, bytes;
};

void words_done(struct words *words);
uint32_t words_find(const struct words *words, const char *text, size_t len); /* WORD_NONE */
uint32_t words_add(struct words *words, const char *text, size_t len);        /* finds or adds */

struct segment {
    uint64_t offset;
    size_t cells;
};

/* One side of a column: cells not yet in the file, and where the others are. */
struct side {
    bool present, words_lost, fractions;
    size_t numbers, words, first_word_line;
    uint32_t first_word;
    uint64_t *cells;
    size_t count, room;
    struct segment *segments;
    size_t segment_count, segment_room;
    size_t row; /* of the last cell, from 1: a JSON object may name a member twice */
};

struct column {
    struct side sides[TABLE_SIDES];
};

struct table {
    struct table_options options;
    struct words names; /* id: place in columns */
    struct column *columns;
    size_t column_room;
    struct words words;
    size_t rows[TABLE_SIDES];
    size_t buffered_cells;
    int spill;
    uint64_t spill_bytes;
};

/* One file being read. */
struct input {
    struct table *table;
    enum table_side side;
    const char *name;
    int fd; /* -1: all is in the buffer */
    char *buffer;
    size_t start, end, room;
    bool ended;
    size_t line;      /* of the record last returned, its first */
    size_t next_line; /* of what follows */
};

/* input.c: the next record without its line end; quotes: an odd number of them goes on past the line
 * end. *record NULL at the end. A NUL follows the bytes. */
MUST_CHECK enum err_code input_record(struct input *in, bool quotes, char **record, size_t *len,
                                      struct err *err);
enum err_code input_error(const struct input *in, struct err *err, enum err_code code,
                          const char *format, ...) PRINTF_LIKE(4, 5);
MUST_CHECK enum err_code read_csv(struct input *in, struct err *err);
MUST_CHECK enum err_code read_ndjson(struct input *in, struct err *err);

/* store.c. *column: its place, or SIZE_MAX when it was not asked for. */
MUST_CHECK enum err_code store_column(struct input *in, const char *name, size_t len,
                                      size_t *column, struct err *err);
MUST_CHECK enum err_code store_number(struct input *in, size_t column, double value, bool integer,
                                      struct err *err);
MUST_CHECK enum err_code store_word(struct input *in, size_t column, const char *text, size_t len,
                                    struct err *err);
/* The side being read is complete: where there is a file, its last cells go there as well. */
MUST_CHECK enum err_code store_end(struct table *table, struct err *err);

/* number.c */
enum cell { CELL_NOTHING, CELL_INTEGER, CELL_REAL, CELL_WORD };
/* What text[0..len) is; text[len] may be read and is no digit. */
enum cell cell_read(const char *text, size_t len, double *value);
