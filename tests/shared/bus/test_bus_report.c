/* SPDX-License-Identifier: Apache-2.0 */
/* test_bus_report.c - Kafka is told how far a reader is: who is told, what comes back, and what happens when nothing does. */
#include "fixture.h"

#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>

#define OFFSET_COMMIT 8  /* its number in Kafka's protocol */
#define GIVEN_UP_MS 2500 /* a report has ended by then */

static struct fixture bus;
static struct err err;

TestSuite(bus_report, .timeout = 120);

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

/* One that has read two of three messages, and what it can report. */
static struct bus_reader *
reading(const char *group, struct bus_position *p)
{
    sent_texts(&bus, "text", 3);
    struct bus_reader *r = fixture_reader(&bus, group);
    fixture_assign(&bus, r, BUS_OFFSET_BEGINNING);
    fixture_expect_text(r, "text 0");
    fixture_expect_text(r, "text 1");
    *p = (struct bus_position){.offset = 2};
    snprintf(p->topic, sizeof(p->topic), "%s", bus.topic);
    return r;
}

/* Until it is taken; how many were lost before. */
static int
lost_before_taken(struct bus_reader *r, const struct bus_position *p)
{
    int64_t deadline = fixture_now_ms() + WAIT_MS;

    for (int lost = 0;; lost++) {
        enum bus_reported how = fixture_report(r, p, &err);
        if (how == BUS_REPORT_TAKEN)
            return lost;
        cr_assert_eq(how, BUS_REPORT_LOST, "%d", (int)how);
        cr_assert_eq(err.code, ERR_UNAVAILABLE, "%s", err.message);
        cr_assert_lt(fixture_now_ms(), deadline, "%s", err.message);
    }
}

Test(bus_report, lag_tools_see_it)
{
    struct bus_position p;
    char group[160];

    fixture_kafka(&bus);
    snprintf(group, sizeof(group), "%s.group", bus.topic);
    struct bus_reader *r = reading(group, &p);
    lost_before_taken(r, &p);
    cr_expect_eq(committed(group), 2);
    cr_expect_eq(bus_reader_reported(r, &err), BUS_REPORT_NONE, "it is said once");
    fixture_expect_text(r, "text 2");
    bus_reader_free(r);
    fixture_close(&bus);
}

Test(bus_report, nothing_is_told_without_a_group_or_a_position)
{
    struct bus_position p;

    fixture_devbus(&bus);
    struct bus_reader *r = reading(NULL, &p);
    cr_expect_eq(fixture_report(r, &p, &err), BUS_REPORT_NONE);
    bus_reader_free(r);
    r = fixture_reader(&bus, "none");
    bus_reader_report(r, NULL, 0);
    cr_expect_eq(bus_reader_reported(r, &err), BUS_REPORT_NONE);
    bus_reader_free(r);
    fixture_close(&bus);
}

/* librdkafka (2.0 to 2.8) finds the coordinator of a request that it has given up, and aborts. */
Test(bus_report, a_bus_that_answers_too_late_harms_nobody)
{
    struct bus_position p;

    fixture_devbus(&bus);
    struct bus_reader *r = reading("waits", &p);
    kill(bus.devbus, SIGSTOP);
    bus_reader_report(r, &p, 1);
    poll(NULL, 0, GIVEN_UP_MS);
    cr_expect_eq(bus_reader_reported(r, &err), BUS_REPORT_LOST);
    kill(bus.devbus, SIGCONT);
    lost_before_taken(r, &p);
    fixture_expect_text(r, "text 2");
    bus_reader_free(r);
    fixture_close(&bus);
}

Test(bus_report, a_bus_that_comes_back_too_late_harms_nobody)
{
    struct bus_position p;

    fixture_devbus(&bus);
    struct bus_reader *r = reading("misses", &p);
    lost_before_taken(r, &p);
    fixture_kill(&bus);
    bus_reader_report(r, &p, 1);
    poll(NULL, 0, GIVEN_UP_MS);
    cr_expect_eq(bus_reader_reported(r, &err), BUS_REPORT_LOST);
    fixture_restart(&bus);
    lost_before_taken(r, &p);
    bus_reader_free(r);
    fixture_close(&bus);
}

/* Three brokers: the one that coordinates the group is found, and found again when it is another. */
Test(bus_report, the_groups_coordinator_is_told)
{
    struct bus_position p;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set_log_cb(conf, NULL);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(rk, 3);
    bus = (struct fixture){.topic = "t", .options = {.fetch_wait_ms = 10}};
    bus.options.brokers = rd_kafka_mock_cluster_bootstraps(cluster);
    rd_kafka_mock_topic_create(cluster, "t", 1, 1);
    struct bus_reader *r = reading("moves", &p);
    for (int32_t id = 3; id >= 1; id--) {
        rd_kafka_mock_coordinator_set(cluster, "group", "moves", id);
        cr_expect_leq(lost_before_taken(r, &p), 2, "broker %d", (int)id);
        cr_expect_eq(lost_before_taken(r, &p), 0, "broker %d is known now", (int)id);
    }
    rd_kafka_mock_push_request_errors(cluster, OFFSET_COMMIT, 1,
                                      RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    cr_expect_eq(fixture_report(r, &p, &err), BUS_REPORT_REFUSED);
    cr_expect_eq(err.code, ERR_FORBIDDEN, "%s", err.message);
    cr_expect_eq(lost_before_taken(r, &p), 0);
    bus_reader_free(r);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(rk);
}
