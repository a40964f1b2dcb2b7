/* SPDX-License-Identifier: Apache-2.0 */
/* api.c - the gateway's REST as the commands use it. */
#include "api.h"

#include "output.h"
#include "settings.h"

#include "crypto/crypto.h"
#include "http/http.h"
#include "life/life.h"
#include "trace/trace.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define UPLOAD_TIMEOUT_MS 600000
#define PAGE_SIZE 500
#define AGAIN_MS 200

char *
api_encode(const char *text)
{
    struct buf out = {0};

    buf_reserve(&out, 1);
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
            strchr("-_.~", *p))
            buf_char(&out, (char)*p);
        else
            buf_printf(&out, "%%%02X", *p);
    }
    return out.len ? buf_take(&out) : (buf_done(&out), mem_strdup(""));
}

/* The error that an answer of another status than 2xx names. */
static enum err_code
problem(const struct http_client_response *response, struct err *err)
{
    json_t *document =
        response->body.len ? json_loadb(response->body.data, response->body.len, 0, NULL) : NULL;
    const char *name = json_text_at(document, "code");
    const char *detail = json_text_at(document, "detail");
    enum err_code code = err_from_http_status(response->status);

    if (*name && err_from_name(name) != ERR_OK)
        code = err_from_name(name);
    if (!*detail)
        detail = json_text_at(document, "title");
    /* Inference speaks V2's error form. */
    if (!*detail)
        detail = json_text_at(document, "error");
    err_set(err, code, "%s", *detail ? detail : "");
    if (!*detail)
        err_set(err, code, "the answer was HTTP status %d without an explanation",
                response->status);
    json_decref(document);
    return code;
}

static enum err_code
fetch(struct cli *cli, struct http_client_request *request, bool with_body, const char *type,
      json_t **answer, struct err *err)
{
    const char *headers[6] = {"Accept: application/json"};
    CLEANUP(mem_free) char *authorization = NULL;
    CLEANUP(mem_free) char *token = NULL;
    CLEANUP(mem_free) char *content_type = mem_printf("Content-Type: %s", type);
    CLEANUP(mem_free) char *key = NULL;
    char traceparent[sizeof("traceparent: ") + TRACE_PARENT_LEN] = "traceparent: ";
    struct http_client_response response = {0};
    char id[37];
    size_t count = 1;

    if (setting(cli, "token", "MODELBUS_TOKEN")) {
        if (setting_secret(cli, "token", "MODELBUS_TOKEN", &token, err))
            return err->code;
        authorization = mem_printf("Authorization: Bearer %s", token);
        headers[count++] = authorization;
    }
    if (with_body)
        headers[count++] = content_type;
    if (strcmp(request->verb, "GET") != 0) {
        crypto_uuid7(id);
        key = mem_printf("Idempotency-Key: %s", id);
        headers[count++] = key;
    }
    if (trace_current()) {
        trace_format(trace_current(), traceparent + strlen(traceparent));
        headers[count++] = traceparent;
    }
    request->headers = headers;
    enum err_code code = http_fetch(request, &response, err);
    if (code)
        return err_wrap(err, "%s", request->url);
    if (response.status < 200 || response.status > 299) {
        code = problem(&response, err);
    } else if (answer) {
        json_error_t where;
        *answer = response.body.len
                      ? json_loadb(response.body.data, response.body.len, JSON_ALLOW_NUL, &where)
                      : json_object();
        if (!*answer)
            code = err_set(err, ERR_INTERNAL, "%s answered what is not JSON: %s", request->url,
                           where.text);
    }
    http_client_response_done(&response);
    return code;
}

PRINTF_LIKE(4, 0)
static enum err_code
gateway_url(struct cli *cli, char **url, struct err *err, const char *path, va_list args)
{
    const char *gateway;
    char *tail = NULL;

    if (setting_need(cli, "gateway", "MODELBUS_GATEWAY_URL", &gateway, err))
        return err->code;
    if (vasprintf(&tail, path, args) < 0)
        return err_set(err, ERR_INTERNAL, "out of memory");
    size_t len = strlen(gateway);
    *url =
        mem_printf("%.*s/api/v1/%s", (int)(len - (len && gateway[len - 1] == '/')), gateway, tail);
    free(tail);
    return ERR_OK;
}

