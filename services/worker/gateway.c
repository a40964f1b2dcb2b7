/* SPDX-License-Identifier: Apache-2.0 */
/* gateway.c - requests as JSON, answers as messages. */
#include "gateway.h"

#include "http/http.h"
#include "pbjson/pbjson.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CALL_MS 30000
/* Beyond what a poll waits for. */
#define POLL_MARGIN_MS 10000
/* Of a transfer whose size is known: a minute, and a megabyte a second. */
#define UPLOAD_MS 60000
#define UPLOAD_BYTES_PER_MS 1000
#define DOWNLOAD_MS 3600000
#define DOWNLOAD_MAX (1ull << 40)

struct gateway {
    char *url;
    char *authorization; /* NULL: none */
    char *worker;
};

/* http_client_request.cancelled has no argument. */
static _Thread_local const _Atomic bool *given_up;

static bool
is_given_up(void)
{
    return given_up && atomic_load(given_up);
}

enum err_code
gateway_open(struct gateway **gateway, const char *url, const char *token, const char *worker,
             struct err *err)
{
    size_t len = strlen(url);

    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return err_set(err, ERR_INVALID, "the gateway's URL must start with http:// or https://");
    struct gateway *g = mem_zalloc(sizeof(*g));
    g->url = mem_strndup(url, url[len - 1] == '/' ? len - 1 : len);
    if (token && *token)
        g->authorization = mem_printf("Authorization: Bearer %s", token);
    g->worker = mem_strdup(worker);
    *gateway = g;
    return ERR_OK;
}

void
gateway_free(struct gateway *gateway)
{
    if (!gateway)
        return;
    if (gateway->authorization)
        explicit_bzero(gateway->authorization, strlen(gateway->authorization));
    free(gateway->authorization);
    free(gateway->url);
    free(gateway->worker);
    free(gateway);
}

bool
gateway_retriable(enum err_code code)
{
    return err_retriable(code) || code == ERR_INTERNAL || code == ERR_UNAUTHENTICATED ||
           code == ERR_FORBIDDEN;
}

/* The problem document's detail (RFC 9457), else the status. */
static enum err_code
refused(const struct http_client_response *response, struct err *err)
{
    enum err_code code = err_from_http_status(response->status);
    json_t *problem =
        json_loadb(response->body.data ? response->body.data : "", response->body.len, 0, NULL);
    const char *detail = json_string_value(json_object_get(problem, "detail"));

    err_set(err, code == ERR_OK ? ERR_UNAVAILABLE : code, "the gateway answered %d%s%s",
            response->status, detail ? ": " : "", detail ? detail : "");
    json_decref(problem);
    return err->code;
}

/* A response that is not 2xx is an error; the response is the caller's when it is ERR_OK. */
static enum err_code
fetch(struct gateway *gateway, struct http_client_request *request, const char *path,
      const char *content_type, const _Atomic bool *give_up, struct http_client_response *response,
      struct err *err)
{
    CLEANUP(mem_free) char *url = mem_printf("%s/api/v1/%s", gateway->url, path);
    const char *headers[] = {"User-Agent: modelbus-worker", content_type, gateway->authorization,
                             NULL};

    request->url = url;
    request->headers = headers;
    request->cancelled = is_given_up;
    given_up = give_up;
    enum err_code code = http_fetch(request, response, err);
    given_up = NULL;
    if (!code && (response->status < 200 || response->status > 299)) {
        code = refused(response, err);
        http_client_response_done(response);
    }
    return code;
}

static enum err_code
call(struct gateway *gateway, const char *what, const ProtobufCMessage *message, int64_t timeout_ms,
     const _Atomic bool *give_up, struct arena *arena, const ProtobufCMessageDescriptor *type,
     ProtobufCMessage **answer, struct err *err)
{
    CLEANUP(mem_free) char *path = mem_printf("workers/%s/%s", gateway->worker, what);
    CLEANUP(buf_done) struct buf body = {0};
    struct http_client_response response;

    pbjson_write(message, 0, &body);
    struct http_client_request request = {
        .verb = "POST",
        .body = body.data,
        .body_len = body.len,
        .timeout_ms = timeout_ms,
        .max_response = GATEWAY_ANSWER_MAX,
    };
    enum err_code code =
        fetch(gateway, &request, path, "Content-Type: application/json", give_up, &response, err);
    if (code)
        return code;
    /* A newer service may say more. */
    code = pbjson_read(type, response.body.data ? response.body.data : "", response.body.len,
                       PBJSON_IGNORE_UNKNOWN, arena, answer, err);
    http_client_response_done(&response);
    return code ? err_set(err, ERR_UNAVAILABLE, "the gateway's answer to %s is not one", what)
                : ERR_OK;
}

