/* SPDX-License-Identifier: Apache-2.0 */
/* test_performance.c - metrics of labelled rows, bounds, what a label means. tests/integration/labels
 * compares the metrics with scikit-learn's. */
#include "label_rules.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static struct err err;

static struct performance
classes(size_t count, const struct performance_row *given)
{
    struct performance_row rows[16];

    for (size_t i = 0; i < count; i++)
        rows[i] = given[i];
    return performance_classes(rows, count, 0.5);
}

Test(performance, counts_by_hand)
{
    static const struct performance_row rows[] = {{0.9, 1}, {0.8, 0}, {0.7, 1}, {0.4, 1}, {0.2, 0}};
    struct performance p = classes(5, rows);

    cr_expect_eq(p.positives, 3);
    cr_expect_float_eq(p.value[PERFORMANCE_ACCURACY], 0.6, DBL_EPSILON);
    cr_expect_float_eq(p.value[PERFORMANCE_PRECISION], 2.0 / 3, DBL_EPSILON);
    cr_expect_float_eq(p.value[PERFORMANCE_RECALL], 2.0 / 3, DBL_EPSILON);
    cr_expect_float_eq(p.value[PERFORMANCE_F1], 2.0 / 3, DBL_EPSILON);
    cr_expect_float_eq(p.value[PERFORMANCE_AUC], 4.0 / 6, DBL_EPSILON);
    cr_expect(isnan(p.value[PERFORMANCE_RMSE]) && p.reason[PERFORMANCE_RMSE]);
    cr_expect_null(p.reason[PERFORMANCE_AUC]);
}

Test(performance, ties_count_half)
{
    static const struct performance_row rows[] = {{0.5, 1}, {0.5, 0}, {0.5, 0}, {0.5, 1}};

    cr_expect_eq(classes(4, rows).value[PERFORMANCE_AUC], 0.5);
    cr_expect_eq(classes(4, rows).value[PERFORMANCE_PRECISION], 0, "0.5 is not greater than 0.5");
}

Test(performance, says_what_does_not_exist)
{
    static const struct performance_row one[] = {{0.9, 1}, {0.1, 1}};
    static const struct performance_row margins[] = {{-3, 0}, {4, 1}};
    struct performance p = classes(2, one);

    cr_expect(isnan(p.value[PERFORMANCE_AUC]) && p.reason[PERFORMANCE_AUC]);
    cr_expect_eq(p.value[PERFORMANCE_RECALL], 0.5);
    p = classes(2, margins);
    cr_expect(isnan(p.value[PERFORMANCE_LOG_LOSS]) && p.reason[PERFORMANCE_LOG_LOSS]);
    cr_expect_eq(p.value[PERFORMANCE_AUC], 1);
}

Test(performance, of_numbers)
{
    static const struct performance_row rows[] = {{1, 2}, {3, 3}, {5, 2}};
    static const struct performance_row far[] = {{1e300, -1e300}};
    struct performance p = performance_numbers(rows, 3);

    cr_expect_float_eq(p.value[PERFORMANCE_RMSE], sqrt(10.0 / 3), DBL_EPSILON);
    cr_expect_float_eq(p.value[PERFORMANCE_MAE], 4.0 / 3, DBL_EPSILON);
    cr_expect(isnan(p.value[PERFORMANCE_AUC]) && p.reason[PERFORMANCE_AUC]);
    p = performance_numbers(far, 1);
    cr_expect(isnan(p.value[PERFORMANCE_RMSE]) && p.reason[PERFORMANCE_RMSE]);
}

static enum drift_outcome
judged(enum performance_metric metric, double limit, double drop, double value, double baseline,
       double *bound)
{
    struct performance_bounds bounds = {.metric = metric, .limit = limit, .max_drop = drop};
    struct performance p = {0};
    const char *reason;

    p.value[metric] = value;
    if (isnan(value))
        p.reason[metric] = "none";
    enum drift_outcome outcome = performance_judge(&bounds, &p, baseline, bound, &reason);
    cr_expect_eq(outcome == DRIFT_UNDECIDED, reason != NULL);
    return outcome;
}

Test(performance, is_judged_by_the_stricter_bound)
{
    double bound;

    cr_expect_eq(judged(PERFORMANCE_AUC, 0.8, 0, 0.79, NAN, &bound), DRIFT_FOUND);
    cr_expect_eq(judged(PERFORMANCE_AUC, 0.8, 0, 0.80, NAN, &bound), DRIFT_ABSENT);
    cr_expect_eq(judged(PERFORMANCE_AUC, 0.8, 0.05, 0.82, 0.9, &bound), DRIFT_FOUND);
    cr_expect_float_eq(bound, 0.85, 1e-15);
    cr_expect_eq(judged(PERFORMANCE_AUC, 0.8, 0.5, 0.82, 0.9, &bound), DRIFT_ABSENT);
    cr_expect_eq(bound, 0.8);
    cr_expect_eq(judged(PERFORMANCE_RMSE, 0, 1, 3.5, 2, &bound), DRIFT_FOUND);
    cr_expect_eq(bound, 3);
    cr_expect_eq(judged(PERFORMANCE_LOG_LOSS, 0.5, 1, 0.4, 2, &bound), DRIFT_ABSENT);
    cr_expect_eq(bound, 0.5);
}

