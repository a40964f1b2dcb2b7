/* SPDX-License-Identifier: Apache-2.0 */
/* predlog.c - chunks of rows, and their packing into columns. */
#include "predlog.h"

#include "adapter.h"
#include "arena/arena.h"
#include "crypto/crypto.h"
#include "modelbus/serving/v1/events.pb-c.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct record {
    struct endpoint *endpoint;
    struct model *model; /* a reference */
    int64_t now_ms;
    size_t rows, first_row; /* first_row: of the request, which may be split */
    size_t first_float;     /* rows × features, then rows × width */
    char id[ADAPTER_ID_MAX + 1];
};

struct chunk {
    struct record *records;
    size_t count, cap;
    float *floats;
    size_t float_count, float_cap;
};

struct slot { /* one worker */
    _Alignas(64) pthread_mutex_t lock;
    struct chunk filling;
    uint64_t random;
};

struct predlog {
    struct predlog_options o;
    struct slot *slots;
    _Atomic size_t queued; /* rows */
    struct chunk taken;    /* of the reporter, reused */
    struct arena *arena;
    struct metric *published, *dropped, *sampled_out;
};

static const char rows_help[] = "Rows of the prediction log.";

struct predlog *
predlog_new(const struct predlog_options *options)
{
    struct predlog *log = mem_zalloc(sizeof(*log));

    log->o = *options;
    log->slots = aligned_alloc(_Alignof(struct slot), options->workers * sizeof(*log->slots));
    if (!log->slots)
        abort();
    memset(log->slots, 0, options->workers * sizeof(*log->slots));
    for (unsigned i = 0; i < options->workers; i++) {
        pthread_mutex_init(&log->slots[i].lock, NULL);
        crypto_random(&log->slots[i].random, sizeof(log->slots[i].random));
        log->slots[i].random |= 1;
    }
    log->arena = arena_new(64 << 10, 0);
    log->published = metrics_counter("modelbus_inference_log_rows_total", rows_help, "result",
                                     "published", NULL);
    log->dropped =
        metrics_counter("modelbus_inference_log_rows_total", rows_help, "result", "dropped", NULL);
    log->sampled_out = metrics_counter("modelbus_inference_log_rows_total", rows_help, "result",
                                       "sampled_out", NULL);
    return log;
}

static void
chunk_clear(struct chunk *c)
{
    for (size_t i = 0; i < c->count; i++)
        model_unref(c->records[i].model);
    c->count = c->float_count = 0;
}

static void
chunk_done(struct chunk *c)
{
    chunk_clear(c);
    free(c->records);
    free(c->floats);
}

void
predlog_free(struct predlog *log)
{
    if (!log)
        return;
    for (unsigned i = 0; i < log->o.workers; i++) {
        chunk_done(&log->slots[i].filling);
        pthread_mutex_destroy(&log->slots[i].lock);
    }
    chunk_done(&log->taken);
    arena_free(log->arena);
    free(log->slots);
    free(log);
}

/* xorshift64*, uniform in [0, 1). */
static double
uniform(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (double)(*state * 2685821657736338717u >> 11) / 9007199254740992.0;
}

static void
append(struct chunk *c, const struct record *record, const float *data, size_t data_count,
       const float *values, size_t value_count)
{
    if (c->count == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 64;
        c->records = mem_realloc(c->records, c->cap * sizeof(*c->records));
    }
    if (c->float_count + data_count + value_count > c->float_cap) {
        c->float_cap = (c->float_count + data_count + value_count) * 2;
        c->floats = mem_realloc(c->floats, c->float_cap * sizeof(*c->floats));
    }
    c->records[c->count] = *record;
    c->records[c->count++].first_float = c->float_count;
    memcpy(c->floats + c->float_count, data, data_count * sizeof(*data));
    memcpy(c->floats + c->float_count + data_count, values, value_count * sizeof(*values));
    c->float_count += data_count + value_count;
}

void
predlog_add(struct predlog *log, unsigned worker, struct endpoint *endpoint, struct model *model,
            const char *id, int64_t now_ms, const float *data, const float *values, size_t rows)
{
    struct slot *slot = &log->slots[worker];
    struct record record = {.endpoint = endpoint, .model = model, .now_ms = now_ms};

    if (log->o.sample < 1 && uniform(&slot->random) >= log->o.sample) {
        atomic_fetch_add_explicit(&endpoint->stats.log_sampled_out, rows, memory_order_relaxed);
        metric_add(log->sampled_out, (double)rows);
        return;
    }
    if (atomic_fetch_add_explicit(&log->queued, rows, memory_order_relaxed) + rows >
        log->o.queue_rows) {
        atomic_fetch_sub_explicit(&log->queued, rows, memory_order_relaxed);
        atomic_fetch_add_explicit(&endpoint->stats.log_dropped, rows, memory_order_relaxed);
        metric_add(log->dropped, (double)rows);
        return;
    }
    strncpy(record.id, id, sizeof(record.id) - 1);
    /* A record must fit into a message. */
    size_t features = model->info->features, width = model->info->width;
    size_t most = PREDLOG_MESSAGE_BYTES / ((features + width) * sizeof(float) + strlen(id) + 16);
    if (most == 0)
        most = 1;
    pthread_mutex_lock(&slot->lock);
    for (; record.first_row < rows; record.first_row += record.rows) {
        size_t left = rows - record.first_row;
        record.rows = left < most ? left : most;
        model_ref(model);
        append(&slot->filling, &record, data + record.first_row * features, record.rows * features,
               values + record.first_row * width, record.rows * width);
    }
    pthread_mutex_unlock(&slot->lock);
}

