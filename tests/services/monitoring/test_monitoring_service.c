/* SPDX-License-Identifier: Apache-2.0 */
/* test_monitoring_service.c - the monitoring service's handlers on a real database. */
#include "../fixture.h"
#include "changes.h"

#include "modelbus/deployment/v1/events.pb-c.h"
#include "modelbus/monitoring/v1/events.pb-c.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define OK(call) cr_assert_eq(call, ERR_OK, "%s: %s", #call, f.err.message)
#define FAILS(code, call) cr_assert_eq(call, code, "%s: %s", #call, f.err.message)
#define ROWS_MAX 1000

typedef Modelbus__Serving__V1__Column Column;
typedef Modelbus__Monitoring__V1__DriftDetected DriftDetected;
typedef Modelbus__Monitoring__V1__DriftCleared DriftCleared;

static struct fixture f;
static struct monitoring *instances[2];
static struct monitoring_settings settings = {.cache_bytes = 64 << 20, .reports_kept = 5};

static void
set_up(void)
{
    static const struct service_spec spec = {
        .name = "monitoring",
        .schema = monitoring_schema,
        .subscriptions = monitoring_events,
        .interface = &modelbus__monitoring__v1__monitoring__descriptor,
        .methods = monitoring_queries,
    };
    fixture_open(&f, &spec);
    for (int i = 0; i < 2; i++)
        instances[i] = monitoring_new(&settings, NULL);
    f.service.state = instances[0];
}

static void
tear_down(void)
{
    for (int i = 0; i < 2; i++)
        monitoring_free(instances[i]);
    fixture_close(&f);
}

TestSuite(monitoring_service, .init = set_up, .fini = tear_down);

/* ---- rows ---- */

static int64_t clock_ms = 1700000000000;
static int64_t version = 1, generation = 1;

/* Rows of one feature: row i is (i % 100) + shift, in an order that mixes; NaN when shift is. */
static enum err_code
rows(size_t count, double shift)
{
    PredictionsLogged m = MODELBUS__SERVING__V1__PREDICTIONS_LOGGED__INIT;
    static double values[ROWS_MAX];
    static int64_t times[ROWS_MAX];
    Column column = MODELBUS__SERVING__V1__COLUMN__INIT;
    Column *columns[] = {&column};

    for (size_t i = 0; i < count; i++) {
        values[i] = (double)(i * 37 % 100) + shift;
        times[i] = clock_ms + (int64_t)i;
    }
    clock_ms += (int64_t)count;
    column.name = "x";
    column.doubles = values;
    column.n_doubles = count;
    m.endpoint = "iris";
    m.model_name = "iris";
    m.version = version;
    m.generation = generation;
    m.pod = "pod";
    m.row_count = (uint32_t)count;
    m.timestamps_ms = times;
    m.n_timestamps_ms = count;
    m.features = columns;
    m.n_features = 1;
    return fixture_hear(&f, "p", &m);
}

static enum err_code
set_rules(void (*change)(MonitorRules *rules))
{
    Modelbus__Monitoring__V1__UpdateMonitorRequest request =
        MODELBUS__MONITORING__V1__UPDATE_MONITOR_REQUEST__INIT;
    Modelbus__Monitoring__V1__UpdateMonitorResponse reply =
        MODELBUS__MONITORING__V1__UPDATE_MONITOR_RESPONSE__INIT;
    MonitorRules r = MODELBUS__MONITORING__V1__MONITOR_RULES__INIT;

    r.window_rows = r.reference_rows = 100;
    r.min_rows = 50;
    r.raise_after = 2;
    if (change)
        change(&r);
    request.endpoint = "iris";
    request.rules = &r;
    return CALL(&f, "UpdateMonitor", &request, &reply);
}

static enum err_code
deployed(void)
{
    Modelbus__Deployment__V1__ModelDeployed event = MODELBUS__DEPLOYMENT__V1__MODEL_DEPLOYED__INIT;
    Modelbus__Deployment__V1__Target target = MODELBUS__DEPLOYMENT__V1__TARGET__INIT;

    target.model_name = "iris";
    target.version = version;
    event.endpoint = "iris";
    event.generation = generation;
    event.target = &target;
    return fixture_hear(&f, "d", &event);
}

static Monitor *
monitor(void)
{
    Modelbus__Monitoring__V1__GetMonitorRequest request =
        MODELBUS__MONITORING__V1__GET_MONITOR_REQUEST__INIT;
    Modelbus__Monitoring__V1__GetMonitorResponse reply =
        MODELBUS__MONITORING__V1__GET_MONITOR_RESPONSE__INIT;

    request.endpoint = "iris";
    OK(CALL(&f, "GetMonitor", &request, &reply));
    return reply.monitor;
}

