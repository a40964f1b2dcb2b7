/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc.h - queries and commands between services: protobuf over nng request/reply.
 *
 * The frame is modelbus.rpc.v1.Request / Response (proto/modelbus/rpc/v1/frame.proto). A
 * service's interface is a `service` in its queries.proto; its methods' types come from that
 * descriptor, and a row in the service's rpc_method table adds handler, scope and deadline. A method
 * of the descriptor without a row, or a row without a valid scope, is an error at start.
 *
 * The server decodes into an arena, verifies the caller's signature, checks scope and
 * deadline, borrows a database connection, calls the handler on a worker thread, replies,
 * counts (modelbus_rpc_requests_total{method,code}, modelbus_rpc_seconds{method}) and logs failures. A command
 * runs in a transaction, and its reply is stored with the request id in that transaction
 * (table rpc_request): a repeated id answers with the stored reply and changes
 * nothing; the same id with another body is ERR_INVALID. Conflicts between transactions
 * are retried inside, up to three times within the deadline.
 *
 * Bounds: RPC_MESSAGE_MAX a frame; a full work queue answers ERR_UNAVAILABLE at once; work whose
 * deadline passed while queued answers ERR_DEADLINE without running.
 */
#pragma once

#include "arena/arena.h"
#include "auth/auth.h"
#include "db/db.h"
#include "err/err.h"

#include <protobuf-c/protobuf-c.h>

#define RPC_MESSAGE_MAX (4u << 20)
#define RPC_REQUEST_ID_MAX 128

struct rpc_call {
    struct auth_caller caller; /* verified; the workspace comes from here, never from the message */
    const char *method;
    const char *request_id;
    int64_t deadline_ms;   /* CLOCK_MONOTONIC */
    struct arena *arena;   /* reset after the reply */
    struct db_conn *db;    /* in a transaction for commands; NULL when the server has no pool */
    int64_t received_ms;   /* CLOCK_MONOTONIC */
    struct rpc_wait *wait; /* of rpc_wait(); NULL: nobody could wake this call */
};

/*
 * Long polls. A query (not a command) that has nothing new to tell fills its response all the same,
 * calls rpc_wait() and returns ERR_OK. It is then run again, from its start, after
 * rpc_server_wake() with the same topic, or when until_ms has come; meanwhile it keeps neither a thread nor
 * a connection. Past until_ms, in a server that stops, or when already half of the queue's
 * bound waits, the response is the answer. until_ms is measured from call->received_ms, so that a
 * second run asks for the same moment; half a second before the call's deadline it ends anyway.
 */
void rpc_wait(struct rpc_call *call, const char *topic, int64_t until_ms);

/* request is of the method's input type; fill *response (of its output type, initialised) with memory
 * from call->arena or static. */
typedef enum err_code (*rpc_handler)(void *arg, const ProtobufCMessage *request,
                                     ProtobufCMessage *response, struct rpc_call *call,
                                     struct err *err);

struct rpc_method {
    const char *name; /* as in the descriptor; NULL ends the table */
    rpc_handler handler;
    const char *scope;   /* "registry:read" */
    int64_t deadline_ms; /* default and maximum */
    bool command;        /* changes state: transaction, stored reply */
};

/* A row from a handler with its own message types. */
#define RPC_QUERY(n, h, s, d)                                                                      \
    {                                                                                              \
        .name = n, .handler = (rpc_handler)(void (*)(void))(h), .scope = s, .deadline_ms = d       \
    }
#define RPC_COMMAND(n, h, s, d)                                                                    \
    {                                                                                              \
        .name = n, .handler = (rpc_handler)(void (*)(void))(h), .scope = s, .deadline_ms = d,      \
        .command = true                                                                            \
    }

/* One interface that a server offers: a descriptor and its rows. */
struct rpc_interface {
    const ProtobufCServiceDescriptor *descriptor; /* NULL ends a list */
    const struct rpc_method *methods;
    void *arg;
};

