/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the inference pod. Wires parts, decides nothing. */
#include "loader.h"
#include "reporter.h"
#include "routes.h"
#include "settings.h"

#include "follower.h"
#include "life/life.h"
#include "log/log.h"
#include "process.h"
#include "service_parts.h"

#include "modelbus/deployment/v1/events.pb-c.h"
#include "modelbus/serving/v1/events.pb-c.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A pod that remembers its endpoints serves them when the bus has not answered for this long. */
#define BUS_GRACE_MS 1500

struct program {
    struct process process;
    struct settings settings;
    unsigned workers;
    char address[256];
    struct endpoints *endpoints;
    struct predlog *log;
    struct pod *pod;
    struct http_server *http;
    struct sender *sender;
    struct cache *cache;
    struct source *source;
    struct loader *loader;
    struct follower *follower;
    struct reporter *reporter;
    int64_t started_ms; /* monotonic */
    size_t recalled;
    _Atomic bool caught_up, ready;
};

/* ---- between the bus and the loader ---- */

static void
on_event(void *arg, const struct event_type *type, const struct event_envelope *envelope,
         const ProtobufCMessage *event, const struct bus_message *message)
{
    struct program *p = arg;
    const Modelbus__Deployment__V1__EndpointState *state;

    (void)message;
    /* A tombstone says nothing: a state that was deleted is said with a value. */
    if (!event || type->descriptor != &modelbus__deployment__v1__endpoint_state__descriptor)
        return;
    state = (const Modelbus__Deployment__V1__EndpointState *)event;
    const char *workspace = *state->workspace ? state->workspace : envelope->workspace;
    if (*state->endpoint && strcmp(workspace, p->settings.workspace) == 0 &&
        settings_lists(p->settings.endpoints, state->endpoint))
        loader_want(p->loader, state);
}

static void
on_bad(void *arg, const struct bus_message *message, const struct err *err)
{
    (void)arg;
    log_warn("message skipped", LOG_STR("topic", message->topic),
             LOG_INT("offset", message->offset), LOG_ERR(err));
}

static void
update_readiness(struct program *p)
{
    bool bus = atomic_load(&p->caught_up) ||
               (p->recalled > 0 && life_monotonic_ms() - p->started_ms > BUS_GRACE_MS);

    /* Once ready, a new endpoint that is still loading does not take the others away. */
    if (atomic_load(&p->ready) || !bus || !loader_settled(p->loader))
        return;
    atomic_store(&p->ready, true);
    life_condition("endpoints", true);
    log_info("ready", LOG_INT("endpoints", endpoints_count(p->endpoints)),
             LOG_BOOL("bus", atomic_load(&p->caught_up)));
}

static void
on_caught_up(void *arg)
{
    struct program *p = arg;

    atomic_store(&p->caught_up, true);
    update_readiness(p);
}

static void
on_restart(void *arg)
{
    struct program *p = arg;

    /* The new cluster has not heard from us. */
    loader_report_again(p->loader);
}

static enum err_code
publish(void *arg, const ProtobufCMessage *event, struct err *err)
{
    struct program *p = arg;

    return sender_publish(p->sender, p->settings.workspace, event, NULL, NULL, err);
}

static void
report(void *arg, const ProtobufCMessage *event)
{
    struct program *p = arg;
    struct err err;

    if (publish(p, event, &err))
        log_warn("report not published", LOG_STR("event", event->descriptor->short_name),
                 LOG_ERR(&err));
}

static void
tick(void *arg)
{
    update_readiness(arg);
}

/* ---- stop steps, in the reverse of their registration ---- */

static bool
stop_sender(void *arg, int64_t deadline_ms)
{
    struct program *p = arg;
    Modelbus__Serving__V1__PodStopped stopped = MODELBUS__SERVING__V1__POD_STOPPED__INIT;

    stopped.pod = p->process.instance;
    stopped.stopped_at_ms = life_now_ms();
    report(p, &stopped.base);
    /* Statistics, logs and reports that the next pod says anew: while the bus is away they are not
     * worth a failed stop. */
    size_t lost = sender_close(TAKE_PTR(p->sender), deadline_ms);
    if (lost > 0)
        log_warn("events given up", LOG_INT("events", lost));
    return true;
}

