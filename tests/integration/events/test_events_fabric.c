/* SPDX-License-Identifier: Apache-2.0 */
/* Outbox to Kafka to inbox, on the real ones. */
#include "fabric.h"

#include "backlog.h"
#include "life/life.h"
#include "metrics/metrics.h"

#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>

#define WHOLE_OF(model) "SELECT count(*) FROM applied WHERE model = '" model "'"

static struct fabric f;
static struct consumer *consumer;

static void
setup(void)
{
    fabric_open(&f);
    fabric_relay_start(&f);
    consumer = fabric_consumer(&f, NULL, NULL);
}

static void
teardown(void)
{
    consumer_stop(consumer, life_monotonic_ms() + 20000);
    fabric_close(&f);
}

TestSuite(fabric, .init = setup, .fini = teardown, .timeout = 120);

Test(fabric, a_publish_that_was_rolled_back_is_never_sent)
{
    struct db_conn *conn;
    struct err err;

    cr_assert_eq(db_borrow(f.db, &conn, &err), ERR_OK);
    cr_assert_eq(db_begin(conn, &err), ERR_OK);
    const struct bus_message m = {.topic = "never", .partition = -1, .key = "k", .key_len = 1};
    cr_assert_eq(outbox_publish_raw(f.outbox, conn, &m, &err), ERR_OK, "%s", err.message);
    db_rollback(conn);
    db_return(conn);
    fabric_register(&f, "later", 1, 1);
    fabric_wait(&f, WHOLE_OF("later"), 1);
    cr_assert_eq(fabric_number(&f, "SELECT count(*) FROM outbox WHERE topic = 'never'"), 0);
    cr_assert_eq(fabric_topic_size(&f, "registry"), 1);
}

/* A topic whose messages may be small only. */
static void
create_small(const char *name)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[256];

    rd_kafka_conf_set(conf, "bootstrap.servers", f.brokers, text, sizeof(text));
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, 1, 1, text, sizeof(text));
    rd_kafka_NewTopic_set_config(topic, "max.message.bytes", "2000");
    rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 30000);
    cr_assert(event && !rd_kafka_event_error(event));
    rd_kafka_event_destroy(event);
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
}

Test(fabric, what_the_broker_will_never_take_is_set_aside_and_the_rest_goes_on)
{
    CLEANUP(mem_free) char *topic = mem_printf("%s.registry.small", f.name);
    char value[5000] = "";
    struct bus_message m = {
        .topic = topic, .partition = -1, .key = "k", .key_len = 1, .value = value};
    struct db_conn *conn;
    struct err err;

    create_small(topic);
    fabric_register(&f, "before", 1, 20);
    cr_assert_eq(db_borrow(f.db, &conn, &err), ERR_OK);
    cr_assert_eq(db_begin(conn, &err), ERR_OK);
    for (int i = 0; i < 5; i++) {
        m.value_len = i == 2 ? sizeof(value) : 5;
        cr_assert_eq(outbox_publish_raw(f.outbox, conn, &m, &err), ERR_OK, "%s", err.message);
    }
    cr_assert_eq(db_commit(conn, &err), ERR_OK, "%s", err.message);
    db_return(conn);
    fabric_register(&f, "after", 1, 20);
    fabric_wait(&f, WHOLE_OF("before"), 20);
    fabric_wait(&f, WHOLE_OF("after"), 20);
    fabric_wait(&f, "SELECT count(*) FROM outbox WHERE refused IS NOT NULL", 1);
    fabric_wait(&f, "SELECT count(*) FROM outbox WHERE published_at IS NULL", 0);
    cr_expect_eq(fabric_topic_size(&f, "registry.small"), 4);
}

