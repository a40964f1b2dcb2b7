/* SPDX-License-Identifier: Apache-2.0 */
/* A reader that closes with a report on its way to a bus that does not answer. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#define CLOSE_MS 10000 /* a report lives 2 s; a connection that fails is tried again within 1 s */

static struct fixture bus;
static struct err err;

/* One that has read and whose reports the bus has taken. */
static struct bus_reader *
reporting(struct bus_position *p)
{
    fixture_devbus(&bus);
    sent_texts(&bus, "text", 3);
    struct bus_reader *r = fixture_reader(&bus, "closes");
    fixture_assign(&bus, r, BUS_OFFSET_BEGINNING);
    fixture_expect_text(r, "text 0");
    *p = (struct bus_position){.offset = 1};
    snprintf(p->topic, sizeof(p->topic), "%s", bus.topic);
    cr_assert_eq(fixture_report(r, p, &err), BUS_REPORT_TAKEN, "%s", err.message);
    fixture_expect_text(r, "text 1");
    return r;
}

static void
closes(struct bus_reader *r)
{
    int64_t begin = fixture_now_ms();

    bus_reader_free(r);
    int64_t ms = fixture_now_ms() - begin;
    cr_expect_lt(ms, CLOSE_MS, "%lld ms", (long long)ms);
}

Test(bus_close, of_a_reader_that_reported_before_its_bus_was_killed)
{
    struct bus_position p;
    struct bus_reader *r = reporting(&p);

    kill(bus.devbus, SIGSTOP);
    bus_reader_report(r, &p, 1);
    poll(NULL, 0, 100); /* on its way */
    fixture_kill(&bus);
    poll(NULL, 0, 100); /* its connection's end is seen */
    closes(r);
}

Test(bus_close, of_a_reader_that_reported_after_its_bus_was_killed)
{
    struct bus_position p;
    struct bus_reader *r = reporting(&p);

    fixture_kill(&bus);
    bus_reader_report(r, &p, 1);
    closes(r);
}

Test(bus_close, of_a_reader_whose_bus_answers_nothing)
{
    struct bus_position p;
    struct bus_reader *r = reporting(&p);

    kill(bus.devbus, SIGSTOP);
    bus_reader_report(r, &p, 1);
    poll(NULL, 0, 100);
    closes(r);
    kill(bus.devbus, SIGCONT);
    fixture_close(&bus);
}