static bool
stop_reporter(void *arg, int64_t deadline_ms)
{
    struct program *p = arg;

    (void)deadline_ms;
    reporter_stop(TAKE_PTR(p->reporter));
    return true;
}

static bool
stop_loader(void *arg, int64_t deadline_ms)
{
    struct program *p = arg;

    (void)deadline_ms;
    loader_stop(p->loader);
    return true;
}

static bool
stop_follower(void *arg, int64_t deadline_ms)
{
    struct program *p = arg;

    (void)deadline_ms;
    follower_stop(TAKE_PTR(p->follower));
    return true;
}

static bool
stop_http(void *arg, int64_t deadline_ms)
{
    struct program *p = arg;

    return http_server_stop(TAKE_PTR(p->http), deadline_ms);
}

/* ---- start steps ---- */

static enum err_code
start_bus(struct program *p, struct err *err)
{
    char source[256];

    snprintf(source, sizeof(source), "/modelbus/inference/%.180s", p->process.instance);
    if (sender_open(&p->sender, &p->process.bus, p->process.settings.bus_prefix, source, err))
        return err_wrap(err, "sender");
    life_on_stop("sender", stop_sender, p);
    return ERR_OK;
}

static void
start_reporter(struct program *p)
{
    const struct reporter_options o = {
        .endpoints = p->endpoints,
        .reader = p->workers,
        .log = p->log,
        .pod = p->process.instance,
        .stats_ms = p->settings.stats_ms,
        .tick = tick,
        .publish = publish,
        .arg = p,
    };

    p->reporter = reporter_start(&o);
    life_on_stop("reporter", stop_reporter, p);
}

static enum err_code
start_http(struct program *p, struct err *err)
{
    const struct http_server_options o = {
        .bind = p->settings.bind,
        .threads = p->workers,
        .max_connections = (unsigned)p->settings.max_connections,
        .max_body = (uint64_t)p->settings.max_body,
        .routes = pod_routes,
        .arg = p->pod,
        .on_error = pod_error,
        .on_turn = pod_turn,
    };
    const char *colon = strrchr(p->settings.bind, ':');

    if (http_server_start(&p->http, &o, err))
        return err_wrap(err, "HTTP on '%s'", p->settings.bind);
    int port = http_server_port(p->http);
    snprintf(p->address, sizeof(p->address), "http://%.*s:%d",
             colon ? (int)(colon - p->settings.bind) : 0, p->settings.bind, port);
    log_info("listening", LOG_STR("what", "inference HTTP"), LOG_STR("bind", p->settings.bind),
             LOG_INT("port", port));
    return ERR_OK;
}

static enum err_code
start_loader(struct program *p, struct err *err)
{
    const struct settings *s = &p->settings;

    if (s->cache_dir && *s->cache_dir &&
        cache_open(&p->cache, s->cache_dir, (uint64_t)s->cache_max_bytes, err)) {
        /* A pod without a disk still serves. */
        log_warn("no cache", LOG_ERR(err));
    }
    if (source_open(&p->source, s->artifact_url, s->artifact_token, (uint64_t)s->model_max_bytes,
                    err))
        return err->code;
    const struct loader_options o = {
        .endpoints = p->endpoints,
        .cache = p->cache,
        .source = p->source,
        .pod = p->process.instance,
        .address = p->address,
        .report = report,
        .arg = p,
    };
    p->loader = loader_new(&o);
    p->recalled = loader_recall(p->loader);
    loader_start(p->loader);
    life_on_stop("loader", stop_loader, p);
    return ERR_OK;
}

