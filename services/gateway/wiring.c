/* SPDX-License-Identifier: Apache-2.0 */
/* wiring.c - settings, and the gateway's parts started and stopped in order. */
#include "openapi.h"
#include "parts.h"

#include "crypto/crypto.h"
#include "life/life.h"
#include "log/log.h"

#include <stdlib.h>
#include <string.h>

struct gateway_settings gateway_settings;

#define PEERS_WAIT_MS 3000

#define ROW struct gateway_settings
const struct config_key gateway_config[] = {
    CONFIG_SECRET(ROW, "ADMIN_TOKEN", admin_token,
                  "A token with all powers, to create the first ones with"),
    CONFIG_STR(ROW, "ALERT_URL", alert_url, "tcp://127.0.0.1:7106",
               "nng address of the service alert"),
    CONFIG_INT(ROW, "ARTIFACT_MAX_BYTES", artifact_max_bytes, "4294967296", 1, 1099511627776,
               "Largest artifact that is taken"),
    CONFIG_STR(ROW, "ARTIFACT_URL", artifact_url, NULL,
               "Artifact store, file:///absolute/path; not set: no artifacts"),
    CONFIG_CHOICE(ROW, "AUTH", auth, "token", "none|token",
                  "Who may call: holders of a token, or anyone (refused unless BIND is loopback)"),
    CONFIG_STR(ROW, "BIND", bind, "127.0.0.1:8080", "Address of the REST interface"),
    CONFIG_STR(ROW, "DEPLOYMENT_URL", deployment_url, "tcp://127.0.0.1:7103",
               "nng address of the service deployment"),
    CONFIG_INT(ROW, "EVENT_STREAMS", event_streams, "32", 0, 10000,
               "Listeners of /api/v1/events/stream at a time; each has a reader of the bus"),
    CONFIG_STR(ROW, "EXPERIMENT_URL", experiment_url, "tcp://127.0.0.1:7101",
               "nng address of the service experiment"),
    CONFIG_INT(ROW, "MAX_BODY", max_body, "1048576", 1024, 4194304,
               "Largest JSON body that is taken, bytes"),
    CONFIG_STR(ROW, "MONITORING_URL", monitoring_url, "tcp://127.0.0.1:7105",
               "nng address of the service monitoring"),
    CONFIG_STR(ROW, "PIPELINE_URL", pipeline_url, "tcp://127.0.0.1:7107",
               "nng address of the service pipeline"),
    CONFIG_STR(ROW, "REGISTRY_URL", registry_url, "tcp://127.0.0.1:7102",
               "nng address of the service registry"),
    CONFIG_SECRET(ROW, "TASK_TOKEN", task_token,
                  "A token for tasks of pipelines: experiments, models and artifacts, no more"),
    CONFIG_INT(ROW, "THREADS", threads, "2", 1, 64, "Threads that serve the REST interface"),
    CONFIG_STR(ROW, "TLS_CERT", tls_cert, NULL, "PEM file of the certificate; with TLS_KEY: HTTPS"),
    CONFIG_STR(ROW, "TLS_KEY", tls_key, NULL, "PEM file of the certificate's key"),
    CONFIG_SECRET(ROW, "WORKER_TOKEN", worker_token,
                  "A token for workers: tasks and artifacts, no more"),
    CONFIG_END,
};

/* Where this process reaches itself when it listens on every address. */
static char *
own_url(const char *url)
{
    const char *any = strstr(url, "//0.0.0.0:");

    return any ? mem_printf("%.*s//127.0.0.1:%s", (int)(any - url), url, any + 10)
               : mem_strdup(url);
}

static enum err_code
open_peers(struct gateway *gateway, struct err *err)
{
    const struct gateway_settings *s = gateway->settings;
    const char *key = gateway->service->settings.rpc_key;
    CLEANUP(mem_free) char *self = own_url(gateway->service->settings.rpc_url);
    const char *urls[PEER_COUNT] = {[PEER_EXPERIMENT] = s->experiment_url,
                                    [PEER_REGISTRY] = s->registry_url,
                                    [PEER_DEPLOYMENT] = s->deployment_url,
                                    [PEER_MONITORING] = s->monitoring_url,
                                    [PEER_ALERT] = s->alert_url,
                                    [PEER_PIPELINE] = s->pipeline_url,
                                    [PEER_GATEWAY] = self};

    for (int i = 1; i < PEER_COUNT; i++) {
        struct rpc_client_options options = {
            .url = urls[i], .key = key, .key_len = strlen(key), .contexts = 128};
        if (rpc_client_open(&gateway->peers[i], &options, err))
            return err_wrap(err, "%s", peer_name((enum peer)i));
    }
    /* Services that start together: the first request shall not come too early. */
    int64_t until_ms = life_monotonic_ms() + PEERS_WAIT_MS;
    for (int i = 1; i < PEER_COUNT; i++)
        if (i != PEER_GATEWAY && !rpc_client_wait(gateway->peers[i], until_ms))
            log_warn("starts without a service", LOG_STR("peer", peer_name((enum peer)i)));
    return ERR_OK;
}

static enum err_code
open_auth(struct gateway *gateway, struct err *err)
{
    const struct gateway_settings *s = gateway->settings;

    gateway->open = strcmp(s->auth, "none") == 0;
    if (gateway->open) {
        if (gateway_bind_is_loopback(s->bind))
            return ERR_OK;
        return err_set(err, ERR_INVALID,
                       "GATEWAY_AUTH=none is refused on %s: it is not loopback; use token",
                       s->bind);
    }
    fixed_token_set(gateway->fixed, FIXED_ADMIN, s->admin_token);
    fixed_token_set(gateway->fixed, FIXED_WORKER, s->worker_token);
    fixed_token_set(gateway->fixed, FIXED_TASK, s->task_token);
    return tokens_start(&gateway->tokens, gateway->service->db, err);
}

enum err_code
gateway_start(struct service *service, struct err *err)
{
    struct gateway *gateway = mem_zalloc(sizeof(*gateway));

    service->state = gateway;
    gateway->service = service;
    gateway->settings = &gateway_settings;
    if (listener_compile(gateway, rest_routes, err) || open_auth(gateway, err))
        return err->code;
    if (gateway->settings->artifact_url &&
        artifact_store_open(&gateway->artifacts, gateway->settings->artifact_url, err))
        return err->code;
    if (open_peers(gateway, err))
        return err->code;
    openapi_write(rest_routes, &gateway->openapi);
    gateway->streams =
        streams_new(&service->bus, service->bus_prefix, gateway->settings->event_streams);
    return listener_start(gateway, err);
}

bool
gateway_stop(struct service *service, int64_t deadline_ms)
{
    struct gateway *gateway = service->state;
    bool complete;

    if (!gateway)
        return true;
    streams_free(gateway->streams);
    for (int i = 1; i < PEER_COUNT; i++)
        rpc_client_cut(gateway->peers[i], deadline_ms);
    complete = http_server_stop(gateway->http, deadline_ms);
    for (int i = 1; i < PEER_COUNT; i++)
        rpc_client_free(gateway->peers[i]);
    tokens_stop(gateway->tokens);
    artifact_store_free(gateway->artifacts);
    buf_done(&gateway->openapi);
    free(gateway->targets);
    free(gateway->routes);
    free(gateway);
    service->state = NULL;
    return complete;
}
