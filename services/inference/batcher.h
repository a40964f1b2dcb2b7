/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batcher.h - batching by back-pressure.
 *
 * A worker dispatches all requests that are ready, each of which ends in batcher_add(); at the end of
 * the turn batcher_turn() predicts them together, one call a model, and answers. Nothing waits
 * for a batch to fill: at low load a batch is one request, at high load batches grow by
 * themselves.
 *
 * The queue is what has been admitted and not answered, over all workers. From 80 % of its size
 * on batcher_admit() refuses. A request whose deadline has passed when its turn is
 * predicted is answered with ERR_DEADLINE and not predicted.
 *
 * All calls with a worker's index come from that worker's thread. The batcher knows no HTTP:
 * answers go through a callback.
 */
#pragma once

#include "adapter.h"
#include "endpoints.h"
#include "predlog.h"

struct batch_request {
    void *ticket; /* the caller's */
    const struct adapter *adapter;
    struct endpoint *endpoint;
    struct model *model; /* borrowed until the end of the turn */
    size_t rows;
    int64_t started_us, deadline_us; /* CLOCK_MONOTONIC */
    bool id_given;
    char id[ADAPTER_ID_MAX + 1];
    size_t first_float; /* the batcher's */
};

struct batcher_options {
    unsigned workers;
    unsigned queue;      /* requests */
    struct predlog *log; /* NULL: none */
    /* Once for each request added. values: rows × width, or NULL and *err says why. */
    void (*answer)(void *arg, unsigned worker, const struct batch_request *request,
                   const float *values, const struct err *err);
    void *arg;
};

struct batcher;
struct batcher *batcher_new(const struct batcher_options *options);
void batcher_free(struct batcher *batcher); /* nothing may be waiting */
CLEANUP_DEFINE(struct batcher, batcher_free)

/* Take a place in the queue, before the body is read. ERR_UNAVAILABLE: from 80 % full. */
MUST_CHECK enum err_code batcher_admit(struct batcher *batcher, unsigned worker, struct err *err);
/* Give the place back: the request was answered otherwise. */
void batcher_cancel(struct batcher *batcher, unsigned worker);
/* Copies request and its data (rows × features). */
void batcher_add(struct batcher *batcher, unsigned worker, const struct batch_request *request,
                 const float *data);
/* Predict and answer all that has been added. now_us: the turn's clock. */
void batcher_turn(struct batcher *batcher, unsigned worker, int64_t now_us, int64_t now_ms);
size_t batcher_queued(const struct batcher *batcher);
