/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - asks for tasks and runs them.
 *
 * One thread keeps one request open at the gateway: what it runs is the heartbeat, the answer brings
 * tasks, and the names of those that are to end or are lost. Each task has a thread while it
 * runs; the answer to its end may bring the next, which starts at once. A thread waits a minute for
 * another task, with its connection, before it ends.
 */
#pragma once

#include "task.h"

#define WORKER_TASKS_MAX 1000
#define WORKER_WAIT_MS 25000

struct worker;
struct worker_options {
    struct task_host host;
    const PollTasksRequest *about; /* labels, capacity, host, version; borrowed */
};
struct worker *worker_start(const struct worker_options *options);
/* Drain: no more tasks; those that run may end by themselves until about two thirds of the time are over, then
 * they are ended and reported as failed. False: some could not be reported by deadline_ms. What is left
 * of it serves the metrics until the process ends. */
bool worker_stop(struct worker *worker, int64_t deadline_ms);
