/* SPDX-License-Identifier: Apache-2.0 */
/* work.c - leases are handed out, extended, finished. */
#include "work.h"

#include <stdio.h>
#include <string.h>

#define PB(suffix) modelbus__pipeline__v1__##suffix

/* ---- who asks ---- */

static Worker *
describe(const PollRequest *request, struct arena *arena)
{
    Worker *worker = arena_alloc(arena, sizeof(*worker));

    PB(worker__init)(worker);
    worker->worker = request->worker;
    worker->capacity = request->capacity;
    worker->host = request->host;
    worker->version = request->version;
    worker->n_labels = request->n_labels;
    worker->labels = arena_alloc(arena, request->n_labels * sizeof(*worker->labels));
    for (size_t i = 0; i < request->n_labels; i++) {
        worker->labels[i] = arena_alloc(arena, sizeof(*worker->labels[i]));
        PB(worker__labels_entry__init)(worker->labels[i]);
        worker->labels[i]->key = request->labels[i]->key;
        worker->labels[i]->value = request->labels[i]->value;
    }
    return worker;
}

/* Lock the worker's row, and write down that it lives. */
static MUST_CHECK enum err_code
greet(const struct change *change, const PollRequest *request, int64_t received_ms,
      struct worker_row *row, struct err *err)
{
    const struct store *store = &change->store;

    if (store_lock_worker(store, request->worker, row, err))
        return err->code;
    bool same = row->known && strcmp(row->instance, request->instance) == 0;
    if (row->known && !same &&
        (strcmp(row->replaced, request->instance) == 0 || received_ms < row->since_ms))
        return err_set(err, ERR_PRECONDITION,
                       "another instance of worker '%s' has taken over; give each worker a name of "
                       "its own",
                       request->worker);
    if (!same) {
        row->replaced = row->instance;
        row->instance = request->instance;
        row->since_ms = change->now_ms;
    }
    Worker *worker = describe(request, store->arena);
    if (same && row->stopping == request->draining &&
        change->now_ms - row->seen_ms < WORK_FRESH_MS && change->now_ms >= row->seen_ms &&
        same_message(&row->body->base, &worker->base, store->arena))
        return ERR_OK;
    row->body = worker;
    row->stopping = request->draining;
    row->seen_ms = change->now_ms;
    return store_put_worker(store, row, err);
}

/* ---- what it has ---- */

static bool
is_named(const PollRequest *request, const char *lease)
{
    for (size_t i = 0; i < request->n_leases; i++)
        if (strcmp(request->leases[i], lease) == 0)
            return true;
    return false;
}

static MUST_CHECK enum err_code
hand_out_again(const struct change *change, const char *lease, PollResponse *response,
               struct err *err)
{
    return store_get_spec(&change->store, lease, &response->leases[response->n_leases++], err);
}

/* Of what the table says it has: what lives on, what is to end, what it has forgotten or never got. */
static MUST_CHECK enum err_code
look_after(const struct change *change, const PollRequest *request, int64_t received_ms,
           const struct held *held, size_t count, PollResponse *response, struct err *err)
{
    const struct store *store = &change->store;
    struct arena *arena = store->arena;
    const char **alive = arena_alloc(arena, count * sizeof(*alive));
    const char **over = arena_alloc(arena, count * sizeof(*over));
    bool *found = arena_zalloc(arena, request->n_leases * sizeof(*found));
    const char **missing = arena_alloc(arena, request->n_leases * sizeof(*missing));
    size_t n_alive = 0, n_over = 0, n_missing = 0;

    response->cancelled = arena_alloc(arena, count * sizeof(*response->cancelled));
    for (size_t i = 0; i < count; i++) {
        bool named = is_named(request, held[i].lease);
        if (strcmp(held[i].instance, request->instance) != 0) {
            if (held[i].leased_until_ms > 0)
                over[n_over++] = held[i].lease;
            continue;
        }
        for (size_t k = 0; k < request->n_leases; k++)
            found[k] = found[k] || strcmp(request->leases[k], held[i].lease) == 0;
        if (named && *held[i].stop)
            response->cancelled[response->n_cancelled++] = (char *)held[i].lease;
        if (!named && held[i].started_ms + WORK_LOST_REPLY_MS >= received_ms)
            continue; /* on its way */
        if (!named && hand_out_again(change, held[i].lease, response, err))
            return err->code;
        if (held[i].leased_until_ms < change->now_ms + WORK_LEASE_MS - WORK_FRESH_MS)
            alive[n_alive++] = held[i].lease;
    }
    for (size_t k = 0; k < request->n_leases; k++)
        if (!found[k])
            missing[n_missing++] = request->leases[k];
    if (n_missing && store_list_lost(store, request->worker, request->instance, missing, n_missing,
                                     &response->lost, &response->n_lost, err))
        return err->code;
    if (n_over)
        pipeline_hint(change, "", 0);
    if ((n_over && store_extend(store, request->worker, over, n_over, 0, err)) ||
        (n_alive &&
         store_extend(store, request->worker, alive, n_alive, change->now_ms + WORK_LEASE_MS, err)))
        return err->code;
    return ERR_OK;
}

