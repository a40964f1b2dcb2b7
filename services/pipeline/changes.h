/* SPDX-License-Identifier: Apache-2.0 */
/*
 * changes.h - what people, time and events do to pipelines and their runs; each in the caller's
 * transaction.
 */
#pragma once

#include "advance.h"

#define CHANGE_DEPTH_MAX 8  /* runs in a chain of which each was triggered by the one before */
#define CHANGE_BACKFILL 100 /* runs of a backfill */
#define CHANGE_BACKFILL_MAX 10000
#define CHANGE_PIPELINES_MAX 10000 /* of a workspace */
/* A cron time is missed when it is older than this; until then it is only late. */
#define CHANGE_MISSED_MS 60000

bool same_message(const ProtobufCMessage *a, const ProtobufCMessage *b, struct arena *arena);

/* ---- pipelines ---- */

/* *outcome "created", "changed" or "unchanged". dry_run: only checks. ERR_INVALID, ERR_TOO_LARGE. */
MUST_CHECK enum err_code change_apply(const struct change *change, const char *text, bool dry_run,
                                      const char **outcome, const char **name, struct err *err);
MUST_CHECK enum err_code change_pause(const struct change *change, const char *name, bool paused,
                                      struct err *err);
/* ERR_PRECONDITION: runs are active. */
MUST_CHECK enum err_code change_delete(const struct change *change, const char *name,
                                       struct err *err);

/* ---- runs start ---- */

struct start {
    const Definition *definition;
    int64_t version;
    Cause *cause;
    const struct parameter_given *given;
    size_t given_count;
    const char *by;
    int64_t depth;
    const char *traceparent; /* NULL: the thread's trace, or a new one */
    bool serial;             /* waits while another run of a pipeline that forbids it is active */
};
enum started {
    STARTED,
    STARTED_TO_WAIT, /* it begins when the runs that it replaces have ended, by the scheduler */
    STARTED_BEFORE,  /* its time or event has a run */
    START_FORBIDDEN, /* *run is the one that is active */
};
/* Add a run, which begins with change_begin() or by the scheduler. The pipeline is locked. ERR_INVALID: parameters.
 */
MUST_CHECK enum err_code change_start(const struct change *change, const struct start *start,
                                      const char **run, enum started *outcome, struct err *err);
MUST_CHECK enum err_code change_begin(const struct change *change, const char *run,
                                      struct err *err);
/* By hand: started and begun. ERR_PRECONDITION: the pipeline forbids it now. */
MUST_CHECK enum err_code change_start_by_hand(const struct change *change, const char *name,
                                              int64_t version, const struct parameter_given *given,
                                              size_t count, const char **run, struct err *err);
struct backfill {
    const char *name, *trigger;
    int64_t from_ms, to_ms;
    uint32_t max_runs;
    const struct parameter_given *given;
    size_t given_count;
};
/* ERR_PRECONDITION: more times than max_runs; nothing is started. */
MUST_CHECK enum err_code change_backfill(const struct change *change,
                                         const struct backfill *backfill, const char ***runs,
                                         size_t *count, uint32_t *skipped, struct err *err);
/* Fire the triggers of a locked pipeline whose time has come. */
MUST_CHECK enum err_code change_fire_cron(const struct change *change, const char *pipeline,
                                          struct err *err);

/*
 * What the pipeline says of runs at the same time, before one more becomes active; the pipeline is locked.
 * *forbidden: the active run that forbids it, or NULL. Runs that are to be replaced are cancelled; *wait: they have
 * not ended yet.
 */
MUST_CHECK enum err_code change_make_room(const struct change *change, const Definition *definition,
                                          const char **forbidden, bool *wait, struct err *err);
/* ERR_PRECONDITION, and what to do. */
enum err_code change_forbidden(const char *pipeline, const char *active, struct err *err);

/* ---- runs go on ---- */

MUST_CHECK enum err_code change_cancel(const struct change *change, const char *run,
                                       const char *reason, struct err *err);
/* ERR_PRECONDITION: as advance_resume(), or the pipeline forbids it now. */
MUST_CHECK enum err_code change_resume(const struct change *change, const char *run,
                                       const char *task, struct err *err);
/* A lease is over. Nothing happens when it was extended, or its attempt has ended. */
MUST_CHECK enum err_code change_lose(const struct change *change, const char *run,
                                     const char *lease, struct err *err);
