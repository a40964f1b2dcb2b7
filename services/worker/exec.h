/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec.h - a task's command from its start to its end: its output into the log, its time, its kill.
 */
#pragma once

#include "keeper.h"
#include "limits.h"
#include "mask.h"
#include "shipper.h"
#include "tasklog.h"

/* What is to become of a task; a greater one wins. */
enum task_want {
    TASK_RUN,
    TASK_CANCEL, /* end it with grace: its run is cancelled */
    TASK_STOP,   /* end it with grace: the worker stops */
    TASK_LOSE,   /* kill it: it is not ours any more */
};

struct exec_options {
    const char *program;
    char *const *argv, *const *envp;
    const char *folder; /* to run in */
    struct keeper *keeper;
    const struct task_limits *limits;
    int64_t timeout_ms; /* 0: none */
    const _Atomic int64_t *grace_ms;
    struct tasklog *log;
    struct mask *mask;
    struct shipper *shipper;
    int wake;                /* eventfd; written to when *want has changed */
    const _Atomic int *want; /* enum task_want */
};

struct exec_result {
    int exit_code; /* -N: signal N */
    bool timed_out;
    char reason[300]; /* empty: it has ended well by itself */
};

/* Blocks until nothing of the task is left. An error: it was not started. */
MUST_CHECK enum err_code exec_run(const struct exec_options *options, struct exec_result *result,
                                  struct err *err);
