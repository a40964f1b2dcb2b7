/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c - the rows that every service's configuration has. */
#include "service_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S struct service_settings

static const struct config_key common[] = {
    CONFIG_STR(S, "BROKERS", brokers, "127.0.0.1:9092",
               "Kafka bootstrap list, host:port,host:port"),
    CONFIG_INT(S, "BUS_FETCH_WAIT_MS", bus_fetch_wait_ms, "500", 1, 10000,
               "How long the broker may hold an empty fetch; 500 on real Kafka, 10 on the embedded "
               "bus"),
    CONFIG_STR(S, "BUS_PREFIX", bus_prefix, "modelbus", "First part of every topic's name"),
    CONFIG_STR(S, "BUS_PROPERTIES", bus_properties, NULL,
               "More librdkafka properties, name=value;name=value (TLS, SASL)"),
    CONFIG_INT(S, "DB_CONNS", db_conns, "8", 2, 64, "Size of the PostgreSQL pool"),
    CONFIG_SECRET(S, "DB_URL", db_url, "PostgreSQL URL; @FILE reads it from a file"),
    {.name = "DRAIN_MS",
     .type = CONFIG_TYPE_INT,
     .offset = offsetof(S, drain_ms),
     .fallback = "10000",
     .min = 0,
     .max = 600000,
     .reloadable = true,
     .doc = "Time that a graceful stop may take"},
    CONFIG_STR(S, "HTTP_BIND", http_bind, NULL,
               "Address of /healthz, /readyz and /metrics; port 0: any free one"),
    CONFIG_STR(S, "INSTANCE", instance, NULL,
               "Name of this instance in logs and on the bus; empty: host name and process id"),
    {.name = "LOG_LEVEL",
     .type = CONFIG_TYPE_CHOICE,
     .offset = offsetof(S, log_level),
     .fallback = "info",
     .choices = "debug|info|warn|error",
     .reloadable = true,
     .doc = "Least severe lines to write"},
    CONFIG_INT(S, "OUTBOX_RETENTION_S", outbox_retention_s, "86400", 0, INBOX_RETENTION_S - 3600,
               "How long published events are kept, to be published again when the bus is new"),
    CONFIG_SECRET(S, "RPC_KEY", rpc_key,
                  "Key that all services share, at least 16 bytes; @FILE reads it from a file"),
    CONFIG_STR(S, "RPC_URL", rpc_url, NULL, "nng address on which queries are answered"),
    CONFIG_INT(S, "RPC_WORKERS", rpc_workers, "4", 1, 256, "Threads that answer queries"),
};

void
service_setting_rows(const struct service_spec *spec, struct config_key rows[SETTING_ROWS],
                     char http_bind[64])
{
    const char *colon = spec->default_rpc_url ? strrchr(spec->default_rpc_url, ':') : NULL;
    size_t n = 0;

    snprintf(http_bind, 64, "127.0.0.1:%ld", colon ? strtol(colon + 1, NULL, 10) + 100 : 0);
    for (size_t i = 0; i < ARRAY_LEN(common); i++) {
        struct config_key row = common[i];
        bool database = strncmp(row.name, "DB_", 3) == 0 || strncmp(row.name, "OUTBOX_", 7) == 0;

        if (database && !spec->schema)
            continue;
        if (strcmp(row.name, "HTTP_BIND") == 0)
            row.fallback = http_bind;
        else if (strcmp(row.name, "RPC_URL") == 0)
            row.fallback = spec->default_rpc_url;
        row.required = strcmp(row.name, "DB_URL") == 0 || strcmp(row.name, "RPC_KEY") == 0;
        rows[n++] = row;
    }
    rows[n] = (struct config_key)CONFIG_END;
}
