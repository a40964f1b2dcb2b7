/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follower.h - for parts without a database: follow a topic, and say events directly.
 *
 * A follower reads every partition of one topic from its beginning (or end), without a group and
 * without offsets: inference pods follow <prefix>.endpoint-state, `modelbus event
 * tail` any topic. It goes on over broker outages and starts over when another
 * cluster answers. A bad message is reported through on_bad and skipped.
 *
 * A sender publishes events at once, for parts whose state is not in PostgreSQL. Its queue is
 * bounded; it never blocks: a full queue is ERR_UNAVAILABLE and counted.
 */
#pragma once

#include "envelope.h"

struct follower;
struct follower_options {
    struct bus_options bus;
    const char *prefix;
    const char *topic; /* suffix */
    bool from_end;
    /* On the follower's thread. type and event NULL: a type not in the catalogue. */
    void (*on_event)(void *arg, const struct event_type *type,
                     const struct event_envelope *envelope, const ProtobufCMessage *event,
                     const struct bus_message *message);
    void (*on_bad)(void *arg, const struct bus_message *message,
                   const struct err *err); /* may be NULL */
    /* Everything that was there when (re)started has been handed out. May be NULL. */
    void (*on_caught_up)(void *arg);
    /* Another cluster answers; what follows is its content from the beginning. May be NULL. */
    void (*on_restart)(void *arg);
    void *arg;
};
MUST_CHECK enum err_code follower_start(struct follower **follower,
                                        const struct follower_options *options, struct err *err);
void follower_stop(struct follower *follower); /* joins the thread and frees */

struct sender;
MUST_CHECK enum err_code sender_open(struct sender **sender, const struct bus_options *bus,
                                     const char *prefix, const char *source, struct err *err);
/* Any thread. done (may be NULL) is called on the sender's thread with NULL or the error. */
MUST_CHECK enum err_code sender_publish(struct sender *sender, const char *workspace,
                                        const ProtobufCMessage *event,
                                        void (*done)(void *arg, const struct err *err), void *arg,
                                        struct err *err);
/* Waits for delivery reports until deadline_ms (CLOCK_MONOTONIC), then frees; false: some were lost. */
bool sender_close(struct sender *sender, int64_t deadline_ms);
