/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follower.h - for parts without a database: follow a topic, and say events directly.
 *
 * A follower reads every partition of one topic from its beginning (or end), without a group and
 * without offsets: inference pods follow <prefix>.endpoint-state, `modelbus event
 * tail` any topic. It goes on over broker outages (a line in the log every FOLLOWER_QUIET_MS) and
 * starts over when another cluster answers. A bad message is reported through on_bad, counted in
 * modelbus_bus_follower_bad_total and skipped.
 *
 * A sender publishes events at once, for parts whose state is not in PostgreSQL, in order per key.
 * It keeps each event until its delivery report, so that a producer that fails (a fatal error of
 * librdkafka) is replaced and the next one sends what is left, in the same order; an event may then
 * arrive twice, with one id. A broker that is away costs nothing but room: at most
 * SENDER_EVENTS_MAX events of together SENDER_BYTES_MAX wait, further ones are refused at once
 * with ERR_UNAVAILABLE. What is refused, failed or given up is counted in
 * modelbus_bus_sender_dropped_total.
 */
#pragma once

#include "envelope.h"

#define FOLLOWER_QUIET_MS 30000

struct follower;
struct follower_options {
    struct bus_options bus;
    const char *prefix;
    const char *topic; /* suffix */
    bool from_end;
    /* On the follower's thread, whose origin (origin.h) is the event. event NULL: a tombstone when message->value is NULL too (type NULL
     * and envelope empty when it has no headers, as of most tools), else a type not in the catalogue. */
    void (*on_event)(void *arg, const struct event_type *type,
                     const struct event_envelope *envelope, const ProtobufCMessage *event,
                     const struct bus_message *message);
    void (*on_bad)(void *arg, const struct bus_message *message,
                   const struct err *err); /* counted all the same; may be NULL */
    /* Everything that was there when (re)started has been handed out. May be NULL. */
    void (*on_caught_up)(void *arg);
    /* Another cluster answers; what follows is its content from the beginning. May be NULL. */
    void (*on_restart)(void *arg);
    void *arg;
};
MUST_CHECK enum err_code follower_start(struct follower **follower,
                                        const struct follower_options *options, struct err *err);
void follower_stop(struct follower *follower); /* joins the thread and frees */

#define SENDER_EVENTS_MAX 10000
#define SENDER_BYTES_MAX (32u << 20)

struct sender;
MUST_CHECK enum err_code sender_open(struct sender **sender, const struct bus_options *bus,
                                     const char *prefix, const char *source, struct err *err);
/* Any thread; never blocks. done (may be NULL) is called once for an event that was accepted, with
 * NULL or the error, on the sender's thread or in sender_close(). ERR_UNAVAILABLE: full.
 * ERR_TOO_LARGE: key and value together are over BUS_MESSAGE_MAX. */
MUST_CHECK enum err_code sender_publish(struct sender *sender, const char *workspace,
                                        const ProtobufCMessage *event,
                                        void (*done)(void *arg, const struct err *err), void *arg,
                                        struct err *err);
/* Sends what waits until deadline_ms (CLOCK_MONOTONIC), then frees. Returns how many events
 * were given up. */
size_t sender_close(struct sender *sender, int64_t deadline_ms);
