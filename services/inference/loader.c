/* SPDX-License-Identifier: Apache-2.0 */
/* loader.c - from desired states to loaded models. */
#include "loader.h"

#include "life/life.h"
#include "log/log.h"
#include "modelbus/serving/v1/events.pb-c.h"
#include "origin.h"
#include "sync/sync.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define RETRY_FIRST_MS 100
#define RETRY_MAX_MS 30000

typedef Modelbus__Deployment__V1__EndpointState State;
typedef Modelbus__Deployment__V1__Target Target;
typedef Modelbus__Serving__V1__ModelLoaded Loaded;
typedef Modelbus__Serving__V1__ModelLoadFailed Failed;

struct wanted { /* one endpoint; lives as long as the loader */
    struct wanted *next;
    State *state; /* the newest heard, and why */
    struct event_origin origin;
    bool pending;      /* not loaded yet, or to be tried again */
    bool settled;      /* loaded, deleted or failed at least once */
    int64_t due_ms;    /* CLOCK_MONOTONIC: not before */
    unsigned failures; /* of this generation, in a row */
    Loaded *loaded;    /* the last reports, NULL: none */
    Failed *failed;
};

struct loader {
    struct loader_options o;
    pthread_mutex_t lock; /* of what follows, but for the reports: those are the thread's */
    pthread_cond_t changed;
    struct wanted *wanted;
    bool stopping, report_again, started;
    pthread_t thread;
    struct metric *seconds;
};

static const double load_bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                     0.25,  0.5,    1,     2.5,  5,     10,   30};

static ProtobufCMessage *
dup_message(const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = mem_alloc(len);

    protobuf_c_message_pack(message, bytes);
    ProtobufCMessage *copy = protobuf_c_message_unpack(message->descriptor, NULL, len, bytes);
    free(bytes);
    if (!copy)
        abort(); /* what was just packed unpacks, or memory is out */
    return copy;
}

static void
free_message(void *message)
{
    if (message)
        protobuf_c_message_free_unpacked(message, NULL);
}

struct loader *
loader_new(const struct loader_options *options)
{
    struct loader *l = mem_zalloc(sizeof(*l));

    l->o = *options;
    pthread_mutex_init(&l->lock, NULL);
    sync_cond_init(&l->changed);
    l->seconds =
        metrics_histogram("modelbus_inference_load_seconds", "Fetch, parse and warm-up of a model.",
                          load_bounds, ARRAY_LEN(load_bounds), NULL);
    return l;
}

void
loader_free(struct loader *loader)
{
    if (!loader)
        return;
    loader_stop(loader);
    for (struct wanted *w = loader->wanted, *next; w; w = next) {
        next = w->next;
        free_message(w->state);
        free_message(w->loaded);
        free_message(w->failed);
        free(w);
    }
    pthread_mutex_destroy(&loader->lock);
    pthread_cond_destroy(&loader->changed);
    free(loader);
}

bool
loader_want(struct loader *loader, const State *state)
{
    struct wanted **at = &loader->wanted;

    pthread_mutex_lock(&loader->lock);
    while (*at && strcmp((*at)->state->endpoint, state->endpoint) != 0)
        at = &(*at)->next;
    struct wanted *w = *at;
    bool newer = !w || state->generation > w->state->generation;
    if (newer) {
        if (!w)
            w = *at = mem_zalloc(sizeof(*w));
        free_message(w->state);
        w->state = (State *)dup_message(&state->base);
        w->origin = event_origin();
        w->pending = true;
        w->due_ms = 0;
        w->failures = 0;
        pthread_cond_signal(&loader->changed);
    }
    pthread_mutex_unlock(&loader->lock);
    return newer;
}

void
loader_report_again(struct loader *loader)
{
    pthread_mutex_lock(&loader->lock);
    loader->report_again = true;
    pthread_cond_signal(&loader->changed);
    pthread_mutex_unlock(&loader->lock);
}

