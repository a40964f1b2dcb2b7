/* SPDX-License-Identifier: Apache-2.0 */
/* drift_stage.c - the service opened and closed, rows logged, answers asked for. */
#include "drift_stage.h"

#include <stdlib.h>

#define ROWS_MAX 1000

typedef Modelbus__Serving__V1__Column Column;

struct stage stage = {
    .clock_ms = 1700000000000, .version = 1, .generation = 1, .output_shift = NAN};

static char folder[] = "/tmp/monitoring-XXXXXX";
static char store_url[64];
static struct monitoring_settings settings = {.cache_bytes = 64 << 20, .reports_kept = 5};

void
stage_open(void)
{
    static const struct service_spec spec = {
        .name = "monitoring",
        .schema = monitoring_schema,
        .subscriptions = monitoring_events,
        .interface = &modelbus__monitoring__v1__monitoring__descriptor,
        .methods = monitoring_queries,
    };
    fixture_open(&stage.f, &spec);
    cr_assert(mkdtemp(folder));
    snprintf(store_url, sizeof(store_url), "file://%s", folder);
    cr_assert_eq(artifact_store_open(&stage.artifacts, store_url, &stage.f.err), ERR_OK, "%s",
                 stage.f.err.message);
    settings.artifact_url = store_url;
    for (int i = 0; i < 2; i++) {
        struct source *source;
        cr_assert_eq(source_open(&source, store_url, NULL, 1 << 20, &stage.f.err), ERR_OK, "%s",
                     stage.f.err.message);
        stage.instances[i] = monitoring_new(&settings, source);
    }
    stage.f.service.state = stage.instances[0];
}

void
stage_close(void)
{
    for (int i = 0; i < 2; i++)
        monitoring_free(stage.instances[i]);
    artifact_store_free(stage.artifacts);
    CLEANUP(mem_free) char *remove = mem_printf("rm -rf %s", folder);
    cr_assert_eq(system(remove), 0);
    fixture_close(&stage.f);
}

enum err_code
stage_rows(size_t count, double shift)
{
    PredictionsLogged m = MODELBUS__SERVING__V1__PREDICTIONS_LOGGED__INIT;
    static double values[ROWS_MAX], outputs[ROWS_MAX];
    static char *groups[ROWS_MAX];
    static int64_t times[ROWS_MAX];
    Column column = MODELBUS__SERVING__V1__COLUMN__INIT;
    Column output = MODELBUS__SERVING__V1__COLUMN__INIT;
    Column group = MODELBUS__SERVING__V1__COLUMN__INIT;
    Column *columns[2 + MORE_MAX] = {&column, &group}, *predicted[] = {&output};
    static Column copies[MORE_MAX];
    static char names[MORE_MAX][24];

    for (size_t i = 0; i < count; i++) {
        groups[i] = i % 2 ? "odd" : "even";
        values[i] = (double)(i * 37 % 100) + (stage.with_group && i % 2 == 0 ? 0 : shift);
        outputs[i] = (double)(i * 37 % 100) + stage.output_shift;
        times[i] = stage.clock_ms + (int64_t)i;
    }
    stage.clock_ms += (int64_t)count;
    column.name = "x";
    column.doubles = values;
    column.n_doubles = count;
    m.endpoint = "iris";
    m.model_name = "iris";
    m.version = stage.version;
    m.generation = stage.generation;
    m.pod = "pod";
    m.row_count = (uint32_t)count;
    m.timestamps_ms = times;
    m.n_timestamps_ms = count;
    m.features = columns;
    group.name = "group";
    group.strings = groups;
    group.n_strings = count;
    m.n_features = 1 + stage.with_group;
    output.name = "y";
    output.doubles = outputs;
    output.n_doubles = count;
    m.outputs = predicted;
    m.n_outputs = !isnan(stage.output_shift);
    for (size_t i = 0; i < stage.more_columns; i++) {
        snprintf(names[i], sizeof(names[i]), "x%zu", i);
        copies[i] = column;
        copies[i].name = names[i];
        columns[m.n_features++] = &copies[i];
    }
    return fixture_hear(&stage.f, "p", &m);
}

enum err_code
stage_set_rules(void (*change)(MonitorRules *rules))
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
    return CALL(&stage.f, "UpdateMonitor", &request, &reply);
}

enum err_code
stage_deployed(void)
{
    Modelbus__Deployment__V1__ModelDeployed event = MODELBUS__DEPLOYMENT__V1__MODEL_DEPLOYED__INIT;
    Modelbus__Deployment__V1__Target target = MODELBUS__DEPLOYMENT__V1__TARGET__INIT;

    target.model_name = "iris";
    target.version = stage.version;
    event.endpoint = "iris";
    event.generation = stage.generation;
    event.target = &target;
    return fixture_hear(&stage.f, "d", &event);
}

Monitor *
stage_monitor(void)
{
    Modelbus__Monitoring__V1__GetMonitorRequest request =
        MODELBUS__MONITORING__V1__GET_MONITOR_REQUEST__INIT;
    Modelbus__Monitoring__V1__GetMonitorResponse reply =
        MODELBUS__MONITORING__V1__GET_MONITOR_RESPONSE__INIT;

    request.endpoint = "iris";
    OK(CALL(&stage.f, "GetMonitor", &request, &reply));
    return reply.monitor;
}

size_t
stage_reports(Report ***list)
{
    Modelbus__Monitoring__V1__ListReportsRequest request =
        MODELBUS__MONITORING__V1__LIST_REPORTS_REQUEST__INIT;
    Modelbus__Monitoring__V1__ListReportsResponse reply =
        MODELBUS__MONITORING__V1__LIST_REPORTS_RESPONSE__INIT;

    request.endpoint = "iris";
    OK(CALL(&stage.f, "ListReports", &request, &reply));
    *list = reply.reports;
    return reply.n_reports;
}

void
stage_start(void (*change)(MonitorRules *rules))
{
    OK(stage_deployed());
    OK(stage_set_rules(change));
    OK(stage_rows(100, 0));
    cr_assert_str_eq(stage_monitor()->reference->kind, "rows");
}
