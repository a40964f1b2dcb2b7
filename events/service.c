/* SPDX-License-Identifier: Apache-2.0 */
/* service.c - every service's way from its command line to its exit code. */
#include "bus_queries.h"
#include "process.h"
#include "service_parts.h"

#include "life/life.h"
#include "log/log.h"

#include "modelbus/bus/v1/queries.pb-c.h"

#include <pthread.h>
#include <string.h>

#define RPC_KEY_MIN 16
#define POOL_WAIT_MS 2000
#define RETRY_MIN_MS 50
#define RETRY_MAX_MS 2000

extern const struct embed_file events_schema[];

/* What one process holds beside struct service. */
struct program {
    struct process process;
    struct service service;
    struct http_server *admin;
    struct rpc_interface interfaces[3];
};

/* ---- stop steps, in the reverse of their registration ---- */

static bool
stop_pool(void *arg, int64_t deadline_ms)
{
    struct program *p = arg;

    (void)deadline_ms;
    db_pool_free(TAKE_PTR(p->service.db));
    return true;
}

static bool
stop_admin(void *arg, int64_t deadline_ms)
{
    struct program *p = arg;

    return http_server_stop(TAKE_PTR(p->admin), deadline_ms);
}

static bool
stop_outbox(void *arg, int64_t deadline_ms)
{
    struct program *p = arg;

    /* What the bus did not take in time is in the table, for the next start: nothing is lost. */
    if (!outbox_stop(p->service.outbox, deadline_ms))
        log_info("events stay in the outbox");
    return true;
}

static bool
free_outbox(void *arg, int64_t deadline_ms)
{
    struct program *p = arg;

    (void)deadline_ms;
    outbox_free(TAKE_PTR(p->service.outbox));
    return true;
}

static bool
stop_own(void *arg, int64_t deadline_ms)
{
    struct program *p = arg;

    return p->service.spec->stop(&p->service, deadline_ms);
}

/* Of service.rpc, which comes and goes while other threads have something to tell it. */
static pthread_mutex_t rpc_lock = PTHREAD_MUTEX_INITIALIZER;

void
service_wake(struct service *service, const char *topic)
{
    pthread_mutex_lock(&rpc_lock);
    if (service->rpc)
        rpc_server_wake(service->rpc, topic);
    pthread_mutex_unlock(&rpc_lock);
}

static bool
stop_rpc(void *arg, int64_t deadline_ms)
{
    struct program *p = arg;

    pthread_mutex_lock(&rpc_lock);
    struct rpc_server *server = TAKE_PTR(p->service.rpc);
    pthread_mutex_unlock(&rpc_lock);
    return rpc_server_stop(server, deadline_ms);
}

static bool
stop_consumer(void *arg, int64_t deadline_ms)
{
    struct program *p = arg;

    /* Late when it was asking a bus that is away; but what it has not committed is heard again. */
    if (!consumer_stop(TAKE_PTR(p->service.consumer), deadline_ms))
        log_info("the consumer stopped late");
    return true;
}

static const char *
stuck_part(void *arg)
{
    const struct service *s = arg;
    int64_t oldest = life_monotonic_ms() - SERVICE_STUCK_MS;

    if (s->consumer && consumer_beat_ms(s->consumer) < oldest)
        return "consumer";
    return s->outbox && outbox_beat_ms(s->outbox) < oldest ? "outbox" : NULL;
}

static bool
stop_watching(void *arg, int64_t deadline_ms)
{
    (void)arg;
    (void)deadline_ms;
    service_watch(NULL, NULL);
    return true;
}

/* ---- start steps ---- */

/* Waits for PostgreSQL as long as it takes; ERR_CANCELLED when asked to stop meanwhile. */
static enum err_code
migrate(struct service *s, struct err *err)
{
    int64_t wait_ms = RETRY_MIN_MS;

    for (;;) {
        if (db_migrate(s->db, "events", events_schema, err) == ERR_OK &&
            db_migrate(s->db, s->spec->name, s->spec->schema, err) == ERR_OK) {
            life_condition("database", true);
            return ERR_OK;
        }
        if (!err_retriable(err->code))
            return err_wrap(err, "database");
        log_warn("waiting for the database", LOG_ERR(err), LOG_INT("ms", wait_ms));
        if (!life_sleep_ms(wait_ms))
            return err_set(err, ERR_CANCELLED, "stopped while waiting for the database");
        wait_ms = wait_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : wait_ms * 2;
    }
}

static enum err_code
start_storage(struct program *p, struct err *err)
{
    struct service *s = &p->service;
    struct outbox_options o = {
        .bus = s->bus,
        .prefix = p->process.settings.bus_prefix,
        .service = s->spec->name,
        .retention_ms = s->settings.outbox_retention_s * 1000,
        .republish = s->spec->republish,
        .arg = s,
    };

    life_condition("database", false);
    if (db_pool_open(&s->db, s->settings.db_url, s->spec->name, (unsigned)s->settings.db_conns,
                     POOL_WAIT_MS, err))
        return err->code;
    life_on_stop("database", stop_pool, p);
    o.db = s->db;
    if (migrate(s, err) || outbox_open(&s->outbox, &o, err))
        return err->code;
    life_on_stop("outbox memory", free_outbox, p);
    return ERR_OK;
}

