/* SPDX-License-Identifier: Apache-2.0 */
/* reference.c - a sample's columns, thinned out. */
#include "reference.h"

#include "table/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The k-th of n places, evenly spread over count values: the sample is a bag, its order arbitrary
 * but the same each time. */
static size_t
spread(size_t k, size_t n, size_t count)
{
    return (size_t)((unsigned __int128)k * count / n);
}

/* How many of `kept` cells hold a value. */
static size_t
filled_of(size_t values, size_t missing, size_t kept)
{
    size_t total = values + missing;

    if (total <= kept)
        return values;
    size_t filled = (size_t)llround((double)values / (double)total * (double)kept);
    return filled < values ? filled : values;
}

static MUST_CHECK enum err_code
take_column(struct reservoir *r, const struct table *table, const char *name,
            const struct table_info *info, const struct table_cells *cells, struct err *err)
{
    struct reservoir_column column = {
        .name = (char *)(uintptr_t)name, .words = info->words > 0, .integers = info->integers};
    size_t rows = reservoir_rows(r), values = cells->number_count + cells->word_count;
    size_t filled = filled_of(values, info->missing, rows);
    double nan = NAN;

    column.cells = mem_calloc(r->room, sizeof(*column.cells));
    for (size_t i = 0; i < r->room; i++) {
        size_t at = i < filled ? spread(i, filled, values) : values;
        if (at >= values) {
            if (!column.words)
                memcpy(&column.cells[i], &nan, sizeof(nan));
        } else if (!column.words) {
            memcpy(&column.cells[i], &cells->numbers[at], sizeof(double));
        } else if (at < cells->number_count) {
            char text[32];
            int len = snprintf(text, sizeof(text), "%.17g", cells->numbers[at]);
            column.cells[i] = reservoir_word(text, (size_t)len);
        } else {
            const char *word = table_word(table, cells->words[at - cells->number_count]);
            column.cells[i] = reservoir_word(word, strlen(word));
        }
    }
    return reservoir_add_column(r, &column, err);
}

enum err_code
reference_read(const char *name, const char *data, size_t len, struct reservoir **reference,
               uint64_t *rows, struct err *err)
{
    CLEANUP(table_free) struct table *table = NULL;
    CLEANUP(reservoir_free) struct reservoir *r = NULL;
    struct table_options options = {0};

    table_open(&table, &options);
    if (table_read_memory(table, TABLE_REF, name, data, len, err))
        return err->code;
    *rows = table_rows(table, TABLE_REF);
    if (*rows == 0 || table_columns(table) == 0)
        return err_set(err, ERR_INVALID, "%s: no rows", name);
    if (table_columns(table) > RESERVOIR_COLUMNS_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s: %zu columns, at most %d can be watched", name,
                       table_columns(table), RESERVOIR_COLUMNS_MAX);
    r = reservoir_new(*rows < REFERENCE_ROWS ? (size_t)*rows : REFERENCE_ROWS);
    r->seen = *rows;
    for (size_t i = 0; i < table_columns(table); i++) {
        struct table_cells cells;
        struct table_info info;
        table_column_info(table, i, TABLE_REF, &info);
        if (info.words_lost)
            return err_set(err, ERR_TOO_LARGE, "%s: column '%.80s' has too many different words",
                           name, table_column_name(table, i));
        if (table_load(table, i, TABLE_REF, &cells, err))
            return err->code;
        enum err_code code = take_column(r, table, table_column_name(table, i), &info, &cells, err);
        table_cells_done(&cells);
        if (code)
            return code;
    }
    *reference = TAKE_PTR(r);
    return ERR_OK;
}
