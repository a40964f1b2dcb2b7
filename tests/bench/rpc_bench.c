/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rpc_bench.c - 1 KiB round trips over tcp with 8 calls in flight: bare nng req/rep
 * contexts against rpc (signed frames, arena, dispatch). The last line is JSON for
 * tests/bench/run.
 */
#include "life/life.h"
#include "rpc/rpc.h"

#include "modelbus/bus/v1/queries.pb-c.h"

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/util/platform.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTEXTS 8
#define BYTES 1024
#define SECONDS 3
#define BARE_URL "tcp://127.0.0.1:17991"
#define RPC_URL "tcp://127.0.0.1:17992"

static atomic_bool stop;
static atomic_long rounds;
static atomic_int open_calls;

static void
must(int rv, const char *what)
{
    if (rv) {
        fprintf(stderr, "%s: %s\n", what, nng_strerror(rv));
        exit(1);
    }
}

/* ---- bare nng ---- */

struct side {
    nng_ctx ctx;
    nng_aio *aio;
    bool receiving;
    bool asks;
};

static void
step(void *arg)
{
    struct side *side = arg;

    if (nng_aio_result(side->aio)) {
        if (side->asks)
            atomic_fetch_sub(&open_calls, 1);
        return;
    }
    if (!side->receiving) {
        side->receiving = true;
        nng_ctx_recv(side->ctx, side->aio);
        return;
    }
    side->receiving = false;
    if (side->asks) {
        atomic_fetch_add(&rounds, 1);
        if (atomic_load(&stop)) {
            nng_msg_free(nng_aio_get_msg(side->aio));
            atomic_fetch_sub(&open_calls, 1);
            return;
        }
    }
    nng_aio_set_msg(side->aio, nng_aio_get_msg(side->aio));
    nng_ctx_send(side->ctx, side->aio);
}

static double
bare(void)
{
    static struct side server[CONTEXTS], client[CONTEXTS];
    nng_socket rep, req;
    nng_msg *msg;

    must(nng_rep0_open(&rep), "rep");
    must(nng_listen(rep, BARE_URL, NULL, 0), "listen");
    must(nng_req0_open(&req), "req");
    must(nng_dial(req, BARE_URL, NULL, 0), "dial");
    atomic_store(&open_calls, CONTEXTS);
    for (int i = 0; i < CONTEXTS; i++) {
        must(nng_aio_alloc(&server[i].aio, step, &server[i]), "aio");
        must(nng_ctx_open(&server[i].ctx, rep), "context");
        server[i].receiving = true;
        nng_ctx_recv(server[i].ctx, server[i].aio);
    }
    int64_t began = life_monotonic_us();
    for (int i = 0; i < CONTEXTS; i++) {
        client[i].asks = true;
        must(nng_aio_alloc(&client[i].aio, step, &client[i]), "aio");
        must(nng_ctx_open(&client[i].ctx, req), "context");
        must(nng_msg_alloc(&msg, BYTES), "message");
        memset(nng_msg_body(msg), 'x', BYTES);
        nng_aio_set_msg(client[i].aio, msg);
        nng_ctx_send(client[i].ctx, client[i].aio);
    }
    while (life_monotonic_us() - began < SECONDS * 1000000LL)
        nng_msleep(10);
    long done = atomic_load(&rounds);
    double rate = (double)done * 1e6 / (double)(life_monotonic_us() - began);
    atomic_store(&stop, true);
    while (atomic_load(&open_calls))
        nng_msleep(1);
    nng_close(req);
    nng_close(rep);
    return rate;
}

/* ---- rpc ---- */

static const char key[] = "a key of the services";
static const struct auth_caller caller = {
    .subject = "service:bench", .workspace = "default", .roles = AUTH_ADMIN};
static struct rpc_client *client;
static uint8_t body[BYTES + 16];
static size_t body_len;

