/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sender on real Kafka (MODELBUS_TEST_KAFKA, and a broker of its own that it kills), on nothing at
 * all, and on librdkafka's mock, which can make a producer fail for good.
 */
#include "../../shared/bus/fixture.h"
#include "../support/broker.h"
#include "../support/lines.h"
#include "follower.h"
#include "log/log.h"
#include "metrics/metrics.h"

#include "modelbus/serving/v1/events.pb-c.h"

#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define PODS 3
#define BATCH 10 /* messages of a request, on the mock */
#define TEXT_OF(x) #x
#define STRING(x) TEXT_OF(x)
#define NOBODY "127.0.0.1:1" /* a port that refuses */

typedef Modelbus__Serving__V1__ServingStats ServingStats;

/* What done() was told. */
struct told {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int delivered, failed;
    enum err_code code; /* of the last failure */
};
static struct told told = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void
done(void *arg, const struct err *err)
{
    cr_assert_eq(arg, &told);
    pthread_mutex_lock(&told.lock);
    if (err) {
        told.failed++;
        told.code = err->code;
    } else {
        told.delivered++;
    }
    pthread_cond_broadcast(&told.changed);
    pthread_mutex_unlock(&told.lock);
}

static void
wait_delivered(int want)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_MS / 1000;
    pthread_mutex_lock(&told.lock);
    while (told.delivered < want)
        cr_assert_eq(pthread_cond_timedwait(&told.changed, &told.lock, &until), 0,
                     "%d of %d, %d failed", told.delivered, want, told.failed);
    pthread_mutex_unlock(&told.lock);
}

static struct sender *
open_sender(const struct bus_options *bus, const char *prefix)
{
    struct sender *sender;
    struct err err;

    cr_assert_eq(sender_open(&sender, bus, prefix, "/test", &err), ERR_OK, "%s", err.message);
    return sender;
}

/* The key is the pod, one of PODS; n is in the message. */
static enum err_code
publish(struct sender *sender, int n, const char *endpoint, struct err *err)
{
    ServingStats stats = MODELBUS__SERVING__V1__SERVING_STATS__INIT;
    char pod[16];

    snprintf(pod, sizeof(pod), "pod-%d", n % PODS);
    stats.pod = pod;
    stats.endpoint = (char *)(uintptr_t)endpoint;
    stats.requests = n;
    return sender_publish(sender, "default", &stats.base, done, &told, err);
}

static void
say(struct sender *sender, int first, int count)
{
    struct err err;

    for (int n = first; n < first + count; n++)
        cr_assert_eq(publish(sender, n, "e", &err), ERR_OK, "%s", err.message);
}

static double
dropped(void)
{
    return metric_value(metrics_counter("modelbus_bus_sender_dropped_total", "", NULL));
}

/* What a topic holds, in the order of each key. */
#define HEARD_MAX 4096
struct heard {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int count, again, overtook;
    int next[PODS];
    bool seen[HEARD_MAX];
    bool caught_up;
};

static void
on_event(void *arg, const struct event_type *type, const struct event_envelope *envelope,
         const ProtobufCMessage *event, const struct bus_message *m)
{
    const ServingStats *stats = (const ServingStats *)event;
    struct heard *h = arg;

    (void)envelope;
    (void)m;
    cr_assert(type && event);
    int n = (int)stats->requests;
    int *next = &h->next[n % PODS];
    cr_assert(n >= 0 && n < HEARD_MAX);
    h->again += h->seen[n];
    h->count += !h->seen[n];
    h->overtook += n > *next;
    h->seen[n] = true;
    if (n >= *next)
        *next = n + PODS;
}

