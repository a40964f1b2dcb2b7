/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the deployment service. Wires parts, decides nothing. */
#include "changes.h"
#include "service.h"

static struct deployment_settings settings;

static const struct config_key config_keys[] = {
    {.name = "POD_TIMEOUT_S",
     .type = CONFIG_TYPE_INT,
     .offset = offsetof(struct deployment_settings, pod_timeout_s),
     .fallback = "120",
     .min = 1,
     .max = 86400,
     .reloadable = true,
     .doc = "A pod not heard of for this many seconds no longer counts for an endpoint's status"},
    CONFIG_END,
};

static const ProtobufCMessageDescriptor *const says[] = {
    &modelbus__deployment__v1__endpoint_deleted__descriptor,
    &modelbus__deployment__v1__endpoint_state__descriptor,
    &modelbus__deployment__v1__model_deployed__descriptor,
    &modelbus__deployment__v1__retrain_requested__descriptor,
    &modelbus__deployment__v1__rolled_back__descriptor,
    NULL,
};

int
main(int argc, char **argv)
{
    static const struct service_spec spec = {
        .name = "deployment",
        .prefix = "DEPLOYMENT",
        .doc = "Endpoints, what they are to serve and what their pods report.",
        .default_rpc_url = "tcp://127.0.0.1:7103",
        .config = config_keys,
        .config_target = &settings,
        .schema = deployment_schema,
        .subscriptions = deployment_events,
        .interface = &modelbus__deployment__v1__deployment__descriptor,
        .methods = deployment_queries,
        .says = says,
        .republish = deployment_republish,
    };

    return service_main(argc, argv, &spec);
}
