/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table.h - two files of rows, read into columns that can be compared.
 *
 * CSV (RFC 4180, with a header; also separated by tabs or semicolons when the header has no comma)
 * or NDJSON (an object a line), from a file or standard input. Order within a column has no meaning
 * for a comparison, so a cell that holds nothing is counted and not kept (but for where it is missing).
 *
 *     table_open(&table, &options);
 *     table_read(table, TABLE_REF, "train.csv", &err);
 *     table_read(table, TABLE_CUR, "today.ndjson", &err);
 *     for (size_t i = 0; i < table_columns(table); i++)
 *         table_load(table, i, TABLE_REF, &column, &err); ... table_column_done(&column);
 *
 * Memory does not grow with the files: cells past memory_bytes move to an unnamed file in $TMPDIR
 * (else /tmp), so a loaded column and the different words are what has to fit. One thread.
 *
 * Cells. Nothing: an empty cell and the words that pandas.read_csv drops (NA, N/A, NaN, null, None ...),
 * JSON's null and absent members. A number: decimal,
 * with an exponent or not, inf and infinity in any case; correctly rounded. All others are words;
 * true and false of JSON as well. Bytes that are not UTF-8 become U+FFFD.
 *
 * Bounds (past them ERR_TOO_LARGE, with file and line): a line of TABLE_LINE_MAX bytes,
 * TABLE_COLUMNS_MAX columns, 2^31 rows. TABLE_WORDS_MAX different words or TABLE_WORD_BYTES_MAX of
 * them: later new words all become one, and the columns where that happened say so.
 */
#pragma once

#include "err/err.h"

#define TABLE_LINE_MAX ((size_t)16 << 20)
#define TABLE_COLUMNS_MAX ((size_t)1 << 17)
#define TABLE_WORDS_MAX ((size_t)1 << 20)
#define TABLE_WORD_BYTES_MAX ((size_t)48 << 20)

enum table_side { TABLE_REF, TABLE_CUR, TABLE_SIDES };

struct table;

struct table_options {
    const char *const *columns; /* only these, borrowed while reading; NULL: all */
    size_t column_count;
    size_t memory_bytes; /* of cells that are not loaded; 0: 4 MiB, or 256 bytes a column */
};

/* What is known of a column's side without loading it. */
struct table_info {
    bool present;          /* the file has the column */
    bool integers;         /* every row has a number written without point and exponent */
    bool words_lost;       /* had more different words than fit */
    size_t numbers, words; /* cells of each kind */
    size_t missing;
    size_t first_word_line; /* 0: no words */
    const char *first_word; /* NULL: no words; lives as long as the table */
};

/* A loaded side. Cells: numbers as they are; words by the id that table_word() knows. */
struct table_cells {
    double *numbers;
    size_t number_count;
    uint32_t *words;
    size_t word_count;
};

void table_open(struct table **table, const struct table_options *options);
void table_free(struct table *table);
CLEANUP_DEFINE(struct table, table_free)

/*
 * Read a side, once. path "-" is standard input; *.ndjson, *.jsonl and files that begin with { are
 * NDJSON. ERR_NOT_FOUND: no such file; ERR_INVALID "path:line: ..."; ERR_TOO_LARGE; ERR_INTERNAL:
 * the disk. What was read until then stays, and must not be used.
 */
MUST_CHECK enum err_code table_read(struct table *table, enum table_side side, const char *path,
                                    struct err *err);
/* The same of bytes in memory; name stands in errors. */
MUST_CHECK enum err_code table_read_memory(struct table *table, enum table_side side,
                                           const char *name, const char *data, size_t len,
                                           struct err *err);

size_t table_columns(const struct table *table); /* of either side, in the order of meeting them */
size_t table_rows(const struct table *table, enum table_side side);
const char *table_column_name(const struct table *table, size_t column);
void table_column_info(const struct table *table, size_t column, enum table_side side,
                       struct table_info *info);
/* Fills *cells, which the caller table_cells_done()s; ERR_INTERNAL: the disk. */
MUST_CHECK enum err_code table_load(struct table *table, size_t column, enum table_side side,
                                    struct table_cells *cells, struct err *err);
void table_cells_done(struct table_cells *cells);
/* A side by its rows, table_rows() of each: numbers, NaN where there is none; words by their id,
 * TABLE_NO_WORD where there is none. Errors as table_load(). */
#define TABLE_NO_WORD UINT32_MAX
struct table_column {
    double *numbers;
    uint32_t *words;
};
MUST_CHECK enum err_code table_load_rows(struct table *table, size_t column, enum table_side side,
                                         struct table_column *cells, struct err *err);
void table_column_done(struct table_column *cells);
/* The different words of all columns; their ids are the numbers below. */
size_t table_words(const struct table *table);
const char *table_word(const struct table *table, uint32_t id);
