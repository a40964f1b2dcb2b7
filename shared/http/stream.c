/* SPDX-License-Identifier: Apache-2.0 */
/* stream.c - answers that are sent piece by piece, from any thread, while the connection sleeps. */
#include "http/internal.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK (16u << 10)

struct http_stream {
    pthread_mutex_t lock;
    atomic_uint refs; /* the caller, the connection, the inbox while it is queued there */
    struct inbox *inbox;
    struct worker *worker; /* until gone; touched by the worker only */
    struct MHD_Connection *connection;
    int fd;
    struct http_stream *next;           /* in inbox->streams */
    struct http_stream *after, *before; /* in worker->streams */
    struct buf data;
    size_t sent, room;
    bool closed, gone, asleep, queued; /* under lock */
};

static void
unref(struct http_stream *s)
{
    if (atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    buf_done(&s->data);
    inbox_release(s->inbox);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* On the worker. 0: nothing yet; the connection sleeps until somebody writes. */
static ssize_t
read_some(void *cls, uint64_t position, char *out, size_t max)
{
    struct http_stream *s = cls;
    ssize_t n = 0;

    (void)position;
    pthread_mutex_lock(&s->lock);
    size_t left = s->data.len - s->sent;
    if (left > 0) {
        n = (ssize_t)(left < max ? left : max);
        memcpy(out, s->data.data + s->sent, (size_t)n);
        s->sent += (size_t)n;
        if (s->sent == s->data.len) {
            buf_clear(&s->data);
            s->sent = 0;
        }
    } else if (s->closed) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        s->asleep = true;
        MHD_suspend_connection(s->connection);
    }
    pthread_mutex_unlock(&s->lock);
    return n;
}

/* On the worker: the connection is done with, for whatever reason. */
static void
on_gone(void *cls)
{
    struct http_stream *s = cls;

    if (s->before)
        s->before->after = s->after;
    else
        s->worker->streams = s->after;
    if (s->after)
        s->after->before = s->before;
    pthread_mutex_lock(&s->lock);
    s->gone = true;
    s->connection = NULL;
    pthread_mutex_unlock(&s->lock);
    unref(s);
}

struct http_stream *
http_reply_stream(struct http_request *r, int status, const char *content_type, size_t room)
{
    struct http_stream *s = mem_zalloc(sizeof(*s));
    struct worker *w = r->worker;

    if (http_current_worker != w || r->is_pending)
        abort(); /* only within the handler */
    pthread_mutex_init(&s->lock, NULL);
    atomic_store(&s->refs, 2);
    s->inbox = w->inbox;
    atomic_fetch_add(&s->inbox->refs, 1);
    s->worker = w;
    s->connection = r->connection;
    s->fd = MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    s->room = room;
    s->after = w->streams;
    if (w->streams)
        w->streams->before = s;
    w->streams = s;
    r->close = true; /* its end is the connection's, so that a slow reader sees it */
    http_answer(r, status, content_type,
                MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_some, s, on_gone));
    return s;
}

/* s->lock is held. */
static void
wake(struct http_stream *s)
{
    if (!s->asleep || s->queued || s->gone)
        return;
    s->queued = true;
    atomic_fetch_add(&s->refs, 1);
    pthread_mutex_lock(&s->inbox->lock);
    s->next = s->inbox->streams;
    s->inbox->streams = s;
    if (write(s->inbox->event_fd, &(uint64_t){1}, 8) != 8)
        abort(); /* an eventfd that nobody has read 2^64 times */
    pthread_mutex_unlock(&s->inbox->lock);
}

bool
http_stream_resume(struct inbox *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    struct http_stream *s = inbox->streams;
    inbox->streams = NULL;
    pthread_mutex_unlock(&inbox->lock);
    if (!s)
        return false;
    while (s) {
        struct http_stream *next = s->next;
        pthread_mutex_lock(&s->lock);
        s->queued = false;
        if (s->asleep && !s->gone) {
            s->asleep = false;
            MHD_resume_connection(s->connection);
        }
        pthread_mutex_unlock(&s->lock);
        unref(s);
        s = next;
    }
    return true;
}

void
http_stream_abandon(struct worker *w)
{
    for (struct http_stream *s = w->streams; s; s = s->after) {
        pthread_mutex_lock(&s->lock);
        s->closed = true;
        if (s->asleep && !s->gone) {
            s->asleep = false;
            MHD_resume_connection(s->connection);
        }
        pthread_mutex_unlock(&s->lock);
    }
}

enum http_stream_state
http_stream_write(struct http_stream *s, const void *data, size_t len)
{
    enum http_stream_state state = HTTP_STREAM_GOOD;

    pthread_mutex_lock(&s->lock);
    if (s->gone || s->closed) {
        state = HTTP_STREAM_GONE;
    } else if (s->data.len > 0 && s->data.len - s->sent + len > s->room) {
        state = HTTP_STREAM_FULL;
    } else {
        if (s->sent > s->room) { /* what was sent goes, once it is much */
            memmove(s->data.data, s->data.data + s->sent, s->data.len - s->sent);
            s->data.len -= s->sent;
            s->sent = 0;
        }
        buf_add(&s->data, data, len);
        wake(s);
    }
    pthread_mutex_unlock(&s->lock);
    return state;
}

bool
http_stream_gone(struct http_stream *s)
{
    pthread_mutex_lock(&s->lock);
    if (!s->gone && s->asleep) { /* nobody else looks at a connection that sleeps */
        struct pollfd socket = {.fd = s->fd, .events = POLLRDHUP};
        if (poll(&socket, 1, 0) > 0) {
            s->closed = true;
            wake(s);
        }
    }
    bool gone = s->gone || s->closed;
    pthread_mutex_unlock(&s->lock);
    return gone;
}

void
http_stream_close(struct http_stream *s, const void *last, size_t len)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    if (!s->gone && len)
        buf_add(&s->data, last, len);
    s->closed = true;
    wake(s);
    pthread_mutex_unlock(&s->lock);
    unref(s);
}
