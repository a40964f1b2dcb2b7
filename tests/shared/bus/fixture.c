/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int64_t
fixture_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* MODELBUS_TEST_BIN, else <build>/bin beside <build>/tests, where this program is. */
static void
devbus_path(char path[PATH_MAX])
{
    const char *folder = getenv("MODELBUS_TEST_BIN");
    char self[PATH_MAX - 64] = "";

    cr_assert_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
    *strrchr(self, '/') = '\0';
    if (folder)
        snprintf(path, PATH_MAX, "%s/modelbus-devbus", folder);
    else
        snprintf(path, PATH_MAX, "%s/../bin/modelbus-devbus", self);
    cr_assert_eq(access(path, X_OK), 0, "%s is not there", path);
}

static void
start_devbus(struct fixture *f, const char *port)
{
    char path[PATH_MAX];
    int out[2];

    devbus_path(path);
    cr_assert_eq(pipe(out), 0);
    f->devbus = fork();
    cr_assert_geq(f->devbus, 0);
    if (f->devbus == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        execl(path, path, "--port", port, "--partitions", "1", (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *text = fdopen(out[0], "r");
    cr_assert_not_null(fgets(f->brokers, sizeof(f->brokers), text), "devbus on port %s", port);
    fclose(text);
    f->brokers[strcspn(f->brokers, "\n")] = '\0';
}

/* Below what the kernel gives to connections: a bus that was killed finds its port free. */
static int
free_port(void)
{
    for (;;) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        uint16_t dice;

        cr_assert_eq(getrandom(&dice, sizeof(dice), 0), sizeof(dice));
        at.sin_port = htons((uint16_t)(20000 + dice % 12000));
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool is_free = bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
        close(fd);
        if (is_free)
            return ntohs(at.sin_port);
    }
}

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif

void
fixture_devbus(struct fixture *f)
{
    *f = (struct fixture){.options = {.client_id = "test", .fetch_wait_ms = 10}};
    snprintf(f->topic, sizeof(f->topic), "modelbus.registry");
    char port[8];
    snprintf(port, sizeof(port), "%d", free_port());
    start_devbus(f, port);
    f->options.brokers = f->brokers;
}

void
fixture_kafka(struct fixture *f)
{
    const char *brokers = getenv("MODELBUS_TEST_KAFKA");
    struct bus_topic topic = {.partitions = 1, .replication = 1};
    struct err err;

    cr_assert(brokers, "MODELBUS_TEST_KAFKA is not set");
    *f = (struct fixture){.options = {.client_id = "test", .fetch_wait_ms = 500}};
    snprintf(f->brokers, sizeof(f->brokers), "%s", brokers);
    snprintf(f->topic, sizeof(f->topic), "test-bus-%d-%lld", (int)getpid(),
             (long long)fixture_now_ms());
    f->options.brokers = f->brokers;
    topic.name = f->topic;
    cr_assert_eq(bus_create_topics(&f->options, &topic, 1, WAIT_MS, &err), ERR_OK, "%s",
                 err.message);
}

static rd_kafka_t *
admin(const struct fixture *f, rd_kafka_queue_t **queue)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char text[256];

    cr_assert_eq(rd_kafka_conf_set(conf, "bootstrap.servers", f->brokers, text, sizeof(text)), 0);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    *queue = rd_kafka_queue_new(rk);
    return rk;
}

static void
admin_done(rd_kafka_t *rk, rd_kafka_queue_t *queue, const char *what, const char *name)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, WAIT_MS);

    cr_expect(event && !rd_kafka_event_error(event), "%s was not %s", name, what);
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
}

void
fixture_delete(const struct fixture *f, const char *name)
{
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);
    rd_kafka_queue_t *queue;
    rd_kafka_t *rk = admin(f, &queue);

    rd_kafka_DeleteTopics(rk, &topic, 1, NULL, queue);
    admin_done(rk, queue, "deleted", name);
    rd_kafka_DeleteTopic_destroy(topic);
}

void
fixture_grow(const struct fixture *f, int partitions)
{
    char text[256];
    rd_kafka_NewPartitions_t *grown =
        rd_kafka_NewPartitions_new(f->topic, (size_t)partitions, text, sizeof(text));
    rd_kafka_queue_t *queue;
    rd_kafka_t *rk = admin(f, &queue);

    rd_kafka_CreatePartitions(rk, &grown, 1, NULL, queue);
    admin_done(rk, queue, "given more partitions", f->topic);
    rd_kafka_NewPartitions_destroy(grown);
}

