/* SPDX-License-Identifier: Apache-2.0 */
/* The loader: what is served after good, bad, late and repeated states. */
#include "fixture.h"
#include "loader.h"

#include "crypto/crypto.h"
#include "modelbus/serving/v1/events.pb-c.h"
#include "origin.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef Modelbus__Deployment__V1__EndpointState State;

static char folder[64];
static struct endpoints *endpoints;
static struct cache *cache;
static struct source *source;
static struct loader *loader;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t said = PTHREAD_COND_INITIALIZER;
static size_t loaded, failed;
static int64_t loaded_version, failed_serving;
static bool loaded_fallback;
static char failed_message[512];
static struct event_origin because; /* of the last report */

static void
report(void *arg, const ProtobufCMessage *event)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    because = event_origin();
    if (event->descriptor == &modelbus__serving__v1__model_loaded__descriptor) {
        const Modelbus__Serving__V1__ModelLoaded *e = (const void *)event;
        loaded++;
        loaded_version = e->version;
        loaded_fallback = e->fallback;
    } else {
        const Modelbus__Serving__V1__ModelLoadFailed *e = (const void *)event;
        failed++;
        failed_serving = e->serving_version;
        snprintf(failed_message, sizeof(failed_message), "%s", e->error_message);
    }
    pthread_cond_broadcast(&said);
    pthread_mutex_unlock(&lock);
}

/* Until *counter is n, at most ten seconds. */
static void
wait_for(const size_t *counter, size_t n)
{
    struct timespec at;

    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += 10;
    pthread_mutex_lock(&lock);
    while (*counter < n)
        cr_assert_neq(pthread_cond_timedwait(&said, &lock, &at), ETIMEDOUT, "nothing was said");
    cr_assert_eq(*counter, n);
    pthread_mutex_unlock(&lock);
}

static void
open_parts(void)
{
    struct err err = {0};

    endpoints = endpoints_new(1);
    cr_assert_eq(cache_open(&cache, folder, 1 << 20, &err), ERR_OK, "%s", err.message);
    cr_assert_eq(source_open(&source, NULL, NULL, 1 << 20, &err), ERR_OK);
    const struct loader_options o = {
        .endpoints = endpoints, .cache = cache, .source = source, .pod = "p", .report = report};
    loader = loader_new(&o);
}

static void
close_parts(void)
{
    loader_free(loader);
    source_free(source);
    cache_free(cache);
    endpoints_free(endpoints);
}

