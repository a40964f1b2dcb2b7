/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - an HTTP/1.1 server on libmicrohttpd and a client on libcurl.
 *
 * The server runs worker threads, each with an epoll loop of its own. A handler is called
 * on a worker when the request is whole (bounded body in memory), or as the
 * body arrives (.stream). It answers at once, or keeps the request and answers later
 * from any thread (asynchronous). Work that blocks belongs on the handler's own threads.
 * options.on_turn is called by each worker after it has dispatched all that was ready, which
 * is where a batch of the turn's requests is answered.
 *
 * Bounds: header 16 KiB, URL 8 KiB, body per route (413; the rest of the body is dropped, or the connection closed), slow
 * clients (idle_timeout_s), connections. Unknown path: 404, known path with another
 * verb: 405 with Allow; both through the on_error callback, so that each face of the platform speaks its own
 * error form.
 */
#pragma once

#include "arena/arena.h"
#include "buf/buf.h"
#include "err/err.h"

struct sockaddr; /* sys/socket.h */
struct http_server;
struct http_request; /* lives from the handler's call until it is answered */

typedef void (*http_handler)(void *arg, struct http_request *request);

/* For bodies that are not held in memory. on_data may be called many times with len > 0, then
 * the route's handler is called as the end. An error from on_data answers the request. state is
 * the request's, see http_set_state(). */
typedef enum err_code (*http_data)(void *arg, struct http_request *request, const void *data,
                                   size_t len, struct err *err);

struct http_route {
    const char *verb; /* "GET" also serves HEAD; NULL ends the table */
    const char
        *pattern; /* "/api/v1/models/{name}/versions/{version}"; a last "{path*}" takes the rest */
    http_handler handler;
    http_data stream;  /* NULL: the body is collected */
    uint64_t max_body; /* bytes; 0: the server's default */
    const void *user;  /* http_route_user() */
};

struct http_server_options {
    const char *bind;         /* "127.0.0.1:8080", "[::1]:0"; port 0: any free one */
    unsigned threads;         /* 0: 1 */
    unsigned max_connections; /* 0: 1024 */
    unsigned idle_timeout_s;  /* 0: 60 */
    uint64_t max_body;        /* 0: 1 MiB */
    const struct http_route *routes;
    void *arg; /* handed to handlers */
    /* Writes the error answer (status and headers may be set); NULL: RFC 9457 problem document. */
    void (*on_error)(void *arg, struct http_request *request, const struct err *err);
    /* Called when the headers are there and before the body is read (path, parameters, query and
     * headers can be asked for): an error refuses the request, and with "Expect: 100-continue" before
     * the client sends the body. Must not answer. NULL: none. */
    enum err_code (*on_headers)(void *arg, struct http_request *request, struct err *err);
    void (*on_turn)(void *arg, unsigned thread); /* NULL: none */
    const char *tls_cert_file, *tls_key_file;    /* PEM; NULL: plain */
};
MUST_CHECK enum err_code http_server_start(struct http_server **server,
                                           const struct http_server_options *options,
                                           struct err *err);
int http_server_port(const struct http_server *server);
/* Stop accepting, let requests in flight finish until deadline_ms (CLOCK_MONOTONIC), close. */
bool http_server_stop(struct http_server *server, int64_t deadline_ms);

/*
 * What is asked. Texts live until the answer. http_header() and http_peer() read the connection:
 * call them within the handler only, the others from any thread until the answer.
 */
const char *http_verb(const struct http_request *r);
const char *http_path(const struct http_request *r); /* decoded */
const char *http_param(const struct http_request *r,
                       const char *name); /* from the pattern, percent-decoded */
const char *http_query(const struct http_request *r, const char *name); /* first value or NULL */
/* Each query parameter in order. */
void http_query_each(const struct http_request *r,
                     void (*each)(void *arg, const char *name, const char *value), void *arg);
