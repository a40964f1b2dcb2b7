/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scheduler.h - what time does: cron triggers, runs that are to begin, leases and times that are
 * over, retries that become due, and forgetting.
 *
 * Any number of instances: each step is a transaction that takes one thing that nobody has locked. The
 * thread sleeps until something is due (asked of the tables), a commit of this process makes something
 * due earlier, or SCHEDULER_SWEEP_MS have passed, by which it finds what other instances left behind.
 * Time is asked of a clock that a test may replace.
 *
 * A lease lasts in time in which somebody could have heard the worker: when no scheduler was at work for a
 * while (all instances or the database were away, the clock has leapt), all leases last so much longer.
 */
#pragma once

#include "pipeline.h"

#define SCHEDULER_SWEEP_MS 5000
#define SCHEDULER_PRUNE_MS 600000
#define SCHEDULER_GAP_MS 8000 /* longer than that nobody was at work */

struct scheduler_options {
    struct pipeline_state *state;
    int64_t retention_ms;     /* of runs that are over */
    int64_t log_retention_ms; /* of logs that are artifacts */
};
struct scheduler;
/* Borrows the state until scheduler_free(). */
struct scheduler *scheduler_new(const struct scheduler_options *options);
MUST_CHECK enum err_code scheduler_start(struct scheduler *scheduler, struct err *err);
/* Joins the thread. False: it took longer than deadline_ms. */
bool scheduler_free(struct scheduler *scheduler, int64_t deadline_ms);

/* Something is due then (Unix epoch, ms). Any thread. */
void scheduler_due(struct scheduler *scheduler, int64_t due_ms);

/* A scheduler is at work: see above. The thread does it before its steps, at most once a second. */
MUST_CHECK enum err_code scheduler_appear(struct scheduler *scheduler, struct err *err);
/* One step, as the thread does them. *did false: nothing was due. */
MUST_CHECK enum err_code scheduler_step(struct scheduler *scheduler, bool *did, struct err *err);
