/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_bench.c - events from outbox to handler, on the real PostgreSQL and Kafka that
 * MODELBUS_TEST_POSTGRES_URL and MODELBUS_TEST_KAFKA name.
 *
 * Latency: four writers commit 1,000 events a second; from the return of their commit to the
 * return of the handler's. Throughput: one partition of events in the log, a
 * handler that inserts one row for each; beside it the same rows by a bare librdkafka
 * consumer, one INSERT at a time and in pipelined batches, without inbox and fenced offsets.
 * The last line is JSON for tests/bench/run.
 */
#include "fabric.h"

#include "life/life.h"

#include "modelbus/registry/v1/events.pb-c.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RATE 1000
#define SECONDS 20
#define WARM_SECONDS 2 /* sent and not counted: a broker just started still compiles its code */
#define WRITERS 4
#define WARM (RATE * WARM_SECONDS)
#define COUNTED (RATE * SECONDS)
#define PACED (WARM + COUNTED)
#define BULK 50000
#define BULK_TX 1000
#define RAW_SINGLES 2000
#define RAW_BATCH 500

typedef Modelbus__Registry__V1__ModelRegistered ModelRegistered;

static struct fabric f;
static int64_t sent_us[PACED], done_us[PACED];
static _Atomic int64_t handled;

static const struct db_stmt insert_row = {
    "INSERT INTO applied (model, version, instance) VALUES ($1, $2, $3)"};

static void
need(enum err_code code, const struct err *err)
{
    if (code) {
        fprintf(stderr, "event_bench: %s\n", err->message);
        exit(1);
    }
}

static void
on_commit(void *arg)
{
    int64_t *at = arg;

    if (at)
        *at = life_monotonic_us();
    handled++;
}

static void
count_one(void *arg)
{
    (void)arg;
    handled++;
}

static enum err_code
on_registered(void *arg, const ModelRegistered *event, struct event_context *context,
              struct err *err)
{
    bool paced = event->version < PACED;

    (void)arg;
    if (db_queue(context->db, &insert_row,
                 DB_PARAMS(db_text(event->model_name), db_int(event->version), db_int(0)), err))
        return err->code;
    /* A hook with the same argument runs once a transaction, so each event has its own. */
    if (paced)
        db_after_commit(context->db, on_commit, &done_us[event->version]);
    else
        db_after_commit(context->db, count_one, (void *)(uintptr_t)event->version);
    return ERR_OK;
}

static const struct event_subscription hears[] = {
    EVENT_ON(modelbus__registry__v1__model_registered, on_registered),
    {.type = NULL},
};

static struct consumer *
consume(void)
{
    const struct consumer_options options = {
        .db = f.db,
        .bus = f.bus,
        .prefix = f.name,
        .service = f.name,
        .outbox = f.outbox,
        .subscriptions = hears,
    };
    struct consumer *consumer;
    struct err err;

    need(consumer_start(&consumer, &options, &err), &err);
    return consumer;
}

static void
wait_handled(int64_t count)
{
    int64_t end = life_monotonic_ms() + 60000;

    while (handled < count) {
        if (life_monotonic_ms() > end) {
            fprintf(stderr, "event_bench: %lld of %lld handled\n", (long long)handled,
                    (long long)count);
            exit(1);
        }
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
}

static void
publish(struct db_conn *conn, const char *model, int64_t version)
{
    ModelRegistered event = MODELBUS__REGISTRY__V1__MODEL_REGISTERED__INIT;
    struct err err;

    event.model_name = (char *)model;
    event.version = version;
    event.run_id = "0190a5c0-7d5e-7c3e-9b1e-0d6c1c3b2a11";
    event.registered_by = "user:bench";
    need(outbox_publish(f.outbox, conn, "default", &event.base, &err), &err);
}

/* ---- latency ---- */

static void *
write_paced(void *arg)
{
    int64_t first = (int64_t)(intptr_t)arg, start = life_monotonic_us();
    struct db_conn *conn;
    struct err err;

    need(db_borrow(f.db, &conn, &err), &err);
    for (int64_t i = first; i < PACED; i += WRITERS) {
        int64_t due = start + i * 1000000 / RATE, now = life_monotonic_us();
        if (due > now)
            nanosleep(&(struct timespec){.tv_nsec = (due - now) * 1000}, NULL);
        char model[16];
        snprintf(model, sizeof(model), "m%d", (int)(i % 50));
        need(db_begin(conn, &err), &err);
        publish(conn, model, i);
        need(db_commit(conn, &err), &err);
        sent_us[i] = life_monotonic_us();
    }
    db_return(conn);
    return NULL;
}

static int
by_value(const void *a, const void *b)
{
    return (*(const int64_t *)a > *(const int64_t *)b) -
           (*(const int64_t *)a < *(const int64_t *)b);
}

static void
measure_latency(double *p50, double *p99)
{
    static int64_t us[COUNTED];
    pthread_t writers[WRITERS];

    for (intptr_t i = 0; i < WRITERS; i++)
        if (pthread_create(&writers[i], NULL, write_paced, (void *)i))
            abort();
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    wait_handled(PACED + 1);
    for (int i = 0; i < COUNTED; i++) {
        int64_t sent = sent_us[WARM + i], done = done_us[WARM + i];
        us[i] = done > sent ? done - sent : 0;
    }
    qsort(us, COUNTED, sizeof(us[0]), by_value);
    *p50 = (double)us[COUNTED / 2] / 1000;
    *p99 = (double)us[COUNTED * 99 / 100] / 1000;
}

/* ---- throughput ---- */

static double
per_second(int64_t count, int64_t start_us)
{
    return (double)count * 1e6 / (double)(life_monotonic_us() - start_us);
}

static double
measure_relay(void)
{
    struct db_conn *conn;
    struct err err;

    fabric_relay_stop(&f);
    need(db_borrow(f.db, &conn, &err), &err);
    for (int64_t i = 0; i < BULK; i += BULK_TX) {
        need(db_begin(conn, &err), &err);
        for (int64_t k = 0; k < BULK_TX; k++)
            publish(conn, "bulk", PACED + i + k);
        need(db_commit(conn, &err), &err);
    }
    db_return(conn);
    int64_t start = life_monotonic_us();
    fabric_relay_start(&f);
    fabric_wait(&f, "SELECT count(*) FROM outbox WHERE published_at IS NULL", 0);
    return per_second(BULK, start);
}

static double
measure_consumer(void)
{
    int64_t before = handled;
    struct consumer *consumer = consume();

    wait_handled(before + 1);
    int64_t start = life_monotonic_us(), first = handled;
    wait_handled(before + BULK);
    double rate = per_second(before + BULK - first, start);
    consumer_stop(consumer, life_monotonic_ms() + 10000);
    return rate;
}

static rd_kafka_message_t *
next_bulk(rd_kafka_t *rk)
{
    for (;;) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 1000);
        if (m && !m->err && m->key_len == 4 && memcmp(m->key, "bulk", 4) == 0)
            return m;
        if (m)
            rd_kafka_message_destroy(m);
    }
}

