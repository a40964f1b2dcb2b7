/* SPDX-License-Identifier: Apache-2.0 */
/* artifacts.c - own answers: artifacts streamed up and down, events, what the gateway says of itself. */
#include "parts.h"

#include <stdio.h>
#include <string.h>

static enum err_code
open_upload(struct exchange *x, struct err *err)
{
    const struct gateway *gateway = x->gateway;

    if (!gateway->artifacts)
        return err_set(err, ERR_UNSUPPORTED, "this gateway has no artifact store (ARTIFACT_URL)");
    if (x->upload)
        return ERR_OK;
    return artifact_create(gateway->artifacts, (uint64_t)gateway->settings->artifact_max_bytes,
                           &x->upload, err);
}

enum err_code
artifact_data(void *arg, struct http_request *r, const void *data, size_t len, struct err *err)
{
    struct exchange *x = http_state(r);

    (void)arg;
    if (open_upload(x, err))
        return err->code;
    return artifact_write(x->upload, data, len, err);
}

void
artifact_end(void *arg, struct http_request *r)
{
    struct exchange *x = http_state(r);
    char uri[ARTIFACT_URI_LEN + 1], body[160];
    uint64_t bytes;
    struct err err;

    (void)arg;
    if (open_upload(x, &err) || artifact_finish(TAKE_PTR(x->upload), NULL, uri, &bytes, &err)) {
        http_reply_error(r, &err);
        return;
    }
    int len = snprintf(body, sizeof(body), "{\"uri\":\"%s\",\"size_bytes\":%llu}", uri,
                       (unsigned long long)bytes);
    http_reply(r, 201, "application/json", body, (size_t)len);
}

void
artifact_get(void *arg, struct http_request *r)
{
    struct gateway *gateway = arg;
    const char *uri = http_param(r, "uri");
    char etag[ARTIFACT_URI_LEN + 3];
    uint64_t bytes;
    struct err err;
    int fd;

    if (!gateway->artifacts)
        err_set(&err, ERR_UNSUPPORTED, "this gateway has no artifact store (ARTIFACT_URL)");
    if (!gateway->artifacts || artifact_open(gateway->artifacts, uri, &fd, &bytes, &err)) {
        http_reply_error(r, &err);
        return;
    }
    snprintf(etag, sizeof(etag), "\"%s\"", uri);
    http_reply_header(r, "ETag", etag);
    http_reply_file(r, 200, "application/octet-stream", fd, bytes);
}

void
whoami(void *arg, struct http_request *r)
{
    const struct exchange *x = http_state(r);
    struct buf body = {0};
    char roles[64];

    (void)arg;
    auth_roles_format(x->caller.roles, roles);
    buf_str(&body, "{\"subject\":");
    buf_json_str(&body, x->caller.subject, strlen(x->caller.subject));
    buf_printf(&body, ",\"workspace\":\"%s\",\"roles\":[", x->caller.workspace);
    for (const char *p = roles; *p; p += strcspn(p, ","), p += *p == ',') {
        buf_str(&body, p == roles ? "" : ",");
        buf_json_str(&body, p, strcspn(p, ","));
    }
    buf_str(&body, "],\"scopes\":");
    buf_json_str(&body, x->caller.scopes, strlen(x->caller.scopes));
    buf_char(&body, '}');
    http_reply_take(r, 200, "application/json", &body);
}

void
version(void *arg, struct http_request *r)
{
    static const char body[] = "{\"version\":\"" MODELBUS_VERSION "\"}";

    (void)arg;
    http_reply(r, 200, "application/json", body, sizeof(body) - 1);
}

void
openapi(void *arg, struct http_request *r)
{
    const struct gateway *gateway = arg;

    http_reply(r, 200, "application/json", gateway->openapi.data, gateway->openapi.len);
}

void
event_stream(void *arg, struct http_request *r)
{
    const struct gateway *gateway = arg;
    const struct exchange *x = http_state(r);
    struct err err;

    if (streams_listen(gateway->streams, r, &x->caller, &err))
        http_reply_error(r, &err);
}
