/* SPDX-License-Identifier: Apache-2.0 */
/* labels_stage.c - the service opened and closed, predictions and labels heard, answers asked for. */
#include "labels_stage.h"

#include "life/life.h"
#include "modelbus/deployment/v1/events.pb-c.h"

#include <math.h>

#define ROWS_MAX 1000

typedef Modelbus__Serving__V1__Column Column;

struct stage stage = {.version = 1, .generation = 1};

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
    stage.settings = (struct monitoring_settings){
        .cache_bytes = 64 << 20, .reports_kept = 5, .predictions_kept = 1000};
    fixture_open(&stage.f, &spec);
    for (int i = 0; i < 2; i++) {
        struct source *source;
        cr_assert_eq(source_open(&source, NULL, NULL, 1 << 20, &stage.f.err), ERR_OK, "%s",
                     stage.f.err.message);
        stage.instances[i] = monitoring_new(&stage.settings, source);
    }
    stage.f.service.state = stage.instances[0];
    stage.rules = (PerformanceRules)MODELBUS__MONITORING__V1__PERFORMANCE_RULES__INIT;
    stage.rules.task = "classification";
    stage.rules.window_rows = WINDOW;
    stage.rules.metric = "accuracy";
    stage.rules.limit = 0.8;
    stage.rules.raise_after = stage.rules.clear_after = 2;
}

void
stage_close(void)
{
    for (int i = 0; i < 2; i++)
        monitoring_free(stage.instances[i]);
    fixture_close(&stage.f);
}

/* ---- what comes in ---- */

enum err_code
stage_deployed(void)
{
    Modelbus__Deployment__V1__ModelDeployed event = MODELBUS__DEPLOYMENT__V1__MODEL_DEPLOYED__INIT;
    Modelbus__Deployment__V1__Target target = MODELBUS__DEPLOYMENT__V1__TARGET__INIT;

    target.model_name = "churn";
    target.version = stage.version;
    event.endpoint = "churn";
    event.generation = stage.generation;
    event.target = &target;
    return fixture_hear(&stage.f, "d", &event);
}

enum err_code
stage_set_rules(void)
{
    Modelbus__Monitoring__V1__UpdateMonitorRequest request =
        MODELBUS__MONITORING__V1__UPDATE_MONITOR_REQUEST__INIT;
    Modelbus__Monitoring__V1__UpdateMonitorResponse reply;
    MonitorRules all = MODELBUS__MONITORING__V1__MONITOR_RULES__INIT;

    all.performance = &stage.rules;
    request.endpoint = "churn";
    request.rules = &all;
    return CALL(&stage.f, "UpdateMonitor", &request, &reply);
}

void
stage_start(void)
{
    OK(stage_deployed());
    OK(stage_set_rules());
}

enum err_code
stage_predict(size_t first, size_t count)
{
    PredictionsLogged m = MODELBUS__SERVING__V1__PREDICTIONS_LOGGED__INIT;
    static char ids[ROWS_MAX][32], *id_list[ROWS_MAX];
    static float outputs[ROWS_MAX], others[ROWS_MAX];
    static int64_t times[ROWS_MAX];
    Column output = MODELBUS__SERVING__V1__COLUMN__INIT, other = output;
    Column *columns[] = {&output, &other};

    for (size_t i = 0; i < count; i++) {
        snprintf(ids[i], sizeof(ids[i]), "p%zu", first + i);
        id_list[i] = ids[i];
        outputs[i] = (first + i) % 2 ? 0.9f : 0.1f;
        others[i] = 1 - outputs[i];
        times[i] = life_now_ms() - stage.age_ms;
    }
    output.name = "probability";
    output.floats = outputs;
    other.name = "other";
    other.floats = others;
    output.n_floats = other.n_floats = count;
    m.endpoint = "churn";
    m.model_name = "churn";
    m.version = stage.version;
    m.generation = stage.generation;
    m.pod = "pod";
    m.row_count = (uint32_t)count;
    m.prediction_ids = id_list;
    m.timestamps_ms = times;
    m.n_prediction_ids = m.n_timestamps_ms = count;
    m.outputs = columns;
    m.n_outputs = 2;
    return fixture_hear(&stage.f, "p", &m);
}