Test(performance, is_undecided_without_a_value_or_a_bound)
{
    double bound;

    cr_expect_eq(judged(PERFORMANCE_AUC, 0.8, 0, NAN, NAN, &bound), DRIFT_UNDECIDED);
    cr_expect_eq(judged(PERFORMANCE_AUC, 0, 0.05, 0.9, NAN, &bound), DRIFT_UNDECIDED);
    cr_expect_eq(judged(PERFORMANCE_AUC, 0, 0, 0.1, 0.9, &bound), DRIFT_UNDECIDED);
}

/* ---- rules ---- */

static PerformanceRules
given(const char *task)
{
    PerformanceRules m = MODELBUS__MONITORING__V1__PERFORMANCE_RULES__INIT;

    m.task = (char *)(uintptr_t)task;
    return m;
}

Test(label_rules, have_defaults)
{
    PerformanceRules m = given("classification"), number = given("regression"), off = given("");

    cr_assert_eq(label_rules_check(&m, &err), ERR_OK, "%s", err.message);
    struct label_rules r = label_rules_of(&m);
    cr_expect(r.on && r.classes && r.threshold == 0.5 && r.horizon_ms == 604800000);
    cr_expect(r.window_rows == 500 && r.sample == 1 && r.bounds.metric == PERFORMANCE_AUC);
    cr_expect(r.streaks.raise_after == 3 && r.streaks.clear_after == 2);
    cr_expect_eq(label_rules_of(&number).bounds.metric, PERFORMANCE_RMSE);
    cr_expect_not(label_rules_of(&off).on || label_rules_of(NULL).on);
    cr_expect_eq(label_rules_check(NULL, &err), ERR_OK);
}

Test(label_rules, are_bounded)
{
    struct {
        PerformanceRules rules;
        const char *says;
    } bad[12];
    size_t n = 0;

#define BAD(task, field, value, words)                                                             \
    bad[n].rules = given(task), bad[n].rules.field = value, bad[n++].says = words
    BAD("ranking", window_rows, 500, "must be classification or regression");
    BAD("classification", metric, "rmse", "not of a classification");
    BAD("regression", metric, "auc", "not of a regression");
    BAD("classification", metric, "gini", "'gini': must be accuracy");
    BAD("regression", positive, "1", "no positive class");
    BAD("classification", window_rows, 9, "window_rows is 9: must be 10 to 100000");
    BAD("classification", horizon_s, 31536001, "horizon_s is 31536001");
    BAD("classification", sample, 1.5, "sample is 1.5: must be 0 to 1");
    BAD("classification", max_drop, -1, "max_drop is -1");
    BAD("classification", limit, NAN, "limit is nan");
    BAD("classification", clear_after, 1001, "clear_after is 1001");
    BAD("classification", output, "a\001", "rules.performance.output");
    for (size_t i = 0; i < n; i++) {
        cr_expect_eq(label_rules_check(&bad[i].rules, &err), ERR_INVALID, "%s", bad[i].says);
        cr_expect(strstr(err.message, bad[i].says), "%s", err.message);
    }
}

static double
read_as(const char *task, const char *positive, const char *text)
{
    PerformanceRules m = given(task);
    double value = -1;

    m.positive = (char *)(uintptr_t)positive;
    struct label_rules r = label_rules_of(&m);
    return label_read(&r, text, &value) ? value : NAN;
}

Test(label_rules, say_what_a_label_means)
{
    static const struct {
        const char *task, *positive, *text;
        double value;
    } cases[] = {
        {"classification", "", "1", 1},      {"classification", "", "0.0", 0},
        {"classification", "", "true", 1},   {"classification", "", "False", 0},
        {"classification", "", "2", NAN},    {"classification", "", "yes", NAN},
        {"classification", "yes", "yes", 1}, {"classification", "yes", "no", 0},
        {"classification", "2", "2.0", 1},   {"classification", "2", "1", 0},
        {"regression", "", "-1.5e3", -1500}, {"regression", "", "nan", NAN},
        {"regression", "", "inf", NAN},      {"regression", "", "1 ", NAN},
        {"regression", "", "", NAN},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        double value = read_as(cases[i].task, cases[i].positive, cases[i].text);
        cr_expect(value == cases[i].value || (isnan(value) && isnan(cases[i].value)), "'%s' is %g",
                  cases[i].text, value);
    }
}

Test(label_rules, draw_a_sample_by_ids)
{
    PerformanceRules m = given("classification");
    size_t drawn = 0, both = 0;

    m.sample = 0.3;
    struct label_rules some = label_rules_of(&m);
    m.sample = 0.6;
    struct label_rules more = label_rules_of(&m);
    for (int i = 0; i < 10000; i++) {
        char id[16];
        snprintf(id, sizeof(id), "r-%d", i);
        drawn += label_sampled(&some, id);
        both += label_sampled(&some, id) && label_sampled(&more, id);
    }
    cr_expect(drawn > 2800 && drawn < 3200, "%zu", drawn); /* 4 standard deviations: 183 */
    cr_expect_eq(both, drawn, "a larger sample has the smaller one");
}
