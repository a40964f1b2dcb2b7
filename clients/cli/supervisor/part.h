/* SPDX-License-Identifier: Apache-2.0 */
/*
 * part.h - one supervised process: start it, know when it is ready, start it again.
 *
 * A part dies with the supervisor (PR_SET_PDEATHSIG), lives in a process group of its own so
 * that Ctrl-C reaches the supervisor alone, and writes to its log file. After an exit that
 * nobody asked for it is started again, at first after PART_BACKOFF_MIN_MS, then twice as late
 * each time up to PART_BACKOFF_MAX_MS; a run of PART_STEADY_MS forgets that.
 */
#pragma once

#include "err/err.h"

#include <sys/types.h>

#define PART_BACKOFF_MIN_MS 100
#define PART_BACKOFF_MAX_MS 5000
#define PART_STEADY_MS 10000

enum part_state {
    PART_STOPPED, /* not started, or stopped because we asked */
    PART_STARTING,
    PART_READY,   /* has been ready since its last start */
    PART_BACKOFF, /* exited; starts again at next_ms */
};

struct part {
    const char *name;  /* "registry" */
    char **argv;       /* argv[0]: the program's path */
    char **env;        /* "NAME=value", added to the supervisor's; NULL-ended */
    char *log;         /* path */
    char *address;     /* for people */
    unsigned phase;    /* stopping goes from the highest to 0 */
    int stop_signal;   /* SIGTERM, SIGINT */
    int death_signal;  /* when the supervisor is killed */
    int64_t stop_ms;   /* then SIGKILL */
    int port;          /* of the probe */
    const char *probe; /* "/readyz"; NULL: ask is used */
    /* Ready? Called often, must not block. */
    bool (*ask)(const struct part *part);
    /* In the child, instead of executing argv; does not return. */
    void (*enter)(void *arg);
    void *arg; /* of ask and enter */

    /* kept here */
    enum part_state state;
    pid_t pid;          /* 0: none */
    int64_t started_ms; /* Unix epoch */
    int64_t started_at; /* monotonic */
    int64_t next_ms;    /* monotonic; of PART_BACKOFF */
    int64_t backoff_ms;
    unsigned restarts;
    int last_status; /* waitpid()'s */
};

/* ERR_UNAVAILABLE when no process could be made; the part is then in PART_BACKOFF. */
MUST_CHECK enum err_code part_start(struct part *part, struct err *err);
/* Its process ended with status; restart: nobody asked for that. */
void part_exited(struct part *part, int status, bool restart);
/* Ask a starting part; true when it has just become ready. */
bool part_probe(struct part *part);
/* Nothing will make it start: it refused its configuration or could not be executed. */
bool part_hopeless(const struct part *part);
/* "exit code 2", "signal 9 (Killed)" in a caller's buffer. */
void part_describe_exit(int status, char text[64]);
/* Keep the log bounded: past max_bytes its content moves to LOG.1. */
void part_rotate_log(const struct part *part, int64_t max_bytes);
const char *part_state_name(enum part_state state);
/* Frees what the struct owns (argv, env, log, address), not the struct. */
void part_done(struct part *part);
