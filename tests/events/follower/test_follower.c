/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The follower on real Kafka (MODELBUS_TEST_KAFKA, and a broker of its own that it kills) and on the
 * embedded bus, which is another cluster whenever it comes back.
 */
#include "../../shared/bus/fixture.h"
#include "../support/broker.h"
#include "../support/lines.h"
#include "follower.h"
#include "log/log.h"
#include "metrics/metrics.h"

#include "modelbus/deployment/v1/events.pb-c.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define KEYS 8
#define STATE "modelbus.deployment.v1.EndpointState"

typedef Modelbus__Deployment__V1__EndpointState EndpointState;

/* What a follower has said. The newest generation of endpoint "e0" … "e7"; 0: none or gone. */
struct heard {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int events, unknown, tombstones, bad, caught_up, restarts;
    int events_when_caught_up;
    int64_t generation[KEYS];
    struct follower *follower;
};

static void
note(struct heard *h, int *what)
{
    pthread_mutex_lock(&h->lock);
    ++*what;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

static void
on_event(void *arg, const struct event_type *type, const struct event_envelope *envelope,
         const ProtobufCMessage *event, const struct bus_message *m)
{
    struct heard *h = arg;
    const char *key = m->key;
    int64_t *generation;

    cr_assert(m->key_len == 2 && key[0] == 'e' && key[1] >= '0' && key[1] < '0' + KEYS);
    generation = &h->generation[key[1] - '0'];
    if (!m->value) {
        cr_assert(!event && (type || !envelope->id[0]));
        *generation = 0;
        note(h, &h->tombstones);
    } else if (!type) {
        cr_assert_null(event);
        note(h, &h->unknown);
    } else {
        cr_assert_str_eq(envelope->type, STATE);
        *generation = ((const EndpointState *)event)->generation;
        note(h, &h->events);
    }
}

static void
on_bad(void *arg, const struct bus_message *message, const struct err *err)
{
    struct heard *h = arg;

    (void)message;
    cr_assert_eq(err->code, ERR_INVALID, "%s", err->message);
    note(h, &h->bad);
}

static void
on_caught_up(void *arg)
{
    struct heard *h = arg;

    h->events_when_caught_up = h->events;
    note(h, &h->caught_up);
}

static void
on_restart(void *arg)
{
    struct heard *h = arg;

    note(h, &h->restarts);
}

static void
start(struct heard *h, const struct bus_options *bus, const char *prefix, bool from_end)
{
    const struct follower_options options = {
        .bus = *bus,
        .prefix = prefix,
        .topic = "endpoint-state",
        .from_end = from_end,
        .on_event = on_event,
        .on_bad = on_bad,
        .on_caught_up = on_caught_up,
        .on_restart = on_restart,
        .arg = h,
    };
    struct err err;

    memset(h, 0, sizeof(*h));
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->changed, NULL);
    cr_assert_eq(follower_start(&h->follower, &options, &err), ERR_OK, "%s", err.message);
}

/* Until *what is at least want. */
static void
wait_for(struct heard *h, const int *what, int want)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_MS / 1000;
    pthread_mutex_lock(&h->lock);
    while (*what < want)
        cr_assert_eq(pthread_cond_timedwait(&h->changed, &h->lock, &until), 0, "%d of %d", *what,
                     want);
    pthread_mutex_unlock(&h->lock);
}

/* Generations [first, first + count) of an endpoint, delivered. */
static void
say(const struct bus_options *bus, const char *prefix, int endpoint, int64_t first, int count)
{
    EndpointState state = MODELBUS__DEPLOYMENT__V1__ENDPOINT_STATE__INIT;
    char name[] = {'e', (char)('0' + endpoint), '\0'};
    struct sender *sender;
    struct err err;

    cr_assert_eq(sender_open(&sender, bus, prefix, "/test", &err), ERR_OK, "%s", err.message);
    state.endpoint = name;
    for (int i = 0; i < count; i++) {
        state.generation = first + i;
        cr_assert_eq(sender_publish(sender, "default", &state.base, NULL, NULL, &err), ERR_OK);
    }
    cr_assert_eq(sender_close(sender, fixture_now_ms() + WAIT_MS), 0);
}