/* ---- more of it ---- */

static struct room
room_of(const struct worker_row *row, const struct held *held, size_t count, struct arena *arena)
{
    const Worker *worker = row->body;
    struct room room = {.label_count = worker->n_labels};

    if (worker->capacity) {
        room.cpu = worker->capacity->cpu;
        room.memory_mb = worker->capacity->memory_mb;
        room.gpu = worker->capacity->gpu;
    }
    for (size_t i = 0; i < count; i++) {
        room.cpu -= held[i].cpu;
        room.memory_mb -= held[i].memory_mb;
        room.gpu -= held[i].gpu;
    }
    room.labels = arena_alloc(arena, worker->n_labels * sizeof(*room.labels));
    for (size_t i = 0; i < worker->n_labels; i++)
        room.labels[i] =
            arena_printf(arena, "%s=%s", worker->labels[i]->key, worker->labels[i]->value);
    return room;
}

static MUST_CHECK enum err_code
say_started(const struct change *change, const Lease *lease, const char *worker, struct err *err)
{
    Modelbus__Pipeline__V1__TaskStarted event = MODELBUS__PIPELINE__V1__TASK_STARTED__INIT;

    event.run = lease->run;
    event.pipeline = lease->pipeline;
    event.task = lease->task;
    event.index = lease->index;
    event.attempt = lease->attempt;
    event.worker = (char *)worker;
    event.started_at_ms = change->now_ms;
    return advance_say(change, lease->traceparent, lease->cause, &event.base, err);
}

static MUST_CHECK enum err_code
take(const struct change *change, const struct worker_row *row, const struct attempt *attempt,
     struct err *err)
{
    const struct store *store = &change->store;
    const char *worker = row->body->worker;

    if (store_lease(store, attempt->lease, worker, row->instance, change->now_ms,
                    change->now_ms + WORK_LEASE_MS,
                    change->now_ms + (int64_t)attempt->spec->timeout_s * 1000 + WORK_STOP_MS, err))
        return err->code;
    pipeline_hint(change, arena_printf(store->arena, "run:%s", attempt->run), INT64_MAX);
    return say_started(change, attempt->spec, worker, err);
}

/* Add what fits into the worker's room to leases, which has room for WORK_BATCH more. */
static MUST_CHECK enum err_code
lease_more(const struct change *change, const struct worker_row *row, const struct held *held,
           size_t held_count, Lease **leases, size_t *count, struct err *err)
{
    struct room room = room_of(row, held, held_count, change->store.arena);
    struct attempt *found;
    size_t n;

    if (row->drain || row->stopping || room.cpu <= 0 || room.memory_mb <= 0)
        return ERR_OK;
    if (store_find_ready(&change->store, &room, change->now_ms, WORK_BATCH, &found, &n, err))
        return err->code;
    for (size_t i = 0; i < n; i++) {
        const Resources *needs = found[i].spec->resources;
        if (needs->cpu > room.cpu || needs->memory_mb > room.memory_mb || needs->gpu > room.gpu)
            continue;
        if (take(change, row, &found[i], err))
            return err->code;
        room.cpu -= needs->cpu;
        room.memory_mb -= needs->memory_mb;
        room.gpu -= needs->gpu;
        leases[(*count)++] = found[i].spec;
    }
    return ERR_OK;
}

