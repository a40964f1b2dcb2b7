/* SPDX-License-Identifier: Apache-2.0 */
/* judge.c - columns into verdicts. */
#include "judge_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_CHECKS 10000 /* comparisons in segments, of one window */
#define ALL_COLUMNS "*"      /* column of a finding that is of none */

static size_t
window_rows(const struct judge_rows *rows)
{
    size_t count = 0;

    for (size_t p = 0; p < rows->pane_count; p++)
        count += reservoir_rows(rows->panes[p]);
    return count;
}

/* ---- verdicts ---- */

/* Of the column that was checked last. */
static ColumnVerdict *
add(struct work *w, const char *name, bool output, const char *finding,
    struct drift_verdict *verdict)
{
    struct judgement *out = w->out;
    ColumnVerdict *c = arena_alloc(w->arena, sizeof(*c));

    if (out->column_count == w->room) {
        size_t room = w->room ? w->room * 2 : 64;
        ColumnVerdict **columns = arena_alloc(w->arena, room * sizeof(ColumnVerdict *));
        struct entry *entries = arena_alloc(w->arena, room * sizeof(*entries));
        if (w->room) {
            memcpy(columns, out->columns, w->room * sizeof(ColumnVerdict *));
            memcpy(entries, w->entries, w->room * sizeof(*entries));
        }
        out->columns = columns;
        w->entries = entries;
        w->room = room;
    }
    modelbus__monitoring__v1__column_verdict__init(c);
    c->column = (char *)(uintptr_t)name;
    c->role = (char *)(output ? "output" : "feature");
    c->finding = (char *)(uintptr_t)finding;
    c->statistic = c->p = c->p_adjusted = c->score = c->threshold = NAN;
    w->entries[out->column_count] = (struct entry){.verdict = verdict, .column = out->checked - 1};
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

/* Of all rows when segment is NULL. column: entry.column. */
static void
compare(struct work *w, const struct watched *column, size_t as, const struct cut *cut,
        Segment *segment)
{
    const struct drift_plan *plan = &column->plan;
    struct drift_verdict *verdict = arena_alloc(w->arena, sizeof(*verdict)), *missing = NULL;
    size_t first = w->out->column_count;
    struct drift_column sides[2];

    compare_gather(w->rows, column, cut, &w->scratch, sides);
    drift_compare(&sides[0], &sides[1], plan, verdict);
    (void)add(w, column->name, column->output, "distribution", verdict);
    if (plan->profile == DRIFT_NATIVE && (verdict->missing_ref || verdict->missing_cur)) {
        missing = arena_alloc(w->arena, sizeof(*missing));
        bool by_p = verdict->comparator && verdict->comparator[0] == '<';
        double threshold = by_p && !isnan(plan->threshold)
                               ? plan->threshold
                               : drift_threshold(DRIFT_NATIVE, DRIFT_CHI2_CONTINGENCY);
        drift_compare_missing(&sides[0], &sides[1], threshold, missing);
        (void)add(w, column->name, column->output, "missing", missing);
    }
    uint64_t digest = drift_digest(&sides[0]);
    for (size_t i = first; i < w->out->column_count; i++) {
        ColumnVerdict *c = w->out->columns[i];
        c->reference_digest = digest;
        c->reference = (char *)(column->known.rows == w->rows->sample ? "sample" : "rows");
        c->segment = segment ? segment->name : (char *)(uintptr_t)protobuf_c_empty_string;
        w->entries[i].column = as;
        w->entries[i].segment = segment;
    }
    if (!segment)
        draw(w, column->name, sides);
}

static void
judge_column(struct work *w, const char *name, bool output)
{
    struct watched column = {.name = arena_strdup(w->arena, name), .output = output};
    const struct reservoir_column *ref;
    bool ignore;

    column.plan = rules_plan(w->rules, name, &ignore);
    if (ignore)
        return;
    column.known = compare_known(w->rows, name, output);
    column.met = compare_meet(w->rows, name, output);
    ref = column.known.column;
    name = column.name;
    w->out->checked++;
    if (!ref)
        find(w, name, output, "column_new", DRIFT_UNDECIDED,
             w->rows->learned ? "the reference has no such column"
                              : "the sample has no such column; its reference is being learned");
    else if (column.met.mixed || ref->mixed)
        find(w, name, output, "type_changed", DRIFT_FOUND, "some values are numbers, others words");
    else if (ref->words != column.met.words)
        find(w, name, output, "type_changed", DRIFT_FOUND,
             ref->words ? "the reference has words, the window numbers"
                        : "the reference has numbers, the window words");
    else {
        compare(w, &column, w->out->checked - 1, NULL, NULL);
        w->watched_as[w->watched_count] = w->out->checked - 1;
        w->watched[w->watched_count++] = column;
    }
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
in_window(const struct work *w, const char *name)
{
    for (size_t p = 0; p < w->rows->pane_count; p++)
        if (reservoir_find(w->rows->panes[p], name, false) ||
            reservoir_find(w->rows->panes[p], name, true))
            return true;
    return false;
}

/* Of a few odd rows among the first ones: nobody misses it. */
static bool
rare(const struct reservoir *r, const struct reservoir_column *c)
{
    size_t rows = reservoir_rows(r), missing = 0;

    for (size_t i = 0; i < rows; i++)
        missing += reservoir_missing(c, i);
    return 2 * missing > rows;
}

static void
judge_gone(struct work *w, const struct reservoir *reference)
{
    const struct judge_rows *rows = w->rows;

    for (size_t i = 0; reference && i < reference->column_count; i++) {
        const struct reservoir_column *c = &reference->columns[i];
        bool ignore;
        (void)rules_plan(w->rules, c->name, &ignore);
        if (ignore || in_window(w, c->name) ||
            (rows->feature_count && !listed(rows->features, rows->feature_count, c->name)) ||
            compare_known(rows, c->name, c->output).rows != reference)
            continue;
        bool odd = rare(reference, c);
        w->out->checked++;
        find(w, arena_strdup(w->arena, c->name), c->output, "column_gone",
             odd ? DRIFT_UNDECIDED : DRIFT_FOUND,
             odd ? "no row has it; most of the reference's had it not either"
                 : "no row has it any more");
    }
}

static uint32_t
left_out(const struct reservoir *r, uint32_t most)
{
    return r && r->left_out > most ? r->left_out : most;
}

static void
judge_left_out(struct work *w)
{
    uint32_t before = left_out(w->rows->learned, left_out(w->rows->sample, 0)), now = 0;
    bool ignore;

    for (size_t p = 0; p < w->rows->pane_count; p++)
        now = left_out(w->rows->panes[p], now);
    (void)rules_plan(w->rules, ALL_COLUMNS, &ignore);
    if (now == 0 || ignore)
        return;
    w->out->checked++;
    find(w, ALL_COLUMNS, false, "too_many_columns", before ? DRIFT_UNDECIDED : DRIFT_FOUND,
         arena_printf(w->arena, "rows have %u columns more than the %d that can be watched", now,
                      RESERVOIR_COLUMNS_MAX));
}

/* ---- segments ---- */

static Segment *
add_segment(struct work *w, const struct segments *s, size_t k)
{
    struct judgement *out = w->out;
    Segment *segment = arena_alloc(w->arena, sizeof(*segment));

    modelbus__monitoring__v1__segment__init(segment);
    segment->column = arena_strdup(w->arena, s->column);
    segment->outcome = (char *)(uintptr_t)drift_outcome_name(DRIFT_UNDECIDED);
    out->segments[out->segment_count++] = segment;
    if (s->problem) {
        segment->name = segment->column;
        segment->reason = (char *)(uintptr_t)s->problem;
        return segment;
    }
    segment->others = k == s->count;
    segment->value = (char *)(uintptr_t)(k < s->count ? s->values[k] : protobuf_c_empty_string);
    segment->name =
        arena_printf(w->arena, "%s=%s", s->column, k < s->count ? s->values[k] : "(others)");
    segment->reference_rows = s->sets[0].counts[k];
    segment->current_rows = s->current[k];
    return segment;
}

/* The rows that the column is compared with, of those that can be cut: rows NULL when there are none. */
static struct known
known_in(const struct work *w, const struct watched *column, const struct segments *s)
{
    struct known known = {.rows = NULL};

    if (segments_of(s, column->known.rows))
        return column->known;
    if (!w->rows->learned || !segments_of(s, w->rows->learned))
        return known;
    known.column = reservoir_find(w->rows->learned, column->name, column->output);
    if (known.column && known.column->words == column->met.words && !known.column->mixed)
        known.rows = w->rows->learned;
    return known;
}

static void
judge_segment(struct work *w, const struct segments *s, size_t k)
{
    const struct cut cut = {.segments = s, .segment = (uint8_t)k};
    Segment *segment = add_segment(w, s, k);
    uint32_t min = w->rules->min_rows;

    if (segment->reference_rows < min || segment->current_rows < min) {
        segment->reason = "fewer than min_rows rows";
        return;
    }
    for (size_t i = 0; i < w->watched_count; i++) {
        struct watched column = w->watched[i];
        if (strcmp(column.name, s->column) == 0)
            continue;
        column.known = known_in(w, &column, s);
        if (!column.known.rows || segments_of(s, column.known.rows)->counts[k] < min)
            continue;
        if (++w->segment_checks > SEGMENT_CHECKS) {
            segment->reason = "not all columns: too many for so many segments";
            return;
        }
        segment->checked++;
        compare(w, &column, w->watched_as[i], &cut, segment);
    }
}

static void
judge_segments(struct work *w)
{
    const MonitorRules *message = w->rules->message;
    size_t most = message->n_segments * (SEGMENTS_VALUES + 1);

    w->out->segments = arena_alloc(w->arena, (most + 1) * sizeof(Segment *));
    for (size_t i = 0; i < message->n_segments; i++) {
        struct segments *s = arena_alloc(w->arena, sizeof(*s));
        segments_cut(w->rows, message->segments[i], w->rules->min_rows, w->arena, s);
        if (s->problem)
            (void)add_segment(w, s, 0);
        else
            for (size_t k = 0; k <= s->count; k++)
                judge_segment(w, s, k);
    }
}

void
judge(const struct rules *rules, const struct judge_rows *rows, struct arena *arena,
      struct judgement *judgement)
{
    struct work w = {.rules = rules, .rows = rows, .arena = arena, .out = judgement};
    size_t most = 0;

    memset(judgement, 0, sizeof(*judgement));
    for (size_t p = 0; p < rows->pane_count; p++)
        most += rows->panes[p]->column_count;
    judgement->histograms = arena_alloc(arena, (most + 1) * sizeof(Histogram *));
    judgement->compared = window_rows(rows);
    w.watched = arena_alloc(arena, (most + 1) * sizeof(*w.watched));
    w.watched_as = arena_alloc(arena, (most + 1) * sizeof(*w.watched_as));
    for (size_t p = 0; p < rows->pane_count; p++) {
        for (size_t i = 0; i < rows->panes[p]->column_count; i++) {
            const struct reservoir_column *c = &rows->panes[p]->columns[i];
            bool before = false;
            for (size_t q = 0; q < p && !before; q++)
                before = reservoir_find(rows->panes[q], c->name, c->output) != NULL;
            if (!before)
                judge_column(&w, c->name, c->output);
        }
    }
    judge_gone(&w, rows->sample);
    judge_gone(&w, rows->learned);
    judge_left_out(&w);
    judge_segments(&w);
    judge_settle(&w);
    free(w.scratch.memory);
}
