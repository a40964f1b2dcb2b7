/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real program on real Kafka with a file store: endpoint states become served models, swaps under load
 * lose nothing, a broken target changes nothing, and the pod comes back from its cache when the
 * bus is away. Needs MODELBUS_TEST_KAFKA.
 */
#include "artifact/artifact.h"
#include "follower.h"
#include "http/http.h"
#include "life/life.h"

#include "modelbus/deployment/v1/events.pb-c.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define VERSIONS 4
#define SWAPS 60
#define DRAIN_MS 3000

static char folder[] = "/tmp/modelbus-pod-XXXXXX";
static char prefix[64], uris[VERSIONS][ARTIFACT_URI_LEN + 1], broken[ARTIFACT_URI_LEN + 1];
static const char *brokers;
static int port;
static pid_t pid;
static struct sender *sender;

static int
free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    cr_assert_eq(bind(fd, (struct sockaddr *)&a, len), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    close(fd);
    return ntohs(a.sin_port);
}

static void
start_pod(const char *bus)
{
    char bind[64], cache[128], store[128], log[128], drain[16];

    snprintf(bind, sizeof(bind), "127.0.0.1:%d", port);
    snprintf(cache, sizeof(cache), "%s/cache", folder);
    snprintf(store, sizeof(store), "file://%s/store", folder);
    snprintf(log, sizeof(log), "%s/log", folder);
    snprintf(drain, sizeof(drain), "%d", DRAIN_MS);
    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves no pod behind */
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, 2);
    execl(MODELBUS_BIN_DIR "/modelbus-inference", "modelbus-inference", "--bind", bind, "--brokers",
          bus, "--bus-prefix", prefix, "--bus-fetch-wait-ms", "20", "--cache-dir", cache,
          "--artifact-url", store, "--threads", "2", "--pod", "pod-1", "--drain-ms", drain, NULL);
    _exit(127);
}

static void
stop_pod(int expected)
{
    int status;

    cr_assert_eq(kill(pid, SIGTERM), 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == expected, "status %x", (unsigned)status);
}

/* Status of the answer, 0: none. *body (may be NULL) is filled with what fits. */
static int
call(const char *verb, const char *path, const char *request, char *body, size_t size)
{
    char url[128];
    struct http_client_request r = {.verb = verb,
                                    .url = url,
                                    .body = request,
                                    .body_len = request ? strlen(request) : 0,
                                    .timeout_ms = 5000};
    struct http_client_response response = {0};
    struct err err;
    int status = 0;

    snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", port, path);
    if (http_fetch(&r, &response, &err) == ERR_OK) {
        status = response.status;
        if (body)
            snprintf(body, size, "%s", response.body.data ? response.body.data : "");
    }
    http_client_response_done(&response);
    return status;
}

/* Until GET path answers 200 with part in it. */
static void
wait_for(const char *path, const char *part)
{
    static char body[1 << 17];
    int64_t deadline = life_monotonic_ms() + 30000;

    while (call("GET", path, NULL, body, sizeof(body)) != 200 || !strstr(body, part)) {
        cr_assert_lt(life_monotonic_ms(), deadline, "%s never had '%s': %s", path, part, body);
        poll(NULL, 0, 2);
    }
}

static void
publish(int64_t generation, int64_t version, const char *uri)
{
    Modelbus__Deployment__V1__EndpointState s = MODELBUS__DEPLOYMENT__V1__ENDPOINT_STATE__INIT;
    Modelbus__Deployment__V1__Target target = MODELBUS__DEPLOYMENT__V1__TARGET__INIT;
    Modelbus__Common__V1__Artifact artifact = MODELBUS__COMMON__V1__ARTIFACT__INIT;
    struct err err = {0};

    s.endpoint = (char *)(uintptr_t) "e";
    s.workspace = (char *)(uintptr_t) "default";
    s.generation = generation;
    s.target = &target;
    target.model_name = (char *)(uintptr_t) "m";
    target.version = version;
    target.artifact = &artifact;
    artifact.uri = (char *)(uintptr_t)uri;
    cr_assert_eq(sender_publish(sender, "default", &s.base, NULL, NULL, &err), ERR_OK, "%s",
                 err.message);
}

static void
on_report(void *arg, void *opaque, const struct err *err)
{
    (void)opaque;
    cr_assert_null(err);
    ++*(int *)arg;
}

