/* SPDX-License-Identifier: Apache-2.0 */
/* endpoints.c - the table of endpoints and its epochs. */
#include "endpoints.h"

#include "buf/fnv.h"
#include "life/life.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLOTS (ENDPOINTS_MAX * 4)

struct reader {
    _Alignas(64) _Atomic uint64_t epoch; /* in which it entered; 0: outside */
};

struct endpoints {
    _Atomic uint64_t epoch;
    unsigned reader_count;
    struct reader *readers;
    _Atomic(struct endpoint *) slots[SLOTS];
    _Atomic(struct endpoint *) order[ENDPOINTS_MAX];
    _Atomic size_t count;
};

static const double batch_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};

struct endpoints *
endpoints_new(unsigned readers)
{
    struct endpoints *e = mem_zalloc(sizeof(*e));

    atomic_init(&e->epoch, 1);
    e->reader_count = readers;
    e->readers = aligned_alloc(_Alignof(struct reader), readers * sizeof(*e->readers));
    if (!e->readers)
        abort();
    for (unsigned i = 0; i < readers; i++)
        atomic_init(&e->readers[i].epoch, 0);
    return e;
}

void
endpoints_free(struct endpoints *endpoints)
{
    if (!endpoints)
        return;
    for (size_t i = 0; i < endpoints_count(endpoints); i++) {
        struct endpoint *endpoint = endpoints_at(endpoints, i);
        model_unref(atomic_load(&endpoint->current));
        free(endpoint);
    }
    free(endpoints->readers);
    free(endpoints);
}

static size_t
slot_of(const char *name)
{
    return (size_t)(fnv(FNV_START, name, strlen(name)) % SLOTS);
}

struct endpoint *
endpoints_find(const struct endpoints *endpoints, const char *name)
{
    for (size_t i = slot_of(name);; i = (i + 1) % SLOTS) {
        struct endpoint *e = atomic_load_explicit(&endpoints->slots[i], memory_order_acquire);
        if (!e || strcmp(e->name, name) == 0)
            return e;
    }
}

enum err_code
endpoints_add(struct endpoints *endpoints, const char *name, struct endpoint **endpoint,
              struct err *err)
{
    size_t count = atomic_load(&endpoints->count);
    struct endpoint *e = endpoints_find(endpoints, name);

    if (!e) {
        if (strlen(name) > ENDPOINT_NAME_MAX)
            return err_set(err, ERR_TOO_LARGE, "an endpoint's name is longer than %d bytes",
                           ENDPOINT_NAME_MAX);
        if (count == ENDPOINTS_MAX)
            return err_set(err, ERR_TOO_LARGE, "more than %d endpoints", ENDPOINTS_MAX);
        e = mem_zalloc(sizeof(*e));
        strcpy(e->name, name); /* bounded above */
        e->seconds = metrics_histogram(
            "modelbus_inference_request_seconds", "From the request's arrival to its answer.",
            metrics_latency_bounds, metrics_latency_bound_count, "endpoint", e->name, NULL);
        e->rows = metrics_counter("modelbus_inference_rows_total", "Rows predicted.", "endpoint",
                                  e->name, NULL);
        e->batch_rows = metrics_histogram("modelbus_inference_batch_rows",
                                          "Rows predicted together in one turn.", batch_bounds,
                                          ARRAY_LEN(batch_bounds), "endpoint", e->name, NULL);
        size_t i = slot_of(name);
        while (atomic_load_explicit(&endpoints->slots[i], memory_order_relaxed))
            i = (i + 1) % SLOTS;
        atomic_store_explicit(&endpoints->order[count], e, memory_order_release);
        atomic_store(&endpoints->count, count + 1);
        atomic_store_explicit(&endpoints->slots[i], e, memory_order_release);
    }
    *endpoint = e;
    return ERR_OK;
}

size_t
endpoints_count(const struct endpoints *endpoints)
{
    return atomic_load(&endpoints->count);
}

struct endpoint *
endpoints_at(const struct endpoints *endpoints, size_t index)
{
    return atomic_load_explicit(&endpoints->order[index], memory_order_acquire);
}

void
endpoints_enter(struct endpoints *endpoints, unsigned reader)
{
    _Atomic uint64_t *epoch = &endpoints->readers[reader].epoch;

    /* Sequentially consistent: the store must be seen before the pointer is loaded. */
    if (atomic_load_explicit(epoch, memory_order_relaxed) == 0)
        atomic_store(epoch, atomic_load(&endpoints->epoch));
}

void
endpoints_leave(struct endpoints *endpoints, unsigned reader)
{
    atomic_store_explicit(&endpoints->readers[reader].epoch, 0, memory_order_release);
}

struct model *
endpoint_model(struct endpoint *endpoint)
{
    return atomic_load(&endpoint->current);
}

static void
wait_for_readers(struct endpoints *endpoints, uint64_t epoch)
{
    /* A turn takes microseconds to milliseconds. */
    const struct timespec pause = {.tv_nsec = 20 * 1000};

    for (unsigned i = 0; i < endpoints->reader_count; i++)
        for (;;) {
            uint64_t seen = atomic_load(&endpoints->readers[i].epoch);
            if (seen == 0 || seen >= epoch)
                break;
            nanosleep(&pause, NULL);
        }
}

double
endpoints_swap(struct endpoints *endpoints, struct endpoint *endpoint, struct model *model)
{
    int64_t start_us = life_monotonic_us();
    struct model *old = atomic_exchange(&endpoint->current, model);

    if (!old)
        return 0;
    wait_for_readers(endpoints, atomic_fetch_add(&endpoints->epoch, 1) + 1);
    int64_t took_us = life_monotonic_us() - start_us;
    model_unref(old);
    return took_us > 0 ? (double)took_us : 1;
}

/* Linear below 4 µs, then four equal buckets an octave. */
unsigned
latency_bucket(int64_t us)
{
    if (us < 4)
        return us < 0 ? 0 : (unsigned)us;
    unsigned octave = 63 - (unsigned)__builtin_clzll((uint64_t)us);
    unsigned bucket = (octave - 1) * 4 + (unsigned)(us >> (octave - 2) & 3);
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

double
latency_percentile(const uint32_t buckets[LATENCY_BUCKETS], double p)
{
    uint64_t total = 0, below = 0;

    for (unsigned b = 0; b < LATENCY_BUCKETS; b++)
        total += buckets[b];
    if (total == 0)
        return 0;
    unsigned b = 0;
    for (; b < LATENCY_BUCKETS - 1; b++) {
        below += buckets[b];
        if ((double)below >= p * (double)total)
            break;
    }
    /* The bucket's upper edge. */
    double us = b < 4 ? b + 1 : (double)((4 + b % 4 + 1) * ((uint64_t)1 << (b / 4 - 1)));
    return us / 1e6;
}
