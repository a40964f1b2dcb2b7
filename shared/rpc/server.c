/* SPDX-License-Identifier: Apache-2.0 */
/* server.c - nng contexts that receive and send, and worker threads that run the methods. */
#include "internal.h"

#include "life/life.h"
#include "log/log.h"
#include "sync/sync.h"

#include <nng/protocol/reqrep0/rep.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_DEFAULT 256
#define SPARE_CONTEXTS 8 /* answer "full" while the queue is */

enum slot_state { SLOT_RECEIVING, SLOT_WORKING, SLOT_WAITING, SLOT_SENDING };

/* One request in flight: an nng context and where it is. */
struct slot {
    struct rpc_server *server;
    nng_ctx ctx;
    nng_aio *aio;
    enum slot_state state; /* under the server's lock, but for its own callback's reads */
    nng_msg *msg;
    int64_t received_ms;    /* CLOCK_MONOTONIC */
    int64_t received_at_ms; /* Unix epoch: what its signature's age is measured by */
    struct rpc_wait wait;   /* of SLOT_WAITING */
    struct slot *next;      /* in the queue, or among those that wait */
};

struct rpc_server {
    struct rpc_table table;
    void *key;
    size_t key_len;
    nng_socket socket;
    struct slot *slots;
    unsigned slot_count, queue_max;
    pthread_mutex_t lock;
    pthread_cond_t work;  /* something is queued, or stopping */
    pthread_cond_t quiet; /* busy went to zero */
    struct slot *head, **tail;
    struct slot *waiting;  /* in no order */
    unsigned queued, busy; /* busy: slots that work, wait or send */
    unsigned waits;
    uint64_t wakes; /* counts rpc_server_wake() */
    bool stopping, workers_end;
    pthread_t *workers;
    unsigned worker_count;
    struct metric *depth;
};

static void
receive(struct slot *slot)
{
    nng_ctx_recv(slot->ctx, slot->aio);
}

static void
answer(struct slot *slot, nng_msg *reply)
{
    pthread_mutex_lock(&slot->server->lock);
    slot->state = SLOT_SENDING;
    pthread_mutex_unlock(&slot->server->lock);
    if (!reply && nng_msg_alloc(&reply, 0) != 0)
        abort();
    nng_aio_set_msg(slot->aio, reply);
    nng_ctx_send(slot->ctx, slot->aio);
}

static void
answer_error(struct slot *slot, enum err_code code, const char *why)
{
    struct err err;

    err_set(&err, code, "%s", why);
    answer(slot, rpc_reply_encode("", NULL, 0, &err));
}

/* With the lock held. */
static void
enqueue(struct rpc_server *server, struct slot *slot)
{
    slot->next = NULL;
    slot->state = SLOT_WORKING;
    *server->tail = slot;
    server->tail = &slot->next;
    metric_set(server->depth, ++server->queued);
    pthread_cond_signal(&server->work);
}

/* Queue it, or say why not. */
static void
received(struct slot *slot)
{
    struct rpc_server *server = slot->server;
    const char *refused = NULL;

    slot->msg = nng_aio_get_msg(slot->aio);
    slot->received_ms = life_monotonic_ms();
    slot->received_at_ms = life_now_ms();
    pthread_mutex_lock(&server->lock);
    server->busy++;
    slot->state = SLOT_WORKING;
    if (server->stopping) {
        refused = "the service is stopping";
    } else if (server->queued >= server->queue_max) {
        refused = "the service is busy: its queue is full";
    } else {
        enqueue(server, slot);
    }
    pthread_mutex_unlock(&server->lock);
    if (refused) {
        nng_msg_free(TAKE_PTR(slot->msg));
        answer_error(slot, ERR_UNAVAILABLE, refused);
    }
}

/* On one of nng's threads. */
static void
on_aio(void *arg)
{
    struct slot *slot = arg;
    struct rpc_server *server = slot->server;
    int result = nng_aio_result(slot->aio);

    if (slot->state == SLOT_RECEIVING) {
        if (result == 0)
            received(slot);
        else if (result != NNG_ECLOSED && result != NNG_ECANCELED)
            receive(slot);
        return;
    }
    if (result != 0)
        nng_msg_free(nng_aio_get_msg(slot->aio)); /* the asker is gone */
    pthread_mutex_lock(&server->lock);
    slot->state = SLOT_RECEIVING;
    if (--server->busy == 0)
        pthread_cond_broadcast(&server->quiet);
    pthread_mutex_unlock(&server->lock);
    if (result != NNG_ECLOSED && result != NNG_ECANCELED)
        receive(slot);
}