struct rpc_server_options {
    const char *url; /* nng: tcp://host:port, ipc:///path, inproc://name */
    const void *key; /* shared key of the services, at least 16 bytes */
    size_t key_len;
    unsigned workers;  /* threads that run handlers */
    unsigned contexts; /* requests received and not answered; 0: queue + workers + 8 */
    unsigned queue;    /* bound of the work queue (0: 256) */
    struct db_pool
        *db; /* may be NULL: then handlers get no connection and commands are refused at start */
};

struct rpc_server;
MUST_CHECK enum err_code rpc_server_start(struct rpc_server **server,
                                          const struct rpc_server_options *options,
                                          const struct rpc_interface *interfaces, struct err *err);
/* Stop intake, answer what runs (until deadline_ms, CLOCK_MONOTONIC), free. */
bool rpc_server_stop(struct rpc_server *server, int64_t deadline_ms);
/* Run again what waits for the topic; "" for any. Any thread. */
void rpc_server_wake(struct rpc_server *server, const char *topic);
/* Run a method in this process as the server would for a verified caller, without a
 * socket; response bytes in arena. For the gateway's own methods. */
MUST_CHECK enum err_code
rpc_server_dispatch(struct rpc_server *server, const char *method, const struct auth_caller *caller,
                    const char *request_id, const void *body, size_t body_len, struct arena *arena,
                    const uint8_t **reply, size_t *reply_len, struct err *err);

struct rpc_client_options {
    const char *url;
    const void *key;
    size_t key_len;
    unsigned contexts; /* calls in flight (0: 64); more answer ERR_UNAVAILABLE at once */
};
struct rpc_client;
/* Does not wait for the server; calls fail with ERR_UNAVAILABLE quickly while it is away and
 * reconnect by themselves (10 ms … 200 ms). */
MUST_CHECK enum err_code rpc_client_open(struct rpc_client **client,
                                         const struct rpc_client_options *options, struct err *err);
/* Wait for a connection until until_ms (CLOCK_MONOTONIC); false: there is none. */
bool rpc_client_wait(struct rpc_client *client, int64_t until_ms);
/* End the calls that may wait past deadline_ms (CLOCK_MONOTONIC), with ERR_UNAVAILABLE: long polls of a
 * process that is to stop by then. Returns when they have ended. NULL allowed. */
void rpc_client_cut(struct rpc_client *client, int64_t deadline_ms);
void rpc_client_free(struct rpc_client *client); /* waits for calls in flight */
CLEANUP_DEFINE(struct rpc_client, rpc_client_free)

/* Called once, on one of nng's threads: do not block. err is NULL on success. body is
 * borrowed for the call. */
typedef void (*rpc_done)(void *arg, const void *body, size_t len, const struct err *err);

/* method: short name ("GetModelVersion"); request_id NULL makes one up (UUIDv7); deadline_ms relative,
 * 0: 5000. body is copied. done is called exactly once, also when this fails at once. */
void rpc_call_async(struct rpc_client *client, const char *method, const struct auth_caller *caller,
                    const char *request_id, int64_t deadline_ms, const void *body, size_t len,
                    rpc_done done, void *arg);

/* The same, waiting; the reply unpacked as descriptor into arena. */
MUST_CHECK enum err_code rpc_call(struct rpc_client *client, const char *method,
                                  const struct auth_caller *caller, const char *request_id,
                                  int64_t deadline_ms, const ProtobufCMessage *request,
                                  const ProtobufCMessageDescriptor *reply_type, struct arena *arena,
                                  ProtobufCMessage **reply, struct err *err);

/* Decode and verify one request frame; the fuzzer's entry and the server's first step. */
MUST_CHECK enum err_code rpc_frame_decode(const void *data, size_t len, const void *key,
                                          size_t key_len, int64_t now_ms, struct arena *arena,
                                          struct rpc_call *call, const uint8_t **body,
                                          size_t *body_len, struct err *err);
