/* SPDX-License-Identifier: Apache-2.0 */
/* Queries and commands over a real socket, with commands on real PostgreSQL. */
#include "crypto/crypto.h"
#include "life/life.h"
#include "rpc/rpc.h"

#include "modelbus/bus/v1/queries.pb-c.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef Modelbus__Bus__V1__GetDeadLetterRequest GetRequest;
typedef Modelbus__Bus__V1__GetDeadLetterResponse GetResponse;

static const char key[] = "a key of the services";
static char url[64], schema[64];
static struct db_pool *pool;
static struct rpc_server *server;
static struct rpc_client *client;
static struct arena *arena;
static struct err err;
static atomic_int entered; /* handlers that wait in hold() */
static atomic_bool let_go;
static const struct auth_caller editor = {
    .subject = "user:ann", .workspace = "blue", .roles = AUTH_EDITOR};

/* Answers the caller's workspace and subject, and the id that was asked for. */
static enum err_code
get(void *arg, const GetRequest *request, GetResponse *response, struct rpc_call *call,
    struct err *e)
{
    Modelbus__Bus__V1__DeadLetterInfo *info = arena_alloc(call->arena, sizeof(*info));
    Modelbus__Bus__V1__DeadLetter *letter = arena_alloc(call->arena, sizeof(*letter));

    (void)arg;
    if (strcmp(request->id, "missing") == 0)
        return err_set(e, ERR_NOT_FOUND, "no letter '%s'", request->id);
    if (strcmp(request->id, "hold") == 0) {
        atomic_fetch_add(&entered, 1);
        while (!atomic_load(&let_go))
            usleep(1000);
    }
    if (strncmp(request->id, "wait", 4) == 0) {
        atomic_fetch_add(&entered, 1);
        if (!atomic_load(&let_go))
            rpc_wait(call, request->id, call->received_ms + (request->id[4] ? 15000 : 1500));
    }
    modelbus__bus__v1__dead_letter_info__init(info);
    modelbus__bus__v1__dead_letter__init(letter);
    letter->id = arena_printf(call->arena, "%s %s %s", call->caller.workspace, call->caller.subject,
                              request->id);
    info->letter = letter;
    response->letter = info;
    return ERR_OK;
}

/* A command that leaves a row each time it really runs. */
static enum err_code
replay(void *arg, const Modelbus__Bus__V1__ReplayDeadLetterRequest *request,
       Modelbus__Bus__V1__ReplayDeadLetterResponse *response, struct rpc_call *call, struct err *e)
{
    static const struct db_stmt stmt = {"INSERT INTO done (id) VALUES ($1)"};

    (void)arg;
    (void)response;
    if (db_exec(call->db, &stmt, DB_PARAMS(db_text(request->id)), NULL, e))
        return e->code;
    if (strcmp(request->id, "fails") == 0)
        return err_set(e, ERR_PRECONDITION, "this one fails after its insert");
    return ERR_OK;
}

static enum err_code
nothing(void *arg, const ProtobufCMessage *request, ProtobufCMessage *response,
        struct rpc_call *call, struct err *e)
{
    (void)arg;
    (void)request;
    (void)response;
    (void)call;
    (void)e;
    return ERR_OK;
}

static const struct rpc_method methods[] = {
    RPC_QUERY("GetBusStatus", nothing, "bus:read", 1000),
    RPC_QUERY("GetDeadLetter", get, "bus:read", 2000),
    RPC_QUERY("ListDeadLetters", nothing, "bus:read", 1000),
    RPC_QUERY("ListMethods", nothing, "bus:admin", 1000),
    RPC_COMMAND("ReplayDeadLetter", replay, "bus:write", 5000),
    {.name = NULL},
};
static const struct rpc_interface interfaces[] = {
    {.descriptor = &modelbus__bus__v1__bus__descriptor, .methods = methods}, {.descriptor = NULL}};

static int64_t
number(const char *sql)
{
    CLEANUP(db_return) struct db_conn *conn = NULL;
    CLEANUP(db_result_free) struct db_result *result = NULL;
    struct db_stmt stmt = {sql};

    cr_assert_eq(db_connect(pool, &conn, &err), ERR_OK, "%s", err.message);
    cr_assert_eq(db_exec(conn, &stmt, DB_NO_PARAMS, &result, &err), ERR_OK, "%s", err.message);
    return db_i64(result, 0, 0);
}

static void script(const char *format, ...) PRINTF_LIKE(1, 2);

