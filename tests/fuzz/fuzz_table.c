/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the two files of `drift check`, split at the first NUL: refused, or columns whose
 * cells can be loaded and compared without harm. The first line is read as a cell, too: a number is
 * strtod()'s. */
#include "drift/drift.h"
#include "table/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void
read_cell(const char *text, size_t len)
{
    char copy[128];
    double value = 0;

    len = strcspn(text, "\n") < len ? strcspn(text, "\n") : len;
    if (len >= sizeof(copy))
        return;
    memcpy(copy, text, len);
    copy[len] = 0;
    enum cell kind = cell_read(copy, len, &value);
    if ((kind == CELL_INTEGER || kind == CELL_REAL) && value != strtod(copy, NULL))
        __builtin_trap();
}

/* By rows are the same cells. */
static void
place(struct table *table, size_t column, enum table_side side, const struct table_cells *cells)
{
    struct table_column by_row;
    struct err err = {0};
    size_t numbers = 0, words = 0;

    if (table_load_rows(table, column, side, &by_row, &err))
        __builtin_trap();
    for (size_t i = 0; i < table_rows(table, side); i++) {
        bool number = !isnan(by_row.numbers[i]), word = by_row.words[i] != TABLE_NO_WORD;
        if ((number && word) || (number && by_row.numbers[i] != cells->numbers[numbers]) ||
            (word && by_row.words[i] != cells->words[words]))
            __builtin_trap();
        numbers += number;
        words += word;
    }
    if (numbers != cells->number_count || words != cells->word_count)
        __builtin_trap();
    table_column_done(&by_row);
}

static void
compare(struct table *table, size_t column)
{
    struct table_cells cells[TABLE_SIDES];
    struct drift_column sides[TABLE_SIDES];
    struct err err = {0};

    for (size_t s = 0; s < TABLE_SIDES; s++) {
        if (table_load(table, column, (enum table_side)s, &cells[s], &err))
            __builtin_trap();
        place(table, column, (enum table_side)s, &cells[s]);
        for (size_t i = 0; i < cells[s].word_count; i++)
            if (!table_word(table, cells[s].words[i]))
                __builtin_trap();
        sides[s] = (struct drift_column){
            .kind = DRIFT_NUMERIC, .numbers = cells[s].numbers, .rows = cells[s].number_count};
    }
    for (int profile = 0; profile < DRIFT_PROFILE_COUNT; profile++)
        for (int method = 0; method < DRIFT_METHOD_COUNT; method++) {
            struct drift_plan plan = {(enum drift_profile)profile, (enum drift_method)method, NAN};
            struct drift_verdict verdict;
            drift_compare(&sides[TABLE_REF], &sides[TABLE_CUR], &plan, &verdict);
            if (verdict.outcome == DRIFT_UNDECIDED && !verdict.reason)
                __builtin_trap();
        }
    for (size_t s = 0; s < TABLE_SIDES; s++)
        table_cells_done(&cells[s]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    size_t first = size ? strnlen(text, size) : 0;
    /* Few bytes of memory, so that cells move to the file. */
    struct table_options options = {.memory_bytes = 64};
    struct table *table;
    struct err err = {0};

    if (first < size)
        read_cell(text, first);
    table_open(&table, &options);
    if (!table_read_memory(table, TABLE_REF, "ref", text, first, &err) && first < size &&
        !table_read_memory(table, TABLE_CUR, "cur", text + first + 1, size - first - 1, &err))
        for (size_t i = 0; i < table_columns(table) && i < 4; i++)
            compare(table, i);
    table_free(table);
    return 0;
}
