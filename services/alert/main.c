/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the alert service. Wires parts, decides nothing. */
#include "changes.h"
#include "service.h"

static const ProtobufCMessageDescriptor *const says[] = {
    &modelbus__alert__v1__alert_fired__descriptor,
    &modelbus__alert__v1__alert_resolved__descriptor,
    NULL,
};

int
main(int argc, char **argv)
{
    static const struct service_spec spec = {
        .name = "alert",
        .prefix = "ALERT",
        .doc = "Alerts made of events by rules, and who is told of them.",
        .default_rpc_url = "tcp://127.0.0.1:7106",
        .config = alert_config,
        .config_target = &alert_settings,
        .schema = alert_schema,
        .subscriptions = alert_events,
        .interface = &modelbus__alert__v1__alerts__descriptor,
        .methods = alert_queries,
        .says = says,
        .start = alert_start,
        .stop = alert_stop,
        .reload = alert_reload,
    };

    alert_subscribe();
    return service_main(argc, argv, &spec);
}
