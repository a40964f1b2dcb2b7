/* SPDX-License-Identifier: Apache-2.0 */
/* test_labels_time.c - labels that are late or of nobody, and how much is kept. */
#include "labels_stage.h"

TestSuite(labels_time, .init = stage_open, .fini = stage_close, .timeout = 60);

static void
grow_old(int64_t ms)
{
    CLEANUP(mem_free)
    char *sql = mem_printf("UPDATE prediction SET at_ms = at_ms - %lld;"
                           "UPDATE labelled SET at_ms = at_ms - %lld;"
                           "UPDATE label_waiting SET received_ms = received_ms - %lld",
                           (long long)ms, (long long)ms, (long long)ms);
    struct db_conn *db;

    OK(db_borrow(stage.f.service.db, &db, &stage.f.err));
    OK(db_script(db, sql, &stage.f.err));
    db_return(db);
}

/* The next message looks for what is too old. */
static void
prune_now(void)
{
    struct store store = {.workspace = stage.f.workspace, .arena = stage.f.arena};
    LabelState *state;

    OK(db_borrow(stage.f.service.db, &store.db, &stage.f.err));
    OK(db_begin(store.db, &stage.f.err));
    OK(store_find_labels(&store, "churn", &state, &stage.f.err));
    state->pruned_at_ms = 0;
    OK(store_set_labels(&store, "churn", state, &stage.f.err));
    OK(db_commit(store.db, &stage.f.err));
    db_return(store.db);
}

Test(labels_time, that_are_late_are_known_to_be)
{
    stage.rules.horizon_s = 3600;
    stage_start();
    OK(stage_predict(0, 2));
    grow_old(3600 * 1000 + 60000);
    prune_now();
    OK(stage_label(0, 1, RIGHT));
    cr_expect_eq(stage_count(LABEL_LATE), 1);
    cr_expect_eq(stage_performance()->predictions, 2, "kept as long again");
    grow_old(3600 * 1000);
    prune_now();
    OK(stage_label(1, 1, RIGHT));
    cr_expect_eq(stage_performance()->predictions, 0);
    cr_expect_eq(stage_count(PREDICTION_UNLABELLED), 2);
}

Test(labels_time, of_nobody_are_unknown_after_the_horizon)
{
    stage.rules.horizon_s = 3600;
    stage_start();
    OK(stage_label(0, 3, RIGHT));
    grow_old(3599 * 1000);
    prune_now();
    OK(stage_predict(100, 1));
    cr_expect_eq(stage_performance()->waiting, 3);
    grow_old(60 * 1000);
    prune_now();
    OK(stage_predict(101, 1));
    cr_expect_eq(stage_count(LABEL_UNKNOWN), 3);
    cr_expect_eq(stage_performance()->waiting, 0);
}

Test(labels_time, that_never_fill_a_window_go)
{
    stage.rules.horizon_s = 3600;
    stage_start();
    OK(stage_predict(0, 5));
    OK(stage_label(0, 5, RIGHT));
    cr_expect_eq(stage_performance()->versions[0]->rows, 5);
    grow_old(2 * 3600 * 1000 + 60000);
    prune_now();
    OK(stage_predict(100, 1));
    cr_expect_eq(stage_performance()->versions[0]->rows, 0);
    cr_expect_eq(stage_performance()->predictions, 1);
    cr_expect_eq(stage_count(PREDICTION_UNLABELLED), 0);
}

Test(labels_time, find_no_prediction_that_came_after_its_horizon)
{
    stage.rules.horizon_s = 3600;
    stage_start();
    OK(stage_label(0, 2, RIGHT));
    stage.age_ms = 3601 * 1000;
    OK(stage_predict(0, 2));
    stage.age_ms = 0;
    cr_expect_eq(stage_count(PREDICTION_UNLABELLED), 2);
    cr_expect_eq(stage_count(LABEL_JOINED), 0);
    cr_expect_eq(stage_performance()->waiting, 2);
}

Test(labels_time, have_bounded_room)
{
    stage.settings.predictions_kept = 30;
    stage_start();
    stage.age_ms = 1000;
    OK(stage_predict(0, 25));
    stage.age_ms = 0;
    OK(stage_predict(25, 25));
    cr_expect_eq(stage_performance()->predictions, 30);
    cr_expect_eq(stage_count(PREDICTION_DROPPED), 20);
    OK(stage_label(0, 50, RIGHT));
    cr_expect_eq(stage_count(LABEL_JOINED), 30, "the newest are kept");
    cr_expect_eq(stage_performance()->waiting, 20);
    OK(stage_label(100, 25, RIGHT));
    cr_expect_eq(stage_performance()->waiting, 30);
    cr_expect_eq(stage_count(LABEL_DROPPED), 15);
}

Test(labels_time, of_a_share_of_the_predictions)
{
    stage.rules.sample = 0.4;
    stage_start();
    OK(stage_label(0, 500, RIGHT));
    OK(stage_predict(0, 1000));
    OK(stage_label(500, 500, RIGHT));
    uint64_t stored = stage_performance()->predictions;
    cr_expect(stored > 330 && stored < 470, "%llu", (unsigned long long)stored);
    cr_expect_eq(stage_count(LABEL_JOINED), stored, "both sides draw the same ids");
    cr_expect_eq(stage_count(LABEL_OUTSIDE_SAMPLE), 1000 - stored);
    cr_expect_eq(stage_performance()->waiting, 0);
}