static void
state_topic(const char *prefix, char topic[256], const struct bus_options *bus)
{
    struct bus_topic row = {.name = topic, .partitions = 3, .replication = 1, .compacted = true};
    struct err err;

    event_topic_name(prefix, "endpoint-state", topic);
    cr_assert_eq(bus_create_topics(bus, &row, 1, WAIT_MS, &err), ERR_OK, "%s", err.message);
}

static const struct bus_header state_headers[] = {
    {"ce_id", "1", 1}, {"ce_source", "/test", 5}, {"ce_type", STATE, sizeof(STATE) - 1}};
static const struct bus_header unknown_headers[] = {
    {"ce_id", "2", 1}, {"ce_source", "/test", 5}, {"ce_type", "acme.Sneezed", 12}};

Test(follower, reads_a_state_topic_from_its_beginning)
{
    struct fixture f;
    struct sent raw;
    struct heard h;
    char topic[256];

    fixture_kafka(&f);
    const char *prefix = f.topic; /* as unique as the fixture's own topic */
    state_topic(prefix, topic, &f.options);
    say(&f.options, prefix, 0, 1, 5);
    say(&f.options, prefix, 1, 1, 2);
    say(&f.options, prefix, 2, 1, 1);
    say(&f.options, prefix, 3, 7, 1);
    sent_open(&raw, &f);
    struct bus_message m = {.topic = topic, .partition = -1, .key = "e1", .key_len = 2};
    sent_message(&raw, &m); /* a bare tombstone */
    m.key = "e2";
    m.headers = state_headers;
    m.header_count = ARRAY_LEN(state_headers);
    sent_message(&raw, &m); /* one with an envelope */
    m.key = "e4";
    m.value = "\xff\xff\xff";
    m.value_len = 3;
    sent_message(&raw, &m); /* not a message of this type */
    m.headers = unknown_headers;
    sent_message(&raw, &m);
    m.header_count = 0;
    sent_message(&raw, &m); /* no event at all */
    sent_wait(&raw, 5);
    bus_producer_free(raw.producer);

    start(&h, &f.options, prefix, false);
    wait_for(&h, &h.caught_up, 1);
    cr_expect_eq(h.events_when_caught_up, 9);
    cr_expect_eq(h.tombstones, 2);
    cr_expect_eq(h.unknown, 1);
    cr_expect_eq(h.bad, 2);
    cr_expect_eq(
        metric_value(metrics_counter("modelbus_bus_follower_bad_total", "", "topic", topic, NULL)),
        2);
    cr_expect_eq(h.generation[0], 5);
    cr_expect_eq(h.generation[1], 0);
    cr_expect_eq(h.generation[2], 0);
    cr_expect_eq(h.generation[3], 7);

    say(&f.options, prefix, 1, 9, 1);
    wait_for(&h, &h.events, 10);
    follower_stop(h.follower);
    cr_expect_eq(h.generation[1], 9);
    cr_expect_eq(h.caught_up, 1);
    cr_expect_eq(h.restarts, 0);
    fixture_delete(&f, topic);
    fixture_close(&f);
}

Test(follower, says_at_once_that_an_empty_topic_is_read)
{
    struct fixture f;
    struct heard h;

    fixture_devbus(&f);
    start(&h, &f.options, "modelbus", false);
    wait_for(&h, &h.caught_up, 1);
    follower_stop(h.follower);
    cr_expect_eq(h.events, 0);
    fixture_close(&f);
}

/* Compaction leaves holes in the offsets; the end is reached all the same. */
static void
wait_compacted(const struct bus_options *bus, const char *prefix, int *said)
{
    int64_t deadline = fixture_now_ms() + WAIT_MS;
    struct heard h;

    do {
        cr_assert_lt(fixture_now_ms(), deadline, "nothing was compacted");
        say(bus, prefix, 0, ++*said, 1);
        start(&h, bus, prefix, false);
        wait_for(&h, &h.caught_up, 1);
        follower_stop(h.follower);
        cr_assert_eq(h.generation[0], *said);
    } while (h.events_when_caught_up == *said);
}

