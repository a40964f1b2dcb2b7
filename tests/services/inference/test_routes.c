/* SPDX-License-Identifier: Apache-2.0 */
/* The pod's HTTP faces over a real socket: answers, error forms, ids, headers. */
#include "fixture.h"
#include "routes.h"

#include "life/life.h"

#include <stdlib.h>

static struct endpoints *endpoints;
static struct endpoint *endpoint;
static struct pod *pod;
static struct http_server *server;
static struct http_client_response response;

static void
start(void)
{
    struct err err = {0};
    const struct pod_options p = {
        .workers = 2, .queue = 100, .deadline_ms = 1000, .max_rows = 100, .name = "pod-1"};
    struct pod_options with = p;
    struct http_server_options o = {.bind = "127.0.0.1:0",
                                    .threads = 2,
                                    .max_body = 10000,
                                    .routes = pod_routes,
                                    .on_error = pod_error,
                                    .on_turn = pod_turn};

    with.endpoints = endpoints = endpoints_new(2);
    cr_assert_eq(endpoints_add(endpoints, "e", &endpoint, &err), ERR_OK);
    o.arg = pod = pod_new(&with);
    cr_assert_eq(http_server_start(&server, &o, &err), ERR_OK, "%s", err.message);
}

static void
finish(void)
{
    http_client_response_done(&response);
    cr_assert(http_server_stop(server, life_monotonic_ms() + 2000));
    pod_free(pod);
    endpoints_free(endpoints);
}

/* Body of the answer; the status must be as expected. */
static const char *
call(const char *verb, const char *path, const char *header, const char *body, int status)
{
    char url[256];
    const char *headers[] = {header, NULL};
    struct http_client_request request = {.verb = verb,
                                          .url = url,
                                          .headers = headers,
                                          .body = body,
                                          .body_len = body ? strlen(body) : 0};
    struct err err = {0};

    snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", http_server_port(server), path);
    http_client_response_done(&response);
    response = (struct http_client_response){0};
    cr_assert_eq(http_fetch(&request, &response, &err), ERR_OK, "%s: %s", path, err.message);
    cr_assert_eq(response.status, status, "%s: %d %s", path, response.status, response.body.data);
    return response.body.data ? response.body.data : "";
}

#define HAS(text, part) cr_assert(strstr(text, part), "'%s' lacks '%s'", text, part)
#define INPUT                                                                                      \
    "{\"id\":\"my-id\",\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP32\","         \
    "\"data\":[1,2]}]}"

TestSuite(routes, .init = start, .fini = finish, .timeout = 60);

Test(routes, predictions)
{
    endpoints_swap(endpoints, endpoint, fixture_model(3, 10));
    const char *answer = call("POST", "/v2/models/e/infer", NULL, INPUT, 200);
    HAS(answer, "\"model_version\":\"3\",\"id\":\"my-id\"");
    HAS(answer, "\"prediction_id\":\"my-id\"");
    HAS(answer, "\"shape\":[1],\"data\":[15]");
    HAS(call("POST", "/v2/models/e/versions/3/infer", NULL, INPUT, 200), "\"data\":[15]");
    answer = call("POST", "/predict", "X-Request-Id: req-7", "{\"rows\":[[1,2],[0,0]]}", 200);
    HAS(answer, "\"predictions\":[15,10],\"id\":\"req-7\"");
    answer = call("POST", "/predict/e", NULL, "{\"row\":[1,2]}", 200);
    char *id = strstr(answer, "\"id\":\"");
    cr_assert_not_null(id);
    cr_assert(id[6 + 14] == '7' && id[6 + 36] == '"', "not a UUIDv7: %s", answer);
}

Test(routes, errors_speak_the_form_of_their_face)
{
    HAS(call("POST", "/v2/models/e/infer", NULL, INPUT, 503), "{\"error\":\"endpoint 'e' has no");
    endpoints_swap(endpoints, endpoint, fixture_model(3, 10));
    HAS(call("POST", "/v2/models/none/infer", NULL, INPUT, 404), "{\"error\":\"");
    HAS(call("POST", "/v2/models/e/versions/2/infer", NULL, INPUT, 404), "serves version 3");
    HAS(call("POST", "/v2/models/e/infer", "Inference-Header-Content-Length: 10", INPUT, 400),
        "binary tensors are not supported yet; use JSON");
    HAS(call("POST", "/v2/models/e/infer", NULL, "{\"inputs\":[", 400), "{\"error\":\"");
    HAS(call("POST", "/predict/e", NULL, "{\"row\":[1]}", 400), "\"code\":\"INVALID\"");
    HAS(call("POST", "/predict/none", NULL, "{\"row\":[1]}", 404), "\"status\":404");
    HAS(call("GET", "/v2/nothing", NULL, NULL, 404), "{\"error\":\"");
    call("GET", "/predict", NULL, NULL, 405);
    /* None of these holds a place in the queue. */
    HAS(call("GET", "/metrics", NULL, NULL, 200), "modelbus_inference_queue_depth 0\n");
}

Test(routes, descriptions)
{
    endpoints_swap(endpoints, endpoint, fixture_model(3, 10));
    HAS(call("GET", "/v2", NULL, NULL, 200), "\"extensions\"");
    HAS(call("GET", "/v2/health/live", NULL, NULL, 200), "true");
    const char *model = call("GET", "/v2/models/e", NULL, NULL, 200);
    HAS(model, "\"versions\":[\"3\"]");
    HAS(model, "\"shape\":[-1,2]");
    HAS(model, "\"feature_names\":[\"a\",\"b \\\"x\\\"\"]");
    call("GET", "/v2/models/e/ready", NULL, NULL, 200);
    call("GET", "/v2/models/e/versions/9/ready", NULL, NULL, 404);
    HAS(call("POST", "/v2/repository/index", NULL, "{}", 200), "\"state\":\"READY\"");
    HAS(call("GET", "/info", NULL, NULL, 200), "\"endpoint\":\"e\",\"serving\":true");
    call("GET", "/healthz", NULL, NULL, 200);
}