bool
loader_settled(struct loader *loader)
{
    bool settled = true;

    pthread_mutex_lock(&loader->lock);
    for (struct wanted *w = loader->wanted; w; w = w->next)
        settled = settled && w->settled;
    pthread_mutex_unlock(&loader->lock);
    return settled;
}

static void
recall_one(void *arg, const void *bytes, size_t len)
{
    State *state = modelbus__deployment__v1__endpoint_state__unpack(NULL, len, bytes);

    if (state && *state->endpoint)
        loader_want(arg, state);
    free_message(state);
}

size_t
loader_recall(struct loader *loader)
{
    return loader->o.cache ? cache_each(loader->o.cache, recall_one, loader) : 0;
}

/* ---- the thread ---- */

static void
say(struct loader *l, const ProtobufCMessage *event)
{
    if (l->o.report)
        l->o.report(l->o.arg, event);
}

/* A model from a target; *fetched: the bytes are not in the cache. */
static enum err_code
build(struct loader *l, const State *state, const Target *target, bool fallback, struct buf *bytes,
      bool *fetched, struct model **model, struct err *err)
{
    struct runtime *runtime;
    struct model *m;

    if (!target->artifact)
        return err_set(err, ERR_INVALID, "the version has no artifact");
    const char *uri = target->artifact->uri;
    *fetched = !l->o.cache || cache_load(l->o.cache, uri, bytes, err) != ERR_OK;
    if ((*fetched && source_fetch(l->o.source, uri, bytes, err)) ||
        runtime_open(target->artifact->format, bytes->data, bytes->len, &runtime, err))
        return err->code;
    const struct model_spec spec = {
        .endpoint = state->endpoint,
        .name = target->model_name,
        .version = target->version,
        .generation = state->generation,
        .uri = uri,
        .fallback = fallback,
        .feature_names = target->feature_names,
        .feature_count = target->n_feature_names,
    };
    if (model_new(&spec, runtime, &m, err))
        return err->code;
    if (model_warm_up(m, err)) {
        model_unref(m);
        return err->code;
    }
    *model = m;
    return ERR_OK;
}

static void
say_loaded(struct loader *l, struct wanted *w, const struct model *m, double load_ms,
           double swap_us, int64_t now_ms)
{
    Loaded e = MODELBUS__SERVING__V1__MODEL_LOADED__INIT;

    e.endpoint = m->endpoint;
    e.generation = m->generation;
    e.pod = (char *)(uintptr_t)l->o.pod;
    e.model_name = m->name;
    e.version = m->version;
    e.load_ms = load_ms;
    e.swap_us = swap_us;
    e.loaded_at_ms = now_ms;
    e.fallback = m->fallback;
    e.address = (char *)(uintptr_t)(l->o.address ? l->o.address : "");
    free_message(w->loaded);
    w->loaded = (Loaded *)dup_message(&e.base);
    say(l, &e.base);
    log_info("model loaded", LOG_STR("endpoint", m->endpoint), LOG_STR("model", m->name),
             LOG_INT("version", m->version), LOG_INT("generation", m->generation),
             LOG_DOUBLE("load_ms", load_ms), LOG_DOUBLE("swap_us", swap_us),
             LOG_BOOL("fallback", m->fallback));
}

static void
say_failed(struct loader *l, struct wanted *w, const State *state, const Target *target,
           const struct err *cause)
{
    struct endpoint *endpoint = endpoints_find(l->o.endpoints, state->endpoint);
    /* This thread alone exchanges models, so the pointer is safe here. */
    struct model *serving = endpoint ? endpoint_model(endpoint) : NULL;
    Failed e = MODELBUS__SERVING__V1__MODEL_LOAD_FAILED__INIT;

    e.endpoint = state->endpoint;
    e.generation = state->generation;
    e.pod = (char *)(uintptr_t)l->o.pod;
    e.model_name = target->model_name;
    e.version = target->version;
    e.error_code = (char *)(uintptr_t)err_name(cause->code);
    e.error_message = (char *)(uintptr_t)cause->message;
    e.failed_at_ms = life_now_ms();
    e.serving_version = serving ? serving->version : 0;
    free_message(w->failed);
    w->failed = (Failed *)dup_message(&e.base);
    say(l, &e.base);
    log_error("model load failed", LOG_STR("endpoint", state->endpoint),
              LOG_STR("model", target->model_name), LOG_INT("version", target->version),
              LOG_INT("generation", state->generation), LOG_ERR(cause),
              LOG_INT("serving_version", e.serving_version));
}

