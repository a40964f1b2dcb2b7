/* SPDX-License-Identifier: Apache-2.0 */
/* admin.c - health, readiness and metrics over HTTP. */
#include "service_parts.h"

#include "life/life.h"
#include "log/log.h"
#include "metrics/metrics.h"

#include <pthread.h>

/* Once service_watch(NULL, NULL) has returned, no answer asks stuck() any more. */
static pthread_mutex_t watch = PTHREAD_MUTEX_INITIALIZER;
static const char *(*stuck)(void *arg);
static void *stuck_arg;

void
service_watch(const char *(*ask)(void *arg), void *arg)
{
    pthread_mutex_lock(&watch);
    stuck = ask;
    stuck_arg = arg;
    pthread_mutex_unlock(&watch);
}

static const char *
stuck_part(void)
{
    pthread_mutex_lock(&watch);
    const char *part = stuck ? stuck(stuck_arg) : NULL;
    pthread_mutex_unlock(&watch);
    return part;
}

static void
reply_state(struct http_request *request, const char *what, const char *missing)
{
    struct buf body = {0};

    if (missing)
        buf_printf(&body, "{\"status\":\"%s\",\"reason\":\"%s\"}\n", what, missing);
    else
        buf_printf(&body, "{\"status\":\"ok\"}\n");
    http_reply_take(request, missing ? 503 : 200, "application/json", &body);
}

void
service_healthz(void *arg, struct http_request *request)
{
    (void)arg;
    reply_state(request, "stuck", stuck_part());
}

void
service_readyz(void *arg, struct http_request *request)
{
    const char *why = NULL;

    (void)arg;
    reply_state(request, "not ready", life_ready(&why) ? NULL : why);
}

void
service_metrics(void *arg, struct http_request *request)
{
    struct buf body = {0};

    (void)arg;
    metric_set(metrics_gauge("modelbus_ready", "1 while /readyz answers 200.", NULL),
               life_ready(NULL) ? 1 : 0);
    metrics_render(&body);
    http_reply_take(request, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
}

static const struct http_route routes[] = {
    {.verb = "GET", .pattern = "/healthz", .handler = service_healthz},
    {.verb = "GET", .pattern = "/readyz", .handler = service_readyz},
    {.verb = "GET", .pattern = "/metrics", .handler = service_metrics},
    {.verb = NULL},
};

enum err_code
service_admin_start(struct http_server **server, const char *bind, struct err *err)
{
    const struct http_server_options options = {
        .bind = bind,
        .threads = 1,
        .max_connections = 64,
        .max_body = 1024,
        .routes = routes,
    };

    if (http_server_start(server, &options, err))
        return err_wrap(err, "admin HTTP on '%s'", bind);
    log_info("listening", LOG_STR("what", "admin HTTP"), LOG_STR("bind", bind),
             LOG_INT("port", http_server_port(*server)));
    return ERR_OK;
}
