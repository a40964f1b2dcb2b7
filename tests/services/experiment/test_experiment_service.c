/* SPDX-License-Identifier: Apache-2.0 */
/* test_experiment_service.c - the experiment service's handlers on a real database. */
#include "../fixture.h"
#include "changes.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define URI "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OK(call) cr_assert_eq(call, ERR_OK, "%s: %s", #call, f.err.message)
#define FAILS(code, call) cr_assert_eq(call, code, "%s: %s", #call, f.err.message)

static struct fixture f;

static void
set_up(void)
{
    static const struct service_spec spec = {
        .name = "experiment",
        .schema = experiment_schema,
        .subscriptions = experiment_events,
        .interface = &modelbus__experiment__v1__experiments__descriptor,
        .methods = experiment_queries,
    };
    fixture_open(&f, &spec);
}

static void
tear_down(void)
{
    fixture_close(&f);
}

TestSuite(experiment_service, .init = set_up, .fini = tear_down);

static enum err_code
create_run(const char *run_id, const char *experiment, Run **run)
{
    Modelbus__Experiment__V1__CreateRunRequest request =
        MODELBUS__EXPERIMENT__V1__CREATE_RUN_REQUEST__INIT;
    Modelbus__Experiment__V1__CreateRunResponse reply;
    Tag tag = MODELBUS__COMMON__V1__TAG__INIT;
    Tag *tags[] = {&tag};

    tag.key = "team";
    tag.value = "fraud";
    request.run_id = (char *)run_id;
    request.experiment = (char *)experiment;
    request.run_name = "first";
    request.tags = tags;
    request.n_tags = 1;
    enum err_code code = fixture_call(&f, "CreateRun", &request, &reply);
    if (run)
        *run = reply.run;
    return code;
}

static enum err_code
get_run(const char *run_id, Run **run)
{
    Modelbus__Experiment__V1__GetRunRequest request =
        MODELBUS__EXPERIMENT__V1__GET_RUN_REQUEST__INIT;
    Modelbus__Experiment__V1__GetRunResponse reply;

    request.run_id = (char *)run_id;
    enum err_code code = fixture_call(&f, "GetRun", &request, &reply);
    *run = reply.run;
    return code;
}

static enum err_code
log_param(const char *run_id, const char *key, const char *value)
{
    Modelbus__Experiment__V1__LogBatchRequest request =
        MODELBUS__EXPERIMENT__V1__LOG_BATCH_REQUEST__INIT;
    Modelbus__Experiment__V1__LogBatchResponse reply;
    Tag param = MODELBUS__COMMON__V1__TAG__INIT;
    Tag *params[] = {&param};

    param.key = (char *)key;
    param.value = (char *)value;
    request.run_id = (char *)run_id;
    request.params = params;
    request.n_params = 1;
    return fixture_call(&f, "LogBatch", &request, &reply);
}

static enum err_code
log_metric(const char *run_id, int64_t step, double value)
{
    Modelbus__Experiment__V1__LogBatchRequest request =
        MODELBUS__EXPERIMENT__V1__LOG_BATCH_REQUEST__INIT;
    Modelbus__Experiment__V1__LogBatchResponse reply;
    Metric metric = MODELBUS__COMMON__V1__METRIC__INIT;
    Metric *metrics[] = {&metric};

    metric.key = "loss";
    metric.step = step;
    metric.value = value;
    request.run_id = (char *)run_id;
    request.metrics = metrics;
    request.n_metrics = 1;
    return fixture_call(&f, "LogBatch", &request, &reply);
}

static enum err_code
attach(const char *run_id, const char *model_name, Run **run)
{
    Modelbus__Experiment__V1__AttachModelRequest request =
        MODELBUS__EXPERIMENT__V1__ATTACH_MODEL_REQUEST__INIT;
    Modelbus__Experiment__V1__AttachModelResponse reply;
    AttachedModel model = MODELBUS__EXPERIMENT__V1__ATTACHED_MODEL__INIT;
    Artifact artifact = MODELBUS__COMMON__V1__ARTIFACT__INIT;
    char *features[] = {"a", "b"};

    artifact.uri = URI;
    model.model_name = (char *)model_name;
    model.artifact = &artifact;
    model.feature_names = features;
    model.n_feature_names = 2;
    request.run_id = (char *)run_id;
    request.model = &model;
    enum err_code code = fixture_call(&f, "AttachModel", &request, &reply);
    if (run)
        *run = reply.run;
    return code;
}

static enum err_code
finish(const char *run_id, RunStatus status, int64_t expected_revision)
{
    Modelbus__Experiment__V1__FinishRunRequest request =
        MODELBUS__EXPERIMENT__V1__FINISH_RUN_REQUEST__INIT;
    Modelbus__Experiment__V1__FinishRunResponse reply;

    request.run_id = (char *)run_id;
    request.status = status;
    request.expected_revision = expected_revision;
    return fixture_call(&f, "FinishRun", &request, &reply);
}

