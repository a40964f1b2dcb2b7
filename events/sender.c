/* SPDX-License-Identifier: Apache-2.0 */
/* sender.c - events said at once: a bounded queue in the producer, one thread that serves reports. */
#include "follower.h"

#include "life/life.h"
#include "metrics/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define SENDER_QUEUE 10000
#define SENDER_POLL_MS 100

/* One event on its way. */
struct sending {
    void (*done)(void *arg, const struct err *err);
    void *arg;
};

struct sender {
    struct bus_options bus; /* strings are ours */
    char *prefix;
    char source[EVENT_SOURCE_MAX + 1];
    pthread_rwlock_t lock; /* read: publish; write: replace the producer */
    struct bus_producer *producer;
    atomic_size_t pending;
    atomic_bool stopping;
    atomic_bool failed; /* a report said so */
    int64_t deadline_ms;
    pthread_t thread;
    struct metric *dropped;
};

static void
on_delivered(void *arg, void *opaque, const struct err *err)
{
    struct sender *s = arg;
    struct sending *sending = opaque;

    if (err) {
        atomic_store(&s->failed, true);
        metric_add(s->dropped, 1);
    }
    if (sending->done)
        sending->done(sending->arg, err);
    free(sending);
    atomic_fetch_sub(&s->pending, 1);
}

/* After a fatal error; what was not delivered has been reported as failed. */
static void
renew(struct sender *s)
{
    struct bus_producer *fresh = NULL;
    struct err err;

    if (bus_producer_open(&fresh, &s->bus, on_delivered, s, &err))
        return; /* the next turn tries again */
    pthread_rwlock_wrlock(&s->lock);
    struct bus_producer *old = s->producer;
    s->producer = fresh;
    pthread_rwlock_unlock(&s->lock);
    bus_producer_free(old);
}

static void *
serve(void *arg)
{
    struct sender *s = arg;

    while (!atomic_load(&s->stopping)) {
        bus_producer_poll(s->producer, SENDER_POLL_MS);
        if (bus_producer_fatal(s->producer))
            renew(s);
    }
    while (atomic_load(&s->pending) && life_monotonic_ms() < s->deadline_ms)
        bus_producer_poll(s->producer, 10);
    return NULL;
}

static void
destroy(struct sender *s)
{
    bus_producer_free(s->producer); /* reports what is left as failed */
    pthread_rwlock_destroy(&s->lock);
    free((char *)(uintptr_t)s->bus.brokers);
    free((char *)(uintptr_t)s->bus.client_id);
    free((char *)(uintptr_t)s->bus.properties);
    free(s->prefix);
    free(s);
}

enum err_code
sender_open(struct sender **sender, const struct bus_options *bus, const char *prefix,
            const char *source, struct err *err)
{
    struct sender *s = mem_zalloc(sizeof(*s));

    s->bus = *bus;
    s->bus.brokers = mem_strdup(bus->brokers);
    s->bus.client_id = mem_strdup(bus->client_id);
    s->bus.properties = mem_strdup(bus->properties);
    s->prefix = mem_strdup(prefix);
    snprintf(s->source, sizeof(s->source), "%s", source);
    pthread_rwlock_init(&s->lock, NULL);
    s->dropped = metrics_counter("modelbus_bus_sender_dropped_total",
                                 "Events that a sender could not queue or deliver.", NULL);
    if (bus_producer_open(&s->producer, &s->bus, on_delivered, s, err)) {
        destroy(s);
        return err->code;
    }
    if (pthread_create(&s->thread, NULL, serve, s)) {
        destroy(s);
        return err_set(err, ERR_UNAVAILABLE, "sender: no thread");
    }
    *sender = s;
    return ERR_OK;
}

enum err_code
sender_publish(struct sender *s, const char *workspace, const ProtobufCMessage *event,
               void (*done)(void *arg, const struct err *err), void *arg, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(4096, 0);
    struct event_envelope envelope = {0};
    struct bus_message message;
    enum err_code code;

    snprintf(envelope.source, sizeof(envelope.source), "%s", s->source);
    snprintf(envelope.workspace, sizeof(envelope.workspace), "%s", workspace);
    if (event_encode(s->prefix, &envelope, event, arena, &message, err))
        return err->code;
    if (atomic_fetch_add(&s->pending, 1) >= SENDER_QUEUE) {
        code = err_set(err, ERR_UNAVAILABLE, "sender: %d events are waiting", SENDER_QUEUE);
    } else {
        struct sending *sending = mem_alloc(sizeof(*sending));

        *sending = (struct sending){.done = done, .arg = arg};
        pthread_rwlock_rdlock(&s->lock);
        code = bus_produce(s->producer, &message, sending, err);
        pthread_rwlock_unlock(&s->lock);
        if (code)
            free(sending);
    }
    if (code) {
        atomic_fetch_sub(&s->pending, 1);
        metric_add(s->dropped, 1);
    }
    return code;
}

bool
sender_close(struct sender *s, int64_t deadline_ms)
{
    if (!s)
        return true;
    s->deadline_ms = deadline_ms;
    atomic_store(&s->stopping, true);
    pthread_join(s->thread, NULL);
    bool whole = atomic_load(&s->pending) == 0 && !atomic_load(&s->failed);
    destroy(s);
    return whole;
}
