/* SPDX-License-Identifier: Apache-2.0 */
/* test_labels.c - labels meet predictions: every order, every reason; rules, endpoints, REST. */
#include "labels_stage.h"

#include "modelbus/deployment/v1/events.pb-c.h"

#include <math.h>
#include <stdlib.h>

#define TOO_LONG 251

TestSuite(labels, .init = stage_open, .fini = stage_close, .timeout = 60);

/* ---- joining ---- */

Test(labels, meet_predictions_that_came_before)
{
    PerformanceReport **list;

    stage_start();
    OK(stage_predict(0, WINDOW));
    OK(stage_label(0, WINDOW - 2, RIGHT));
    cr_expect_eq(stage_reports(0, false, &list), 0);
    cr_expect_eq(stage_performance()->versions[0]->rows, WINDOW - 2);
    OK(stage_label(WINDOW - 2, 2, WRONG));
    cr_assert_eq(stage_reports(0, false, &list), 1);
    cr_expect_eq(stage_count(LABEL_JOINED), WINDOW);
    cr_expect_eq(list[0]->window->rows, WINDOW);
    cr_expect_eq(list[0]->window->positives, WINDOW / 2);
    cr_expect_float_eq(stage_metric(list[0], PERFORMANCE_ACCURACY), 0.9, 1e-15);
    cr_expect_float_eq(stage_metric(list[0], PERFORMANCE_AUC), 0.9, 1e-15);
    cr_expect_str_eq(list[0]->outcome, "ok");
    cr_expect_str_eq(stage_performance()->state, "ok");
}

Test(labels, wait_for_predictions_that_come_after)
{
    PerformanceReport **list;

    stage_start();
    OK(stage_label(0, WINDOW, RIGHT));
    cr_expect_eq(stage_performance()->waiting, WINDOW);
    OK(stage_predict(0, WINDOW / 2));
    cr_expect_eq(stage_performance()->waiting, WINDOW / 2);
    cr_expect_eq(stage_reports(0, false, &list), 0);
    OK(stage_predict(WINDOW / 2, WINDOW / 2));
    cr_assert_eq(stage_reports(0, false, &list), 1);
    cr_expect_eq(stage_metric(list[0], PERFORMANCE_ACCURACY), 1);
    cr_expect_eq(stage_count(LABEL_JOINED), WINDOW);
    cr_expect_eq(stage_performance()->waiting, 0);
}

/* A message that is handled again, under another id, changes nothing. */
Test(labels, are_joined_once)
{
    PerformanceReport **list;

    stage_start();
    OK(stage_predict(0, WINDOW));
    OK(stage_label(0, WINDOW, RIGHT));
    OK(stage_label(0, WINDOW, RIGHT));
    OK(stage_predict(0, WINDOW));
    cr_expect_eq(stage_count(LABEL_JOINED), WINDOW);
    cr_expect_eq(stage_count(LABEL_DUPLICATE), WINDOW);
    cr_expect_eq(stage_count(PREDICTION_REPEATED), WINDOW);
    cr_expect_eq(stage_count(PREDICTION_STORED), WINDOW);
    cr_expect_eq(stage_reports(0, false, &list), 1);
    cr_expect_eq(stage_performance()->predictions, WINDOW);
}

Test(labels, do_not_change)
{
    static const struct db_stmt first = {"SELECT label::bigint FROM prediction WHERE id = 'p1'"};

    stage_start();
    OK(stage_predict(1, 1));
    OK(stage_label(1, 1, RIGHT));
    OK(stage_label(1, 1, WRONG));
    cr_expect_eq(stage_count(LABEL_CONFLICTING), 1);
    cr_expect_eq(fixture_number(&stage.f, &first), 1);
}

Test(labels, may_repeat_and_contradict_while_they_wait)
{
    stage_start();
    OK(stage_label_one("x", "1"));
    OK(stage_label_one("x", "1.0"));
    OK(stage_label_one("x", "0"));
    cr_expect_eq(stage_count(LABEL_DUPLICATE), 1);
    cr_expect_eq(stage_count(LABEL_CONFLICTING), 1);
    cr_expect_eq(stage_performance()->waiting, 1);
}

