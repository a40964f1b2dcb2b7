/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routes.h - the pod's HTTP faces: Open Inference Protocol V2, /predict, /info and the probes.
 *
 * A prediction's handler finds the endpoint, takes a place in the queue, reads the body into rows
 * and leaves the request with the batcher; routes_turn(), called by the HTTP server after each
 * turn of a worker, predicts and answers. V2 paths answer errors as {"error": "…"}, the
 * others as RFC 9457 problem documents.
 */
#pragma once

#include "batcher.h"
#include "http/http.h"

struct pod_options {
    unsigned workers;
    unsigned queue;
    int64_t deadline_ms;
    size_t max_rows;
    const char *name;            /* borrowed */
    struct endpoints *endpoints; /* readers: workers */
    struct predlog *log;         /* NULL: none */
};

struct pod;
struct pod *pod_new(const struct pod_options *options);
void pod_free(struct pod *pod);
CLEANUP_DEFINE(struct pod, pod_free)

/* For struct http_server_options; arg is the pod. */
extern const struct http_route pod_routes[];
void pod_turn(void *arg, unsigned worker);
void pod_error(void *arg, struct http_request *request, const struct err *err);
