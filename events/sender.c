/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sender.c - events said at once: a queue of what has not been reported, and one thread that serves
 * the reports and replaces a producer that failed.
 */
#include "follower.h"

#include "life/life.h"
#include "log/log.h"
#include "metrics/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#define ENCODE_BLOCK 1024 /* most events fit one block */
#define POLL_MS 100
#define DRAIN_POLL_MS 10
#define RENEW_PAUSE_MS 1000

/* One event on its way; lives in its arena. */
struct sending {
    TAILQ_ENTRY(sending) link;
    struct arena *arena;
    struct bus_message message;
    void (*done)(void *arg, const struct err *err);
    void *arg;
};
TAILQ_HEAD(sending_list, sending);

struct sender {
    struct bus_options bus; /* strings are ours */
    char *prefix;
    char source[EVENT_SOURCE_MAX + 1];
    struct metric *dropped;
    pthread_t thread;
    atomic_bool stopping;
    int64_t deadline_ms;    /* set before stopping */
    int64_t renew_after_ms; /* not before; the thread's own */
    bool closing;           /* what fails now has failed */
    pthread_mutex_t lock;
    /* Changed by the thread alone, under the lock. */
    struct bus_producer *producer; /* NULL while it is being replaced */
    bool renew;                    /* it has given something back and gets nothing more */
    /* Under the lock. */
    struct sending_list queue; /* in the order of their acceptance */
    size_t count, bytes;
};

/* Under the lock. */
static void
enqueue(struct sender *s, struct sending *sending)
{
    TAILQ_INSERT_TAIL(&s->queue, sending, link);
    s->count++;
    s->bytes += arena_used(sending->arena);
}

/* Under the lock. */
static void
dequeue(struct sender *s, struct sending *sending)
{
    TAILQ_REMOVE(&s->queue, sending, link);
    s->count--;
    s->bytes -= arena_used(sending->arena);
}

static void
finish(struct sender *s, struct sending *sending, const struct err *err)
{
    pthread_mutex_lock(&s->lock);
    dequeue(s, sending);
    pthread_mutex_unlock(&s->lock);
    if (err)
        metric_add(s->dropped, 1);
    if (sending->done)
        sending->done(sending->arg, err);
    arena_free(sending->arena);
}

static void
set_renew(struct sender *s, bool renew)
{
    pthread_mutex_lock(&s->lock);
    s->renew = renew;
    pthread_mutex_unlock(&s->lock);
}

/* Of the producer, not of the event: another producer may succeed. */
static bool
passing(struct sender *s, const struct err *err)
{
    return s->renew || err_retriable(err->code) || bus_producer_fatal(s->producer);
}

static void
on_delivered(void *arg, void *opaque, const struct err *err)
{
    struct sender *s = arg;

    if (!err || s->closing || !passing(s, err)) {
        finish(s, opaque, err);
        return;
    }
    set_renew(s, true); /* it stays in the queue */
}

static void
renew(struct sender *s)
{
    struct bus_producer *fresh = NULL;
    struct sending *sending;
    struct err err;

    set_renew(s, true);
    s->renew_after_ms = life_monotonic_ms() + RENEW_PAUSE_MS;
    if (bus_producer_open(&fresh, &s->bus, on_delivered, s, &err)) {
        log_warn("sender has no producer", LOG_ERR(&err));
        return;
    }
    pthread_mutex_lock(&s->lock);
    struct bus_producer *old = TAKE_PTR(s->producer);
    size_t waiting = s->count;
    pthread_mutex_unlock(&s->lock);
    log_warn("sender renews its producer", LOG_INT("events", waiting));
    bus_producer_free(old); /* reports what it still had */

    pthread_mutex_lock(&s->lock);
    s->producer = fresh;
    s->renew = false;
    TAILQ_FOREACH(sending, &s->queue, link)
    {
        if (bus_produce(fresh, &sending->message, sending, &err)) {
            s->renew = true; /* this one and those behind it */
            break;
        }
    }
    pthread_mutex_unlock(&s->lock);
}

