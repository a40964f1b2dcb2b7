/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the pipeline service. Wires parts, decides nothing. */
#include "pipeline.h"

static const ProtobufCMessageDescriptor *const says[] = {
    &modelbus__pipeline__v1__pipeline_started__descriptor,
    &modelbus__pipeline__v1__task_started__descriptor,
    &modelbus__pipeline__v1__task_finished__descriptor,
    &modelbus__pipeline__v1__pipeline_finished__descriptor,
    NULL,
};

int
main(int argc, char **argv)
{
    static const struct service_spec spec = {
        .name = "pipeline",
        .prefix = "PIPELINE",
        .doc = "Pipelines: their definitions, their runs, and the workers that do them.",
        .default_rpc_url = "tcp://127.0.0.1:7107",
        .config = pipeline_config,
        .config_target = &pipeline_settings,
        .schema = pipeline_schema,
        .subscriptions = pipeline_events,
        .interface = &modelbus__pipeline__v1__pipelines__descriptor,
        .methods = pipeline_queries,
        .says = says,
        .start = pipeline_start,
        .stop = pipeline_stop,
    };

    pipeline_subscribe();
    return service_main(argc, argv, &spec);
}
