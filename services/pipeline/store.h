/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - durable state of pipelines (PostgreSQL schema "pipeline").
 *
 * store.c (pipelines and triggers), store_run.c (runs, tasks, attempts), store_view.c (what people
 * see of runs), store_work.c (workers, leases, logs, the cache) and store_due.c (the scheduler's) are the
 * only files of this service that contain SQL. Every call works on the caller's connection, and in its
 * transaction when it has one. What is filled lives in the arena. Calls that answer nothing may only be
 * sent (db_queue()): their errors show later in the transaction. Nothing here logs. Errors are those of
 * db.h, and ERR_NOT_FOUND with a sentence where it says so. [all]: of all workspaces.
 *
 * Locks are taken in this order: pipeline, worker, run, attempts of the run. Leasing takes attempts
 * that nobody has locked and so waits for none.
 */
#pragma once

#include "change.h"
#include "plan.h"

#include "modelbus/pipeline/v1/events.pb-c.h"
#include "modelbus/pipeline/v1/queries.pb-c.h"

typedef Modelbus__Pipeline__V1__Pipeline Pipeline;
typedef Modelbus__Pipeline__V1__PipelineRun PipelineRun;
typedef Modelbus__Pipeline__V1__TaskState TaskState;
typedef Modelbus__Pipeline__V1__Attempt Attempt;
typedef Modelbus__Pipeline__V1__Cause Cause;
typedef Modelbus__Pipeline__V1__RunParameter RunParameter;
typedef Modelbus__Pipeline__V1__Output Output;
typedef Modelbus__Pipeline__V1__Lease Lease;
typedef Modelbus__Pipeline__V1__Worker Worker;
typedef Modelbus__Pipeline__V1__Resources Resources;

/* ---- pipelines (store.c) ---- */

/* Lock a pipeline: its newest version; *version 0: there is none of that name. */
MUST_CHECK enum err_code store_lock_pipeline(const struct store *store, const char *name,
                                             int64_t *version, bool *paused, struct err *err);
/* version 0: the newest. With its definition. ERR_NOT_FOUND. */
MUST_CHECK enum err_code store_get_pipeline(const struct store *store, const char *name,
                                            int64_t version, Pipeline **pipeline, struct err *err);
/* By name, those after it, without definitions. */
MUST_CHECK enum err_code store_list_pipelines(const struct store *store, const char *after,
                                              int64_t limit, Pipeline ***pipelines, size_t *count,
                                              bool *more, struct err *err);
/* The next version, which becomes the newest. heard: types of events that its triggers name. */
MUST_CHECK enum err_code store_put_version(const struct store *store, int64_t version,
                                           const Definition *definition, const char *const *heard,
                                           size_t heard_count, const char *by, int64_t now_ms,
                                           struct err *err);
MUST_CHECK enum err_code store_set_paused(const struct store *store, const char *name, bool paused,
                                          struct err *err);
/* With its versions, triggers and runs. */
MUST_CHECK enum err_code store_delete_pipeline(const struct store *store, const char *name,
                                               struct err *err);

/* Grows when what triggers are there has changed [all]. */
MUST_CHECK enum err_code store_revision(const struct store *store, int64_t *revision,
                                        struct err *err);
MUST_CHECK enum err_code store_grow_revision(const struct store *store, struct err *err);
/* Pipelines that are not paused and hear events [all]. */
struct listening {
    const char *workspace;
    int64_t version, applied_ms;
    Definition *definition;
};
MUST_CHECK enum err_code store_list_listening(const struct store *store, struct listening **found,
                                              size_t *count, struct err *err);

struct cron_state {
    const char *trigger, *schedule;
    int64_t next_due_ms;
};
MUST_CHECK enum err_code store_list_cron(const struct store *store, const char *pipeline,
                                         struct cron_state **states, size_t *count,
                                         struct err *err);
/* next_due_ms INT64_MAX: never. */
MUST_CHECK enum err_code store_put_cron(const struct store *store, const char *pipeline,
                                        const struct cron_state *state, int64_t last_due_ms,
                                        struct err *err);
MUST_CHECK enum err_code store_drop_cron(const struct store *store, const char *pipeline,
                                         const char *trigger, struct err *err);
/* A pipeline with a trigger that is due, locked [all]; *workspace NULL: none. */
MUST_CHECK enum err_code store_find_cron_due(const struct store *store, int64_t now_ms,
                                             const char **workspace, const char **pipeline,
                                             struct err *err);

/* ---- runs (store_run.c) ---- */

struct run {
    const char *id, *workspace, *pipeline, *status, *reason;
    int64_t version;
    PipelineRun *body; /* cause, parameters, started_by */
    int64_t depth, created_ms, finished_ms;
    int64_t deadline_ms; /* from when it begins; 0: none */
    int64_t resumed;     /* how often */
    const char *traceparent;
    bool begun;
    bool serial; /* begins when no other of its pipeline is active */
    Definition *definition;
};
/* *fresh false: its time, or its event, has a run already. */
MUST_CHECK enum err_code store_add_run(const struct store *store, const struct run *run,
                                       const char *trace_id, bool *fresh, struct err *err);
/* Locked, with its definition; the workspace is the store's. ERR_NOT_FOUND. */
MUST_CHECK enum err_code store_lock_run(const struct store *store, const char *id, struct run **run,
                                        struct err *err);
MUST_CHECK enum err_code store_save_run(const struct store *store, const struct run *run,
                                        struct err *err);
/* Ids of runs that have not ended, oldest first. */
MUST_CHECK enum err_code store_active_runs(const struct store *store, const char *pipeline,
                                           const char ***ids, size_t *count, struct err *err);
/* Of runs with this trace that were created before then, the greatest depth + 1; 0: there is none. */
MUST_CHECK enum err_code store_depth(const struct store *store, const char *trace_id,
                                     int64_t before_ms, int64_t *depth, struct err *err);

MUST_CHECK enum err_code store_add_tasks(const struct store *store, const char *run, size_t count,
                                         struct err *err);
/* rows: one a task, by place. */
MUST_CHECK enum err_code store_load_tasks(const struct store *store, const char *run,
                                          struct task_row *rows, size_t count, struct err *err);
MUST_CHECK enum err_code store_save_task(const struct store *store, const char *run, size_t place,
                                         const struct task_row *row, struct err *err);
/* The items of its map. */
MUST_CHECK enum err_code store_put_list(const struct store *store, const char *run, size_t place,
                                        const char *const *items, size_t count, struct err *err);
MUST_CHECK enum err_code store_get_items(const struct store *store, const char *run, size_t place,
                                         uint32_t from, uint32_t count, const char **items,
                                         struct err *err);

/* An attempt that is ready from due_ms on, or has ended as "cached" at once. */
struct attempt {
    const char *lease, *run, *status, *item, *worker, *instance, *stop;
    size_t place;
    int32_t index;
    int64_t attempt, failures, losses;
    int64_t due_ms, started_ms, leased_until_ms;
    Lease *spec;
    const char **labels; /* "name=value" */
    size_t label_count;
    const uint8_t *cache_key; /* SHA256_BYTES; NULL: none */
    Attempt *outputs;         /* of a cached one; may be NULL */
};
MUST_CHECK enum err_code store_add_attempt(const struct store *store, const struct attempt *attempt,
                                           int64_t now_ms, struct err *err);
MUST_CHECK enum err_code store_last_attempt(const struct store *store, const char *run,
                                            size_t place, int32_t index, int64_t *attempt,
                                            struct err *err);
/* Of those that are known, by run: each lease once, and its run. */
MUST_CHECK enum err_code store_runs_of(const struct store *store, const char *const *leases,
                                       size_t count, const char *const **known,
                                       const char *const **runs, size_t *known_count,
                                       struct err *err);
/* Locked, in the order of leases, which are different ones; their run is locked already. */
MUST_CHECK enum err_code store_lock_attempts(const struct store *store, const char *const *leases,
                                             size_t count, struct attempt *const **attempts,
                                             struct err *err);
struct ending {
    const char *status, *reason;
    int64_t exit_code, started_ms, log_bytes;
    const char *log_uri;
    Attempt *outputs; /* may be NULL */
};
MUST_CHECK enum err_code store_end_attempt(const struct store *store, const char *lease,
                                           const struct ending *ending, int64_t now_ms,
                                           struct err *err);
/* Those that are ready end as cancelled: of each its place. */
MUST_CHECK enum err_code store_cancel_ready(const struct store *store, const char *run,
                                            int64_t now_ms, int64_t **places, size_t *count,
                                            struct err *err);
/* Those that run are to end; why: "cancelled". */
MUST_CHECK enum err_code store_stop_running(const struct store *store, const char *run,
                                            const char *why, struct err *err);
/* Of a task what its items put out, those below `items`, by index. */
struct item_outputs {
    int64_t index;
    Attempt *outputs;
};
MUST_CHECK enum err_code store_load_outputs(const struct store *store, const char *run,
                                            size_t place, struct item_outputs **outputs,
                                            size_t *count, struct err *err);
/* Items below `below` of a task whose latest attempt did not succeed. */
MUST_CHECK enum err_code store_failed_items(const struct store *store, const char *run,
                                            size_t place, uint32_t below, int64_t **items,
                                            size_t *count, struct err *err);
/* The task begins anew: what its attempts came to does not count any more. */
MUST_CHECK enum err_code store_forget_attempts(const struct store *store, const char *run,
                                               size_t place, struct err *err);

/* ---- what people see of runs (store_view.c) ---- */

/* Without tasks. ERR_NOT_FOUND. */
MUST_CHECK enum err_code store_get_run(const struct store *store, const char *id, PipelineRun **run,
                                       struct err *err);
/* Adds its tasks and its latest attempts, at most STORE_ATTEMPTS_MAX. */
#define STORE_ATTEMPTS_MAX 1000
MUST_CHECK enum err_code store_describe_run(const struct store *store, PipelineRun *run,
                                            struct err *err);
/* Newest first, those before the id; pipeline and status "": all. */
MUST_CHECK enum err_code store_list_runs(const struct store *store, const char *before,
                                         const char *pipeline, const char *status, int64_t limit,
                                         PipelineRun ***runs, size_t *count, bool *more,
                                         struct err *err);

/* ---- workers (store_work.c) ---- */

/* As somebody asked; *known false: there is no such worker. */
struct worker_row {
    const char *instance, *replaced;
    int64_t since_ms, seen_ms;
    bool drain, stopping;
    Worker *body;
    bool known;
};
MUST_CHECK enum err_code store_lock_worker(const struct store *store, const char *name,
                                           struct worker_row *row, struct err *err);
MUST_CHECK enum err_code store_put_worker(const struct store *store, const struct worker_row *row,
                                          struct err *err);
MUST_CHECK enum err_code store_drain_worker(const struct store *store, const char *name, bool drain,
                                            struct err *err);
MUST_CHECK enum err_code store_list_workers(const struct store *store, const char *after,
                                            int64_t limit, Worker ***workers, size_t *count,
                                            bool *more, struct err *err);

/* What a worker has in the table. */
struct held {
    const char *lease, *instance, *stop;
    int64_t leased_until_ms, started_ms;
    double cpu;
    int64_t memory_mb, gpu;
};
MUST_CHECK enum err_code store_list_held(const struct store *store, const char *worker,
                                         struct held **held, size_t *count, struct err *err);
/* The lease's specification, as it was handed out. */
MUST_CHECK enum err_code store_get_spec(const struct store *store, const char *lease, Lease **spec,
                                        struct err *err);
/* Leases of this worker and instance last until then (0: they are over). Those that somebody has locked stay
 * as they are. */
MUST_CHECK enum err_code store_extend(const struct store *store, const char *worker,
                                      const char *const *leases, size_t count, int64_t until_ms,
                                      struct err *err);
/* Of these leases those that neither this instance of the worker has nor has ended itself. */
MUST_CHECK enum err_code store_list_lost(const struct store *store, const char *worker,
                                         const char *instance, const char *const *leases,
                                         size_t count, char ***lost, size_t *lost_count,
                                         struct err *err);
/* An attempt that is due and fits into what is free, locked; nobody waits for it. */
struct room {
    double cpu;
    int64_t memory_mb, gpu;
    const char **labels;
    size_t label_count;
};
MUST_CHECK enum err_code store_find_ready(const struct store *store, const struct room *room,
                                          int64_t now_ms, int64_t limit, struct attempt **found,
                                          size_t *count, struct err *err);
MUST_CHECK enum err_code store_lease(const struct store *store, const char *lease,
                                     const char *worker, const char *instance, int64_t now_ms,
                                     int64_t until_ms, int64_t stop_ms, struct err *err);

/* ---- logs ---- */

#define STORE_LOG_MAX (16 << 20) /* bytes of a task that are kept while it runs */
/* Who runs it ("": nobody any more), and the offset of what comes next. *known false: no such lease. */
MUST_CHECK enum err_code store_log_end(const struct store *store, const char *lease, bool *known,
                                       const char **worker, int64_t *next, struct err *err);
MUST_CHECK enum err_code store_add_log(const struct store *store, const char *lease, int64_t start,
                                       const void *data, size_t len, struct err *err);
/* *lease NULL: there is no such attempt. attempt 0: the latest. */
MUST_CHECK enum err_code store_find_attempt(const struct store *store, const char *run,
                                            size_t place, int32_t index, int64_t attempt,
                                            const char **lease, int64_t *number, bool *ended,
                                            const char **uri, struct err *err);
/* At most about max bytes from start on. */
MUST_CHECK enum err_code store_read_log(const struct store *store, const char *lease, int64_t start,
                                        int64_t max, const uint8_t **data, size_t *len,
                                        struct err *err);

/* ---- the cache ---- */

/* *outputs NULL: nothing that is younger. */
MUST_CHECK enum err_code store_find_cached(const struct store *store, const uint8_t *key,
                                           int64_t since_ms, Attempt **outputs, struct err *err);
MUST_CHECK enum err_code store_keep_outputs(const struct store *store, const uint8_t *key,
                                            const Attempt *outputs, int64_t now_ms,
                                            struct err *err);

/* ---- the scheduler's [all] ---- */

/* What is due at now_ms, one of each kind; ids NULL: none. */
struct due {
    const char *workspace, *run, *lease;
};
/* A run whose tasks are to be made, and whose pipeline lets it. */
MUST_CHECK enum err_code store_find_to_begin(const struct store *store, struct due *due,
                                             struct err *err);
/* A lease that is over; a running attempt, and a run, whose time is over. */
MUST_CHECK enum err_code store_find_lost(const struct store *store, int64_t now_ms, struct due *due,
                                         struct err *err);
MUST_CHECK enum err_code store_stop_overdue(const struct store *store, int64_t now_ms,
                                            struct due *due, struct err *err);
MUST_CHECK enum err_code store_find_overdue_run(const struct store *store, int64_t now_ms,
                                                struct due *due, struct err *err);
/* Workspaces in which an attempt has become ready in (after_ms, now_ms]. */
MUST_CHECK enum err_code store_find_woken(const struct store *store, int64_t after_ms,
                                          int64_t now_ms, const char ***workspaces, size_t *count,
                                          struct err *err);
/* When something is due next; INT64_MAX: never. */
MUST_CHECK enum err_code store_next_due(const struct store *store, int64_t now_ms, int64_t *due_ms,
                                        struct err *err);
/* A scheduler is at work; *before_ms: when one last was (0: never). Locks, so that one of several learns it. */
MUST_CHECK enum err_code store_seen(const struct store *store, int64_t now_ms, int64_t *before_ms,
                                    struct err *err);
/* All leases last so much longer. */
MUST_CHECK enum err_code store_prolong(const struct store *store, int64_t by_ms, struct err *err);
struct measures {
    int64_t ready, running, oldest_ready_ms, active_runs;
    int64_t workers; /* that were heard of after seen_ms, and do not drain */
};
MUST_CHECK enum err_code store_measure(const struct store *store, int64_t now_ms, int64_t seen_ms,
                                       struct measures *measures, struct err *err);
/* Runs that ended before then with all that is theirs, at most STORE_PRUNE_RUNS; logs that are
 * artifacts since log_before_ms; the cache; workers that nobody has seen since. */
#define STORE_PRUNE_RUNS 500
MUST_CHECK enum err_code store_prune(const struct store *store, int64_t before_ms,
                                     int64_t log_before_ms, struct err *err);
