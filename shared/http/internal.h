/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - the server's parts: server.c owns threads and loops, request.c a request until
 * its handler, reply.c its answer. Private to http/.
 *
 * A request belongs to its connection until MHD reports completion. While its handler's answer is
 * awaited the connection is suspended and the request is in its worker's pending list. Answers from
 * other threads go through the worker's inbox, which outlives the server, so that an
 * answer after a forced stop finds a request marked abandoned and just frees it.
 */
#pragma once

#include "http/http.h"
#include "http/router.h"
#include "metrics/metrics.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#define HTTP_STATUS_SLOTS 8
#define HTTP_HEADERS_MAX 16
#define HTTP_URL_MAX (8u << 10)
#define HTTP_REQUESTS_KEPT 256         /* recycled structs a worker */
#define HTTP_BODY_KEPT (64u << 10)     /* body buffers up to this size are recycled too */
#define HTTP_DISCARD_MAX (16ull << 20) /* body read and dropped before a refusal */

struct route_metrics {
    struct metric *seconds;
    struct {
        int status;
        struct metric *count;
    } statuses[HTTP_STATUS_SLOTS];
};

struct inbox {
    pthread_mutex_t lock;
    struct http_request *answered;
    struct http_stream *streams; /* that have something to send */
    int event_fd;
    atomic_uint refs; /* the worker, every request that awaits an answer, every stream */
};

struct worker {
    struct http_server *server;
    unsigned index;
    pthread_t thread;
    bool started;
    struct MHD_Daemon *daemon;
    int listen_fd;
    struct inbox *inbox;
    struct http_request *pending; /* suspended */
    struct http_request *free;
    struct http_stream *streams; /* open */
    unsigned free_count;
    unsigned active;               /* requests begun and not completed */
    bool drained;                  /* stopped with nothing given up */
    struct route_metrics *metrics; /* a row a route, and one for none */
};

struct http_server {
    struct http_server_options options;
    struct router *router;
    size_t route_count;
    struct worker *workers;
    char *bind, *tls_cert, *tls_key;
    int port;
    atomic_bool stopping;
    int64_t deadline_ms; /* written before stopping */
    struct metric *connections;
};

struct pair {
    const char *name, *value;
};

struct http_request {
    struct worker *worker;
    struct inbox *inbox; /* held while pending */
    struct MHD_Connection *connection;
    struct http_request *next;           /* in free or answered */
    struct http_request *after, *before; /* in pending */
    const struct http_route *route;
    size_t metrics_row;
    struct router_match match;
    const char *verb, *path;
    const char *params[ROUTER_DEPTH_MAX];
    struct pair *queries;
    size_t query_count;
    struct pair headers[HTTP_HEADERS_MAX];
    size_t header_count;
    struct arena *arena;
    struct buf body;
    uint64_t received, max_body;
    int64_t started_us;
    void *state;
    void (*release)(void *state);
    struct MHD_Response *response; /* the answer */
    int status;
    bool answered_in_handler; /* touched by the worker only, as is_pending */
    bool is_pending;
    bool abandoned, late; /* under inbox->lock: the server gave up; answered after that */
    bool refused;         /* answer with refusal once the body is through */
    bool close;           /* the connection, after the answer */
    struct err refusal;
    void (*on_error)(void *arg, struct http_request *request, const struct err *err);
    void *arg; /* copies of the server's, which a late answer outlives */
};

/* server.c */
extern _Thread_local struct worker *http_current_worker;
void inbox_release(struct inbox *inbox);

/* request.c: MHD's callbacks */
enum MHD_Result http_on_access(void *cls, struct MHD_Connection *connection, const char *url,
                               const char *verb, const char *version, const char *data, size_t *len,
                               void **state);
void http_on_completed(void *cls, struct MHD_Connection *connection, void **state,
                       enum MHD_RequestTerminationCode code);
void http_request_free(struct http_request *r);

/* reply.c: worker's side. Queue the answer on r's connection and count it. */
enum MHD_Result http_queue_answer(struct http_request *r);
/* Set the answer; response is taken. */
void http_answer(struct http_request *r, int status, const char *content_type,
                 struct MHD_Response *response);
void http_refuse(struct http_request *r, const struct err *err);

/* stream.c: worker's side. Wake the connections of streams that were written to; false when there were none. */
bool http_stream_resume(struct inbox *inbox);
/* Time is up: what sleeps is woken to end. */
void http_stream_abandon(struct worker *w);
