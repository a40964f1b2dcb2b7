/* SPDX-License-Identifier: Apache-2.0 */
/* advance.c - a run goes on. */
#include "advance.h"

#include "counters.h"
#include "log/log.h"
#include "origin.h"

#include <stdio.h>
#include <string.h>

enum err_code
advance_say(const struct change *change, const char *traceparent, const char *cause,
            const ProtobufCMessage *event, struct err *err)
{
    struct event_origin before = event_origin(), of_run = {0};
    struct trace run;

    if (trace_parse(traceparent, &run))
        trace_child(&run, &of_run.trace);
    snprintf(of_run.cause, sizeof(of_run.cause), "%s", cause);
    event_origin_set(&of_run);
    enum err_code code = change_say(change, event, err);
    event_origin_set(&before);
    return code;
}

static bool
cancelling(const struct advance *a)
{
    return strcmp(a->run->status, "cancelling") == 0;
}

static const Task *
task_of(const struct advance *a, size_t place)
{
    return a->plan->definition->tasks[place];
}

/* The time is read under the lock: who has waited for it comes after the one before, and after what has
 * ended by another instance's clock. */
static void
set_time(const struct advance *a, struct change *change)
{
    change->now_ms = pipeline_state(change)->clock();
    for (size_t i = 0; i < a->run->definition->n_tasks; i++)
        if (a->rows[i].finished_ms > change->now_ms)
            change->now_ms = a->rows[i].finished_ms;
}

enum err_code
advance_open(struct advance *a, const struct change *change, const char *id, struct err *err)
{
    struct arena *arena = change->store.arena;
    struct change *at = arena_memdup(arena, change, sizeof(*change));

    *a = (struct advance){.change = at, .due_ms = INT64_MAX};
    if (store_lock_run(&change->store, id, &a->run, err))
        return err->code;
    size_t count = a->run->definition->n_tasks;
    a->plan = plan_new(a->run->definition, arena);
    a->rows = arena_zalloc(arena, count * sizeof(*a->rows));
    for (size_t i = 0; i < count; i++)
        a->rows[i].reason = "";
    spec_open(&a->spec, &change->store, a->run, a->plan, a->rows);
    if ((a->run->begun || a->run->resumed) &&
        store_load_tasks(&change->store, id, a->rows, count, err))
        return err->code;
    set_time(a, at);
    return ERR_OK;
}

enum err_code
advance_begin(struct advance *a, struct err *err)
{
    Modelbus__Pipeline__V1__PipelineStarted event = MODELBUS__PIPELINE__V1__PIPELINE_STARTED__INIT;
    struct run *run = a->run;

    run->begun = true;
    run->deadline_ms = run->definition->timeout_s
                           ? a->change->now_ms + (int64_t)run->definition->timeout_s * 1000
                           : 0;
    if (run->resumed)
        return ERR_OK;
    event.run = (char *)run->id;
    event.pipeline = (char *)run->pipeline;
    event.version = run->version;
    event.cause = run->body->cause;
    event.parameters = run->body->parameters;
    event.n_parameters = run->body->n_parameters;
    event.started_at_ms = run->created_ms;
    event.started_by = run->body->started_by;
    if (store_add_tasks(&a->change->store, run->id, run->definition->n_tasks, err))
        return err->code;
    return advance_say(a->change, run->traceparent, run->body->cause->id, &event.base, err);
}

/* ---- events of tasks ---- */

