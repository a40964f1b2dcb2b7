/* SPDX-License-Identifier: Apache-2.0 */
/*
 * predlog.h - the log of predictions, on its way to the bus.
 *
 * Workers append rows to a chunk of their own; the reporter takes the chunks and says PredictionsLogged
 * in packed columns, one message an endpoint, version and PREDLOG_MESSAGE_BYTES. A worker never
 * waits: its lock is shared only with the exchange of two pointers, and past queue_rows rows in
 * all chunks (or when the bus takes no more) rows are dropped and counted, in the next
 * message and in modelbus_inference_log_rows_total{result}.
 */
#pragma once

#include "endpoints.h"

#include <protobuf-c/protobuf-c.h>

#define PREDLOG_MESSAGE_BYTES (512u << 10) /* about; the bus takes 1 MiB */

struct predlog_options {
    unsigned workers;
    const char *pod; /* borrowed */
    double sample;   /* share of requests, 0 … 1 */
    size_t queue_rows;
    /* Never blocks. An error drops the message's rows. */
    enum err_code (*publish)(void *arg, const ProtobufCMessage *event, struct err *err);
    void *arg;
};

struct predlog;
struct predlog *predlog_new(const struct predlog_options *options);
void predlog_free(struct predlog *log);
CLEANUP_DEFINE(struct predlog, predlog_free)

/* One request's rows, by one worker. data: rows × features; values: rows × width; all copied. */
void predlog_add(struct predlog *log, unsigned worker, struct endpoint *endpoint,
                 struct model *model, const char *id, int64_t now_ms, const float *data,
                 const float *values, size_t rows);

/* Publish what has been added. One thread. */
void predlog_flush(struct predlog *log);
