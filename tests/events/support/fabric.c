/* SPDX-License-Identifier: Apache-2.0 */
/* fabric.c - a made-up service for tests. */
#include "fabric.h"

#include "crypto/crypto.h"
#include "life/life.h"
#include "log/log.h"

#include "modelbus/registry/v1/events.pb-c.h"

#include <librdkafka/rdkafka.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 60000

typedef Modelbus__Registry__V1__ModelRegistered ModelRegistered;

extern const struct embed_file events_schema[];

static void
need(enum err_code code, const struct err *err)
{
    if (code == ERR_OK)
        return;
    fprintf(stderr, "fabric: %s: %s\n", err_name(code), err->message);
    abort();
}

static const char *
need_env(const char *name)
{
    const char *value = getenv(name);

    if (!value || !*value) {
        fprintf(stderr, "fabric: %s is not set\n", name);
        abort();
    }
    return value;
}

static void
pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* ---- handler ---- */

static enum err_code
on_registered(void *arg, const ModelRegistered *event, struct event_context *context,
              struct err *err)
{
    static const struct db_stmt insert = {
        "INSERT INTO applied (model, version, instance) VALUES ($1, $2, $3)"};
    static int flaked;
    int *instance = arg;

    if (db_queue(context->db, &insert,
                 DB_PARAMS(db_text(event->model_name), db_int(event->version),
                           db_int(instance ? *instance : 0)),
                 err))
        return err->code;
    if (strncmp(event->model_name, "echo", 4) == 0) {
        Modelbus__Registry__V1__AliasMoved said = MODELBUS__REGISTRY__V1__ALIAS_MOVED__INIT;
        said.model_name = event->model_name;
        return outbox_publish(context->outbox, context->db, context->workspace, &said.base, err);
    }
    if (strncmp(event->model_name, "poison", 6) == 0)
        return err_set(err, ERR_INVALID, "a poisonous model");
    if (strncmp(event->model_name, "broken", 6) == 0)
        return err_set(err, ERR_INTERNAL, "a bug");
    if (strncmp(event->model_name, "flaky", 5) == 0 && flaked < 3) {
        flaked++;
        return err_set(err, ERR_UNAVAILABLE, "not yet");
    }
    return ERR_OK;
}

static const struct event_subscription hears[] = {
    EVENT_ON(modelbus__registry__v1__model_registered, on_registered),
    {.type = NULL},
};

static enum err_code
republish(void *arg, struct outbox *outbox, struct db_conn *conn, struct err *err)
{
    struct fabric *f = arg;

    (void)outbox;
    (void)conn;
    (void)err;
    __atomic_add_fetch(&f->republished, 1, __ATOMIC_SEQ_CST);
    return ERR_OK;
}

/* ---- life ---- */

void
fabric_attach(struct fabric *f, const char *name)
{
    struct err err;

    memset(f, 0, sizeof(*f));
    snprintf(f->name, sizeof(f->name), "%s", name);
    snprintf(f->brokers, sizeof(f->brokers), "%s", need_env("MODELBUS_TEST_KAFKA"));
    log_init("test", LOG_WARN);
    f->bus =
        (struct bus_options){.brokers = f->brokers, .client_id = f->name, .fetch_wait_ms = 500};
    need(db_pool_open(&f->db, need_env("MODELBUS_TEST_POSTGRES_URL"), f->name, 8, 5000, &err),
         &err);
    const struct outbox_options options = {
        .db = f->db,
        .bus = f->bus,
        .prefix = f->name,
        .service = f->name,
        .retention_ms = 3600000,
        .republish = republish,
        .arg = f,
    };
    need(outbox_open(&f->outbox, &options, &err), &err);
}

void
fabric_open(struct fabric *f)
{
    struct db_conn *conn;
    uint32_t random;
    char name[64];
    struct err err;

    crypto_random(&random, sizeof(random));
    snprintf(name, sizeof(name), "t%d_%08x", (int)getpid(), random);
    fabric_attach(f, name);
    need(db_migrate(f->db, "events", events_schema, &err), &err);
    need(db_borrow(f->db, &conn, &err), &err);
    need(db_script(conn,
                   "CREATE TABLE applied (n bigserial PRIMARY KEY, model text NOT NULL,"
                   " version bigint NOT NULL, instance integer NOT NULL)",
                   &err),
         &err);
    db_return(conn);
    need(event_topics_create(&f->bus, f->name, 0, 20000, &err), &err);
}

