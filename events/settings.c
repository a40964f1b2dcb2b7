/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c - the rows of struct service_settings. */
#include "service_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S struct service_settings

static const struct config_key all[] = {
    CONFIG_INT(S, "DB_CONNS", db_conns, "8", 2, 64, "Size of the PostgreSQL pool"),
    CONFIG_SECRET(S, "DB_URL", db_url, "PostgreSQL URL; @FILE reads it from a file"),
    CONFIG_STR(S, "HTTP_BIND", http_bind, NULL,
               "Address of /healthz, /readyz and /metrics; port 0: any free one"),
    CONFIG_STR(S, "INSTANCE", instance, NULL,
               "Name of this instance in logs and on the bus; empty: host name and process id"),
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
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct config_key row = all[i];
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
