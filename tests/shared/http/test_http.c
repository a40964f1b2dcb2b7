/* SPDX-License-Identifier: Apache-2.0 */
/* The server, asked by the client: answers at once and later, bounds, refusals, stop. */
#include "http/http.h"
#include "life/life.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct http_server *server;
static char base[64];
static sem_t arrived;
static struct http_request *kept;
static uint64_t streamed;

static void
echo(void *arg, struct http_request *r)
{
    size_t len;
    const char *body = http_body(r, &len);

    (void)arg;
    http_reply_header(r, "ETag", "\"7\"");
    http_reply(r, 200, "text/plain", body, len);
}

static void
tell(void *arg, struct http_request *r)
{
    struct buf body = {0};
    const char *q = http_query(r, "q");

    (void)arg;
    buf_printf(&body, "%s|%s|%s", http_verb(r), http_param(r, "name"), q ? q : "-");
    http_reply_take(r, 200, "text/plain", &body);
}

static void *
answer_later(void *arg)
{
    http_reply(arg, 202, "text/plain", "later", 5);
    return NULL;
}

static void
later(void *arg, struct http_request *r)
{
    pthread_t thread;

    (void)arg;
    cr_assert_eq(pthread_create(&thread, NULL, answer_later, r), 0);
    pthread_detach(thread);
}

static void
keep(void *arg, struct http_request *r)
{
    (void)arg;
    kept = r;
    sem_post(&arrived);
}

static enum err_code
on_data(void *arg, struct http_request *r, const void *data, size_t len, struct err *err)
{
    (void)arg;
    (void)r;
    if (memchr(data, '!', len))
        return err_set(err, ERR_INVALID, "no exclamation marks");
    streamed += len;
    return ERR_OK;
}

static void
stream_end(void *arg, struct http_request *r)
{
    char text[32];

    (void)arg;
    snprintf(text, sizeof(text), "%llu", (unsigned long long)streamed);
    http_reply(r, 201, "text/plain", text, strlen(text));
}

static enum err_code
on_headers(void *arg, struct http_request *r, struct err *err)
{
    (void)arg;
    if (http_header(r, "X-Refuse"))
        return err_set(err, ERR_FORBIDDEN, "refused by header");
    return ERR_OK;
}

static const struct http_route routes[] = {
    {"POST", "/echo", echo, NULL, 0, NULL},
    {"GET", "/tell/{name}", tell, NULL, 0, NULL},
    {"GET", "/later", later, NULL, 0, NULL},
    {"GET", "/keep", keep, NULL, 0, NULL},
    {"POST", "/stream", stream_end, on_data, 64 << 20, NULL},
    {0},
};

static void
start(void)
{
    struct http_server_options options = {.bind = "127.0.0.1:0",
                                          .threads = 2,
                                          .max_body = 1000,
                                          .on_headers = on_headers,
                                          .routes = routes};
    struct err err = {0};

    sem_init(&arrived, 0, 0);
    cr_assert_eq(http_server_start(&server, &options, &err), ERR_OK, "%s", err.message);
    snprintf(base, sizeof(base), "http://127.0.0.1:%d", http_server_port(server));
}

static void
stop(void)
{
    cr_assert(http_server_stop(server, life_monotonic_ms() + 5000));
}

static int
fetch(const char *verb, const char *path, const char *const *headers, const void *body, size_t len,
      struct http_client_response *response)
{
    char url[256];
    struct http_client_request request = {
        .verb = verb, .url = url, .headers = headers, .body = body, .body_len = len};
    struct err err = {0};

    snprintf(url, sizeof(url), "%s%s", base, path);
    cr_assert_eq(http_fetch(&request, response, &err), ERR_OK, "%s", err.message);
    return response->status;
}

static void
expect(const char *verb, const char *path, const void *body, size_t len, int status,
       const char *text)
{
    struct http_client_response response;
    int got = fetch(verb, path, NULL, body, len, &response);

    cr_assert_eq(got, status, "%s %s: %d", verb, path, got);
    if (text)
        cr_assert(strstr(response.body.data ? response.body.data : "", text), "%s %s: %s", verb,
                  path, response.body.data);
    http_client_response_done(&response);
}

TestSuite(http, .init = start, .timeout = 30);

Test(http, echoes_a_body_and_headers, .fini = stop)
{
    struct http_client_response response;

    cr_assert_eq(fetch("POST", "/echo", NULL, "hello", 5, &response), 200);
    cr_assert_str_eq(response.body.data, "hello");
    cr_assert_str_eq(response.etag, "\"7\"");
    cr_assert_str_eq(response.content_type, "text/plain");
    http_client_response_done(&response);
}

Test(http, decodes_parameters_and_queries, .fini = stop)
{
    expect("GET", "/tell/a%2Fb?q=x%20y%2Bz", NULL, 0, 200, "GET|a/b|x y+z");
    expect("GET", "/tell/a?other=1", NULL, 0, 200, "GET|a|-");
    expect("GET", "/tell/a%00b", NULL, 0, 400, "percent-encoding");
    expect("GET", "/tell/a?q=%00", NULL, 0, 400, "percent-encoding");
}

Test(http, head_has_no_body, .fini = stop)
{
    expect("HEAD", "/tell/a", NULL, 0, 200, NULL);
}

