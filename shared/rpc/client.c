/* SPDX-License-Identifier: Apache-2.0 */
/* client.c - calls in flight, each an nng context, over one socket that reconnects by itself. */
#include "internal.h"

#include "life/life.h"
#include "sync/sync.h"

#include "modelbus/rpc/v1/frame.pb-c.h"

#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define CONTEXTS_DEFAULT 64
#define DEADLINE_DEFAULT_MS 5000
#define RECONNECT_MIN_MS 10
#define RECONNECT_MAX_MS 200
#define AWAY_MS 200 /* no connection for this long: calls fail at once */
#define CUT_AGAIN_MS 10
#define SEND_WAIT_MS 500 /* for a connection that is just being made */

struct flight {
    struct rpc_client *client;
    nng_ctx ctx;
    nng_aio *aio;
    bool sent;
    int64_t deadline_ms; /* CLOCK_MONOTONIC; 0, under the lock: idle */
    rpc_done done;
    void *arg;
    struct flight *next; /* in the free list */
};

struct rpc_client {
    char *url;
    void *key;
    size_t key_len;
    nng_socket socket;
    struct flight *flights, *idle;
    unsigned count;
    pthread_mutex_t lock;
    pthread_cond_t landed; /* or connected */
    unsigned in_flight;
    int pipes;
    int64_t away_since_ms; /* while pipes is 0 */
};

static void
on_pipe(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
    struct rpc_client *client = arg;

    (void)pipe;
    pthread_mutex_lock(&client->lock);
    if (event == NNG_PIPE_EV_ADD_POST) {
        client->pipes++;
        pthread_cond_broadcast(&client->landed);
    } else if (--client->pipes == 0) {
        client->away_since_ms = life_monotonic_ms();
    }
    pthread_mutex_unlock(&client->lock);
}

static void
land(struct flight *flight, const void *body, size_t len, const struct err *err)
{
    struct rpc_client *client = flight->client;
    rpc_done done = flight->done;
    void *arg = flight->arg;

    /* done first: until then the reply's bytes are its own. */
    done(arg, body, len, err);
    pthread_mutex_lock(&client->lock);
    flight->deadline_ms = 0;
    flight->next = client->idle;
    client->idle = flight;
    client->in_flight--;
    pthread_cond_broadcast(&client->landed);
    pthread_mutex_unlock(&client->lock);
}

static void
fail(struct flight *flight, int rv)
{
    struct err err;

    if (rv == NNG_ETIMEDOUT && flight->sent)
        err_set(&err, ERR_DEADLINE, "%s did not answer in time", flight->client->url);
    else
        err_set(&err, ERR_UNAVAILABLE, "%s: %s", flight->client->url,
                rv == NNG_ETIMEDOUT   ? "no connection"
                : rv == NNG_ECANCELED ? "it was not waited for any longer"
                                      : nng_strerror(rv));
    land(flight, NULL, 0, &err);
}

static void
read_reply(struct flight *flight, nng_msg *msg)
{
    struct err err;
    Modelbus__Rpc__V1__Response *reply =
        modelbus__rpc__v1__response__unpack(NULL, nng_msg_len(msg), nng_msg_body(msg));

    if (!reply) {
        err_set(&err, ERR_INTERNAL, "%s answered something that is no reply", flight->client->url);
        land(flight, NULL, 0, &err);
    } else if (reply->error_code[0]) {
        err_set(&err, err_from_name(reply->error_code), "%s", reply->error_message);
        land(flight, NULL, 0, &err);
    } else {
        land(flight, reply->body.data, reply->body.len, NULL);
    }
    if (reply)
        modelbus__rpc__v1__response__free_unpacked(reply, NULL);
    nng_msg_free(msg);
}

/* On one of nng's threads: sent, or answered. */
static void
on_aio(void *arg)
{
    struct flight *flight = arg;
    int rv = nng_aio_result(flight->aio);

    if (rv) {
        if (!flight->sent)
            nng_msg_free(nng_aio_get_msg(flight->aio));
        fail(flight, rv);
        return;
    }
    if (flight->sent) {
        read_reply(flight, nng_aio_get_msg(flight->aio));
        return;
    }
    int64_t left = flight->deadline_ms - life_monotonic_ms();
    flight->sent = true;
    nng_aio_set_timeout(flight->aio, left > 0 ? (nng_duration)left : 1);
    nng_ctx_recv(flight->ctx, flight->aio);
}

