/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.h - the life of every modelbus service, from its command line to its exit code.
 *
 * A service is a struct service_spec; its main.c is `return service_main(argc, argv, &spec);`.
 * In order: configuration, log, admin HTTP (/healthz, /readyz, /metrics) on <PREFIX>_HTTP_BIND,
 * database (waits while it is away, alive but not ready), migrations, outbox relay, spec->start,
 * consumer, rpc server, ready; then SIGTERM: stop intake (rpc, consumer), spec->stop, the
 * relay, admin HTTP, the pool; exit 0 when all finished within DRAIN_MS. SIGHUP reloads what is
 * reloadable. Admin HTTP is first up and last down so that probes see the start and the drain.
 *
 * HTTP_BIND defaults to 127.0.0.1 and the port of default_rpc_url plus 100; with port 0
 * the line "listening" of the log has the one that was chosen. A spec without schema
 * has no database, no outbox and no consumer. With one, the interface modelbus.bus.v1.Bus
 * is answered beside the spec's own.
 *
 * `--help` prints the settings, `--describe` prints settings, queries and events as
 * JSON (docs are generated from it), `--version` the version.
 * Exit codes are those of process.h.
 */
#pragma once

#include "config/config.h"
#include "consumer.h"
#include "db/db.h"
#include "http/http.h"
#include "rpc/rpc.h"

/* Settings that all services share beside those of every process (process.h): <PREFIX>_<NAME>. */
struct service_settings {
    char *db_url; /* DB_URL, secret */
    int64_t db_conns;
    char *http_bind; /* HTTP_BIND: admin listener */
    char *instance;  /* INSTANCE; empty: host name and pid */
    int64_t outbox_retention_s;
    char *rpc_key; /* RPC_KEY, secret */
    char *rpc_url;
    int64_t rpc_workers;
};

struct service {
    const struct service_spec *spec;
    struct service_settings settings;
    struct bus_options bus;
    const char *bus_prefix; /* of topics */
    struct db_pool *db;
    struct outbox *outbox;
    struct consumer *consumer;
    struct rpc_server *rpc; /* see service_wake() */
    void *state;            /* the service's own, from spec->start */
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
    /* start: when the database is migrated and the outbox open, before consumer and rpc; stop: after
     * both have stopped, also when a later part failed to start. Either may be NULL. start may set service->state, which
     * handlers of events and queries get as service (arg is always struct service *). */
    enum err_code (*start)(struct service *service, struct err *err);
    bool (*stop)(struct service *service, int64_t deadline_ms);
    void (*reload)(struct service *service); /* after config_reload() */
    enum err_code (*republish)(void *service, struct outbox *outbox, struct db_conn *conn,
                               struct err *err);
};

int service_main(int argc, char **argv, const struct service_spec *spec);

/* rpc_server_wake() of the service's server, when it has one. Any thread, also while it starts or stops. */
void service_wake(struct service *service, const char *topic);

/*
 * The admin routes' answers, for programs that run their own HTTP server (inference, gateway); arg is
 * not used. /healthz: 200 while the process lives and its consumer and relay turn, 503 when one
 * has not for SERVICE_STUCK_MS. /readyz: 200, or 503 that names the first condition that is
 * not met. /metrics: Prometheus' text, with readiness as modelbus_ready.
 */
#define SERVICE_STUCK_MS 120000
void service_healthz(void *arg, struct http_request *request);
void service_readyz(void *arg, struct http_request *request);
void service_metrics(void *arg, struct http_request *request);
