/* SPDX-License-Identifier: Apache-2.0 */
/*
 * advance.h - a run goes on: one transition, under the lock of its row, in the caller's transaction.
 *
 *     struct advance a;
 *     if (advance_open(&a, change, run, err) || advance_…(&a, …, err) || advance_close(&a, err))
 *         return err->code;
 *
 * The transition happens at a->change->now_ms, which is read under the lock and so never lies before what the
 * run has written down. What has happened is written down by the calls in the middle; advance_close() then
 * asks plan.h what comes next, starts it, ends the run when nothing is left, and says the events. All are said
 * in the trace of what started the run.
 */
#pragma once

#include "pipeline.h"
#include "spec.h"

#define ADVANCE_LOSSES_MAX 10              /* attempts at an item that may be lost */
#define ADVANCE_TIMEOUT "its time is over" /* reason of attempts and runs; such a run has failed */

/* An attempt that was made ready. */
struct advance_made {
    const char *lease;
    struct advance_made *next;
};

struct advance {
    const struct change *change; /* the caller's, at the time of the transition */
    struct run *run;
    struct plan *plan;
    struct task_row *rows;
    struct spec spec;
    struct advance_made *made; /* what can be leased now */
    bool silent;               /* the caller says that it can */
    bool stopping;             /* a worker must be told */
    int64_t due_ms;            /* a retry; INT64_MAX: none */
};
/* Locks the run. ERR_NOT_FOUND. */
MUST_CHECK enum err_code advance_open(struct advance *a, const struct change *change,
                                      const char *run, struct err *err);
/* A run that has not begun, or was resumed: its time counts from now on. Of a new one the tasks are made. */
MUST_CHECK enum err_code advance_begin(struct advance *a, struct err *err);
/* A running attempt, locked, has ended as ending says: "succeeded", "failed", "cancelled", "lost". What follows is
 * another attempt, or the end of its item. */
MUST_CHECK enum err_code advance_end(struct advance *a, const struct attempt *attempt,
                                     const struct ending *ending, struct err *err);
/* The run is to end: what is ready ends at once, what runs is told to. ERR_PRECONDITION: it has ended. Nothing
 * happens when it is being cancelled already. */
MUST_CHECK enum err_code advance_cancel(struct advance *a, const char *reason, struct err *err);
/* task NULL: whatever did not succeed. It goes on after advance_begin(), now or when its turn has come.
 * ERR_PRECONDITION: it has not ended, or all succeeded. */
MUST_CHECK enum err_code advance_resume(struct advance *a, const char *task, struct err *err);
MUST_CHECK enum err_code advance_close(struct advance *a, struct err *err);

/* Said in the run's trace, as caused by the event (its id, or "") that the run came of. */
MUST_CHECK enum err_code advance_say(const struct change *change, const char *traceparent,
                                     const char *cause, const ProtobufCMessage *event,
                                     struct err *err);
