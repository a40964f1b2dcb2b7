/* SPDX-License-Identifier: Apache-2.0 */
/* consumer.c - the consumer's thread. */
#include "consumer_parts.h"

#include "life/life.h"
#include "log/log.h"
#include "sync/sync.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_ARENA_LIMIT (128u << 20)
#define SKIP_COMMIT_MS 1000  /* offsets that only skipping has moved are stored so late */
#define REPORT_MS 1000       /* from a commit to its report */
#define REPORT_AGAIN_MS 3000 /* after one that was lost; more than a report takes */
#define LAG_MS 1000          /* between two looks at it */
#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 2000

/* ---- waiting ---- */

/* False: stopping. */
static bool
nap(struct consumer *c, int64_t until_ms)
{
    pthread_mutex_lock(&c->mutex);
    while (!c->stop && sync_wait(&c->woken, &c->mutex, until_ms))
        ;
    bool stop = c->stop;
    pthread_mutex_unlock(&c->mutex);
    return !stop;
}

bool
consumer_nap(struct consumer *c, int64_t ms)
{
    int64_t end = life_monotonic_ms() + ms;

    do {
        int64_t now = life_monotonic_ms();
        int64_t until = c->next_check_ms < end ? c->next_check_ms : end;
        struct err err;
        bool changed;

        atomic_store(&c->beat_ms, now);
        if (!nap(c, until > now ? until : now + 1))
            return false;
        if (life_monotonic_ms() >= c->next_check_ms && (assign_check(c, &changed, &err) || changed))
            return false;
    } while (life_monotonic_ms() < end);
    return true;
}

static int64_t
idle_ms(const struct consumer *c)
{
    int64_t now = life_monotonic_ms();
    int64_t until = c->next_check_ms;

    if (c->skipped_since_ms > 0 && c->skipped_since_ms + SKIP_COMMIT_MS < until)
        until = c->skipped_since_ms + SKIP_COMMIT_MS;
    if (c->next_report_ms > 0 && c->next_report_ms < until)
        until = c->next_report_ms;
    return until > now ? until - now : 0;
}

/* ---- what others see ---- */

/* True: another report may be made. */
static bool
hear_kafka(struct consumer *c, int64_t now)
{
    struct err err;
    enum bus_reported how = bus_reader_reported(c->reader, &err);

    if (how == BUS_REPORT_PENDING) {
        c->next_report_ms = now + REPORT_MS;
        return false;
    }
    if (how == BUS_REPORT_TAKEN)
        c->report_warned = false;
    if (how == BUS_REPORT_REFUSED && !c->report_warned) {
        log_warn("Kafka does not take how far was read", LOG_ERR(&err));
        c->report_warned = true;
    }
    c->reporting = false;
    c->next_report_ms = 0;
    if (how != BUS_REPORT_LOST)
        return true;
    /* Nothing to be told: it is another broker's group, or an outage, which is told of elsewhere. */
    for (size_t i = 0; i < c->slot_count; i++)
        c->slots[i].told = false;
    c->next_report_ms = now + REPORT_AGAIN_MS;
    return false;
}

static void
tell_kafka(struct consumer *c)
{
    int64_t now = life_monotonic_ms();
    size_t n = 0, waiting = 0;

    if (c->reporting && (now < c->next_report_ms || !hear_kafka(c, now)))
        return;
    for (size_t i = 0; i < c->slot_count; i++)
        waiting += c->owned[i] && !c->slots[i].told && c->slots[i].next >= 0;
    if (waiting == 0) {
        c->next_report_ms = 0;
        return;
    }
    if (c->next_report_ms == 0)
        c->next_report_ms = now + REPORT_MS;
    if (now < c->next_report_ms)
        return;
    struct bus_position *positions = mem_calloc(waiting, sizeof(*positions));
    for (size_t i = 0; i < c->slot_count; i++) {
        struct slot *s = &c->slots[i];
        if (!c->owned[i] || s->told || s->next < 0)
            continue;
        memcpy(positions[n].topic, s->topic, sizeof(positions[n].topic));
        positions[n].partition = s->partition;
        positions[n++].offset = s->next;
        s->told = true;
    }
    bus_reader_report(c->reader, positions, n);
    free(positions);
    c->reporting = true;
    c->next_report_ms = now + REPORT_MS;
}

/* From what the fetches have told: asking the broker would hold up the events behind the answer. */
static void
measure_lag(struct consumer *c)
{
    int64_t now = life_monotonic_ms();

    if (now < c->next_lag_ms)
        return;
    c->next_lag_ms = now + LAG_MS;
    for (size_t i = 0; i < c->slot_count; i++) {
        struct slot *s = &c->slots[i];
        /* Of a partition that is not ours its owner says how much. */
        int64_t end = c->owned[i] ? bus_reader_end(c->reader, s->topic, s->partition) : -1;
        if (end >= 0) {
            pthread_mutex_lock(&c->mutex);
            s->end = end;
            pthread_mutex_unlock(&c->mutex);
        }
        metric_set(s->lag, end > s->next && s->next >= 0 ? (double)(end - s->next) : 0);
    }
}

size_t
consumer_partitions(struct consumer *c, struct consumer_partition *out, size_t max)
{
    size_t n = 0;

    pthread_mutex_lock(&c->mutex);
    for (size_t i = 0; i < c->slot_count; i++) {
        const struct slot *s = &c->slots[i];
        if (!c->owned[i] || s->next < 0)
            continue;
        if (n < max) {
            memcpy(out[n].topic, s->topic, sizeof(out[n].topic));
            out[n].partition = s->partition;
            out[n].next = s->next;
            out[n].end = s->end > s->next ? s->end : s->next;
        }
        n++;
    }
    pthread_mutex_unlock(&c->mutex);
    return n < max ? n : max;
}