static enum err_code
trained(const char *run_id, const char *event_id, double auc)
{
    ModelTrained event = MODELBUS__EXPERIMENT__V1__MODEL_TRAINED__INIT;
    Artifact artifact = MODELBUS__COMMON__V1__ARTIFACT__INIT;
    Metric metric = MODELBUS__COMMON__V1__METRIC__INIT;
    Metric *metrics[] = {&metric};
    Tag param = MODELBUS__COMMON__V1__TAG__INIT;
    Tag *params[] = {&param};

    artifact.uri = URI;
    metric.key = "auc";
    metric.value = auc;
    param.key = "depth";
    param.value = "3";
    event.model_name = "iris";
    event.run_id = (char *)run_id;
    event.artifact = &artifact;
    event.metrics = metrics;
    event.n_metrics = 1;
    event.params = params;
    event.n_params = 1;
    event.trained_at_ms = 1700000000000;
    return fixture_hear(&f, event_id, &event);
}

Test(experiment_service, a_run_collects_what_it_logs)
{
    Run *run;

    OK(create_run("", "churn", &run));
    const char *id = run->run_id;
    cr_expect_eq(strlen(id), 36);
    cr_expect_eq(run->status, RUN_STATUS(RUNNING));
    cr_expect_str_eq(run->started_by, "user:ann");
    OK(log_param(id, "depth", "3 \"quoted\\ {,}"));
    OK(log_metric(id, 1, 0.5));
    OK(log_metric(id, 3, 0.25));
    OK(log_metric(id, 2, 0.4));
    OK(get_run(id, &run));
    cr_assert_eq(run->n_params, 1);
    cr_expect_str_eq(run->params[0]->value, "3 \"quoted\\ {,}");
    cr_assert_eq(run->n_tags, 1);
    cr_expect_str_eq(run->tags[0]->value, "fraud");
    cr_assert_eq(run->n_metrics, 1);
    cr_expect_eq(run->metrics[0]->step, 3, "the latest is that of the highest step");
    cr_expect_eq(run->metrics[0]->value, 0.25);
    cr_expect_gt(run->metrics[0]->timestamp_ms, 0);
    cr_expect_eq(fixture_said(&f, "RunStarted"), 1);
    FAILS(ERR_EXISTS, create_run(id, "churn", NULL));
}

Test(experiment_service, a_param_is_set_once)
{
    Run *run;

    OK(create_run("r1", "", &run));
    cr_expect_str_eq(run->experiment, "default");
    OK(log_param("r1", "depth", "3"));
    OK(log_param("r1", "depth", "3"));
    FAILS(ERR_PRECONDITION, log_param("r1", "depth", "4"));
    FAILS(ERR_NOT_FOUND, log_param("r2", "depth", "4"));
}

Test(experiment_service, values_that_are_not_numbers_are_kept)
{
    Run *run;

    OK(create_run("r1", "", NULL));
    OK(log_metric("r1", 1, (double)NAN));
    OK(get_run("r1", &run));
    cr_expect(isnan(run->metrics[0]->value));
    OK(log_metric("r1", 2, -(double)INFINITY));
    OK(get_run("r1", &run));
    cr_expect(isinf(run->metrics[0]->value));
}

Test(experiment_service, a_run_is_bounded_so_that_its_event_fits)
{
    enum { VALUE = 8000 };
    char value[VALUE + 1], key[16];
    enum err_code code = ERR_OK;
    int logged = 0;

    memset(value, 'x', VALUE);
    value[VALUE] = '\0';
    OK(create_run("r1", "", NULL));
    while (logged < 200 && !code) {
        snprintf(key, sizeof(key), "p%d", logged++);
        code = log_param("r1", key, value);
    }
    cr_expect_eq(code, ERR_TOO_LARGE, "%s", f.err.message);
    cr_expect_gt(logged, 90);
    OK(attach("r1", "iris", NULL));
    OK(finish("r1", RUN_STATUS(FINISHED), 0));
}