static MUST_CHECK enum err_code
say_finished(struct advance *a, size_t place, const struct attempt *attempt,
             const struct ending *ending, bool retried, struct err *err)
{
    Modelbus__Pipeline__V1__TaskFinished event = MODELBUS__PIPELINE__V1__TASK_FINISHED__INIT;

    event.run = (char *)a->run->id;
    event.pipeline = (char *)a->run->pipeline;
    event.task = task_of(a, place)->name;
    event.index = attempt ? attempt->index : -1;
    event.attempt = attempt ? (uint32_t)attempt->attempt : 0;
    event.status = (char *)ending->status;
    event.reason = (char *)ending->reason;
    event.exit_code = (int32_t)ending->exit_code;
    event.outputs = ending->outputs ? ending->outputs->outputs : NULL;
    event.n_outputs = ending->outputs ? ending->outputs->n_outputs : 0;
    event.worker = (char *)(attempt && attempt->worker ? attempt->worker : "");
    event.started_at_ms = attempt ? attempt->started_ms : 0;
    event.finished_at_ms = a->change->now_ms;
    event.retried = retried;
    return advance_say(a->change, a->run->traceparent, a->run->body->cause->id, &event.base, err);
}

/* A task ends without having begun, or before any of its items. */
static MUST_CHECK enum err_code
end_task(struct advance *a, size_t place, enum task_status status, const char *reason,
         struct err *err)
{
    struct task_row *row = &a->rows[place];
    const struct ending ending = {.status = task_status_name(status), .reason = reason};

    row->status = status;
    row->reason = arena_strdup(a->change->store.arena, reason);
    row->finished_ms = a->change->now_ms;
    row->changed = true;
    return say_finished(a, place, NULL, &ending, false, err);
}

/* ---- items start ---- */

/* What the definition makes of this run is wrong: the task fails, not the transaction. */
static bool
is_own_fault(const struct advance *a, const struct err *err)
{
    return !a->spec.broken && (err->code == ERR_INVALID || err->code == ERR_TOO_LARGE);
}

static MUST_CHECK enum err_code
item_failed(struct advance *a, const struct attempt *attempt, const struct err *cause,
            struct err *err)
{
    struct task_row *row = &a->rows[attempt->place];
    struct ending ending = {.status = "failed",
                            .reason = arena_strdup(a->change->store.arena, cause->message)};

    row->active--;
    row->failed++;
    row->reason = ending.reason;
    row->changed = true;
    return say_finished(a, attempt->place, attempt, &ending, false, err);
}

static MUST_CHECK enum err_code
look_into_cache(struct advance *a, struct attempt *attempt, struct err *err)
{
    const Task *task = task_of(a, attempt->place);
    int64_t age_s = task->cache->max_age_s ? task->cache->max_age_s : 86400;

    return store_find_cached(&a->change->store, attempt->cache_key,
                             a->change->now_ms - age_s * 1000, &attempt->outputs, err);
}

static void
add_made(struct advance *a, const char *lease)
{
    struct advance_made *made = arena_alloc(a->change->store.arena, sizeof(*made));

    *made = (struct advance_made){lease, a->made};
    a->made = made;
}

static MUST_CHECK enum err_code
add_attempt(struct advance *a, struct attempt *attempt, struct err *err)
{
    struct err failure = {0};
    char lease[37];

    crypto_uuid7(lease);
    attempt->lease = arena_strdup(a->change->store.arena, lease);
    attempt->run = a->run->id;
    if (spec_fill(&a->spec, attempt, &failure)) {
        if (is_own_fault(a, &failure))
            return item_failed(a, attempt, &failure, err);
        return err_set(err, failure.code, "%s", failure.message);
    }
    if (attempt->cache_key && attempt->attempt == 1 && look_into_cache(a, attempt, err))
        return err->code;
    if (store_add_attempt(&a->change->store, attempt, a->change->now_ms, err))
        return err->code;
    if (!attempt->outputs) {
        if (attempt->due_ms <= a->change->now_ms)
            add_made(a, attempt->lease);
        else if (attempt->due_ms < a->due_ms)
            a->due_ms = attempt->due_ms;
        return ERR_OK;
    }
    const struct ending ending = {.status = "cached", .reason = "", .outputs = attempt->outputs};
    a->rows[attempt->place].active--;
    a->rows[attempt->place].succeeded++;
    spec_forget(&a->spec, attempt->place);
    return say_finished(a, attempt->place, attempt, &ending, false, err);
}

