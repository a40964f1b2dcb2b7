/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queries_work.c - what workers ask.
 *
 * These are queries with transactions of their own: each may be repeated by what it is, so that no reply
 * has to be kept.
 */
#include "queries.h"

#include "life/life.h"
#include "page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ATTEMPTS 3
#define LABELS_MAX 50
#define SMALL_MAX 4096
#define LOG_DATA_MAX (1 << 20) /* bytes of one request */
#define CPU_MAX 100000

/* A transaction that another one was in the way of is done again. */
static MUST_CHECK enum err_code
in_transaction(struct rpc_call *call, enum err_code (*work)(void *arg, struct err *err), void *arg,
               struct err *err)
{
    for (int i = 1;; i++) {
        if (db_begin(call->db, err) == ERR_OK && work(arg, err) == ERR_OK &&
            db_commit(call->db, err) == ERR_OK)
            return ERR_OK;
        bool again = i < ATTEMPTS && err->code == ERR_CONFLICT && db_retry_advised(call->db);
        db_rollback(call->db);
        if (!again)
            return err->code;
        *err = (struct err){0};
    }
}

static MUST_CHECK enum err_code
check_worker(const char *worker, const char *instance, struct err *err)
{
    if (value_check_name("worker", worker, err))
        return err->code;
    return value_check_name("instance", instance, err);
}

/* ---- poll ---- */

static MUST_CHECK enum err_code
check_poll(const PollRequest *request, struct err *err)
{
    const Resources *capacity = request->capacity;

    if (check_worker(request->worker, request->instance, err) ||
        check_wait(request->wait_ms, err) ||
        value_check_text("host", request->host, VALUE_NAME_MAX, err) ||
        value_check_text("version", request->version, VALUE_NAME_MAX, err))
        return err->code;
    if (request->n_labels > LABELS_MAX)
        return err_set(err, ERR_INVALID, "labels: at most %d", LABELS_MAX);
    for (size_t i = 0; i < request->n_labels; i++)
        if (value_check_name("labels", request->labels[i]->key, err) ||
            value_check_text("labels", request->labels[i]->value, VALUE_NAME_MAX, err))
            return err->code;
    if (request->n_leases > WORK_LEASES_MAX)
        return err_set(err, ERR_INVALID, "leases: at most %d", WORK_LEASES_MAX);
    for (size_t i = 0; i < request->n_leases; i++)
        if (check_id("leases", request->leases[i], err))
            return err->code;
    if (capacity && (!isfinite(capacity->cpu) || capacity->cpu < 0 || capacity->cpu > CPU_MAX ||
                     capacity->gpu > INT32_MAX))
        return err_set(err, ERR_INVALID, "capacity: cpu is 0 to %d", CPU_MAX);
    return ERR_OK;
}

struct poll {
    const struct change *change;
    const PollRequest *request;
    PollResponse *response;
    int64_t received_ms;
};

static enum err_code
poll(void *arg, struct err *err)
{
    /* A heartbeat that a crash of the database forgets is no loss. */
    static const struct db_stmt quick = {"SET LOCAL synchronous_commit = off"};
    struct poll *p = arg;

    modelbus__pipeline__v1__poll_tasks_response__init(p->response);
    if (work_poll(p->change, p->request, p->received_ms, p->response, err))
        return err->code;
    return p->response->n_leases ? ERR_OK
                                 : db_exec(p->change->store.db, &quick, DB_NO_PARAMS, NULL, err);
}

enum err_code
poll_tasks(void *arg, REQUEST(PollTasks) * request, RESPONSE(PollTasks) * response,
           struct rpc_call *call, struct err *err)
{
    struct change change = pipeline_call(arg, call);
    struct poll p = {&change, request, response, change.now_ms};
    char topic[80];

    if (call->received_ms)
        p.received_ms -= life_monotonic_ms() - call->received_ms;
    if (check_poll(request, err) || in_transaction(call, poll, &p, err))
        return err->code;
    if (request->wait_ms && !response->n_leases && !response->n_cancelled && !response->n_lost) {
        /* The poll is the heartbeat of the leases that it names. */
        uint32_t most_ms = request->n_leases ? WORK_LEASE_MS / 3 : WORK_POLL_MAX_MS;
        snprintf(topic, sizeof(topic), "tasks:%s", change.store.workspace);
        rpc_wait(call, topic,
                 until_ms(call, request->wait_ms < most_ms ? request->wait_ms : most_ms));
    }
    return ERR_OK;
}

/* ---- finish ---- */

