/* SPDX-License-Identifier: Apache-2.0 */
/* test_monitoring_service.c - versions, segments, rules and endpoints, on a real database. */
#include "drift_stage.h"

TestSuite(monitoring_service, .init = stage_open, .fini = stage_close);

/* ---- versions ---- */

Test(monitoring_service, follows_the_newest_generation)
{
    stage_start(NULL);
    OK(stage_rows(150, 0));
    stage.generation = 2;
    stage.version = 2;
    OK(stage_rows(30, 0));
    Monitor *m = stage_monitor();
    cr_expect(m->version == 2 && m->generation == 2);
    cr_expect_str_eq(m->reference->kind, "none", "a new version learns anew");
    cr_expect_eq(m->window->rows, 30);
    stage.generation = 1;
    stage.version = 1;
    OK(stage_rows(40, 0));
    m = stage_monitor();
    cr_expect(m->version == 2 && m->window->rows == 30 && m->rows_other == 40);
    stage.generation = 3;
    OK(stage_rows(10, 0));
    m = stage_monitor();
    cr_expect(m->version == 1 && m->generation == 3);
    cr_expect_str_eq(m->reference->kind, "rows", "what was learned of the first version is kept");
}

/* ---- segments ---- */

static char *segment_columns[] = {"group"};

static void
by_group(MonitorRules *rules)
{
    rules->segments = segment_columns;
    rules->n_segments = 1;
}

/* Names of segments survive the way to another instance, while they are learned and after. */
Test(monitoring_service, segments_are_judged_beside_the_whole)
{
    Modelbus__Monitoring__V1__GetReportRequest request =
        MODELBUS__MONITORING__V1__GET_REPORT_REQUEST__INIT;
    Modelbus__Monitoring__V1__GetReportResponse reply =
        MODELBUS__MONITORING__V1__GET_REPORT_RESPONSE__INIT;
    Report **list;

    stage.with_group = true;
    OK(stage_deployed());
    OK(stage_set_rules(by_group));
    cr_expect_str_eq(stage_monitor()->rules->segments[0], "group");
    for (int i = 0; i < 10; i++) {
        stage.f.service.state = stage.instances[i % 2];
        OK(stage_rows(10, 0));
    }
    OK(stage_rows(100, 40));
    OK(stage_rows(100, 40));
    cr_assert_eq(stage_reports(&list), 2);
    cr_expect_eq(list[0]->n_segments, 0, "not in lists");
    request.id = list[0]->id;
    OK(CALL(&stage.f, "GetReport", &request, &reply));
    const Report *r = reply.report;
    cr_assert_eq(r->n_segments, 3);
    for (size_t i = 0; i < 3; i++) {
        bool odd = strcmp(r->segments[i]->name, "group=odd") == 0;
        bool others = strcmp(r->segments[i]->name, "group=(others)") == 0;
        cr_expect_str_eq(r->segments[i]->outcome, odd      ? "drift"
                                                  : others ? "undecided"
                                                           : "no drift");
        cr_expect_eq(r->segments[i]->current_rows, others ? 0 : 50);
    }
    const ColumnVerdict *last = r->columns[r->n_columns - 1];
    cr_expect_str_eq(last->segment, "group=odd");
    cr_expect_str_eq(last->column, "x");
    cr_expect_eq(fixture_said(&stage.f, "DriftDetected"), 1);
    const DriftDetected *detected =
        fixture_last(&stage.f, &modelbus__monitoring__v1__drift_detected__descriptor);
    cr_expect(detected->drifted == 1 && detected->n_columns == 1);
}

/* ---- rules, endpoints, malformed rows ---- */

static void
disabled(MonitorRules *rules)
{
    rules->disabled = true;
}

Test(monitoring_service, what_is_not_judged_any_more_has_no_episode)
{
    stage_start(NULL);
    OK(stage_rows(200, 50));
    cr_assert_str_eq(stage_monitor()->state, "drift");
    OK(stage_set_rules(disabled));
    cr_expect_eq(fixture_said(&stage.f, "DriftCleared"), 1);
    cr_expect_str_eq(stage_monitor()->state, "ok");
    OK(stage_rows(500, 50));
    cr_expect_eq(stage_monitor()->rows_other, 500);
    OK(stage_set_rules(NULL));
    OK(stage_rows(200, 50));
    cr_expect_eq(fixture_said(&stage.f, "DriftDetected"), 2);
}

Test(monitoring_service, an_endpoint_that_is_gone_leaves_nothing)
{
    static const struct db_stmt left = {
        "SELECT (SELECT count(*) FROM monitor) + (SELECT count(*) FROM report)"
        " + (SELECT count(*) FROM pane_part) + (SELECT count(*) FROM reference)"};
    Modelbus__Deployment__V1__EndpointDeleted event =
        MODELBUS__DEPLOYMENT__V1__ENDPOINT_DELETED__INIT;

    stage_start(NULL);
    OK(stage_rows(250, 50));
    event.endpoint = "iris";
    event.generation = 2;
    OK(fixture_hear(&stage.f, "e", &event));
    cr_expect_eq(fixture_said(&stage.f, "DriftCleared"), 1);
    cr_expect_eq(fixture_number(&stage.f, &left), 0);
    OK(fixture_hear(&stage.f, "e2", &event));
    OK(stage_rows(10, 0));
    cr_expect_eq(stage_monitor()->window->rows, 10, "it begins anew");
}

Test(monitoring_service, rows_without_a_value_are_a_finding)
{
    Report **list;

    stage_start(NULL);
    OK(stage_rows(100, NAN));
    cr_assert_eq(stage_reports(&list), 1);
    cr_expect_str_eq(list[0]->outcome, "drift");
}

Test(monitoring_service, malformed_rows_are_refused_and_change_nothing)
{
    stage_start(NULL);
    OK(stage_rows(40, 0));
    stage.generation = 0;
    FAILS(ERR_INVALID, stage_rows(10, 0));
    stage.generation = 1;
    stage.version = 0;
    FAILS(ERR_INVALID, stage_rows(10, 0));
    stage.version = 1;
    FAILS(ERR_INVALID, stage_rows(0, 0));
    OK(stage_rows(10, 0));
    cr_expect_eq(stage_monitor()->window->rows, 50);
}

Test(monitoring_service, another_workspace_sees_nothing)
{
    Modelbus__Monitoring__V1__GetMonitorRequest request =
        MODELBUS__MONITORING__V1__GET_MONITOR_REQUEST__INIT;
    Modelbus__Monitoring__V1__GetMonitorResponse reply =
        MODELBUS__MONITORING__V1__GET_MONITOR_RESPONSE__INIT;
    Modelbus__Monitoring__V1__GetReportRequest get =
        MODELBUS__MONITORING__V1__GET_REPORT_REQUEST__INIT;
    Modelbus__Monitoring__V1__GetReportResponse got =
        MODELBUS__MONITORING__V1__GET_REPORT_RESPONSE__INIT;
    Report **list;

    stage_start(NULL);
    OK(stage_rows(100, 0));
    cr_assert_eq(stage_reports(&list), 1);
    request.endpoint = "iris";
    get.id = list[0]->id;
    OK(CALL(&stage.f, "GetReport", &get, &got));
    cr_expect_eq(got.report->n_columns, 1);
    stage.f.workspace = "other";
    FAILS(ERR_NOT_FOUND, CALL(&stage.f, "GetMonitor", &request, &reply));
    FAILS(ERR_NOT_FOUND, CALL(&stage.f, "GetReport", &get, &got));
    cr_expect_eq(stage_reports(&list), 0);
}
