/* SPDX-License-Identifier: Apache-2.0 */
/* test_reader.c - what a reader is told: messages, lost offsets, other clusters, outages; topics and bounds. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct fixture bus;
static struct err err;

TestSuite(bus_reader, .timeout = 120);

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

Test(bus_reader, a_bus_that_came_back_empty_is_another_cluster)
{
    fixture_devbus(&bus);
    struct bus_reader *r = fixture_reader(&bus, NULL);
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

Test(bus_reader, an_offset_outside_of_the_log_is_lost_on_kafka)
{
    int64_t low, high;

    fixture_kafka(&bus);
    struct bus_reader *r = fixture_reader(&bus, NULL);
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

Test(bus_reader, an_offset_outside_of_the_log_is_lost_on_the_embedded_bus)
{
    fixture_devbus(&bus);
    struct bus_reader *r = fixture_reader(&bus, NULL);
    sent_texts(&bus, "text", 2);
    lose(r, 1000, "text 0");
    bus_reader_free(r);
    fixture_close(&bus);
}

static void *
wake(void *arg)
{
    bus_reader_wake(arg);
    return NULL;
}

/* WAIT_MS is the poll's time too: when it was used up, nothing woke. */
static void
expect_woken(struct bus_reader *r)
{
    struct bus_message m;
    void *handle;
    int64_t start = fixture_now_ms();

    cr_assert_eq(bus_reader_poll(r, 2 * WAIT_MS, &m, &handle, &err), BUS_NOTHING);
    cr_assert_lt(fixture_now_ms() - start, WAIT_MS);
}

Test(bus_reader, wake_ends_a_poll_before_or_while_it_waits)
{
    fixture_devbus(&bus);
    struct bus_reader *r = fixture_reader(&bus, NULL);
    pthread_t thread;

    sent_texts(&bus, "text", 1);
    fixture_assign(&bus, r, BUS_OFFSET_BEGINNING);
    fixture_expect_text(r, "text 0");
    bus_reader_wake(r);
    expect_woken(r);
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(pthread_create(&thread, NULL, wake, r), 0);
        expect_woken(r);
        pthread_join(thread, NULL);
    }
    bus_reader_free(r);
    fixture_close(&bus);
}

Test(bus_reader, a_wake_hides_no_message)
{
    fixture_devbus(&bus);
    struct bus_reader *r = fixture_reader(&bus, NULL);

    sent_texts(&bus, "text", 2);
    fixture_assign(&bus, r, BUS_OFFSET_BEGINNING);
    bus_reader_wake(r);
    fixture_expect_text(r, "text 0");
    bus_reader_wake(r);
    fixture_expect_text(r, "text 1");
    bus_reader_free(r);
    fixture_close(&bus);
}

Test(bus_reader, a_bus_that_is_away_is_unavailable)
{
    char id[128];
    struct bus_message m;
    struct sent s;
    void *handle;
    int32_t count;
    int64_t low, high;

    fixture_devbus(&bus);
    fixture_kill(&bus);
    struct bus_reader *r = fixture_reader(&bus, NULL);
    sent_open(&s, &bus);
    cr_assert_eq(bus_producer_cluster(s.producer, 200, id, sizeof(id), &err), ERR_UNAVAILABLE);
    cr_assert_eq(bus_reader_cluster(r, 200, id, sizeof(id), &err), ERR_UNAVAILABLE);
    cr_assert_eq(bus_reader_partitions(r, bus.topic, 200, &count, &err), ERR_UNAVAILABLE);
    cr_assert_eq(bus_reader_bounds(r, bus.topic, 0, 200, &low, &high, &err), ERR_UNAVAILABLE);
    int64_t deadline = fixture_now_ms() + WAIT_MS;
    err.code = ERR_OK;
    while (bus_reader_poll(r, 100, &m, &handle, &err) != BUS_ERROR)
        cr_assert_lt(fixture_now_ms(), deadline);
    cr_assert_eq(err.code, ERR_UNAVAILABLE, "%s", err.message);
    bus_producer_free(s.producer);
    bus_reader_free(r);
}