Test(fabric, events_of_a_key_are_handled_in_their_order)
{
    char model[16];

    for (int64_t i = 0; i < 50; i++) {
        snprintf(model, sizeof(model), "m%d", (int)(i % 5));
        fabric_register(&f, model, i * 10, 10);
    }
    fabric_wait(&f, "SELECT count(*) FROM applied", 500);
    cr_assert_eq(fabric_number(&f, "SELECT count(*) FROM (SELECT version, lag(version) OVER"
                                   " (PARTITION BY model ORDER BY n) AS before FROM applied) t"
                                   " WHERE before > version"),
                 0);
    fabric_wait(&f, "SELECT count(*) FROM outbox WHERE published_at IS NULL", 0);
}

Test(fabric, an_event_that_comes_twice_is_handled_once)
{
    fabric_register_as(&f, "twin", 1, "the-same-id");
    fabric_register_as(&f, "twin", 1, "the-same-id");
    fabric_register_as(&f, "last", 1, NULL);
    fabric_wait(&f, WHOLE_OF("last"), 1);
    fabric_register_as(&f, "twin", 1, "the-same-id");
    fabric_register_as(&f, "last", 2, NULL);
    fabric_wait(&f, WHOLE_OF("last"), 2);
    fabric_wait(&f, "SELECT sum(next) FROM bus_offset", 5);
    cr_assert_eq(fabric_number(&f, WHOLE_OF("twin")), 1);
    cr_assert_eq(fabric_topic_size(&f, "registry"), 5);
}

#define SAYS_CAUSE                                                                                 \
    "position(convert_to('ce_causationid', 'UTF8') IN headers) > 0 AND"                            \
    " position(convert_to('the-cause', 'UTF8') IN headers) > 0"

Test(fabric, what_a_handler_says_names_the_event_that_it_handled)
{
    fabric_register_as(&f, "echo", 1, "the-cause");
    fabric_wait(&f, WHOLE_OF("echo"), 1);
    cr_assert_eq(fabric_number(&f, "SELECT count(*) FROM outbox WHERE position("
                                   "convert_to('AliasMoved', 'UTF8') IN headers) > 0"
                                   " AND " SAYS_CAUSE),
                 1);
    cr_assert_eq(fabric_number(&f, "SELECT count(*) FROM outbox WHERE " SAYS_CAUSE), 1,
                 "what was said outside of a handler has no cause");
}

Test(fabric, poison_is_dead_lettered_and_the_rest_goes_on)
{
    fabric_register(&f, "good", 1, 20);
    fabric_register(&f, "poison", 1, 1);
    fabric_register(&f, "good", 21, 20);
    fabric_wait(&f, WHOLE_OF("good"), 40);
    fabric_wait(&f,
                "SELECT count(*) FROM dead_letter WHERE error_code = 'INVALID'"
                " AND error_message = 'a poisonous model' AND workspace = 'default'"
                " AND event_type = 'modelbus.registry.v1.ModelRegistered'",
                1);
    cr_assert_eq(fabric_number(&f, WHOLE_OF("poison")), 0, "its effects were rolled back");
    cr_assert_eq(fabric_number(&f, "SELECT count(*) FROM inbox"), 40, "poison may be replayed");
    fabric_wait(&f, "SELECT count(*) FROM outbox WHERE published_at IS NULL", 0);
    cr_assert_eq(fabric_topic_size(&f, "dlq"), 1);
}

Test(fabric, a_message_that_is_no_event_is_dead_lettered_with_the_reason)
{
    fabric_produce(&f, "registry", "k", "garbage", NULL, 0);
    fabric_register(&f, "good", 1, 1);
    fabric_wait(&f, WHOLE_OF("good"), 1);
    fabric_wait(&f,
                "SELECT count(*) FROM dead_letter WHERE error_code = 'INVALID'"
                " AND workspace = 'default' AND value = 'garbage'::bytea",
                1);
}

