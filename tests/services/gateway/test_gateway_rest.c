/* SPDX-License-Identifier: Apache-2.0 */
/* The REST interface over HTTP, with a stand-in for the services. */
#include "parts.h"

#include "crypto/crypto.h"
#include "life/life.h"
#include "modelbus/registry/v1/queries.pb-c.h"
#include "stand_in.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct gateway gateway;
static struct gateway_settings settings = {
    .bind = "127.0.0.1:0", .threads = 2, .max_body = 4096, .artifact_max_bytes = 1 << 20};
static Modelbus__Registry__V1__ModelVersion model_version =
    MODELBUS__REGISTRY__V1__MODEL_VERSION__INIT;
static Modelbus__Registry__V1__GetModelVersionResponse reply =
    MODELBUS__REGISTRY__V1__GET_MODEL_VERSION_RESPONSE__INIT;
static char folder[64];
static struct http_client_response response;

static void
start(void)
{
    char url[96];
    struct err err = {0};

    snprintf(folder, sizeof(folder), "/tmp/gateway-XXXXXX");
    cr_assert(mkdtemp(folder));
    snprintf(url, sizeof(url), "file://%s", folder);
    gateway.settings = &settings;
    gateway.open = true;
    cr_assert_eq(listener_compile(&gateway, rest_routes, &err), ERR_OK, "%s", err.message);
    cr_assert_eq(artifact_store_open(&gateway.artifacts, url, &err), ERR_OK, "%s", err.message);
    cr_assert_eq(listener_start(&gateway, &err), ERR_OK, "%s", err.message);
    model_version.name = (char *)"m";
    model_version.version = 3;
    model_version.revision = 7;
    reply.version = &model_version;
    stand_in.reply = &reply.base;
}

static void
stop(void)
{
    char command[128];

    http_client_response_done(&response);
    cr_assert(http_server_stop(gateway.http, life_monotonic_ms() + 5000));
    artifact_store_free(gateway.artifacts);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

static int
ask(const char *verb, const char *path, const char *body, const char *header)
{
    const char *headers[] = {"Content-Type: application/json", header, NULL};
    char url[256];
    struct http_client_request request = {
        .verb = verb, .url = url, .headers = headers, .body = body};
    struct err err = {0};

    if (header && strncmp(header, "Content-Type", 12) == 0)
        request.headers = headers + 1;
    request.body_len = body ? strlen(body) : 0;
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/api/v1/%s", http_server_port(gateway.http),
             path);
    http_client_response_done(&response);
    cr_assert_eq(http_fetch(&request, &response, &err), ERR_OK, "%s", err.message);
    return response.status;
}

static void
says(const char *text)
{
    const char *body = response.body.data ? response.body.data : "";

    cr_assert(strstr(body, text), "'%s' is not in %s", text, body);
}

TestSuite(rest, .init = start, .fini = stop, .timeout = 30);

Test(rest, path_becomes_the_request_and_the_reply_json)
{
    cr_assert_eq(ask("GET", "models/a%2Fb/versions/3", NULL, NULL), 200);
    says("\"name\":\"m\"");
    says("\"version\":3");
    cr_assert_str_eq(response.etag, "\"7\"");
    cr_assert_str_eq(stand_in.method, "GetModelVersion");
    Modelbus__Registry__V1__GetModelVersionRequest *asked =
        modelbus__registry__v1__get_model_version_request__unpack(NULL, stand_in.len,
                                                                  stand_in.body);
    cr_assert_str_eq(asked->name, "a/b");
    cr_assert_eq(asked->version, 3);
    modelbus__registry__v1__get_model_version_request__free_unpacked(asked, NULL);
}

Test(rest, a_known_etag_is_304)
{
    cr_assert_eq(ask("GET", "models/m/versions/3", NULL, "If-None-Match: \"7\""), 304);
    cr_assert_eq(ask("GET", "models/m/versions/3", NULL, "If-None-Match: \"6\""), 200);
}

Test(rest, if_match_fills_the_field_and_a_conflict_is_412)
{
    cr_assert_eq(ask("PATCH", "models/m/versions/3", "{}", "If-Match: \"9\""), 200);
    Modelbus__Registry__V1__UpdateModelVersionRequest *asked =
        modelbus__registry__v1__update_model_version_request__unpack(NULL, stand_in.len,
                                                                     stand_in.body);
    cr_assert_eq(asked->expected_revision, 9);
    modelbus__registry__v1__update_model_version_request__free_unpacked(asked, NULL);
    stand_in.code = ERR_CONFLICT;
    cr_assert_eq(ask("PATCH", "models/m/versions/3", "{}", "If-Match: \"9\""), 412);
    says("\"code\":\"CONFLICT\"");
    cr_assert_eq(ask("PATCH", "models/m/versions/3", "{}", NULL), 409);
    cr_assert_eq(ask("PATCH", "models/m/versions/3", "{}", "If-Match: banana"), 400);
}

