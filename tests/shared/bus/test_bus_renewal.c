/* SPDX-License-Identifier: Apache-2.0 */
/* test_bus_renewal.c - a reader outlives topics that are deleted and made anew, on real Kafka. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <poll.h>

static struct fixture bus;
static struct err err;

TestSuite(bus_renewal, .timeout = 120);

/* The bounds are [0, high) within WAIT_MS; until then the reader may say that they cannot be had. */
static void
wait_bounds(struct bus_reader *r, int64_t high)
{
    int64_t deadline = fixture_now_ms() + WAIT_MS;
    int64_t low = -1, end = -1;

    while (bus_reader_bounds(r, bus.topic, 0, 1000, &low, &end, &err) || end != high) {
        cr_assert_lt(fixture_now_ms(), deadline, "%s, end %lld", err.message, (long long)end);
        poll(NULL, 0, 50);
    }
    cr_assert_eq(low, 0);
}

static void
make_anew(void)
{
    struct bus_topic topic = {.name = bus.topic, .partitions = 1, .replication = 1};
    int64_t deadline = fixture_now_ms() + WAIT_MS;

    fixture_delete(&bus, bus.topic);
    while (bus_create_topics(&bus.options, &topic, 1, WAIT_MS, &err))
        cr_assert_lt(fixture_now_ms(), deadline, "%s", err.message);
}

Test(bus_renewal, a_reader_knows_topics_that_are_made_anew_while_it_lives)
{
    struct bus_reader *r;
    int32_t count;

    fixture_kafka(&bus);
    cr_assert_eq(bus_reader_open(&r, &bus.options, NULL, &err), ERR_OK, "%s", err.message);
    sent_texts(&bus, "old", 1);
    wait_bounds(r, 1);
    for (int n = 2; n < 6; n++) {
        make_anew();
        sent_texts(&bus, "new", n);
        /* Its client takes notice of the topic's new id. */
        cr_assert_eq(bus_reader_partitions(r, bus.topic, WAIT_MS, &count, &err), ERR_OK, "%s",
                     err.message);
        wait_bounds(r, n);
        fixture_assign(&bus, r, 0);
        fixture_expect_text(r, "new 0");
    }
    bus_reader_free(r);
    fixture_close(&bus);
}