Test(fabric, an_unknown_type_is_skipped_and_its_offset_kept)
{
    const struct bus_header headers[] = {
        {"ce_specversion", "1.0", 3},
        {"ce_id", "x", 1},
        {"ce_source", "/elsewhere", 10},
        {"ce_type", "modelbus.registry.v9.Unheard", 28},
    };

    fabric_produce(&f, "registry", "k", "", headers, ARRAY_LEN(headers));
    fabric_wait(&f, "SELECT sum(next) FROM bus_offset", 1);
    cr_assert_eq(fabric_number(&f, "SELECT count(*) FROM dead_letter"), 0);
    cr_assert_eq(fabric_number(&f, "SELECT count(*) FROM inbox"), 0);
}

Test(fabric, a_retriable_error_is_retried_in_place)
{
    fabric_register(&f, "flaky", 1, 3);
    fabric_wait(&f, WHOLE_OF("flaky"), 3);
    cr_assert_eq(fabric_number(&f, "SELECT count(*) FROM dead_letter"), 0);
    cr_assert_eq(fabric_number(&f, "SELECT count(*) FROM (SELECT version, lag(version) OVER"
                                   " (ORDER BY n) AS before FROM applied) t"
                                   " WHERE before > version"),
                 0);
}

Test(fabric, a_bug_is_retried_a_few_times_and_then_buried)
{
    fabric_register(&f, "broken", 1, 1);
    fabric_wait(&f, "SELECT count(*) FROM dead_letter WHERE error_code = 'INTERNAL'", 1);
    fabric_register(&f, "good", 1, 1);
    fabric_wait(&f, WHOLE_OF("good"), 1);
}

Test(fabric, kafka_is_told_the_offsets)
{
    fabric_register(&f, "seen", 1, 7);
    fabric_wait(&f, WHOLE_OF("seen"), 7);
    int64_t part = fabric_number(&f, "SELECT partition FROM bus_offset WHERE next = 7");
    int64_t end = life_monotonic_ms() + 30000;
    while (fabric_kafka_offset(&f, "registry", (int32_t)part) != 7)
        cr_assert_lt(life_monotonic_ms(), end);
}

Test(fabric, a_cluster_met_for_the_first_time_gets_all_that_is_kept)
{
    fabric_register(&f, "kept", 1, 10);
    fabric_wait(&f, WHOLE_OF("kept"), 10);
    fabric_relay_stop(&f);
    cr_assert_eq(f.republished, 1, "the test's own cluster was new, too");
    cr_assert_eq(fabric_number(&f, "WITH gone AS (DELETE FROM bus_cluster RETURNING 1)"
                                   " SELECT count(*) FROM gone"),
                 1);
    fabric_relay_start(&f);
    fabric_wait(&f, "SELECT count(*) FROM bus_cluster", 1);
    fabric_wait(&f, "SELECT count(*) FROM outbox WHERE published_at IS NULL", 0);
    cr_assert_eq(f.republished, 2);
    fabric_wait(&f, "SELECT sum(next) FROM bus_offset", 20);
    cr_assert_eq(fabric_topic_size(&f, "registry"), 20);
    cr_assert_eq(fabric_number(&f, WHOLE_OF("kept")), 10, "and nothing is done twice");
}

Test(fabric, what_waits_in_the_outbox_is_told)
{
    struct backlog backlog;
    struct db_conn *conn;
    struct err err;

    fabric_relay_stop(&f);
    fabric_register(&f, "waits", 1, 3);
    backlog_init(&backlog);
    cr_assert_eq(db_borrow(f.db, &conn, &err), ERR_OK);
    cr_assert_eq(backlog_measure(&backlog, conn, &err), ERR_OK, "%s", err.message);
    db_return(conn);
    cr_assert_eq(metric_value(backlog.pending), 3);
    cr_assert_gt(metric_value(backlog.oldest), 0);

    /* The relay measures into the same gauges. */
    fabric_relay_start(&f);
    int64_t end = life_monotonic_ms() + 30000;
    while (metric_value(backlog.pending) != 0 || metric_value(backlog.oldest) != 0)
        cr_assert_lt(life_monotonic_ms(), end);
}
