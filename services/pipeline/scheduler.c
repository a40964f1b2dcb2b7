/* SPDX-License-Identifier: Apache-2.0 */
/* scheduler.c - what time does. */
#include "scheduler.h"

#include "changes.h"
#include "work.h"

#include "life/life.h"
#include "log/log.h"
#include "metrics/metrics.h"
#include "sync/sync.h"

#include <stdlib.h>
#include <string.h>

#define TROUBLE_MS 2000 /* the database is away */
#define APPEAR_MS 1000
#define SPIN_MS 20 /* what is due is with another instance */

struct scheduler {
    struct scheduler_options options;
    struct metric *pending, *running, *oldest, *active, *workers;

    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool stop, started;
    int64_t due_ms; /* of the clock: when the thread is to look again */
    pthread_t thread;
    /* The thread's own. */
    int64_t next_prune_ms, next_measure_ms, woken_until_ms;
    int64_t appeared_ms; /* CLOCK_MONOTONIC */
};

static struct change
change_in(const struct scheduler *s, struct db_conn *db, const char *workspace, struct arena *arena)
{
    struct service *service = s->options.state->service;

    return (struct change){
        .store = {.db = db, .workspace = workspace, .arena = arena},
        .service = service,
        .outbox = service->outbox,
        .by = "service:pipeline",
        .now_ms = s->options.state->clock(),
    };
}

/* ---- one thing of each kind; each in a transaction that step() commits ---- */

typedef enum err_code (*kind)(struct change *change, bool *did, struct err *err);

static enum err_code
fire_cron(struct change *change, bool *did, struct err *err)
{
    const char *workspace, *pipeline;

    if (store_find_cron_due(&change->store, change->now_ms, &workspace, &pipeline, err))
        return err->code;
    *did = workspace != NULL;
    if (!workspace)
        return ERR_OK;
    change->store.workspace = workspace;
    return change_fire_cron(change, pipeline, err);
}

static enum err_code
begin_run(struct change *change, bool *did, struct err *err)
{
    struct due due;

    if (store_find_to_begin(&change->store, &due, err))
        return err->code;
    *did = due.run != NULL;
    change->store.workspace = due.workspace;
    return due.run ? change_begin(change, due.run, err) : ERR_OK;
}

static enum err_code
lose_lease(struct change *change, bool *did, struct err *err)
{
    struct due due;

    if (store_find_lost(&change->store, change->now_ms, &due, err))
        return err->code;
    *did = due.run != NULL;
    change->store.workspace = due.workspace;
    return due.run ? change_lose(change, due.run, due.lease, err) : ERR_OK;
}

static enum err_code
stop_attempt(struct change *change, bool *did, struct err *err)
{
    struct due due;

    if (store_stop_overdue(&change->store, change->now_ms, &due, err))
        return err->code;
    *did = due.run != NULL;
    if (due.run)
        pipeline_hint(change, arena_printf(change->store.arena, "tasks:%s", due.workspace),
                      INT64_MAX);
    return ERR_OK;
}

static enum err_code
end_run(struct change *change, bool *did, struct err *err)
{
    struct due due;

    if (store_find_overdue_run(&change->store, change->now_ms, &due, err))
        return err->code;
    *did = due.run != NULL;
    change->store.workspace = due.workspace;
    return due.run ? change_cancel(change, due.run, ADVANCE_TIMEOUT, err) : ERR_OK;
}

static const kind kinds[] = {fire_cron, begin_run, lose_lease, stop_attempt, end_run};

static MUST_CHECK enum err_code
step(struct scheduler *s, struct db_conn *db, bool *did, struct arena *arena, struct err *err)
{
    struct err failure;

    for (size_t i = 0; i < ARRAY_LEN(kinds) && !*did; i++) {
        struct change change = change_in(s, db, "", arena);
        if (db_begin(db, &failure) == ERR_OK && kinds[i](&change, did, &failure) == ERR_OK &&
            db_commit(db, &failure) == ERR_OK)
            continue;
        /* What is wrong with one thing must not hold up the others. */
        *did = false;
        *err = failure;
        if (db_retry_advised(db))
            err->code = ERR_CONFLICT; /* another transaction was in the way: the same again */
        db_rollback(db);
    }
    return err->code;
}