static void
on_caught_up(void *arg)
{
    struct heard *h = arg;

    pthread_mutex_lock(&h->lock);
    h->caught_up = true;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

/* The topic holds 0 … count-1, each key's in order. A producer that failed may have had a request on
 * its way behind the refused one: Kafka refuses that as well, by its sequence; the mock takes it. */
static void
expect_in_order(const struct bus_options *bus, const char *prefix, int count, int failures)
{
    struct heard h = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    const struct follower_options options = {
        .bus = *bus,
        .prefix = prefix,
        .topic = "serving",
        .on_event = on_event,
        .on_caught_up = on_caught_up,
        .arg = &h,
    };
    struct follower *follower;
    struct timespec until;
    struct err err;

    for (int k = 0; k < PODS; k++)
        h.next[k] = k;
    cr_assert_eq(follower_start(&follower, &options, &err), ERR_OK, "%s", err.message);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_MS / 1000;
    pthread_mutex_lock(&h.lock);
    while (!h.caught_up)
        cr_assert_eq(pthread_cond_timedwait(&h.changed, &h.lock, &until), 0, "not caught up");
    pthread_mutex_unlock(&h.lock);
    follower_stop(follower);
    cr_expect_eq(h.count, count, "%d of %d arrived", h.count, count);
    cr_expect_leq(h.overtook, failures * BATCH, "%d overtook others", h.overtook);
    if (failures == 0)
        cr_expect_eq(h.again, 0, "%d arrived again", h.again);
}

Test(sender, delivers_in_the_order_of_each_key)
{
    struct fixture f;
    char topic[256];
    struct bus_topic row = {.name = topic, .partitions = 3, .replication = 1};
    struct err err;

    fixture_kafka(&f);
    event_topic_name(f.topic, "serving", topic);
    cr_assert_eq(bus_create_topics(&f.options, &row, 1, WAIT_MS, &err), ERR_OK, "%s", err.message);
    struct sender *sender = open_sender(&f.options, f.topic);
    say(sender, 0, 600);
    wait_delivered(600);
    say(sender, 600, 300); /* and closed at once: nothing is left behind */
    cr_expect_eq(sender_close(sender, fixture_now_ms() + WAIT_MS), 0);
    cr_expect_eq(told.delivered, 900);
    cr_expect_eq(told.failed, 0);
    expect_in_order(&f.options, f.topic, 900, 0);
    fixture_delete(&f, topic);
    fixture_close(&f);
}

Test(sender, refuses_an_event_without_a_key)
{
    ServingStats stats = MODELBUS__SERVING__V1__SERVING_STATS__INIT;
    const struct bus_options bus = {.brokers = NOBODY, .client_id = "test", .fetch_wait_ms = 20};
    struct sender *sender = open_sender(&bus, "modelbus");
    struct err err;

    cr_expect_eq(sender_publish(sender, "default", &stats.base, done, &told, &err), ERR_INVALID);
    cr_expect_eq(sender_close(sender, fixture_now_ms() + WAIT_MS), 0);
    cr_expect_eq(told.delivered + told.failed, 0);
}

Test(sender, refuses_what_is_too_many_while_the_bus_is_away)
{
    const struct bus_options bus = {.brokers = NOBODY, .client_id = "test", .fetch_wait_ms = 20};
    struct sender *sender = open_sender(&bus, "modelbus");
    struct err err;

    say(sender, 0, SENDER_EVENTS_MAX);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(publish(sender, i, "e", &err), ERR_UNAVAILABLE);
    cr_expect_eq(dropped(), 3);
    cr_expect_eq(told.delivered + told.failed, 0);

    int64_t start = fixture_now_ms();
    cr_expect_eq(sender_close(sender, start + 300), SENDER_EVENTS_MAX);
    cr_expect_geq(fixture_now_ms() - start, 300);
    cr_expect_lt(fixture_now_ms() - start, 3000);
    cr_expect_eq(told.failed, SENDER_EVENTS_MAX);
    cr_expect_eq(told.code, ERR_CANCELLED);
    cr_expect_eq(dropped(), 3 + SENDER_EVENTS_MAX);
}

Test(sender, refuses_what_is_too_large_altogether_while_the_bus_is_away)
{
    const struct bus_options bus = {.brokers = NOBODY, .client_id = "test", .fetch_wait_ms = 20};
    static char big[1 << 19], huge[1 << 20];
    struct sender *sender = open_sender(&bus, "modelbus");
    struct err err;
    size_t accepted = 0;

    memset(huge, 'x', sizeof(huge) - 1);
    cr_expect_eq(publish(sender, 0, huge, &err), ERR_TOO_LARGE);
    memset(big, 'x', sizeof(big) - 1);
    while (publish(sender, 0, big, &err) == ERR_OK)
        cr_assert_lt(accepted++, SENDER_BYTES_MAX / sizeof(big));
    cr_expect_eq(err.code, ERR_UNAVAILABLE, "%s", err.message);
    cr_expect_gt(accepted, SENDER_BYTES_MAX / sizeof(big) / 2);
    cr_expect_eq(publish(sender, 0, "small", &err), ERR_OK, "there is room for a small one");
    cr_expect_eq(sender_close(sender, 0), accepted + 1);
    cr_expect_eq(told.failed, (int)accepted + 1);
}

Test(sender, delivers_after_an_outage_what_was_said_in_it)
{
    char topic[256] = "own.serving";
    struct bus_topic row = {.name = topic, .partitions = 3, .replication = 1};
    struct broker b;
    struct err err;

    broker_up(&b, NULL);
    const struct bus_options bus = {.brokers = b.brokers, .client_id = "test", .fetch_wait_ms = 20};
    cr_assert_eq(bus_create_topics(&bus, &row, 1, WAIT_MS, &err), ERR_OK, "%s", err.message);
    struct sender *sender = open_sender(&bus, "own");
    say(sender, 0, 300);
    wait_delivered(300);
    say(sender, 300, 300); /* some of them on their way */
    broker_kill(&b);
    say(sender, 600, 300);
    broker_restart(&b);
    cr_expect_eq(sender_close(sender, fixture_now_ms() + WAIT_MS), 0);
    cr_expect_eq(told.delivered, 900);
    cr_expect_eq(told.failed, 0);
    expect_in_order(&bus, "own", 900, 0);
    broker_down(&b);
}

/* A cluster in this process. */
struct mock {
    rd_kafka_t *host;
    rd_kafka_mock_cluster_t *cluster;
    struct bus_options bus;
};

static void
mock_open(struct mock *m)
{
    char text[256];

    m->host = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof(text));
    cr_assert_not_null(m->host, "%s", text);
    m->cluster = rd_kafka_mock_cluster_new(m->host, 1);
    cr_assert_eq(rd_kafka_mock_topic_create(m->cluster, "modelbus.serving", 1, 1), 0);
    m->bus = (struct bus_options){.brokers = rd_kafka_mock_cluster_bootstraps(m->cluster),
                                  .client_id = "test",
                                  .fetch_wait_ms = 10,
                                  /* many requests, one after the other */
                                  .properties = "batch.num.messages=" STRING(BATCH)};
}

