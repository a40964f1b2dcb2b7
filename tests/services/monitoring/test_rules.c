/* SPDX-License-Identifier: Apache-2.0 */
/* test_rules.c - rules with their defaults and bounds, and episodes. */
#include "rules.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct err err;

static MonitorRules
given(void)
{
    return (MonitorRules)MODELBUS__MONITORING__V1__MONITOR_RULES__INIT;
}

Test(rules, have_defaults)
{
    MonitorRules m = given();

    cr_assert_eq(rules_check(&m, &err), ERR_OK, "%s", err.message);
    struct rules r = rules_of(&m);
    cr_expect(!r.disabled && r.pane_rows == 500 && r.panes == 1 && r.pane_ms == 0);
    cr_expect(r.reference_rows == 1000 && r.min_columns == 1);
    cr_expect(r.plan.profile == DRIFT_NATIVE && r.plan.method == DRIFT_AUTO);
    cr_expect(isnan(r.plan.threshold) && r.correction == DRIFT_HOLM);
    cr_expect(r.raise_after == 3 && r.clear_after == 2);
}

Test(rules, cut_windows_into_panes)
{
    MonitorRules m = given();

    m.window_rows = 1000;
    m.slide_rows = 250;
    m.window_seconds = 60;
    m.min_rows = 401;
    cr_assert_eq(rules_check(&m, &err), ERR_OK, "%s", err.message);
    struct rules r = rules_of(&m);
    cr_expect(r.panes == 4 && r.pane_rows == 250 && r.pane_ms == 15000 && r.pane_min_rows == 101);
}

Test(rules, of_a_column_come_before_the_rest)
{
    MonitorRules m = given();
    ColumnRule age = MODELBUS__MONITORING__V1__COLUMN_RULE__INIT;
    ColumnRule hour = MODELBUS__MONITORING__V1__COLUMN_RULE__INIT;
    ColumnRule *columns[] = {&age, &hour};
    bool ignore;

    m.method = "psi";
    m.threshold = 0.3;
    age.column = "age";
    age.method = "ks";
    hour.column = "hour";
    hour.ignore = true;
    m.columns = columns;
    m.n_columns = 2;
    cr_assert_eq(rules_check(&m, &err), ERR_OK, "%s", err.message);
    struct rules r = rules_of(&m);
    struct drift_plan plan = rules_plan(&r, "income", &ignore);
    cr_expect(plan.method == DRIFT_PSI && plan.threshold == 0.3 && !ignore);
    plan = rules_plan(&r, "age", &ignore);
    cr_expect(plan.method == DRIFT_KS && isnan(plan.threshold) && !ignore);
    (void)rules_plan(&r, "hour", &ignore);
    cr_expect(ignore);
}

Test(rules, are_bounded)
{
#define REFUSED(member, value, word)                                                               \
    do {                                                                                           \
        MonitorRules m = given();                                                                  \
        m.member = value;                                                                          \
        cr_expect_eq(rules_check(&m, &err), ERR_INVALID, #member);                                 \
        cr_expect(strstr(err.message, word), "%s", err.message);                                   \
    } while (0)
    REFUSED(window_rows, 9, "window_rows");
    REFUSED(window_rows, 10000001, "window_rows");
    REFUSED(slide_rows, 3, "slide_rows");
    REFUSED(slide_rows, 501, "slide_rows");
    REFUSED(slide_rows, 10, "slide_rows"); /* 50 panes */
    REFUSED(min_rows, 501, "min_rows");
    REFUSED(profile, "excel", "rules.profile");
    REFUSED(method, "magic", "rules.method");
    REFUSED(correction, "bonferroni", "rules.correction");
    REFUSED(threshold, -1, "threshold");
    REFUSED(threshold, NAN, "threshold");
    REFUSED(raise_after, 1001, "raise_after");
    REFUSED(window_seconds, 2592001, "window_seconds");
    static char *columns[] = {"a", "b", "a", "c"}, *bad[] = {"a\n"};
    MonitorRules m = given();
    m.segments = columns;
    m.n_segments = 2;
    cr_expect_eq(rules_check(&m, &err), ERR_OK, "%s", err.message);
    m.n_segments = 3;
    cr_expect_eq(rules_check(&m, &err), ERR_INVALID);
    cr_expect(strstr(err.message, "twice"), "%s", err.message);
    m.n_segments = 4;
    cr_expect_eq(rules_check(&m, &err), ERR_INVALID);
    m.segments = bad;
    m.n_segments = 1;
    cr_expect_eq(rules_check(&m, &err), ERR_INVALID);
}

Test(episode, begins_and_ends_after_windows_in_a_row)
{
    static const struct {
        enum drift_outcome outcome;
        enum episode_turn turn;
    } windows[] = {
        {DRIFT_FOUND, EPISODE_GOES_ON},  {DRIFT_ABSENT, EPISODE_GOES_ON},
        {DRIFT_FOUND, EPISODE_GOES_ON},  {DRIFT_UNDECIDED, EPISODE_GOES_ON},
        {DRIFT_FOUND, EPISODE_BEGINS},   {DRIFT_FOUND, EPISODE_GOES_ON},
        {DRIFT_ABSENT, EPISODE_GOES_ON}, {DRIFT_FOUND, EPISODE_GOES_ON},
        {DRIFT_ABSENT, EPISODE_GOES_ON}, {DRIFT_ABSENT, EPISODE_ENDS},
        {DRIFT_ABSENT, EPISODE_GOES_ON},
    };
    MonitorRules m = given();
    m.raise_after = 2;
    struct rules r = rules_of(&m);
    struct episode e = {0};

    for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++)
        cr_expect_eq(episode_window(&e, &r, windows[i].outcome), windows[i].turn, "window %zu", i);
    cr_expect_not(e.open);
}
