/* SPDX-License-Identifier: Apache-2.0 */
/* test_judge.c - windows beside references: what is found, and how often where nothing is. */
#include "judge.h"
#include "reference.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef Modelbus__Serving__V1__Column Column;

#define ROWS 300
#define COLUMNS 5

static struct err err;
static uint64_t state = 88172645463325252u;

/* Standard normal, by Box and Muller. */
static double
normal(void)
{
    double u[2];

    for (int i = 0; i < 2; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u[i] = ((double)(state >> 11) + .5) / 9007199254740992.0;
    }
    return sqrt(-2 * log(u[0])) * cos(2 * acos(-1) * u[1]);
}

struct table_of {
    PredictionsLogged message;
    Column columns[COLUMNS];
    Column *pointers[COLUMNS];
    double values[COLUMNS][ROWS];
    float floats[COLUMNS][ROWS];
};

static const char *const names[COLUMNS] = {"a", "b", "c", "d", "e"};

/* Columns of numbers; the first `shifted` of them moved by `shift`. */
static struct table_of *
numbers(size_t shifted, double shift)
{
    static struct table_of t;

    t.message = (PredictionsLogged)MODELBUS__SERVING__V1__PREDICTIONS_LOGGED__INIT;
    for (size_t c = 0; c < COLUMNS; c++) {
        t.columns[c] = (Column)MODELBUS__SERVING__V1__COLUMN__INIT;
        t.columns[c].name = (char *)(uintptr_t)names[c];
        for (size_t i = 0; i < ROWS; i++)
            t.values[c][i] = normal() + (c < shifted ? shift : 0);
        t.columns[c].doubles = t.values[c];
        t.columns[c].n_doubles = ROWS;
        t.pointers[c] = &t.columns[c];
    }
    t.message.features = t.pointers;
    t.message.n_features = COLUMNS;
    t.message.row_count = ROWS;
    return &t;
}

static struct reservoir *
sample(const struct table_of *t)
{
    struct reservoir *r = reservoir_new(RESERVOIR_ROOM_MAX);

    cr_assert_eq(reservoir_check(&t->message, &err), ERR_OK, "%s", err.message);
    reservoir_feed(r, &t->message, 0, ROWS);
    return r;
}

static MonitorRules message;
static struct rules
rules(void)
{
    message = (MonitorRules)MODELBUS__MONITORING__V1__MONITOR_RULES__INIT;
    return rules_of(&message);
}

static struct arena *arena;
static struct judgement out;

static void
compare(const struct rules *r, const struct reservoir *ref, const struct reservoir *cur)
{
    const struct judge_rows rows = {.sample = ref, .panes = &cur, .pane_count = 1};

    judge(r, &rows, arena, &out);
}

static void
setup(void)
{
    arena = arena_new(0, 0);
}

static void
teardown(void)
{
    arena_free(arena);
}

TestSuite(judge, .init = setup, .fini = teardown);

static const ColumnVerdict *
verdict(const char *column, const char *finding)
{
    for (size_t i = 0; i < out.column_count; i++)
        if (strcmp(out.columns[i]->column, column) == 0 &&
            strcmp(out.columns[i]->finding, finding) == 0)
            return out.columns[i];
    return NULL;
}

Test(judge, finds_what_has_shifted)
{
    struct rules r = rules();
    CLEANUP(reservoir_free) struct reservoir *ref = sample(numbers(0, 0));
    CLEANUP(reservoir_free) struct reservoir *cur = sample(numbers(2, .8));
    ColumnVerdict *worst[JUDGE_WORST];

    compare(&r, ref, cur);
    cr_expect_eq(out.outcome, DRIFT_FOUND);
    cr_expect_eq(out.drifted, 2);
    cr_expect_eq(out.checked, COLUMNS);
    cr_expect_eq(out.histogram_count, COLUMNS);
    cr_assert_eq(judge_worst(&out, worst), 2);
    cr_expect(worst[0]->score <= worst[1]->score);
    const ColumnVerdict *a = verdict("a", "distribution");
    cr_assert(a);
    cr_expect_str_eq(a->outcome, "drift");
    cr_expect_str_eq(a->method, "ks");
    cr_expect_eq(a->family, COLUMNS);
    cr_expect_str_eq(a->correction, "holm");
    cr_expect_str_eq(verdict("c", "distribution")->outcome, "no drift");
}