PRINTF_LIKE(6, 0)
static enum err_code
call(struct cli *cli, const char *verb, const json_t *body, json_t **answer, struct err *err,
     const char *path, va_list args)
{
    CLEANUP(mem_free) char *url = NULL;
    CLEANUP(mem_free) char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    struct http_client_request request = {.verb = verb};

    if (gateway_url(cli, &url, err, path, args))
        return err->code;
    request.url = url;
    request.body = text;
    request.body_len = text ? strlen(text) : 0;
    return fetch(cli, &request, text, "application/json", answer, err);
}

enum err_code
api_call(struct cli *cli, const char *verb, const json_t *body, json_t **answer, struct err *err,
         const char *path, ...)
{
    va_list args;

    va_start(args, path);
    enum err_code code = call(cli, verb, body, answer, err, path, args);
    va_end(args);
    return code;
}

enum err_code
api_poll(struct cli *cli, int64_t end_ms, json_t **answer, struct err *err, const char *path, ...)
{
    for (;;) {
        va_list args;

        va_start(args, path);
        enum err_code code = call(cli, "GET", NULL, answer, err, path, args);
        va_end(args);
        if (code != ERR_UNAVAILABLE || life_monotonic_ms() >= end_ms)
            return code;
        nanosleep(&(struct timespec){.tv_nsec = AGAIN_MS * 1000000L}, NULL);
    }
}

enum err_code
api_list(struct cli *cli, const char *list, size_t limit, json_t **items, struct err *err,
         const char *path, ...)
{
    CLEANUP(mem_free) char *base = NULL;
    CLEANUP(mem_free) char *token = mem_strdup("");
    json_t *all = json_array();
    va_list args;

    va_start(args, path);
    int n = vasprintf(&base, path, args);
    va_end(args);
    if (n < 0)
        base = mem_strdup("");
    do {
        CLEANUP(mem_free) char *encoded = api_encode(token);
        json_t *answer = NULL;
        size_t size = limit && limit < PAGE_SIZE ? limit : PAGE_SIZE;
        if (api_call(cli, "GET", NULL, &answer, err, "%s%cpage_size=%zu%s%s", base,
                     strchr(base, '?') ? '&' : '?', size, *token ? "&page_token=" : "", encoded)) {
            json_decref(all);
            return err->code;
        }
        json_t *page = json_object_get(answer, list);
        if (page)
            json_array_extend(all, page);
        free(token);
        token = mem_strdup(json_text_at(answer, "next_page_token"));
        json_decref(answer);
    } while (*token && (!limit || json_array_size(all) < limit));
    *items = all;
    return ERR_OK;
}

enum err_code
api_upload(struct cli *cli, const char *path, char **uri, int64_t *bytes, struct err *err)
{
    CLEANUP(mem_free) char *url = NULL;
    struct http_client_request request = {
        .verb = "POST", .upload_file = path, .timeout_ms = UPLOAD_TIMEOUT_MS};
    json_t *answer = NULL;
    const char *gateway;

    if (setting_need(cli, "gateway", "MODELBUS_GATEWAY_URL", &gateway, err))
        return err->code;
    url = mem_printf("%s/api/v1/artifacts", gateway);
    request.url = url;
    if (fetch(cli, &request, true, "application/octet-stream", &answer, err))
        return err_wrap(err, "upload %s", path);
    *uri = mem_strdup(json_text_at(answer, "uri"));
    *bytes = json_int_at(answer, "size_bytes");
    json_decref(answer);
    return ERR_OK;
}

enum err_code
api_download(struct cli *cli, const char *uri, const char *path, struct err *err)
{
    CLEANUP(mem_free) char *url = NULL;
    CLEANUP(mem_free) char *encoded = api_encode(uri);
    struct http_client_request request = {
        .verb = "GET", .download_file = path, .timeout_ms = UPLOAD_TIMEOUT_MS};
    const char *gateway;

    if (setting_need(cli, "gateway", "MODELBUS_GATEWAY_URL", &gateway, err))
        return err->code;
    url = mem_printf("%s/api/v1/artifacts/%s", gateway, encoded);
    request.url = url;
    return fetch(cli, &request, false, "", NULL, err);
}

enum err_code
api_post_text(struct cli *cli, const char *url, const char *body, size_t len, json_t **answer,
              struct err *err)
{
    struct http_client_request request = {
        .verb = "POST", .url = url, .body = body, .body_len = len};

    return fetch(cli, &request, true, "application/json", answer, err);
}
