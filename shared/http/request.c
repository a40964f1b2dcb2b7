/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - a request from its first header to its handler, and what it can be asked. */
#include "http/internal.h"

#include "life/life.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

static struct http_request *
request_take(struct worker *w)
{
    struct http_request *r = w->free;

    if (r) {
        w->free = r->next;
        w->free_count--;
    } else {
        r = mem_zalloc(sizeof(*r));
        r->arena = arena_new(4096, 0);
    }
    r->worker = w;
    r->inbox = w->inbox;
    r->on_error = w->server->options.on_error;
    r->arg = w->server->options.arg;
    r->started_us = life_monotonic_us();
    w->active++;
    return r;
}

void
http_request_free(struct http_request *r)
{
    if (r->release)
        r->release(r->state);
    if (r->response)
        MHD_destroy_response(r->response);
    arena_free(r->arena);
    buf_done(&r->body);
    free(r);
}

static void
request_recycle(struct worker *w, struct http_request *r)
{
    if (w->free_count == HTTP_REQUESTS_KEPT) {
        http_request_free(r);
        return;
    }
    if (r->release)
        r->release(r->state);
    if (r->response)
        MHD_destroy_response(r->response);
    if (r->body.cap > HTTP_BODY_KEPT)
        buf_done(&r->body);
    else
        buf_clear(&r->body);
    arena_reset(r->arena);
    struct http_request kept = {.arena = r->arena, .body = r->body, .next = w->free};
    *r = kept;
    w->free = r;
    w->free_count++;
}

void
http_on_completed(void *cls, struct MHD_Connection *connection, void **state,
                  enum MHD_RequestTerminationCode code)
{
    struct worker *w = cls;
    struct http_request *r = *state;

    (void)connection;
    (void)code;
    if (!r)
        return;
    *state = NULL;
    w->active--;
    pthread_mutex_lock(&w->inbox->lock);
    bool kept = r->abandoned && !r->late; /* the handler still has it, and frees it */
    r->connection = NULL;
    pthread_mutex_unlock(&w->inbox->lock);
    if (kept)
        return;
    request_recycle(w, r);
}

struct query_reader {
    struct http_request *r;
    size_t room;
    bool bad;
};

static enum MHD_Result
read_query(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct query_reader *reader = cls;
    struct http_request *r = reader->r;
    size_t name_len = strlen(name), value_len = value ? strlen(value) : 0;
    char *decoded_name = arena_alloc(r->arena, name_len + 1);
    char *decoded_value = arena_alloc(r->arena, value_len + 1);

    (void)kind;
    if (r->query_count == reader->room || !http_percent_decode(name, name_len, decoded_name) ||
        !http_percent_decode(value ? value : "", value_len, decoded_value)) {
        reader->bad = true;
        return MHD_NO;
    }
    r->queries[r->query_count++] = (struct pair){decoded_name, decoded_value};
    return MHD_YES;
}

static enum err_code
read_queries(struct http_request *r, struct err *err)
{
    struct query_reader reader = {.r = r};
    int count = MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, NULL, NULL);

    if (count <= 0)
        return ERR_OK;
    reader.room = (size_t)count;
    r->queries = arena_alloc(r->arena, reader.room * sizeof(*r->queries));
    MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, read_query, &reader);
    return reader.bad ? err_set(err, ERR_INVALID, "the query string is not valid percent-encoding")
                      : ERR_OK;
}

static enum err_code
read_path(struct http_request *r, const char *url, struct err *err)
{
    size_t len = strlen(url);
    char *raw, *path;

    if (len > HTTP_URL_MAX)
        return err_set(err, ERR_TOO_LARGE, "the URL is longer than %u bytes", HTTP_URL_MAX);
    raw = arena_strndup(r->arena, url, len);
    path = arena_alloc(r->arena, len + 1);
    if (!http_percent_decode(raw, len, path))
        return err_set(err, ERR_INVALID, "the path is not valid percent-encoding");
    r->path = path;
    router_find(r->worker->server->router, r->verb, raw, &r->match);
    for (unsigned i = 0; i < r->match.count; i++) {
        char *text = arena_alloc(r->arena, r->match.params[i].len + 1);
        if (!http_percent_decode(r->match.params[i].text, r->match.params[i].len, text))
            return err_set(err, ERR_INVALID, "the path is not valid percent-encoding");
        r->params[i] = text;
    }
    return ERR_OK;
}

static enum err_code
find_route(struct http_request *r, struct err *err)
{
    if (r->match.route) {
        r->route = r->match.route;
        r->metrics_row = r->match.index;
        if (r->route->max_body)
            r->max_body = r->route->max_body;
        return ERR_OK;
    }
    if (!r->match.path_known)
        return err_set(err, ERR_NOT_FOUND, "there is nothing at %s", r->path);
    http_reply_header(r, "Allow", r->match.allow);
    r->status = MHD_HTTP_METHOD_NOT_ALLOWED;
    return err_set(err, ERR_INVALID, "%s is not possible here; try %s", r->verb, r->match.allow);
}

static uint64_t
content_length(const struct http_request *r)
{
    const char *text = http_header(r, "Content-Length");

    return text ? strtoull(text, NULL, 10) : 0; /* MHD has refused what is no number */
}

