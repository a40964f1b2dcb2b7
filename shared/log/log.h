/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - one JSON object a line on standard error.
 *
 *     log_info("relay published", LOG_STR("topic", topic), LOG_INT("events", n));
 *     log_error("handler failed", LOG_ERR(&err), LOG_STR("event_id", id));
 *
 * Every line carries ts (RFC 3339, UTC, ms), level, service, msg, and trace_id when
 * the thread has a trace (trace/trace.h sets it). The message is a constant; what
 * varies goes into fields. Any thread; lines never interleave. Only dispatch loops
 * and main() log (see err.h). Secrets are never fields.
 */
#pragma once

#include "err/err.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
    const char *name; /* NULL ends the list */
    enum { LOG_KIND_STR, LOG_KIND_INT, LOG_KIND_DOUBLE, LOG_KIND_BOOL, LOG_KIND_ERR } kind;
    union {
        const char *s;
        int64_t i;
        double d;
        const struct err *err;
    } value;
};

#define LOG_STR(n, v) ((struct log_field){.name = (n), .kind = LOG_KIND_STR, .value.s = (v)})
#define LOG_INT(n, v)                                                                              \
    ((struct log_field){.name = (n), .kind = LOG_KIND_INT, .value.i = (int64_t)(v)})
#define LOG_DOUBLE(n, v) ((struct log_field){.name = (n), .kind = LOG_KIND_DOUBLE, .value.d = (v)})
#define LOG_BOOL(n, v) ((struct log_field){.name = (n), .kind = LOG_KIND_BOOL, .value.i = !!(v)})
/* Two fields: error (the code's name) and detail (the message). */
#define LOG_ERR(e) ((struct log_field){.name = "error", .kind = LOG_KIND_ERR, .value.err = (e)})

/* service is borrowed for the life of the process. Default level: LOG_INFO. */
void log_init(const char *service, enum log_level level);
void log_set_level(enum log_level level);
MUST_CHECK enum err_code log_level_parse(const char *text, enum log_level *level, struct err *err);
bool log_enabled(enum log_level level);

void log_write(enum log_level level, const char *msg, const struct log_field *fields);

/* The trace id (32 hex digits, copied) that this thread's lines carry; NULL: none. */
void log_set_trace(const char *trace_id);

#define LOG_AT(level, msg, ...)                                                                    \
    (log_enabled(level)                                                                            \
         ? log_write(level, msg,                                                                   \
                     (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.name = NULL}})         \
         : (void)0)
#define log_debug(...) LOG_AT(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) LOG_AT(LOG_INFO, __VA_ARGS__)
#define log_warn(...) LOG_AT(LOG_WARN, __VA_ARGS__)
#define log_error(...) LOG_AT(LOG_ERROR, __VA_ARGS__)
