/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c - the open request, and the threads that run tasks. */
#include "worker.h"

#include "crypto/crypto.h"
#include "life/life.h"
#include "log/log.h"
#include "metrics/metrics.h"
#include "sync/sync.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_MS 60000
#define DRAIN_WAIT_MS 1000
#define LAST_POLL_MS 2000
#define BACKOFF_MIN_MS 250
#define BACKOFF_MAX_MS 5000
/* Answers that bring nothing new may not come faster than this. */
#define PACE_MS 1000
#define STACK_BYTES (512u << 10)

struct slot {
    struct task *task;
    bool taken; /* a thread has it */
    struct slot *next;
};

struct worker {
    struct worker_options o;
    pthread_t poller;
    _Atomic bool break_poll; /* ends the request that is open */
    bool reached;            /* the poller's own: its last request was answered */
    struct metric *poll_failures;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* a slot came or went, a thread left, something below */
    struct slot *slots;     /* in order of arrival */
    size_t count, waiting, threads, idle;
    pthread_t left; /* the last thread that left, if one did; the next one joins it */
    bool has_left;
    uint32_t lease_ms; /* the shortest seen */
    bool draining;     /* the process stops */
    bool over;         /* threads leave */
};

/* ---- tasks ---- */

static struct slot *
find(const struct worker *w, const char *lease)
{
    struct slot *slot = w->slots;

    while (slot && strcmp(task_lease(slot->task), lease) != 0)
        slot = slot->next;
    return slot;
}

static void *task_main(void *arg);

/* Under lock: a thread for a task that waits. */
static void
provide_thread(struct worker *w)
{
    pthread_attr_t attr;
    pthread_t thread;

    if (w->idle >= w->waiting) {
        pthread_cond_broadcast(&w->changed);
        return;
    }
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    /* Without one, a thread that ends its task takes the one that waits. */
    if (pthread_create(&thread, &attr, task_main, w) == 0)
        w->threads++;
    else
        log_error("no thread for a task", LOG_INT("threads", w->threads));
    pthread_attr_destroy(&attr);
}

/* Under lock. False: not taken. */
static bool
take(struct worker *w, const Lease *lease)
{
    struct slot **end = &w->slots;
    struct task *task = NULL;

    if (find(w, lease->lease))
        return false;
    if (crypto_is_uuid(lease->lease) && w->count < WORKER_TASKS_MAX && !w->over)
        task = task_new(&w->o.host, lease);
    if (!task) {
        log_error("lease not taken", LOG_STR("lease", lease->lease), LOG_INT("tasks", w->count));
        return false;
    }
    while (*end)
        end = &(*end)->next;
    *end = mem_zalloc(sizeof(**end));
    (*end)->task = task;
    w->count++;
    w->waiting++;
    if (lease->lease_ms > 0 && (w->lease_ms == 0 || lease->lease_ms < w->lease_ms))
        w->lease_ms = lease->lease_ms;
    provide_thread(w);
    return true;
}

static size_t
take_all(struct worker *w, Lease *const *leases, size_t count)
{
    size_t taken = 0;

    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < count; i++)
        taken += take(w, leases[i]);
    pthread_mutex_unlock(&w->lock);
    return taken;
}

/* With the answer to an end, before that task's slot goes: a worker that drains never seems to have nothing left. */
static void
take_next(void *arg, Lease *const *leases, size_t count)
{
    take_all(arg, leases, count);
}