Test(labels, of_one_message_may_repeat)
{
    LabelsReceived m = MODELBUS__MONITORING__V1__LABELS_RECEIVED__INIT;
    Label labels[6], *list[6];
    static char *ids[] = {"p1", "p1", "p1", "new", "new", "new"};
    static char *values[] = {"1", "1", "0", "0", "0", "1"};

    stage_start();
    OK(stage_predict(1, 1));
    for (int i = 0; i < 6; i++) {
        labels[i] = (Label)MODELBUS__MONITORING__V1__PREDICTION_LABEL__INIT;
        labels[i].prediction_id = ids[i];
        labels[i].value = values[i];
        list[i] = &labels[i];
    }
    m.endpoint = "churn";
    m.labels = list;
    m.n_labels = 6;
    OK(fixture_hear(&stage.f, "l", &m));
    cr_expect_eq(stage_count(LABEL_JOINED), 1);
    cr_expect_eq(stage_performance()->waiting, 1);
    cr_expect_eq(stage_count(LABEL_DUPLICATE), 2);
    cr_expect_eq(stage_count(LABEL_CONFLICTING), 2);
}

Test(labels, that_are_not_what_the_task_wants_are_counted)
{
    stage_start();
    OK(stage_predict(1, 1));
    OK(stage_label_one("p1", "perhaps"));
    OK(stage_label_one("nobody", "perhaps"));
    cr_expect_eq(stage_count(LABEL_INVALID), 2);
    OK(stage_label_one("p1", "true"));
    cr_expect_eq(stage_count(LABEL_JOINED), 1);
}

Test(labels, without_rules_are_counted_and_no_row_is_stored)
{
    static const struct db_stmt rows = {
        "SELECT (SELECT count(*) FROM prediction) + (SELECT count(*) FROM label_waiting)"};

    stage.rules.task = "";
    stage_start();
    OK(stage_predict(0, 5));
    OK(stage_label(0, 3, RIGHT));
    cr_expect_eq(fixture_number(&stage.f, &rows), 0);
    cr_expect_eq(stage_count(LABEL_OFF), 3);
    cr_expect_str_eq(stage_performance()->state, "off");
}

/* ---- outputs ---- */

Test(labels, are_compared_with_the_output_that_is_named)
{
    PerformanceReport **list;

    stage.rules.output = "other";
    stage_start();
    OK(stage_predict(0, WINDOW));
    OK(stage_label(0, WINDOW, RIGHT));
    cr_assert_eq(stage_reports(0, true, &list), 1);
    cr_expect_eq(stage_metric(list[0], PERFORMANCE_AUC), 0);
}

Test(labels, need_an_output_that_exists)
{
    stage.rules.output = "score";
    stage_start();
    OK(stage_predict(0, 3));
    cr_expect_eq(stage_count(PREDICTION_UNUSABLE), 3);
    cr_expect(strstr(stage_performance()->problem, "version 1 has no output 'score'"), "%s",
              stage_performance()->problem);
}

/* ---- rules and endpoints ---- */

Test(labels, go_when_the_rules_make_them_useless)
{
    stage_start();
    stage_window(WRONG);
    stage_window(WRONG);
    OK(stage_predict(1000, 3));
    OK(stage_label(2000, 4, RIGHT));
    stage.rules.max_drop = 0.3;
    stage.rules.window_rows = 10;
    OK(stage_set_rules());
    cr_expect_eq(stage_performance()->predictions, 2 * WINDOW + 3, "other bounds change no row");
    cr_expect_eq(fixture_said(&stage.f, "PerformanceRecovered"), 0);
    stage.rules.output = "other";
    OK(stage_set_rules());
    cr_expect_eq(stage_performance()->predictions, 0);
    cr_expect_eq(stage_count(LABEL_DROPPED), 4);
    cr_assert_eq(fixture_said(&stage.f, "PerformanceRecovered"), 1);
    const PerformanceRecovered *recovered =
        fixture_last(&stage.f, &modelbus__monitoring__v1__performance_recovered__descriptor);
    cr_expect(!recovered->window && isnan(recovered->value));
    cr_expect_str_eq(stage_performance()->state, "unknown");
}

Test(labels, go_with_their_endpoint)
{
    Modelbus__Deployment__V1__EndpointDeleted event =
        MODELBUS__DEPLOYMENT__V1__ENDPOINT_DELETED__INIT;
    static const struct db_stmt rows = {
        "SELECT (SELECT count(*) FROM prediction) + (SELECT count(*) FROM label_waiting)"
        " + (SELECT count(*) FROM label_state) + (SELECT count(*) FROM labelled) + (SELECT "
        "count(*) FROM performance_report)"};

    stage_start();
    stage_window(WRONG);
    stage_window(WRONG);
    OK(stage_label(1000, 3, RIGHT));
    event.endpoint = "churn";
    OK(fixture_hear(&stage.f, "e", &event));
    cr_expect_eq(fixture_number(&stage.f, &rows), 0);
    cr_expect_eq(fixture_said(&stage.f, "PerformanceRecovered"), 1);
    cr_expect_eq(stage_label(0, 1, RIGHT), ERR_NOT_FOUND, "a dead letter, with the reason");
}

