/* SPDX-License-Identifier: Apache-2.0 */
/* settle.c - all comparisons of a window together: corrected, counted, the worst first. */
#include "judge_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* Of all entries: a column with several verdicts drifts once, and once in a segment. */
static void
count(struct work *w)
{
    struct judgement *out = w->out;
    bool *found = arena_zalloc(w->arena, out->checked + 1);
    size_t decided = 0, last = SIZE_MAX;
    const Segment *of = NULL;

    for (size_t i = 0; i < out->column_count; i++) {
        const struct entry *e = &w->entries[i];
        bool undecided = strcmp(out->columns[i]->outcome, drift_outcome_name(DRIFT_UNDECIDED)) == 0;
        bool drift = drifted(out->columns[i]);
        decided += !undecided;
        out->drifted += drift && !found[e->column];
        found[e->column] |= drift;
        if (!e->segment || undecided)
            continue;
        if (drift && (last != e->column || of != e->segment)) {
            e->segment->drifted++;
            last = e->column;
            of = e->segment;
        }
        e->segment->outcome =
            (char *)(uintptr_t)drift_outcome_name(e->segment->drifted ? DRIFT_FOUND : DRIFT_ABSENT);
    }
    out->outcome = out->drifted >= w->rules->min_columns ? DRIFT_FOUND
                   : decided                             ? DRIFT_ABSENT
                                                         : DRIFT_UNDECIDED;
}

void
judge_settle(struct work *w)
{
    struct judgement *out = w->out;
    size_t p_values = 0, kept = 0;
    struct drift_verdict **family =
        arena_alloc(w->arena, (out->column_count + 1) * sizeof(*family));

    for (size_t i = 0; i < out->column_count; i++)
        if (w->entries[i].verdict)
            family[p_values++] = w->entries[i].verdict;
    drift_correct(family, p_values, w->rules->correction);
    for (size_t i = 0; i < out->column_count; i++)
        if (w->entries[i].verdict)
            fill(out->columns[i], w->entries[i].verdict);
    count(w);
    /* Of segments, what drifted is kept; the rest is in their counts. */
    for (size_t i = 0; i < out->column_count; i++)
        if (!w->entries[i].segment || drifted(out->columns[i]))
            out->columns[kept++] = out->columns[i];
    out->column_count = kept;
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
    size_t count = 0, named = 0;

    for (size_t i = 0; i < judgement->column_count; i++)
        if (drifted(judgement->columns[i]))
            found[count++] = judgement->columns[i];
    qsort(found, count, sizeof(ColumnVerdict *), by_clearness);
    for (size_t i = 0; i < count && named < JUDGE_WORST; i++) {
        bool before = false;
        for (size_t k = 0; k < named && !before; k++)
            before = strcmp(worst[k]->column, found[i]->column) == 0 &&
                     strcmp(worst[k]->role, found[i]->role) == 0;
        if (!before)
            worst[named++] = found[i];
    }
    return named;
}