static void
script(const char *format, ...)
{
    CLEANUP(db_return) struct db_conn *conn = NULL;
    char sql[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(sql, sizeof(sql), format, args);
    va_end(args);
    cr_assert_eq(db_borrow(pool, &conn, &err), ERR_OK, "%s", err.message);
    cr_assert_eq(db_script(conn, sql, &err), ERR_OK, "%s", err.message);
}

static void
serve(unsigned workers, unsigned queue)
{
    struct rpc_server_options options = {.url = url,
                                         .key = key,
                                         .key_len = sizeof(key),
                                         .workers = workers,
                                         .queue = queue,
                                         .db = pool};

    cr_assert_eq(rpc_server_start(&server, &options, interfaces, &err), ERR_OK, "%s", err.message);
}

static void
start(void)
{
    const char *postgres = getenv("MODELBUS_TEST_POSTGRES_URL");
    struct rpc_client_options options = {.url = url, .key = key, .key_len = sizeof(key)};

    cr_assert(postgres, "MODELBUS_TEST_POSTGRES_URL is not set: run scripts/test");
    snprintf(url, sizeof(url), "ipc:///tmp/mb-rpc-%d.sock", (int)getpid());
    snprintf(schema, sizeof(schema), "t_rpc_%d", (int)getpid());
    cr_assert_eq(db_pool_open(&pool, postgres, schema, 8, 2000, &err), ERR_OK, "%s", err.message);
    script("CREATE SCHEMA %s; SET search_path TO %s; CREATE TABLE done (id text);"
           "CREATE TABLE rpc_request (workspace text, subject text, request_id text, method text,"
           " body_sha256 bytea, reply bytea, at timestamptz DEFAULT now(),"
           " PRIMARY KEY (workspace, subject, request_id))",
           schema, schema);
    arena = arena_new(0, 0);
    serve(4, 0);
    cr_assert_eq(rpc_client_open(&client, &options, &err), ERR_OK, "%s", err.message);
}

static void
stop(void)
{
    atomic_store(&let_go, true);
    rpc_client_free(client);
    cr_expect(rpc_server_stop(server, life_monotonic_ms() + 5000));
    script("DROP SCHEMA %s CASCADE", schema);
    db_pool_free(pool);
    arena_free(arena);
}

TestSuite(rpc, .init = start, .fini = stop, .timeout = 60);

static enum err_code
ask(const struct auth_caller *who, const char *id, const char **answer)
{
    GetRequest request = MODELBUS__BUS__V1__GET_DEAD_LETTER_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;

    request.id = (char *)id;
    enum err_code code =
        rpc_call(client, "GetDeadLetter", who, NULL, 2000, &request.base,
                 &modelbus__bus__v1__get_dead_letter_response__descriptor, arena, &reply, &err);
    if (!code)
        *answer = ((GetResponse *)reply)->letter->letter->id;
    return code;
}

static enum err_code
order(const char *request_id, const char *id)
{
    Modelbus__Bus__V1__ReplayDeadLetterRequest request =
        MODELBUS__BUS__V1__REPLAY_DEAD_LETTER_REQUEST__INIT;
    ProtobufCMessage *reply;

    request.id = (char *)id;
    return rpc_call(client, "ReplayDeadLetter", &editor, request_id, 5000, &request.base,
                    &modelbus__bus__v1__replay_dead_letter_response__descriptor, arena, &reply,
                    &err);
}

Test(rpc, answers_with_the_callers_workspace)
{
    const char *answer = "";

    cr_assert_eq(ask(&editor, "x", &answer), ERR_OK, "%s", err.message);
    cr_assert_str_eq(answer, "blue user:ann x");
}

Test(rpc, hands_the_handlers_error_through)
{
    const char *answer;

    cr_assert_eq(ask(&editor, "missing", &answer), ERR_NOT_FOUND);
    cr_assert_str_eq(err.message, "no letter 'missing'");
}

Test(rpc, refuses_a_missing_scope_and_an_unknown_method)
{
    Modelbus__Bus__V1__ListMethodsRequest request = MODELBUS__BUS__V1__LIST_METHODS_REQUEST__INIT;
    ProtobufCMessage *reply;

    cr_assert_eq(rpc_call(client, "ListMethods", &editor, NULL, 0, &request.base,
                          &modelbus__bus__v1__list_methods_response__descriptor, arena, &reply,
                          &err),
                 ERR_FORBIDDEN);
    cr_assert_eq(rpc_call(client, "Nothing", &editor, NULL, 0, &request.base,
                          &modelbus__bus__v1__list_methods_response__descriptor, arena, &reply,
                          &err),
                 ERR_NOT_FOUND);
}

Test(rpc, refuses_another_key)
{
    struct rpc_client_options options = {
        .url = url, .key = "another key, just as long", .key_len = 24};
    const char *answer;

    rpc_client_free(client);
    cr_assert_eq(rpc_client_open(&client, &options, &err), ERR_OK);
    cr_assert_eq(ask(&editor, "x", &answer), ERR_UNAUTHENTICATED, "%s", err.message);
}

Test(rpc, a_command_is_done_once_per_request_id)
{
    cr_assert_eq(order("r1", "a"), ERR_OK, "%s", err.message);
    cr_assert_eq(order("r1", "a"), ERR_OK, "%s", err.message);
    cr_assert_eq(order("r1", "b"), ERR_INVALID);
    cr_assert_eq(order("r2", "a"), ERR_OK);
    cr_assert_eq(number("SELECT count(*) FROM done"), 2);
}

Test(rpc, a_failed_command_leaves_nothing_and_may_be_asked_again)
{
    cr_assert_eq(order("r1", "fails"), ERR_PRECONDITION);
    cr_assert_eq(number("SELECT count(*) FROM done"), 0);
    cr_assert_eq(number("SELECT count(*) FROM rpc_request"), 0);
    cr_assert_eq(order("r1", "works"), ERR_OK, "%s", err.message);
}

static void *
order_same(void *arg)
{
    CLEANUP(arena_free) struct arena *own = arena_new(0, 0);
    Modelbus__Bus__V1__ReplayDeadLetterRequest request =
        MODELBUS__BUS__V1__REPLAY_DEAD_LETTER_REQUEST__INIT;
    ProtobufCMessage *reply;
    struct err e;

    (void)arg;
    request.id = (char *)"same";
    if (rpc_call(client, "ReplayDeadLetter", &editor, "one id", 5000, &request.base,
                 &modelbus__bus__v1__replay_dead_letter_response__descriptor, own, &reply, &e))
        return (void *)(intptr_t)e.code;
    return NULL;
}

Test(rpc, the_same_id_at_once_is_one_command)
{
    pthread_t threads[8];
    void *failed;

    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, order_same, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        pthread_join(threads[i], &failed);
        cr_assert_null(failed);
    }
    cr_assert_eq(number("SELECT count(*) FROM done"), 1);
}

