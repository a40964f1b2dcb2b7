/* SPDX-License-Identifier: Apache-2.0 */
/* test_bus.c - producer, reader and topics on real Kafka and on the embedded bus. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct fixture bus;
static struct err err;

TestSuite(bus, .timeout = 120);

static struct bus_reader *
open_reader(const char *group)
{
    struct bus_reader *r;

    cr_assert_eq(bus_reader_open(&r, &bus.options, group, &err), ERR_OK, "%s", err.message);
    return r;
}

static void
check_message(void)
{
    const struct bus_header headers[] = {
        {"text", "value", 5}, {"bytes", "a\0b", 3}, {"empty", "", 0}};
    struct bus_message out = {.topic = bus.topic,
                              .partition = -1,
                              .key = "k\0y",
                              .key_len = 3,
                              .value = "v\0lue",
                              .value_len = 5,
                              .headers = headers,
                              .header_count = ARRAY_LEN(headers)};
    struct bus_reader *r = open_reader(NULL);
    struct bus_message m;
    struct sent s;
    void *handle;
    size_t len;

    out.timestamp_ms = time(NULL) * 1000LL + 123; /* an old one would fall to retention */
    sent_open(&s, &bus);
    sent_message(&s, &out);
    out.value = NULL;
    out.value_len = 0;
    sent_message(&s, &out);
    out.value = "";
    out.key = NULL;
    out.key_len = 0;
    sent_message(&s, &out);
    sent_wait(&s, 3);
    bus_producer_free(s.producer);

    fixture_assign(&bus, r, BUS_OFFSET_BEGINNING);
    cr_assert_eq(fixture_next(r, &m, &handle), BUS_MESSAGE);
    cr_assert_str_eq(m.topic, bus.topic);
    cr_assert_eq(m.partition, 0);
    cr_assert_eq(m.offset, 0);
    cr_assert_eq(m.timestamp_ms, out.timestamp_ms);
    cr_assert_eq(m.key_len, 3);
    cr_assert_arr_eq(m.key, "k\0y", 3);
    cr_assert_eq(m.value_len, 5);
    cr_assert_arr_eq(m.value, "v\0lue", 5);
    cr_assert_eq(m.header_count, 3);
    cr_assert_arr_eq(bus_header(&m, "bytes", &len), "a\0b", 3);
    cr_assert_eq(len, 3);
    cr_assert_not_null(bus_header(&m, "empty", &len));
    cr_assert_eq(len, 0);
    cr_assert_null(bus_header(&m, "other", &len));
    bus_message_done(handle);

    cr_assert_eq(fixture_next(r, &m, &handle), BUS_MESSAGE);
    cr_assert_null(m.value, "a tombstone");
    cr_assert_arr_eq(m.key, "k\0y", 3);
    bus_message_done(handle);

    cr_assert_eq(fixture_next(r, &m, &handle), BUS_MESSAGE);
    cr_assert_not_null(m.value, "empty is no tombstone");
    cr_assert_eq(m.value_len, 0);
    cr_assert_null(m.key);
    cr_assert_eq(m.offset, 2);
    bus_message_done(handle);
    bus_reader_free(r);
}

Test(bus, messages_arrive_whole_on_kafka)
{
    fixture_kafka(&bus);
    check_message();
    fixture_close(&bus);
}

Test(bus, messages_arrive_whole_on_the_embedded_bus)
{
    fixture_devbus(&bus);
    check_message();
    fixture_close(&bus);
}
