/* SPDX-License-Identifier: Apache-2.0 */
/* reference.c - a sample's rows, thinned out. */
#include "reference.h"

#include "table/table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CELL_BYTES ((size_t)24 << 20) /* of a usual sample: a service should need no disk for it */

/* The k-th of n rows drawn from count: one of each of n stretches, by a hash, so that nothing that recurs in
 * the file meets the stretches, and the same each time. */
static size_t
drawn(size_t k, size_t n, size_t count)
{
    size_t from = (size_t)((unsigned __int128)k * count / n);
    size_t to = (size_t)((unsigned __int128)(k + 1) * count / n);

    return from + (size_t)(reservoir_word((const char *)&k, sizeof(k)) >> 20) % (to - from);
}

static uint64_t
cell_of(struct reservoir_column *column, const struct table *table, const struct table_column *from,
        size_t row)
{
    double number = from->numbers[row];
    char text[32];
    uint64_t bits;

    if (!column->words) {
        memcpy(&bits, &number, sizeof(bits));
        return bits;
    }
    if (from->words[row] != TABLE_NO_WORD) {
        const char *word = table_word(table, from->words[row]);
        return reservoir_note(column, word, strlen(word));
    }
    if (isnan(number))
        return 0;
    int len = snprintf(text, sizeof(text), "%.17g", number);
    return reservoir_note(column, text, (size_t)len);
}

static MUST_CHECK enum err_code
take_column(struct reservoir *r, struct table *table, size_t at, struct err *err)
{
    struct reservoir_column column = {.name = (char *)(uintptr_t)table_column_name(table, at)};
    struct table_column from;
    struct table_info info;

    table_column_info(table, at, TABLE_REF, &info);
    if (info.words_lost)
        return err_set(err, ERR_TOO_LARGE, "column '%.80s' has too many different words",
                       column.name);
    if (table_load_rows(table, at, TABLE_REF, &from, err))
        return err->code;
    column.words = info.words > 0;
    column.integers = info.integers;
    column.cells = mem_calloc(r->room, sizeof(*column.cells));
    for (size_t i = 0; i < r->room; i++)
        column.cells[i] = cell_of(&column, table, &from, drawn(i, r->room, (size_t)r->seen));
    table_column_done(&from);
    return reservoir_add_column(r, &column, err);
}

enum err_code
reference_read(const char *name, const char *data, size_t len, struct reservoir **reference,
               uint64_t *rows, struct err *err)
{
    CLEANUP(table_free) struct table *table = NULL;
    CLEANUP(reservoir_free) struct reservoir *r = NULL;
    struct table_options options = {.memory_bytes = CELL_BYTES};

    table_open(&table, &options);
    if (table_read_memory(table, TABLE_REF, name, data, len, err))
        return err->code;
    *rows = table_rows(table, TABLE_REF);
    if (*rows == 0 || table_columns(table) == 0)
        return err_set(err, ERR_INVALID, "%s: no rows", name);
    if (table_columns(table) > RESERVOIR_COLUMNS_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s: %zu columns, at most %d can be watched", name,
                       table_columns(table), RESERVOIR_COLUMNS_MAX);
    /* From the start as few as all columns have room for: the rows stay together. */
    size_t room = RESERVOIR_CELLS_MAX / table_columns(table);
    room = room < REFERENCE_ROWS ? room : REFERENCE_ROWS;
    r = reservoir_new(*rows < room ? (size_t)*rows : room);
    r->seen = *rows;
    r->texts = true;
    for (size_t i = 0; i < table_columns(table); i++)
        if (take_column(r, table, i, err))
            return err_wrap(err, "%s", name);
    *reference = TAKE_PTR(r);
    return ERR_OK;
}