/* The same, and 5,000 columns more. */
static struct table_of *
wide(struct table_of *t)
{
    enum { MORE = 5000 };
    static Column columns[MORE];
    static Column *pointers[COLUMNS + MORE];
    static char more[MORE][8];

    memcpy(pointers, t->pointers, sizeof(t->pointers));
    for (size_t i = 0; i < MORE; i++) {
        snprintf(more[i], sizeof(more[i]), "x%zu", i);
        columns[i] = t->columns[0];
        columns[i].name = more[i];
        pointers[COLUMNS + i] = &columns[i];
    }
    t->message.features = pointers;
    t->message.n_features = COLUMNS + MORE;
    return t;
}

Test(judge, says_that_rows_have_more_columns_than_can_be_watched)
{
    struct rules r = rules();
    CLEANUP(reservoir_free) struct reservoir *ref = sample(numbers(0, 0));
    CLEANUP(reservoir_free) struct reservoir *cur = sample(wide(numbers(0, 0)));

    compare(&r, ref, cur);
    const ColumnVerdict *all = verdict("*", "too_many_columns");
    cr_assert(all);
    cr_expect_str_eq(all->outcome, "drift");
    cr_expect(strstr(all->reason, "909 columns more than the 4096"), "%s", all->reason);
    cr_expect_eq(out.drifted, 1);
    cr_expect_str_eq(verdict("a", "distribution")->outcome, "no drift");
    cr_expect_str_eq(verdict("x7", "column_new")->outcome, "undecided");

    /* A model that takes so many: nothing has changed. */
    arena_reset(arena);
    compare(&r, cur, cur);
    cr_expect_str_eq(verdict("*", "too_many_columns")->outcome, "undecided");
    cr_expect_neq(out.outcome, DRIFT_FOUND);
}

/* 1,000 streams whose rows come from where the reference's came: Holm holds the share of windows with
 * any alarm at 5 % (three standard errors above it are 7.1 %). */
Test(judge, does_not_alarm_more_often_than_it_says)
{
    struct rules r = rules();
    size_t alarms = 0;

    for (int stream = 0; stream < 1000; stream++) {
        CLEANUP(reservoir_free) struct reservoir *ref = sample(numbers(0, 0));
        CLEANUP(reservoir_free) struct reservoir *cur = sample(numbers(0, 0));
        arena_reset(arena);
        compare(&r, ref, cur);
        alarms += out.outcome == DRIFT_FOUND;
    }
    cr_expect_leq(alarms, 71, "%zu of 1000 streams", alarms);
    cr_expect_geq(alarms, 10, "%zu of 1000 streams: the test has no power left", alarms);
}

Test(judge, finds_columns_that_went_came_or_changed_type)
{
    struct rules r = rules();
    static char *words[ROWS];
    struct table_of *t = numbers(0, 0);
    CLEANUP(reservoir_free) struct reservoir *ref = sample(t);

    t = numbers(0, 0);
    for (size_t i = 0; i < ROWS; i++)
        words[i] = i % 2 ? "yes" : "no";
    t->columns[0].n_doubles = 0;
    t->columns[0].strings = words;
    t->columns[0].n_strings = ROWS;
    t->columns[1].name = "fresh";
    CLEANUP(reservoir_free) struct reservoir *cur = sample(t);
    compare(&r, ref, cur);
    cr_expect_str_eq(verdict("a", "type_changed")->outcome, "drift");
    cr_expect_str_eq(verdict("fresh", "column_new")->outcome, "undecided");
    cr_expect_str_eq(verdict("b", "column_gone")->outcome, "drift");
    cr_expect_eq(out.drifted, 2);

    /* What the model does not take may go. */
    static char *features[] = {"a", "c"};
    const struct reservoir *panes[] = {cur};
    const struct judge_rows some = {
        .learned = ref, .panes = panes, .pane_count = 1, .features = features, .feature_count = 2};
    judge(&r, &some, arena, &out);
    cr_expect_null(verdict("b", "column_gone"));
}

