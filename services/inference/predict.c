/* SPDX-License-Identifier: Apache-2.0 */
/* predict.c - the hot path: request to batch, batch to answer. */
#include "pod.h"

#include "crypto/crypto.h"
#include "life/life.h"

#include <stdlib.h>
#include <string.h>

static void
count_failure(struct endpoint *endpoint, const struct model *model, const struct err *err)
{
    int status = err_http_status(err->code);
    char text[8];

    text[0] = (char)('0' + status / 100);
    text[1] = (char)('0' + status / 10 % 10);
    text[2] = (char)('0' + status % 10);
    text[3] = '\0';
    metric_add(metrics_counter("modelbus_inference_requests_total", "Prediction requests answered.",
                               "endpoint", endpoint->name, "version",
                               model ? model->version_text : "", "status", text, NULL),
               1);
    atomic_fetch_add_explicit(err->code == ERR_UNAVAILABLE ? &endpoint->stats.shed
                                                           : &endpoint->stats.errors,
                              1, memory_order_relaxed);
}

/* The only endpoint, or the one that is called default. */
static const char *
default_endpoint(struct pod *pod, struct err *err)
{
    size_t count = endpoints_count(pod->o.endpoints), serving = 0;
    const char *name = NULL;

    for (size_t i = 0; i < count; i++) {
        struct endpoint *e = endpoints_at(pod->o.endpoints, i);
        if (atomic_load(&e->deleted))
            continue;
        if (strcmp(e->name, "default") == 0)
            return e->name;
        name = e->name;
        serving++;
    }
    if (serving == 1)
        return name;
    err_set(err, serving ? ERR_INVALID : ERR_UNAVAILABLE,
            serving ? "%zu endpoints are served here: name one, POST /predict/{endpoint}"
                    : "nothing is served yet (%zu endpoints)",
            serving);
    return NULL;
}

struct model *
pod_model(struct pod *pod, struct http_request *r, struct endpoint **endpoint)
{
    const char *name = http_param(r, "endpoint"), *version = http_param(r, "version");
    struct err err = {0};
    struct model *model;

    if (!name && !(name = default_endpoint(pod, &err))) {
        http_reply_error(r, &err);
        return NULL;
    }
    struct endpoint *e = endpoints_find(pod->o.endpoints, name);
    if (!e || atomic_load(&e->deleted)) {
        err_set(&err, ERR_NOT_FOUND, "there is no endpoint '%.128s'", name);
        http_reply_error(r, &err);
        return NULL;
    }
    endpoints_enter(pod->o.endpoints, http_thread(r));
    model = endpoint_model(e);
    if (!model)
        err_set(&err, ERR_UNAVAILABLE, "endpoint '%s' has no model yet", e->name);
    else if (version && strcmp(version, model->version_text) != 0)
        err_set(&err, ERR_NOT_FOUND, "endpoint '%s' serves version %s, not '%.24s'", e->name,
                model->version_text, version);
    else {
        *endpoint = e;
        return model;
    }
    count_failure(e, model, &err);
    http_reply_error(r, &err);
    return NULL;
}

/* RFC 9562 UUID version 7 from the turn's clock and xoroshiro128+: an id, not a secret. */
static void
make_id(struct face *face, char id[37])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t s0 = face->random[0], s1 = face->random[1], low = s0 + s1;
    uint64_t high = (uint64_t)face->now_ms << 16 | 0x7000 | (s0 & 0xfff);

    s1 ^= s0;
    face->random[0] = (s0 << 24 | s0 >> 40) ^ s1 ^ s1 << 16;
    face->random[1] = s1 << 37 | s1 >> 27;
    low = (low & 0x3fffffffffffffff) | 0x8000000000000000;
    for (int i = 0, nibble = 0; i < 36; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            id[i] = '-';
            continue;
        }
        id[i] = digits[(nibble < 16 ? high >> (60 - 4 * nibble) : low >> (124 - 4 * nibble)) & 15];
        nibble++;
    }
    id[36] = '\0';
}

static void
choose_id(struct face *face, struct http_request *r, const char *given, struct batch_request *b)
{
    if (!*given)
        given = http_header(r, "X-Request-Id");
    size_t len = given ? strlen(given) : 0;
    b->id_given = len > 0 && len <= ADAPTER_ID_MAX;
    for (size_t i = 0; i < len && b->id_given; i++)
        b->id_given = given[i] > ' ' && given[i] <= '~';
    if (b->id_given)
        memcpy(b->id, given, len + 1);
    else
        make_id(face, b->id);
}

/* The caller may shorten the time that it waits. */
static int64_t
deadline_ms(const struct pod *pod, struct http_request *r)
{
    const char *text = http_header(r, "X-Deadline-Ms");
    int64_t ms = text ? strtoll(text, NULL, 10) : 0;

    return ms > 0 && ms < pod->o.deadline_ms ? ms : pod->o.deadline_ms;
}

