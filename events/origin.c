/* SPDX-License-Identifier: Apache-2.0 */
/* origin.c - the thread's cause; the trace's own module holds the thread's trace. */
#include "origin.h"

#include <string.h>

static _Thread_local char cause[EVENT_ID_MAX + 1];

void
event_origin_enter(const struct event_envelope *envelope)
{
    struct trace parent, hop;

    if (trace_parse(envelope->traceparent, &parent))
        trace_child(&parent, &hop);
    else
        trace_start(&hop);
    trace_set_current(&hop);
    memcpy(cause, envelope->id, sizeof(cause));
}

void
event_origin_set(const struct event_origin *origin)
{
    trace_set_current(origin && *origin->trace.trace_id ? &origin->trace : NULL);
    if (origin)
        memcpy(cause, origin->cause, sizeof(cause));
    else
        cause[0] = '\0';
}

struct event_origin
event_origin(void)
{
    const struct trace *trace = trace_current();
    struct event_origin origin = {0};

    memcpy(origin.cause, cause, sizeof(cause));
    if (trace)
        origin.trace = *trace;
    return origin;
}

const char *
event_origin_cause(void)
{
    return cause;
}
