/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the REST gateway. Wires parts, decides nothing. */
#include "openapi.h"
#include "parts.h"

#include "modelbus/gateway/v1/queries.pb-c.h"

#include <stdio.h>
#include <string.h>

static int
print_openapi(void)
{
    CLEANUP(buf_done) struct buf text = {0};

    openapi_write(rest_routes, &text);
    return fwrite(text.data, 1, text.len, stdout) == text.len && fflush(stdout) == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
    static const struct service_spec spec = {
        .name = "gateway",
        .prefix = "GATEWAY",
        .doc = "REST for people and tools: tokens, artifacts, and the queries of the services. "
               "--openapi prints the interface as OpenAPI 3.1.",
        .default_rpc_url = "tcp://127.0.0.1:7104",
        .config = gateway_config,
        .config_target = &gateway_settings,
        .schema = gateway_schema,
        .interface = &modelbus__gateway__v1__gateway__descriptor,
        .methods = gateway_queries,
        .start = gateway_start,
        .stop = gateway_stop,
    };

    if (argc == 2 && strcmp(argv[1], "--openapi") == 0)
        return print_openapi();
    return service_main(argc, argv, &spec);
}
