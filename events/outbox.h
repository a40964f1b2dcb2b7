/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbox.h - events that commit with the rows that caused them.
 *
 * outbox_publish() writes the event into the service's outbox table inside the caller's
 * transaction. One relay a service (whoever holds the advisory lock) sends unpublished rows in
 * id order per key and marks them after the delivery report; it is woken by commits in
 * this process and polls every OUTBOX_POLL_MS as the safety net for other instances'
 * commits (every OUTBOX_IDLE_POLL_MS after OUTBOX_IDLE_AFTER_MS without a row). Delivery is
 * at least once; consumers de-duplicate by event id.
 *
 * Per-key order holds when the aggregate's row is locked before the publish.
 *
 * A row that the broker refuses for good (too large for its limit) is set aside with the reason in
 * its column "refused", logged and counted, so that it does not hold up the others.
 *
 * Published rows are kept for a retention time. When the relay meets a cluster id
 * that the service has never published to (the embedded bus came back empty, a move to a
 * new Kafka), the kept rows are published again and the service's republish hook
 * writes its state topics from the tables.
 */
#pragma once

#include "db/db.h"
#include "envelope.h"

#define OUTBOX_POLL_MS 100
#define OUTBOX_IDLE_POLL_MS 500
#define OUTBOX_IDLE_AFTER_MS 10000
/* Key, value and headers of an event together; ERR_TOO_LARGE past it. Brokers take 1 MiB by default,
 * their own framing included. */
#define OUTBOX_MESSAGE_MAX (BUS_MESSAGE_MAX - 2048)
/* The inbox and the stored replies of commands are kept this long: longer than a published row
 * may come again, which retention_ms must therefore stay below. */
#define INBOX_RETENTION_S (7 * 24 * 3600)

struct outbox;

struct outbox_options {
    struct db_pool *db;
    struct bus_options bus;
    const char *prefix;   /* topics' prefix, "modelbus" */
    const char *service;  /* "registry"; source "/modelbus/registry" */
    int64_t retention_ms; /* published rows are kept this long */
    /* Publish the current state of state topics within a transaction on conn. NULL: none. */
    enum err_code (*republish)(void *arg, struct outbox *outbox, struct db_conn *conn,
                               struct err *err);
    void *arg;
};

MUST_CHECK enum err_code outbox_open(struct outbox **outbox, const struct outbox_options *options,
                                     struct err *err);
/* Start the relay's thread. */
MUST_CHECK enum err_code outbox_start(struct outbox *outbox, struct err *err);
/* Send what is committed (until deadline_ms, CLOCK_MONOTONIC), stop the thread. */
bool outbox_stop(struct outbox *outbox, int64_t deadline_ms);
void outbox_free(struct outbox *outbox);
CLEANUP_DEFINE(struct outbox, outbox_free)

/* Within conn's transaction; subject is the event's key. The relay is woken after the commit. */
MUST_CHECK enum err_code outbox_publish(struct outbox *outbox, struct db_conn *conn,
                                        const char *workspace, const ProtobufCMessage *event,
                                        struct err *err);
/* The same with an envelope of the caller's: id (empty: a new one), workspace and time are taken from
 * it, the rest is filled. For events whose id says what they are about. */
MUST_CHECK enum err_code outbox_publish_as(struct outbox *outbox, struct db_conn *conn,
                                           struct event_envelope *envelope,
                                           const ProtobufCMessage *event, struct err *err);
/* A raw message as it is (dead letters' replay). */
MUST_CHECK enum err_code outbox_publish_raw(struct outbox *outbox, struct db_conn *conn,
                                            const struct bus_message *message, struct err *err);

/* When the relay's thread last made a turn, CLOCK_MONOTONIC ms; for liveness. Any thread. */
int64_t outbox_beat_ms(const struct outbox *outbox);

struct outbox_status {
    int64_t pending; /* rows not yet published */
    bool relay;      /* this instance holds the relay */
    char cluster[128];
};
MUST_CHECK enum err_code outbox_status(struct outbox *outbox, struct db_conn *conn,
                                       struct outbox_status *status, struct err *err);