static MUST_CHECK enum err_code
start_item(struct advance *a, size_t place, const char *const *texts, uint32_t first,
           struct err *err)
{
    const struct store *store = &a->change->store;
    bool mapped = task_of(a, place)->map != NULL;
    uint32_t item = plan_take(&a->rows[place]);
    const char *text = "";
    struct attempt attempt = {
        .place = place,
        .index = mapped ? (int32_t)item : -1,
        .due_ms = a->change->now_ms,
    };

    if (a->run->resumed &&
        store_last_attempt(store, a->run->id, place, attempt.index, &attempt.attempt, err))
        return err->code;
    if (mapped && item >= first)
        text = texts[item - first];
    else if (mapped && store_get_items(store, a->run->id, place, item, 1, &text, err))
        return err->code;
    attempt.item = text;
    attempt.attempt++;
    return add_attempt(a, &attempt, err);
}

static MUST_CHECK enum err_code
start_items(struct advance *a, size_t place, struct err *err)
{
    struct task_row *row = &a->rows[place];
    uint32_t room;

    while ((room = plan_items(task_of(a, place), row)) > 0) {
        uint32_t first = row->next_item, fresh = row->items - first;
        fresh = fresh < room ? fresh : room;
        const char **texts = arena_alloc(a->change->store.arena, fresh * sizeof(*texts));
        if (task_of(a, place)->map && fresh &&
            store_get_items(&a->change->store, a->run->id, place, first, fresh, texts, err))
            return err->code;
        for (uint32_t i = 0; i < room; i++)
            if (start_item(a, place, texts, first, err))
                return err->code;
    }
    return ERR_OK;
}

static MUST_CHECK enum err_code
begin_task(struct advance *a, size_t place, struct err *err)
{
    struct task_row *row = &a->rows[place];
    const char *unmet = NULL, **items = NULL;
    struct err failure = {0};
    size_t count = 1;

    enum err_code code = spec_when(&a->spec, place, &unmet, &failure);
    if (!code && !unmet && task_of(a, place)->map)
        code = spec_items(&a->spec, place, &items, &count, &failure);
    if (code && is_own_fault(a, &failure))
        return end_task(a, place, TASK_FAILED, failure.message, err);
    if (code)
        return err_set(err, failure.code, "%s", failure.message);
    if (unmet)
        return end_task(a, place, TASK_SKIPPED,
                        arena_printf(a->change->store.arena, "when: %s", unmet), err);
    if (items && store_put_list(&a->change->store, a->run->id, place, items, count, err))
        return err->code;
    row->status = TASK_ACTIVE;
    row->items = (uint32_t)count;
    row->changed = true;
    return ERR_OK;
}

/* ---- attempts end ---- */

static MUST_CHECK enum err_code
try_again(struct advance *a, const struct attempt *attempt, bool lost, struct err *err)
{
    const Task *task = task_of(a, attempt->place);
    struct attempt next = {
        .place = attempt->place,
        .index = attempt->index,
        .attempt = attempt->attempt + 1,
        .item = attempt->item,
        .failures = attempt->failures + !lost,
        .losses = attempt->losses + lost,
        .due_ms = a->change->now_ms,
    };
    uint32_t chance;

    if (!lost) {
        crypto_random(&chance, sizeof(chance));
        next.due_ms +=
            plan_backoff_ms(task->retries, (uint32_t)next.failures, (double)chance / 4294967296.0);
    }
    return add_attempt(a, &next, err);
}

enum err_code
advance_end(struct advance *a, const struct attempt *attempt, const struct ending *ended,
            struct err *err)
{
    const Task *task = task_of(a, attempt->place);
    struct task_row *row = &a->rows[attempt->place];
    struct ending ending = *ended;
    bool lost = strcmp(ending.status, "lost") == 0;