static void
setup(void)
{
    strcpy(folder, "/tmp/modelbus-loader-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    open_parts();
}

static void
teardown(void)
{
    char command[128];

    close_parts();
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

/* A model file of one feature and intercept `value` in the cache; its URI. */
static void
put(const char *text, char uri[72])
{
    struct err err = {0};

    strcpy(uri, "sha256:");
    crypto_sha256_hex(text, strlen(text), uri + 7);
    cr_assert_eq(cache_store(cache, uri, text, strlen(text), &err), ERR_OK, "%s", err.message);
}

static void
put_model(int value, char uri[72])
{
    char text[128];

    snprintf(text, sizeof(text),
             "{\"modelbus_linear\":1,\"link\":\"identity\",\"coef\":[[1]],\"intercept\":[%d]}",
             value);
    put(text, uri);
}

static void
want(int64_t generation, int64_t version, const char *uri, const char *fallback)
{
    State s = MODELBUS__DEPLOYMENT__V1__ENDPOINT_STATE__INIT;
    Modelbus__Deployment__V1__Target target = MODELBUS__DEPLOYMENT__V1__TARGET__INIT;
    Modelbus__Deployment__V1__Target second = MODELBUS__DEPLOYMENT__V1__TARGET__INIT;
    Modelbus__Common__V1__Artifact a = MODELBUS__COMMON__V1__ARTIFACT__INIT;
    Modelbus__Common__V1__Artifact b = MODELBUS__COMMON__V1__ARTIFACT__INIT;

    s.endpoint = (char *)(uintptr_t) "e";
    s.generation = generation;
    s.target = &target;
    target.model_name = second.model_name = (char *)(uintptr_t) "m";
    target.version = version;
    target.artifact = &a;
    a.uri = (char *)(uintptr_t)uri;
    if (fallback) {
        s.fallback = &second;
        second.version = 1;
        second.artifact = &b;
        b.uri = (char *)(uintptr_t)fallback;
    }
    s.deleted = uri == NULL;
    if (!uri)
        s.target = NULL;
    loader_want(loader, &s);
}

/* A report is said before the state is remembered: the rest of it, within the suite's timeout. */
static void
wait_settled(void)
{
    while (!loader_settled(loader))
        sched_yield();
}

static int64_t
served(void)
{
    struct endpoint *e = endpoints_find(endpoints, "e");
    endpoints_enter(endpoints, 0);
    struct model *m = e ? endpoint_model(e) : NULL;
    int64_t version = m ? m->version : 0;
    endpoints_leave(endpoints, 0);
    return version;
}

TestSuite(loader, .init = setup, .fini = teardown, .timeout = 60);

Test(loader, a_broken_target_keeps_the_old_model)
{
    char first[72], broken[72];

    put_model(1, first);
    put("{\"modelbus_linear\":1}", broken);
    loader_start(loader);
    want(1, 1, first, NULL);
    wait_for(&loaded, 1);
    want(2, 2, broken, first);
    wait_for(&failed, 1);
    cr_assert_eq(served(), 1);
    cr_assert_eq(failed_serving, 1);
    cr_assert(strstr(failed_message, "link and coef"), "%s", failed_message);
    want(3, 1, first, NULL); /* rolled back */
    wait_for(&loaded, 2);
    cr_assert_eq(served(), 1);
    wait_settled();
}

Test(loader, a_report_has_the_origin_of_its_state)
{
    struct event_envelope state = {
        .id = "state-1", .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"};
    char first[72];

    put_model(1, first);
    event_origin_enter(&state);
    want(1, 1, first, NULL);
    event_origin_set(NULL);
    loader_start(loader);
    wait_for(&loaded, 1);
    cr_expect_str_eq(because.cause, "state-1");
    cr_expect_str_eq(because.trace.trace_id, "0af7651916cd43dd8448eb211c80319c");
    wait_settled();
    loader_report_again(loader);
    wait_for(&loaded, 2);
    cr_expect_str_empty(because.cause, "said again because the bus is another one");
}

Test(loader, an_endpoint_that_serves_nothing_takes_the_fallback)
{
    char first[72], broken[72];

    put_model(1, first);
    put("not a model", broken);
    loader_start(loader);
    want(7, 2, broken, first);
    wait_for(&failed, 1);
    wait_for(&loaded, 1);
    cr_assert(loaded_fallback);
    cr_assert_eq(served(), 1);
}

Test(loader, only_the_newest_state_counts)
{
    char uris[4][72];

    for (int i = 0; i < 4; i++)
        put_model(i, uris[i]);
    for (int i = 0; i < 4; i++) /* the thread has not started */
        want(i + 1, i + 1, uris[i], NULL);
    want(2, 2, uris[1], NULL); /* old news */
    loader_start(loader);
    wait_for(&loaded, 1);
    cr_assert_eq(loaded_version, 4);
    want(5, 1, uris[0], NULL);
    wait_for(&loaded, 2);
    cr_assert_eq(served(), 1);
    loader_report_again(loader);
    wait_for(&loaded, 3);
    cr_assert_eq(loaded_version, 1);
}

Test(loader, a_restart_serves_from_the_cache_and_a_corrupt_entry_is_seen)
{
    char uri[72], path[256];

    put_model(5, uri);
    loader_start(loader);
    want(1, 9, uri, NULL);
    wait_for(&loaded, 1);
    close_parts();

    open_parts();
    cr_assert_eq(loader_recall(loader), 1);
    loader_start(loader);
    wait_for(&loaded, 2);
    cr_assert_eq(served(), 9);
    close_parts();

    snprintf(path, sizeof(path), "%s/artifacts/%s", folder, uri + 7);
    int fd = open(path, O_WRONLY);
    cr_assert_eq(write(fd, "#", 1), 1);
    close(fd);
    open_parts();
    loader_recall(loader);
    loader_start(loader);
    wait_for(&failed, 1); /* there is no store to fetch it from again */
    cr_assert_neq(access(path, F_OK), 0);
    cr_assert_eq(served(), 0);
    wait_settled();
}

Test(loader, a_deleted_endpoint_is_unloaded_and_may_return)
{
    char uri[72];

    put_model(5, uri);
    loader_start(loader);
    want(1, 1, uri, NULL);
    wait_for(&loaded, 1);
    want(2, 0, NULL, NULL);
    want(3, 1, uri, NULL);
    wait_for(&loaded, 2);
    cr_assert_eq(served(), 1);
}