static bool
finished(struct sender *s)
{
    if (!atomic_load(&s->stopping))
        return false;
    pthread_mutex_lock(&s->lock);
    bool empty = s->count == 0;
    pthread_mutex_unlock(&s->lock);
    return empty || life_monotonic_ms() >= s->deadline_ms;
}

static void *
serve(void *arg)
{
    struct sender *s = arg;

    while (!finished(s)) {
        bus_producer_poll(s->producer, atomic_load(&s->stopping) ? DRAIN_POLL_MS : POLL_MS);
        if ((s->renew || bus_producer_fatal(s->producer)) &&
            life_monotonic_ms() >= s->renew_after_ms)
            renew(s);
    }
    return NULL;
}

static void
destroy(struct sender *s)
{
    struct err given_up;

    s->closing = true;
    bus_producer_free(s->producer); /* reports what is left as failed */
    /* What a producer that failed has not taken any more. */
    err_set(&given_up, ERR_CANCELLED, "the sender is closed");
    while (!TAILQ_EMPTY(&s->queue))
        finish(s, TAILQ_FIRST(&s->queue), &given_up);
    pthread_mutex_destroy(&s->lock);
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
    pthread_mutex_init(&s->lock, NULL);
    TAILQ_INIT(&s->queue);
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
    pthread_setname_np(s->thread, "sender");
    *sender = s;
    return ERR_OK;
}

/* Under the lock: refuse, or queue and hand to the producer. */
static enum err_code
accept_event(struct sender *s, struct sending *sending, struct err *err)
{
    size_t bytes = arena_used(sending->arena);

    if (s->count >= SENDER_EVENTS_MAX || bytes > SENDER_BYTES_MAX - s->bytes)
        return err_set(err, ERR_UNAVAILABLE, "sender: %zu events of %zu bytes are waiting",
                       s->count, s->bytes);
    enqueue(s, sending);
    /* Of a producer that is gone or has failed the next one sends what is queued. */
    if (s->producer && !s->renew && bus_produce(s->producer, &sending->message, sending, err) &&
        !bus_producer_fatal(s->producer)) {
        dequeue(s, sending);
        return err->code;
    }
    return ERR_OK;
}

enum err_code
sender_publish(struct sender *s, const char *workspace, const ProtobufCMessage *event,
               void (*done)(void *arg, const struct err *err), void *arg, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(ENCODE_BLOCK, 0);
    struct sending *sending = arena_zalloc(arena, sizeof(*sending));
    const struct bus_message *m = &sending->message;
    struct event_envelope envelope = {0};
    enum err_code code;

    sending->arena = arena;
    sending->done = done;
    sending->arg = arg;
    snprintf(envelope.source, sizeof(envelope.source), "%s", s->source);
    snprintf(envelope.workspace, sizeof(envelope.workspace), "%s", workspace);
    if (event_encode(s->prefix, &envelope, event, arena, &sending->message, err))
        return err->code;
    if (m->key_len + m->value_len > BUS_MESSAGE_MAX)
        return err_set(err, ERR_TOO_LARGE, "event of %zu bytes: at most %u",
                       m->key_len + m->value_len, BUS_MESSAGE_MAX);
    pthread_mutex_lock(&s->lock);
    code = accept_event(s, sending, err);
    pthread_mutex_unlock(&s->lock);
    if (code)
        metric_add(s->dropped, 1);
    else
        (void)TAKE_PTR(arena); /* the queue's now */
    return code;
}

size_t
sender_close(struct sender *s, int64_t deadline_ms)
{
    if (!s)
        return 0;
    s->deadline_ms = deadline_ms;
    atomic_store(&s->stopping, true);
    pthread_join(s->thread, NULL);
    size_t left = s->count;
    destroy(s);
    return left;
}