Test(follower, goes_on_where_it_was_when_a_killed_broker_is_back)
{
    struct broker b;
    struct heard h;
    char topic[256];
    int said = 0;

    lines_capture();
    log_init("test", LOG_INFO);
    broker_up(&b, "log.roll.ms=50\nlog.cleaner.min.cleanable.ratio=0.01");
    const struct bus_options bus = {.brokers = b.brokers, .client_id = "test", .fetch_wait_ms = 20};
    state_topic("own", topic, &bus);
    wait_compacted(&bus, "own", &said);

    start(&h, &bus, "own", false);
    wait_for(&h, &h.caught_up, 1);
    int before = h.events;
    broker_kill(&b);
    broker_restart(&b);
    say(&bus, "own", 1, 4, 1);
    wait_for(&h, &h.events, before + 1);
    follower_stop(h.follower);
    cr_expect_eq(h.generation[1], 4);
    cr_expect_eq(h.events, before + 1, "read again");
    cr_expect_eq(h.caught_up, 1);
    cr_expect_eq(h.restarts, 0);
    cr_expect_leq(lines_with("follower waits"), 1);
    broker_down(&b);
}

Test(follower, reads_another_cluster_from_its_beginning)
{
    struct fixture f;
    struct heard all, news;

    fixture_devbus(&f);
    say(&f.options, "modelbus", 0, 1, 3);
    start(&all, &f.options, "modelbus", false);
    start(&news, &f.options, "modelbus", true);
    wait_for(&all, &all.caught_up, 1);
    wait_for(&news, &news.caught_up, 1);
    cr_expect_eq(all.events, 3);
    cr_expect_eq(news.events, 0);

    fixture_kill(&f);
    fixture_restart(&f);
    say(&f.options, "modelbus", 1, 1, 2);
    wait_for(&all, &all.events, 5);
    wait_for(&news, &news.events, 2);
    wait_for(&all, &all.caught_up, 2);
    follower_stop(all.follower);
    follower_stop(news.follower);
    cr_expect_eq(all.restarts, 1);
    cr_expect_eq(news.restarts, 1);
    cr_expect_eq(all.events, 5);
    cr_expect_eq(news.events, 2);
    fixture_close(&f);
}

Test(follower, starts_while_the_bus_is_away)
{
    struct fixture f;
    struct heard h;

    fixture_devbus(&f);
    fixture_kill(&f);
    start(&h, &f.options, "modelbus", true);
    fixture_restart(&f);
    wait_for(&h, &h.caught_up, 1);
    say(&f.options, "modelbus", 5, 1, 1);
    wait_for(&h, &h.events, 1);
    follower_stop(h.follower);
    cr_expect_eq(h.restarts, 0);
    fixture_close(&f);
}

/* Takes connections and closes them. */
static int
listen_deaf(char brokers[64])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_eq(bind(fd, (struct sockaddr *)&a, len), 0);
    cr_assert_eq(listen(fd, 64), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    snprintf(brokers, 64, "127.0.0.1:%d", ntohs(a.sin_port));
    return fd;
}

Test(follower, logs_a_long_outage_once)
{
    struct heard h;
    char brokers[64];

    lines_capture();
    log_init("test", LOG_INFO);
    int fd = listen_deaf(brokers);
    const struct bus_options bus = {.brokers = brokers, .client_id = "test", .fetch_wait_ms = 20};
    start(&h, &bus, "modelbus", false);
    /* The client backs off up to a second: time for several rounds of the follower. */
    for (int i = 0; i < 8; i++) {
        int peer = accept(fd, NULL, NULL);

        cr_assert_geq(peer, 0);
        close(peer);
    }
    int64_t stop = fixture_now_ms();
    follower_stop(h.follower);
    cr_expect_lt(fixture_now_ms() - stop, 4000, "a stop does not wait for the bus");
    cr_expect_eq(lines_with("follower waits"), 1);
    close(fd);
}
