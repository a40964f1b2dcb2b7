/* SPDX-License-Identifier: Apache-2.0 */
/* drift_columns.c - cells of two files as two columns of one kind, or the finding that they are not. */
#include "drift_check.h"

#include "buf/buf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CODES_MAX ((size_t)1 << 24)
#define EVIDENTLY_INTEGERS 10 /* different ones, up to which Evidently takes them for categories */

struct loaded {
    struct table_info info;
    struct table_cells cells;
    struct drift_column column;
    uint32_t *codes;
};

bool
drift_named(char *const *names, const char *name)
{
    for (; names && *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

static void
say(struct checked *c, enum drift_outcome outcome, const char *finding, char *text)
{
    c->outcome = outcome;
    c->finding = finding;
    free(c->text);
    c->text = text;
}

/* Columns that cannot be compared at all. */
static bool
refused(struct checked *c, const struct check *check, const struct table_info *ref,
        const struct table_info *cur)
{
    const struct table_info *sides[] = {ref, cur};
    bool forced = drift_named(check->categorical, c->name);

    if (!cur->present) {
        say(c, DRIFT_FOUND, "column_gone", mem_printf("not in %s", check->paths[TABLE_CUR]));
        return true;
    }
    if (!ref->present) {
        say(c, DRIFT_ABSENT, "column_new", mem_printf("not in %s", check->paths[TABLE_REF]));
        return true;
    }
    for (size_t s = 0; s < 2; s++) {
        if (sides[s]->words_lost) {
            say(c, DRIFT_UNDECIDED, "too_many_words",
                mem_printf("%s has more different words than can be compared", check->paths[s]));
            return true;
        }
        const struct table_info *other = sides[1 - s];
        if (!forced && sides[s]->words && !other->words && other->numbers) {
            bool numbers_before = s == TABLE_CUR;
            if (!numbers_before && sides[s]->numbers)
                continue;
            say(c, DRIFT_FOUND, "type_changed",
                mem_printf("%s: %zu of %zu values are words (first '%.40s', line %zu), all %zu of "
                           "%s are numbers",
                           check->paths[s], sides[s]->words, sides[s]->words + sides[s]->numbers,
                           sides[s]->first_word, sides[s]->first_word_line, other->numbers,
                           check->paths[1 - s]));
            return true;
        }
    }
    if (drift_named(check->numeric, c->name) && (ref->words || cur->words)) {
        say(c, DRIFT_UNDECIDED, "not_numbers", mem_strdup("--numeric, but there are words"));
        return true;
    }
    return false;
}

static enum drift_kind
kind_of(const struct check *check, const struct checked *c, struct loaded *side)
{
    const struct loaded *cur = &side[TABLE_CUR];

    if (side[TABLE_REF].info.words || cur->info.words || drift_named(check->categorical, c->name))
        return DRIFT_CATEGORICAL;
    if (drift_named(check->numeric, c->name) || check->plan.profile != DRIFT_EVIDENTLY)
        return DRIFT_NUMERIC;
    /* Evidently goes by the current column alone. */
    if (!cur->info.integers)
        return DRIFT_NUMERIC;
    struct drift_column numbers = {.numbers = cur->cells.numbers, .rows = cur->cells.number_count};
    return drift_distinct(&numbers, &numbers, EVIDENTLY_INTEGERS) > EVIDENTLY_INTEGERS
               ? DRIFT_NUMERIC
               : DRIFT_CATEGORICAL;
}

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
words_in_order(struct check *check, const struct loaded *side, size_t *count)
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
drop_infinite(struct loaded *side)
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
numbers_in_order(const struct loaded *side, size_t *count)
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

/* Numbers first, by value; then words, by their bytes. False: too many categories. */
static bool
to_codes(struct check *check, struct checked *c, struct loaded *side)
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

/* Words of which more than half are different: Evidently compares them as text, by a classifier. */
static bool
is_text(struct check *check, const struct loaded *cur)
{
    size_t different = 0;

    for (size_t i = 0; i < cur->cells.word_count; i++)
        different += check->codes[cur->cells.words[i]]++ == DRIFT_MISSING;
    for (size_t i = 0; i < cur->cells.word_count; i++)
        check->codes[cur->cells.words[i]] = DRIFT_MISSING;
    return 2 * different > cur->cells.word_count;
}

static void
compare(struct check *check, struct checked *c, struct loaded *side)
{
    struct drift_column *ref = &side[TABLE_REF].column, *cur = &side[TABLE_CUR].column;
    double missing_threshold = .05;

    drift_compare(ref, cur, &check->plan, &c->verdict);
    c->compared = true;
    c->digest = drift_digest(ref);
    if (!isnan(check->plan.threshold) && c->verdict.comparator[0] == '<')
        missing_threshold = check->plan.threshold;
    if (check->plan.profile == DRIFT_NATIVE && (c->verdict.missing_ref || c->verdict.missing_cur)) {
        c->missing = mem_zalloc(sizeof(*c->missing));
        drift_compare_missing(ref, cur, missing_threshold, c->missing);
    }
    if (!c->labels[0])
        c->bars = DRIFT_BARS;
    c->low = c->high = NAN;
    drift_histogram(ref, cur, c->bars ? c->bars : 1, c->ref_bars, c->cur_bars, &c->low, &c->high);
    if (!c->labels[0] && isnan(c->low))
        c->bars = 0;
}

enum err_code
drift_check_column(struct check *check, size_t column, struct checked *c, struct err *err)
{
    struct loaded side[TABLE_SIDES] = {0};
    enum err_code code = ERR_OK;

    for (size_t s = 0; s < TABLE_SIDES; s++)
        table_column_info(check->table, column, (enum table_side)s, &side[s].info);
    c->name = table_column_name(check->table, column);
    if (refused(c, check, &side[TABLE_REF].info, &side[TABLE_CUR].info))
        return ERR_OK;
    for (size_t s = 0; s < TABLE_SIDES && !code; s++) {
        code = table_load(check->table, column, (enum table_side)s, &side[s].cells, err);
        side[s].column = (struct drift_column){.numbers = side[s].cells.numbers,
                                               .rows = side[s].cells.number_count,
                                               .missing = side[s].info.missing,
                                               .integers = side[s].info.integers};
    }
    if (!code) {
        bool words = side[TABLE_REF].info.words || side[TABLE_CUR].info.words;
        c->kind = kind_of(check, c, side);
        side[TABLE_REF].column.kind = side[TABLE_CUR].column.kind = c->kind;
        if (check->plan.profile == DRIFT_EVIDENTLY && words &&
            !drift_named(check->categorical, c->name) && is_text(check, &side[TABLE_CUR]))
            say(c, DRIFT_UNDECIDED, "text",
                mem_strdup("more than half of the words are different: Evidently takes them for "
                           "text (--categorical compares them)"));
        else if (c->kind == DRIFT_CATEGORICAL && !to_codes(check, c, side))
            say(c, DRIFT_UNDECIDED, "too_many_words", mem_strdup("too many categories"));
        else
            compare(check, c, side);
    }
    for (size_t s = 0; s < TABLE_SIDES; s++) {
        table_cells_done(&side[s].cells);
        free(side[s].codes);
    }
    return code;
}

void
drift_settle(struct checked *c)
{
    const struct drift_verdict *v = &c->verdict, *m = c->missing;

    if (!c->compared)
        return;
    c->outcome = v->outcome;
    if (m && m->outcome == DRIFT_FOUND) {
        c->outcome = DRIFT_FOUND;
        say(c, DRIFT_FOUND, "missing_changed",
            mem_printf("missing values: %.3g %% of the reference, %.3g %% now (p %.3g)",
                       100. * (double)m->missing_ref / (double)m->n_ref,
                       100. * (double)m->missing_cur / (double)m->n_cur, m->p_adjusted));
    } else if (c->outcome == DRIFT_UNDECIDED) {
        say(c, DRIFT_UNDECIDED, "undecided", mem_strdup(v->reason));
    }
}