static size_t
reports(Report ***list)
{
    Modelbus__Monitoring__V1__ListReportsRequest request =
        MODELBUS__MONITORING__V1__LIST_REPORTS_REQUEST__INIT;
    Modelbus__Monitoring__V1__ListReportsResponse reply =
        MODELBUS__MONITORING__V1__LIST_REPORTS_RESPONSE__INIT;

    request.endpoint = "iris";
    OK(CALL(&f, "ListReports", &request, &reply));
    *list = reply.reports;
    return reply.n_reports;
}

static void
start(void (*change)(MonitorRules *rules))
{
    OK(deployed());
    OK(set_rules(change));
    OK(rows(100, 0));
    cr_assert_str_eq(monitor()->reference->kind, "rows");
}

/* ---- windows ---- */

Test(monitoring_service, an_episode_begins_and_ends_once)
{
    Report **list;

    start(NULL);
    OK(rows(200, 0));
    cr_expect_str_eq(monitor()->state, "ok");
    OK(rows(100, 50));
    cr_expect_eq(fixture_said(&f, "DriftDetected"), 0, "one window is not enough");
    OK(rows(300, 50));
    cr_expect_eq(fixture_said(&f, "DriftDetected"), 1);
    const DriftDetected *detected =
        fixture_last(&f, &modelbus__monitoring__v1__drift_detected__descriptor);
    cr_expect_eq(detected->window->number, 4);
    cr_expect(detected->n_columns == 1 && detected->drifted == 1 && detected->checked == 1);
    cr_expect_str_eq(monitor()->state, "drift");
    cr_expect_str_eq(monitor()->episode, detected->episode);
    OK(rows(300, 0));
    cr_expect_eq(fixture_said(&f, "DriftCleared"), 1);
    const DriftCleared *cleared =
        fixture_last(&f, &modelbus__monitoring__v1__drift_cleared__descriptor);
    cr_expect_str_eq(cleared->episode, detected->episode);
    cr_expect_eq(cleared->window->number, 8);
    cr_expect_str_eq(monitor()->state, "ok");
    cr_assert_eq(reports(&list), 5, "the newest are kept");
    cr_expect(list[0]->window->number == 9 && list[4]->window->number == 5);
    cr_expect_str_eq(list[0]->outcome, "no drift");
    cr_expect_str_eq(list[4]->outcome, "drift");
}

/* Every message goes to the other instance: rows of a window come together all the same. */
Test(monitoring_service, moves_between_instances_without_a_row_lost)
{
    size_t sent = 0;
    Report **list;

    start(NULL);
    for (int i = 0; i < 60; i++) {
        f.service.state = instances[i % 2];
        OK(rows(7, 0));
        sent += 7;
        cr_assert_eq(monitor()->window->rows, sent % 100);
    }
    cr_assert_eq(reports(&list), 4);
    for (int i = 0; i < 4; i++)
        cr_expect(list[i]->window->rows == 100 && list[i]->window->compared == 100);
}

static void
many_small_messages(MonitorRules *rules)
{
    rules->window_rows = 1000;
}

Test(monitoring_service, pieces_of_a_window_are_joined)
{
    static const struct db_stmt parts = {"SELECT count(*) FROM pane_part"};

    start(many_small_messages);
    for (int i = 0; i < 500; i++)
        OK(rows(1, i % 100));
    cr_expect_leq(fixture_number(&f, &parts), WATCH_PARTS);
    f.service.state = instances[1];
    OK(rows(1, 0));
    cr_expect_eq(monitor()->window->rows, 501);
    cr_expect_eq(monitor()->window->compared, 501);
}

static void
sliding(MonitorRules *rules)
{
    rules->window_rows = 200;
    rules->slide_rows = 50;
    rules->min_rows = 200;
}

Test(monitoring_service, windows_may_overlap)
{
    Report **list;

    start(sliding);
    OK(rows(350, 0));
    cr_assert_eq(reports(&list), 4, "after 200, 250, 300 and 350 rows");
    for (int i = 0; i < 4; i++)
        cr_expect_eq(list[i]->window->rows, 200);
    f.service.state = instances[1];
    OK(rows(50, 0));
    cr_assert_eq(reports(&list), 5);
    cr_expect(list[0]->window->rows == 200 && list[0]->window->compared == 200);
}

static void
timed(MonitorRules *rules)
{
    rules->window_rows = 1000;
    rules->window_seconds = 60;
}

Test(monitoring_service, a_window_may_end_by_time)
{
    Report **list;

    start(timed);
    OK(rows(49, 0));
    clock_ms += 61000;
    OK(rows(20, 0));
    cr_expect_eq(reports(&list), 0, "49 rows are fewer than min_rows");
    clock_ms += 61000;
    OK(rows(5, 0));
    cr_assert_eq(reports(&list), 1);
    cr_expect_eq(list[0]->window->rows, 69);
    cr_expect_eq(monitor()->window->rows, 5);
}

