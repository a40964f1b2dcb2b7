/* SPDX-License-Identifier: Apache-2.0 */
/*
 * origin.h - why a thread works: the event that it handles, and the trace that this belongs to.
 *
 * What is encoded on a thread while an event is its origin carries that event's id as ce_causationid
 * and goes on with its trace, so that a chain of events can be walked from the last one back to the
 * first. Consumers and followers enter the event around its handler and leave it after. Who goes
 * on with the work on another thread, or after a while, takes the origin along:
 *
 *     job->origin = event_origin();        in the handler
 *     event_origin_set(&job->origin);      where the job is done
 *     ...
 *     event_origin_set(NULL);
 *
 * A handler of a query has a trace and no event.
 */
#pragma once

#include "envelope.h"
#include "trace/trace.h"

struct event_origin {
    char cause[EVENT_ID_MAX + 1]; /* id of the event; empty: none */
    struct trace trace;           /* trace_id empty: none */
};

/* Begin to handle an event: a new span of its trace, or a new trace when it has none. */
void event_origin_enter(const struct event_envelope *envelope);
/* Go on with what was taken along; NULL: with nothing, which also clears the thread's trace. */
void event_origin_set(const struct event_origin *origin);
/* The thread's, to be taken along. */
struct event_origin event_origin(void);

/* Its cause alone, "" when there is none; valid until the next change on this thread. */
const char *event_origin_cause(void);