/* ---- what waits ---- */

/* With the lock held: those that the topic wakes (NULL: none but those whose time has come) go back
 * to the queue. Returns when the next one's time comes; INT64_MAX: never. */
static int64_t
run_again(struct rpc_server *server, const char *topic)
{
    int64_t now_ms = life_monotonic_ms(), next_ms = INT64_MAX;
    struct slot **link = &server->waiting;

    while (*link) {
        struct slot *slot = *link;
        bool woken = topic && (!*topic || strcmp(topic, slot->wait.topic) == 0);
        if (woken || server->stopping || slot->wait.until_ms <= now_ms) {
            *link = slot->next;
            server->waits--;
            enqueue(server, slot);
            continue;
        }
        if (slot->wait.until_ms < next_ms)
            next_ms = slot->wait.until_ms;
        link = &slot->next;
    }
    return next_ms;
}

void
rpc_server_wake(struct rpc_server *server, const char *topic)
{
    pthread_mutex_lock(&server->lock);
    server->wakes++;
    run_again(server, topic);
    pthread_mutex_unlock(&server->lock);
}

/* True: the slot waits. A wake since seen may have been meant for it: then it runs again at once. */
static bool
wait_again(struct slot *slot, const struct rpc_wait *wait, uint64_t seen, nng_msg *msg)
{
    struct rpc_server *server = slot->server;

    pthread_mutex_lock(&server->lock);
    bool waits = !server->stopping && server->waits < server->queue_max / 2 &&
                 wait->until_ms > life_monotonic_ms();
    if (waits) {
        slot->msg = msg;
        slot->wait = *wait;
        if (server->wakes != seen) {
            enqueue(server, slot);
        } else {
            slot->state = SLOT_WAITING;
            slot->next = server->waiting;
            server->waiting = slot;
            server->waits++;
            /* Somebody must know when its time comes. */
            pthread_cond_signal(&server->work);
        }
    }
    pthread_mutex_unlock(&server->lock);
    return waits;
}

static void
work_on(struct slot *slot, struct arena *arena, uint64_t seen)
{
    struct rpc_server *server = slot->server;
    struct rpc_wait wait = {.until_ms = 0};
    struct rpc_call call = {0};
    struct err err;
    const uint8_t *body, *reply = NULL;
    size_t body_len, reply_len = 0;
    nng_msg *msg = TAKE_PTR(slot->msg);

    enum err_code code =
        rpc_frame_decode(nng_msg_body(msg), nng_msg_len(msg), server->key, server->key_len,
                         slot->received_at_ms, arena, &call, &body, &body_len, &err);
    if (code) {
        log_warn("request refused", LOG_ERR(&err));
    } else {
        /* What the asker still has, counted from receipt; the method's own limit applies too. */
        if (call.deadline_ms)
            call.deadline_ms += slot->received_ms;
        call.received_ms = slot->received_ms;
        call.wait = &wait;
        code = rpc_run(&server->table, &call, body, body_len, &reply, &reply_len, &err);
        if (!code && wait.until_ms && wait_again(slot, &wait, seen, msg)) {
            trace_set_current(NULL);
            return;
        }
    }
    answer(slot, rpc_reply_encode(call.request_id ? call.request_id : "", reply, reply_len,
                                  code ? &err : NULL));
    nng_msg_free(msg);
    trace_set_current(NULL);
}

static void *
worker(void *arg)
{
    struct rpc_server *server = arg;
    CLEANUP(arena_free) struct arena *arena = arena_new(64 << 10, 4 * (size_t)RPC_MESSAGE_MAX);

    for (;;) {
        pthread_mutex_lock(&server->lock);
        for (;;) {
            int64_t next_ms = run_again(server, NULL);
            if (server->head || server->workers_end)
                break;
            sync_wait(&server->work, &server->lock, next_ms);
        }
        uint64_t seen = server->wakes;
        struct slot *slot = server->head;
        if (slot) {
            server->head = slot->next;
            if (!server->head)
                server->tail = &server->head;
            metric_set(server->depth, --server->queued);
        }
        pthread_mutex_unlock(&server->lock);
        if (!slot)
            return NULL;
        work_on(slot, arena, seen);
        arena_reset(arena);
    }
}

