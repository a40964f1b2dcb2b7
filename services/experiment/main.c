/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the experiment service. Wires parts, decides nothing. */
#include "changes.h"
#include "service.h"

static const ProtobufCMessageDescriptor *const says[] = {
    &modelbus__experiment__v1__model_trained__descriptor,
    &modelbus__experiment__v1__run_finished__descriptor,
    &modelbus__experiment__v1__run_started__descriptor,
    NULL,
};

int
main(int argc, char **argv)
{
    static const struct service_spec spec = {
        .name = "experiment",
        .prefix = "EXPERIMENT",
        .doc = "Experiments, training runs and what they log.",
        .default_rpc_url = "tcp://127.0.0.1:7101",
        .schema = experiment_schema,
        .subscriptions = experiment_events,
        .interface = &modelbus__experiment__v1__experiments__descriptor,
        .methods = experiment_queries,
        .says = says,
    };

    return service_main(argc, argv, &spec);
}