static void
insert_raw(struct db_conn *conn, rd_kafka_t *rk, bool wait)
{
    rd_kafka_message_t *m = next_bulk(rk);
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    struct err err;
    const ModelRegistered *event = (ModelRegistered *)ARENA_UNPACK(
        arena, &modelbus__registry__v1__model_registered__descriptor, m->len, m->payload);
    const struct db_param params[] = {db_text(event->model_name), db_int(event->version),
                                      db_int(1)};

    need(wait ? db_exec(conn, &insert_row, params, 3, NULL, &err)
              : db_queue(conn, &insert_row, params, 3, &err),
         &err);
    rd_kafka_message_destroy(m);
}

static void
measure_raw(double *singles, double *batches)
{
    char text[512], topic[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    struct db_conn *conn;
    int64_t count = 0;
    struct err err;

    rd_kafka_conf_set(conf, "bootstrap.servers", f.brokers, text, sizeof(text));
    rd_kafka_conf_set(conf, "group.id", f.name, text, sizeof(text));
    rd_kafka_conf_set(conf, "enable.auto.commit", "false", text, sizeof(text));
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    rd_kafka_poll_set_consumer(rk);
    event_topic_name(f.name, "registry", topic);
    int32_t partition =
        (int32_t)fabric_number(&f, "SELECT partition FROM bus_offset ORDER BY next DESC LIMIT 1");
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = 0;
    rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);

    need(db_borrow(f.db, &conn, &err), &err);
    rd_kafka_message_destroy(next_bulk(rk));
    int64_t start = life_monotonic_us();
    for (int i = 0; i < RAW_SINGLES; i++)
        insert_raw(conn, rk, true);
    *singles = per_second(RAW_SINGLES, start);
    start = life_monotonic_us();
    while (count + RAW_BATCH < BULK - RAW_SINGLES) {
        need(db_begin(conn, &err), &err);
        for (int i = 0; i < RAW_BATCH; i++, count++)
            insert_raw(conn, rk, false);
        need(db_commit(conn, &err), &err);
    }
    *batches = per_second(count, start);
    db_return(conn);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

int
main(void)
{
    double p50, p99, relay, rate, singles, batches;

    fabric_open(&f);
    fabric_relay_start(&f);
    struct consumer *consumer = consume();
    fabric_register(&f, "warm-up", PACED + BULK, 1);
    wait_handled(1);
    measure_latency(&p50, &p99);
    consumer_stop(consumer, life_monotonic_ms() + 10000);
    printf("latency at %d events/s: p50 %.2f ms, p99 %.2f ms\n", RATE, p50, p99);
    relay = measure_relay();
    printf("relay alone: %.0f events/s\n", relay);
    rate = measure_consumer();
    printf("consumer: %.0f events/s\n", rate);
    measure_raw(&singles, &batches);
    printf("raw consumer, autocommit: %.0f events/s; batches of %d: %.0f events/s\n", singles,
           RAW_BATCH, batches);
    fabric_close(&f);
    printf(
        "{\"rows\":["
        "{\"measure\":\"outbox commit to handler's commit, real Kafka, %d events/s, %d s\","
        "\"target\":\"p50 <= 5 ms, p99 <= 25 ms\",\"value\":\"p50 %.2f ms, p99 %.2f ms\"},"
        "{\"measure\":\"events handled, one partition, full guarantees\","
        "\"target\":\">= 10,000 events/s\",\"value\":\"%.0f events/s\","
        "\"note\":\"%.1fx raw consumer with one INSERT each (%.0f/s), %.2fx raw in batches of %d "
        "(%.0f/s)\"},"
        "{\"measure\":\"outbox relay alone\",\"target\":\">= 10,000 events/s\","
        "\"value\":\"%.0f events/s\"}]}\n",
        RATE, SECONDS, p50, p99, rate, rate / singles, singles, rate / batches, RAW_BATCH, batches,
        relay);
    return 0;
}