static void
client_free(struct rpc_client *client)
{
    for (unsigned i = 0; i < client->count; i++)
        if (client->flights[i].aio) {
            nng_aio_stop(client->flights[i].aio);
            nng_aio_free(client->flights[i].aio);
        }
    pthread_cond_destroy(&client->landed);
    pthread_mutex_destroy(&client->lock);
    free(client->flights);
    free(client->url);
    free(client->key);
    free(client);
}

static int
open_socket(struct rpc_client *client)
{
    int rv = rpc_socket_open(&client->socket, nng_req0_open);

    if (rv)
        return rv;
    /* Nothing is repeated behind our back: a repeat is the caller's decision, with its id. */
    if ((rv = nng_socket_set_ms(client->socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE)) ||
        (rv = nng_socket_set_ms(client->socket, NNG_OPT_RECONNMINT, RECONNECT_MIN_MS)) ||
        (rv = nng_socket_set_ms(client->socket, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS)) ||
        (rv = nng_pipe_notify(client->socket, NNG_PIPE_EV_ADD_POST, on_pipe, client)) ||
        (rv = nng_pipe_notify(client->socket, NNG_PIPE_EV_REM_POST, on_pipe, client)))
        return rv;
    for (unsigned i = 0; i < client->count; i++) {
        struct flight *flight = &client->flights[i];
        flight->client = client;
        if ((rv = nng_aio_alloc(&flight->aio, on_aio, flight)) ||
            (rv = nng_ctx_open(&flight->ctx, client->socket)))
            return rv;
        flight->next = client->idle;
        client->idle = flight;
    }
    return nng_dial(client->socket, client->url, NULL, NNG_FLAG_NONBLOCK);
}

enum err_code
rpc_client_open(struct rpc_client **out, const struct rpc_client_options *options, struct err *err)
{
    if (options->key_len < 16)
        return err_set(err, ERR_INVALID, "the services' shared key needs at least 16 bytes");
    struct rpc_client *client = mem_zalloc(sizeof(*client));
    pthread_mutex_init(&client->lock, NULL);
    sync_cond_init(&client->landed);
    client->url = mem_strdup(options->url);
    client->key = mem_alloc(options->key_len);
    client->key_len = options->key_len;
    __builtin_memcpy(client->key, options->key, options->key_len);
    client->count = options->contexts ? options->contexts : CONTEXTS_DEFAULT;
    client->flights = mem_calloc(client->count, sizeof(client->flights[0]));
    client->away_since_ms = life_monotonic_ms();
    int rv = open_socket(client);
    if (rv) {
        if (nng_socket_id(client->socket) > 0)
            nng_close(client->socket);
        err_set(err, ERR_INVALID, "rpc to %s: %s", options->url, nng_strerror(rv));
        client_free(client);
        return err->code;
    }
    *out = client;
    return ERR_OK;
}

bool
rpc_client_wait(struct rpc_client *client, int64_t until_ms)
{
    bool connected;

    pthread_mutex_lock(&client->lock);
    while (!(connected = client->pipes > 0) && sync_wait(&client->landed, &client->lock, until_ms))
        ;
    pthread_mutex_unlock(&client->lock);
    return connected;
}

void
rpc_client_free(struct rpc_client *client)
{
    if (!client)
        return;
    pthread_mutex_lock(&client->lock);
    while (client->in_flight)
        pthread_cond_wait(&client->landed, &client->lock);
    pthread_mutex_unlock(&client->lock);
    nng_close(client->socket);
    client_free(client);
}

void
rpc_client_cut(struct rpc_client *client, int64_t deadline_ms)
{
    bool any = true;

    if (!client)
        return;
    pthread_mutex_lock(&client->lock);
    while (any) {
        any = false;
        for (unsigned i = 0; i < client->count; i++)
            if (client->flights[i].deadline_ms > deadline_ms) {
                any = true;
                /* Its callback runs on a thread of nng's. Nothing happens to one between its sending and
                 * its receiving: that one's turn comes with the next round. */
                nng_aio_abort(client->flights[i].aio, NNG_ECANCELED);
            }
        if (any)
            sync_wait(&client->landed, &client->lock, life_monotonic_ms() + CUT_AGAIN_MS);
    }
    pthread_mutex_unlock(&client->lock);
}