enum err_code
stage_label(size_t first, size_t count, enum truth truth)
{
    LabelsReceived m = MODELBUS__MONITORING__V1__LABELS_RECEIVED__INIT;
    static char ids[ROWS_MAX][32];
    static Label labels[ROWS_MAX];
    static Label *list[ROWS_MAX];

    for (size_t i = 0; i < count; i++) {
        labels[i] = (Label)MODELBUS__MONITORING__V1__PREDICTION_LABEL__INIT;
        snprintf(ids[i], sizeof(ids[i]), "p%zu", first + i);
        labels[i].prediction_id = ids[i];
        labels[i].value = ((first + i) % 2 != 0) == (truth == RIGHT) ? "1" : "0";
        list[i] = &labels[i];
    }
    m.endpoint = "churn";
    m.labels = list;
    m.n_labels = count;
    return fixture_hear(&stage.f, "l", &m);
}

enum err_code
stage_label_one(const char *id, const char *value)
{
    LabelsReceived m = MODELBUS__MONITORING__V1__LABELS_RECEIVED__INIT;
    Label one = MODELBUS__MONITORING__V1__PREDICTION_LABEL__INIT, *list[] = {&one};

    one.prediction_id = (char *)(uintptr_t)id;
    one.value = (char *)(uintptr_t)value;
    m.endpoint = "churn";
    m.labels = list;
    m.n_labels = 1;
    return fixture_hear(&stage.f, "l", &m);
}

void
stage_window(enum truth truth)
{
    OK(stage_predict(stage.next_row, WINDOW));
    OK(stage_label(stage.next_row, WINDOW, truth));
    stage.next_row += WINDOW;
}

/* ---- what is answered ---- */

Performance *
stage_performance(void)
{
    Modelbus__Monitoring__V1__GetPerformanceRequest request =
        MODELBUS__MONITORING__V1__GET_PERFORMANCE_REQUEST__INIT;
    Modelbus__Monitoring__V1__GetPerformanceResponse reply;

    request.endpoint = "churn";
    OK(CALL(&stage.f, "GetPerformance", &request, &reply));
    return reply.performance;
}

uint64_t
stage_count(enum label_reason reason)
{
    const Performance *p = stage_performance();
    uint64_t sum = p->waiting;

    cr_assert_eq(p->n_counts, LABEL_REASONS);
    for (enum label_reason r = LABEL_JOINED; r <= LABEL_DROPPED; r++)
        sum += p->counts[r]->count;
    cr_assert_eq(sum, p->counts[LABEL_RECEIVED]->count);
    cr_assert(*p->counts[reason]->meaning);
    cr_assert_str_eq(p->counts[reason]->reason, label_reason_name(reason));
    return p->counts[reason]->count;
}

size_t
stage_reports(int64_t of_version, bool degraded, PerformanceReport ***list)
{
    Modelbus__Monitoring__V1__ListPerformanceReportsRequest request =
        MODELBUS__MONITORING__V1__LIST_PERFORMANCE_REPORTS_REQUEST__INIT;
    Modelbus__Monitoring__V1__ListPerformanceReportsResponse reply;

    request.endpoint = "churn";
    request.version = of_version;
    request.degraded = degraded;
    OK(CALL(&stage.f, "ListPerformanceReports", &request, &reply));
    *list = reply.reports;
    return reply.n_reports;
}

double
stage_metric(const PerformanceReport *report, enum performance_metric wanted)
{
    for (size_t i = 0; i < report->n_metrics; i++)
        if (strcmp(report->metrics[i]->name, performance_name(wanted)) == 0)
            return report->metrics[i]->value;
    cr_assert_fail("no %s", performance_name(wanted));
    return NAN;
}
