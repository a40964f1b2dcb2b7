/* SPDX-License-Identifier: Apache-2.0 */
/*
 * proxy.c - one REST request as one call of a service, without waiting on a thread.
 *
 * The request is built and sent on the HTTP worker; the reply becomes JSON on the rpc
 * client's thread, straight from protobuf, and is handed to the worker.
 */
#include "parts.h"

#include "crypto/crypto.h"
#include "life/life.h"
#include "modelbus/bus/v1/queries.pb-c.h"
#include "pbjson/pbjson.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void call_peer(struct exchange *x);

static ProtobufCMessage *
empty(const ProtobufCMessageDescriptor *type, struct arena *arena)
{
    ProtobufCMessage *message = arena_alloc(arena, type->sizeof_message);

    protobuf_c_message_init(type, message);
    return message;
}

static enum err_code
read_body(struct exchange *x, struct err *err)
{
    struct arena *arena = http_arena(x->http);
    const ProtobufCMessageDescriptor *type = x->target->method->input;
    size_t len;
    const char *body = http_body(x->http, &len);

    if (len == 0) {
        x->request = empty(type, arena);
        return ERR_OK;
    }
    return pbjson_read(type, body, len, 0, arena, &x->request, err);
}

/* What a path names is there: 0 would be "not given" for a service, and another question. */
static enum err_code
check_given(const ProtobufCMessage *request, const char *name, struct err *err)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(request->descriptor, name);
    const void *member = (const char *)request + field->offset;

    if (field->type == PROTOBUF_C_TYPE_INT64 && *(const int64_t *)member == 0)
        return err_set(err, ERR_INVALID, "%s: 0 in a path", name);
    return ERR_OK;
}

static enum err_code
read_params(struct exchange *x, struct err *err)
{
    struct arena *arena = http_arena(x->http);

    for (const char *p = strchr(x->target->route->path, '{'); p; p = strchr(p + 1, '{')) {
        char name[64];
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(p + 1, "*}"), p + 1);
        const char *value = http_param(x->http, name);
        if (x->target->route->bus && strcmp(name, "service") == 0)
            continue;
        if (pbjson_set(x->request, name, value, arena, err) || check_given(x->request, name, err))
            return err->code;
    }
    return ERR_OK;
}

/* The page field of the request, made when it is not there. */
static ProtobufCMessage *
page_of(struct exchange *x)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(x->request->descriptor, "page");
    ProtobufCMessage **page = (ProtobufCMessage **)((char *)x->request + field->offset);

    if (!*page)
        *page = empty(field->descriptor, http_arena(x->http));
    return *page;
}

struct query_reader {
    struct exchange *x;
    struct err *err;
    enum err_code code;
};

/* Dead letters of all services: the token names the service that the page comes from. */
static const char *
split_peer(struct exchange *x, const char *token)
{
    char name[32];
    size_t len = strcspn(token, ".");

    snprintf(name, sizeof(name), "%.*s", (int)len, token);
    enum peer peer = token[len] ? peer_find(name) : PEER_NONE;
    if (!peer)
        return token; /* the service refuses it */
    x->peer = peer;
    return token + len + 1;
}

static void
read_query(void *arg, const char *name, const char *value)
{
    struct query_reader *reader = arg;
    struct exchange *x = reader->x;
    ProtobufCMessage *into = x->request;

    if (reader->code || (x->target->route->bus && strcmp(name, "service") == 0))
        return;
    if (strncmp(name, "page_", 5) == 0) {
        into = page_of(x);
        if (strcmp(name, "page_token") == 0 && x->last_peer != x->peer)
            value = split_peer(x, value);
    }
    reader->code = pbjson_set(into, name, value, http_arena(x->http), reader->err);
}

static enum err_code
choose_peer(struct exchange *x, struct err *err)
{
    const struct rest_route *route = x->target->route;
    const char *name;

    x->peer = x->last_peer = route->peer;
    if (!route->bus)
        return ERR_OK;
    name = http_param(x->http, "service");
    if (!name)
        name = http_query(x->http, "service");
    if (!name || !*name) {
        x->peer = PEER_NONE + 1;
        x->last_peer = PEER_COUNT - 1;
        return ERR_OK;
    }
    x->peer = x->last_peer = peer_find(name);
    return x->peer ? ERR_OK : err_set(err, ERR_NOT_FOUND, "there is no service '%.64s'", name);
}

static enum err_code
read_preconditions(struct exchange *x, struct err *err)
{
    const struct rest_route *route = x->target->route;
    const char *if_match = http_header(x->http, "If-Match");
    const char *if_none_match = http_header(x->http, "If-None-Match");
    char digits[24];
    int64_t revision;

    if (if_none_match && strcmp(route->verb, "GET") == 0)
        x->if_none_match = arena_strdup(http_arena(x->http), if_none_match);
    if (!if_match)
        return ERR_OK;
    if (!route->match)
        return err_set(err, ERR_INVALID, "If-Match is not possible here");
    if (gateway_if_match(if_match, &revision, err))
        return err->code;
    x->if_match = true;
    snprintf(digits, sizeof(digits), "%lld", (long long)revision);
    return pbjson_set(x->request, route->match, digits, http_arena(x->http), err);
}

