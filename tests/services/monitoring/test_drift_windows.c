/* SPDX-License-Identifier: Apache-2.0 */
/* test_drift_windows.c - windows of rows begin, end and are judged, over several instances. */
#include "drift_stage.h"
#include "timer.h"

#include "life/life.h"

TestSuite(drift_windows, .init = stage_open, .fini = stage_close);

Test(drift_windows, an_episode_begins_and_ends_once)
{
    Report **list;

    stage_start(NULL);
    OK(stage_rows(200, 0));
    cr_expect_str_eq(stage_monitor()->state, "ok");
    OK(stage_rows(100, 50));
    cr_expect_eq(fixture_said(&stage.f, "DriftDetected"), 0, "one window is not enough");
    OK(stage_rows(300, 50));
    cr_expect_eq(fixture_said(&stage.f, "DriftDetected"), 1);
    const DriftDetected *detected =
        fixture_last(&stage.f, &modelbus__monitoring__v1__drift_detected__descriptor);
    cr_expect_eq(detected->window->number, 4);
    cr_expect(detected->n_columns == 1 && detected->drifted == 1 && detected->checked == 1);
    cr_expect_str_eq(stage_monitor()->state, "drift");
    cr_expect_str_eq(stage_monitor()->episode, detected->episode);
    OK(stage_rows(300, 0));
    cr_expect_eq(fixture_said(&stage.f, "DriftCleared"), 1);
    const DriftCleared *cleared =
        fixture_last(&stage.f, &modelbus__monitoring__v1__drift_cleared__descriptor);
    cr_expect_str_eq(cleared->episode, detected->episode);
    cr_expect_eq(cleared->window->number, 8);
    cr_expect_str_eq(stage_monitor()->state, "ok");
    cr_assert_eq(stage_reports(&list), 5, "the newest are kept");
    cr_expect(list[0]->window->number == 9 && list[4]->window->number == 5);
    cr_expect_str_eq(list[0]->outcome, "no drift");
    cr_expect_str_eq(list[4]->outcome, "drift");
}

/* Every message goes to the other instance: rows of a window come together all the same. */
Test(drift_windows, moves_between_instances_without_a_row_lost)
{
    size_t sent = 0;
    Report **list;

    stage_start(NULL);
    for (int i = 0; i < 60; i++) {
        stage.f.service.state = stage.instances[i % 2];
        OK(stage_rows(7, 0));
        sent += 7;
        cr_assert_eq(stage_monitor()->window->rows, sent % 100);
    }
    cr_assert_eq(stage_reports(&list), 4);
    for (int i = 0; i < 4; i++)
        cr_expect(list[i]->window->rows == 100 && list[i]->window->compared == 100);
}

static void
many_small_messages(MonitorRules *rules)
{
    rules->window_rows = 1000;
}

Test(drift_windows, pieces_of_a_window_are_joined)
{
    static const struct db_stmt parts = {"SELECT count(*) FROM pane_part"};

    stage_start(many_small_messages);
    for (int i = 0; i < 500; i++)
        OK(stage_rows(1, i % 100));
    cr_expect_leq(fixture_number(&stage.f, &parts), WATCH_PARTS);
    stage.f.service.state = stage.instances[1];
    OK(stage_rows(1, 0));
    cr_expect_eq(stage_monitor()->window->rows, 501);
    cr_expect_eq(stage_monitor()->window->compared, 501);
}

static void
sliding(MonitorRules *rules)
{
    rules->window_rows = 200;
    rules->slide_rows = 50;
    rules->min_rows = 200;
}

Test(drift_windows, windows_may_overlap)
{
    Report **list;

    stage_start(sliding);
    OK(stage_rows(350, 0));
    cr_assert_eq(stage_reports(&list), 4, "after 200, 250, 300 and 350 rows");
    for (int i = 0; i < 4; i++)
        cr_expect_eq(list[i]->window->rows, 200);
    stage.f.service.state = stage.instances[1];
    OK(stage_rows(50, 0));
    cr_assert_eq(stage_reports(&list), 5);
    cr_expect(list[0]->window->rows == 200 && list[0]->window->compared == 200);
}

static void
timed(MonitorRules *rules)
{
    rules->window_rows = 1000;
    rules->window_seconds = 60;
}

Test(drift_windows, a_window_may_end_by_time)
{
    Report **list;

    stage_start(timed);
    OK(stage_rows(49, 0));
    stage.clock_ms += 61000;
    OK(stage_rows(20, 0));
    cr_expect_eq(stage_reports(&list), 0, "49 rows are fewer than min_rows");
    stage.clock_ms += 61000;
    OK(stage_rows(5, 0));
    cr_assert_eq(stage_reports(&list), 1);
    cr_expect_eq(list[0]->window->rows, 69);
    cr_expect_eq(stage_monitor()->window->rows, 5);
}

/* By the clock of instance i, so many seconds from now. */
static bool
tick(int i, int64_t seconds)
{
    bool did;

    OK(timer_step(&stage.f.service, stage.instances[i], life_now_ms() + seconds * 1000, &did,
                  &stage.f.err));
    return did;
}

Test(drift_windows, a_window_by_time_ends_though_no_row_comes)
{
    Report **list;

    stage_start(timed);
    OK(stage_rows(49, 50));
    cr_expect_not(tick(0, 61), "too few rows");
    OK(stage_rows(20, 50));
    cr_expect_not(tick(1, 50), "too early");
    cr_expect_eq(stage_reports(&list), 0);
    cr_expect(tick(1, 61));
    cr_expect_not(tick(0, 61), "once");
    cr_assert_eq(stage_reports(&list), 1);
    cr_expect(list[0]->window->rows == 69 && list[0]->window->compared == 69);
    cr_expect_eq(stage_monitor()->window->rows, 0);
    /* The consumer goes on with what the timer of another instance left, and the reverse. */
    OK(stage_rows(60, 50));
    cr_expect(tick(1, 61));
    cr_expect_eq(fixture_said(&stage.f, "DriftDetected"), 1);
    OK(stage_rows(30, 0));
    cr_expect_eq(stage_monitor()->window->rows, 30);
    cr_assert_eq(stage_reports(&list), 2);
}

/* What cannot be judged now waits and holds up no other endpoint. */
Test(drift_windows, a_window_that_cannot_be_judged_is_postponed)
{
    static const struct db_stmt damage = {"UPDATE pane_part SET rows = 'x' RETURNING 1"};
    static const struct db_stmt due = {"SELECT due_ms FROM monitor"};
    Report **list;

    stage_start(timed);
    OK(stage_rows(60, 0));
    int64_t was = fixture_number(&stage.f, &due);
    fixture_number(&stage.f, &damage);
    cr_expect(tick(1, 61));
    cr_expect_geq(fixture_number(&stage.f, &due), was + TIMER_POSTPONED_MS);
    cr_expect_not(tick(1, 61));
    cr_expect_eq(stage_reports(&list), 0);
}

static void
sliding_by_time(MonitorRules *rules)
{
    rules->window_rows = 400;
    rules->slide_rows = 200;
    rules->window_seconds = 60;
}

Test(drift_windows, overlapping_windows_end_by_the_clock_too)
{
    Report **list;

    stage_start(sliding_by_time);
    OK(stage_rows(50, 0));
    cr_expect(tick(0, 31));
    cr_expect_eq(stage_reports(&list), 0, "half a window");
    OK(stage_rows(50, 0));
    cr_expect(tick(0, 31));
    cr_assert_eq(stage_reports(&list), 1);
    cr_expect_eq(list[0]->window->rows, 100);
}
