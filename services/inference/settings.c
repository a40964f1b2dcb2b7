/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c - the table of the settings that only the pod has. */
#include "settings.h"

#include <string.h>

#define S struct settings

const struct config_key settings_keys[] = {
    CONFIG_SECRET(S, "ARTIFACT_TOKEN", artifact_token,
                  "Bearer token for the gateway's artifacts; @FILE reads it from a file"),
    CONFIG_STR(S, "ARTIFACT_URL", artifact_url, NULL,
               "Gateway that has the artifacts (http://host:port), or file:///folder of a store"),
    CONFIG_STR(S, "BIND", bind, "127.0.0.1:8090",
               "Address of predictions, health and metrics; port 0: any free one"),
    CONFIG_STR(S, "CACHE_DIR", cache_dir, NULL,
               "Folder for artifacts and desired states, with which a pod starts while the bus is "
               "away; empty: none"),
    CONFIG_INT(S, "CACHE_MAX_BYTES", cache_max_bytes, "2147483648", 1048576, 1e13,
               "Artifacts kept in CACHE_DIR; the least recently used go first"),
    CONFIG_INT(S, "DEADLINE_MS", deadline_ms, "1000", 1, 600000,
               "Age at which a waiting prediction is answered 504; X-Deadline-Ms may lower it"),
    CONFIG_STR(S, "ENDPOINTS", endpoints, NULL,
               "Endpoints to serve, comma-separated; empty: all of the workspace"),
    CONFIG_INT(S, "LOG_QUEUE_ROWS", log_queue_rows, "100000", 0, 100000000,
               "Rows of the prediction log that may wait for the bus; further ones are dropped"),
    CONFIG_DOUBLE(S, "LOG_SAMPLE", log_sample, "1", 0, 1,
                  "Share of prediction requests that are logged to the bus"),
    CONFIG_INT(S, "MAX_BODY", max_body, "8388608", 1024, 1073741824, "Bytes of a request's body"),
    CONFIG_INT(S, "MAX_CONNECTIONS", max_connections, "1024", 1, 60000, "Open HTTP connections"),
    CONFIG_INT(S, "MAX_ROWS", max_rows, "10000", 1, 10000000, "Rows of one prediction request"),
    CONFIG_INT(S, "MODEL_MAX_BYTES", model_max_bytes, "268435456", 1024, 2147483647,
               "Size of a model's file"),
    CONFIG_STR(S, "POD", pod, NULL, "Name of this pod on the bus; empty: host name and process id"),
    CONFIG_INT(S, "QUEUE", queue, "2000", 2, 1000000,
               "Predictions accepted and not answered; from 80 % on new ones get 503"),
    CONFIG_INT(S, "STATS_MS", stats_ms, "10000", 100, 3600000,
               "Time between ServingStats of an endpoint"),
    CONFIG_INT(S, "THREADS", threads, "0", 0, 256, "HTTP workers; 0: one a processor, at most 8"),
    CONFIG_STR(S, "WORKSPACE", workspace, "default", "Workspace whose endpoints are served"),
    CONFIG_END,
};

bool
settings_lists(const char *list, const char *name)
{
    size_t len = strlen(name);

    if (!list || !*list)
        return true;
    for (const char *p = list; *p;) {
        p += strspn(p, ", ");
        size_t n = strcspn(p, ", ");
        if (n == len && strncmp(p, name, n) == 0)
            return true;
        p += n;
    }
    return false;
}
