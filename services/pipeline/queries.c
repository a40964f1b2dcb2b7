/* SPDX-License-Identifier: Apache-2.0 */
/* queries.c - what people ask: pipelines and runs; and the table of all methods. */
#include "queries.h"

#include "page.h"

#include <stdio.h>
#include <string.h>

#define LAST_ID "ffffffff-ffff-ffff-ffff-ffffffffffff"
#define LOG_PART (1 << 20) /* bytes of one answer */

enum err_code
check_id(const char *what, const char *id, struct err *err)
{
    return crypto_is_uuid(id) ? ERR_OK : err_set(err, ERR_INVALID, "%s: not a UUID", what);
}

enum err_code
check_wait(uint32_t wait_ms, struct err *err)
{
    return wait_ms <= WORK_POLL_MAX_MS
               ? ERR_OK
               : err_set(err, ERR_INVALID, "wait_ms: at most %d", WORK_POLL_MAX_MS);
}

/* Entries of a map of a request as what a definition is asked with; their types differ in name only. */
#define GIVEN(request, given)                                                                      \
    struct parameter_given *given =                                                                \
        arena_alloc(call->arena, (request)->n_parameters * sizeof(*given));                        \
    for (size_t i = 0; i < (request)->n_parameters; i++)                                           \
        given[i] = (struct parameter_given)                                                        \
        {                                                                                          \
            (request)->parameters[i]->key, (request)->parameters[i]->value                         \
        }

/* ---- pipelines ---- */

static enum err_code
apply_pipeline(void *arg, REQUEST(ApplyPipeline) * request, RESPONSE(ApplyPipeline) * response,
               struct rpc_call *call, struct err *err)
{
    struct change change = pipeline_call(arg, call);
    const char *outcome, *name;

    if (change_apply(&change, request->text, request->dry_run, &outcome, &name, err))
        return err->code;
    response->outcome = (char *)outcome;
    if (request->dry_run)
        return ERR_OK;
    return store_get_pipeline(&change.store, name, 0, &response->pipeline, err);
}

static enum err_code
get_pipeline(void *arg, REQUEST(GetPipeline) * request, RESPONSE(GetPipeline) * response,
             struct rpc_call *call, struct err *err)
{
    struct change change = pipeline_call(arg, call);

    if (request->version < 0)
        return err_set(err, ERR_INVALID, "version: not negative");
    return store_get_pipeline(&change.store, request->name, request->version, &response->pipeline,
                              err);
}

static enum err_code
list_pipelines(void *arg, REQUEST(ListPipelines) * request, RESPONSE(ListPipelines) * response,
               struct rpc_call *call, struct err *err)
{
    struct change change = pipeline_call(arg, call);
    const char *after = "";
    int64_t limit;
    bool more;

    if (page_read(call->arena, request->page, "ListPipelines", &after, 1, &limit, err) ||
        store_list_pipelines(&change.store, after, limit, &response->pipelines,
                             &response->n_pipelines, &more, err))
        return err->code;
    if (more)
        response->next_page_token = page_next(call->arena, "ListPipelines",
                                              response->pipelines[response->n_pipelines - 1]->name);
    return ERR_OK;
}

static enum err_code
pause_pipeline(void *arg, REQUEST(PausePipeline) * request, RESPONSE(PausePipeline) * response,
               struct rpc_call *call, struct err *err)
{
    struct change change = pipeline_call(arg, call);

    if (change_pause(&change, request->name, request->paused, err))
        return err->code;
    return store_get_pipeline(&change.store, request->name, 0, &response->pipeline, err);
}

static enum err_code
delete_pipeline(void *arg, REQUEST(DeletePipeline) * request, RESPONSE(DeletePipeline) * response,
                struct rpc_call *call, struct err *err)
{
    struct change change = pipeline_call(arg, call);

    (void)response;
    return change_delete(&change, request->name, err);
}

/* ---- runs ---- */