enum err_code
work_poll(const struct change *change, const PollRequest *request, int64_t received_ms,
          PollResponse *response, struct err *err)
{
    const struct store *store = &change->store;
    struct worker_row row;
    struct held *held;
    size_t count;

    if (greet(change, request, received_ms, &row, err) ||
        store_list_held(store, request->worker, &held, &count, err))
        return err->code;
    response->leases = arena_alloc(store->arena, (count + WORK_BATCH) * sizeof(*response->leases));
    if (look_after(change, request, received_ms, held, count, response, err))
        return err->code;
    response->draining = row.drain;
    return lease_more(change, &row, held, count, response->leases, &response->n_leases, err);
}

/* ---- it is done ---- */

struct finish {
    const struct change *change;
    const FinishRequest *request;
    FinishResponse *response;
    struct advance_made *made; /* by what has ended */
    int64_t last_ms;           /* when the last of it did */
};

static void
refuse(const struct finish *f, const TaskEnding *ending, char *detail)
{
    Modelbus__Pipeline__V1__RefusedEnding *refused =
        arena_alloc(f->change->store.arena, sizeof(*refused));

    PB(refused_ending__init)(refused);
    refused->lease = ending->lease;
    refused->detail = detail;
    f->response->refused[f->response->n_refused++] = refused;
}

/* Whether the attempt is the worker's to end; what was said before (the answer got lost) needs nothing more. */
static bool
may_end(const struct finish *f, const TaskEnding *ending, const struct attempt *attempt)
{
    bool mine = strcmp(attempt->worker, f->request->worker) == 0 &&
                strcmp(attempt->instance, f->request->instance) == 0;
    bool running = strcmp(attempt->status, "running") == 0;

    if (running && mine)
        return true;
    if (!mine ||
        (strcmp(attempt->status, ending->status) != 0 && strcmp(ending->status, "cancelled") != 0))
        refuse(f, ending,
               arena_printf(f->change->store.arena,
                            "the lease of %s, attempt %lld, is lost: it is %s", attempt->spec->task,
                            (long long)attempt->attempt,
                            mine ? attempt->status : "with another worker or instance"));
    return false;
}

static MUST_CHECK enum err_code
end_attempt(const struct finish *f, struct advance *a, const TaskEnding *ending,
            const struct attempt *attempt, struct err *err)
{
    Attempt *outputs = arena_alloc(f->change->store.arena, sizeof(*outputs));
    const struct ending end = {
        .status = ending->status,
        .reason = ending->reason,
        .exit_code = ending->exit_code,
        .outputs = outputs,
        .log_uri = ending->log_uri,
        .log_bytes = (int64_t)ending->log_bytes,
    };

    PB(attempt__init)(outputs);
    outputs->outputs = ending->outputs;
    outputs->n_outputs = ending->n_outputs;
    pipeline_hint(f->change, arena_printf(f->change->store.arena, "log:%s", ending->lease),
                  INT64_MAX);
    return advance_end(a, attempt, &end, err);
}

/* Of one run, which goes on then. */
static MUST_CHECK enum err_code
end_attempts(struct finish *f, const char *run, TaskEnding *const *endings, size_t count,
             struct err *err)
{
    const char **leases = arena_alloc(f->change->store.arena, count * sizeof(*leases));
    struct attempt *const *attempts;
    struct advance a;
    bool any = false;