Test(http, answers_from_another_thread, .fini = stop)
{
    for (int i = 0; i < 200; i++)
        expect("GET", "/later", NULL, 0, 202, "later");
}

Test(http, unknown_path_and_verb_are_problems, .fini = stop)
{
    expect("GET", "/nothing", NULL, 0, 404, "\"code\":\"NOT_FOUND\"");
    expect("PATCH", "/echo", "x", 1, 405, "\"status\":405");
}

Test(http, bounds_the_body, .fini = stop)
{
    CLEANUP(mem_free) char *body = mem_zalloc(3 << 20);

    memset(body, 'x', 3 << 20);
    expect("POST", "/echo", body, 1000, 200, NULL);
    expect("POST", "/echo", body, 1001, 413, "TOO_LARGE");
    expect("POST", "/echo", body, 3 << 20, 413, "TOO_LARGE");
    expect("POST", "/echo", "ok", 2, 200, "ok");
}

Test(http, streams_and_stops_at_an_error, .fini = stop)
{
    CLEANUP(mem_free) char *body = mem_zalloc(5 << 20);

    memset(body, 'x', 5 << 20);
    expect("POST", "/stream", body, 5 << 20, 201, "5242880");
    body[100] = '!';
    expect("POST", "/stream", body, 5 << 20, 400, "exclamation");
}

Test(http, refuses_on_headers, .fini = stop)
{
    static const char *const headers[] = {"X-Refuse: 1", "Expect: 100-continue", NULL};
    struct http_client_response response;

    cr_assert_eq(fetch("POST", "/echo", headers, "hello", 5, &response), 403);
    http_client_response_done(&response);
    cr_assert_eq(fetch("POST", "/echo", headers + 1, "hello", 5, &response), 200);
    http_client_response_done(&response);
}

static void *
ask_kept(void *arg)
{
    expect("GET", "/keep", NULL, 0, *(int *)arg, NULL);
    return NULL;
}

Test(http, stop_waits_for_what_is_in_flight)
{
    int status = 202;
    pthread_t client, answerer;

    pthread_create(&client, NULL, ask_kept, &status);
    sem_wait(&arrived);
    pthread_create(&answerer, NULL, answer_later, kept);
    cr_assert(http_server_stop(server, life_monotonic_ms() + 5000));
    pthread_join(answerer, NULL);
    pthread_join(client, NULL);
}

Test(http, stop_gives_up_at_the_deadline_and_a_late_answer_is_harmless)
{
    int status = 503;
    pthread_t client;

    pthread_create(&client, NULL, ask_kept, &status);
    sem_wait(&arrived);
    cr_assert(!http_server_stop(server, life_monotonic_ms() + 50));
    pthread_join(client, NULL);
    http_reply(kept, 200, NULL, "", 0);
}

Test(http, a_client_that_left_is_no_trouble, .fini = stop)
{
    char url[128];
    struct http_client_request request = {.verb = "GET", .url = url, .timeout_ms = 100};
    struct http_client_response response;
    struct err err;

    snprintf(url, sizeof(url), "%s/keep", base);
    cr_assert_eq(http_fetch(&request, &response, &err), ERR_UNAVAILABLE);
    sem_wait(&arrived);
    http_reply(kept, 200, NULL, "", 0);
    expect("POST", "/echo", "on", 2, 200, "on");
}

Test(http, refuses_other_protocols_and_bad_addresses, .fini = stop)
{
    struct http_client_request request = {.verb = "GET", .url = "file:///etc/passwd"};
    struct http_server_options options = {.bind = "nonsense", .routes = routes};
    struct http_client_response response;
    struct http_server *other;
    struct err err;

    cr_assert_eq(http_fetch(&request, &response, &err), ERR_INVALID);
    cr_assert_eq(http_server_start(&other, &options, &err), ERR_INVALID);
    char taken[32];
    snprintf(taken, sizeof(taken), "127.0.0.1:%d", http_server_port(server));
    options.bind = taken;
    cr_assert_eq(http_server_start(&other, &options, &err), ERR_UNAVAILABLE);
}

static bool
only_if(void *arg, const struct sockaddr *address)
{
    return address && *(bool *)arg;
}

Test(http, a_kept_connection_is_not_used_for_a_request_with_a_guard, .fini = stop)
{
    char url[128];
    bool allowed = true;
    struct http_client_request request = {
        .verb = "POST", .url = url, .may_connect = only_if, .may_connect_arg = &allowed};
    struct http_client_response response;
    struct err err;

    snprintf(url, sizeof(url), "%s/echo", base);
    expect("POST", "/echo", "on", 2, 200, "on"); /* leaves a connection behind */
    cr_assert_eq(http_fetch(&request, &response, &err), ERR_OK, "%s", err.message);
    http_client_response_done(&response);
    allowed = false;
    cr_assert_eq(http_fetch(&request, &response, &err), ERR_FORBIDDEN);
    expect("POST", "/echo", "on", 2, 200, "on"); /* others are not guarded */
}

static bool
at_once(void)
{
    return true;
}

Test(http, a_request_that_is_cancelled_ends_before_its_time, .fini = stop)
{
    char url[128];
    struct http_client_request request = {.verb = "GET", .url = url, .cancelled = at_once};
    struct http_client_response response;
    struct err err;

    snprintf(url, sizeof(url), "%s/keep", base);
    cr_assert_eq(http_fetch(&request, &response, &err), ERR_CANCELLED);
}
