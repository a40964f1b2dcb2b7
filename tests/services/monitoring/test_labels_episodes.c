/* SPDX-License-Identifier: Apache-2.0 */
/* test_labels_episodes.c - windows of labels are judged: episodes, versions, instances. */
#include "labels_stage.h"

TestSuite(labels_episodes, .init = stage_open, .fini = stage_close, .timeout = 60);

Test(labels_episodes, begin_and_end_an_episode_once)
{
    PerformanceReport **list;

    stage_start();
    stage_window(RIGHT);
    stage_window(WRONG);
    cr_expect_eq(fixture_said(&stage.f, "PerformanceDegraded"), 0, "one window is not enough");
    stage_window(WRONG);
    stage_window(WRONG);
    cr_assert_eq(fixture_said(&stage.f, "PerformanceDegraded"), 1);
    const PerformanceDegraded *degraded =
        fixture_last(&stage.f, &modelbus__monitoring__v1__performance_degraded__descriptor);
    cr_expect_str_eq(degraded->metric, "accuracy");
    cr_expect(degraded->value == 0 && degraded->bound == 0.8 && degraded->baseline == 1);
    cr_expect(degraded->version == 1 && degraded->window->number == 3);
    cr_expect_eq(degraded->n_metrics, 6);
    cr_expect_str_eq(stage_performance()->state, "degraded");
    cr_expect_str_eq(stage_performance()->episode, degraded->episode);
    stage_window(RIGHT);
    cr_expect_eq(fixture_said(&stage.f, "PerformanceRecovered"), 0);
    stage_window(RIGHT);
    stage_window(RIGHT);
    cr_assert_eq(fixture_said(&stage.f, "PerformanceRecovered"), 1);
    const PerformanceRecovered *recovered =
        fixture_last(&stage.f, &modelbus__monitoring__v1__performance_recovered__descriptor);
    cr_expect_str_eq(recovered->episode, degraded->episode);
    cr_expect(recovered->window->number == 6 && recovered->value == 1);
    cr_expect_leq(recovered->detected_at_ms, recovered->recovered_at_ms);
    cr_expect_str_eq(stage_performance()->state, "ok");
    cr_assert_eq(stage_reports(0, false, &list), 5, "the newest are kept");
    cr_expect(list[0]->window->number == 7 && list[4]->window->number == 3);
    cr_expect_eq(stage_reports(0, true, &list), 2);
    cr_expect_str_eq(list[0]->episode, degraded->episode);
}

Test(labels_episodes, are_judged_beside_the_first_window_of_the_version)
{
    PerformanceReport **list;

    stage.rules.limit = 0;
    stage.rules.max_drop = 0.05;
    stage_start();
    stage_window(RIGHT);
    cr_assert_eq(stage_reports(0, false, &list), 1);
    cr_expect_str_eq(list[0]->outcome, "undecided");
    cr_expect(*list[0]->reason);
    OK(stage_predict(stage.next_row, WINDOW));
    OK(stage_label(stage.next_row, 1, WRONG));
    OK(stage_label(stage.next_row + 1, WINDOW - 1, RIGHT));
    stage.next_row += WINDOW;
    OK(stage_predict(stage.next_row, WINDOW));
    OK(stage_label(stage.next_row, 2, WRONG));
    OK(stage_label(stage.next_row + 2, WINDOW - 2, RIGHT));
    cr_assert_eq(stage_reports(0, false, &list), 3);
    cr_expect_str_eq(list[1]->outcome, "ok", "0.95 is not below 0.95");
    cr_expect_str_eq(list[0]->outcome, "degraded");
    cr_expect(list[0]->baseline == 1 && list[0]->bound == 0.95);
}

Test(labels_episodes, of_a_version_that_was_replaced_are_reported_only)
{
    PerformanceReport **list;

    stage_start();
    OK(stage_predict(0, 4 * WINDOW));
    stage.next_row = 4 * WINDOW;
    stage.version = stage.generation = 2;
    stage_window(RIGHT);
    OK(stage_label(0, 4 * WINDOW, WRONG));
    cr_expect_eq(stage_reports(1, true, &list), 4);
    cr_expect_eq(fixture_said(&stage.f, "PerformanceDegraded"), 0);
    cr_expect_str_eq(stage_performance()->state, "ok");
    cr_expect_eq(stage_performance()->version, 2);
    cr_expect_eq(stage_performance()->n_versions, 2);
    stage.version = stage.generation = 1;
}

Test(labels_episodes, of_the_next_version_end_the_episode_of_the_last)
{
    stage_start();
    stage_window(WRONG);
    stage_window(WRONG);
    cr_assert_eq(fixture_said(&stage.f, "PerformanceDegraded"), 1);
    stage.version = stage.generation = 2;
    stage_window(RIGHT);
    cr_expect_str_eq(stage_performance()->state, "degraded");
    stage_window(RIGHT);
    cr_expect_eq(fixture_said(&stage.f, "PerformanceRecovered"), 1);
    stage.version = stage.generation = 1;
}

/* Each message goes to the other instance. */
Test(labels_episodes, are_shared_by_instances)
{
    PerformanceReport **list;

    stage_start();
    for (size_t i = 0; i < 2 * WINDOW + 5; i++) {
        stage.f.service.state = stage.instances[i % 2];
        OK(i % 3 ? stage_predict(i, 1) : stage_label(i, 1, WRONG));
        stage.f.service.state = stage.instances[(i + 1) % 2];
        OK(i % 3 ? stage_label(i, 1, WRONG) : stage_predict(i, 1));
    }
    cr_assert_eq(stage_reports(0, true, &list), 2);
    cr_expect_eq(stage_count(LABEL_JOINED), 2 * WINDOW + 5);
    cr_expect_eq(stage_performance()->versions[0]->rows, 5);
    cr_expect_eq(fixture_said(&stage.f, "PerformanceDegraded"), 1);
}
