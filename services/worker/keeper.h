/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.h - a task's process, and the small processes between it and the worker.
 *
 *     modelbus-worker ── task-spawner ── task-keeper ── the command ── whatever it starts
 *
 * The keeper is the task's parent and the reaper of everything that the task starts (PR_SET_CHILD_SUBREAPER), also of
 * what leaves its process group or session. When the task's own process ends, when the worker says so, and when the
 * worker dies (its end of a socket closes), it kills all that is left and waits until it is gone. So nothing of a task
 * outlives it, with or without cgroups. Then it waits for the next task of the same thread.
 *
 * The spawner is a fork of the worker from before its threads, and the keepers are forks of that: so a task costs one
 * process more than its own at most, and a start disturbs none of the worker's threads. Neither executes anything, or
 * holds a file of the worker's but those named here. Either may be killed: the next task starts them again.
 */
#pragma once

#include "err/err.h"

struct spawner;
/* held: kept open as long as anything of a task lives; -1: none. Before tasks' threads. */
struct spawner *spawner_open(int held);
void spawner_free(struct spawner *spawner); /* which ends then; keepers do not */

/* One thread's; {spawner, -1} at first. */
struct keeper {
    struct spawner *spawner;
    int socket; /* readable: keeper_take_report() */
};

struct keeper_options {
    const char *program; /* found; a relative path is one from folder */
    char *const *argv, *const *envp;
    const char *folder;
    int cgroup;          /* cgroup.procs that the task joins; -1: none */
    uint64_t data_bytes; /* RLIMIT_DATA; 0: as the worker */
};

struct keeper_report {
    enum { KEEPER_KILLED, KEEPER_NOT_STARTED, KEEPER_ENDED } kind;
    int value; /* errno, or a status as of waitpid() */
};

/* *output: standard output and error of the task; does not block; the caller's to close. ERR_UNAVAILABLE: no process can
 * be started. */
MUST_CHECK enum err_code keeper_start(struct keeper *keeper, const struct keeper_options *options,
                                      int *output, struct err *err);
void keeper_terminate(const struct keeper *keeper); /* SIGTERM to the task's process group */
void keeper_kill(const struct keeper *keeper);      /* SIGKILL to all of the task */
/* Blocks. The program could not be executed, or how it has ended, after everything else of the task had; KEEPER_KILLED:
 * the keeper was, with the task. */
struct keeper_report keeper_take_report(struct keeper *keeper);
void keeper_done(struct keeper *keeper);