static void
release(struct worker *w, struct slot *slot)
{
    struct slot **at = &w->slots;

    pthread_mutex_lock(&w->lock);
    while (*at != slot)
        at = &(*at)->next;
    *at = slot->next;
    w->count--;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

/* The next one that waits, taken; NULL: none came. */
static struct slot *
await(struct worker *w)
{
    int64_t until_ms = life_monotonic_ms() + IDLE_MS;
    struct slot *slot = NULL;

    w->idle++;
    for (bool time = true; time && !w->over && !slot;) {
        for (slot = w->slots; slot && slot->taken;)
            slot = slot->next;
        if (!slot)
            time = sync_wait(&w->changed, &w->lock, until_ms);
    }
    w->idle--;
    if (slot) {
        slot->taken = true;
        w->waiting--;
    }
    return slot;
}

static void
run(struct worker *w, struct slot *slot, struct keeper *keeper)
{
    CLEANUP(task_free) struct task *task = slot->task;

    task_run(task, keeper);
    release(w, slot);
    free(slot);
    task_clean(task);
}

/* Under lock, which is given back for it: nothing of a thread may be left when the process exits. */
static void
join_left(struct worker *w, bool leaving)
{
    pthread_t left = w->left;
    bool join = w->has_left;

    w->left = pthread_self();
    w->has_left = leaving;
    pthread_mutex_unlock(&w->lock);
    if (join)
        pthread_join(left, NULL);
}

static void *
task_main(void *arg)
{
    struct worker *w = arg;
    struct keeper keeper = {.spawner = w->o.host.spawner, .socket = -1};
    struct slot *slot;

    pthread_setname_np(pthread_self(), "task");
    pthread_mutex_lock(&w->lock);
    while ((slot = await(w))) {
        pthread_mutex_unlock(&w->lock);
        run(w, slot, &keeper);
        pthread_mutex_lock(&w->lock);
    }
    keeper_done(&keeper);
    w->threads--;
    pthread_cond_broadcast(&w->changed);
    join_left(w, true);
    return NULL;
}

/* ---- the open request ---- */

static void
fill(struct worker *w, PollTasksRequest *request, struct arena *arena)
{
    *request = *w->o.about;
    request->instance = (char *)(uintptr_t)w->o.host.instance;
    request->wait_ms = WORKER_WAIT_MS;
    pthread_mutex_lock(&w->lock);
    request->leases = arena_alloc(arena, (w->count + 1) * sizeof(*request->leases));
    for (struct slot *slot = w->slots; slot; slot = slot->next)
        request->leases[request->n_leases++] = arena_strdup(arena, task_lease(slot->task));
    /* Three heartbeats a lease. */
    if (w->count > 0 && w->lease_ms > 0 && w->lease_ms / 3 < request->wait_ms)
        request->wait_ms = w->lease_ms / 3;
    request->draining = w->draining;
    if (w->draining && request->wait_ms > DRAIN_WAIT_MS)
        request->wait_ms = DRAIN_WAIT_MS;
    pthread_mutex_unlock(&w->lock);
}

/* False when the answer says nothing new. */
static bool
handle(struct worker *w, const PollTasksResponse *answer)
{
    bool news = false;

    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < answer->n_lost; i++) {
        struct slot *slot = find(w, answer->lost[i]);
        if (slot && task_lose(slot->task)) {
            log_warn("lease lost: its task is killed", LOG_STR("lease", answer->lost[i]));
            news = true;
        }
    }
    for (size_t i = 0; i < answer->n_cancelled; i++) {
        struct slot *slot = find(w, answer->cancelled[i]);
        if (slot && task_set(slot->task, TASK_CANCEL)) {
            log_info("task cancelled", LOG_STR("lease", answer->cancelled[i]));
            news = true;
        }
    }
    pthread_mutex_unlock(&w->lock);
    return take_all(w, answer->leases, answer->n_leases) > 0 || news;
}

/* Under lock. */
static void
tell_all(struct worker *w, enum task_want want)
{
    for (struct slot *slot = w->slots; slot; slot = slot->next)
        task_set(slot->task, want);
}

/* The time before which not to ask again. */
static int64_t
handle_failure(struct worker *w, const struct err *err, unsigned *failures)
{
    if ((*failures)++ == 0)
        log_warn(err->code == ERR_UNAVAILABLE ? "the gateway is away" : "the gateway refuses",
                 LOG_STR("for", "tasks"), LOG_ERR(err));
    if (err->code == ERR_PRECONDITION) {
        /* Another instance of the name has taken over, and this one's leases are lost. */
        pthread_mutex_lock(&w->lock);
        tell_all(w, TASK_LOSE);
        pthread_mutex_unlock(&w->lock);
    }
    life_condition("gateway", false);
    metric_add(w->poll_failures, 1);
    int64_t ms = BACKOFF_MIN_MS << (*failures < 6 ? *failures - 1 : 5);
    return life_monotonic_ms() + (ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS);
}

/* Less when the process is to stop, or the worker is over. */
static void
pause_until(struct worker *w, int64_t until_ms)
{
    pthread_mutex_lock(&w->lock);
    bool draining = w->draining;
    while (w->draining == draining && !w->over && sync_wait(&w->changed, &w->lock, until_ms) &&
           life_monotonic_ms() < until_ms)
        ;
    pthread_mutex_unlock(&w->lock);
}

