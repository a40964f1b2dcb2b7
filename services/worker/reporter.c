/* SPDX-License-Identifier: Apache-2.0 */
/* reporter.c - ends that wait, and the one thread that speaks for them. */
#include "reporter.h"

#include "log/log.h"
#include "sync/sync.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct wait {
    TaskEnding *ending;
    struct err *err;
    enum err_code code;
    bool alone, done;
    pthread_cond_t changed; /* done, or to make the next request */
    struct wait *next;
};

struct reporter {
    struct gateway *gateway;
    const char *instance;
    reporter_brings *brings;
    void *arg;
    _Atomic bool given_up;
    pthread_mutex_t lock;
    struct wait *waits; /* in order of arrival; not those of the request under way */
    bool busy;          /* a request is under way */
};

struct reporter *
reporter_new(struct gateway *gateway, const char *instance, reporter_brings *brings, void *arg)
{
    struct reporter *r = mem_zalloc(sizeof(*r));

    r->gateway = gateway;
    r->instance = instance;
    r->brings = brings;
    r->arg = arg;
    pthread_mutex_init(&r->lock, NULL);
    return r;
}

void
reporter_give_up(struct reporter *reporter)
{
    atomic_store(&reporter->given_up, true);
}

/* Under lock: take the next request's ends out of those that wait. */
static size_t
gather(struct reporter *r, struct wait *batch[REPORTER_ENDINGS_MAX])
{
    size_t count = 0, bytes = 0;

    while (r->waits && count < REPORTER_ENDINGS_MAX) {
        struct wait *first = r->waits;
        bytes += protobuf_c_message_get_packed_size(&first->ending->base);
        if (count > 0 && (first->alone || bytes > REPORTER_BYTES_MAX))
            break;
        batch[count++] = first;
        r->waits = first->next;
        if (first->alone)
            break;
    }
    return count;
}

static enum err_code
ask(struct reporter *r, struct wait *const *batch, size_t count, struct arena *arena,
    FinishTasksResponse **answer, struct err *err)
{
    TaskEnding *endings[REPORTER_ENDINGS_MAX];
    FinishTasksRequest request;

    modelbus__pipeline__v1__finish_tasks_request__init(&request);
    request.instance = (char *)(uintptr_t)r->instance;
    request.endings = endings;
    request.n_endings = count;
    for (size_t i = 0; i < count; i++)
        endings[i] = batch[i]->ending;
    if (atomic_load(&r->given_up))
        return err_set(err, ERR_CANCELLED, "the worker stops");
    return gateway_finish(r->gateway, &request, &r->given_up, arena, answer, err);
}

static void
settle(struct wait *wait, const FinishTasksResponse *answer)
{
    for (size_t i = 0; i < answer->n_refused; i++)
        if (strcmp(answer->refused[i]->lease, wait->ending->lease) == 0)
            wait->code = err_set(wait->err, ERR_PRECONDITION, "%s", answer->refused[i]->detail);
}

static void
insert(struct reporter *r, struct wait *wait)
{
    struct wait **end = &r->waits;

    while (*end)
        end = &(*end)->next;
    wait->next = NULL;
    *end = wait;
}

/* Under lock, which is given back for the request. */
static void
lead(struct reporter *r)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, GATEWAY_ANSWER_ARENA);
    struct wait *batch[REPORTER_ENDINGS_MAX];
    size_t count = gather(r, batch);
    FinishTasksResponse *answer = NULL;
    struct err err;

    r->busy = true;
    pthread_mutex_unlock(&r->lock);
    enum err_code code = ask(r, batch, count, arena, &answer, &err);
    if (!code && answer->n_leases > 0)
        r->brings(r->arg, answer->leases, answer->n_leases);
    pthread_mutex_lock(&r->lock);
    r->busy = false;
    for (size_t i = 0; i < count; i++) {
        struct wait *wait = batch[i];
        /* Which one of them it is, nobody has said. */
        wait->alone = code && count > 1 && !gateway_retriable(code) && code != ERR_CANCELLED;
        wait->done = !wait->alone;
        if (wait->alone)
            insert(r, wait);
        else if (code)
            wait->code = err_set(wait->err, code, "%s", err.message);
        else
            settle(wait, answer);
        pthread_cond_signal(&wait->changed);
    }
    if (r->waits)
        pthread_cond_signal(&r->waits->changed);
}

enum err_code
reporter_say(struct reporter *reporter, TaskEnding *ending, struct err *err)
{
    struct wait wait = {.ending = ending, .err = err};

    sync_cond_init(&wait.changed);
    pthread_mutex_lock(&reporter->lock);
    insert(reporter, &wait);
    if (reporter->busy)
        log_debug("end waits for the report under way", LOG_STR("lease", ending->lease));
    while (!wait.done) {
        if (reporter->busy)
            sync_wait(&wait.changed, &reporter->lock, INT64_MAX);
        else
            lead(reporter);
    }
    pthread_mutex_unlock(&reporter->lock);
    pthread_cond_destroy(&wait.changed);
    return wait.code;
}
