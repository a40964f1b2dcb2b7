/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h - what a task may take of the machine.
 *
 * With cgroup v2: when the worker is alone in its cgroup and may write it (systemd's Delegate=, a container
 * with a cgroup namespace), it moves itself into the child "worker" and gives each task a child of its own with cpu.max,
 * memory.max (no swap; the whole task is killed at once) and pids.max. Else: RLIMIT_DATA, at four times the task's
 * memory and at least LIMITS_DATA_MIN, for what a program reserves is more than it uses; it
 * stops what runs away, cpu and processes are not limited.
 */
#pragma once

#include "err/err.h"

#define LIMITS_PIDS 4096
#define LIMITS_DATA_MIN (1ull << 30)

struct limits;
/* Never fails: without a cgroup it is the fallback; *why says what is missing (static text). Call
 * before threads start. */
struct limits *limits_open(const char **why);
void limits_free(struct limits *limits);
CLEANUP_DEFINE(struct limits, limits_free)
bool limits_cgroup(const struct limits *limits);

struct task_limits {
    char *folder; /* the task's cgroup; NULL: none */
    int procs;    /* its cgroup.procs; -1: none */
    uint64_t data_bytes;
};
/* name is one component of a path. cpu in cores. */
MUST_CHECK enum err_code limits_begin(const struct limits *limits, const char *name, double cpu,
                                      uint64_t memory_mb, struct task_limits *task,
                                      struct err *err);
/* The kernel has killed for want of memory. */
bool limits_out_of_memory(const struct task_limits *task);
/* Kills what may be left in the cgroup, and removes it. */
void limits_end(struct task_limits *task);
/* Cgroups of tasks of a worker that was killed. */
void limits_clean(const struct limits *limits);
