/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor.h - start all parts at once, start again what crashes, stop in order.
 *
 * One thread around one poll(): signals arrive on a signalfd; while a part is not ready it is
 * asked every SUPERVISOR_PROBE_MS, afterwards nothing wakes the loop but a signal and
 * the check of the logs' sizes. Each change of a part is written to
 * DIR/run/status.json, logged, and told on standard output when that is wanted.
 */
#pragma once

#include "plan.h"

#include "err/err.h"

#define SUPERVISOR_PROBE_MS 15
#define SUPERVISOR_START_MS 60000
#define SUPERVISOR_LOG_CHECK_MS 60000
#define SUPERVISOR_LOG_BYTES (32 << 20)

struct supervisor {
    struct plan *plan;
    FILE *tell; /* lines for people; NULL: none */
    /* Everything is ready, ms after the start. Called once. */
    void (*on_ready)(void *arg, int64_t ms);
    void *arg;

    /* kept by supervisor_run() */
    int signals;
    bool stopping, hurry, ready;
    int64_t started_ms, started_at;
};

/* Block the signals that the loop takes; before any of them can arrive. */
MUST_CHECK enum err_code supervisor_signals(struct supervisor *s, struct err *err);
/* Run until SIGTERM or SIGINT (ERR_OK), or until it is clear that a part cannot start
 * (ERR_PRECONDITION, ERR_DEADLINE). All parts are stopped when this returns. A second
 * signal while stopping kills what is left. */
MUST_CHECK enum err_code supervisor_run(struct supervisor *s, struct err *err);
