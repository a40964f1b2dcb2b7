/* SPDX-License-Identifier: Apache-2.0 */
/* reply.c - an answer: built on any thread, queued and counted on the request's worker. */
#include "http/internal.h"

#include "life/life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct metric *
status_metric(struct route_metrics *row, const char *route, int status)
{
    char text[12];
    size_t i = 0;

    while (i < HTTP_STATUS_SLOTS && row->statuses[i].count && row->statuses[i].status != status)
        i++;
    if (i < HTTP_STATUS_SLOTS && row->statuses[i].count)
        return row->statuses[i].count;
    snprintf(text, sizeof(text), "%d", status);
    struct metric *count =
        metrics_counter("modelbus_http_requests_total", "HTTP requests answered.", "route", route,
                        "status", text, NULL);
    if (i < HTTP_STATUS_SLOTS) {
        row->statuses[i].status = status;
        row->statuses[i].count = count;
    }
    return count;
}

static void
count_answer(struct http_request *r)
{
    struct route_metrics *row = &r->worker->metrics[r->metrics_row];
    const char *route = r->route ? r->route->pattern : "none";

    metric_add(status_metric(row, route, r->status), 1);
    if (!row->seconds)
        row->seconds = metrics_histogram(
            "modelbus_http_request_seconds", "Time from the headers to the answer.",
            metrics_latency_bounds, metrics_latency_bound_count, "route", route, NULL);
    metric_observe(row->seconds, (double)(life_monotonic_us() - r->started_us) / 1e6);
}

enum MHD_Result
http_queue_answer(struct http_request *r)
{
    if (r->close || atomic_load_explicit(&r->worker->server->stopping, memory_order_relaxed))
        MHD_add_response_header(r->response, "Connection", "close");
    enum MHD_Result result = MHD_queue_response(r->connection, (unsigned)r->status, r->response);
    MHD_destroy_response(r->response); /* MHD holds its own reference */
    r->response = NULL;
    count_answer(r);
    return result;
}

void
http_answer(struct http_request *r, int status, const char *content_type,
            struct MHD_Response *response)
{
    if (!response)
        abort(); /* out of memory */
    if (content_type)
        MHD_add_response_header(response, "Content-Type", content_type);
    for (size_t i = 0; i < r->header_count; i++)
        MHD_add_response_header(response, r->headers[i].name, r->headers[i].value);
    r->response = response;
    r->status = status;
    bool here = http_current_worker && http_current_worker == r->worker;
    if (here && !r->is_pending) {
        r->answered_in_handler = true; /* dispatch() queues it */
        return;
    }

    /* A handler may answer from another thread before it has returned: the inbox is read by the
     * worker after that, so the request is suspended by then. */
    struct inbox *inbox = r->inbox;
    pthread_mutex_lock(&inbox->lock);
    if (r->abandoned) {
        bool gone = !r->connection;
        r->late = true;
        pthread_mutex_unlock(&inbox->lock);
        if (gone)
            http_request_free(r);
        inbox_release(inbox);
        return;
    }
    bool wake = !inbox->answered && !here;
    r->next = inbox->answered;
    inbox->answered = r;
    /* Within the lock: once the worker has seen the answer, the inbox may go with the server. */
    if (wake && write(inbox->event_fd, &(uint64_t){1}, 8) != 8)
        abort(); /* an eventfd that nobody has read 2^64 times */
    pthread_mutex_unlock(&inbox->lock);
}

void
http_reply_header(struct http_request *r, const char *name, const char *value)
{
    for (const unsigned char *p = (const unsigned char *)value; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            return;
    if (r->header_count < HTTP_HEADERS_MAX)
        r->headers[r->header_count++] =
            (struct pair){arena_strdup(r->arena, name), arena_strdup(r->arena, value)};
}

void
http_reply(struct http_request *r, int status, const char *content_type, const void *body,
           size_t len)
{
    /* MHD does not write to a buffer that it copies. */
    http_answer(
        r, status, content_type,
        MHD_create_response_from_buffer(len, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY));
}

void
http_reply_take(struct http_request *r, int status, const char *content_type, struct buf *body)
{
    size_t len = body->len;

    http_answer(r, status, content_type,
                MHD_create_response_from_buffer(len, buf_take(body), MHD_RESPMEM_MUST_FREE));
}

void
http_reply_file(struct http_request *r, int status, const char *content_type, int fd,
                uint64_t bytes)
{
    http_answer(r, status, content_type, MHD_create_response_from_fd64(bytes, fd));
}

void
http_error_status(struct http_request *r, int status)
{
    r->status = status;
}

void
http_problem(struct http_request *r, const struct err *err)
{
    struct buf body = {0};
    /* A status that was chosen before (405) stays. */
    int status = r->status ? r->status : err_http_status(err->code);
    const char *title = MHD_get_reason_phrase_for((unsigned)status);

    buf_printf(&body, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":", title,
               status);
    buf_json_str(&body, err->message, strlen(err->message));
    buf_printf(&body, ",\"code\":\"%s\"}\n", err_name(err->code));
    http_reply_take(r, status, "application/problem+json", &body);
}

void
http_reply_error(struct http_request *r, const struct err *err)
{
    if (r->on_error)
        r->on_error(r->arg, r, err);
    else
        http_problem(r, err);
}

void
http_refuse(struct http_request *r, const struct err *err)
{
    http_reply_error(r, err);
}
