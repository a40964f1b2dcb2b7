/* SPDX-License-Identifier: Apache-2.0 */
/* compare.c - the two sides of a column, as drift.h wants them. */
#include "judge_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct known
compare_known(const struct judge_rows *rows, const char *name, bool output)
{
    const struct reservoir_column *c = NULL;

    if (rows->sample) {
        c = reservoir_find(rows->sample, name, output);
        /* A sample of the training run does not say what is an output. */
        if (!c)
            c = reservoir_find(rows->sample, name, !output);
        if (c)
            return (struct known){rows->sample, c};
    }
    if (rows->learned)
        c = reservoir_find(rows->learned, name, output);
    return (struct known){c ? rows->learned : NULL, c};
}

struct met
compare_meet(const struct judge_rows *rows, const char *name, bool output)
{
    struct met met = {.floats = true};

    for (size_t p = 0; p < rows->pane_count; p++) {
        const struct reservoir_column *c = reservoir_find(rows->panes[p], name, output);
        if (!c)
            continue;
        met.mixed |= c->mixed;
        met.floats &= c->floats;
        met.words |= c->words;
        met.numbers |= !c->words;
    }
    met.mixed |= met.words && met.numbers;
    return met;
}

/* Cells of a reservoir's column (NULL: all are missing) in the cut, as they are. */
static size_t
append(const struct reservoir *r, const struct reservoir_column *c, uint64_t nothing,
       const struct cut *cut, uint64_t *cells)
{
    const struct segments_rows *set = cut ? segments_of(cut->segments, r) : NULL;
    size_t rows = reservoir_rows(r), count = 0;

    for (size_t i = 0; i < rows; i++)
        if (!set || set->of[i] == cut->segment)
            cells[count++] = c ? c->cells[i] : nothing;
    return count;
}

static int
by_hash(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Codes of hashes: their places among all that either side has. sorted, codes: as many as cells. */
static void
to_codes(const uint64_t *cells, size_t count, uint64_t *sorted, uint32_t *codes)
{
    size_t different = 0;

    memcpy(sorted, cells, count * sizeof(*cells));
    qsort(sorted, count, sizeof(*sorted), by_hash);
    for (size_t i = 0; i < count; i++)
        if (sorted[i] != 0 && (different == 0 || sorted[i] != sorted[different - 1]))
            sorted[different++] = sorted[i];
    for (size_t i = 0; i < count; i++) {
        const uint64_t *at =
            cells[i] ? bsearch(&cells[i], sorted, different, sizeof(*sorted), by_hash) : NULL;
        codes[i] = at ? (uint32_t)(at - sorted) : DRIFT_MISSING;
    }
}

/* In place: cells are numbers' bits. */
static const double *
to_numbers(uint64_t *cells, size_t count, bool as_floats)
{
    double *numbers = (double *)(void *)cells;

    for (size_t i = 0; i < count; i++) {
        double value;
        memcpy(&value, &cells[i], sizeof(value));
        numbers[i] = as_floats ? (double)(float)value : value;
    }
    return numbers;
}

void
compare_gather(const struct judge_rows *rows, const struct watched *column, const struct cut *cut,
               struct scratch *scratch, struct drift_column *sides)
{
    const struct reservoir_column *ref = column->known.column;
    size_t most = reservoir_rows(column->known.rows), cur_count = 0;
    uint64_t nothing = 0;
    double nan = NAN;

    for (size_t p = 0; p < rows->pane_count; p++)
        most += reservoir_rows(rows->panes[p]);
    size_t bytes = (most + 1) * (2 * sizeof(uint64_t) + sizeof(uint32_t));
    if (scratch->bytes < bytes) {
        scratch->memory = mem_realloc(scratch->memory, bytes);
        scratch->bytes = bytes;
    }
    uint64_t *cells = scratch->memory, *sorted = cells + most;
    uint32_t *codes = (uint32_t *)(void *)(sorted + most);
    if (!ref->words)
        memcpy(&nothing, &nan, sizeof(nothing));
    size_t ref_count = append(column->known.rows, ref, nothing, cut, cells);
    for (size_t p = 0; p < rows->pane_count; p++)
        cur_count +=
            append(rows->panes[p], reservoir_find(rows->panes[p], column->name, column->output),
                   nothing, cut, cells + ref_count + cur_count);
    sides[0] = (struct drift_column){.rows = ref_count};
    sides[1] = (struct drift_column){.rows = cur_count};
    if (ref->words) {
        to_codes(cells, ref_count + cur_count, sorted, codes);
        sides[0].kind = sides[1].kind = DRIFT_CATEGORICAL;
        sides[0].codes = codes;
        sides[1].codes = codes + ref_count;
        return;
    }
    sides[0].numbers = to_numbers(cells, ref_count, column->met.floats);
    sides[0].integers = ref->integers;
    sides[1].numbers = to_numbers(cells + ref_count, cur_count, false);
}
