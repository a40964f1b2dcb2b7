/* SPDX-License-Identifier: Apache-2.0 */
/* drift_codes.c - the values of a categorical column as places in the order of all of them. */
#include "drift_check.h"

#include "buf/buf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CODES_MAX ((size_t)1 << 24)

struct label {
    const char *text;
    uint32_t id;
};

static int
by_text(const void *a, const void *b)
{
    return strcmp(((const struct label *)a)->text, ((const struct label *)b)->text);
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The different words of both sides in their order; check->codes has the place of each. */
static struct label *
words_in_order(struct check *check, const struct drift_side *side, size_t *count)
{
    size_t room = 64;
    struct label *labels = mem_calloc(room, sizeof(*labels));

    *count = 0;
    for (size_t s = 0; s < TABLE_SIDES; s++)
        for (size_t i = 0; i < side[s].cells.word_count; i++) {
            uint32_t id = side[s].cells.words[i];
            if (check->codes[id] != DRIFT_MISSING)
                continue;
            check->codes[id] = 0;
            if (*count == room) {
                room *= 2;
                labels = mem_realloc(labels, room * sizeof(*labels));
            }
            labels[(*count)++] = (struct label){table_word(check->table, id), id};
        }
    qsort(labels, *count, sizeof(*labels), by_text);
    return labels;
}

/* Evidently drops infinities of categories too. */
static void
drop_infinite(struct drift_side *side)
{
    size_t kept = 0;

    for (size_t i = 0; i < side->cells.number_count; i++)
        if (isfinite(side->cells.numbers[i]))
            side->cells.numbers[kept++] = side->cells.numbers[i];
    side->column.missing += side->cells.number_count - kept;
    side->cells.number_count = kept;
}

/* The different numbers of both sides, ascending. */
static double *
numbers_in_order(const struct drift_side *side, size_t *count)
{
    size_t n = 0, kept = 0;
    double *all =
        mem_calloc(side[0].cells.number_count + side[1].cells.number_count + 1, sizeof(*all));

    for (size_t s = 0; s < TABLE_SIDES; s++)
        for (size_t i = 0; i < side[s].cells.number_count; i++)
            all[n++] = side[s].cells.numbers[i] + 0.0;
    qsort(all, n, sizeof(*all), by_value);
    for (size_t i = 0; i < n; i++)
        if (!kept || all[i] != all[kept - 1])
            all[kept++] = all[i];
    *count = kept;
    return all;
}

static char *
number_label(double value)
{
    struct buf out = {0};

    buf_double(&out, value);
    return buf_take(&out);
}

bool
drift_to_codes(struct check *check, struct checked *c, struct drift_side *side)
{
    size_t numbers, words;

    for (size_t s = 0; s < TABLE_SIDES && check->plan.profile == DRIFT_EVIDENTLY; s++)
        drop_infinite(&side[s]);
    double *values = numbers_in_order(side, &numbers);
    struct label *labels = words_in_order(check, side, &words);
    bool fits = numbers + words <= CODES_MAX;

    for (size_t i = 0; i < words; i++)
        check->codes[labels[i].id] = (uint32_t)(numbers + i);
    for (size_t s = 0; s < TABLE_SIDES && fits; s++) {
        struct table_cells *cells = &side[s].cells;
        size_t n = 0;
        side[s].codes = mem_calloc(cells->number_count + cells->word_count + 1, sizeof(uint32_t));
        for (size_t i = 0; i < cells->number_count; i++) {
            double value = cells->numbers[i] + 0.0;
            double *at = bsearch(&value, values, numbers, sizeof(value), by_value);
            side[s].codes[n++] = (uint32_t)(at - values);
        }
        for (size_t i = 0; i < cells->word_count; i++)
            side[s].codes[n++] = check->codes[cells->words[i]];
        side[s].column.codes = side[s].codes;
        side[s].column.rows = n;
    }
    for (size_t i = 0; i < words; i++)
        check->codes[labels[i].id] = DRIFT_MISSING;
    c->bars = numbers + words < DRIFT_BARS ? numbers + words : DRIFT_BARS;
    for (size_t i = 0; i < c->bars; i++)
        c->labels[i] = i + 1 == DRIFT_BARS && numbers + words > DRIFT_BARS ? mem_strdup("(others)")
                       : i < numbers                                       ? number_label(values[i])
                                     : mem_strdup(labels[i - numbers].text);
    free(values);
    free(labels);
    return fits;
}
