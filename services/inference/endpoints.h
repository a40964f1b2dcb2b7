/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoints.h - the table of endpoints, and the swap.
 *
 * An endpoint holds one atomic pointer to the model that it serves. A reader (a worker of the HTTP
 * server) enters before it takes a pointer and leaves when every answer of its turn has been
 * written; between the two the model stays. endpoints_swap() exchanges the pointer, waits until
 * each reader that might hold the old model has left, and drops it: epoch-based reclamation
 * (K. Fraser, "Practical lock-freedom", 2004, section 5.2.3). So a request is answered by the
 * old or the new model as a whole, and readers never wait or write to shared memory.
 *
 * Endpoints are found without a lock and live as long as the table: a deleted one has no
 * model. At most ENDPOINTS_MAX names.
 */
#pragma once

#include "model.h"

#define ENDPOINTS_MAX 1024
#define ENDPOINT_NAME_MAX 128

#define LATENCY_BUCKETS 100 /* four an octave of microseconds */

/* Since the last take; written by workers, taken by the reporter. */
struct endpoint_stats {
    _Atomic uint64_t requests, rows, errors, shed;
    _Atomic uint64_t log_dropped, log_sampled_out; /* rows */
    _Atomic uint32_t latency[LATENCY_BUCKETS];
};

struct endpoint {
    _Atomic(struct model *) current; /* NULL: nothing is served */
    _Atomic bool deleted;            /* by its last desired state */
    struct endpoint_stats stats;
    struct metric *seconds, *rows, *batch_rows;
    char name[ENDPOINT_NAME_MAX + 1];
};

struct endpoints;
struct endpoints *endpoints_new(unsigned readers);
void endpoints_free(struct endpoints *endpoints); /* no reader may be inside; drops all models */
CLEANUP_DEFINE(struct endpoints, endpoints_free)

/* Any thread. NULL: never heard of. */
struct endpoint *endpoints_find(const struct endpoints *endpoints, const char *name);
/* Find or add; one thread (the loader's). ERR_TOO_LARGE: too many, or the name is too long. */
MUST_CHECK enum err_code endpoints_add(struct endpoints *endpoints, const char *name,
                                       struct endpoint **endpoint, struct err *err);
size_t endpoints_count(const struct endpoints *endpoints);
struct endpoint *endpoints_at(const struct endpoints *endpoints,
                              size_t index); /* in order of arrival */

/* A reader may enter again before it leaves; the first counts. reader < readers of _new(),
 * each used by one thread. */
void endpoints_enter(struct endpoints *endpoints, unsigned reader);
void endpoints_leave(struct endpoints *endpoints, unsigned reader);
/* Between the two. NULL: nothing is served. */
struct model *endpoint_model(struct endpoint *endpoint);

/*
 * Serve model (its reference is taken; NULL: nothing) instead of what is served. Returns µs from the
 * exchange until the last reader that might have seen the old one left; 0 when there was none.
 * Writers only, one at a time.
 */
double endpoints_swap(struct endpoints *endpoints, struct endpoint *endpoint, struct model *model);

/* Percentile (0…1) in seconds of latencies in the buckets; 0 when there are none. */
unsigned latency_bucket(int64_t us);
double latency_percentile(const uint32_t buckets[LATENCY_BUCKETS], double p);