static enum err_code
listen_on(struct rpc_server *server, const char *url, struct err *err)
{
    nng_listener listener;
    int rv = rpc_socket_open(&server->socket, nng_rep0_open);

    if (rv == 0)
        rv = nng_listener_create(&listener, server->socket, url);
    if (rv == 0)
        rv = nng_listener_start(listener, 0);
    if (rv)
        return err_set(err, rv == NNG_EADDRINUSE ? ERR_EXISTS : ERR_INVALID, "rpc on %s: %s", url,
                       nng_strerror(rv));
    return ERR_OK;
}

static void
server_free(struct rpc_server *server)
{
    for (unsigned i = 0; i < server->slot_count; i++)
        if (server->slots[i].aio) {
            nng_aio_stop(server->slots[i].aio);
            nng_ctx_close(server->slots[i].ctx);
            nng_aio_free(server->slots[i].aio);
        }
    pthread_cond_destroy(&server->work);
    pthread_cond_destroy(&server->quiet);
    pthread_mutex_destroy(&server->lock);
    free(server->slots);
    free(server->workers);
    free(server->table.entries);
    free(server->key);
    free(server);
}

static enum err_code
make_slots(struct rpc_server *server, struct err *err)
{
    for (unsigned i = 0; i < server->slot_count; i++) {
        struct slot *slot = &server->slots[i];
        slot->server = server;
        int rv = nng_aio_alloc(&slot->aio, on_aio, slot);
        if (rv == 0)
            rv = nng_ctx_open(&slot->ctx, server->socket);
        if (rv)
            return err_set(err, ERR_INTERNAL, "rpc context: %s", nng_strerror(rv));
    }
    return ERR_OK;
}

enum err_code
rpc_server_start(struct rpc_server **out, const struct rpc_server_options *options,
                 const struct rpc_interface *interfaces, struct err *err)
{
    if (options->key_len < 16)
        return err_set(err, ERR_INVALID, "the services' shared key needs at least 16 bytes");
    struct rpc_server *server = mem_zalloc(sizeof(*server));
    pthread_mutex_init(&server->lock, NULL);
    sync_cond_init(&server->work);
    sync_cond_init(&server->quiet);
    server->tail = &server->head;
    server->queue_max = options->queue ? options->queue : QUEUE_DEFAULT;
    server->worker_count = options->workers ? options->workers : 1;
    server->slot_count = options->contexts
                             ? options->contexts
                             : server->queue_max + server->worker_count + SPARE_CONTEXTS;
    server->slots = mem_calloc(server->slot_count, sizeof(server->slots[0]));
    server->workers = mem_calloc(server->worker_count, sizeof(server->workers[0]));
    server->key = mem_alloc(options->key_len);
    server->key_len = options->key_len;
    __builtin_memcpy(server->key, options->key, options->key_len);
    server->depth =
        metrics_gauge("modelbus_rpc_queue_depth", "Requests that wait for a worker.", NULL);
    if (rpc_table_build(&server->table, interfaces, options->db, err) ||
        listen_on(server, options->url, err) || make_slots(server, err)) {
        if (nng_socket_id(server->socket) > 0)
            nng_close(server->socket);
        server_free(server);
        return err->code;
    }
    for (unsigned i = 0; i < server->worker_count; i++)
        if (pthread_create(&server->workers[i], NULL, worker, server))
            abort();
    for (unsigned i = 0; i < server->slot_count; i++)
        receive(&server->slots[i]);
    *out = server;
    return ERR_OK;
}

bool
rpc_server_stop(struct rpc_server *server, int64_t deadline_ms)
{
    bool drained = true;

    if (!server)
        return true;
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    run_again(server, NULL);
    while (server->busy && drained)
        drained = sync_wait(&server->quiet, &server->lock, deadline_ms);
    server->workers_end = true;
    pthread_cond_broadcast(&server->work);
    pthread_mutex_unlock(&server->lock);
    /* Handlers are bounded by the database's statement time-out; a worker is never abandoned
     * with memory in its hands. */
    for (unsigned i = 0; i < server->worker_count; i++)
        pthread_join(server->workers[i], NULL);
    nng_close(server->socket);
    server_free(server);
    return drained;
}

enum err_code
rpc_server_dispatch(struct rpc_server *server, const char *method, const struct auth_caller *caller,
                    const char *request_id, const void *body, size_t body_len, struct arena *arena,
                    const uint8_t **reply, size_t *reply_len, struct err *err)
{
    struct rpc_call call = {
        .caller = *caller, .method = method, .request_id = request_id, .arena = arena};

    return rpc_run(&server->table, &call, body, body_len, reply, reply_len, err);
}
