/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - the W3C traceparent header and the thread's current trace. */
#include "trace/trace.h"

#include "crypto/crypto.h"
#include "log/log.h"

#include <stdio.h>
#include <string.h>

static _Thread_local struct trace current;

/* n lower-case hex digits; the specification forbids upper case. */
static bool
is_hex(const char *s, size_t n)
{
    return strspn(s, "0123456789abcdef") >= n;
}

static bool
all_zero(const char *s, size_t n)
{
    return strspn(s, "0") >= n;
}

bool
trace_parse(const char *text, struct trace *trace)
{
    *trace = (struct trace){0};
    size_t len = text ? strnlen(text, TRACE_PARENT_LEN + 1) : 0;
    if (len < TRACE_PARENT_LEN)
        return false;
    /* A later version may append fields after another dash; version 00 may not. */
    bool longer = len > TRACE_PARENT_LEN;
    if (longer && (memcmp(text, "00", 2) == 0 || text[TRACE_PARENT_LEN] != '-'))
        return false;
    if (!is_hex(text, 2) || memcmp(text, "ff", 2) == 0 || text[2] != '-' || text[35] != '-' ||
        text[52] != '-')
        return false;
    if (!is_hex(text + 3, 32) || all_zero(text + 3, 32) || !is_hex(text + 36, 16) ||
        all_zero(text + 36, 16) || !is_hex(text + 53, 2))
        return false;
    memcpy(trace->trace_id, text + 3, 32);
    memcpy(trace->span_id, text + 36, 16);
    /* The sampled flag is the lowest bit of the last digit. */
    trace->sampled = strchr("13579bdf", text[54]) != NULL;
    return true;
}

/* len bytes as hex; not all zero, which would mean "none". */
static void
random_id(char *hex, size_t len)
{
    uint8_t bytes[16];

    do {
        crypto_random(bytes, len);
        crypto_hex(bytes, len, hex);
    } while (all_zero(hex, 2 * len));
}

void
trace_start(struct trace *trace)
{
    random_id(trace->trace_id, 16);
    random_id(trace->span_id, 8);
    trace->sampled = true;
}

void
trace_child(const struct trace *parent, struct trace *child)
{
    *child = *parent;
    random_id(child->span_id, 8);
}

void
trace_format(const struct trace *trace, char text[TRACE_PARENT_LEN + 1])
{
    snprintf(text, TRACE_PARENT_LEN + 1, "00-%s-%s-%s", trace->trace_id, trace->span_id,
             trace->sampled ? "01" : "00");
}

void
trace_set_current(const struct trace *trace)
{
    current = trace ? *trace : (struct trace){0};
    log_set_trace(current.trace_id);
}

const struct trace *
trace_current(void)
{
    return current.trace_id[0] ? &current : NULL;
}