static MUST_CHECK enum err_code
view(const struct change *change, const char *id, PipelineRun **run, struct err *err)
{
    PipelineRun *found;

    if (store_get_run(&change->store, id, &found, err) ||
        store_describe_run(&change->store, found, err))
        return err->code;
    *run = found;
    return ERR_OK;
}

static enum err_code
start_run(void *arg, REQUEST(StartRun) * request, RESPONSE(StartRun) * response,
          struct rpc_call *call, struct err *err)
{
    struct change change = pipeline_call(arg, call);
    const char *run;
    GIVEN(request, given);

    if (request->version < 0)
        return err_set(err, ERR_INVALID, "version: not negative");
    if (change_start_by_hand(&change, request->name, request->version, given, request->n_parameters,
                             &run, err))
        return err->code;
    return view(&change, run, &response->run, err);
}

static enum err_code
backfill_runs(void *arg, REQUEST(Backfill) * request, RESPONSE(Backfill) * response,
              struct rpc_call *call, struct err *err)
{
    struct change change = pipeline_call(arg, call);
    GIVEN(request, given);
    const struct backfill backfill = {
        .name = request->name,
        .trigger = request->trigger,
        .from_ms = request->from_ms,
        .to_ms = request->to_ms,
        .max_runs = request->max_runs ? request->max_runs : CHANGE_BACKFILL,
        .given = given,
        .given_count = request->n_parameters,
    };

    if (backfill.max_runs > CHANGE_BACKFILL_MAX)
        return err_set(err, ERR_INVALID, "max_runs: at most %d", CHANGE_BACKFILL_MAX);
    if (request->from_ms <= 0 || request->to_ms <= 0)
        return err_set(err, ERR_INVALID, "from_ms, to_ms: a range of time, Unix epoch, ms");
    if (request->to_ms > change.now_ms)
        return err_set(err, ERR_PRECONDITION, "to_ms: that time has not come");
    return change_backfill(&change, &backfill, (const char ***)&response->runs, &response->n_runs,
                           &response->skipped, err);
}

static enum err_code
get_run(void *arg, REQUEST(GetPipelineRun) * request, RESPONSE(GetPipelineRun) * response,
        struct rpc_call *call, struct err *err)
{
    struct change change = pipeline_call(arg, call);
    char topic[60];

    if (check_id("run", request->run, err) || check_wait(request->wait_ms, err) ||
        view(&change, request->run, &response->run, err))
        return err->code;
    if (request->wait_ms && response->run->revision == request->revision) {
        snprintf(topic, sizeof(topic), "run:%s", response->run->run);
        rpc_wait(call, topic, until_ms(call, request->wait_ms));
    }
    return ERR_OK;
}

static enum err_code
list_runs(void *arg, REQUEST(ListPipelineRuns) * request, RESPONSE(ListPipelineRuns) * response,
          struct rpc_call *call, struct err *err)
{
    struct change change = pipeline_call(arg, call);
    const char *before = LAST_ID, *list;
    int64_t limit;
    bool more;

    if (value_check_text("pipeline", request->pipeline, VALUE_NAME_MAX, err) ||
        value_check_text("status", request->status, VALUE_NAME_MAX, err))
        return err->code;
    list = arena_printf(call->arena, "ListPipelineRuns %s %s", request->pipeline, request->status);
    if (page_read(call->arena, request->page, list, &before, 1, &limit, err) ||
        check_id("page_token", before, err) ||
        store_list_runs(&change.store, before, request->pipeline, request->status, limit,
                        &response->runs, &response->n_runs, &more, err))
        return err->code;
    if (more)
        response->next_page_token =
            page_next(call->arena, list, response->runs[response->n_runs - 1]->run);
    return ERR_OK;
}

static enum err_code
cancel_run(void *arg, REQUEST(CancelRun) * request, RESPONSE(CancelRun) * response,
           struct rpc_call *call, struct err *err)
{
    struct change change = pipeline_call(arg, call);

    if (check_id("run", request->run, err) ||
        value_check_text("reason", request->reason, VALUE_TEXT_MAX, err) ||
        change_cancel(&change, request->run, request->reason, err))
        return err->code;
    return view(&change, request->run, &response->run, err);
}