/* One request; the time before which the next one is not to be made. */
static int64_t
poll_once(struct worker *w, struct arena *arena, unsigned *failures)
{
    int64_t started_ms = life_monotonic_ms();
    PollTasksResponse *answer;
    PollTasksRequest request;
    struct err err;

    fill(w, &request, arena);
    /* Whether the gateway is there is known with its answer, which need not wait for work. */
    bool first = !w->reached;
    if (first)
        request.wait_ms = 0;
    if (gateway_poll(w->o.host.gateway, &request, &w->break_poll, arena, &answer, &err)) {
        if (err.code == ERR_CANCELLED && atomic_load(&w->break_poll))
            return 0;
        w->reached = false;
        return handle_failure(w, &err, failures);
    }
    if (*failures > 0)
        log_info("the gateway is back", LOG_INT("failures", *failures));
    *failures = 0;
    w->reached = true;
    life_condition("gateway", true);
    return handle(w, answer) || first ? 0 : started_ms + PACE_MS;
}

static void *
poller_main(void *arg)
{
    struct worker *w = arg;
    CLEANUP(arena_free) struct arena *arena = arena_new(0, GATEWAY_ANSWER_ARENA);
    unsigned failures = 0;
    bool over = false;

    pthread_setname_np(pthread_self(), "poll");
    while (!over) {
        int64_t next_ms = poll_once(w, arena, &failures);
        arena_reset(arena);
        pause_until(w, next_ms);
        pthread_mutex_lock(&w->lock);
        over = w->over;
        atomic_store(&w->break_poll, over);
        pthread_mutex_unlock(&w->lock);
    }
    return NULL;
}

/* ---- start and stop ---- */

static void
on_render(void *arg)
{
    struct worker *w = arg;

    pthread_mutex_lock(&w->lock);
    size_t count = w->count;
    pthread_mutex_unlock(&w->lock);
    metric_set(metrics_gauge("modelbus_worker_tasks", "Tasks that it has now.", NULL),
               (double)count);
}

struct worker *
worker_start(const struct worker_options *options)
{
    struct worker *w = mem_zalloc(sizeof(*w));

    w->o = *options;
    w->o.host.reporter = reporter_new(w->o.host.gateway, w->o.host.instance, take_next, w);
    pthread_mutex_init(&w->lock, NULL);
    sync_cond_init(&w->changed);
    life_condition("gateway", false);
    w->poll_failures = metrics_counter("modelbus_worker_poll_failures_total",
                                       "Requests for tasks that failed.", NULL);
    metrics_on_render(on_render, w);
    if (pthread_create(&w->poller, NULL, poller_main, w) != 0)
        abort();
    return w;
}

/* Under lock: true when no task is left in time. */
static bool
await_tasks(struct worker *w, int64_t until_ms)
{
    while (w->count > 0 && sync_wait(&w->changed, &w->lock, until_ms))
        ;
    return w->count == 0;
}

/* The gateway need not wait for this one's leases to end. */
static void
say_goodbye(struct worker *w)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    PollTasksResponse *answer;
    PollTasksRequest request;
    struct err err;

    fill(w, &request, arena);
    request.wait_ms = 0;
    if (gateway_poll(w->o.host.gateway, &request, NULL, arena, &answer, &err))
        log_info("the gateway was not told of the stop", LOG_ERR(&err));
}

bool
worker_stop(struct worker *worker, int64_t deadline_ms)
{
    int64_t now = life_monotonic_ms();
    int64_t left = deadline_ms > now ? deadline_ms - now : 0;

    pthread_mutex_lock(&worker->lock);
    worker->draining = true;
    atomic_store(&worker->break_poll, true);
    pthread_cond_broadcast(&worker->changed);
    bool complete = await_tasks(worker, now + left * 2 / 3);
    if (!complete) {
        log_warn("tasks are ended: the worker stops", LOG_INT("tasks", worker->count));
        if (left / 6 < atomic_load(&worker->o.host.grace_ms))
            atomic_store(&worker->o.host.grace_ms, left / 6);
        tell_all(worker, TASK_STOP);
        complete = await_tasks(worker, deadline_ms);
    }
    if (!complete) {
        log_error("tasks are given up without a report", LOG_INT("tasks", worker->count));
        tell_all(worker, TASK_LOSE);
        reporter_give_up(worker->o.host.reporter);
        await_tasks(worker, INT64_MAX);
    }
    worker->over = true;
    atomic_store(&worker->break_poll, true);
    pthread_cond_broadcast(&worker->changed);
    while (worker->threads > 0)
        sync_wait(&worker->changed, &worker->lock, INT64_MAX);
    join_left(worker, false);
    pthread_join(worker->poller, NULL);
    if (complete)
        say_goodbye(worker);
    return complete;
}