enum err_code
gateway_poll(struct gateway *gateway, const PollTasksRequest *request, const _Atomic bool *give_up,
             struct arena *arena, PollTasksResponse **response, struct err *err)
{
    return call(gateway, "poll", &request->base, request->wait_ms + POLL_MARGIN_MS, give_up, arena,
                &modelbus__pipeline__v1__poll_tasks_response__descriptor,
                (ProtobufCMessage **)response, err);
}

enum err_code
gateway_finish(struct gateway *gateway, const FinishTasksRequest *request,
               const _Atomic bool *give_up, struct arena *arena, FinishTasksResponse **response,
               struct err *err)
{
    return call(gateway, "finish", &request->base, CALL_MS, give_up, arena,
                &modelbus__pipeline__v1__finish_tasks_response__descriptor,
                (ProtobufCMessage **)response, err);
}

enum err_code
gateway_write_log(struct gateway *gateway, const char *lease, uint64_t offset, const void *data,
                  size_t len, const _Atomic bool *give_up, struct err *err)
{
    Modelbus__Pipeline__V1__WriteTaskLogRequest request =
        MODELBUS__PIPELINE__V1__WRITE_TASK_LOG_REQUEST__INIT;
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    ProtobufCMessage *answer;

    request.lease = (char *)(uintptr_t)lease;
    request.offset = offset;
    request.data = (ProtobufCBinaryData){len, (uint8_t *)(uintptr_t)data};
    return call(gateway, "log", &request.base, CALL_MS, give_up, arena,
                &modelbus__pipeline__v1__write_task_log_response__descriptor, &answer, err);
}

/* {"uri": "sha256:…"} */
static enum err_code
read_uri(const struct buf *body, char uri[ARTIFACT_URI_LEN + 1], struct err *err)
{
    json_t *answer = json_loadb(body->data ? body->data : "", body->len, 0, NULL);
    const char *text = json_string_value(json_object_get(answer, "uri"));
    enum err_code code = ERR_OK;

    if (text && artifact_uri_valid(text))
        memcpy(uri, text, ARTIFACT_URI_LEN + 1);
    else
        code = err_set(err, ERR_UNAVAILABLE, "the gateway's answer names no artifact");
    json_decref(answer);
    return code;
}

enum err_code
gateway_upload(struct gateway *gateway, const char *path, uint64_t bytes,
               const _Atomic bool *give_up, char uri[ARTIFACT_URI_LEN + 1], struct err *err)
{
    struct http_client_response response;
    struct http_client_request request = {
        .verb = "POST",
        .upload_file = path,
        .timeout_ms = UPLOAD_MS + (int64_t)(bytes / UPLOAD_BYTES_PER_MS),
    };

    if (fetch(gateway, &request, "artifacts", "Content-Type: application/octet-stream", give_up,
              &response, err))
        return err->code;
    enum err_code code = read_uri(&response.body, uri, err);
    http_client_response_done(&response);
    return code;
}

enum err_code
gateway_download(struct gateway *gateway, const char *uri, const char *path,
                 const _Atomic bool *give_up, struct err *err)
{
    CLEANUP(mem_free) char *what = mem_printf("artifacts/%s", uri);
    struct http_client_response response;
    struct http_client_request request = {
        .verb = "GET",
        .download_file = path,
        .timeout_ms = DOWNLOAD_MS,
        .max_response = DOWNLOAD_MAX,
    };

    if (fetch(gateway, &request, what, "Accept: application/octet-stream", give_up, &response, err))
        return err->code;
    http_client_response_done(&response);
    return ERR_OK;
}
