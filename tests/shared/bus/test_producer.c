/* SPDX-License-Identifier: Apache-2.0 */
/* test_producer.c - what is produced arrives whole, in order and once, or is reported; on real Kafka and on the
 * embedded bus. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct fixture bus;
static struct err err;

TestSuite(bus_producer, .timeout = 120);

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
    struct bus_reader *r = fixture_reader(&bus, NULL);
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

Test(bus_producer, messages_arrive_whole_on_kafka)
{
    fixture_kafka(&bus);
    check_message();
    fixture_close(&bus);
}

Test(bus_producer, messages_arrive_whole_on_the_embedded_bus)
{
    fixture_devbus(&bus);
    check_message();
    fixture_close(&bus);
}

Test(bus_producer, a_bus_that_came_back_has_another_id)
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

Test(bus_producer, a_producer_learns_of_another_cluster)
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

Test(bus_producer, what_was_produced_while_the_bus_was_away_arrives)
{
    struct bus_message m = {.topic = "modelbus.registry", .partition = -1, .value_len = 4};
    struct sent s;

    fixture_devbus(&bus);
    struct bus_reader *r = fixture_reader(&bus, NULL);
    sent_open(&s, &bus);
    m.value = "warm";
    sent_message(&s, &m);
    sent_wait(&s, 1);
    fixture_kill(&bus);
    m.value = "away";
    sent_message(&s, &m);
    cr_assert_not(bus_producer_flush(s.producer, 100));
    fixture_restart(&bus);
    sent_wait(&s, 2);
    cr_assert_not(bus_producer_fatal(s.producer));
    fixture_assign(&bus, r, BUS_OFFSET_BEGINNING);
    fixture_expect_text(r, "away");
    bus_producer_free(s.producer);
    bus_reader_free(r);
    fixture_close(&bus);
}

Test(bus_producer, freeing_a_producer_reports_what_is_left)
{
    struct bus_message m = {.topic = "modelbus.registry", .partition = -1};
    struct sent s;

    fixture_devbus(&bus);
    sent_open(&s, &bus);
    fixture_kill(&bus);
    for (int i = 0; i < 3; i++)
        sent_message(&s, &m);
    bus_producer_free(s.producer);
    cr_assert_eq(s.delivered, 0);
    cr_assert_eq(s.failed, 3);
    cr_assert_eq(s.err.code, ERR_CANCELLED, "%s", s.err.message);
}

Test(bus_producer, a_key_always_goes_to_one_partition)
{
    struct bus_topic topic = {.partitions = 4, .replication = 1};
    struct bus_position p[4] = {0};
    char name[160];
    struct sent s;

    fixture_kafka(&bus);
    snprintf(name, sizeof(name), "%s-keys", bus.topic);
    topic.name = name;
    cr_assert_eq(bus_create_topics(&bus.options, &topic, 1, WAIT_MS, &err), ERR_OK, "%s",
                 err.message);
    sent_open(&s, &bus);
    for (int i = 0; i < 40; i++)
        sent_message(&s, &(struct bus_message){
                             .topic = name, .partition = -1, .key = &"abcd"[i % 4], .key_len = 1});
    sent_wait(&s, 40);
    bus_producer_free(s.producer);
    struct bus_reader *r = fixture_reader(&bus, NULL);
    for (int i = 0; i < 4; i++) {
        snprintf(p[i].topic, sizeof(p[i].topic), "%s", name);
        p[i].partition = i;
        p[i].offset = BUS_OFFSET_BEGINNING;
    }
    cr_assert_eq(bus_reader_assign(r, p, 4, &err), ERR_OK, "%s", err.message);
    int32_t partition_of[4] = {-1, -1, -1, -1};
    for (int i = 0; i < 40; i++) {
        struct bus_message m;
        void *handle;

        cr_assert_eq(fixture_next(r, &m, &handle), BUS_MESSAGE);
        int32_t *partition = &partition_of[*(const char *)m.key - 'a'];
        cr_assert(*partition < 0 || *partition == m.partition);
        *partition = m.partition;
        bus_message_done(handle);
    }
    bus_reader_free(r);
    fixture_delete(&bus, name);
    fixture_close(&bus);
}

/* The first request is refused while a second could be on its way: nothing is lost, and the order stays. */
Test(bus_producer, a_refused_first_request_is_not_lost)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[64];
    struct bus_message m = {.topic = "t", .value = text};
    struct bus_position start = {.topic = "t", .offset = BUS_OFFSET_BEGINNING};
    struct fixture mock = {.topic = "t", .options = {.fetch_wait_ms = 10}};
    struct sent s;

    rd_kafka_conf_set_log_cb(conf, NULL);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(rk, 1);
    mock.options.brokers = rd_kafka_mock_cluster_bootstraps(cluster);
    rd_kafka_mock_topic_create(cluster, "t", 1, 1);
    sent_open(&s, &mock);
    m.value_len = (size_t)snprintf(text, sizeof(text), "warm");
    sent_message(&s, &m);
    sent_wait(&s, 1);
    rd_kafka_mock_broker_set_rtt(cluster, 1, 100);
    rd_kafka_mock_push_request_errors(cluster, 0 /* Produce */, 1,
                                      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    for (int i = 0; i < 5; i++) {
        m.value_len = (size_t)snprintf(text, sizeof(text), "cold %d", i);
        sent_message(&s, &m);
        bus_producer_poll(s.producer, 20);
    }
    sent_wait(&s, 6);
    bus_producer_free(s.producer);

    struct bus_reader *r;
    rd_kafka_mock_broker_set_rtt(cluster, 1, 0);
    cr_assert_eq(bus_reader_open(&r, &mock.options, NULL, &err), ERR_OK, "%s", err.message);
    cr_assert_eq(bus_reader_assign(r, &start, 1, &err), ERR_OK, "%s", err.message);
    fixture_expect_text(r, "warm");
    for (int i = 0; i < 5; i++) {
        snprintf(text, sizeof(text), "cold %d", i);
        fixture_expect_text(r, text);
    }
    bus_reader_free(r);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(rk);
}

Test(bus_producer, what_is_too_large_is_not_produced)
{
    static struct bus_header headers[BUS_HEADERS_MAX + 1];
    CLEANUP(mem_free) char *value = mem_zalloc(BUS_MESSAGE_MAX + 1);
    struct bus_options options = {.brokers = "127.0.0.1:1"};
    struct fixture nowhere = {.options = options};
    struct sent s;

    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        headers[i] = (struct bus_header){"name", "value", 5};
    sent_open(&s, &nowhere);
    cr_assert_eq(bus_produce(s.producer,
                             &(struct bus_message){
                                 .topic = "t", .value = value, .value_len = BUS_MESSAGE_MAX + 1},
                             NULL, &err),
                 ERR_TOO_LARGE);
    cr_assert_eq(bus_produce(s.producer,
                             &(struct bus_message){.topic = "t",
                                                   .headers = headers,
                                                   .header_count = ARRAY_LEN(headers)},
                             NULL, &err),
                 ERR_TOO_LARGE);
    bus_producer_free(s.producer);
    cr_assert_eq(s.failed, 0, "nothing was taken");
}