static enum err_code
echo(void *arg, const Modelbus__Bus__V1__GetDeadLetterRequest *request,
     Modelbus__Bus__V1__GetDeadLetterResponse *response, struct rpc_call *call, struct err *err)
{
    Modelbus__Bus__V1__DeadLetterInfo *info = arena_alloc(call->arena, sizeof(*info));
    Modelbus__Bus__V1__DeadLetter *letter = arena_alloc(call->arena, sizeof(*letter));

    (void)arg;
    (void)err;
    modelbus__bus__v1__dead_letter_info__init(info);
    modelbus__bus__v1__dead_letter__init(letter);
    letter->id = request->id;
    info->letter = letter;
    response->letter = info;
    return ERR_OK;
}

static enum err_code
unused(void *arg, const ProtobufCMessage *request, ProtobufCMessage *response,
       struct rpc_call *call, struct err *err)
{
    (void)arg;
    (void)request;
    (void)response;
    (void)call;
    return err_set(err, ERR_UNSUPPORTED, "not measured");
}

static void
again(void *arg, const void *reply, size_t len, const struct err *err)
{
    (void)reply;
    (void)len;
    if (err) {
        fprintf(stderr, "rpc: %s\n", err->message);
        exit(1);
    }
    atomic_fetch_add(&rounds, 1);
    if (atomic_load(&stop)) {
        atomic_fetch_sub(&open_calls, 1);
        return;
    }
    rpc_call_async(client, "GetDeadLetter", &caller, NULL, 5000, body, body_len, again, arg);
}

static double
signed_calls(void)
{
    static const struct rpc_method methods[] = {
        RPC_QUERY("GetBusStatus", unused, "bus:read", 1000),
        RPC_QUERY("GetDeadLetter", echo, "bus:read", 5000),
        RPC_QUERY("ListDeadLetters", unused, "bus:read", 1000),
        RPC_QUERY("ListMethods", unused, "bus:read", 1000),
        RPC_QUERY("ReplayDeadLetter", unused, "bus:read", 1000),
        {.name = NULL},
    };
    static const struct rpc_interface interfaces[] = {
        {.descriptor = &modelbus__bus__v1__bus__descriptor, .methods = methods},
        {.descriptor = NULL}};
    static char text[BYTES + 1];
    const struct rpc_server_options serve = {
        .url = RPC_URL, .key = key, .key_len = sizeof(key), .workers = 2};
    /* A call that lands starts the next one before its own context is free again. */
    const struct rpc_client_options ask = {
        .url = RPC_URL, .key = key, .key_len = sizeof(key), .contexts = 2 * CONTEXTS};
    Modelbus__Bus__V1__GetDeadLetterRequest request =
        MODELBUS__BUS__V1__GET_DEAD_LETTER_REQUEST__INIT;
    struct rpc_server *server;
    struct err err;

    if (rpc_server_start(&server, &serve, interfaces, &err) ||
        rpc_client_open(&client, &ask, &err)) {
        fprintf(stderr, "rpc: %s\n", err.message);
        exit(1);
    }
    memset(text, 'x', BYTES);
    request.id = text;
    body_len = modelbus__bus__v1__get_dead_letter_request__pack(&request, body);
    nng_msleep(100);
    atomic_store(&stop, false);
    atomic_store(&rounds, 0);
    atomic_store(&open_calls, CONTEXTS);
    int64_t began = life_monotonic_us();
    for (int i = 0; i < CONTEXTS; i++)
        rpc_call_async(client, "GetDeadLetter", &caller, NULL, 5000, body, body_len, again, NULL);
    while (life_monotonic_us() - began < SECONDS * 1000000LL)
        nng_msleep(10);
    double rate = (double)atomic_load(&rounds) * 1e6 / (double)(life_monotonic_us() - began);
    atomic_store(&stop, true);
    while (atomic_load(&open_calls))
        nng_msleep(1);
    rpc_client_free(client);
    rpc_server_stop(server, life_monotonic_ms() + 1000);
    return rate;
}

int
main(void)
{
    double plain = bare();
    double ours = signed_calls();

    printf("{\"measure\": \"rpc round trip over tcp, 1 KiB, 8 in flight\", \"target\": \"≥ 80 %% "
           "of bare "
           "nng\", \"value\": \"%.0f/s = %.1f %% of bare nng (%.0f/s)\"}\n",
           ours, 100 * ours / plain, plain);
    return 0;
}
