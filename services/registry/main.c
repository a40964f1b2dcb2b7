/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the model registry. Wires parts, decides nothing. */
#include "changes.h"
#include "service.h"

static const ProtobufCMessageDescriptor *const says[] = {
    &modelbus__registry__v1__alias_moved__descriptor,
    &modelbus__registry__v1__model_registered__descriptor,
    &modelbus__registry__v1__promotion_decided__descriptor,
    &modelbus__registry__v1__stage_changed__descriptor,
    &modelbus__registry__v1__version_deleted__descriptor,
    NULL,
};

int
main(int argc, char **argv)
{
    static const struct service_spec spec = {
        .name = "registry",
        .prefix = "REGISTRY",
        .doc = "Models, their numbered versions, aliases and stages.",
        .default_rpc_url = "tcp://127.0.0.1:7102",
        .schema = registry_schema,
        .subscriptions = registry_events,
        .interface = &modelbus__registry__v1__registry__descriptor,
        .methods = registry_queries,
        .says = says,
    };

    return service_main(argc, argv, &spec);
}