static enum err_code
load(struct loader *l, struct wanted *w, const State *state, const Target *target, bool fallback,
     struct err *err)
{
    struct buf bytes = {0};
    struct endpoint *endpoint;
    struct model *model = NULL;
    bool fetched = false;
    int64_t start_us = life_monotonic_us();

    if (endpoints_add(l->o.endpoints, state->endpoint, &endpoint, err) ||
        build(l, state, target, fallback, &bytes, &fetched, &model, err)) {
        buf_done(&bytes);
        return err->code;
    }
    int64_t took_us = life_monotonic_us() - start_us;
    model->load_ms = (double)took_us / 1e3;
    model->loaded_at_ms = life_now_ms();
    metric_observe(l->seconds, (double)took_us / 1e6);
    atomic_store(&endpoint->deleted, false);
    double swap_us = endpoints_swap(l->o.endpoints, endpoint, model);
    metric_add(metrics_counter("modelbus_inference_swaps_total", "Models put to service.",
                               "endpoint", state->endpoint, NULL),
               1);
    say_loaded(l, w, model, model->load_ms, swap_us, model->loaded_at_ms);

    /* The disk comes after the swap; a full one costs the next restart, not this one. */
    struct err disk;
    if (fetched && l->o.cache &&
        cache_store(l->o.cache, target->artifact->uri, bytes.data, bytes.len, &disk))
        log_warn("artifact not cached", LOG_STR("uri", target->artifact->uri), LOG_ERR(&disk));
    buf_done(&bytes);
    malloc_trim(0);
    return ERR_OK;
}

static void
unload(struct loader *l, struct wanted *w, const State *state)
{
    struct endpoint *endpoint = endpoints_find(l->o.endpoints, state->endpoint);

    if (endpoint) {
        atomic_store(&endpoint->deleted, true);
        endpoints_swap(l->o.endpoints, endpoint, NULL);
    }
    if (l->o.cache)
        cache_forget(l->o.cache, state->endpoint);
    free_message(w->loaded);
    free_message(w->failed);
    w->loaded = NULL;
    w->failed = NULL;
    malloc_trim(0);
    log_info("endpoint deleted", LOG_STR("endpoint", state->endpoint));
}

static void
remember(struct loader *l, const State *state)
{
    size_t len = modelbus__deployment__v1__endpoint_state__get_packed_size(state);
    uint8_t *bytes = mem_alloc(len);
    struct err err;

    modelbus__deployment__v1__endpoint_state__pack(state, bytes);
    if (cache_remember(l->o.cache, state->endpoint, bytes, len, &err))
        log_warn("desired state not kept", LOG_STR("endpoint", state->endpoint), LOG_ERR(&err));
    free(bytes);
}

/* The target, else what keeps the endpoint alive. *err as the target's failure. */
static enum err_code
attempt(struct loader *l, struct wanted *w, const State *state, bool first, struct err *err)
{
    struct err fallback_err;
    static const Target none = MODELBUS__DEPLOYMENT__V1__TARGET__INIT;
    const Target *target = state->target ? state->target : &none;
    const Target *fallback = state->fallback;

    if (load(l, w, state, target, false, err) == ERR_OK) {
        free_message(w->failed);
        w->failed = NULL;
        return ERR_OK;
    }
    if (!first)
        return err->code;
    metric_add(metrics_counter("modelbus_inference_load_failures_total",
                               "Targets that could not be loaded.", "endpoint", state->endpoint,
                               NULL),
               1);
    struct endpoint *endpoint = endpoints_find(l->o.endpoints, state->endpoint);
    bool serving = endpoint && endpoint_model(endpoint);
    if (!serving && fallback && *fallback->model_name &&
        load(l, w, state, fallback, true, &fallback_err))
        log_error("fallback failed too", LOG_STR("endpoint", state->endpoint),
                  LOG_ERR(&fallback_err));
    say_failed(l, w, state, target, err);
    return err->code;
}

