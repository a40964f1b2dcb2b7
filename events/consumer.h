/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consumer.h - events in, handled exactly once in effect (the inbox).
 *
 * One thread an instance: poll, find the handler, decode, begin, already seen?, handle,
 * outbox, offsets, commit. What is ready is handled as one transaction of up to
 * CONSUMER_BATCH events, so that inbox, offsets and fsync are paid once a batch. When a
 * batch fails it is rolled back and its events are done one by one, to find the one that is to blame.
 *
 * Offsets live in PostgreSQL per (cluster id, topic, partition) and move by
 * compare-and-set in the same transaction: an instance that lost a partition cannot commit.
 * Who reads a partition is decided by advisory locks on a connection of its own
 * (ownership.h): members count each other by a shared lock and hold an even share of the partitions,
 * so fail-over takes as long as PostgreSQL needs to notice a dead connection plus
 * one check (CONSUMER_OWNERSHIP_MS), and scale-out one check. Kafka is told the offsets
 * under group "<prefix>.<service>" for lag tools.
 *
 * A retriable error (err_retriable(), ERR_CONFLICT, ERR_INTERNAL) is retried in place with backoff, 10 ms … 5 s,
 * ERR_INTERNAL at most CONSUMER_INTERNAL_RETRIES times; any other error is poison: the event goes to the
 * service's dead_letter table and to <prefix>.dlq in the transaction that moves the offset, and is
 * not noted in the inbox, so that a replay is handled. While an event is retried the
 * instance's other partitions wait; ownership goes on being checked, and readiness
 * ("bus", "database") says what is away.
 *
 * All strings and structures of the options are borrowed until consumer_stop().
 */
#pragma once

#include "outbox.h"

#define CONSUMER_BATCH 500
#define CONSUMER_OWNERSHIP_MS 500
#define CONSUMER_INTERNAL_RETRIES 5

struct event_context {
    const struct event_envelope *envelope;
    const char *workspace; /* envelope->workspace */
    struct db_conn *db;    /* in the batch's transaction, which the handler neither ends nor
                              rolls back */
    struct outbox *outbox;
    struct arena *arena; /* reset after the event */
};

typedef enum err_code (*event_handler)(void *arg, const ProtobufCMessage *event,
                                       struct event_context *context, struct err *err);

struct event_subscription {
    const ProtobufCMessageDescriptor *type; /* NULL ends the table */
    event_handler handler;
};
/* A row from a handler with its own message type:
 * EVENT_ON(modelbus__registry__v1__alias_moved, on_alias_moved) */
#define EVENT_ON(prefix, h)                                                                        \
    {                                                                                              \
        .type = &prefix##__descriptor, .handler = (event_handler)(void (*)(void))(h)               \
    }

struct consumer;
struct consumer_options {
    struct db_pool *db;
    struct bus_options bus;
    const char *prefix, *service;
    struct outbox *outbox;
    const struct event_subscription *subscriptions;
    void *arg;
};
MUST_CHECK enum err_code consumer_start(struct consumer **consumer,
                                        const struct consumer_options *options, struct err *err);
/* Finish the batch in hand, release the partitions, stop, free. */
bool consumer_stop(struct consumer *consumer, int64_t deadline_ms);

/* When its thread last made a turn, CLOCK_MONOTONIC ms; for liveness. Any thread. */
int64_t consumer_beat_ms(const struct consumer *consumer);

struct consumer_partition {
    char topic[256];
    int32_t partition;
    int64_t next, end; /* end: the log's end as last seen */
};
/* Partitions that this instance reads; at most max are written, the number is returned. Any thread. */
size_t consumer_partitions(struct consumer *consumer, struct consumer_partition *out, size_t max);