int64_t
consumer_beat_ms(const struct consumer *c)
{
    return atomic_load(&c->beat_ms);
}

/* ---- the loop ---- */

static enum err_code
turn(struct consumer *c, struct err *err)
{
    if (assign_prepare(c, err) || batch_gather(c, idle_ms(c), err))
        return err->code;
    bool skips_due =
        c->skipped_since_ms > 0 && life_monotonic_ms() >= c->skipped_since_ms + SKIP_COMMIT_MS;
    if ((c->count > 0 || skips_due) && c->assigned)
        batch_run(c);
    batch_drop(c);
    tell_kafka(c);
    measure_lag(c);
    return ERR_OK;
}

static void
release(struct consumer *c)
{
    batch_drop(c);
    ownership_free(TAKE_PTR(c->ownership));
    bus_reader_free(TAKE_PTR(c->reader));
}

static void *
consumer_main(void *arg)
{
    struct consumer *c = arg;
    int64_t wait_ms = BACKOFF_MIN_MS;
    struct err err = {0};

    while (!atomic_load(&c->stopping)) {
        atomic_store(&c->beat_ms, life_monotonic_ms());
        if (turn(c, &err) == ERR_OK) {
            wait_ms = BACKOFF_MIN_MS;
            continue;
        }
        batch_drop(c);
        c->assigned = false;
        c->list_again = true;
        life_condition("bus", false);
        log_warn("consumer waits", LOG_ERR(&err), LOG_INT("ms", wait_ms));
        nap(c, life_monotonic_ms() + wait_ms);
        wait_ms = wait_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : wait_ms * 2;
    }
    return NULL;
}

/* ---- start and stop ---- */

static void
consumer_free(struct consumer *c)
{
    arena_free(c->batch_arena);
    arena_free(c->event_arena);
    pthread_mutex_destroy(&c->mutex);
    pthread_cond_destroy(&c->woken);
    free(c->handled);
    free(c->slots);
    free(c->keys);
    free(c->owned);
    free(c);
}

/* Topics of the subscriptions, each once. */
static enum err_code
list_topics(struct consumer *c, struct err *err)
{
    const struct event_subscription *s = c->options.subscriptions;

    for (; s->type; s++) {
        const struct event_type *type = event_type_of(s->type);
        char name[256];
        size_t i = 0;

        if (!type)
            return err_set(err, ERR_INTERNAL, "'%s' is not in the catalogue", s->type->name);
        event_topic_name(c->options.prefix, type->topic, name);
        while (i < c->topic_count && strcmp(c->topics[i], name) != 0)
            i++;
        if (i == CONSUMER_TOPICS_MAX)
            return err_set(err, ERR_INTERNAL, "more than %d topics", CONSUMER_TOPICS_MAX);
        if (i == c->topic_count)
            memcpy(c->topics[c->topic_count++], name, sizeof(name));
    }
    return ERR_OK;
}

static void
add_metrics(struct consumer *c)
{
    size_t n = 0;

    while (c->options.subscriptions[n].type)
        n++;
    c->handled = mem_calloc(n, sizeof(struct metric *));
    for (size_t i = 0; i < n; i++)
        c->handled[i] = metrics_counter("modelbus_events_handled_total", "Events handled.", "type",
                                        c->options.subscriptions[i].type->name, NULL);
    c->skipped = metrics_counter("modelbus_events_skipped_total",
                                 "Events of types that nobody here hears.", NULL);
    c->dead = metrics_counter("modelbus_events_dead_total", "Events dead-lettered.", NULL);
    c->retries =
        metrics_counter("modelbus_events_retries_total", "Transactions tried again.", NULL);
    c->seconds = metrics_histogram("modelbus_event_seconds", "From an event's time to its commit.",
                                   metrics_latency_bounds, metrics_latency_bound_count, NULL);
}

enum err_code
consumer_start(struct consumer **consumer, const struct consumer_options *options, struct err *err)
{
    struct consumer *c = mem_zalloc(sizeof(*c));

    c->options = *options;
    snprintf(c->group, sizeof(c->group), "%s.%s", options->prefix, options->service);
    c->batch_arena = arena_new(0, BATCH_ARENA_LIMIT);
    c->event_arena = arena_new(0, 0);
    pthread_mutex_init(&c->mutex, NULL);
    sync_cond_init(&c->woken);
    atomic_store(&c->beat_ms, life_monotonic_ms());
    add_metrics(c);
    life_condition("bus", false);
    if (list_topics(c, err) || bus_reader_open(&c->reader, &options->bus, c->group, err)) {
        consumer_free(c);
        return err->code;
    }
    c->ownership = ownership_new(options->db, options->service);
    if (pthread_create(&c->thread, NULL, consumer_main, c) != 0) {
        release(c);
        consumer_free(c);
        return err_set(err, ERR_INTERNAL, "consumer: no thread");
    }
    pthread_setname_np(c->thread, "consumer");
    *consumer = c;
    return ERR_OK;
}

bool
consumer_stop(struct consumer *c, int64_t deadline_ms)
{
    pthread_mutex_lock(&c->mutex);
    c->stop = true;
    atomic_store(&c->stopping, true);
    pthread_cond_signal(&c->woken);
    pthread_mutex_unlock(&c->mutex);
    bus_reader_wake(c->reader);
    pthread_join(c->thread, NULL);
    release(c);
    consumer_free(c);
    return life_monotonic_ms() <= deadline_ms;
}