static rd_kafka_t *
kafka_client(struct fabric *f, const char *group)
{
    char text[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set(conf, "bootstrap.servers", f->brokers, text, sizeof(text));
    if (group)
        rd_kafka_conf_set(conf, "group.id", group, text, sizeof(text));
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (!rk)
        abort();
    return rk;
}

static void
delete_topics(struct fabric *f)
{
    rd_kafka_DeleteTopic_t *topics[64];
    rd_kafka_t *rk = kafka_client(f, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    size_t n = 0;

    for (; event_topics[n].suffix && n < ARRAY_LEN(topics); n++) {
        char name[256];
        event_topic_name(f->name, event_topics[n].suffix, name);
        topics[n] = rd_kafka_DeleteTopic_new(name);
    }
    rd_kafka_DeleteTopics(rk, topics, n, NULL, queue);
    rd_kafka_event_destroy(rd_kafka_queue_poll(queue, 10000));
    rd_kafka_DeleteTopic_destroy_array(topics, n);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
}

void
fabric_grow(struct fabric *f, const char *suffix, size_t partitions)
{
    rd_kafka_t *rk = kafka_client(f, NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    char topic[256], text[256];

    event_topic_name(f->name, suffix, topic);
    rd_kafka_NewPartitions_t *grown =
        rd_kafka_NewPartitions_new(topic, partitions, text, sizeof(text));
    rd_kafka_CreatePartitions(rk, &grown, 1, NULL, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 10000);
    if (!event || rd_kafka_event_error(event))
        abort();
    rd_kafka_event_destroy(event);
    rd_kafka_NewPartitions_destroy(grown);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
}

void
fabric_close(struct fabric *f)
{
    struct db_conn *conn;
    struct err err;
    char sql[128];

    outbox_stop(f->outbox, life_monotonic_ms() + 5000);
    outbox_free(f->outbox);
    snprintf(sql, sizeof(sql), "DROP SCHEMA %s CASCADE", f->name);
    need(db_borrow(f->db, &conn, &err), &err);
    need(db_script(conn, sql, &err), &err);
    db_return(conn);
    db_pool_free(f->db);
    delete_topics(f);
}

void
fabric_relay_start(struct fabric *f)
{
    struct err err;

    need(outbox_start(f->outbox, &err), &err);
}

void
fabric_relay_stop(struct fabric *f)
{
    if (!outbox_stop(f->outbox, life_monotonic_ms() + 20000)) {
        fprintf(stderr, "fabric: the relay left something\n");
        abort();
    }
}

struct consumer *
fabric_consumer(struct fabric *f, const char *service, int *instance)
{
    const struct consumer_options options = {
        .db = f->db,
        .bus = f->bus,
        .prefix = f->name,
        .service = service ? service : f->name,
        .outbox = f->outbox,
        .subscriptions = hears,
        .arg = instance,
    };
    struct consumer *consumer;
    struct err err;

    need(consumer_start(&consumer, &options, &err), &err);
    return consumer;
}

pid_t
fabric_child(struct fabric *f, int instance)
{
    char number[16];
    char *argv[] = {(char *)FABRIC_INSTANCE, f->name, number, NULL};
    pid_t pid;

    snprintf(number, sizeof(number), "%d", instance);
    /* A program of its own: a fork of a process with threads may not do what ours does. */
    if (posix_spawn(&pid, FABRIC_INSTANCE, NULL, NULL, argv, environ) != 0)
        abort();
    return pid;
}

/* ---- events ---- */

static void
register_one(struct fabric *f, struct db_conn *conn, const char *model, int64_t version,
             const char *id)
{
    ModelRegistered event = MODELBUS__REGISTRY__V1__MODEL_REGISTERED__INIT;
    struct event_envelope envelope = {.workspace = "default"};
    struct err err;

    event.model_name = (char *)model;
    event.version = version;
    if (id)
        snprintf(envelope.id, sizeof(envelope.id), "%s", id);
    need(outbox_publish_as(f->outbox, conn, &envelope, &event.base, &err), &err);
}

void
fabric_register(struct fabric *f, const char *model, int64_t first, int64_t count)
{
    struct db_conn *conn;
    struct err err;

    need(db_borrow(f->db, &conn, &err), &err);
    need(db_begin(conn, &err), &err);
    for (int64_t i = 0; i < count; i++)
        register_one(f, conn, model, first + i, NULL);
    need(db_commit(conn, &err), &err);
    db_return(conn);
}

void
fabric_register_as(struct fabric *f, const char *model, int64_t version, const char *id)
{
    struct db_conn *conn;
    struct err err;

    need(db_borrow(f->db, &conn, &err), &err);
    need(db_begin(conn, &err), &err);
    register_one(f, conn, model, version, id);
    need(db_commit(conn, &err), &err);
    db_return(conn);
}

static void
ignore_report(void *arg, void *opaque, const struct err *err)
{
    (void)opaque;
    if (err)
        ++*(int *)arg;
}

void
fabric_produce(struct fabric *f, const char *suffix, const char *key, const char *value,
               const struct bus_header *headers, size_t count)
{
    struct bus_producer *producer;
    char topic[256];
    int failures = 0;
    struct err err;

    event_topic_name(f->name, suffix, topic);
    const struct bus_message m = {
        .topic = topic,
        .partition = -1,
        .key = key,
        .key_len = strlen(key),
        .value = value,
        .value_len = strlen(value),
        .headers = headers,
        .header_count = count,
    };
    need(bus_producer_open(&producer, &f->bus, ignore_report, &failures, &err), &err);
    need(bus_produce(producer, &m, NULL, &err), &err);
    if (!bus_producer_flush(producer, 20000) || failures > 0)
        abort();
    bus_producer_free(producer);
}

/* ---- looking ---- */

int64_t
fabric_number(struct fabric *f, const char *sql)
{
    /* A statement is known by its address: one per text, for the life of the process. */
    static struct db_stmt *known[64];
    struct db_result *r;
    struct db_conn *conn;
    struct err err;
    size_t i = 0;

    while (known[i] && strcmp(known[i]->sql, sql) != 0)
        if (++i == ARRAY_LEN(known) - 1)
            abort();
    if (!known[i]) {
        known[i] = mem_zalloc(sizeof(*known[i]));
        known[i]->sql = mem_strdup(sql);
    }
    need(db_borrow(f->db, &conn, &err), &err);
    need(db_exec(conn, known[i], DB_NO_PARAMS, &r, &err), &err);
    int64_t n = db_rows(r) > 0 ? db_i64(r, 0, 0) : -1;
    db_result_free(r);
    db_return(conn);
    return n;
}

int64_t
fabric_wait(struct fabric *f, const char *sql, int64_t want)
{
    int64_t start = life_monotonic_ms(), got;

    while ((got = fabric_number(f, sql)) != want) {
        if (life_monotonic_ms() - start > PATIENCE_MS) {
            fprintf(stderr, "fabric: %s: %lld, wanted %lld\n", sql, (long long)got,
                    (long long)want);
            abort();
        }
        pause_ms(5);
    }
    return life_monotonic_ms() - start;
}

int64_t
fabric_kafka_offset(struct fabric *f, const char *suffix, int32_t partition)
{
    char group[200], topic[256];

    snprintf(group, sizeof(group), "%s.%s", f->name, f->name);
    event_topic_name(f->name, suffix, topic);
    rd_kafka_t *rk = kafka_client(f, group);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition);
    rd_kafka_committed(rk, list, 5000);
    int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_destroy(rk);
    return offset;
}

int64_t
fabric_topic_size(struct fabric *f, const char *suffix)
{
    struct bus_reader *reader;
    int64_t total = 0;
    char topic[256];
    int32_t count;
    struct err err;

    event_topic_name(f->name, suffix, topic);
    need(bus_reader_open(&reader, &f->bus, NULL, &err), &err);
    need(bus_reader_partitions(reader, topic, 10000, &count, &err), &err);
    for (int32_t p = 0; p < count; p++) {
        int64_t low, high;
        need(bus_reader_bounds(reader, topic, p, 10000, &low, &high, &err), &err);
        total += high - low;
    }
    bus_reader_free(reader);
    return total;
}