Test(experiment_service, a_run_that_finishes_well_says_what_it_trained)
{
    Run *run;

    OK(create_run("r1", "churn", NULL));
    OK(log_metric("r1", 1, 0.5));
    OK(attach("r1", "iris", NULL));
    OK(attach("r1", "rose", &run));
    cr_expect_eq(run->n_models, 2);
    FAILS(ERR_CONFLICT, finish("r1", RUN_STATUS(FINISHED), 1));
    OK(finish("r1", RUN_STATUS(UNSPECIFIED), run->revision));
    cr_expect_eq(fixture_said(&f, "RunFinished"), 1);
    cr_expect_eq(fixture_said(&f, "ModelTrained"), 2);
    ModelTrained *said = fixture_last(&f, &modelbus__experiment__v1__model_trained__descriptor);
    cr_expect_str_eq(said->model_name, "rose");
    cr_expect_str_eq(said->run_id, "r1");
    cr_expect_str_eq(said->experiment, "churn");
    cr_expect_str_eq(said->artifact->uri, URI);
    cr_expect_eq(said->n_metrics, 1);
    cr_expect_eq(said->n_feature_names, 2);
    FAILS(ERR_PRECONDITION, finish("r1", RUN_STATUS(FINISHED), 0));
    FAILS(ERR_PRECONDITION, attach("r1", "lily", NULL));
    OK(get_run("r1", &run));
    cr_expect_eq(run->status, RUN_STATUS(FINISHED));
}

Test(experiment_service, a_run_that_fails_says_no_model)
{
    OK(create_run("r1", "", NULL));
    OK(attach("r1", "iris", NULL));
    OK(finish("r1", RUN_STATUS(FAILED), 0));
    cr_expect_eq(fixture_said(&f, "RunFinished"), 1);
    cr_expect_eq(fixture_said(&f, "ModelTrained"), 0);
}

Test(experiment_service, a_pipelines_own_event_is_recorded_as_a_run)
{
    Run *run;

    OK(trained("r7", "e1", 0.75));
    OK(get_run("r7", &run));
    cr_expect_eq(run->status, RUN_STATUS(FINISHED));
    cr_expect_str_eq(run->experiment, "default");
    cr_expect_str_eq(run->started_by, "/pipeline/a");
    cr_expect_eq(run->finished_at_ms, 1700000000000);
    cr_assert_eq(run->n_models, 1);
    cr_expect_str_eq(run->models[0]->model_name, "iris");
    cr_assert_eq(run->n_metrics, 1);
    cr_expect_eq(run->metrics[0]->value, 0.75);
    cr_expect_eq(run->n_params, 1);
    cr_expect_eq(fixture_said(&f, "ModelTrained"), 0, "the pipeline has said it");
}

Test(experiment_service, an_event_without_run_id_gets_a_stable_one)
{
    static const struct db_stmt runs = {"SELECT count(*) FROM run"};

    OK(trained("", "e1", 0.5));
    OK(trained("", "e1", 0.5));
    cr_expect_eq(fixture_number(&f, &runs), 1);
    OK(trained("", "e2", 0.5));
    cr_expect_eq(fixture_number(&f, &runs), 2);
}

Test(experiment_service, what_we_said_ourselves_is_not_recorded_again)
{
    Run *run;

    f.source = EXPERIMENT_SOURCE;
    OK(trained("r7", "e1", 0.75));
    FAILS(ERR_NOT_FOUND, get_run("r7", &run));
}

Test(experiment_service, a_known_run_keeps_its_state_and_params)
{
    Run *run;

    OK(create_run("r1", "churn", NULL));
    OK(log_param("r1", "depth", "9"));
    OK(trained("r1", "e1", 0.75));
    OK(get_run("r1", &run));
    cr_expect_eq(run->status, RUN_STATUS(RUNNING));
    cr_expect_str_eq(run->experiment, "churn");
    cr_expect_str_eq(run->params[0]->value, "9");
    cr_expect_eq(run->n_models, 1);
}

Test(experiment_service, a_malformed_event_is_poison)
{
    ModelTrained event = MODELBUS__EXPERIMENT__V1__MODEL_TRAINED__INIT;

    FAILS(ERR_INVALID, fixture_hear(&f, "e1", &event));
    FAILS(ERR_INVALID, trained("a\nb", "e2", 0.5));
}

/* ---- lists ---- */

Test(experiment_service, runs_are_listed_newest_first_by_pages)
{
    Modelbus__Experiment__V1__ListRunsRequest request =
        MODELBUS__EXPERIMENT__V1__LIST_RUNS_REQUEST__INIT;
    Modelbus__Experiment__V1__ListRunsResponse reply;
    PageRequest page = MODELBUS__COMMON__V1__PAGE_REQUEST__INIT;
    char id[16], seen[6] = {0};
    int pages = 0;

    for (int i = 0; i < 5; i++) {
        snprintf(id, sizeof(id), "r%d", i);
        OK(create_run(id, i == 0 ? "other" : "churn", NULL));
        OK(log_metric(id, 1, i));
    }
    request.page = &page;
    page.page_size = 2;
    do {
        OK(fixture_call(&f, "ListRuns", &request, &reply));
        for (size_t i = 0; i < reply.n_runs; i++) {
            int n = reply.runs[i]->run_id[1] - '0';
            cr_expect_eq(seen[n]++, 0);
            cr_assert_eq(reply.runs[i]->n_metrics, 1);
            cr_expect_eq(reply.runs[i]->metrics[0]->value, (double)n);
        }
        page.page_token = reply.next_page_token;
    } while (++pages < 9 && *reply.next_page_token);
    cr_expect_eq(pages, 3);
    cr_expect_arr_eq(seen, "\1\1\1\1\1", 5);
    page = (PageRequest)MODELBUS__COMMON__V1__PAGE_REQUEST__INIT;
    request.experiment = "churn";
    OK(fixture_call(&f, "ListRuns", &request, &reply));
    cr_expect_eq(reply.n_runs, 4);
    page.page_token = "00ff";
    FAILS(ERR_INVALID, fixture_call(&f, "ListRuns", &request, &reply));
}