enum err_code
scheduler_step(struct scheduler *s, bool *did, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    struct db_conn *db;

    *err = (struct err){0};
    *did = false;
    if (db_borrow(s->options.state->service->db, &db, err))
        return err->code;
    enum err_code code = step(s, db, did, arena, err);
    db_return(db);
    return *did ? ERR_OK : code;
}

enum err_code
scheduler_appear(struct scheduler *s, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    CLEANUP(db_return) struct db_conn *db = NULL;
    int64_t before_ms;

    if (db_borrow(s->options.state->service->db, &db, err) || db_begin(db, err))
        return err->code;
    struct change change = change_in(s, db, "", arena);
    if (store_seen(&change.store, change.now_ms, &before_ms, err))
        return err->code;
    int64_t gap_ms = change.now_ms - before_ms;
    if (before_ms && gap_ms > SCHEDULER_GAP_MS) {
        log_warn("no scheduler was at work, or the clock has leapt: leases last longer",
                 LOG_INT("ms", gap_ms));
        if (store_prolong(&change.store, gap_ms, err))
            return err->code;
    }
    if (db_commit(db, err))
        return err->code;
    s->appeared_ms = life_monotonic_ms();
    return ERR_OK;
}

/* ---- the thread ---- */

static MUST_CHECK enum err_code
measure(struct scheduler *s, const struct store *store, int64_t now_ms, struct err *err)
{
    struct measures m;

    if (now_ms < s->next_measure_ms)
        return ERR_OK;
    s->next_measure_ms = now_ms + SCHEDULER_SWEEP_MS;
    if (store_measure(store, now_ms, now_ms - WORK_SEEN_MS, &m, err))
        return err->code;
    metric_set(s->pending, (double)m.ready);
    metric_set(s->running, (double)m.running);
    metric_set(s->active, (double)m.active_runs);
    metric_set(s->workers, (double)m.workers);
    metric_set(s->oldest, m.oldest_ready_ms ? (double)(now_ms - m.oldest_ready_ms) / 1000 : 0);
    return ERR_OK;
}

/* Retries whose time has come can be leased now. */
static MUST_CHECK enum err_code
wake_pollers(struct scheduler *s, const struct store *store, int64_t now_ms, struct err *err)
{
    const char **workspaces;
    size_t count;

    if (store_find_woken(store, s->woken_until_ms, now_ms, &workspaces, &count, err))
        return err->code;
    s->woken_until_ms = now_ms;
    for (size_t i = 0; i < count; i++)
        pipeline_wake(s->options.state, arena_printf(store->arena, "tasks:%s", workspaces[i]));
    return ERR_OK;
}

/* What is not a step; then when to look again. */
static MUST_CHECK enum err_code
look_ahead(struct scheduler *s, int64_t *due_ms, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    CLEANUP(db_return) struct db_conn *db = NULL;
    int64_t now_ms = s->options.state->clock();

    if (db_borrow(s->options.state->service->db, &db, err))
        return err->code;
    const struct store store = {.db = db, .workspace = "", .arena = arena};
    if (wake_pollers(s, &store, now_ms, err) || measure(s, &store, now_ms, err))
        return err->code;
    if (now_ms >= s->next_prune_ms) {
        s->next_prune_ms = now_ms + SCHEDULER_PRUNE_MS;
        if (store_prune(&store, now_ms - s->options.retention_ms,
                        now_ms - s->options.log_retention_ms, err))
            return err->code;
    }
    if (store_next_due(&store, now_ms, due_ms, err))
        return err->code;
    if (*due_ms > now_ms + SCHEDULER_SWEEP_MS)
        *due_ms = now_ms + SCHEDULER_SWEEP_MS;
    if (*due_ms < now_ms + SPIN_MS)
        *due_ms = now_ms + SPIN_MS;
    return ERR_OK;
}