Test(labels, are_refused_when_they_are_malformed)
{
    static char long_value[TOO_LONG + 1];
    static const char *const bad[][2] = {
        {"", "1"}, {"a\nb", "1"}, {"a", ""}, {"a", long_value}, {"a", "\xff"}};

    memset(long_value, 'x', TOO_LONG);
    stage_start();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        cr_expect_eq(stage_label_one(bad[i][0], bad[i][1]), ERR_INVALID, "%zu", i);
        cr_expect(strstr(stage.f.err.message, "labels[0]"), "%s", stage.f.err.message);
    }
    cr_expect_eq(stage_count(LABEL_RECEIVED), 0);
}

/* ---- REST ---- */

static enum err_code
push(size_t n, uint32_t *taken)
{
    Modelbus__Monitoring__V1__PushLabelsRequest request =
        MODELBUS__MONITORING__V1__PUSH_LABELS_REQUEST__INIT;
    Modelbus__Monitoring__V1__PushLabelsResponse reply;
    Label one = MODELBUS__MONITORING__V1__PREDICTION_LABEL__INIT;
    Label **list = calloc(n + 1, sizeof(Label *));

    one.prediction_id = "p1";
    one.value = "1";
    for (size_t i = 0; i < n; i++)
        list[i] = &one;
    request.endpoint = "churn";
    request.labels = list;
    request.n_labels = n;
    enum err_code code = CALL(&stage.f, "PushLabels", &request, &reply);
    free(list);
    if (!code)
        *taken = reply.taken;
    return code;
}

Test(labels, that_are_pushed_become_an_event)
{
    uint32_t taken = 0;

    cr_expect_eq(push(1, &taken), ERR_NOT_FOUND);
    stage_start();
    OK(push(3, &taken));
    cr_expect_eq(taken, 3);
    const LabelsReceived *said =
        fixture_last(&stage.f, &modelbus__monitoring__v1__labels_received__descriptor);
    cr_expect(said->n_labels == 3 && strcmp(said->labels[2]->prediction_id, "p1") == 0);
    cr_expect_eq(stage_count(LABEL_RECEIVED), 0, "the event is what counts");
    OK(fixture_hear(&stage.f, "l", said));
    cr_expect_eq(stage_count(LABEL_RECEIVED), 3);
    cr_expect_eq(push(0, &taken), ERR_INVALID);
    cr_expect_eq(push(LABELS_MAX + 1, &taken), ERR_INVALID);
    stage.rules.task = "";
    OK(stage_set_rules());
    cr_expect_eq(push(1, &taken), ERR_PRECONDITION);
    cr_expect(strstr(stage.f.err.message, "modelbus label rules"), "%s", stage.f.err.message);
}

Test(labels, have_reports_by_id)
{
    Modelbus__Monitoring__V1__GetPerformanceReportRequest request =
        MODELBUS__MONITORING__V1__GET_PERFORMANCE_REPORT_REQUEST__INIT;
    Modelbus__Monitoring__V1__GetPerformanceReportResponse reply;
    PerformanceReport **list;

    stage_start();
    stage_window(RIGHT);
    cr_assert_eq(stage_reports(1, false, &list), 1);
    request.id = list[0]->id;
    OK(CALL(&stage.f, "GetPerformanceReport", &request, &reply));
    cr_expect_eq(reply.report->window->number, 1);
    cr_expect_str_eq(reply.report->rules->metric, "accuracy");
    request.id = "01234567-89ab-7def-8123-456789abcdef";
    cr_expect_eq(CALL(&stage.f, "GetPerformanceReport", &request, &reply), ERR_NOT_FOUND);
    cr_expect_eq(stage_reports(2, false, &list), 0);
}

Test(labels, of_numbers)
{
    PerformanceReport **list;

    stage.rules = (PerformanceRules)MODELBUS__MONITORING__V1__PERFORMANCE_RULES__INIT;
    stage.rules.task = "regression";
    stage.rules.window_rows = WINDOW;
    stage_start();
    OK(stage_predict(0, WINDOW));
    for (size_t i = 0; i < WINDOW; i++) {
        char id[32];
        snprintf(id, sizeof(id), "p%zu", i);
        OK(stage_label_one(id, i % 2 ? "1.9" : "-0.9"));
    }
    cr_assert_eq(stage_reports(0, false, &list), 1);
    cr_expect_eq(list[0]->n_metrics, 2);
    cr_expect_float_eq(stage_metric(list[0], PERFORMANCE_MAE), 1, 1e-7, "outputs are floats");
    cr_expect_str_eq(list[0]->outcome, "undecided");
}