Test(judge, finds_values_that_went_missing)
{
    struct rules r = rules();
    CLEANUP(reservoir_free) struct reservoir *ref = sample(numbers(0, 0));
    struct table_of *t = numbers(0, 0);

    for (size_t i = 0; i < ROWS; i += 4)
        t->values[2][i] = NAN;
    for (size_t i = 0; i < ROWS; i++)
        t->values[3][i] = NAN;
    CLEANUP(reservoir_free) struct reservoir *cur = sample(t);
    compare(&r, ref, cur);
    cr_expect_str_eq(verdict("c", "missing")->outcome, "drift");
    cr_expect_eq(verdict("c", "missing")->missing_cur, ROWS / 4);
    cr_expect_str_eq(verdict("c", "distribution")->outcome, "no drift");
    cr_expect_str_eq(verdict("d", "missing")->outcome, "drift");
    cr_expect_str_eq(verdict("d", "distribution")->outcome, "undecided");
    cr_expect_eq(out.drifted, 2, "a column drifts once");
}

/* The sample has a and b, what was learned all five, and moved: each column has its own reference. */
Test(judge, columns_that_the_sample_lacks_are_compared_with_what_was_learned)
{
    struct rules r = rules();
    struct table_of *t = numbers(0, 0);
    t->message.n_features = 2;
    CLEANUP(reservoir_free) struct reservoir *ref = sample(t);
    CLEANUP(reservoir_free) struct reservoir *learned = sample(numbers(COLUMNS, 5));
    CLEANUP(reservoir_free) struct reservoir *cur = sample(numbers(0, 0));
    const struct reservoir *panes[] = {cur};
    struct judge_rows rows = {.sample = ref, .panes = panes, .pane_count = 1};

    judge(&r, &rows, arena, &out);
    cr_expect_str_eq(verdict("a", "distribution")->outcome, "no drift");
    cr_expect_str_eq(verdict("c", "column_new")->outcome, "undecided");
    cr_expect(strstr(verdict("c", "column_new")->reason, "learned"));
    rows.learned = learned;
    judge(&r, &rows, arena, &out);
    cr_expect_str_eq(verdict("a", "distribution")->outcome, "no drift");
    cr_expect_str_eq(verdict("a", "distribution")->reference, "sample");
    cr_expect_str_eq(verdict("c", "distribution")->outcome, "drift");
    cr_expect_str_eq(verdict("c", "distribution")->reference, "rows");
    cr_expect(out.drifted == 3 && out.checked == COLUMNS);
    /* Gone is what either part has; once. */
    t = numbers(0, 0);
    t->message.n_features = 1;
    CLEANUP(reservoir_free) struct reservoir *less = sample(t);
    panes[0] = less;
    judge(&r, &rows, arena, &out);
    cr_expect(out.drifted == COLUMNS - 1 && out.checked == COLUMNS);
}

/* Floats of values that doubles hold exactly otherwise: 0.1, 0.2, 0.3 would all differ. */
Test(judge, compares_floats_with_floats)
{
    struct rules r = rules();
    struct table_of *t = numbers(0, 0);

    for (size_t i = 0; i < ROWS; i++)
        for (size_t c = 0; c < COLUMNS; c++)
            t->values[c][i] = (double)(i % 3 + 1) / 10;
    CLEANUP(reservoir_free) struct reservoir *ref = sample(t);
    for (size_t c = 0; c < COLUMNS; c++) {
        for (size_t i = 0; i < ROWS; i++)
            t->floats[c][i] = (float)t->values[c][i];
        t->columns[c].n_doubles = 0;
        t->columns[c].floats = t->floats[c];
        t->columns[c].n_floats = ROWS;
    }
    CLEANUP(reservoir_free) struct reservoir *cur = sample(t);
    compare(&r, ref, cur);
    cr_expect_eq(out.drifted, 0);
    cr_expect_float_eq(verdict("a", "distribution")->statistic, 0, 1e-12);
}

Test(judge, joins_the_panes_of_a_window)
{
    struct rules r = rules();
    CLEANUP(reservoir_free) struct reservoir *ref = sample(numbers(0, 0));
    CLEANUP(reservoir_free) struct reservoir *one = sample(numbers(1, 1));
    CLEANUP(reservoir_free) struct reservoir *two = sample(numbers(1, 1));
    const struct reservoir *panes[] = {one, two};

    const struct judge_rows rows = {.learned = ref, .panes = panes, .pane_count = 2};
    judge(&r, &rows, arena, &out);
    cr_expect_eq(out.compared, 2 * ROWS);
    cr_expect_eq(verdict("a", "distribution")->n_cur, 2 * ROWS);
    cr_expect_eq(out.drifted, 1);
}