/* Somebody cleans up by hand: no reason to stop serving. */
static void
publish_tombstone(void)
{
    static const char type[] = "modelbus.deployment.v1.EndpointState";
    const struct bus_header headers[] = {
        {"ce_id", "1", 1}, {"ce_source", "/test", 5}, {"ce_type", type, sizeof(type) - 1}};
    const struct bus_options bus = {.brokers = brokers, .client_id = "test", .fetch_wait_ms = 20};
    struct bus_message m = {.partition = -1, .key = "e", .key_len = 1};
    struct bus_producer *producer;
    char topic[256];
    int reports = 0;
    struct err err;

    event_topic_name(prefix, "endpoint-state", topic);
    m.topic = topic;
    cr_assert_eq(bus_producer_open(&producer, &bus, on_report, &reports, &err), ERR_OK);
    cr_assert_eq(bus_produce(producer, &m, NULL, &err), ERR_OK, "%s", err.message);
    m.headers = headers;
    m.header_count = ARRAY_LEN(headers);
    cr_assert_eq(bus_produce(producer, &m, NULL, &err), ERR_OK, "%s", err.message);
    cr_assert(bus_producer_flush(producer, 10000));
    bus_producer_free(producer);
    cr_assert_eq(reports, 2);
}

static void
setup(void)
{
    char url[128];
    struct artifact_store *store;
    struct err err = {0};

    brokers = getenv("MODELBUS_TEST_KAFKA");
    cr_assert_not_null(brokers, "MODELBUS_TEST_KAFKA is not set");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(prefix, sizeof(prefix), "pod%d%lld", (int)getpid(), (long long)life_now_ms());
    snprintf(url, sizeof(url), "file://%s/store", folder);
    cr_assert_eq(artifact_store_open(&store, url, &err), ERR_OK, "%s", err.message);
    for (int v = 0; v < VERSIONS; v++) {
        char text[128];
        snprintf(text, sizeof(text),
                 "{\"modelbus_linear\":1,\"link\":\"identity\",\"coef\":[[0]],\"intercept\":[%d]}",
                 v + 1);
        cr_assert_eq(artifact_put_bytes(store, text, strlen(text), uris[v], &err), ERR_OK);
    }
    cr_assert_eq(artifact_put_bytes(store, "{}", 2, broken, &err), ERR_OK);
    artifact_store_free(store);
    const struct bus_options bus = {.brokers = brokers, .client_id = "test", .fetch_wait_ms = 20};
    cr_assert_eq(event_topics_create(&bus, prefix, 1, 10000, &err), ERR_OK, "%s", err.message);
    cr_assert_eq(sender_open(&sender, &bus, prefix, "/test", &err), ERR_OK, "%s", err.message);
    port = free_port();
}

static _Atomic bool done;
static _Atomic long predictions, failures, mixed;

/* Model v answers v: the number and the version must agree. */
static void *
predict(void *arg)
{
    char body[512];

    (void)arg;
    while (!done) {
        const char *p, *v;
        if (call("POST", "/predict/e", "{\"rows\":[[0],[0],[0]]}", body, sizeof(body)) != 200 ||
            !(p = strstr(body, "[")) || !(v = strstr(body, "\"version\":"))) {
            failures++;
            continue;
        }
        int a, b, c;
        if (sscanf(p, "[%d,%d,%d]", &a, &b, &c) != 3 || a != b || b != c || a != atoi(v + 10))
            mixed++;
        predictions++;
    }
    return NULL;
}

Test(pod, serves_swaps_keeps_and_returns, .init = setup, .timeout = 240)
{
    pthread_t threads[2];
    char part[64], command[128];
    int64_t generation = 1;

    publish(generation, 1, uris[0]);
    start_pod(brokers);
    wait_for("/readyz", "ok");
    wait_for("/info", "\"generation\":1,");

    for (size_t i = 0; i < 2; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, predict, NULL), 0);
    for (int i = 0; i < SWAPS; i++) {
        int v = (i + 1) % VERSIONS;
        publish(++generation, v + 1, uris[v]);
        snprintf(part, sizeof(part), "\"generation\":%d,", (int)generation);
        wait_for("/info", part);
    }
    publish(++generation, 99, broken);
    wait_for("/metrics", "modelbus_inference_load_failures_total{endpoint=\"e\"} 1");
    wait_for("/info", part); /* still the one before */
    done = true;
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(failures, 0, "%ld of %ld failed", failures, predictions);
    cr_assert_eq(mixed, 0);
    cr_assert_gt(predictions, 100);

    publish_tombstone();
    publish(++generation, 2, uris[1]); /* rolled back */
    snprintf(part, sizeof(part), "\"generation\":%d,", (int)generation);
    wait_for("/info", part);
    stop_pod(0);

    /* No bus, no store: the cache is enough. */
    snprintf(command, sizeof(command), "rm -rf %s/store", folder);
    cr_assert_eq(system(command), 0);
    start_pod("127.0.0.1:1");
    wait_for("/readyz", "ok");
    wait_for("/info", part);
    cr_assert_eq(call("POST", "/predict/e", "{\"row\":[0]}", NULL, 0), 200);
    int64_t stop = life_monotonic_ms();
    stop_pod(0); /* its reports are given up, with a line in the log */
    cr_assert_lt(life_monotonic_ms() - stop, DRAIN_MS + 2000);
    snprintf(command, sizeof(command), "grep -q 'events given up' %s/log", folder);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(sender_close(sender, life_monotonic_ms() + 5000), 0);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}