static enum err_code
start_rpc(struct program *p, struct err *err)
{
    struct service *s = &p->service;
    const struct rpc_server_options options = {
        .url = s->settings.rpc_url,
        .key = s->settings.rpc_key,
        .key_len = strlen(s->settings.rpc_key),
        .workers = (unsigned)s->settings.rpc_workers,
        .db = s->db,
    };
    size_t n = 0;

    if (s->spec->interface)
        p->interfaces[n++] = (struct rpc_interface){s->spec->interface, s->spec->methods, s};
    if (s->spec->schema)
        p->interfaces[n++] =
            (struct rpc_interface){&modelbus__bus__v1__bus__descriptor, bus_queries, s};
    if (n == 0)
        return ERR_OK;
    pthread_mutex_lock(&rpc_lock);
    enum err_code code = rpc_server_start(&s->rpc, &options, p->interfaces, err);
    pthread_mutex_unlock(&rpc_lock);
    if (code)
        return err_wrap(err, "rpc on '%s'", s->settings.rpc_url);
    life_on_stop("rpc", stop_rpc, p);
    log_info("listening", LOG_STR("what", "rpc"), LOG_STR("url", s->settings.rpc_url));
    return ERR_OK;
}

static enum err_code
start_consumer(struct program *p, struct err *err)
{
    struct service *s = &p->service;
    const struct consumer_options options = {
        .db = s->db,
        .bus = s->bus,
        .prefix = p->process.settings.bus_prefix,
        .service = s->spec->name,
        .outbox = s->outbox,
        .subscriptions = s->spec->subscriptions,
        .arg = s,
    };

    if (!s->spec->subscriptions || !s->spec->schema)
        return ERR_OK;
    if (consumer_start(&s->consumer, &options, err))
        return err_wrap(err, "consumer");
    life_on_stop("consumer", stop_consumer, p);
    return ERR_OK;
}

static enum err_code
start(void *arg, struct err *err)
{
    struct program *p = arg;
    struct service *s = &p->service;

    if (service_admin_start(&p->admin, s->settings.http_bind, err))
        return err->code;
    life_on_stop("admin HTTP", stop_admin, p);
    if (s->spec->schema && start_storage(p, err))
        return err->code;
    if (s->outbox) {
        if (outbox_start(s->outbox, err))
            return err->code;
        life_on_stop("outbox", stop_outbox, p);
    }
    if (s->spec->start && s->spec->start(s, err))
        return err->code;
    if (s->spec->stop)
        life_on_stop(s->spec->name, stop_own, p);
    /* Queries look at the consumer: it is there before them and after them. */
    if (start_consumer(p, err) || start_rpc(p, err))
        return err->code;
    service_watch(stuck_part, s);
    life_on_stop("health", stop_watching, p);
    log_info("started", LOG_STR("instance", p->process.instance));
    return ERR_OK;
}

/* ---- the process ---- */

static enum err_code
configured(void *arg, struct err *err)
{
    struct program *p = arg;
    struct service *s = &p->service;

    if (strlen(s->settings.rpc_key) < RPC_KEY_MIN)
        return err_set(err, ERR_INVALID, "%s_RPC_KEY: at least %d bytes", s->spec->prefix,
                       RPC_KEY_MIN);
    s->bus = p->process.bus;
    s->bus_prefix = p->process.settings.bus_prefix;
    return ERR_OK;
}

static void
reloaded(void *arg)
{
    struct program *p = arg;

    if (p->service.spec->reload)
        p->service.spec->reload(&p->service);
}

static void
describe(void *arg)
{
    const struct program *p = arg;

    service_describe(p->service.spec, p->process.tables);
}

int
service_main(int argc, char **argv, const struct service_spec *spec)
{
    static struct program program;
    static struct config_key rows[SETTING_ROWS];
    char http_bind[64];
    struct program *p = &program;
    const struct config_table tables[] = {
        {process_bus_rows, &p->process.settings},
        {process_rows, &p->process.settings},
        {rows, &p->service.settings},
        {spec->config, spec->config_target}, /* the end when the service has none */
        {NULL, NULL},
    };

    service_setting_rows(spec, rows, http_bind);
    p->service.spec = spec;
    p->process = (struct process){
        .name = spec->name,
        .prefix = spec->prefix,
        .doc = spec->doc,
        .tables = tables,
        .named = &p->service.settings.instance,
        .arg = p,
        .describe = describe,
        .configured = configured,
        .start = start,
        .reloaded = reloaded,
    };
    return process_main(&p->process, argc, argv);
}
