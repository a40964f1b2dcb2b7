/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Swaps under load, as a plain program for ThreadSanitizer: 1,000 swaps while readers predict.
 * Every answer must be wholly of one version (its rows agree and match the version that
 * answered), versions never go back for a reader, and memory stays flat.
 */
#include "batcher.h"
#include "fixture.h"

#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define READERS 3
#define SWAPS 1000
#define ROWS 8

static struct endpoints *endpoints;
static struct endpoint *endpoint;
static struct batcher *batcher;
static _Atomic bool stop;
static _Atomic long answers, mixed, backwards;
static int64_t newest[READERS];

static void
answer(void *arg, unsigned worker, const struct batch_request *r, const float *values,
       const struct err *err)
{
    (void)arg;
    if (err || r->model->version < newest[worker])
        backwards++;
    newest[worker] = r->model->version;
    for (int i = 0; values && i < ROWS; i++)
        if (values[i] != (float)r->model->version)
            mixed++;
    answers++;
}

static void *
reader(void *arg)
{
    unsigned worker = (unsigned)(uintptr_t)arg;
    const float rows[ROWS * 2] = {0};
    struct err err;

    while (!stop) {
        endpoints_enter(endpoints, worker);
        for (int i = 0; i < 4; i++) {
            struct batch_request r = {.endpoint = endpoint,
                                      .model = endpoint_model(endpoint),
                                      .rows = ROWS,
                                      .deadline_us = 1};
            if (batcher_admit(batcher, worker, &err))
                abort();
            batcher_add(batcher, worker, &r, rows);
        }
        batcher_turn(batcher, worker, 0, 0);
        endpoints_leave(endpoints, worker);
    }
    return NULL;
}

static long
resident_kb(void)
{
    long pages = 0, ignored = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (!f || fscanf(f, "%ld %ld", &ignored, &pages) != 2)
        abort();
    fclose(f);
    return pages * sysconf(_SC_PAGESIZE) / 1024;
}

int
main(void)
{
    pthread_t threads[READERS];
    struct err err;
    long before = 0;
    const struct batcher_options o = {.workers = READERS, .queue = 1000, .answer = answer};

    endpoints = endpoints_new(READERS);
    if (endpoints_add(endpoints, "e", &endpoint, &err))
        abort();
    endpoints_swap(endpoints, endpoint, fixture_model(1, 1));
    batcher = batcher_new(&o);
    for (unsigned i = 0; i < READERS; i++)
        if (pthread_create(&threads[i], NULL, reader, (void *)(uintptr_t)i))
            abort();
    for (int version = 2; version <= SWAPS + 1; version++) {
        struct model *m = fixture_model(version, version);
        if (endpoints_swap(endpoints, endpoint, m) <= 0)
            abort();
        if (version == SWAPS / 4)
            before = resident_kb();
    }
    while (answers < 10000)
        sched_yield();
    stop = true;
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    malloc_trim(0);
    long grown = resident_kb() - before;
    batcher_free(batcher);
    endpoints_free(endpoints);
    printf("%d swaps, %ld answers, %ld mixed, %ld backwards, memory %+ld KiB\n", SWAPS, answers,
           mixed, backwards, grown);
    /* Sanitizers keep freed memory for a while. */
    bool flat = grown < 8192 || getenv("TSAN_OPTIONS") || getenv("ASAN_OPTIONS");
    return mixed == 0 && backwards == 0 && flat ? 0 : 1;
}