/* A long poll would be cut at once. */
static enum err_code
check_stopping(const struct exchange *x, struct err *err)
{
    if (x->target->route->deadline_ms && life_stopping())
        return err_set(err, ERR_UNAVAILABLE, "the gateway is stopping");
    return ERR_OK;
}

static enum err_code
read_request_id(struct exchange *x, struct err *err)
{
    const char *key = http_header(x->http, "Idempotency-Key");

    if (key && strcmp(x->target->route->verb, "GET") != 0) {
        if (gateway_request_id(&x->caller, x->target->method->name, key, x->request_id, err))
            return err->code;
    } else {
        crypto_uuid7(x->request_id);
    }
    http_reply_header(x->http, "X-Request-Id", x->request_id);
    return ERR_OK;
}

void
proxy(void *arg, struct http_request *r)
{
    struct exchange *x = http_state(r);
    struct query_reader reader = {.x = x};
    struct err err;

    (void)arg;
    reader.err = &err;
    trace_parse(http_header(r, "traceparent"), &x->trace);
    if (check_stopping(x, &err) || read_request_id(x, &err) || choose_peer(x, &err) ||
        read_body(x, &err) || read_params(x, &err) || read_preconditions(x, &err)) {
        http_reply_error(r, &err);
        return;
    }
    http_query_each(r, read_query, &reader);
    if (reader.code) {
        http_reply_error(r, &err);
        return;
    }
    call_peer(x);
}

static void
fail(struct exchange *x, const struct err *cause)
{
    struct err err = *cause;

    if (err.code == ERR_CONFLICT && x->if_match)
        http_error_status(x->http, 412);
    if (err.code == ERR_UNAVAILABLE && x->peer != PEER_NONE)
        err_wrap(&err, "%s", peer_name(x->peer));
    http_reply_error(x->http, &err);
}

static void
answer(struct exchange *x, const ProtobufCMessage *reply)
{
    const struct rest_route *route = x->target->route;
    struct buf body = {0};
    char etag[32];

    if (route->etag && gateway_etag(reply, route->etag, etag)) {
        http_reply_header(x->http, "ETag", etag);
        if (x->if_none_match && gateway_if_none_match(x->if_none_match, etag)) {
            http_reply(x->http, 304, NULL, "", 0);
            return;
        }
    }
    buf_reserve(&body, 512);
    pbjson_write(reply, PBJSON_DEFAULTS, &body);
    http_reply_take(x->http, route->status ? route->status : 200, "application/json", &body);
}

/* An empty page of one service is followed by the next service's first. True: asked. */
static bool
next_peer(struct exchange *x, Modelbus__Bus__V1__ListDeadLettersResponse *reply)
{
    struct arena *arena = http_arena(x->http);
    bool more = reply->next_page_token[0] != '\0';

    if (!more && x->peer == x->last_peer)
        return false;
    if (!more && reply->n_letters == 0) {
        Modelbus__Bus__V1__ListDeadLettersRequest *request =
            (Modelbus__Bus__V1__ListDeadLettersRequest *)x->request;
        x->peer++;
        if (request->page)
            request->page->page_token = arena_strdup(arena, "");
        call_peer(x);
        return true;
    }
    reply->next_page_token = arena_printf(arena, "%s.%s", peer_name(more ? x->peer : x->peer + 1),
                                          reply->next_page_token);
    return false;
}

static void
on_reply(void *arg, const void *body, size_t len, const struct err *err)
{
    struct exchange *x = arg;
    const ProtobufCMessageDescriptor *type = x->target->method->output;
    const struct rest_route *route = x->target->route;

    if (err) {
        fail(x, err);
        return;
    }
    ProtobufCMessage *reply = ARENA_UNPACK(http_arena(x->http), type, len, body);
    if (!reply) {
        struct err bad;
        err_set(&bad, ERR_INTERNAL, "%s gave an answer that does not decode", peer_name(x->peer));
        fail(x, &bad);
        return;
    }
    bool all = route->bus && route->queries && !http_query(x->http, "service");
    if (all && next_peer(x, (Modelbus__Bus__V1__ListDeadLettersResponse *)reply))
        return;
    answer(x, reply);
}

static void
call_peer(struct exchange *x)
{
    size_t len = protobuf_c_message_get_packed_size(x->request);
    uint8_t *packed = arena_alloc(http_arena(x->http), len);

    protobuf_c_message_pack(x->request, packed);
    trace_set_current(*x->trace.trace_id ? &x->trace : NULL);
    rpc_call_async(x->gateway->peers[x->peer], x->target->method->name, &x->caller, x->request_id,
                   x->target->route->deadline_ms, packed, len, on_reply, x);
    trace_set_current(NULL);
}