/* The headers are there. True: the request may go on to its body. */
static bool
admit(struct http_request *r, const char *url, struct err *err)
{
    const struct http_server_options *options = &r->worker->server->options;

    r->path = "";
    r->metrics_row = r->worker->server->route_count;
    r->max_body = options->max_body;
    if (read_path(r, url, err) || read_queries(r, err) || find_route(r, err))
        return false;
    if (options->on_headers && options->on_headers(options->arg, r, err))
        return false;
    if (content_length(r) > r->max_body) {
        err_set(err, ERR_TOO_LARGE, "the body is larger than %llu bytes",
                (unsigned long long)r->max_body);
        return false;
    }
    return true;
}

static void
refuse_later(struct http_request *r, const struct err *err)
{
    r->refused = true;
    r->refusal = *err;
}

static enum MHD_Result
begin(struct worker *w, struct MHD_Connection *connection, const char *url, const char *verb,
      void **state)
{
    struct http_request *r = request_take(w);
    struct err err;

    *state = r;
    r->connection = connection;
    r->verb = arena_strdup(r->arena, verb);
    if (admit(r, url, &err))
        return MHD_YES;
    refuse_later(r, &err);
    /* An answer before the body makes the client stop, but resets one that goes on sending: only
     * who waits for "100 Continue", or sends far too much, gets it early. */
    const char *expect = http_header(r, "Expect");
    if ((expect && strcasecmp(expect, "100-continue") == 0) ||
        content_length(r) > HTTP_DISCARD_MAX) {
        r->close = true;
        http_refuse(r, &r->refusal);
        return http_queue_answer(r);
    }
    return MHD_YES;
}

static enum MHD_Result
take_data(struct http_request *r, const char *data, size_t len)
{
    struct err err;

    r->received += len;
    if (r->refused)
        return r->received > HTTP_DISCARD_MAX + r->max_body ? MHD_NO : MHD_YES;
    if (r->received > r->max_body) {
        err_set(&err, ERR_TOO_LARGE, "the body is larger than %llu bytes",
                (unsigned long long)r->max_body);
        refuse_later(r, &err);
    } else if (!r->route->stream) {
        buf_add(&r->body, data, len);
    } else if (r->route->stream(r->worker->server->options.arg, r, data, len, &err)) {
        refuse_later(r, &err);
    }
    return MHD_YES;
}

static void
pend(struct worker *w, struct http_request *r)
{
    atomic_fetch_add(&w->inbox->refs, 1);
    r->is_pending = true;
    r->after = w->pending;
    r->before = NULL;
    if (w->pending)
        w->pending->before = r;
    w->pending = r;
    MHD_suspend_connection(r->connection);
}

static enum MHD_Result
dispatch(struct worker *w, struct http_request *r)
{
    if (r->refused)
        http_refuse(r, &r->refusal);
    else
        r->route->handler(w->server->options.arg, r);
    /* Not r->response: another thread's answer may be in the inbox already. */
    if (r->answered_in_handler)
        return http_queue_answer(r);
    pend(w, r);
    return MHD_YES;
}

enum MHD_Result
http_on_access(void *cls, struct MHD_Connection *connection, const char *url, const char *verb,
               const char *version, const char *data, size_t *len, void **state)
{
    struct worker *w = cls;
    struct http_request *r = *state;
    enum MHD_Result result;

    (void)version;
    if (!r)
        return begin(w, connection, url, verb, state);
    if (*len == 0)
        return dispatch(w, r);
    result = take_data(r, data, *len);
    *len = 0;
    return result;
}

const char *
http_verb(const struct http_request *r)
{
    return r->verb;
}

const char *
http_path(const struct http_request *r)
{
    return r->path;
}

const char *
http_param(const struct http_request *r, const char *name)
{
    size_t wanted = strlen(name), len;
    const char *found;

    for (unsigned i = 0; r->route && (found = router_param_name(r->route->pattern, i, &len)); i++)
        if (len == wanted && memcmp(found, name, len) == 0)
            return r->params[i];
    return NULL;
}

const char *
http_query(const struct http_request *r, const char *name)
{
    for (size_t i = 0; i < r->query_count; i++)
        if (strcmp(r->queries[i].name, name) == 0)
            return r->queries[i].value;
    return NULL;
}

void
http_query_each(const struct http_request *r,
                void (*each)(void *arg, const char *name, const char *value), void *arg)
{
    for (size_t i = 0; i < r->query_count; i++)
        each(arg, r->queries[i].name, r->queries[i].value);
}

const char *
http_header(const struct http_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

const char *
http_peer(const struct http_request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char host[64];

    if (!info || !info->client_addr)
        return "";
    socklen_t len = info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                             : sizeof(struct sockaddr_in);
    if (getnameinfo(info->client_addr, len, host, sizeof(host), NULL, 0, NI_NUMERICHOST) != 0)
        return "";
    return arena_strdup(r->arena, host);
}

const char *
http_body(const struct http_request *r, size_t *len)
{
    if (len)
        *len = r->body.len;
    return r->body.data ? r->body.data : "";
}

const void *
http_route_user(const struct http_request *r)
{
    return r->route ? r->route->user : NULL;
}

const char *
http_route_pattern(const struct http_request *r)
{
    return r->route ? r->route->pattern : "";
}

struct arena *
http_arena(struct http_request *r)
{
    return r->arena;
}

unsigned
http_thread(const struct http_request *r)
{
    return r->worker->index;
}

int64_t
http_started_us(const struct http_request *r)
{
    return r->started_us;
}

void
http_set_state(struct http_request *r, void *state, void (*release)(void *state))
{
    r->state = state;
    r->release = release;
}

void *
http_state(const struct http_request *r)
{
    return r->state;
}