/* ---- segments ---- */

static char *columns_of_segments[] = {"country", "nothing"};

static struct rules
by_country(size_t columns)
{
    rules();
    message.segments = columns_of_segments;
    message.n_segments = columns;
    message.min_rows = 50;
    return rules_of(&message);
}

/* Half of the rows are of DE, a fifth each of FR and IT, the rest of AT, in the last column; those of FR are
 * moved in column a. As numbers: 1, 2, 3, 4. */
static struct table_of *
countries(double shift, bool words)
{
    static char *const names_of[] = {"DE", "DE", "DE", "DE", "DE", "FR", "FR", "IT", "IT", "AT"};
    static char *values[ROWS];
    struct table_of *t = numbers(0, 0);
    Column *c = &t->columns[COLUMNS - 1];

    for (size_t i = 0; i < ROWS; i++) {
        const char *name = values[i] = names_of[i % 10];
        t->values[COLUMNS - 1][i] = *name == 'D' ? 1 : *name == 'F' ? 2 : *name == 'I' ? 3 : 4;
        t->values[0][i] += *name == 'F' ? shift : 0;
    }
    c->name = "country";
    if (words) {
        c->n_doubles = 0;
        c->strings = values;
        c->n_strings = ROWS;
    }
    return t;
}

static struct reservoir *
named_sample(const struct table_of *t)
{
    struct reservoir *r = reservoir_new(RESERVOIR_ROOM_MAX);

    r->texts = true;
    reservoir_feed(r, &t->message, 0, ROWS);
    return r;
}

Test(judge, a_drift_of_one_segment_is_found_there)
{
    struct rules r = by_country(2);
    CLEANUP(reservoir_free) struct reservoir *ref = named_sample(countries(0, true));
    CLEANUP(reservoir_free) struct reservoir *cur = sample(countries(1.5, true));
    ColumnVerdict *worst[JUDGE_WORST];

    compare(&r, ref, cur);
    cr_assert_eq(out.segment_count, 5);
    static const char *const expected[] = {"country=DE", "country=FR", "country=IT",
                                           "country=(others)", "nothing"};
    for (size_t i = 0; i < 5; i++) {
        bool known = false;
        for (size_t k = 0; k < 5; k++)
            known |= strcmp(out.segments[i]->name, expected[k]) == 0;
        cr_expect(known, "%s", out.segments[i]->name);
        bool fr = strcmp(out.segments[i]->name, "country=FR") == 0;
        bool few = i >= 3;
        cr_expect_str_eq(out.segments[i]->outcome, fr ? "drift" : few ? "undecided" : "no drift");
        cr_expect_eq(out.segments[i]->drifted, fr);
        cr_expect_eq(out.segments[i]->checked, few ? 0 : COLUMNS - 1);
        cr_expect_eq(*out.segments[i]->reason != 0, few, "%s", out.segments[i]->name);
    }
    cr_expect_str_eq(out.segments[0]->value, "DE", "the most frequent comes first");
    cr_expect(out.segments[3]->others && out.segments[3]->current_rows == ROWS / 10);
    cr_expect_eq(out.drifted, 1);
    cr_expect_eq(out.checked, COLUMNS);
    cr_expect_eq(judge_worst(&out, worst), 1, "a column is named once");
    cr_expect_str_eq(worst[0]->segment, "country=FR");
    cr_expect_str_eq(worst[0]->column, "a");
    cr_expect(worst[0]->n_ref == 60 && worst[0]->n_cur == 60);
    cr_expect_eq(worst[0]->family, COLUMNS + 3 * (COLUMNS - 1), "all are corrected together");
}

