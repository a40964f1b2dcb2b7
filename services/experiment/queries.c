/* SPDX-License-Identifier: Apache-2.0 */
/* queries.c - questions and commands about experiments and runs. */
#include "changes.h"
#include "page.h"

#include <inttypes.h>

/* REQUEST(GetRun), RESPONSE(GetRun): the generated types. */
#define REQUEST(method) const Modelbus__Experiment__V1__##method##Request
#define RESPONSE(method) Modelbus__Experiment__V1__##method##Response

/* ---- experiments ---- */

static enum err_code
create_experiment(void *arg, REQUEST(CreateExperiment) * request,
                  RESPONSE(CreateExperiment) * response, struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    Experiment experiment = MODELBUS__EXPERIMENT__V1__EXPERIMENT__INIT;

    experiment.name = request->name;
    experiment.tags = request->tags;
    experiment.n_tags = request->n_tags;
    experiment.created_at_ms = change.now_ms;
    if (value_check_name("experiment", request->name, err) ||
        value_check_tags("tags", request->tags, request->n_tags, err) ||
        store_add_experiment(&change.store, &experiment, err))
        return err->code;
    return store_get_experiment(&change.store, request->name, &response->experiment, err);
}

static enum err_code
get_experiment(void *arg, REQUEST(GetExperiment) * request, RESPONSE(GetExperiment) * response,
               struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);

    if (value_check_name("experiment", request->name, err))
        return err->code;
    return store_get_experiment(&change.store, request->name, &response->experiment, err);
}

static enum err_code
list_experiments(void *arg, REQUEST(ListExperiments) * request,
                 RESPONSE(ListExperiments) * response, struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    const char *after = "";
    int64_t limit;
    bool more;

    if (page_read(call->arena, request->page, "ListExperiments", &after, 1, &limit, err) ||
        store_list_experiments(&change.store, after, limit, &response->experiments,
                               &response->n_experiments, &more, err))
        return err->code;
    if (more)
        response->next_page_token =
            page_next(call->arena, "ListExperiments",
                      response->experiments[response->n_experiments - 1]->name);
    return ERR_OK;
}

/* ---- runs ---- */

static enum err_code
create_run(void *arg, REQUEST(CreateRun) * request, RESPONSE(CreateRun) * response,
           struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    Run run = MODELBUS__EXPERIMENT__V1__RUN__INIT;

    run.experiment = *request->experiment ? request->experiment : (char *)EXPERIMENT_DEFAULT;
    run.run_name = request->run_name;
    run.run_id = request->run_id;
    run.params = request->params;
    run.n_params = request->n_params;
    run.tags = request->tags;
    run.n_tags = request->n_tags;
    if (change_start_run(&change, &run, err))
        return err->code;
    return store_get_run(&change.store, run.run_id, &response->run, err);
}

static enum err_code
get_run(void *arg, REQUEST(GetRun) * request, RESPONSE(GetRun) * response, struct rpc_call *call,
        struct err *err)
{
    struct change change = change_of_call(arg, call);

    if (value_check_name("run_id", request->run_id, err))
        return err->code;
    return store_get_run(&change.store, request->run_id, &response->run, err);
}

static enum err_code
list_runs(void *arg, REQUEST(ListRuns) * request, RESPONSE(ListRuns) * response,
          struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    const char *list = arena_printf(call->arena, "ListRuns %s", request->experiment);
    const char *keys[2] = {NULL, ""};
    int64_t limit, before_ms = INT64_MAX;
    bool more;

    if ((*request->experiment && value_check_name("experiment", request->experiment, err)) ||
        page_read(call->arena, request->page, list, keys, 2, &limit, err) ||
        (keys[0] && db_page_int(keys[0], &before_ms, err)) ||
        store_list_runs(&change.store, request->experiment, before_ms, keys[1], limit,
                        &response->runs, &response->n_runs, &more, err))
        return err->code;
    if (more) {
        const Run *last = response->runs[response->n_runs - 1];
        keys[0] = arena_printf(call->arena, "%" PRId64, last->started_at_ms);
        keys[1] = last->run_id;
        response->next_page_token = db_page_encode(call->arena, list, keys, 2);
    }
    return ERR_OK;
}

static enum err_code
finish_run(void *arg, REQUEST(FinishRun) * request, RESPONSE(FinishRun) * response,
           struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);

    if (value_check_name("run_id", request->run_id, err) ||
        change_finish_run(&change, request->run_id, request->status, request->expected_revision,
                          err))
        return err->code;
    return store_get_run(&change.store, request->run_id, &response->run, err);
}

/* ---- what runs log ---- */

static enum err_code
log_batch(void *arg, REQUEST(LogBatch) * request, RESPONSE(LogBatch) * response,
          struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);

    (void)response;
    if (value_check_name("run_id", request->run_id, err))
        return err->code;
    return change_log(&change, request->run_id, request, err);
}

static enum err_code
get_metric_history(void *arg, REQUEST(GetMetricHistory) * request,
                   RESPONSE(GetMetricHistory) * response, struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    const char *list;
    int64_t limit, seq = 0;
    Run *run;
    bool more;

    if (value_check_name("run_id", request->run_id, err) ||
        value_check_name("key", request->key, err))
        return err->code;
    list = arena_printf(call->arena, "GetMetricHistory %s %s", request->run_id, request->key);
    if (page_read_number(call->arena, request->page, list, &seq, &limit, err) ||
        store_metric_history(&change.store, request->run_id, request->key, seq, limit,
                             &response->metrics, &response->n_metrics, &seq, &more, err))
        return err->code;
    if (response->n_metrics == 0)
        return store_get_run(&change.store, request->run_id, &run, err);
    if (more)
        response->next_page_token = page_next_number(call->arena, list, seq);
    return ERR_OK;
}

static enum err_code
attach_model(void *arg, REQUEST(AttachModel) * request, RESPONSE(AttachModel) * response,
             struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);

    if (value_check_name("run_id", request->run_id, err) ||
        change_attach(&change, request->run_id, request->model, err))
        return err->code;
    return store_get_run(&change.store, request->run_id, &response->run, err);
}

const struct rpc_method experiment_queries[] = {
    RPC_COMMAND("AttachModel", attach_model, "experiment:write", 2000),
    RPC_COMMAND("CreateExperiment", create_experiment, "experiment:write", 2000),
    RPC_COMMAND("CreateRun", create_run, "experiment:write", 2000),
    RPC_COMMAND("FinishRun", finish_run, "experiment:write", 5000),
    RPC_QUERY("GetExperiment", get_experiment, "experiment:read", 1000),
    RPC_QUERY("GetMetricHistory", get_metric_history, "experiment:read", 2000),
    RPC_QUERY("GetRun", get_run, "experiment:read", 1000),
    RPC_QUERY("ListExperiments", list_experiments, "experiment:read", 2000),
    RPC_QUERY("ListRuns", list_runs, "experiment:read", 5000),
    RPC_COMMAND("LogBatch", log_batch, "experiment:write", 5000),
    {.name = NULL},
};