/* One feature or output of all records, row after row. */
static Modelbus__Serving__V1__Column *
pack_column(struct predlog *log, const struct record *const *records, size_t count,
            size_t row_count, const char *name, size_t column, bool output)
{
    Modelbus__Serving__V1__Column *c = arena_alloc(log->arena, sizeof(*c));
    size_t at = 0;

    modelbus__serving__v1__column__init(c);
    c->name = (char *)(uintptr_t)name;
    c->n_floats = row_count;
    c->floats = arena_alloc(log->arena, row_count * sizeof(float));
    for (size_t i = 0; i < count; i++) {
        const struct record *r = records[i];
        const struct runtime_info *info = r->model->info;
        size_t width = output ? info->width : info->features;
        const float *block =
            log->taken.floats + r->first_float + (output ? r->rows * info->features : 0);
        for (size_t row = 0; row < r->rows; row++)
            c->floats[at++] = block[row * width + column];
    }
    return c;
}

static void
pack_ids(struct predlog *log, const struct record *const *records, size_t count,
         Modelbus__Serving__V1__PredictionsLogged *m)
{
    size_t at = 0;

    m->prediction_ids = arena_alloc(log->arena, m->row_count * sizeof(*m->prediction_ids));
    m->timestamps_ms = arena_alloc(log->arena, m->row_count * sizeof(*m->timestamps_ms));
    for (size_t i = 0; i < count; i++)
        for (size_t row = 0; row < records[i]->rows; row++, at++) {
            m->prediction_ids[at] = records[i]->first_row + row == 0
                                        ? arena_strdup(log->arena, records[i]->id)
                                        : arena_printf(log->arena, "%s#%zu", records[i]->id,
                                                       records[i]->first_row + row);
            m->timestamps_ms[at] = records[i]->now_ms;
        }
    m->n_prediction_ids = m->n_timestamps_ms = m->row_count;
}

/* Say what records, all of one model, hold. */
static void
publish(struct predlog *log, const struct record *const *records, size_t count, size_t rows)
{
    struct model *model = records[0]->model;
    struct endpoint_stats *stats = &records[0]->endpoint->stats;
    const struct runtime_info *info = model->info;
    Modelbus__Serving__V1__PredictionsLogged m = MODELBUS__SERVING__V1__PREDICTIONS_LOGGED__INIT;
    struct err err;

    arena_reset(log->arena);
    m.endpoint = model->endpoint;
    m.model_name = model->name;
    m.version = model->version;
    m.generation = model->generation;
    m.pod = (char *)(uintptr_t)log->o.pod;
    m.row_count = (uint32_t)rows;
    pack_ids(log, records, count, &m);
    m.n_features = info->features;
    m.features = arena_alloc(log->arena, info->features * sizeof(*m.features));
    for (size_t f = 0; f < info->features; f++)
        m.features[f] = pack_column(log, records, count, rows, model->feature_names[f], f, false);
    m.n_outputs = info->width;
    m.outputs = arena_alloc(log->arena, info->width * sizeof(*m.outputs));
    for (size_t o = 0; o < info->width; o++)
        m.outputs[o] =
            pack_column(log, records, count, rows,
                        info->classes     ? info->classes[o]
                        : info->width > 1 ? arena_printf(log->arena, "%s.%zu", info->output, o)
                                          : info->output,
                        o, true);
    m.dropped = atomic_exchange(&stats->log_dropped, 0);
    m.sampled_out = atomic_exchange(&stats->log_sampled_out, 0);
    if (log->o.publish(log->o.arg, &m.base, &err)) {
        /* The next message that gets through says what is missing. */
        atomic_fetch_add(&stats->log_dropped, m.dropped + rows);
        atomic_fetch_add(&stats->log_sampled_out, m.sampled_out);
        metric_add(log->dropped, (double)rows);
    } else {
        metric_add(log->published, (double)rows);
    }
}

static size_t
record_bytes(const struct record *r)
{
    return r->rows * ((r->model->info->features + r->model->info->width) * sizeof(float) +
                      strlen(r->id) + 16);
}

static int
by_model(const void *a, const void *b)
{
    const struct record *x = *(const struct record *const *)a;
    const struct record *y = *(const struct record *const *)b;

    if (x->model != y->model)
        return (uintptr_t)x->model < (uintptr_t)y->model ? -1 : 1;
    return x < y ? -1 : 1; /* in the order of their answers */
}

static void
publish_chunk(struct predlog *log)
{
    const struct chunk *c = &log->taken;
    const struct record **sorted = mem_calloc(c->count, sizeof(*sorted));

    for (size_t i = 0; i < c->count; i++)
        sorted[i] = &c->records[i];
    qsort(sorted, c->count, sizeof(*sorted), by_model);
    for (size_t i = 0; i < c->count;) {
        size_t n = 0, rows = 0, bytes = 0;
        do {
            bytes += record_bytes(sorted[i + n]);
            rows += sorted[i + n]->rows;
            n++;
        } while (i + n < c->count && sorted[i + n]->model == sorted[i]->model &&
                 bytes + record_bytes(sorted[i + n]) <= PREDLOG_MESSAGE_BYTES);
        publish(log, sorted + i, n, rows);
        atomic_fetch_sub_explicit(&log->queued, rows, memory_order_relaxed);
        i += n;
    }
    free(sorted);
}

void
predlog_flush(struct predlog *log)
{
    for (unsigned i = 0; i < log->o.workers; i++) {
        struct slot *slot = &log->slots[i];
        pthread_mutex_lock(&slot->lock);
        struct chunk full = slot->filling;
        slot->filling = log->taken;
        pthread_mutex_unlock(&slot->lock);
        log->taken = full;
        if (full.count > 0)
            publish_chunk(log);
        chunk_clear(&log->taken);
    }
}
