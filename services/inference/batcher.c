/* SPDX-License-Identifier: Apache-2.0 */
/* batcher.c - one batch a model and turn. */
#include "batcher.h"

#include <stdlib.h>
#include <string.h>

#define KEEP_FLOATS (1u << 20) /* memory that a worker keeps from turn to turn */

struct batch { /* the turn's requests to one model */
    struct model *model;
    struct endpoint *endpoint;
    struct batch_request *requests;
    size_t count, cap;
    float *data;
    size_t len, data_cap; /* floats */
};

struct worker {
    _Alignas(64) _Atomic size_t queued;
    struct batch *batches;
    size_t count, cap;
    float *values; /* results and scratch of the batch that is predicted */
    size_t values_cap;
};

struct batcher {
    struct batcher_options o;
    struct worker *workers;
};

struct batcher *
batcher_new(const struct batcher_options *options)
{
    struct batcher *b = mem_zalloc(sizeof(*b));

    b->o = *options;
    b->workers = aligned_alloc(_Alignof(struct worker), options->workers * sizeof(*b->workers));
    if (!b->workers)
        abort();
    memset(b->workers, 0, options->workers * sizeof(*b->workers));
    return b;
}

void
batcher_free(struct batcher *batcher)
{
    if (!batcher)
        return;
    for (unsigned i = 0; i < batcher->o.workers; i++) {
        struct worker *w = &batcher->workers[i];
        for (size_t k = 0; k < w->cap; k++) {
            free(w->batches[k].requests);
            free(w->batches[k].data);
        }
        free(w->batches);
        free(w->values);
    }
    free(batcher->workers);
    free(batcher);
}

size_t
batcher_queued(const struct batcher *batcher)
{
    size_t sum = 0;

    for (unsigned i = 0; i < batcher->o.workers; i++)
        sum += atomic_load_explicit(&batcher->workers[i].queued, memory_order_relaxed);
    return sum;
}

/* Each worker counts its own; the sum may be off by what others do at this instant. */
static void
count(struct batcher *batcher, unsigned worker, size_t plus, size_t minus)
{
    _Atomic size_t *queued = &batcher->workers[worker].queued;

    atomic_store_explicit(queued, atomic_load_explicit(queued, memory_order_relaxed) + plus - minus,
                          memory_order_relaxed);
}

enum err_code
batcher_admit(struct batcher *batcher, unsigned worker, struct err *err)
{
    size_t queued = batcher_queued(batcher);

    if (queued * 5 >= (size_t)batcher->o.queue * 4)
        return err_set(err, ERR_UNAVAILABLE, "%zu requests are waiting; the queue holds %u", queued,
                       batcher->o.queue);
    count(batcher, worker, 1, 0);
    return ERR_OK;
}

void
batcher_cancel(struct batcher *batcher, unsigned worker)
{
    count(batcher, worker, 0, 1);
}

static struct batch *
batch_of(struct worker *w, const struct batch_request *request)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->batches[i].model == request->model)
            return &w->batches[i];
    if (w->count == w->cap) {
        w->batches = mem_realloc(w->batches, (w->cap + 4) * sizeof(*w->batches));
        memset(w->batches + w->cap, 0, 4 * sizeof(*w->batches));
        w->cap += 4;
    }
    struct batch *batch = &w->batches[w->count++];
    batch->model = request->model;
    batch->endpoint = request->endpoint;
    batch->count = batch->len = 0;
    return batch;
}

void
batcher_add(struct batcher *batcher, unsigned worker, const struct batch_request *request,
            const float *data)
{
    struct batch *batch = batch_of(&batcher->workers[worker], request);
    size_t floats = request->rows * request->model->info->features;

    if (batch->count == batch->cap) {
        batch->cap = batch->cap ? batch->cap * 2 : 16;
        batch->requests = mem_realloc(batch->requests, batch->cap * sizeof(*batch->requests));
    }
    if (batch->len + floats > batch->data_cap) {
        batch->data_cap = (batch->len + floats) * 2;
        batch->data = mem_realloc(batch->data, batch->data_cap * sizeof(*batch->data));
    }
    batch->requests[batch->count] = *request;
    batch->requests[batch->count++].first_float = batch->len;
    memcpy(batch->data + batch->len, data, floats * sizeof(*data));
    batch->len += floats;
}

/* Answer what is too late and close the gaps. Nearly always nothing is. */
static void
drop_late(struct batcher *b, unsigned worker, struct batch *batch, int64_t now_us)
{
    size_t kept = 0, len = 0;
    struct err err;

    for (size_t i = 0; i < batch->count; i++) {
        struct batch_request *r = &batch->requests[i];
        size_t floats = r->rows * batch->model->info->features;
        if (now_us > r->deadline_us) {
            err_set(&err, ERR_DEADLINE, "the deadline had passed after %lld ms in the queue",
                    (long long)(now_us - r->started_us) / 1000);
            b->o.answer(b->o.arg, worker, r, NULL, &err);
            continue;
        }
        if (kept != i) {
            memmove(batch->data + len, batch->data + r->first_float, floats * sizeof(float));
            batch->requests[kept] = *r;
            batch->requests[kept].first_float = len;
        }
        kept++;
        len += floats;
    }
    batch->count = kept;
    batch->len = len;
}

static void
predict(struct batcher *b, unsigned worker, struct batch *batch, int64_t now_ms)
{
    struct worker *w = &b->workers[worker];
    const struct runtime_info *info = batch->model->info;
    size_t rows = batch->len / info->features;
    size_t need = rows * (info->width + info->scratch);

    if (need > w->values_cap) {
        free(w->values);
        w->values_cap = need * 2;
        w->values = mem_calloc(w->values_cap, sizeof(float));
    }
    runtime_predict(batch->model->runtime, batch->data, rows, w->values,
                    w->values + rows * info->width);
    metric_add(batch->endpoint->rows, (double)rows);
    metric_observe(batch->endpoint->batch_rows, (double)rows);
    const float *values = w->values;
    for (size_t i = 0; i < batch->count; i++) {
        const struct batch_request *r = &batch->requests[i];
        b->o.answer(b->o.arg, worker, r, values, NULL);
        if (b->o.log)
            predlog_add(b->o.log, worker, r->endpoint, r->model, r->id, now_ms,
                        batch->data + r->first_float, values, r->rows);
        values += r->rows * info->width;
    }
    metric_add(batch->model->answered, (double)batch->count);
}

void
batcher_turn(struct batcher *batcher, unsigned worker, int64_t now_us, int64_t now_ms)
{
    struct worker *w = &batcher->workers[worker];

    for (size_t i = 0; i < w->count; i++) {
        struct batch *batch = &w->batches[i];
        size_t before = batch->count;
        drop_late(batcher, worker, batch, now_us);
        if (batch->count > 0)
            predict(batcher, worker, batch, now_ms);
        count(batcher, worker, 0, before);
        if (batch->data_cap > KEEP_FLOATS) {
            free(batch->data);
            batch->data = NULL;
            batch->data_cap = 0;
        }
    }
    w->count = 0;
    if (w->values_cap > KEEP_FLOATS) {
        free(w->values);
        w->values = NULL;
        w->values_cap = 0;
    }
}
