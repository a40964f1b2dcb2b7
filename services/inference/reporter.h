/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reporter.h - the thread that says what the pod does: the prediction log every
 * REPORTER_PERIOD_MS, and ServingStats for each endpoint every stats_ms, idle or not, which is
 * also the pod's heartbeat.
 */
#pragma once

#include "endpoints.h"
#include "predlog.h"

#define REPORTER_PERIOD_MS 100

struct reporter_options {
    struct endpoints *endpoints;
    unsigned reader; /* a reader of endpoints of its own */
    struct predlog *log;
    const char *pod; /* borrowed */
    int64_t stats_ms;
    void (*tick)(void *arg); /* every period; NULL: none */
    enum err_code (*publish)(void *arg, const ProtobufCMessage *event, struct err *err);
    void *arg;
};

struct reporter;
struct reporter *reporter_start(const struct reporter_options *options);
void reporter_stop(struct reporter *reporter); /* says what is left, joins, frees */