static void
mock_close(struct mock *m)
{
    rd_kafka_mock_cluster_destroy(m->cluster);
    rd_kafka_destroy(m->host);
}

/* The next produce requests are answered so; a producer takes it for the loss of a message, for good. */
static void
mock_break_producers(struct mock *m, int times)
{
    while (times--)
        rd_kafka_mock_push_request_errors(m->cluster, 0 /* Produce */, 1,
                                          RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
}

Test(sender, a_renewed_producer_sends_again_in_order_what_the_old_one_left)
{
    struct mock m;

    lines_capture();
    log_init("test", LOG_INFO);
    mock_open(&m);
    struct sender *sender = open_sender(&m.bus, "modelbus");
    say(sender, 0, 90);
    wait_delivered(90);
    mock_break_producers(&m, 1);
    say(sender, 90, 300);
    wait_delivered(390);
    cr_expect_eq(lines_with("sender renews its producer"), 1);
    say(sender, 390, 30);
    cr_expect_eq(sender_close(sender, fixture_now_ms() + WAIT_MS), 0);
    cr_expect_eq(told.delivered, 420);
    cr_expect_eq(told.failed, 0);
    cr_expect_eq(dropped(), 0);
    expect_in_order(&m.bus, "modelbus", 420, 1);
    mock_close(&m);
}

struct talk {
    struct sender *sender;
    atomic_bool stop;
    int said;
};

static void *
talk(void *arg)
{
    struct talk *t = arg;
    struct err err;

    while (!atomic_load(&t->stop) && t->said < 3000)
        if (publish(t->sender, t->said, "e", &err) == ERR_OK)
            t->said++;
    return NULL;
}

Test(sender, a_producer_that_fails_while_others_publish_loses_nothing)
{
    struct talk t = {0};
    struct mock m;
    pthread_t thread;

    lines_capture();
    log_init("test", LOG_INFO);
    mock_open(&m);
    t.sender = open_sender(&m.bus, "modelbus");
    mock_break_producers(&m, 2); /* the second producer fails too */
    cr_assert_eq(pthread_create(&thread, NULL, talk, &t), 0);
    wait_delivered(1000);
    atomic_store(&t.stop, true);
    pthread_join(thread, NULL);
    cr_expect_eq(sender_close(t.sender, fixture_now_ms() + WAIT_MS), 0);
    cr_expect_eq(lines_with("sender renews its producer"), 2, "%d", lines_with("renews"));
    cr_expect_eq(told.delivered, t.said);
    cr_expect_eq(told.failed, 0);
    expect_in_order(&m.bus, "modelbus", t.said, 2);
    mock_close(&m);
}

Test(sender, closes_while_its_producer_has_failed)
{
    struct mock m;

    lines_capture();
    log_init("test", LOG_INFO);
    mock_open(&m);
    struct sender *sender = open_sender(&m.bus, "modelbus");
    say(sender, 0, 1);
    wait_delivered(1);
    mock_break_producers(&m, 100);
    say(sender, 1, 299);
    size_t left = sender_close(sender, fixture_now_ms() + 1500);
    cr_expect_gt(left, 0);
    cr_expect_eq(told.failed, (int)left);
    cr_expect_eq(told.delivered + told.failed, 300);
    cr_expect_gt(lines_with("sender renews its producer"), 0);
    mock_close(&m);
}
