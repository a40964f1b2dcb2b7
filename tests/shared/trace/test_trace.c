/* SPDX-License-Identifier: Apache-2.0 */
/* test_trace.c - the traceparent header as the W3C specification has it. */
#include "trace/trace.h"

#include <criterion/criterion.h>
#include <string.h>

#define EXAMPLE "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

Test(trace, parse_and_format_round_trip)
{
    struct trace trace;
    char text[TRACE_PARENT_LEN + 1];

    cr_assert(trace_parse(EXAMPLE, &trace));
    cr_assert_str_eq(trace.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    cr_assert_str_eq(trace.span_id, "00f067aa0ba902b7");
    cr_assert(trace.sampled);
    trace_format(&trace, text);
    cr_assert_str_eq(text, EXAMPLE);
}

Test(trace, every_truncation_is_malformed)
{
    struct trace trace;
    char text[sizeof(EXAMPLE)];

    for (size_t n = 0; n < TRACE_PARENT_LEN; n++) {
        memcpy(text, EXAMPLE, n);
        text[n] = '\0';
        cr_assert_not(trace_parse(text, &trace), "%s", text);
        cr_assert_eq(trace.trace_id[0], '\0');
    }
    cr_assert_not(trace_parse(NULL, &trace));
}

Test(trace, malformed_headers)
{
    static const char *const bad[] = {
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",   /* upper case */
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",   /* zero trace */
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",   /* zero span */
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",   /* version ff */
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", /* 00 has no more */
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
    };
    struct trace trace;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_assert_not(trace_parse(bad[i], &trace), "%s", bad[i]);
}

Test(trace, later_versions_may_have_more_fields)
{
    struct trace trace;

    cr_assert(trace_parse("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02-what", &trace));
    cr_assert_not(trace.sampled);
}

Test(trace, a_child_keeps_the_trace_and_has_its_own_span)
{
    struct trace parent, child;

    trace_start(&parent);
    trace_child(&parent, &child);
    cr_assert_eq(strlen(parent.trace_id), 32);
    cr_assert_str_eq(parent.trace_id, child.trace_id);
    cr_assert_str_neq(parent.span_id, child.span_id);
}

Test(trace, the_current_trace_is_copied_and_cleared)
{
    struct trace trace;

    cr_assert_null(trace_current());
    trace_start(&trace);
    trace_set_current(&trace);
    cr_assert_str_eq(trace_current()->span_id, trace.span_id);
    cr_assert_neq(trace_current(), &trace);
    trace_set_current(NULL);
    cr_assert_null(trace_current());
}