static enum err_code
start_follower(struct program *p, struct err *err)
{
    const struct follower_options o = {
        .bus = p->process.bus,
        .prefix = p->process.settings.bus_prefix,
        .topic = "endpoint-state",
        .on_event = on_event,
        .on_bad = on_bad,
        .on_caught_up = on_caught_up,
        .on_restart = on_restart,
        .arg = p,
    };

    if (follower_start(&p->follower, &o, err))
        return err_wrap(err, "follower");
    life_on_stop("follower", stop_follower, p);
    return ERR_OK;
}

static enum err_code
start(void *arg, struct err *err)
{
    struct program *p = arg;
    const struct settings *s = &p->settings;

    life_condition("endpoints", false);
    p->started_ms = life_monotonic_ms();
    p->endpoints = endpoints_new(p->workers + 1);
    const struct predlog_options log = {
        .workers = p->workers,
        .pod = p->process.instance,
        .sample = s->log_sample,
        .queue_rows = (size_t)s->log_queue_rows,
        .publish = publish,
        .arg = p,
    };
    p->log = predlog_new(&log);
    const struct pod_options pod = {
        .workers = p->workers,
        .queue = (unsigned)s->queue,
        .deadline_ms = s->deadline_ms,
        .max_rows = (size_t)s->max_rows,
        .name = p->process.instance,
        .endpoints = p->endpoints,
        .log = p->log,
    };
    p->pod = pod_new(&pod);
    /* The listener first, for its port is part of what the loader reports. */
    if (start_bus(p, err) || start_http(p, err) || start_loader(p, err))
        return err->code;
    start_reporter(p);
    if (start_follower(p, err))
        return err->code;
    life_on_stop("HTTP", stop_http, p);
    log_info("started", LOG_STR("pod", p->process.instance), LOG_INT("workers", p->workers));
    return ERR_OK;
}

static void
free_parts(void *arg)
{
    struct program *p = arg;

    if (p->http)
        http_server_stop(TAKE_PTR(p->http), 0);
    loader_free(p->loader);
    source_free(p->source);
    cache_free(p->cache);
    pod_free(p->pod);
    predlog_free(p->log);
    endpoints_free(p->endpoints);
}

/* ---- the process ---- */

static enum err_code
configured(void *arg, struct err *err)
{
    struct program *p = arg;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    (void)err;
    p->workers = p->settings.threads > 0 ? (unsigned)p->settings.threads
                 : processors > 8        ? 8
                 : processors >= 1       ? (unsigned)processors
                                         : 1;
    return ERR_OK;
}

/* For --describe: the pod as the services describe themselves. */
static void
describe(void *arg)
{
    static const struct event_subscription hears[] = {
        {.type = &modelbus__deployment__v1__endpoint_state__descriptor},
        {.type = NULL},
    };
    static const ProtobufCMessageDescriptor *const says[] = {
        &modelbus__serving__v1__model_loaded__descriptor,
        &modelbus__serving__v1__model_load_failed__descriptor,
        &modelbus__serving__v1__predictions_logged__descriptor,
        &modelbus__serving__v1__pod_stopped__descriptor,
        &modelbus__serving__v1__serving_stats__descriptor,
        NULL,
    };
    const struct process *process = &((const struct program *)arg)->process;
    const struct service_spec spec = {
        .name = process->name,
        .prefix = process->prefix,
        .doc = process->doc,
        .subscriptions = hears,
        .says = says,
    };

    service_describe(&spec, process->tables);
}

int
main(int argc, char **argv)
{
    static struct program program;
    const struct config_table tables[] = {
        {process_bus_rows, &program.process.settings},
        {process_rows, &program.process.settings},
        {settings_keys, &program.settings},
        {NULL, NULL},
    };

    program.process = (struct process){
        .name = "inference",
        .prefix = "INFERENCE",
        .doc = "Serves predictions and swaps models while it does.",
        .tables = tables,
        .named = &program.settings.pod,
        .arg = &program,
        .describe = describe,
        .configured = configured,
        .start = start,
        .ended = free_parts,
    };
    return process_main(&program.process, argc, argv);
}