    if (strcmp(ending.status, "cancelled") == 0 && strcmp(attempt->stop, "timeout") == 0) {
        ending.status = "failed";
        ending.reason = ADVANCE_TIMEOUT;
    }
    bool ok = strcmp(ending.status, "succeeded") == 0;
    bool failed = strcmp(ending.status, "failed") == 0;
    /* A worker that stops gives back what it has: nobody's fault, as when it vanishes. */
    bool given_back = !ok && !failed;
    bool again = !cancelling(a) && !ok &&
                 (given_back ? attempt->losses < ADVANCE_LOSSES_MAX
                             : task->retries && attempt->failures < task->retries->count);

    if (lost)
        counters_lost();
    row->changed = true;
    if (store_end_attempt(&a->change->store, attempt->lease, &ending, a->change->now_ms, err) ||
        say_finished(a, attempt->place, attempt, &ending, again, err))
        return err->code;
    spec_forget(&a->spec, attempt->place);
    if (ok && attempt->cache_key &&
        store_keep_outputs(&a->change->store, attempt->cache_key, ending.outputs, a->change->now_ms,
                           err))
        return err->code;
    if (again)
        return try_again(a, attempt, given_back, err);
    row->active--;
    if (ok) {
        row->succeeded++;
    } else if (failed || !cancelling(a)) {
        row->failed++;
        row->reason = *ending.reason || !lost ? ending.reason : "its worker vanished";
    }
    return ERR_OK;
}

/* ---- the end of a run ---- */

enum err_code
advance_cancel(struct advance *a, const char *reason, struct err *err)
{
    const struct store *store = &a->change->store;
    int64_t *places;
    size_t count;

    if (a->run->finished_ms)
        return err_set(err, ERR_PRECONDITION, "run %s has %s", a->run->id, a->run->status);
    if (cancelling(a))
        return ERR_OK;
    a->run->status = "cancelling";
    a->run->reason = reason;
    if (!a->run->begun && advance_begin(a, err))
        return err->code;
    a->run->deadline_ms = 0;
    if (store_cancel_ready(store, a->run->id, a->change->now_ms, &places, &count, err) ||
        store_stop_running(store, a->run->id, "cancelled", err))
        return err->code;
    for (size_t i = 0; i < count; i++) {
        a->rows[places[i]].active--;
        a->rows[places[i]].changed = true;
    }
    a->stopping = true;
    return ERR_OK;
}

static MUST_CHECK enum err_code
finish(struct advance *a, const char *status, const char *reason, struct err *err)
{
    Modelbus__Pipeline__V1__PipelineFinished event =
        MODELBUS__PIPELINE__V1__PIPELINE_FINISHED__INIT;
    struct run *run = a->run;

    if (strcmp(run->reason, ADVANCE_TIMEOUT) == 0)
        status = "failed";
    run->status = status;
    if (!*run->reason)
        run->reason = reason;
    run->finished_ms = a->change->now_ms;
    event.run = (char *)run->id;
    event.pipeline = (char *)run->pipeline;
    event.version = run->version;
    event.status = (char *)status;
    event.reason = (char *)run->reason;
    event.cause = run->body->cause;
    event.parameters = run->body->parameters;
    event.n_parameters = run->body->n_parameters;
    event.started_at_ms = run->created_ms;
    event.finished_at_ms = run->finished_ms;
    counters_run(status);
    log_info("run finished", LOG_STR("run", run->id), LOG_STR("pipeline", run->pipeline),
             LOG_STR("status", status), LOG_STR("reason", run->reason));
    return advance_say(a->change, run->traceparent, run->body->cause->id, &event.base, err);
}

/* ---- again ---- */

