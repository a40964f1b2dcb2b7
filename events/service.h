/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.h - the life of every modelbus service, from its command line to its exit code.
 *
 * A service is a struct service_spec; its main.c is `return service_main(argc, argv, &spec);`.
 * In order: configuration, log, database (waits while it is away), migrations, outbox relay, rpc
 * server, consumer, admin HTTP (/healthz, /readyz, /metrics) on <PREFIX>_HTTP_BIND, ready; then
 * SIGTERM: stop intake (HTTP, rpc, consumer), then the relay, then the pool; exit 0 when all
 * finished within DRAIN_MS. SIGHUP reloads what is reloadable.
 *
 * `--help` prints the settings, `--describe` prints settings, queries and events as
 * JSON (docs are generated from it), `--version` the version.
 * Exit codes: 0 graceful stop, 1 failed, 2 wrong configuration, 3 drain fell short.
 */
#pragma once

#include "config/config.h"
#include "consumer.h"
#include "db/db.h"
#include "http/http.h"
#include "rpc/rpc.h"

/* Settings that all services share; names as <PREFIX>_<NAME>. */
struct service_settings {
    char *brokers;        /* BROKERS */
    char *bus_prefix;     /* BUS_PREFIX, "modelbus" */
    char *bus_properties; /* BUS_PROPERTIES */
    int64_t bus_fetch_wait_ms;
    char *db_url; /* DB_URL, secret */
    int64_t db_conns;
    int64_t drain_ms;
    char *http_bind; /* HTTP_BIND: admin listener */
    char *instance;  /* INSTANCE; empty: host name and pid */
    char *log_level;
    int64_t outbox_retention_s;
    char *rpc_key; /* RPC_KEY, secret */
    char *rpc_url;
    int64_t rpc_workers;
};

struct service {
    const struct service_spec *spec;
    struct service_settings settings;
    struct bus_options bus;
    struct db_pool *db;
    struct outbox *outbox;
    struct consumer *consumer;
    struct rpc_server *rpc;
    void *state; /* the service's own, from spec->start */
};

struct service_spec {
    const char *name;   /* "registry": schema, group, source */
    const char *prefix; /* "REGISTRY" */
    const char *doc;    /* one sentence */
    const char *default_rpc_url;
    const struct config_key *config; /* own rows; may be NULL */
    void *config_target;
    const struct embed_file *schema;                /* migrations */
    const struct event_subscription *subscriptions; /* NULL: hears nothing */
    const ProtobufCServiceDescriptor *interface;
    const struct rpc_method *methods;
    const ProtobufCMessageDescriptor *const *says; /* NULL-ended, for the docs */
    /* Before and after the shared parts run; either may be NULL. start may set service->state, which
     * handlers of events and queries get as service (arg is always struct service *). */
    enum err_code (*start)(struct service *service, struct err *err);
    bool (*stop)(struct service *service, int64_t deadline_ms);
    void (*reload)(struct service *service); /* after config_reload() */
    enum err_code (*republish)(void *service, struct outbox *outbox, struct db_conn *conn,
                               struct err *err);
};

int service_main(int argc, char **argv, const struct service_spec *spec);

/* The admin routes' answers, for programs that run their own HTTP server (inference, gateway). */
void service_healthz(void *arg, struct http_request *request);
void service_readyz(void *arg, struct http_request *request);
void service_metrics(void *arg, struct http_request *request);
