/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change.h - what a handler of an event or of a query begins with: where it reads and writes,
 * where it says events, who asks and when.
 *
 *     struct change change = change_of_call(arg, call);
 *
 * arg is what handlers get: the struct service. Everything is borrowed from the event or the call
 * and lives as long. The transaction is the caller's, who also commits it.
 */
#pragma once

#include "consumer.h"
#include "rpc/rpc.h"

struct service;

/* Where the calls of a service's store work. */
struct store {
    struct db_conn *db;
    const char *workspace;
    struct arena *arena;
    /* Calls that a store.h marks [queue] are sent without waiting for the answer (db_queue()), for
     * handlers of events: their errors show later in the transaction. */
    bool queue;
};

struct change {
    struct store store;
    const struct service *service;
    struct outbox *outbox;
    const char *by; /* who asks: the caller's subject or the event's source */
    int64_t now_ms; /* Unix epoch */
};

/* The workspace comes from the verified caller, never from a message. */
struct change change_of_call(const void *arg, const struct rpc_call *call);
struct change change_of_event(const void *arg, const struct event_context *context);

/* outbox_publish() within the change. */
MUST_CHECK enum err_code change_say(const struct change *change, const ProtobufCMessage *event,
                                    struct err *err);
