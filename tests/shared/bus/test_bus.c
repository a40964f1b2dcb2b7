/* SPDX-License-Identifier: Apache-2.0 */
/* test_bus.c - producer, reader and topics on real Kafka and on the embedded bus. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
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

/* ---- another cluster at the same address ---- */

/* The new cluster has messages at the old positions too: none of them may pass for the next one. */
static void
come_back(struct bus_reader *r, const char *what, int count)
{
    struct bus_message m;
    void *handle;
    char text[64];

    fixture_kill(&bus);
    fixture_restart(&bus);
    sent_texts(&bus, what, count);
    cr_assert_eq(fixture_next(r, &m, &handle), BUS_CLUSTER_CHANGED, "%s", what);
    fixture_assign(&bus, r, BUS_OFFSET_BEGINNING);
    for (int i = 0; i < count; i++) {
        snprintf(text, sizeof(text), "%s %d", what, i);
        fixture_expect_text(r, text);
    }
}

Test(bus, a_bus_that_came_back_empty_is_another_cluster)
{
    fixture_devbus(&bus);
    struct bus_reader *r = open_reader(NULL);
    char before[128], after[128];

    sent_texts(&bus, "old", 2);
    fixture_assign(&bus, r, BUS_OFFSET_BEGINNING);
    fixture_expect_text(r, "old 0");
    fixture_expect_text(r, "old 1");
    cr_assert_eq(bus_reader_cluster(r, WAIT_MS, before, sizeof(before), &err), ERR_OK);
    come_back(r, "more than before", 5);
    cr_assert_eq(bus_reader_cluster(r, WAIT_MS, after, sizeof(after), &err), ERR_OK);
    cr_assert_str_neq(before, after);
    come_back(r, "as many as before", 5);
    come_back(r, "fewer than before", 1);
    bus_reader_free(r);
    fixture_close(&bus);
}

Test(bus, a_bus_that_came_back_has_another_id)
{
    enum { STARTS = 20 };
    char ids[STARTS][128];

    fixture_devbus(&bus);
    for (int i = 0; i < STARTS; i++) {
        struct sent s;

        if (i > 0) {
            fixture_kill(&bus);
            fixture_restart(&bus);
        }
        sent_open(&s, &bus);
        cr_assert_eq(bus_producer_cluster(s.producer, WAIT_MS, ids[i], sizeof(ids[i]), &err),
                     ERR_OK, "%s", err.message);
        bus_producer_free(s.producer);
        for (int k = 0; k < i; k++)
            cr_assert_str_neq(ids[i], ids[k], "starts %d and %d", k, i);
    }
    fixture_close(&bus);
}

Test(bus, a_producer_learns_of_another_cluster)
{
    char before[128], after[128];
    struct sent s;

    fixture_devbus(&bus);
    sent_open(&s, &bus);
    cr_assert_eq(bus_producer_cluster(s.producer, WAIT_MS, before, sizeof(before), &err), ERR_OK);
    fixture_kill(&bus);
    fixture_restart(&bus);
    int64_t deadline = fixture_now_ms() + WAIT_MS;
    do {
        bus_producer_poll(s.producer, 50);
        cr_assert_lt(fixture_now_ms(), deadline);
    } while (bus_producer_cluster(s.producer, 100, after, sizeof(after), &err) ||
             strcmp(before, after) == 0);
    bus_producer_free(s.producer);
    fixture_close(&bus);
}

/* ---- offsets ---- */

/* Committed offset of a group, as a lag tool asks for it; -1001: none. */
static int64_t
committed(const char *group)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set(conf, "bootstrap.servers", bus.brokers, text, sizeof(text));
    rd_kafka_conf_set(conf, "group.id", group, text, sizeof(text));
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    cr_assert_not_null(rk, "%s", text);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, bus.topic, 0);
    rd_kafka_resp_err_t code = rd_kafka_committed(rk, list, WAIT_MS);
    int64_t offset = code ? -1001 : list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
    return offset;
}

Test(bus, lag_tools_see_what_was_reported)
{
    struct bus_position p = {.offset = 2};
    char group[160];

    fixture_kafka(&bus);
    snprintf(group, sizeof(group), "%s.group", bus.topic);
    snprintf(p.topic, sizeof(p.topic), "%s", bus.topic);
    struct bus_reader *r = open_reader(group);
    sent_texts(&bus, "text", 3);
    fixture_assign(&bus, r, BUS_OFFSET_BEGINNING);
    fixture_expect_text(r, "text 0");
    fixture_expect_text(r, "text 1");
    int64_t deadline = fixture_now_ms() + WAIT_MS;
    do {
        bus_reader_report(r, &p, 1);
        cr_assert_lt(fixture_now_ms(), deadline);
    } while (committed(group) != 2);
    fixture_expect_text(r, "text 2");
    bus_reader_free(r);
    fixture_close(&bus);
}

/* An offset outside of the log; the reader goes on after a new assignment. */
static void
lose(struct bus_reader *r, int64_t offset, const char *next)
{
    struct bus_message m;
    void *handle;

    fixture_assign(&bus, r, offset);
    cr_assert_eq(fixture_next(r, &m, &handle), BUS_OFFSET_LOST);
    cr_assert_str_eq(m.topic, bus.topic);
    cr_assert_eq(m.partition, 0);
    fixture_assign(&bus, r, BUS_OFFSET_BEGINNING);
    fixture_expect_text(r, next);
}

/* Delete what is before offset, as retention does. */
static void
delete_before(int64_t offset)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set(conf, "bootstrap.servers", bus.brokers, text, sizeof(text));
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    cr_assert_not_null(rk, "%s", text);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, bus.topic, 0)->offset = offset;
    rd_kafka_DeleteRecords_t *records = rd_kafka_DeleteRecords_new(list);
    rd_kafka_DeleteRecords(rk, &records, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);
    cr_assert(event && !rd_kafka_event_error(event));
    rd_kafka_event_destroy(event);
    rd_kafka_DeleteRecords_destroy(records);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
}

Test(bus, an_offset_outside_of_the_log_is_lost_on_kafka)
{
    int64_t low, high;

    fixture_kafka(&bus);
    struct bus_reader *r = open_reader(NULL);
    sent_texts(&bus, "text", 5);
    lose(r, 1000, "text 0");
    delete_before(3);
    lose(r, 1, "text 3");
    cr_assert_eq(bus_reader_bounds(r, bus.topic, 0, WAIT_MS, &low, &high, &err), ERR_OK);
    cr_assert_eq(low, 3);
    cr_assert_eq(high, 5);
    bus_reader_free(r);
    fixture_close(&bus);
}

Test(bus, an_offset_outside_of_the_log_is_lost_on_the_embedded_bus)
{
    fixture_devbus(&bus);
    struct bus_reader *r = open_reader(NULL);
    sent_texts(&bus, "text", 2);
    lose(r, 1000, "text 0");
    bus_reader_free(r);
    fixture_close(&bus);
}