/* ---- versions ---- */

Test(monitoring_service, follows_the_newest_generation)
{
    start(NULL);
    OK(rows(150, 0));
    generation = 2;
    version = 2;
    OK(rows(30, 0));
    Monitor *m = monitor();
    cr_expect(m->version == 2 && m->generation == 2);
    cr_expect_str_eq(m->reference->kind, "none", "a new version learns anew");
    cr_expect_eq(m->window->rows, 30);
    generation = 1;
    version = 1;
    OK(rows(40, 0));
    m = monitor();
    cr_expect(m->version == 2 && m->window->rows == 30 && m->rows_other == 40);
    generation = 3;
    OK(rows(10, 0));
    m = monitor();
    cr_expect(m->version == 1 && m->generation == 3);
    cr_expect_str_eq(m->reference->kind, "rows", "what was learned of the first version is kept");
}

Test(monitoring_service, a_sample_that_cannot_be_fetched_is_a_problem_that_is_said)
{
    ModelRegistered event = MODELBUS__REGISTRY__V1__MODEL_REGISTERED__INIT;
    Modelbus__Common__V1__Artifact artifact = MODELBUS__COMMON__V1__ARTIFACT__INIT;

    artifact.uri = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    event.model_name = "iris";
    event.version = 1;
    event.artifact = event.reference_sample = &artifact;
    OK(fixture_hear(&f, "r", &event));
    OK(deployed());
    OK(set_rules(NULL));
    OK(rows(100, 0));
    cr_expect_str_eq(monitor()->reference->kind, "rows");
    cr_expect(strstr(monitor()->reference->problem, "ARTIFACT_URL"), "%s",
              monitor()->reference->problem);
}

/* ---- rules, endpoints, malformed rows ---- */

static void
disabled(MonitorRules *rules)
{
    rules->disabled = true;
}

Test(monitoring_service, what_is_not_judged_any_more_has_no_episode)
{
    start(NULL);
    OK(rows(200, 50));
    cr_assert_str_eq(monitor()->state, "drift");
    OK(set_rules(disabled));
    cr_expect_eq(fixture_said(&f, "DriftCleared"), 1);
    cr_expect_str_eq(monitor()->state, "ok");
    OK(rows(500, 50));
    cr_expect_eq(monitor()->rows_other, 500);
    OK(set_rules(NULL));
    OK(rows(200, 50));
    cr_expect_eq(fixture_said(&f, "DriftDetected"), 2);
}

Test(monitoring_service, an_endpoint_that_is_gone_leaves_nothing)
{
    static const struct db_stmt left = {
        "SELECT (SELECT count(*) FROM monitor) + (SELECT count(*) FROM report)"
        " + (SELECT count(*) FROM pane_part) + (SELECT count(*) FROM reference)"};
    Modelbus__Deployment__V1__EndpointDeleted event =
        MODELBUS__DEPLOYMENT__V1__ENDPOINT_DELETED__INIT;

    start(NULL);
    OK(rows(250, 50));
    event.endpoint = "iris";
    event.generation = 2;
    OK(fixture_hear(&f, "e", &event));
    cr_expect_eq(fixture_said(&f, "DriftCleared"), 1);
    cr_expect_eq(fixture_number(&f, &left), 0);
    OK(fixture_hear(&f, "e2", &event));
    OK(rows(10, 0));
    cr_expect_eq(monitor()->window->rows, 10, "it begins anew");
}

Test(monitoring_service, rows_without_a_value_are_a_finding)
{
    Report **list;

    start(NULL);
    OK(rows(100, NAN));
    cr_assert_eq(reports(&list), 1);
    cr_expect_str_eq(list[0]->outcome, "drift");
}

Test(monitoring_service, malformed_rows_are_refused_and_change_nothing)
{
    start(NULL);
    OK(rows(40, 0));
    generation = 0;
    FAILS(ERR_INVALID, rows(10, 0));
    generation = 1;
    version = 0;
    FAILS(ERR_INVALID, rows(10, 0));
    version = 1;
    FAILS(ERR_INVALID, rows(0, 0));
    OK(rows(10, 0));
    cr_expect_eq(monitor()->window->rows, 50);
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

    start(NULL);
    OK(rows(100, 0));
    cr_assert_eq(reports(&list), 1);
    request.endpoint = "iris";
    get.id = list[0]->id;
    OK(CALL(&f, "GetReport", &get, &got));
    cr_expect_eq(got.report->n_columns, 1);
    f.workspace = "other";
    FAILS(ERR_NOT_FOUND, CALL(&f, "GetMonitor", &request, &reply));
    FAILS(ERR_NOT_FOUND, CALL(&f, "GetReport", &get, &got));
    cr_expect_eq(reports(&list), 0);
}