static MUST_CHECK enum err_code
begin_anew(struct advance *a, size_t place, bool whole, struct err *err)
{
    struct task_row *row = &a->rows[place];
    const struct store *store = &a->change->store;

    if (whole || row->items == 0 || !task_of(a, place)->map) {
        *row = (struct task_row){.reason = "", .changed = true};
        return store_forget_attempts(store, a->run->id, place, err);
    }
    /* Items that succeeded stay. */
    row->status = TASK_ACTIVE;
    row->reason = "";
    row->failed = 0;
    row->finished_ms = 0;
    row->changed = true;
    return store_failed_items(store, a->run->id, place, row->next_item, &row->redo,
                              &row->redo_count, err);
}

enum err_code
advance_resume(struct advance *a, const char *task, struct err *err)
{
    const Definition *definition = a->run->definition;
    size_t place = task ? definition_task(definition, task) : SIZE_MAX, renewed = 0;

    if (!a->run->finished_ms)
        return err_set(err, ERR_PRECONDITION, "run %s has not ended", a->run->id);
    if (task && place == SIZE_MAX)
        return err_set(err, ERR_NOT_FOUND, "%s has no task '%.100s'", a->run->pipeline, task);
    const bool *marked = task ? plan_downstream(a->plan, place, a->change->store.arena) : NULL;
    for (size_t i = 0; i < definition->n_tasks; i++) {
        if (marked ? !marked[i] : a->rows[i].status == TASK_SUCCEEDED)
            continue;
        renewed++;
        if (begin_anew(a, i, marked != NULL, err))
            return err->code;
    }
    if (renewed == 0)
        return err_set(err, ERR_PRECONDITION, "all tasks of run %s have succeeded", a->run->id);
    a->run->status = "running";
    a->run->reason = "";
    a->run->finished_ms = 0;
    a->run->resumed++;
    a->run->begun = false;
    return ERR_OK;
}

/* ---- what comes next ---- */

static MUST_CHECK enum err_code
step(struct advance *a, size_t place, struct err *err)
{
    struct task_row *row = &a->rows[place];
    const char *reason = "";

    if (row->status == TASK_WAITING && cancelling(a)) {
        row->status = TASK_CANCELLED;
        row->finished_ms = a->change->now_ms;
        row->changed = true;
    } else if (row->status == TASK_WAITING) {
        enum plan_step next = plan_task(a->plan, a->rows, place, a->change->store.arena, &reason);
        if (next == PLAN_SKIP)
            return end_task(a, place, TASK_SKIPPED, reason, err);
        if (next == PLAN_BEGIN && begin_task(a, place, err))
            return err->code;
    }
    if (row->status != TASK_ACTIVE)
        return ERR_OK;
    if (!cancelling(a) && start_items(a, place, err))
        return err->code;
    plan_settle(row, cancelling(a), a->change->now_ms);
    return ERR_OK;
}

enum err_code
advance_close(struct advance *a, struct err *err)
{
    const struct store *store = &a->change->store;
    size_t count = a->run->definition->n_tasks;
    const char *reason = "", *ended;
    int64_t due_ms = a->due_ms;
    bool in_turn = cancelling(a) || definition_is_exclusive(a->run->definition);

    for (size_t i = 0; a->run->begun && i < count; i++)
        if (step(a, a->plan->order[i], err))
            return err->code;
    for (size_t i = 0; i < count; i++)
        if (a->rows[i].changed && store_save_task(store, a->run->id, i, &a->rows[i], err))
            return err->code;
    ended = plan_run(a->plan, a->rows, cancelling(a), store->arena, &reason);
    if (ended && finish(a, ended, reason, err))
        return err->code;
    if (store_save_run(store, a->run, err))
        return err->code;
    /* One of the same pipeline may wait for its turn. */
    if (ended && in_turn)
        due_ms = 0;
    pipeline_hint(a->change, arena_printf(store->arena, "run:%s", a->run->id), due_ms);
    if ((a->made && !a->silent) || a->stopping)
        pipeline_hint(a->change, arena_printf(store->arena, "tasks:%s", store->workspace),
                      INT64_MAX);
    return ERR_OK;
}