    for (size_t i = 0; i < count; i++)
        leases[i] = endings[i]->lease;
    if (advance_open(&a, f->change, run, err) ||
        store_lock_attempts(&f->change->store, leases, count, &attempts, err))
        return err->code;
    a.silent = true;
    for (size_t i = 0; i < count; i++) {
        if (!may_end(f, endings[i], attempts[i]))
            continue;
        if (end_attempt(f, &a, endings[i], attempts[i], err))
            return err->code;
        any = true;
    }
    if (a.change->now_ms > f->last_ms)
        f->last_ms = a.change->now_ms;
    if (any && advance_close(&a, err))
        return err->code;
    for (struct advance_made *made = a.made, *next; made; made = next) {
        next = made->next;
        made->next = f->made;
        f->made = made;
    }
    return ERR_OK;
}

/* Others are told of what the worker has not taken itself. */
static void
offer_rest(const struct finish *f)
{
    const FinishResponse *response = f->response;

    for (const struct advance_made *made = f->made; made; made = made->next) {
        size_t i = 0;
        while (i < response->n_leases && strcmp(response->leases[i]->lease, made->lease) != 0)
            i++;
        if (i < response->n_leases)
            continue;
        pipeline_hint(f->change,
                      arena_printf(f->change->store.arena, "tasks:%s", f->change->store.workspace),
                      INT64_MAX);
        return;
    }
}

/* Those with a lease that is known and was not named before, by run; (*runs)[i] is the run of (*endings)[i]. */
static MUST_CHECK enum err_code
sort_by_run(const struct finish *f, TaskEnding ***endings, const char *const **runs, size_t *count,
            struct err *err)
{
    struct arena *arena = f->change->store.arena;
    const FinishRequest *request = f->request;
    const char **named = arena_alloc(arena, request->n_endings * sizeof(*named));
    bool *taken = arena_zalloc(arena, request->n_endings * sizeof(*taken));
    const char *const *leases;

    for (size_t i = 0; i < request->n_endings; i++)
        named[i] = request->endings[i]->lease;
    if (store_runs_of(&f->change->store, named, request->n_endings, &leases, runs, count, err))
        return err->code;
    *endings = arena_alloc(arena, *count * sizeof(**endings));
    for (size_t i = 0; i < *count; i++) {
        size_t first = 0;
        for (size_t k = request->n_endings; k-- > 0;)
            if (strcmp(named[k], leases[i]) == 0)
                first = k;
        (*endings)[i] = request->endings[first];
        taken[first] = true;
    }
    for (size_t k = 0; k < request->n_endings; k++)
        if (!taken[k])
            refuse(f, request->endings[k],
                   arena_printf(arena, "there is no lease %s, or it was named before", named[k]));
    return ERR_OK;
}

enum err_code
work_finish(const struct change *change, const FinishRequest *request, FinishResponse *response,
            struct err *err)
{
    const struct store *store = &change->store;
    struct finish f = {.change = change, .request = request, .response = response};
    struct worker_row row;
    TaskEnding **endings = NULL;
    const char *const *runs = NULL;
    struct held *held;
    size_t count = 0, held_count;

    response->refused = arena_alloc(store->arena, request->n_endings * sizeof(*response->refused));
    /* The worker before the runs, and these in order of their ids, as store.h says. */
    if (store_lock_worker(store, request->worker, &row, err) ||
        sort_by_run(&f, &endings, &runs, &count, err))
        return err->code;
    for (size_t from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && strcmp(runs[to], runs[from]) == 0;)
            to++;
        if (end_attempts(&f, runs[from], endings + from, to - from, err))
            return err->code;
    }
    if (row.known && strcmp(row.instance, request->instance) == 0) {
        struct change *at = arena_memdup(store->arena, change, sizeof(*change));
        if (f.last_ms > at->now_ms)
            at->now_ms = f.last_ms;
        response->leases = arena_alloc(store->arena, WORK_BATCH * sizeof(*response->leases));
        if (store_list_held(store, request->worker, &held, &held_count, err) ||
            lease_more(at, &row, held, held_count, response->leases, &response->n_leases, err))
            return err->code;
    }
    offer_rest(&f);
    return ERR_OK;
}