Test(judge, segments_may_be_numbers_and_panes)
{
    struct rules r = by_country(1);
    CLEANUP(reservoir_free) struct reservoir *ref = sample(countries(0, false));
    CLEANUP(reservoir_free) struct reservoir *one = sample(countries(1.5, false));
    CLEANUP(reservoir_free) struct reservoir *two = sample(countries(1.5, false));
    const struct reservoir *panes[] = {one, two};
    /* The sample has not the column: all is compared with what was learned. */
    struct table_of *t = numbers(0, 9);
    t->message.n_features = 2;
    CLEANUP(reservoir_free) struct reservoir *small = sample(t);
    struct judge_rows rows = {.sample = small, .learned = ref, .panes = panes, .pane_count = 2};

    judge(&r, &rows, arena, &out);
    cr_assert_eq(out.segment_count, 4);
    cr_expect_str_eq(out.segments[0]->name, "country=1");
    cr_expect(out.segments[0]->reference_rows == 150 && out.segments[0]->current_rows == 300);
    cr_expect_str_eq(out.segments[0]->outcome, "no drift");
    const ColumnVerdict *found = NULL;
    for (size_t i = 0; i < out.column_count; i++)
        if (*out.columns[i]->segment)
            found = out.columns[i];
    cr_assert(found);
    cr_expect_str_eq(found->segment, "country=2");
    cr_expect_str_eq(found->reference, "rows");
    rows.learned = NULL;
    judge(&r, &rows, arena, &out);
    cr_assert_eq(out.segment_count, 1);
    cr_expect(strstr(out.segments[0]->reason, "being learned"));
}

Test(judge, comparisons_in_segments_are_bounded)
{
    enum { MANY = 4000 };
    static Column many[MANY];
    static Column *pointers[MANY];
    static char many_names[MANY][8];
    struct rules r = by_country(1);
    struct table_of *t = countries(0, true);
    size_t checked = 0;

    for (size_t i = 0; i < MANY - 1; i++) {
        snprintf(many_names[i], sizeof(many_names[i]), "c%zu", i);
        many[i] = t->columns[0];
        many[i].name = many_names[i];
        pointers[i] = &many[i];
    }
    pointers[MANY - 1] = &t->columns[COLUMNS - 1];
    t->message.features = pointers;
    t->message.n_features = MANY;
    CLEANUP(reservoir_free) struct reservoir *ref = named_sample(t);
    CLEANUP(reservoir_free) struct reservoir *cur = sample(t);
    compare(&r, ref, cur);
    cr_expect_eq(out.checked, (size_t)MANY);
    cr_assert_eq(out.segment_count, 4);
    for (size_t i = 0; i < 4; i++)
        checked += out.segments[i]->checked;
    cr_expect_eq(checked, 10000);
    cr_expect(strstr(out.segments[2]->reason, "too many"), "%s", out.segments[2]->reason);
}

/* As does_not_alarm_more_often_than_it_says: the segments are part of the family. */
Test(judge, does_not_alarm_more_often_with_segments)
{
    struct rules r = by_country(1);
    size_t alarms = 0, in_segments = 0;

    for (int stream = 0; stream < 1000; stream++) {
        CLEANUP(reservoir_free) struct reservoir *ref = sample(countries(0, true));
        CLEANUP(reservoir_free) struct reservoir *cur = sample(countries(0, true));
        arena_reset(arena);
        compare(&r, ref, cur);
        alarms += out.outcome == DRIFT_FOUND;
        for (size_t i = 0; i < out.segment_count; i++)
            in_segments += out.segments[i]->drifted;
    }
    cr_expect_leq(alarms, 71, "%zu of 1000 streams", alarms);
    cr_expect_geq(alarms, 10, "%zu of 1000 streams: the test has no power left", alarms);
    cr_expect_geq(in_segments, 5, "%zu: segments are judged, too", in_segments);
}

/* ---- references ---- */

Test(reference, is_read_from_csv_and_ndjson)
{
    static const char csv[] = "a,color\n1.5,red\n2.5,\n,blue\n4,red\n";
    static const char ndjson[] = "{\"a\": 1.5, \"color\": \"red\"}\n{\"a\": null}\n";
    CLEANUP(reservoir_free) struct reservoir *r = NULL;
    CLEANUP(reservoir_free) struct reservoir *j = NULL;
    uint64_t rows;

    cr_assert_eq(reference_read("sample", csv, sizeof(csv) - 1, &r, &rows, &err), ERR_OK, "%s",
                 err.message);
    cr_expect(rows == 4 && r->column_count == 2 && reservoir_rows(r) == 4);
    const struct reservoir_column *color = reservoir_find(r, "color", false);
    cr_assert(color && color->words);
    cr_expect_eq(color->cells[0], reservoir_word("red", 3));
    cr_expect_eq(color->cells[1], 0, "in the row where it is missing");
    cr_expect_str_eq(reservoir_text(color, color->cells[2]), "blue");
    cr_expect_null(reservoir_text(color, reservoir_word("green", 5)));
    cr_assert_eq(reference_read("sample", ndjson, sizeof(ndjson) - 1, &j, &rows, &err), ERR_OK);
    cr_expect(rows == 2 && j->column_count == 2);
}