static MUST_CHECK enum err_code
check_ending(const TaskEnding *ending, struct err *err)
{
    if (check_id("endings.lease", ending->lease, err) ||
        value_check_text("endings.reason", ending->reason, VALUE_TEXT_MAX, err) ||
        value_check_text("endings.log_uri", ending->log_uri, VALUE_NAME_MAX, err))
        return err->code;
    if (strcmp(ending->status, "succeeded") != 0 && strcmp(ending->status, "failed") != 0 &&
        strcmp(ending->status, "cancelled") != 0)
        return err_set(err, ERR_INVALID, "endings.status: succeeded, failed or cancelled");
    if (ending->n_outputs > DEFINITION_OUTPUTS_MAX)
        return err_set(err, ERR_INVALID, "endings.outputs: at most %d", DEFINITION_OUTPUTS_MAX);
    if (ending->log_bytes > INT64_MAX)
        return err_set(err, ERR_INVALID, "endings.log_bytes: too large");
    for (size_t i = 0; i < ending->n_outputs; i++) {
        const Output *output = ending->outputs[i];
        if (value_check_name("endings.outputs.name", output->name, err) ||
            value_check_name("endings.outputs.uri", output->uri, err))
            return err->code;
        if (strlen(output->value) > SMALL_MAX)
            return err_set(err, ERR_INVALID, "endings.outputs.value: at most %d bytes", SMALL_MAX);
    }
    return ERR_OK;
}

static MUST_CHECK enum err_code
check_finish(const FinishRequest *request, struct err *err)
{
    if (check_worker(request->worker, request->instance, err))
        return err->code;
    if (request->n_endings > WORK_ENDINGS_MAX)
        return err_set(err, ERR_INVALID, "endings: at most %d", WORK_ENDINGS_MAX);
    for (size_t i = 0; i < request->n_endings; i++)
        if (check_ending(request->endings[i], err))
            return err->code;
    return ERR_OK;
}

struct finish {
    const struct change *change;
    const FinishRequest *request;
    FinishResponse *response;
};

static enum err_code
finish(void *arg, struct err *err)
{
    struct finish *f = arg;

    modelbus__pipeline__v1__finish_tasks_response__init(f->response);
    return work_finish(f->change, f->request, f->response, err);
}

enum err_code
finish_tasks(void *arg, REQUEST(FinishTasks) * request, RESPONSE(FinishTasks) * response,
             struct rpc_call *call, struct err *err)
{
    struct change change = pipeline_call(arg, call);
    struct finish f = {&change, request, response};

    return check_finish(request, err) ? err->code : in_transaction(call, finish, &f, err);
}

/* ---- logs ---- */

enum err_code
write_task_log(void *arg, REQUEST(WriteTaskLog) * request, RESPONSE(WriteTaskLog) * response,
               struct rpc_call *call, struct err *err)
{
    struct change change = pipeline_call(arg, call);
    const struct store *store = &change.store;
    const char *worker;
    int64_t next;
    bool known;

    if (value_check_name("worker", request->worker, err) || check_id("lease", request->lease, err))
        return err->code;
    if (request->offset > INT64_MAX)
        return err_set(err, ERR_INVALID, "offset: too large");
    if (request->data.len > LOG_DATA_MAX)
        return err_set(err, ERR_INVALID, "data: at most %d bytes", LOG_DATA_MAX);
    if (store_log_end(store, request->lease, &known, &worker, &next, err))
        return err->code;
    if (!known || strcmp(worker, request->worker) != 0)
        return err_set(err, ERR_PRECONDITION, "the lease %s is lost", request->lease);
    uint64_t end = request->offset + request->data.len;
    if (request->offset > (uint64_t)next && next < STORE_LOG_MAX)
        return err_set(err, ERR_INVALID, "offset: %lld is what comes next", (long long)next);
    response->next_offset = end > (uint64_t)next ? end : (uint64_t)next;
    if (end <= (uint64_t)next || next >= STORE_LOG_MAX)
        return ERR_OK; /* it is there, or past what is kept */
    size_t skip = (size_t)((uint64_t)next - request->offset);
    if (store_add_log(store, request->lease, next, request->data.data + skip,
                      request->data.len - skip, err))
        return err->code;
    pipeline_wake(pipeline_state(&change), arena_printf(call->arena, "log:%s", request->lease));
    return ERR_OK;
}

/* ---- for people ---- */

enum err_code
list_workers(void *arg, REQUEST(ListWorkers) * request, RESPONSE(ListWorkers) * response,
             struct rpc_call *call, struct err *err)
{
    struct change change = pipeline_call(arg, call);
    const char *after = "";
    int64_t limit;
    bool more;

    if (page_read(call->arena, request->page, "ListWorkers", &after, 1, &limit, err) ||
        store_list_workers(&change.store, after, limit, &response->workers, &response->n_workers,
                           &more, err))
        return err->code;
    if (more)
        response->next_page_token = page_next(call->arena, "ListWorkers",
                                              response->workers[response->n_workers - 1]->worker);
    return ERR_OK;
}

enum err_code
drain_worker(void *arg, REQUEST(DrainWorker) * request, RESPONSE(DrainWorker) * response,
             struct rpc_call *call, struct err *err)
{
    struct change change = pipeline_call(arg, call);
    const struct store *store = &change.store;
    struct worker_row row;

    if (value_check_name("worker", request->worker, err) ||
        store_drain_worker(store, request->worker, request->draining, err) ||
        store_lock_worker(store, request->worker, &row, err))
        return err->code;
    row.body->draining = row.drain || row.stopping;
    row.body->seen_at_ms = row.seen_ms;
    response->worker = row.body;
    pipeline_hint(&change, arena_printf(call->arena, "tasks:%s", store->workspace), INT64_MAX);
    return ERR_OK;
}