Test(rest, errors_are_problems)
{
    stand_in.code = ERR_UNAVAILABLE;
    cr_assert_eq(ask("GET", "models/m", NULL, NULL), 503);
    says("registry");
    cr_assert_str_eq(response.content_type, "application/problem+json");
    cr_assert_eq(ask("GET", "nothing", NULL, NULL), 404);
    cr_assert_eq(ask("PATCH", "models", "{}", NULL), 405);
    stand_in.calls = 0;
    cr_assert_eq(ask("POST", "models", "{", NULL), 400);
    cr_assert_eq(ask("POST", "models", "{\"nmae\":\"x\"}", NULL), 400);
    cr_assert_eq(ask("GET", "models?unknown=1", NULL, NULL), 400);
    says("unknown");
    cr_assert_eq(ask("GET", "models?page_size=banana", NULL, NULL), 400);
    cr_assert_eq(ask("GET", "models/m/versions/99999999999999999999", NULL, NULL), 400);
    cr_assert_eq(ask("GET", "models/m/versions/0", NULL, NULL), 400); /* not the latest */
    cr_assert_eq(ask("GET", "dead-letters?service=nobody", NULL, NULL), 404);
    cr_assert_eq(stand_in.calls, 0, "nothing malformed reaches a service");
}

Test(rest, bodies_must_be_json)
{
    cr_assert_eq(ask("POST", "models", "name=x", "Content-Type: text/plain"), 415);
}

Test(rest, an_idempotency_key_gives_the_same_request_id)
{
    char first[RPC_REQUEST_ID_MAX + 1];

    stand_in.reply = NULL; /* an empty answer decodes as any type */
    cr_assert_eq(ask("POST", "models", "{}", "Idempotency-Key: k1"), 201);
    memcpy(first, stand_in.request_id, sizeof(first));
    cr_assert_eq(ask("POST", "models", "{}", "Idempotency-Key: k1"), 201);
    cr_assert_str_eq(first, stand_in.request_id);
    cr_assert_eq(ask("POST", "models", "{}", "Idempotency-Key: k2"), 201);
    cr_assert_str_neq(first, stand_in.request_id);
}

Test(rest, a_callers_trace_goes_on)
{
    stand_in.reply = NULL;
    cr_assert_eq(ask("POST", "models", "{}",
                     "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
                 201);
    cr_assert_str_eq(stand_in.trace.trace_id, "0af7651916cd43dd8448eb211c80319c");
    cr_assert_eq(ask("POST", "models", "{}", "traceparent: nonsense"), 201);
    cr_assert_str_empty(stand_in.trace.trace_id);
    cr_assert_eq(ask("POST", "models", "{}", NULL), 201);
    cr_assert_str_empty(stand_in.trace.trace_id, "that of the last request is forgotten");
}

Test(rest, dead_letters_of_all_services_are_asked_in_turn)
{
    stand_in.reply = NULL;
    stand_in.calls = 0;
    cr_assert_eq(ask("GET", "dead-letters", NULL, NULL), 200);
    cr_assert_eq(stand_in.calls, PEER_COUNT - 1);
    cr_assert_eq(ask("GET", "dead-letters?service=registry&page_size=5", NULL, NULL), 200);
    cr_assert_eq(stand_in.calls, PEER_COUNT);
}

Test(rest, workspace_is_the_callers)
{
    stand_in.reply = NULL;
    cr_assert_eq(ask("GET", "models", NULL, NULL), 200);
    cr_assert_str_eq(stand_in.caller.workspace, "default");
    cr_assert_eq(ask("GET", "models", NULL, "X-Modelbus-Workspace: other"), 200);
    cr_assert_str_eq(stand_in.caller.workspace, "other");
    cr_assert_eq(ask("GET", "models", NULL, "X-Modelbus-Workspace: No!"), 400);
}

Test(rest, artifacts_go_up_and_come_down)
{
    cr_assert_eq(ask("POST", "artifacts", "hello", NULL), 201);
    says("\"size_bytes\":5");
    cr_assert_eq(
        ask("GET",
            "artifacts/sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
            NULL, NULL),
        200);
    says("hello");
    cr_assert_eq(ask("GET", "artifacts/sha256:zz", NULL, NULL), 400);
    cr_assert_eq(ask("GET", "artifacts/..%2f..%2fetc%2fpasswd", NULL, NULL), 400);
}

Test(rest, only_known_tokens_pass_when_tokens_are_asked_for)
{
    gateway.open = false;
    fixed_token_set(gateway.fixed, FIXED_ADMIN, "secret");
    fixed_token_set(gateway.fixed, FIXED_WORKER, "of workers");
    fixed_token_set(gateway.fixed, FIXED_TASK, NULL);
    cr_assert_eq(ask("GET", "whoami", NULL, NULL), 401);
    cr_assert_eq(ask("GET", "whoami", NULL, "Authorization: Bearer wrong"), 401);
    cr_assert_eq(ask("GET", "whoami", NULL, "Authorization: Bearer secret"), 200);
    says("\"subject\":\"token:admin\"");
    cr_assert_eq(ask("GET", "artifacts/sha256:zz", NULL, "Authorization: Bearer of workers"), 400);
    cr_assert_eq(ask("GET", "models", NULL, "Authorization: Bearer of workers"), 403);
    cr_assert_eq(ask("GET", "whoami", NULL, "Authorization: Bearer "), 401);
}

Test(routes, without_a_scope_nothing_starts)
{
    const struct rest_route rows[] = {{.verb = "GET", .path = "/x", .handler = whoami},
                                      {.verb = NULL}};
    struct gateway other = {.settings = &settings};
    struct err err;

    cr_assert_eq(listener_compile(&other, rows, &err), ERR_INVALID);
    cr_assert(strstr(err.message, "scope"));
    free(other.targets);
    free(other.routes);
}

Test(decisions, loopback)
{
    cr_assert(gateway_bind_is_loopback("127.0.0.1:80"));
    cr_assert(gateway_bind_is_loopback("[::1]:80"));
    cr_assert(!gateway_bind_is_loopback("0.0.0.0:80"));
    cr_assert(!gateway_bind_is_loopback("[::]:80"));
}
