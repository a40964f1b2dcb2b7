/* SPDX-License-Identifier: Apache-2.0 */
/* judge.c - columns into verdicts. */
#include "judge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct work {
    const struct rules *rules;
    const struct reservoir *reference;
    const struct reservoir *const *panes;
    size_t pane_count;
    struct arena *arena;
    struct judgement *out;
    struct drift_verdict **verdicts; /* beside out->columns; NULL: a finding */
    size_t room;
};

/* ---- columns ---- */

/* Numbers of a reservoir's column. */
static void
append_numbers(const struct reservoir *r, const struct reservoir_column *c, bool as_floats,
               double *numbers, size_t *count)
{
    for (size_t i = 0; i < reservoir_rows(r); i++) {
        double value = NAN;
        if (c)
            memcpy(&value, &c->cells[i], sizeof(value));
        numbers[(*count)++] = as_floats ? (double)(float)value : value;
    }
}

static int
by_hash(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* Codes of hashes: their places among all that either side has. */
static void
to_codes(struct arena *arena, const uint64_t *ref, size_t ref_count, const uint64_t *cur,
         size_t cur_count, struct drift_column *columns)
{
    size_t total = ref_count + cur_count, different = 0;
    uint64_t *sorted = arena_alloc(arena, (total + 1) * sizeof(*sorted));
    uint32_t *codes = arena_alloc(arena, (total + 1) * sizeof(*codes));

    memcpy(sorted, ref, ref_count * sizeof(*ref));
    memcpy(sorted + ref_count, cur, cur_count * sizeof(*cur));
    qsort(sorted, total, sizeof(*sorted), by_hash);
    for (size_t i = 0; i < total; i++)
        if (sorted[i] != 0 && (different == 0 || sorted[i] != sorted[different - 1]))
            sorted[different++] = sorted[i];
    for (size_t i = 0; i < total; i++) {
        uint64_t hash = i < ref_count ? ref[i] : cur[i - ref_count];
        const uint64_t *at =
            hash ? bsearch(&hash, sorted, different, sizeof(*sorted), by_hash) : NULL;
        codes[i] = at ? (uint32_t)(at - sorted) : DRIFT_MISSING;
    }
    columns[0] =
        (struct drift_column){.kind = DRIFT_CATEGORICAL, .codes = codes, .rows = ref_count};
    columns[1] = (struct drift_column){
        .kind = DRIFT_CATEGORICAL, .codes = codes + ref_count, .rows = cur_count};
}

/* What is known of a window's column in all panes. */
struct met {
    bool mixed, floats, words, numbers;
};

static struct met
meet(const struct work *w, const char *name, bool output)
{
    struct met met = {.floats = true};

    for (size_t p = 0; p < w->pane_count; p++) {
        const struct reservoir_column *c = reservoir_find(w->panes[p], name, output);
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

static size_t
window_rows(const struct work *w)
{
    size_t rows = 0;

    for (size_t p = 0; p < w->pane_count; p++)
        rows += reservoir_rows(w->panes[p]);
    return rows;
}

/* The two sides as drift.h wants them. */
static void
gather(const struct work *w, const struct reservoir_column *ref, const char *name, bool output,
       const struct met *met, struct drift_column *sides)
{
    size_t rows = window_rows(w), ref_rows = reservoir_rows(w->reference), count = 0, ref_count = 0;

    if (ref->words) {
        uint64_t *hashes = arena_alloc(w->arena, (rows + 1) * sizeof(*hashes));
        for (size_t p = 0; p < w->pane_count; p++) {
            const struct reservoir_column *c = reservoir_find(w->panes[p], name, output);
            for (size_t i = 0; i < reservoir_rows(w->panes[p]); i++)
                hashes[count++] = c ? c->cells[i] : 0;
        }
        to_codes(w->arena, ref->cells, ref_rows, hashes, count, sides);
        return;
    }
    double *numbers = arena_alloc(w->arena, (rows + ref_rows + 1) * sizeof(*numbers));
    append_numbers(w->reference, ref, met->floats, numbers, &ref_count);
    for (size_t p = 0; p < w->pane_count; p++)
        append_numbers(w->panes[p], reservoir_find(w->panes[p], name, output), false,
                       numbers + ref_count, &count);
    sides[0] =
        (struct drift_column){.numbers = numbers, .rows = ref_count, .integers = ref->integers};
    sides[1] = (struct drift_column){.numbers = numbers + ref_count, .rows = count};
}

/* ---- verdicts ---- */

static ColumnVerdict *
add(struct work *w, const char *name, bool output, const char *finding,
    struct drift_verdict *verdict)
{
    struct judgement *out = w->out;
    ColumnVerdict *c = arena_alloc(w->arena, sizeof(*c));

    if (out->column_count == w->room) {
        size_t room = w->room ? w->room * 2 : 64;
        ColumnVerdict **columns = arena_alloc(w->arena, room * sizeof(ColumnVerdict *));
        struct drift_verdict **verdicts = arena_alloc(w->arena, room * sizeof(*verdicts));
        if (w->room) {
            memcpy(columns, out->columns, w->room * sizeof(ColumnVerdict *));
            memcpy(verdicts, w->verdicts, w->room * sizeof(*verdicts));
        }
        out->columns = columns;
        w->verdicts = verdicts;
        w->room = room;
    }
    modelbus__monitoring__v1__column_verdict__init(c);
    c->column = arena_strdup(w->arena, name);
    c->role = (char *)(output ? "output" : "feature");
    c->finding = (char *)(uintptr_t)finding;
    c->statistic = c->p = c->p_adjusted = c->score = c->threshold = NAN;
    w->verdicts[out->column_count] = verdict;
    out->columns[out->column_count++] = c;
    return c;
}

static void
find(struct work *w, const char *name, bool output, const char *finding, enum drift_outcome outcome,
     const char *reason)
{
    ColumnVerdict *c = add(w, name, output, finding, NULL);

    c->outcome = (char *)(uintptr_t)drift_outcome_name(outcome);
    c->reason = (char *)(uintptr_t)reason;
}

static void
draw(struct work *w, const char *name, const struct drift_column *sides)
{
    Histogram *h = arena_alloc(w->arena, sizeof(*h));
    uint64_t *counts = arena_zalloc(w->arena, 2 * JUDGE_BARS * sizeof(*counts));

    modelbus__monitoring__v1__histogram__init(h);
    h->column = arena_strdup(w->arena, name);
    h->low = h->high = NAN;
    drift_histogram(&sides[0], &sides[1], JUDGE_BARS, counts, counts + JUDGE_BARS, &h->low,
                    &h->high);
    h->n_reference = h->n_current = JUDGE_BARS;
    h->reference = counts;
    h->current = counts + JUDGE_BARS;
    w->out->histograms[w->out->histogram_count++] = h;
}

static void
compare(struct work *w, const struct reservoir_column *ref, const char *name, bool output,
        const struct met *met, const struct drift_plan *plan)
{
    struct drift_verdict *verdict = arena_alloc(w->arena, sizeof(*verdict));
    struct drift_column sides[2];

    gather(w, ref, name, output, met, sides);
    drift_compare(&sides[0], &sides[1], plan, verdict);
    uint64_t digest = drift_digest(&sides[0]);
    add(w, name, output, "distribution", verdict)->reference_digest = digest;
    if (plan->profile == DRIFT_NATIVE && (verdict->missing_ref || verdict->missing_cur)) {
        struct drift_verdict *missing = arena_alloc(w->arena, sizeof(*missing));
        bool by_p = verdict->comparator && verdict->comparator[0] == '<';
        double threshold = by_p && !isnan(plan->threshold)
                               ? plan->threshold
                               : drift_threshold(DRIFT_NATIVE, DRIFT_CHI2_CONTINGENCY);
        drift_compare_missing(&sides[0], &sides[1], threshold, missing);
        add(w, name, output, "missing", missing)->reference_digest = digest;
    }
    draw(w, name, sides);
}

static void
judge_column(struct work *w, const char *name, bool output)
{
    const struct reservoir_column *ref = reservoir_find(w->reference, name, output);
    struct met met = meet(w, name, output);
    struct drift_plan plan;
    bool ignore;

    plan = rules_plan(w->rules, name, &ignore);
    if (ignore)
        return;
    w->out->checked++;
    /* A sample of the training run does not say what is an output. */
    if (!ref)
        ref = reservoir_find(w->reference, name, !output);
    if (!ref)
        find(w, name, output, "column_new", DRIFT_UNDECIDED, "the reference has no such column");
    else if (met.mixed || ref->mixed)
        find(w, name, output, "type_changed", DRIFT_FOUND, "some values are numbers, others words");
    else if (ref->words != met.words)
        find(w, name, output, "type_changed", DRIFT_FOUND,
             ref->words ? "the reference has words, the window numbers"
                        : "the reference has numbers, the window words");
    else
        compare(w, ref, name, output, &met, &plan);
}

static bool
listed(char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool
in_window(const struct work *w, size_t panes, const char *name)
{
    for (size_t p = 0; p < panes; p++)
        if (reservoir_find(w->panes[p], name, false) || reservoir_find(w->panes[p], name, true))
            return true;
    return false;
}

static void
judge_gone(struct work *w, char *const *features, size_t feature_count)
{
    for (size_t i = 0; i < w->reference->column_count; i++) {
        const struct reservoir_column *c = &w->reference->columns[i];
        bool ignore;
        (void)rules_plan(w->rules, c->name, &ignore);
        if (ignore || in_window(w, w->pane_count, c->name) ||
            (feature_count && !listed(features, feature_count, c->name)))
            continue;
        w->out->checked++;
        find(w, c->name, c->output, "column_gone", DRIFT_FOUND, "no row has it any more");
    }
}

static void
fill(ColumnVerdict *c, const struct drift_verdict *v)
{
#define TEXT(s) (char *)(uintptr_t)((s) ? (s) : "")
    c->outcome = TEXT(drift_outcome_name(v->outcome));
    c->reason = TEXT(v->reason);
    c->profile = TEXT(drift_profile_name(v->profile));
    c->method = TEXT(drift_method_name(v->method));
    c->variant = TEXT(v->variant);
    c->n_ref = v->n_ref;
    c->n_cur = v->n_cur;
    c->missing_ref = v->missing_ref;
    c->missing_cur = v->missing_cur;
    c->infinite_ref = v->infinite_ref;
    c->infinite_cur = v->infinite_cur;
    c->nan_policy = TEXT(v->nan_policy);
    c->infinite_policy = TEXT(v->infinite_policy);
    c->bin_rule = TEXT(v->bin_rule);
    c->bins = (uint32_t)v->bins;
    c->n_edges = v->edge_count;
    c->edges = (double *)(uintptr_t)v->edges;
    c->bin_digest = v->digest;
    c->zero_rule = TEXT(v->zero_rule);
    c->log_base = v->log_base;
    c->scale = v->scale;
    c->statistic = v->statistic;
    c->degrees = v->degrees;
    c->p = v->p;
    c->p_adjusted = v->p_adjusted;
    c->family = (uint32_t)v->family;
    c->correction = TEXT(drift_correction_name(v->correction));
    c->score = v->score;
    c->comparator = TEXT(v->comparator);
    c->threshold = v->threshold;
#undef TEXT
}

static bool
drifted(const ColumnVerdict *c)
{
    return strcmp(c->outcome, drift_outcome_name(DRIFT_FOUND)) == 0;
}

/* Corrects, fills and counts. A column with several verdicts drifts once. */
static void
settle(struct work *w)
{
    struct judgement *out = w->out;
    size_t count = 0, decided = 0;
    struct drift_verdict **family =
        arena_alloc(w->arena, (out->column_count + 1) * sizeof(*family));

    for (size_t i = 0; i < out->column_count; i++)
        if (w->verdicts[i])
            family[count++] = w->verdicts[i];
    drift_correct(family, count, w->rules->correction);
    for (size_t i = 0; i < out->column_count; i++) {
        ColumnVerdict *c = out->columns[i];
        if (w->verdicts[i])
            fill(c, w->verdicts[i]);
        bool same = i > 0 && strcmp(out->columns[i - 1]->column, c->column) == 0 &&
                    strcmp(out->columns[i - 1]->role, c->role) == 0;
        if (drifted(c) && !(same && drifted(out->columns[i - 1])))
            out->drifted++;
        decided += strcmp(c->outcome, drift_outcome_name(DRIFT_UNDECIDED)) != 0;
    }
    out->outcome = out->drifted >= w->rules->min_columns ? DRIFT_FOUND
                   : decided                             ? DRIFT_ABSENT
                                                         : DRIFT_UNDECIDED;
}

void
judge(const struct rules *rules, const struct reservoir *reference,
      const struct reservoir *const *panes, size_t pane_count, char *const *features,
      size_t feature_count, struct arena *arena, struct judgement *judgement)
{
    struct work w = {.rules = rules,
                     .reference = reference,
                     .panes = panes,
                     .pane_count = pane_count,
                     .arena = arena,
                     .out = judgement};
    size_t most = 0;

    memset(judgement, 0, sizeof(*judgement));
    for (size_t p = 0; p < pane_count; p++)
        most += panes[p]->column_count;
    judgement->histograms = arena_alloc(arena, (most + 1) * sizeof(Histogram *));
    judgement->compared = window_rows(&w);
    for (size_t p = 0; p < pane_count; p++) {
        for (size_t i = 0; i < panes[p]->column_count; i++) {
            const struct reservoir_column *c = &panes[p]->columns[i];
            bool before = false;
            for (size_t q = 0; q < p && !before; q++)
                before = reservoir_find(panes[q], c->name, c->output) != NULL;
            if (!before)
                judge_column(&w, c->name, c->output);
        }
    }
    judge_gone(&w, features, feature_count);
    settle(&w);
}

/* How far beyond its threshold: the less, the clearer. Findings without a score come first. */
static double
clearness(const ColumnVerdict *c)
{
    if (isnan(c->score) || !*c->comparator)
        return -1;
    return c->comparator[0] == '<' ? c->score / c->threshold : c->threshold / c->score;
}

static int
by_clearness(const void *a, const void *b)
{
    const ColumnVerdict *x = *(ColumnVerdict *const *)a, *y = *(ColumnVerdict *const *)b;
    double cx = clearness(x), cy = clearness(y);

    return cx != cy ? (cx > cy) - (cx < cy) : strcmp(x->column, y->column);
}

size_t
judge_worst(const struct judgement *judgement, ColumnVerdict *worst[JUDGE_WORST])
{
    CLEANUP(mem_free)
    ColumnVerdict **found = mem_calloc(judgement->column_count + 1, sizeof(ColumnVerdict *));
    size_t count = 0;

    for (size_t i = 0; i < judgement->column_count; i++)
        if (drifted(judgement->columns[i]))
            found[count++] = judgement->columns[i];
    qsort(found, count, sizeof(ColumnVerdict *), by_clearness);
    if (count > JUDGE_WORST)
        count = JUDGE_WORST;
    memcpy(worst, found, count * sizeof(ColumnVerdict *));
    return count;
}