Test(experiment_service, a_metrics_history_is_listed_in_order_by_pages)
{
    Modelbus__Experiment__V1__GetMetricHistoryRequest request =
        MODELBUS__EXPERIMENT__V1__GET_METRIC_HISTORY_REQUEST__INIT;
    Modelbus__Experiment__V1__GetMetricHistoryResponse reply;
    PageRequest page = MODELBUS__COMMON__V1__PAGE_REQUEST__INIT;

    OK(create_run("r1", "", NULL));
    for (int i = 0; i < 5; i++)
        OK(log_metric("r1", i, i));
    request.run_id = "r1";
    request.key = "loss";
    request.page = &page;
    page.page_size = 3;
    OK(fixture_call(&f, "GetMetricHistory", &request, &reply));
    cr_assert_eq(reply.n_metrics, 3);
    cr_expect_eq(reply.metrics[2]->step, 2);
    page.page_token = reply.next_page_token;
    OK(fixture_call(&f, "GetMetricHistory", &request, &reply));
    cr_assert_eq(reply.n_metrics, 2);
    cr_expect_eq(reply.metrics[1]->step, 4);
    cr_expect_str_empty(reply.next_page_token);
    request.key = "other";
    FAILS(ERR_INVALID, fixture_call(&f, "GetMetricHistory", &request, &reply));
}

Test(experiment_service, experiments_are_created_once_and_listed)
{
    Modelbus__Experiment__V1__CreateExperimentRequest creation =
        MODELBUS__EXPERIMENT__V1__CREATE_EXPERIMENT_REQUEST__INIT;
    Modelbus__Experiment__V1__CreateExperimentResponse created;
    Modelbus__Experiment__V1__ListExperimentsRequest request =
        MODELBUS__EXPERIMENT__V1__LIST_EXPERIMENTS_REQUEST__INIT;
    Modelbus__Experiment__V1__ListExperimentsResponse reply;
    PageRequest page = MODELBUS__COMMON__V1__PAGE_REQUEST__INIT;

    creation.name = "churn";
    OK(fixture_call(&f, "CreateExperiment", &creation, &created));
    cr_expect_str_eq(created.experiment->name, "churn");
    FAILS(ERR_EXISTS, fixture_call(&f, "CreateExperiment", &creation, &created));
    creation.name = "";
    FAILS(ERR_INVALID, fixture_call(&f, "CreateExperiment", &creation, &created));
    OK(create_run("r1", "", NULL));
    request.page = &page;
    page.page_size = 1;
    OK(fixture_call(&f, "ListExperiments", &request, &reply));
    cr_assert_eq(reply.n_experiments, 1);
    cr_expect_str_eq(reply.experiments[0]->name, "churn");
    page.page_token = reply.next_page_token;
    OK(fixture_call(&f, "ListExperiments", &request, &reply));
    cr_assert_eq(reply.n_experiments, 1);
    cr_expect_str_eq(reply.experiments[0]->name, "default");
    cr_expect_str_empty(reply.next_page_token);
}

Test(experiment_service, workspaces_do_not_see_each_other)
{
    Modelbus__Experiment__V1__ListRunsRequest request =
        MODELBUS__EXPERIMENT__V1__LIST_RUNS_REQUEST__INIT;
    Modelbus__Experiment__V1__ListRunsResponse reply;
    Run *run;

    OK(create_run("r1", "", NULL));
    OK(log_param("r1", "depth", "3"));
    f.workspace = "other";
    FAILS(ERR_NOT_FOUND, get_run("r1", &run));
    FAILS(ERR_NOT_FOUND, log_param("r1", "depth", "3"));
    FAILS(ERR_NOT_FOUND, finish("r1", RUN_STATUS(FINISHED), 0));
    OK(fixture_call(&f, "ListRuns", &request, &reply));
    cr_expect_eq(reply.n_runs, 0);
    OK(create_run("r1", "", NULL));
    OK(log_param("r1", "depth", "4"));
    OK(get_run("r1", &run));
    cr_assert_eq(run->n_params, 1);
    cr_expect_str_eq(run->params[0]->value, "4");
}