void
fixture_kill(struct fixture *f)
{
    cr_assert_eq(kill(f->devbus, SIGKILL), 0);
    cr_assert_eq(waitpid(f->devbus, NULL, 0), f->devbus);
}

void
fixture_restart(struct fixture *f)
{
    char was[sizeof(f->brokers)];

    snprintf(was, sizeof(was), "%s", f->brokers);
    start_devbus(f, strrchr(was, ':') + 1);
    cr_assert_str_eq(f->brokers, was);
}

void
fixture_close(struct fixture *f)
{
    if (f->devbus)
        fixture_kill(f);
    else
        fixture_delete(f, f->topic);
}

static void
on_delivered(void *arg, void *opaque, const struct err *err)
{
    struct sent *s = arg;

    (void)opaque;
    if (err) {
        s->failed++;
        s->err = *err;
    } else {
        s->delivered++;
    }
}

void
sent_open(struct sent *s, const struct fixture *f)
{
    *s = (struct sent){0};
    cr_assert_eq(bus_producer_open(&s->producer, &f->options, on_delivered, s, &s->err), ERR_OK,
                 "%s", s->err.message);
}

void
sent_message(struct sent *s, const struct bus_message *m)
{
    struct err err;

    cr_assert_eq(bus_produce(s->producer, m, NULL, &err), ERR_OK, "%s", err.message);
}

void
sent_wait(struct sent *s, int delivered)
{
    int64_t deadline = fixture_now_ms() + WAIT_MS;

    while (s->delivered < delivered && !s->failed && fixture_now_ms() < deadline)
        bus_producer_poll(s->producer, 100);
    cr_assert_eq(s->failed, 0, "%s", s->err.message);
    cr_assert_eq(s->delivered, delivered);
}

void
sent_texts(struct fixture *f, const char *what, int count)
{
    struct sent s;
    char text[64];

    sent_open(&s, f);
    for (int i = 0; i < count; i++) {
        int n = snprintf(text, sizeof(text), "%s %d", what, i);

        sent_message(
            &s, &(struct bus_message){.topic = f->topic, .value = text, .value_len = (size_t)n});
    }
    sent_wait(&s, count);
    bus_producer_free(s.producer);
}

struct bus_reader *
fixture_reader(const struct fixture *f, const char *group)
{
    struct bus_reader *r;
    struct err err;

    cr_assert_eq(bus_reader_open(&r, &f->options, group, &err), ERR_OK, "%s", err.message);
    return r;
}

enum bus_event
fixture_next(struct bus_reader *r, struct bus_message *m, void **handle)
{
    int64_t deadline = fixture_now_ms() + WAIT_MS;
    struct err err = {.message = "nothing"};

    while (fixture_now_ms() < deadline) {
        enum bus_event event = bus_reader_poll(r, 100, m, handle, &err);

        if (event != BUS_NOTHING && event != BUS_ERROR)
            return event;
    }
    cr_assert_fail("no event in %d ms, last: %s", WAIT_MS, err.message);
    return BUS_NOTHING;
}

void
fixture_expect_text(struct bus_reader *r, const char *text)
{
    struct bus_message m;
    void *handle;

    enum bus_event event = fixture_next(r, &m, &handle);
    cr_assert_eq(event, BUS_MESSAGE, "expected '%s', got event %d", text, (int)event);
    cr_assert_eq(m.value_len, strlen(text), "expected '%s', got '%.*s'", text, (int)m.value_len,
                 (const char *)m.value);
    cr_assert_arr_eq(m.value, text, m.value_len, "expected '%s', got '%.*s'", text,
                     (int)m.value_len, (const char *)m.value);
    bus_message_done(handle);
}

enum bus_reported
fixture_report(struct bus_reader *r, const struct bus_position *p, struct err *err)
{
    int64_t deadline = fixture_now_ms() + WAIT_MS;
    enum bus_reported how;

    bus_reader_report(r, p, 1);
    while ((how = bus_reader_reported(r, err)) == BUS_REPORT_PENDING) {
        cr_assert_lt(fixture_now_ms(), deadline);
        poll(NULL, 0, 5);
    }
    return how;
}

void
fixture_assign(struct fixture *f, struct bus_reader *r, int64_t offset)
{
    struct bus_position p = {.offset = offset};
    struct err err;

    snprintf(p.topic, sizeof(p.topic), "%s", f->topic);
    cr_assert_eq(bus_reader_assign(r, &p, 1, &err), ERR_OK, "%s", err.message);
}
