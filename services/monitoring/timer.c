/* SPDX-License-Identifier: Apache-2.0 */
/* timer.c - windows by time end by the clock. */
#include "timer.h"

#include "service.h"

#include "life/life.h"
#include "log/log.h"
#include "sync/sync.h"

#include <stdlib.h>

struct timer {
    struct service *service;
    struct monitoring *monitoring;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool stop;
};

static MUST_CHECK enum err_code
judge_due(struct change *change, struct monitoring *m, const char *endpoint, struct err *err)
{
    if (change_due(change, m, endpoint, err) == ERR_OK)
        return db_commit(change->store.db, err);
    struct err why = *err;
    log_warn("a window that is due cannot be judged now", LOG_STR("endpoint", endpoint),
             LOG_ERR(&why));
    db_rollback(change->store.db);
    return store_postpone(&change->store, endpoint, change->now_ms,
                          change->now_ms + TIMER_POSTPONED_MS, err);
}

enum err_code
timer_step(const struct service *service, struct monitoring *m, int64_t now_ms, bool *did,
           struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    CLEANUP(db_return) struct db_conn *db = NULL;
    struct change change = {
        .store = {.arena = arena},
        .service = service,
        .outbox = service->outbox,
        .by = "service:monitoring",
        .now_ms = now_ms,
    };
    const char *endpoint;

    *did = false;
    if (db_borrow(service->db, &db, err))
        return err->code;
    change.store.db = db;
    enum err_code code = db_begin(db, err);
    if (!code)
        code = store_find_due(&change.store, now_ms, &change.store.workspace, &endpoint, err);
    if (!code)
        code = endpoint ? judge_due(&change, m, endpoint, err) : db_commit(db, err);
    *did = !code && endpoint;
    db_rollback(db);
    return code;
}

static bool
nap(struct timer *t)
{
    int64_t until_ms = life_monotonic_ms() + TIMER_TICK_MS;

    pthread_mutex_lock(&t->lock);
    while (!t->stop && sync_wait(&t->stopped, &t->lock, until_ms))
        ;
    bool stop = t->stop;
    pthread_mutex_unlock(&t->lock);
    return !stop;
}

static void *
run(void *arg)
{
    struct timer *t = arg;

    while (nap(t)) {
        struct err err = {0};
        bool did = true;
        while (did && !life_stopping())
            if (timer_step(t->service, t->monitoring, life_now_ms(), &did, &err)) {
                log_warn("windows that are due wait", LOG_ERR(&err));
                break;
            }
    }
    return NULL;
}

enum err_code
timer_start(struct timer **timer, struct service *service, struct monitoring *monitoring,
            struct err *err)
{
    struct timer *t = mem_zalloc(sizeof(*t));

    *t = (struct timer){.service = service, .monitoring = monitoring};
    pthread_mutex_init(&t->lock, NULL);
    sync_cond_init(&t->stopped);
    if (pthread_create(&t->thread, NULL, run, t)) {
        pthread_cond_destroy(&t->stopped);
        pthread_mutex_destroy(&t->lock);
        monitoring_free(monitoring);
        free(t);
        return err_set(err, ERR_INTERNAL, "no thread for the timer");
    }
    *timer = t;
    return ERR_OK;
}

void
timer_stop(struct timer *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_signal(&t->stopped);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    pthread_cond_destroy(&t->stopped);
    pthread_mutex_destroy(&t->lock);
    monitoring_free(t->monitoring);
    free(t);
}
