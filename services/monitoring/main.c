/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the monitoring service. Wires parts, decides nothing. */
#include "changes.h"
#include "reference.h"
#include "service.h"
#include "timer.h"

#include "modelbus/monitoring/v1/events.pb-c.h"

static struct monitoring_settings settings;
static struct timer *timer;

#define S struct monitoring_settings
static const struct config_key config_keys[] = {
    CONFIG_SECRET(S, "ARTIFACT_TOKEN", artifact_token,
                  "Bearer token for the gateway's artifacts; @FILE reads it from a file"),
    CONFIG_STR(S, "ARTIFACT_URL", artifact_url, NULL,
               "Gateway that has the artifacts (http://host:port), or file:///folder of a store"),
    CONFIG_INT(S, "CACHE_BYTES", cache_bytes, "134217728", 1048576, 1e12,
               "Rows and references kept in memory; endpoints beyond it are loaded when rows come"),
    CONFIG_INT(S, "PREDICTIONS_KEPT", predictions_kept, "1000000", 1000, 1e9,
               "Predictions of each endpoint that wait for labels; the oldest go first"),
    CONFIG_INT(S, "REPORTS_KEPT", reports_kept, "1000", 1, 1e6, "Newest reports of each endpoint"),
    CONFIG_END,
};

static const ProtobufCMessageDescriptor *const says[] = {
    &modelbus__monitoring__v1__drift_cleared__descriptor,
    &modelbus__monitoring__v1__drift_detected__descriptor,
    &modelbus__monitoring__v1__labels_received__descriptor,
    &modelbus__monitoring__v1__performance_degraded__descriptor,
    &modelbus__monitoring__v1__performance_recovered__descriptor,
    NULL,
};

static enum err_code
open_monitoring(struct monitoring **monitoring, struct err *err)
{
    struct source *source;

    if (source_open(&source, settings.artifact_url, settings.artifact_token, REFERENCE_BYTES_MAX,
                    err))
        return err->code;
    *monitoring = monitoring_new(&settings, source);
    return ERR_OK;
}

static enum err_code
start(struct service *service, struct err *err)
{
    CLEANUP(monitoring_free) struct monitoring *mine = NULL;
    struct monitoring *its = NULL;

    if (open_monitoring(&mine, err) || open_monitoring(&its, err) ||
        timer_start(&timer, service, its, err))
        return err->code;
    service->state = TAKE_PTR(mine);
    return ERR_OK;
}

static bool
stop(struct service *service, int64_t deadline_ms)
{
    (void)deadline_ms;
    timer_stop(TAKE_PTR(timer));
    monitoring_free(service->state);
    return true;
}

int
main(int argc, char **argv)
{
    static const struct service_spec spec = {
        .name = "monitoring",
        .prefix = "MONITORING",
        .doc = "Windows of logged predictions beside their reference, and beside labels: reports, "
               "episodes.",
        .default_rpc_url = "tcp://127.0.0.1:7105",
        .config = config_keys,
        .config_target = &settings,
        .schema = monitoring_schema,
        .subscriptions = monitoring_events,
        .interface = &modelbus__monitoring__v1__monitoring__descriptor,
        .methods = monitoring_queries,
        .says = says,
        .start = start,
        .stop = stop,
    };

    return service_main(argc, argv, &spec);
}