static atomic_int busy, other, landed;

static void
count(void *arg, const void *body, size_t len, const struct err *e)
{
    (void)arg;
    (void)body;
    (void)len;
    if (e && e->code == ERR_UNAVAILABLE)
        atomic_fetch_add(&busy, 1);
    else if (e)
        atomic_fetch_add(&other, 1);
    atomic_fetch_add(&landed, 1);
}

static void
until(atomic_int *what, int value)
{
    int64_t end = life_monotonic_ms() + 20000;

    while (atomic_load(what) < value && life_monotonic_ms() < end)
        usleep(1000);
    cr_assert_geq(atomic_load(what), value);
}

Test(rpc, a_full_queue_says_so_at_once)
{
    GetRequest request = MODELBUS__BUS__V1__GET_DEAD_LETTER_REQUEST__INIT;
    uint8_t body[64];

    cr_expect(rpc_server_stop(server, life_monotonic_ms() + 1000));
    serve(1, 2);
    request.id = (char *)"hold";
    size_t len = modelbus__bus__v1__get_dead_letter_request__pack(&request, body);
    rpc_call_async(client, "GetDeadLetter", &editor, NULL, 20000, body, len, count, NULL);
    until(&entered, 1);
    for (int i = 0; i < 8; i++)
        rpc_call_async(client, "GetDeadLetter", &editor, NULL, 20000, body, len, count, NULL);
    until(&busy, 6); /* one runs, two wait */
    atomic_store(&let_go, true);
    until(&landed, 9);
    cr_assert_eq(busy, 6);
    cr_assert_eq(other, 0);
}

static void
ask_later(const char *id)
{
    GetRequest request = MODELBUS__BUS__V1__GET_DEAD_LETTER_REQUEST__INIT;
    uint8_t body[64];

    request.id = (char *)id;
    size_t len = modelbus__bus__v1__get_dead_letter_request__pack(&request, body);
    rpc_call_async(client, "GetDeadLetter", &editor, NULL, 20000, body, len, count, NULL);
}