Test(bus_reader, topics_are_created_once)
{
    struct bus_topic topic = {.partitions = 3, .replication = -1, .compacted = true};
    int32_t count = 0;
    char name[160];

    fixture_kafka(&bus);
    snprintf(name, sizeof(name), "%s-new", bus.topic);
    topic.name = name;
    cr_assert_eq(bus_create_topics(&bus.options, &topic, 1, WAIT_MS, &err), ERR_OK, "%s",
                 err.message);
    struct bus_reader *r = fixture_reader(&bus, NULL);
    cr_assert_eq(bus_reader_partitions(r, name, WAIT_MS, &count, &err), ERR_OK, "%s", err.message);
    cr_assert_eq(count, 3);
    topic.partitions = 5;
    cr_assert_eq(bus_create_topics(&bus.options, &topic, 1, WAIT_MS, &err), ERR_OK, "%s",
                 err.message);
    bus_reader_free(r);
    fixture_delete(&bus, name);
    fixture_close(&bus);
}

Test(bus_reader, partitions_that_were_added_are_known_without_asking)
{
    struct bus_reader *r;
    struct fixture f;
    int32_t count;

    fixture_kafka(&f);
    f.options.properties = "statistics.interval.ms=50;topic.metadata.refresh.interval.ms=100";
    cr_assert_eq(bus_reader_open(&r, &f.options, NULL, &err), ERR_OK, "%s", err.message);
    cr_expect_eq(bus_reader_known_partitions(r, f.topic), 0, "nobody has asked yet");
    cr_assert_eq(bus_reader_partitions(r, f.topic, WAIT_MS, &count, &err), ERR_OK);
    cr_expect_eq(bus_reader_known_partitions(r, f.topic), 1);
    fixture_grow(&f, 3);
    int64_t until = fixture_now_ms() + WAIT_MS;
    while (bus_reader_known_partitions(r, f.topic) < 3 && fixture_now_ms() < until) {
        struct bus_message m;
        void *handle;

        cr_expect_eq(bus_reader_poll(r, 50, &m, &handle, &err), BUS_NOTHING);
    }
    cr_expect_eq(bus_reader_known_partitions(r, f.topic), 3);
    bus_reader_free(r);
    fixture_close(&f);
}

Test(bus_reader, the_embedded_bus_has_its_topics_and_creates_none)
{
    struct bus_topic topic = {.name = "other", .partitions = 3, .replication = -1};
    int32_t count = 0;

    fixture_devbus(&bus);
    cr_assert_eq(bus_create_topics(&bus.options, &topic, 1, WAIT_MS, &err), ERR_UNSUPPORTED, "%s",
                 err.message);
    struct bus_reader *r = fixture_reader(&bus, NULL);
    cr_assert_eq(bus_reader_partitions(r, bus.topic, WAIT_MS, &count, &err), ERR_OK, "%s",
                 err.message);
    cr_assert_eq(count, 1);
    bus_reader_free(r);
    fixture_close(&bus);
}

Test(bus_reader, wrong_options_are_refused_with_their_name)
{
    struct bus_reader *r;
    struct bus_options options = {.brokers = "127.0.0.1:1", .properties = "no.such.thing=1"};

    cr_assert_eq(bus_reader_open(&r, &options, NULL, &err), ERR_INVALID);
    cr_assert_not_null(strstr(err.message, "no.such.thing"));
    options.properties = "nonsense";
    cr_assert_eq(bus_reader_open(&r, &options, NULL, &err), ERR_INVALID);
    options = (struct bus_options){.brokers = ""};
    cr_assert_eq(bus_reader_open(&r, &options, NULL, &err), ERR_INVALID);
}

Test(bus_reader, an_offset_is_asked_for_no_longer_than_allowed)
{
    struct bus_reader *r;
    struct fixture f;
    int64_t low = -7, high = -7;
    int32_t count;

    fixture_devbus(&f);
    sent_texts(&f, "m", 3);
    cr_assert_eq(bus_reader_open(&r, &f.options, NULL, &err), ERR_OK, "%s", err.message);
    cr_assert_eq(bus_reader_partitions(r, f.topic, WAIT_MS, &count, &err), ERR_OK);
    cr_assert_eq(bus_reader_bounds(r, f.topic, 0, WAIT_MS, &low, &high, &err), ERR_OK);
    cr_expect_eq(low, 0);
    cr_expect_eq(high, 3);
    fixture_kill(&f);
    int64_t start = fixture_now_ms();
    cr_expect_eq(bus_reader_bounds(r, f.topic, 0, 300, &low, &high, &err), ERR_UNAVAILABLE);
    cr_expect_lt(fixture_now_ms() - start, 3000);
    bus_reader_free(r);
    fixture_restart(&f);
    fixture_close(&f);
}