const char *http_header(const struct http_request *r, const char *name); /* or NULL */
const char *http_peer(const struct http_request *r);                     /* address text */
const char *http_body(const struct http_request *r, size_t *len);        /* NUL-terminated */
const void *http_route_user(const struct http_request *r);
const char *http_route_pattern(const struct http_request *r); /* for metrics labels */
struct arena *http_arena(struct http_request *r);
unsigned http_thread(const struct http_request *r);    /* worker index */
int64_t http_started_us(const struct http_request *r); /* CLOCK_MONOTONIC, first byte dispatched */
void http_set_state(struct http_request *r, void *state, void (*release)(void *state));
void *http_state(const struct http_request *r);

/* Response headers, before the answer; copied. A value that cannot be a header (control
 * characters) is left out; at most 16. */
void http_reply_header(struct http_request *r, const char *name, const char *value);
/* The status of http_problem() when the code's own is not it (412, 415). */
void http_error_status(struct http_request *r, int status);
/* Exactly one of these, from any thread; *r is gone afterwards. */
void http_reply(struct http_request *r, int status, const char *content_type, const void *body,
                size_t len); /* copies */
void http_reply_take(struct http_request *r, int status, const char *content_type,
                     struct buf *body); /* takes */
void http_reply_file(struct http_request *r, int status, const char *content_type, int fd,
                     uint64_t bytes);                                 /* takes fd */
void http_reply_error(struct http_request *r, const struct err *err); /* through on_error */
/*
 * An answer without a known end: its body is written piece by piece, from any thread, until it is closed.
 * Call http_reply_stream() within the handler; *r is gone afterwards, the stream is the caller's. What
 * the client has not taken yet is kept, at most `room` bytes (or one write). A client that hung up is
 * noticed by http_stream_gone(), one that vanished at a write, so ask and write now and then. Close every
 * stream before http_server_stop().
 */
struct http_stream;
enum http_stream_state { HTTP_STREAM_GOOD, HTTP_STREAM_FULL, HTTP_STREAM_GONE };
struct http_stream *http_reply_stream(struct http_request *r, int status, const char *content_type,
                                      size_t room);
/* FULL: not taken, the client is slow. GONE: nobody is there. Copies. */
MUST_CHECK enum http_stream_state http_stream_write(struct http_stream *stream, const void *data,
                                                    size_t len);
bool http_stream_gone(struct http_stream *stream); /* cheap */
/* The last bytes (len 0: none), whatever the room; frees stream. NULL allowed. */
void http_stream_close(struct http_stream *stream, const void *last, size_t len);

/* RFC 9457 body {type,title,status,detail,code} as application/problem+json. */
void http_problem(struct http_request *r, const struct err *err);

/* ---- client (libcurl) ---- */
struct http_client_request {
    const char *verb, *url;
    const char *const *headers; /* "Name: value", NULL-ended; may be NULL */
    const void *body;
    size_t body_len;
    const char *upload_file;   /* streams this file instead of body */
    const char *download_file; /* writes a 2xx body here (beside and renamed) instead of memory */
    int64_t timeout_ms;        /* 0: 30000 */
    uint64_t max_response;     /* 0: 16 MiB */
    /* Asked with each address before it is connected to; false refuses it (ERR_FORBIDDEN). For URLs
     * that others have written: no connection is shared with other requests, and no proxy is
     * used. NULL: any address. */
    bool (*may_connect)(void *arg, const struct sockaddr *address);
    void *may_connect_arg;
    /* Asked about once a second; true gives up (ERR_CANCELLED). NULL: never. */
    bool (*cancelled)(void);
};
struct http_client_response {
    int status;
    struct buf body;
    char etag[128];
    char content_type[128];
};
/* Blocking, any thread; connections are kept per thread. ERR_UNAVAILABLE when no answer came; a status is not an error. */
MUST_CHECK enum err_code http_fetch(const struct http_client_request *request,
                                    struct http_client_response *response, struct err *err);
void http_client_response_done(struct http_client_response *response);
