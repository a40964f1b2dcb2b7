/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.h - W3C trace context (https://www.w3.org/TR/trace-context/, level 1).
 *
 * Every event and query carries traceparent; a hop keeps the trace id and makes a new
 * span id. The current trace is a property of the thread: dispatch loops set it before
 * a handler and clear it after, publishing and rpc clients read it.
 */
#pragma once

#include "err/err.h"

#define TRACE_PARENT_LEN 55 /* "00-" 32 hex "-" 16 hex "-" 2 hex */

struct trace {
    char trace_id[33]; /* empty: no trace */
    char span_id[17];
    bool sampled;
};

/* False (and *trace empty) when text is NULL or malformed: start a new one then. */
bool trace_parse(const char *text, struct trace *trace);
void trace_start(struct trace *trace);                             /* new random ids */
void trace_child(const struct trace *parent, struct trace *child); /* new span */
void trace_format(const struct trace *trace, char text[TRACE_PARENT_LEN + 1]);

/* The thread's trace; also sets the log's. NULL clears. Copied. */
void trace_set_current(const struct trace *trace);
const struct trace *trace_current(void); /* NULL when none */
