/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work.h - what workers ask: more to do, and what becomes of what they do.
 *
 * A lease is the id of an attempt. It is extended by every poll that names it, and over WORK_LEASE_MS after
 * the last one (which waits a third of that at most); whoever finishes an attempt with a lease that is over is refused. Leasing locks the
 * worker's row, so that two requests of one worker share its capacity, and takes attempts that nobody
 * has locked.
 *
 * A lease in an answer that got lost is handed out again: the worker has it in the table, but a poll that
 * came WORK_LOST_REPLY_MS after it was handed out does not name it. (So a worker passes over a lease that it
 * knows already.) Another instance of a worker's name takes over: what the former one held is lost at
 * once, and its polls are refused.
 */
#pragma once

#include "changes.h"

#define WORK_LEASE_MS 30000
#define WORK_LOST_REPLY_MS 10000
#define WORK_POLL_MAX_MS 30000
#define WORK_SEEN_MS 60000   /* who was heard of less long ago asks for tasks */
#define WORK_BATCH 32        /* leases of one answer */
#define WORK_LEASES_MAX 1000 /* that a poll names */
#define WORK_ENDINGS_MAX 100 /* that a worker reports together */
#define WORK_FRESH_MS 5000   /* what was written down less long ago is not written again */
#define WORK_STOP_MS                                                                               \
    10000 /* a worker ends its tasks in time by itself; the service asks this much later */

typedef Modelbus__Pipeline__V1__PollTasksRequest PollRequest;
typedef Modelbus__Pipeline__V1__PollTasksResponse PollResponse;
typedef Modelbus__Pipeline__V1__FinishTasksRequest FinishRequest;
typedef Modelbus__Pipeline__V1__FinishTasksResponse FinishResponse;
typedef Modelbus__Pipeline__V1__TaskEnding TaskEnding;

/* received_ms: when the poll came (Unix epoch), which may be some time before now. ERR_PRECONDITION: another
 * instance has taken over. */
MUST_CHECK enum err_code work_poll(const struct change *change, const PollRequest *request,
                                   int64_t received_ms, PollResponse *response, struct err *err);
/* All that are not refused, or none. Refused is an ending whose lease is lost; the same again is not. */
MUST_CHECK enum err_code work_finish(const struct change *change, const FinishRequest *request,
                                     FinishResponse *response, struct err *err);
