/* SPDX-License-Identifier: Apache-2.0 */
/* reporter.c - statistics and the prediction log, on a thread of their own. */
#include "reporter.h"

#include "life/life.h"
#include "log/log.h"
#include "modelbus/serving/v1/events.pb-c.h"
#include "sync/sync.h"

#include <pthread.h>
#include <stdlib.h>

struct reporter {
    struct reporter_options o;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping;
    bool failing; /* the last publication failed; logged once */
    int64_t window_start_ms, last_stats_ms;
};

static void
say_stats(struct reporter *r, struct endpoint *e, int64_t now_ms)
{
    Modelbus__Serving__V1__ServingStats s = MODELBUS__SERVING__V1__SERVING_STATS__INIT;
    uint32_t buckets[LATENCY_BUCKETS];
    struct err err;

    endpoints_enter(r->o.endpoints, r->o.reader);
    struct model *m = endpoint_model(e);
    s.version = m ? m->version : 0;
    endpoints_leave(r->o.endpoints, r->o.reader);
    s.pod = (char *)(uintptr_t)r->o.pod;
    s.endpoint = e->name;
    s.window_start_ms = r->window_start_ms;
    s.window_end_ms = now_ms;
    s.requests = atomic_exchange(&e->stats.requests, 0);
    s.rows = atomic_exchange(&e->stats.rows, 0);
    s.errors = atomic_exchange(&e->stats.errors, 0);
    s.shed = atomic_exchange(&e->stats.shed, 0);
    for (unsigned b = 0; b < LATENCY_BUCKETS; b++)
        buckets[b] = atomic_exchange(&e->stats.latency[b], 0);
    s.latency_p50_s = latency_percentile(buckets, 0.5);
    s.latency_p99_s = latency_percentile(buckets, 0.99);
    if (r->o.publish(r->o.arg, &s.base, &err)) {
        if (!r->failing)
            log_warn("serving statistics not published", LOG_ERR(&err));
        r->failing = true;
    } else {
        r->failing = false;
    }
}

static void
report(struct reporter *r, bool last)
{
    int64_t now_ms = life_now_ms(), monotonic_ms = life_monotonic_ms();

    predlog_flush(r->o.log);
    if (!last && monotonic_ms - r->last_stats_ms < r->o.stats_ms)
        return;
    r->last_stats_ms = monotonic_ms;
    for (size_t i = 0; i < endpoints_count(r->o.endpoints); i++) {
        struct endpoint *e = endpoints_at(r->o.endpoints, i);
        if (!atomic_load(&e->deleted))
            say_stats(r, e, now_ms);
    }
    r->window_start_ms = now_ms;
}

static void *
run(void *arg)
{
    struct reporter *r = arg;
    int64_t at_ms = life_monotonic_ms();

    pthread_mutex_lock(&r->lock);
    while (!r->stopping) {
        at_ms += REPORTER_PERIOD_MS;
        while (!r->stopping && sync_wait(&r->changed, &r->lock, at_ms))
            ;
        bool last = r->stopping;
        pthread_mutex_unlock(&r->lock);
        if (r->o.tick)
            r->o.tick(r->o.arg);
        report(r, last);
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

struct reporter *
reporter_start(const struct reporter_options *options)
{
    struct reporter *r = mem_zalloc(sizeof(*r));

    r->o = *options;
    r->window_start_ms = life_now_ms();
    r->last_stats_ms = life_monotonic_ms();
    pthread_mutex_init(&r->lock, NULL);
    sync_cond_init(&r->changed);
    if (pthread_create(&r->thread, NULL, run, r) != 0)
        abort();
    return r;
}

void
reporter_stop(struct reporter *reporter)
{
    if (!reporter)
        return;
    pthread_mutex_lock(&reporter->lock);
    reporter->stopping = true;
    pthread_cond_signal(&reporter->changed);
    pthread_mutex_unlock(&reporter->lock);
    pthread_join(reporter->thread, NULL);
    pthread_mutex_destroy(&reporter->lock);
    pthread_cond_destroy(&reporter->changed);
    free(reporter);
}
