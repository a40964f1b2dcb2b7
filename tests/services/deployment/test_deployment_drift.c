/* SPDX-License-Identifier: Apache-2.0 */
/* test_deployment_drift.c - what drift sets off, and how often. */
#include "stage.h"

#include "modelbus/monitoring/v1/events.pb-c.h"

TestSuite(deployment_drift, .init = stage_open, .fini = stage_close);

typedef Modelbus__Deployment__V1__RetrainRequested RetrainRequested;

static enum err_code
set_policy(const char *on_drift, const char *pipeline, uint32_t retrain_cool_down_s,
           uint32_t retrains_per_day)
{
    Modelbus__Deployment__V1__SetDriftPolicyRequest request =
        MODELBUS__DEPLOYMENT__V1__SET_DRIFT_POLICY_REQUEST__INIT;
    Modelbus__Deployment__V1__SetDriftPolicyResponse reply;
    DriftPolicy policy = MODELBUS__DEPLOYMENT__V1__DRIFT_POLICY__INIT;

    request.name = "iris";
    request.policy = &policy;
    policy.on_drift = (char *)on_drift;
    policy.pipeline = (char *)pipeline;
    policy.cool_down_s = 1000;
    policy.retrain_cool_down_s = retrain_cool_down_s;
    policy.retrains_per_day = retrains_per_day;
    return fixture_call(&stage, "SetDriftPolicy", &request, &reply);
}

static enum err_code
drifted(const char *episode, int64_t version, size_t columns)
{
    Modelbus__Monitoring__V1__DriftDetected event = MODELBUS__MONITORING__V1__DRIFT_DETECTED__INIT;
    Modelbus__Monitoring__V1__Window window = MODELBUS__MONITORING__V1__WINDOW__INIT;
    Modelbus__Monitoring__V1__ColumnVerdict verdicts[30];
    Modelbus__Monitoring__V1__ColumnVerdict *list[30];
    char names[30][24];

    for (size_t i = 0; i < columns; i++) {
        modelbus__monitoring__v1__column_verdict__init(&verdicts[i]);
        snprintf(names[i], sizeof(names[i]), "c%zu", i);
        verdicts[i].column = names[i];
        list[i] = &verdicts[i];
    }
    window.number = 7;
    window.start_ms = 1000;
    window.end_ms = 2000;
    event.endpoint = "iris";
    event.model_name = "iris";
    event.version = version;
    event.episode = (char *)episode;
    event.report_id = "report-1";
    event.window = &window;
    event.checked = 30;
    event.drifted = (uint32_t)columns;
    event.columns = list;
    event.n_columns = columns;
    return fixture_hear(&stage, episode, &event);
}

/* What was decided last. */
static DriftAction *
last_action(size_t count)
{
    Modelbus__Deployment__V1__ListDriftActionsRequest request =
        MODELBUS__DEPLOYMENT__V1__LIST_DRIFT_ACTIONS_REQUEST__INIT;
    Modelbus__Deployment__V1__ListDriftActionsResponse reply;

    request.name = "iris";
    OK(fixture_call(&stage, "ListDriftActions", &request, &reply));
    cr_assert_eq(reply.n_actions, count);
    return reply.actions[0];
}

/* All decisions up to now are so much older. */
static void
time_passes(int64_t ms)
{
    struct db_conn *db;
    char sql[160];

    snprintf(sql, sizeof(sql), "UPDATE drift_action SET decided_at_ms = decided_at_ms - %lld",
             (long long)ms);
    OK(db_borrow(stage.service.db, &db, &stage.err));
    OK(db_script(db, sql, &stage.err));
    db_return(db);
}

Test(deployment_drift, drift_asks_for_a_retraining_once_an_episode)
{
    stage_serving_first_of(1);
    FAILS(ERR_INVALID, set_policy("retrain", "", 0, 0));
    OK(set_policy("retrain", "retrain-iris", 0, 0));
    cr_expect_str_eq(stage_get()->drift_policy->pipeline, "retrain-iris");
    OK(drifted("e1", 1, 25));
    RetrainRequested *said =
        fixture_last(&stage, &modelbus__deployment__v1__retrain_requested__descriptor);
    cr_expect_str_eq(said->endpoint, "iris");
    cr_expect_str_eq(said->model_name, "iris");
    cr_expect_eq(said->version, 1);
    cr_expect_str_eq(said->pipeline, "retrain-iris");
    cr_expect_str_eq(said->episode, "e1");
    cr_expect_str_eq(said->report_id, "report-1");
    cr_expect_eq(said->window_number, 7);
    cr_expect_eq(said->window_start_ms, 1000);
    cr_expect_eq(said->window_end_ms, 2000);
    cr_assert_eq(said->n_columns, 20);
    cr_expect_str_eq(said->columns[19], "c19");
    cr_expect(strstr(said->reason, "25 of 30 columns"));
    cr_expect_gt(said->requested_at_ms, 0);
    const DriftAction *action = last_action(1);
    cr_expect_str_eq(action->action, "retrain requested");
    cr_expect_str_eq(action->pipeline, "retrain-iris");
    cr_expect(strstr(action->why, "25 of 30 columns"));
    cr_expect_eq(action->to_version, 0);
    OK(drifted("e1", 1, 25));
    last_action(1);
    cr_expect_eq(fixture_said(&stage, "RetrainRequested"), 1);
    cr_expect_eq(fixture_said(&stage, "RolledBack"), 0);
    cr_expect_eq(stage_get()->generation, 1);
}

