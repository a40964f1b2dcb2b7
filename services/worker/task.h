/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.h - a lease from its arrival to the end of its task.
 *
 *     DIR/<lease>/work       the archive; where the command runs, and its HOME
 *                 inputs     a file for each input
 *                 outputs    where the command leaves a file or folder for each output
 *                 tmp        TMPDIR
 *                 log        what it has written, with tasklog.h's bound
 *
 * Whatever fails before the command starts fails the task with a reason. What the gateway cannot do now is tried again
 * with backoff, as long as the lease is not known to be lost.
 */
#pragma once

#include "cache.h"
#include "exec.h"
#include "folders.h"
#include "gateway.h"
#include "reporter.h"

/* What all tasks of a worker share; borrowed. */
struct task_host {
    struct gateway *gateway;
    struct reporter *reporter;
    struct cache *cache;
    struct folders *folders;
    struct limits *limits;
    struct shipper *shipper;
    const char *dir; /* absolute */
    const char *instance;
    const char *gateway_url, *secrets_dir, *task_token;
    uint64_t log_max_bytes;
    _Atomic int64_t grace_ms; /* between SIGTERM and SIGKILL */
    struct spawner *spawner;
};

struct task;
/* The lease is copied. NULL: the process has too many files open. */
struct task *task_new(const struct task_host *host, const Lease *lease);
void task_free(struct task *task);
CLEANUP_DEFINE(struct task, task_free)

const char *task_lease(const struct task *task);
uint32_t task_lease_ms(const struct task *task);

/* Any thread, at any time. False: it was to do so already, or something stronger. */
bool task_set(struct task *task, enum task_want want);

/* What task_set(TASK_LOSE) does, unless its end is being reported: then the lease is not named any more because
 * the report has arrived, and if not, the report is refused. */
bool task_lose(struct task *task);

/* All of it, on one thread, whose keeper it is. */
void task_run(struct task *task, struct keeper *keeper);
/* Its folder is given back. After task_run(). */
void task_clean(struct task *task);