Test(rpc, what_waits_is_run_again_when_woken)
{
    const char *answer;

    cr_expect(rpc_server_stop(server, life_monotonic_ms() + 1000));
    serve(1, 0);
    ask_later("wait:a");
    ask_later("wait:b");
    until(&entered, 2);
    cr_assert_eq(ask(&editor, "x", &answer), ERR_OK, "the one worker is free: %s", err.message);
    rpc_server_wake(server, "wait:a");
    until(&entered, 3); /* it still has nothing to tell, and waits again */
    cr_expect_eq(atomic_load(&landed), 0);
    atomic_store(&let_go, true);
    rpc_server_wake(server, "wait:a");
    until(&landed, 1);
    cr_expect_eq(atomic_load(&entered), 4, "the other one was not woken");
    rpc_server_wake(server, "");
    until(&landed, 2);
    cr_expect_eq(atomic_load(&busy) + atomic_load(&other), 0);
}

Test(rpc, a_wait_ends_by_its_time_and_with_the_server)
{
    int64_t began = life_monotonic_ms();
    const char *answer = "";

    cr_assert_eq(ask(&editor, "wait", &answer), ERR_OK, "%s", err.message);
    cr_expect_str_eq(answer, "blue user:ann wait");
    int64_t took = life_monotonic_ms() - began;
    cr_expect(took >= 1400, "%d ms", (int)took);
    ask_later("wait");
    until(&entered, 3);
    cr_expect(rpc_server_stop(server, life_monotonic_ms() + 5000));
    until(&landed, 1);
    serve(1, 0);
}

Test(rpc, long_calls_of_a_client_that_stops_are_cut)
{
    const char *answer;

    ask_later("wait:a");
    ask_later("wait:b");
    until(&entered, 2);
    rpc_client_cut(client, life_monotonic_ms() + 60000);
    cr_expect_eq(atomic_load(&landed), 0, "these have less time left");
    rpc_client_cut(client, life_monotonic_ms() + 5000);
    cr_expect_eq(atomic_load(&busy), 2);
    cr_assert_eq(ask(&editor, "x", &answer), ERR_OK, "%s", err.message);
}

Test(rpc, too_many_that_wait_are_answered)
{
    cr_expect(rpc_server_stop(server, life_monotonic_ms() + 1000));
    serve(1, 4);
    ask_later("wait");
    ask_later("wait");
    until(&entered, 2);
    ask_later("wait");
    until(&landed, 1);
    cr_expect_eq(atomic_load(&entered), 3);
}

Test(rpc, reconnects_to_a_server_that_came_back)
{
    const char *answer;
    int64_t began = life_monotonic_ms();

    cr_assert_eq(ask(&editor, "x", &answer), ERR_OK);
    cr_expect(rpc_server_stop(server, life_monotonic_ms() + 1000));
    cr_assert_eq(ask(&editor, "x", &answer), ERR_UNAVAILABLE);
    cr_assert_lt(life_monotonic_ms() - began, 2000);
    serve(4, 0);
    enum err_code code = ERR_UNAVAILABLE;
    for (int64_t end = life_monotonic_ms() + 10000; code && life_monotonic_ms() < end;)
        code = ask(&editor, "x", &answer);
    cr_assert_eq(code, ERR_OK, "%s", err.message);
}

/* A port scanner or a health check: connects, and is gone before the handshake. */
Test(rpc, takes_new_connections_after_peers_that_hung_up)
{
    struct rpc_client_options options = {.url = url, .key = key, .key_len = sizeof(key)};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *answer;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", url + strlen("ipc://"));
    for (int i = 0; i < 200; i++) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        close(fd);
    }
    rpc_client_free(client);
    cr_assert_eq(rpc_client_open(&client, &options, &err), ERR_OK, "%s", err.message);
    enum err_code code = ERR_UNAVAILABLE;
    for (int64_t end = life_monotonic_ms() + 30000; code && life_monotonic_ms() < end;)
        code = ask(&editor, "x", &answer);
    cr_assert_eq(code, ERR_OK, "%s", err.message);
}

Test(rpc, tampered_and_expired_frames_are_refused)
{
    struct rpc_call call;
    const uint8_t *body;
    size_t body_len;

    cr_assert_neq(
        rpc_frame_decode("garbage", 7, key, sizeof(key), 0, arena, &call, &body, &body_len, &err),
        ERR_OK);
    cr_assert_eq(rpc_frame_decode("", 0, key, sizeof(key), 0, arena, &call, &body, &body_len, &err),
                 ERR_INVALID);
}