Test(deployment_drift, a_storm_of_drift_asks_for_few_retrainings)
{
    char episode[16];

    stage_serving_first_of(1);
    OK(set_policy("retrain", "retrain-iris", 60, 2));
    OK(drifted("e1", 1, 1));
    OK(drifted("e2", 1, 1));
    cr_expect_str_eq(last_action(2)->action, "none");
    cr_expect(strstr(last_action(2)->why, "cools down for another"));
    time_passes(61 * 1000);
    OK(drifted("e3", 1, 1));
    cr_expect_str_eq(last_action(3)->action, "retrain requested");
    time_passes(61 * 1000);
    for (int i = 4; i < 24; i++) {
        snprintf(episode, sizeof(episode), "e%d", i);
        OK(drifted(episode, 1, 1));
    }
    cr_expect(strstr(last_action(23)->why, "cap of 2"), "%s", last_action(23)->why);
    cr_expect_str_empty(last_action(23)->pipeline);
    cr_expect_eq(fixture_said(&stage, "RetrainRequested"), 2);
    time_passes(24 * 3600 * INT64_C(1000));
    OK(drifted("later", 1, 1));
    cr_expect_str_eq(last_action(24)->action, "retrain requested");
    cr_expect_eq(fixture_said(&stage, "RetrainRequested"), 3);
}

Test(deployment_drift, drift_rolls_back_and_retrains_each_as_it_may)
{
    stage_serving_first_of(2);
    OK(set_policy("rollback_and_retrain", "retrain-iris", 3600, 4));
    OK(drifted("e1", 1, 2));
    const DriftAction *action = last_action(1);
    cr_expect_str_eq(action->action, "retrain requested", "nothing to go back to");
    cr_expect(strstr(action->why, "2 of 30 columns: c0, c1; no rollback: endpoint 'iris' has no"),
              "%s", action->why);
    OK(stage_alias_moved(2, 2));
    OK(stage_loaded("pod-a", 2, 2));
    OK(drifted("e2", 2, 2));
    action = last_action(2);
    cr_expect_str_eq(action->action, "rolled back");
    cr_expect_eq(action->to_version, 1);
    cr_expect(strstr(action->why, "; no retraining: cools down for another"), "%s", action->why);
    OK(stage_loaded("pod-a", 3, 1));
    OK(drifted("e3", 1, 2));
    action = last_action(3);
    cr_expect_str_eq(action->action, "none");
    cr_expect(strncmp(action->why, "no rollback: cools down", 23) == 0, "%s", action->why);
    cr_expect(strstr(action->why, "; no retraining: cools down"), "%s", action->why);
    time_passes(4000 * 1000);
    OK(stage_alias_moved(2, 4));
    OK(stage_loaded("pod-a", 4, 2));
    OK(drifted("e4", 2, 2));
    action = last_action(4);
    cr_expect_str_eq(action->action, "rolled back and retrain requested", "%s", action->why);
    cr_expect_str_eq(action->why, "drift of 2 of 30 columns: c0, c1");
    cr_expect_eq(action->to_version, 1);
    cr_expect_str_eq(action->pipeline, "retrain-iris");
    cr_expect_eq(fixture_said(&stage, "RetrainRequested"), 2);
    cr_expect_eq(fixture_said(&stage, "RolledBack"), 2);
}

Test(deployment_drift, drift_of_what_is_no_longer_served_asks_for_nothing)
{
    stage_serving_first_of(2);
    OK(set_policy("rollback_and_retrain", "retrain-iris", 0, 0));
    OK(stage_alias_moved(2, 2));
    OK(drifted("e1", 1, 2));
    cr_expect_str_eq(last_action(1)->action, "none");
    cr_expect(strstr(last_action(1)->why, "no longer the target"));
    OK(set_policy("none", "retrain-iris", 0, 0));
    OK(drifted("e2", 2, 2));
    cr_expect(strstr(last_action(2)->why, "do nothing"));
    cr_expect_eq(fixture_said(&stage, "RetrainRequested"), 0);
}