static void
settle(struct loader *l, struct wanted *w, State *state, bool first)
{
    struct err err = {0};
    enum err_code code = ERR_OK;

    if (state->deleted)
        unload(l, w, state);
    else
        code = attempt(l, w, state, first, &err);
    if (first && !state->deleted && l->o.cache)
        remember(l, state);

    pthread_mutex_lock(&l->lock);
    w->settled = true;
    if (w->state->generation == state->generation) {
        w->pending = code != ERR_OK && err_retriable(code);
        int64_t pause = RETRY_FIRST_MS << (w->failures < 9 ? w->failures : 9);
        w->due_ms = life_monotonic_ms() + (pause < RETRY_MAX_MS ? pause : RETRY_MAX_MS);
        w->failures++;
    }
    pthread_mutex_unlock(&l->lock);
    free_message(state);
}

static void
say_all_again(struct loader *l)
{
    /* Entries are never removed, and only this thread touches the reports. */
    pthread_mutex_lock(&l->lock);
    struct wanted *w = l->wanted;
    pthread_mutex_unlock(&l->lock);
    while (w) {
        if (w->loaded)
            say(l, &w->loaded->base);
        if (w->failed)
            say(l, &w->failed->base);
        pthread_mutex_lock(&l->lock);
        w = w->next;
        pthread_mutex_unlock(&l->lock);
    }
}

/* What is due, or NULL and *wake_ms says when something will be. Locked. */
static struct wanted *
pick(struct loader *l, int64_t *wake_ms)
{
    int64_t now = life_monotonic_ms();

    *wake_ms = INT64_MAX;
    for (struct wanted *w = l->wanted; w; w = w->next) {
        if (w->pending && w->due_ms <= now)
            return w;
        if (w->pending && w->due_ms < *wake_ms)
            *wake_ms = w->due_ms;
    }
    return NULL;
}

static void *
run(void *arg)
{
    struct loader *l = arg;
    int64_t wake_ms;

    /* Parsing must not take a core from predictions. */
    setpriority(PRIO_PROCESS, (id_t)gettid(), 10);
    pthread_mutex_lock(&l->lock);
    while (!l->stopping) {
        if (l->report_again) {
            l->report_again = false;
            pthread_mutex_unlock(&l->lock);
            say_all_again(l);
            pthread_mutex_lock(&l->lock);
            continue;
        }
        struct wanted *w = pick(l, &wake_ms);
        if (!w) {
            sync_wait(&l->changed, &l->lock, wake_ms);
            continue;
        }
        State *state = (State *)dup_message(&w->state->base);
        struct event_origin origin = w->origin;
        bool first = w->failures == 0;
        pthread_mutex_unlock(&l->lock);
        event_origin_set(&origin);
        settle(l, w, state, first);
        event_origin_set(NULL);
        pthread_mutex_lock(&l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

void
loader_start(struct loader *loader)
{
    if (pthread_create(&loader->thread, NULL, run, loader) != 0)
        abort();
    loader->started = true;
}

void
loader_stop(struct loader *loader)
{
    if (!loader->started)
        return;
    pthread_mutex_lock(&loader->lock);
    loader->stopping = true;
    pthread_cond_signal(&loader->changed);
    pthread_mutex_unlock(&loader->lock);
    pthread_join(loader->thread, NULL);
    loader->started = false;
}