/* Sleep until due_ms or what scheduler_due() says. False: stopping. */
static bool
wait_until(struct scheduler *s, int64_t due_ms)
{
    pthread_mutex_lock(&s->lock);
    if (due_ms < s->due_ms)
        s->due_ms = due_ms;
    while (!s->stop) {
        int64_t wait_ms = s->due_ms - s->options.state->clock();
        if (wait_ms <= 0)
            break;
        /* The clock may be set back meanwhile: never longer than a sweep. */
        if (wait_ms > SCHEDULER_SWEEP_MS)
            wait_ms = SCHEDULER_SWEEP_MS;
        if (!sync_wait(&s->woken, &s->lock, life_monotonic_ms() + wait_ms))
            break;
    }
    s->due_ms = INT64_MAX;
    bool go_on = !s->stop;
    pthread_mutex_unlock(&s->lock);
    return go_on;
}

static bool
stopping(struct scheduler *s)
{
    pthread_mutex_lock(&s->lock);
    bool stop = s->stop;
    pthread_mutex_unlock(&s->lock);
    return stop;
}

static MUST_CHECK enum err_code
do_steps(struct scheduler *s, struct err *err)
{
    bool did = true;

    if (life_monotonic_ms() - s->appeared_ms >= APPEAR_MS && scheduler_appear(s, err))
        return err->code;
    while (did && !stopping(s))
        if (scheduler_step(s, &did, err))
            return err->code;
    return ERR_OK;
}

static void *
run(void *arg)
{
    struct scheduler *s = arg;
    struct err err = {0};
    int64_t due_ms = 0;

    do {
        enum err_code code = do_steps(s, &err);
        if (!code)
            code = look_ahead(s, &due_ms, &err);
        if (code)
            due_ms = s->options.state->clock() + (code == ERR_CONFLICT ? SPIN_MS : TROUBLE_MS);
        if (code && code != ERR_CONFLICT)
            log_warn("the scheduler waits", LOG_ERR(&err), LOG_INT("ms", TROUBLE_MS));
    } while (wait_until(s, due_ms));
    return NULL;
}

struct scheduler *
scheduler_new(const struct scheduler_options *options)
{
    struct scheduler *s = mem_zalloc(sizeof(*s));

    s->options = *options;
    s->due_ms = INT64_MAX;
    s->woken_until_ms = options->state->clock();
    pthread_mutex_init(&s->lock, NULL);
    sync_cond_init(&s->woken);
    s->pending = metrics_gauge("modelbus_pipeline_attempts_pending",
                               "Attempts that a worker could take.", NULL);
    s->running =
        metrics_gauge("modelbus_pipeline_attempts_running", "Attempts that a worker has.", NULL);
    s->active = metrics_gauge("modelbus_pipeline_runs_active", "Runs that have not ended.", NULL);
    s->oldest = metrics_gauge("modelbus_pipeline_pending_oldest_seconds",
                              "Since when the oldest pending attempt waits.", NULL);
    s->workers = metrics_gauge("modelbus_pipeline_workers",
                               "Workers that ask for tasks: heard of within a minute, and not "
                               "draining.",
                               NULL);
    return s;
}

enum err_code
scheduler_start(struct scheduler *s, struct err *err)
{
    if (pthread_create(&s->thread, NULL, run, s) != 0)
        return err_set(err, ERR_INTERNAL, "no thread for the scheduler");
    s->started = true;
    return ERR_OK;
}

void
scheduler_due(struct scheduler *s, int64_t due_ms)
{
    pthread_mutex_lock(&s->lock);
    if (due_ms < s->due_ms) {
        s->due_ms = due_ms;
        pthread_cond_signal(&s->woken);
    }
    pthread_mutex_unlock(&s->lock);
}

bool
scheduler_free(struct scheduler *s, int64_t deadline_ms)
{
    if (!s)
        return true;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->woken);
    pthread_mutex_unlock(&s->lock);
    if (s->started)
        pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->woken);
    pthread_mutex_destroy(&s->lock);
    free(s);
    return life_monotonic_ms() <= deadline_ms;
}