/* b says whether the row's a is there, and which it is. */
Test(reference, rows_stay_together)
{
    CLEANUP(buf_done) struct buf text = {0};
    CLEANUP(reservoir_free) struct reservoir *r = NULL;
    uint64_t rows, none = 0;

    for (int i = 0; i < 60000; i++) {
        if (i % 3 == 0 || (i > 20000 && i < 40000))
            buf_printf(&text, "{\"b\": -1}\n");
        else
            buf_printf(&text, "{\"b\": %d, \"a\": \"%d\"}\n", i % 1000, i % 1000);
    }
    cr_assert_eq(reference_read("sample", text.data, text.len, &r, &rows, &err), ERR_OK);
    const struct reservoir_column *a = reservoir_find(r, "a", false);
    const struct reservoir_column *b = reservoir_find(r, "b", false);
    for (size_t i = 0; i < REFERENCE_ROWS; i++) {
        double number;
        char word[16];
        memcpy(&number, &b->cells[i], sizeof(number));
        int len = snprintf(word, sizeof(word), "%.0f", number);
        cr_assert_eq(a->cells[i], number < 0 ? 0 : reservoir_word(word, (size_t)len), "%zu", i);
        none += number < 0;
    }
    cr_expect(none > REFERENCE_ROWS / 2 && none < REFERENCE_ROWS * 3 / 5, "5/9 of them: %" PRIu64,
              none);
}

Test(reference, rows_of_many_columns_stay_together)
{
    CLEANUP(buf_done) struct buf csv = {0};
    CLEANUP(reservoir_free) struct reservoir *r = NULL;
    uint64_t rows;

    for (int i = 0; i < 1000; i++)
        buf_printf(&csv, "c%d,", i);
    buf_str(&csv, "last\n");
    for (int i = 0; i < 3000; i++) {
        buf_printf(&csv, "%d", i);
        for (int k = 1; k < 1000; k++)
            buf_str(&csv, ",1");
        buf_printf(&csv, ",%d\n", i);
    }
    cr_assert_eq(reference_read("sample", csv.data, csv.len, &r, &rows, &err), ERR_OK);
    cr_assert(rows == 3000 && reservoir_rows(r) == RESERVOIR_CELLS_MAX / 1001);
    cr_expect_arr_eq(reservoir_find(r, "c0", false)->cells, reservoir_find(r, "last", false)->cells,
                     reservoir_rows(r) * sizeof(uint64_t));
}

Test(reference, is_thinned_out_in_proportion)
{
    CLEANUP(buf_done) struct buf csv = {0};
    CLEANUP(reservoir_free) struct reservoir *r = NULL;
    size_t missing = 0;
    double sum = 0;
    uint64_t rows;

    buf_str(&csv, "a,b\n");
    for (int i = 0; i < 50000; i++) {
        if (i % 5)
            buf_printf(&csv, "%d,1\n", i);
        else
            buf_str(&csv, ",1\n");
    }
    cr_assert_eq(reference_read("sample", csv.data, csv.len, &r, &rows, &err), ERR_OK);
    cr_expect(rows == 50000 && reservoir_rows(r) == REFERENCE_ROWS);
    for (size_t i = 0; i < REFERENCE_ROWS; i++) {
        double value;
        memcpy(&value, &reservoir_find(r, "a", false)->cells[i], sizeof(value));
        missing += isnan(value) != 0;
        sum += isnan(value) ? 0 : value;
    }
    cr_expect_float_eq((double)missing, REFERENCE_ROWS / 5., 80, "3 standard errors: %zu", missing);
    cr_expect_float_eq(sum / (double)(REFERENCE_ROWS - missing), 25000, 250);
}

Test(reference, must_be_a_table)
{
    static const char *const bad[] = {"", "a,b\n", "a\n\"open", "{\"a\": \n"};
    struct reservoir *r = NULL;
    uint64_t rows;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect_eq(reference_read("sample", bad[i], strlen(bad[i]), &r, &rows, &err), ERR_INVALID,
                     "'%s'", bad[i]);
        cr_expect_null(r);
    }
}