/* A flight for a call, or why there is none. */
static struct flight *
take(struct rpc_client *client, int64_t deadline_ms, struct err *err)
{
    struct flight *flight = NULL;

    pthread_mutex_lock(&client->lock);
    if (client->pipes == 0 && life_monotonic_ms() - client->away_since_ms > AWAY_MS) {
        err_set(err, ERR_UNAVAILABLE, "%s: no connection", client->url);
    } else if (!client->idle) {
        err_set(err, ERR_UNAVAILABLE, "%s: %u calls are in flight already", client->url,
                client->count);
    } else {
        flight = client->idle;
        client->idle = flight->next;
        client->in_flight++;
        flight->deadline_ms = deadline_ms;
    }
    pthread_mutex_unlock(&client->lock);
    return flight;
}

void
rpc_call_async(struct rpc_client *client, const char *method, const struct auth_caller *caller,
               const char *request_id, int64_t deadline_ms, const void *body, size_t len,
               rpc_done done, void *arg)
{
    char made_up[37], traceparent[TRACE_PARENT_LEN + 1];
    struct trace trace;
    struct err err;
    nng_msg *msg;

    if (deadline_ms <= 0)
        deadline_ms = DEADLINE_DEFAULT_MS;
    if (!request_id) {
        crypto_uuid7(made_up);
        request_id = made_up;
    }
    if (trace_current())
        trace_child(trace_current(), &trace);
    else
        trace_start(&trace);
    trace_format(&trace, traceparent);
    struct auth_signed what = {
        .method = method,
        .request_id = request_id,
        .issued_ms = life_now_ms(),
        .deadline_ms = deadline_ms,
        .caller = caller,
        .body = body,
        .body_len = len,
    };
    struct flight *flight = take(client, life_monotonic_ms() + deadline_ms, &err);
    if (!flight) {
        done(arg, NULL, 0, &err);
        return;
    }
    flight->done = done;
    flight->arg = arg;
    flight->sent = false;
    if (rpc_frame_encode(&what, traceparent, client->key, client->key_len, &msg, &err)) {
        land(flight, NULL, 0, &err);
        return;
    }
    nng_aio_set_msg(flight->aio, msg);
    nng_aio_set_timeout(flight->aio,
                        (nng_duration)(deadline_ms < SEND_WAIT_MS ? deadline_ms : SEND_WAIT_MS));
    nng_ctx_send(flight->ctx, flight->aio);
}

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool finished;
    const ProtobufCMessageDescriptor *type;
    struct arena *arena;
    ProtobufCMessage *reply;
    enum err_code code;
    struct err err;
};

static void
wake(void *arg, const void *body, size_t len, const struct err *err)
{
    struct waiter *waiter = arg;

    pthread_mutex_lock(&waiter->lock);
    if (err) {
        waiter->err = *err;
        waiter->code = err->code;
    } else {
        waiter->reply = ARENA_UNPACK(waiter->arena, waiter->type, len, body);
        if (!waiter->reply)
            waiter->code =
                err_set(&waiter->err, ERR_INTERNAL, "the reply is not a %s", waiter->type->name);
    }
    waiter->finished = true;
    pthread_cond_signal(&waiter->done);
    pthread_mutex_unlock(&waiter->lock);
}

enum err_code
rpc_call(struct rpc_client *client, const char *method, const struct auth_caller *caller,
         const char *request_id, int64_t deadline_ms, const ProtobufCMessage *request,
         const ProtobufCMessageDescriptor *reply_type, struct arena *arena,
         ProtobufCMessage **reply, struct err *err)
{
    struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER,
                            .done = PTHREAD_COND_INITIALIZER,
                            .type = reply_type,
                            .arena = arena};
    size_t len = protobuf_c_message_get_packed_size(request);
    uint8_t *body = arena_alloc(arena, len);

    protobuf_c_message_pack(request, body);
    rpc_call_async(client, method, caller, request_id, deadline_ms, body, len, wake, &waiter);
    pthread_mutex_lock(&waiter.lock);
    while (!waiter.finished)
        pthread_cond_wait(&waiter.done, &waiter.lock);
    pthread_mutex_unlock(&waiter.lock);
    if (waiter.code) {
        if (err)
            *err = waiter.err;
        return waiter.code;
    }
    *reply = waiter.reply;
    return ERR_OK;
}
