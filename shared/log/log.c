/* SPDX-License-Identifier: Apache-2.0 */
/* log.c - formats a line in a per-call buffer and writes it with one write(2). */
#include "log/log.h"

#include "buf/buf.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *service_name = "modelbus";
static atomic_int threshold = LOG_INFO;
static _Thread_local char trace[33];

void
log_init(const char *service, enum log_level level)
{
    service_name = service;
    atomic_store(&threshold, level);
}

void
log_set_level(enum log_level level)
{
    atomic_store(&threshold, level);
}

enum err_code
log_level_parse(const char *text, enum log_level *level, struct err *err)
{
    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return ERR_OK;
        }
    }
    return err_set(err, ERR_INVALID, "log level '%s': use debug, info, warn or error", text);
}

bool
log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&threshold, memory_order_relaxed);
}

void
log_set_trace(const char *trace_id)
{
    snprintf(trace, sizeof(trace), "%s", trace_id ? trace_id : "");
}

static void
add_string(struct buf *line, const char *name, const char *value)
{
    buf_char(line, ',');
    buf_json_str(line, name, strlen(name));
    buf_char(line, ':');
    if (value)
        buf_json_str(line, value, strlen(value));
    else
        buf_str(line, "null");
}

static void
add_field(struct buf *line, const struct log_field *field)
{
    switch (field->kind) {
    case LOG_KIND_STR:
        add_string(line, field->name, field->value.s);
        break;
    case LOG_KIND_ERR:
        add_string(line, "error", err_name(field->value.err->code));
        add_string(line, "detail", field->value.err->message);
        break;
    case LOG_KIND_INT:
        buf_printf(line, ",\"%s\":%lld", field->name, (long long)field->value.i);
        break;
    case LOG_KIND_BOOL:
        buf_printf(line, ",\"%s\":%s", field->name, field->value.i ? "true" : "false");
        break;
    case LOG_KIND_DOUBLE:
        buf_printf(line, ",\"%s\":", field->name);
        if (isfinite(field->value.d))
            buf_double(line, field->value.d);
        else
            buf_str(line, "null");
        break;
    }
}

void
log_write(enum log_level level, const char *msg, const struct log_field *fields)
{
    CLEANUP(buf_done) struct buf line = {0};
    struct timespec now;
    struct tm utc;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    buf_printf(
        &line,
        "{\"ts\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ\",\"level\":\"%s\",\"service\":\"%s\"",
        utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
        now.tv_nsec / 1000000, level_names[level], service_name);
    add_string(&line, "msg", msg);
    for (; fields && fields->name; fields++)
        add_field(&line, fields);
    if (trace[0])
        add_string(&line, "trace_id", trace);
    buf_str(&line, "}\n");
    /* One write, so that lines of several threads and processes never mix. A log
     * that cannot be written has nowhere to be reported. */
    if (write(STDERR_FILENO, line.data, line.len) < 0)
        return;
}
