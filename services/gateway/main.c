/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the REST gateway. Wires parts, decides nothing. */
#include "parts.h"

#include "modelbus/gateway/v1/queries.pb-c.h"

int
main(int argc, char **argv)
{
    static const struct service_spec spec = {
        .name = "gateway",
        .prefix = "GATEWAY",
        .doc = "REST for people and tools: tokens, artifacts, and the queries of the services.",
        .default_rpc_url = "tcp://127.0.0.1:7104",
        .config = gateway_config,
        .config_target = &gateway_settings,
        .schema = gateway_schema,
        .interface = &modelbus__gateway__v1__gateway__descriptor,
        .methods = gateway_queries,
        .start = gateway_start,
        .stop = gateway_stop,
    };

    return service_main(argc, argv, &spec);
}
