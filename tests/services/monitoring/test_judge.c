/* SPDX-License-Identifier: Apache-2.0 */
/* test_judge.c - windows beside references: what is found, and how often where nothing is. */
#include "judge.h"
#include "reference.h"

#include <criterion/criterion.h>
#include <math.h>
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
    cr_assert_eq(reservoir_feed(r, &t->message, 0, ROWS, &err), ERR_OK, "%s", err.message);
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
    judge(r, ref, &cur, 1, NULL, 0, arena, &out);
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
    judge(&r, ref, panes, 1, features, 2, arena, &out);
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

    judge(&r, ref, panes, 2, NULL, 0, arena, &out);
    cr_expect_eq(out.compared, 2 * ROWS);
    cr_expect_eq(verdict("a", "distribution")->n_cur, 2 * ROWS);
    cr_expect_eq(out.drifted, 1);
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
    cr_expect_eq(color->cells[3], 0, "the missing one comes last");
    cr_assert_eq(reference_read("sample", ndjson, sizeof(ndjson) - 1, &j, &rows, &err), ERR_OK);
    cr_expect(rows == 2 && j->column_count == 2);
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
    cr_expect_eq(missing, (size_t)lround(REFERENCE_ROWS / 5.));
    cr_expect_float_eq(sum / (double)(REFERENCE_ROWS - missing), 25000, 25);
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
