/* SPDX-License-Identifier: Apache-2.0 */
/* store_view.c - SQL of what people see of runs. */
#include "store.h"

#include "db/db_page.h"

#include <string.h>

#define PB(suffix) modelbus__pipeline__v1__##suffix

#define RUN_STATUS "CASE WHEN serial AND NOT begun THEN 'waiting' ELSE status END"
#define RUN_COLUMNS                                                                                \
    "r.id, r.pipeline, r.version, " RUN_STATUS ", r.reason, r.body, r.created_ms, r.finished_ms,"  \
    " r.revision"
#define RUN_COLUMN_COUNT 9

static MUST_CHECK enum err_code
read_run(const struct store *store, const struct db_result *result, size_t row, PipelineRun **run,
         struct err *err)
{
    struct arena *arena = store->arena;
    PipelineRun *found = db_unpack(result, row, 5, &PB(pipeline_run__descriptor), arena, err);

    if (!found)
        return err->code;
    found->run = db_copy(result, row, 0, arena);
    found->pipeline = db_copy(result, row, 1, arena);
    found->version = db_i64(result, row, 2);
    found->status = db_copy(result, row, 3, arena);
    found->reason = strcmp(found->status, "waiting") == 0
                        ? "it begins when no other run of the pipeline is active"
                        : db_copy(result, row, 4, arena);
    found->created_at_ms = db_i64(result, row, 6);
    found->finished_at_ms = db_i64(result, row, 7);
    found->revision = db_i64(result, row, 8);
    *run = found;
    return ERR_OK;
}

enum err_code
store_get_run(const struct store *store, const char *id, PipelineRun **run, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT " RUN_COLUMNS ", (SELECT count(*) FROM attempt a WHERE a.run = r.id"
        " AND a.started_ms > 0) FROM run r WHERE workspace = $1 AND id = $2"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(id)), &result, err))
        return err->code;
    if (db_rows(result) == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no run %s", id);
    if (read_run(store, result, 0, run, err))
        return err->code;
    /* An attempt that is leased changes the run too, but not its row, for which leasing does not wait. */
    (*run)->revision += db_i64(result, 0, RUN_COLUMN_COUNT);
    return ERR_OK;
}

enum err_code
store_list_runs(const struct store *store, const char *before, const char *pipeline,
                const char *status, int64_t limit, PipelineRun ***runs, size_t *count, bool *more,
                struct err *err)
{
    static const struct db_stmt stmt = {
        DB_PAGE_SELECT("SELECT " RUN_COLUMNS,
                       "run WHERE workspace = $1 AND id < $2::uuid AND ($3 = '' OR pipeline = $3)"
                       " AND ($4 = '' OR " RUN_STATUS " = $4)",
                       "r", "id DESC", "octet_length(body) + octet_length(reason)", "$5", "$6")};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(before), db_text(pipeline),
                          db_text(status), db_int(limit), db_int(DB_PAGE_BYTES)),
                &result, err))
        return err->code;
    *count = db_page_rows(result, RUN_COLUMN_COUNT, limit, more);
    *runs = arena_alloc(store->arena, *count * sizeof(**runs));
    for (size_t i = 0; i < *count; i++)
        if (read_run(store, result, i, &(*runs)[i], err))
            return err->code;
    return ERR_OK;
}

/* ---- one run ---- */

static MUST_CHECK enum err_code
read_tasks(const struct store *store, PipelineRun *run, const Definition *definition,
           struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT t.status, t.reason, t.items, t.succeeded, t.failed, t.finished_ms,"
        " coalesce(a.running, 0), coalesce(a.started_ms, 0), coalesce(a.cached, false), t.place"
        " FROM task t LEFT JOIN (SELECT place, count(*) FILTER (WHERE status = 'running') AS"
        " running, min(started_ms) FILTER (WHERE started_ms > 0) AS started_ms,"
        " bool_and(status = 'cached') AS cached FROM attempt WHERE run = $1 AND NOT stale"
        " GROUP BY place) a USING (place) WHERE t.run = $1 ORDER BY t.place"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(run->run)), &result, err))
        return err->code;
    run->n_tasks = db_rows(result);
    run->tasks = arena_alloc(store->arena, run->n_tasks * sizeof(*run->tasks));
    for (size_t i = 0; i < run->n_tasks; i++) {
        TaskState *task = arena_alloc(store->arena, sizeof(*task));
        enum task_status status = (enum task_status)db_i64(result, i, 0);
        PB(task_state__init)(task);
        task->task = definition->tasks[db_i64(result, i, 9)]->name;
        task->reason = db_copy(result, i, 1, store->arena);
        task->items = (uint32_t)db_i64(result, i, 2);
        task->succeeded = (uint32_t)db_i64(result, i, 3);
        task->failed = (uint32_t)db_i64(result, i, 4);
        task->finished_at_ms = db_i64(result, i, 5);
        task->running = (uint32_t)db_i64(result, i, 6);
        task->started_at_ms = db_i64(result, i, 7);
        task->cached = db_boolean(result, i, 8);
        task->status =
            status == TASK_ACTIVE && !task->running ? "ready" : (char *)task_status_name(status);
        run->tasks[i] = task;
    }
    return ERR_OK;
}

static MUST_CHECK enum err_code
read_attempts(const struct store *store, PipelineRun *run, const Definition *definition,
              struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT * FROM (SELECT index, attempt, status, reason, exit_code, worker, due_ms,"
        " started_ms, finished_ms, log_uri, log_bytes, outputs, place, lease FROM attempt"
        " WHERE run = $1 ORDER BY lease DESC LIMIT $2) a ORDER BY lease"};
    CLEANUP(db_result_free) struct db_result *result = NULL;
    struct arena *arena = store->arena;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(run->run), db_int(STORE_ATTEMPTS_MAX)), &result,
                err))
        return err->code;
    run->n_attempts = db_rows(result);
    run->attempts = arena_alloc(arena, run->n_attempts * sizeof(*run->attempts));
    for (size_t i = 0; i < run->n_attempts; i++) {
        Attempt *a = db_unpack(result, i, 11, &PB(attempt__descriptor), arena, err);
        size_t place = (size_t)db_i64(result, i, 12);
        if (!a)
            return err->code;
        a->task = definition->tasks[place]->name;
        a->index = (int32_t)db_i64(result, i, 0);
        a->attempt = (uint32_t)db_i64(result, i, 1);
        a->status = db_copy(result, i, 2, arena);
        a->reason = db_copy(result, i, 3, arena);
        a->exit_code = (int32_t)db_i64(result, i, 4);
        a->worker = db_copy(result, i, 5, arena);
        a->due_ms = db_i64(result, i, 6);
        a->started_at_ms = db_i64(result, i, 7);
        a->finished_at_ms = db_i64(result, i, 8);
        a->log_uri = db_copy(result, i, 9, arena);
        a->log_bytes = (uint64_t)db_i64(result, i, 10);
        if (a->index < 0 && place < run->n_tasks && a->n_outputs) {
            run->tasks[place]->outputs = a->outputs;
            run->tasks[place]->n_outputs = a->n_outputs;
        }
        run->attempts[i] = a;
    }
    return ERR_OK;
}

enum err_code
store_describe_run(const struct store *store, PipelineRun *run, struct err *err)
{
    Pipeline *pipeline;

    if (store_get_pipeline(store, run->pipeline, run->version, &pipeline, err) ||
        read_tasks(store, run, pipeline->definition, err))
        return err->code;
    return read_attempts(store, run, pipeline->definition, err);
}
