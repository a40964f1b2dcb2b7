/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the files of shared/rpc share: frames, and running one method. */
#pragma once

#include "rpc.h"

#include "crypto/crypto.h"
#include "metrics/metrics.h"
#include "trace/trace.h"

#include <nng/nng.h>

/* One method that a server offers: the row, its types, its metrics. */
struct rpc_entry {
    const struct rpc_method *row;
    const ProtobufCMethodDescriptor *types;
    void *arg;
    struct metric *ok, *seconds;
};

#define RPC_TOPIC_MAX 100

/* What rpc_wait() was called with; until_ms 0: it was not. */
struct rpc_wait {
    char topic[RPC_TOPIC_MAX + 1];
    int64_t until_ms;
};

struct rpc_table {
    struct rpc_entry *entries; /* by name */
    size_t count;
    struct db_pool *db; /* NULL: none */
};

/* Check the interfaces (every method of a descriptor has a row with a valid scope, no name twice)
 * and make the table; free entries. */
MUST_CHECK enum err_code rpc_table_build(struct rpc_table *table,
                                         const struct rpc_interface *interfaces, struct db_pool *db,
                                         struct err *err);

/* Run call->method for call->caller. call: caller, method, request_id, arena and deadline_ms are set;
 * deadline_ms 0: the method's own. *reply in call->arena. Counts and logs. */
MUST_CHECK enum err_code rpc_run(const struct rpc_table *table, struct rpc_call *call,
                                 const uint8_t *body, size_t body_len, const uint8_t **reply,
                                 size_t *reply_len, struct err *err);

/* nng_rep0_open or nng_req0_open, with the limit of a message; an nng error. */
int rpc_socket_open(nng_socket *socket, int (*open_protocol)(nng_socket *));

/* The frame of a call, signed; ERR_TOO_LARGE. */
MUST_CHECK enum err_code rpc_frame_encode(const struct auth_signed *what, const char *traceparent,
                                          const void *key, size_t key_len, nng_msg **msg,
                                          struct err *err);
/* A reply, or err when it is not NULL. */
nng_msg *rpc_reply_encode(const char *request_id, const uint8_t *body, size_t len,
                          const struct err *err);