static void
take(struct pod *pod, struct http_request *r, const struct adapter *adapter)
{
    unsigned worker = http_thread(r);
    struct face *face = &pod->faces[worker];
    struct adapter_input input;
    struct endpoint *endpoint;
    struct err err = {0};
    size_t len;
    struct model *model = pod_model(pod, r, &endpoint);

    if (!model)
        return;
    if (batcher_admit(pod->batcher, worker, &err)) {
        count_failure(endpoint, model, &err);
        http_reply_error(r, &err);
        return;
    }
    const char *body = http_body(r, &len);
    if (adapter->read(model, body, len, pod->o.max_rows, &face->work, &input, &err)) {
        batcher_cancel(pod->batcher, worker);
        count_failure(endpoint, model, &err);
        http_reply_error(r, &err);
        return;
    }
    if (face->now_ms == 0)
        face->now_ms = life_now_ms();
    struct batch_request b = {
        .ticket = r,
        .adapter = adapter,
        .endpoint = endpoint,
        .model = model,
        .rows = input.rows,
        .started_us = http_started_us(r),
    };
    b.deadline_us = b.started_us + deadline_ms(pod, r) * 1000;
    choose_id(face, r, input.id, &b);
    batcher_add(pod->batcher, worker, &b, input.data);
}

void
pod_predict(void *arg, struct http_request *r)
{
    take(arg, r, &adapter_predict);
}

void
pod_infer(void *arg, struct http_request *r)
{
    struct err err;

    if (http_header(r, "Inference-Header-Content-Length")) {
        err_set(&err, ERR_INVALID, "binary tensors are not supported yet; use JSON");
        http_reply_error(r, &err);
        return;
    }
    take(arg, r, &adapter_v2);
}

static void
answer(void *arg, unsigned worker, const struct batch_request *b, const float *values,
       const struct err *err)
{
    struct pod *pod = arg;
    struct buf *body = &pod->faces[worker].body;
    struct endpoint_stats *stats = &b->endpoint->stats;

    http_reply_header(b->ticket, "X-Prediction-Id", b->id);
    if (err) {
        count_failure(b->endpoint, b->model, err);
        http_reply_error(b->ticket, err);
        return;
    }
    buf_clear(body);
    b->adapter->write(body, b->model, b->id, b->id_given, values, b->rows);
    http_reply(b->ticket, 200, "application/json", body->data, body->len);
    int64_t took_us = life_monotonic_us() - b->started_us;
    metric_observe(b->endpoint->seconds, (double)took_us / 1e6);
    atomic_fetch_add_explicit(&stats->requests, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&stats->rows, b->rows, memory_order_relaxed);
    atomic_fetch_add_explicit(&stats->latency[latency_bucket(took_us)], 1, memory_order_relaxed);
}

void
pod_turn(void *arg, unsigned worker)
{
    struct pod *pod = arg;
    struct face *face = &pod->faces[worker];

    if (face->now_ms != 0) { /* something was added */
        batcher_turn(pod->batcher, worker, life_monotonic_us(), face->now_ms);
        face->now_ms = 0;
    }
    endpoints_leave(pod->o.endpoints, worker);
}

static void
render_queue(void *arg)
{
    struct pod *pod = arg;

    metric_set(metrics_gauge("modelbus_inference_queue_depth",
                             "Prediction requests accepted and not answered.", NULL),
               (double)batcher_queued(pod->batcher));
}

struct pod *
pod_new(const struct pod_options *options)
{
    struct pod *pod = mem_zalloc(sizeof(*pod));
    const struct batcher_options b = {
        .workers = options->workers,
        .queue = options->queue,
        .log = options->log,
        .answer = answer,
        .arg = pod,
    };

    pod->o = *options;
    pod->batcher = batcher_new(&b);
    pod->started_ms = life_now_ms();
    pod->faces = aligned_alloc(_Alignof(struct face), options->workers * sizeof(*pod->faces));
    if (!pod->faces)
        abort();
    memset(pod->faces, 0, options->workers * sizeof(*pod->faces));
    for (unsigned i = 0; i < options->workers; i++)
        crypto_random(pod->faces[i].random, sizeof(pod->faces[i].random));
    metrics_on_render(render_queue, pod);
    return pod;
}

void
pod_free(struct pod *pod)
{
    if (!pod)
        return;
    for (unsigned i = 0; i < pod->o.workers; i++) {
        adapter_work_done(&pod->faces[i].work);
        buf_done(&pod->faces[i].body);
    }
    batcher_free(pod->batcher);
    free(pod->faces);
    free(pod);
}