static enum err_code
resume_run(void *arg, REQUEST(ResumeRun) * request, RESPONSE(ResumeRun) * response,
           struct rpc_call *call, struct err *err)
{
    struct change change = pipeline_call(arg, call);

    if (check_id("run", request->run, err) ||
        change_resume(&change, request->run, request->task, err))
        return err->code;
    return view(&change, request->run, &response->run, err);
}

/* ---- logs ---- */

static enum err_code
read_task_log(void *arg, REQUEST(ReadTaskLog) * request, RESPONSE(ReadTaskLog) * response,
              struct rpc_call *call, struct err *err)
{
    struct change change = pipeline_call(arg, call);
    const struct store *store = &change.store;
    const char *lease, *uri;
    PipelineRun *run;
    Pipeline *pipeline;
    int64_t number;
    char topic[60];
    bool ended;

    if (check_id("run", request->run, err) || check_wait(request->wait_ms, err) ||
        store_get_run(store, request->run, &run, err) ||
        store_get_pipeline(store, run->pipeline, run->version, &pipeline, err))
        return err->code;
    size_t place = definition_task(pipeline->definition, request->task);
    if (place == SIZE_MAX)
        return err_set(err, ERR_NOT_FOUND, "%s has no task '%.100s'", run->pipeline, request->task);
    if (request->offset > INT64_MAX)
        return err_set(err, ERR_INVALID, "offset: too large");
    int32_t index = pipeline->definition->tasks[place]->map ? request->index : -1;
    if (store_find_attempt(store, request->run, place, index, request->attempt, &lease, &number,
                           &ended, &uri, err) ||
        (lease && store_read_log(store, lease, (int64_t)request->offset, LOG_PART,
                                 (const uint8_t **)&response->data.data, &response->data.len, err)))
        return err->code;
    response->next_offset = request->offset + response->data.len;
    response->attempt = (uint32_t)number;
    response->uri = (char *)uri;
    bool over = lease ? ended : run->finished_at_ms > 0;
    response->ended = over && response->data.len == 0;
    if (response->data.len == 0 && !over && request->wait_ms) {
        snprintf(topic, sizeof(topic), lease ? "log:%s" : "run:%s", lease ? lease : run->run);
        rpc_wait(call, topic, until_ms(call, request->wait_ms));
    }
    return ERR_OK;
}

#define READ "pipeline:read"
#define WRITE "pipeline:write"
#define WORK "worker:run"
#define POLL_MS 35000 /* WORK_POLL_MAX_MS, and time to answer */

const struct rpc_method pipeline_queries[] = {
    RPC_COMMAND("ApplyPipeline", apply_pipeline, WRITE, 5000),
    RPC_COMMAND("Backfill", backfill_runs, WRITE, 30000),
    RPC_COMMAND("CancelRun", cancel_run, WRITE, 5000),
    RPC_COMMAND("DeletePipeline", delete_pipeline, WRITE, 30000),
    RPC_COMMAND("DrainWorker", drain_worker, WRITE, 2000),
    RPC_QUERY("FinishTasks", finish_tasks, WORK, 5000),
    RPC_QUERY("GetPipeline", get_pipeline, READ, 2000),
    RPC_QUERY("GetPipelineRun", get_run, READ, POLL_MS),
    RPC_QUERY("ListPipelineRuns", list_runs, READ, 2000),
    RPC_QUERY("ListPipelines", list_pipelines, READ, 2000),
    RPC_QUERY("ListWorkers", list_workers, READ, 2000),
    RPC_COMMAND("PausePipeline", pause_pipeline, WRITE, 2000),
    RPC_QUERY("PollTasks", poll_tasks, WORK, POLL_MS),
    RPC_QUERY("ReadTaskLog", read_task_log, READ, POLL_MS),
    RPC_COMMAND("ResumeRun", resume_run, WRITE, 5000),
    RPC_COMMAND("StartRun", start_run, WRITE, 5000),
    RPC_QUERY("WriteTaskLog", write_task_log, WORK, 5000),
    {.name = NULL},
};
