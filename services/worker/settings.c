/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c - the table of the worker's own settings. */
#include "settings.h"

#include "files.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LABELS_MAX 100

#define S struct settings

const struct config_key settings_keys[] = {
    CONFIG_INT(S, "CACHE_BYTES", cache_bytes, "10737418240", 0, 1e15,
               "Artifacts kept in DIR/cache for tasks to come; the least recently used go first"),
    CONFIG_DOUBLE(S, "CPU", cpu, "0", 0, 4096,
                  "Cores that tasks may take together; 0: those of the machine"),
    CONFIG_STR(
        S, "DIR", dir, "worker",
        "Folder for tasks and the cache; of one worker only. Tasks of a worker that was killed "
        "are removed from it at start"),
    CONFIG_STR(S, "GATEWAY_URL", gateway_url, "http://127.0.0.1:8080", "The platform's gateway"),
    CONFIG_INT(S, "GPU", gpu, "0", 0, 1024, "Graphics processors that tasks may take together"),
    CONFIG_INT(S, "GRACE_S", grace_s, "10", 0, 3600,
               "Seconds between SIGTERM and SIGKILL of a task that is to end"),
    CONFIG_STR(S, "HTTP_BIND", http_bind, "127.0.0.1:8095",
               "Address of health, readiness and metrics; port 0: any free one"),
    CONFIG_STR(S, "LABELS", labels, NULL, "Labels that tasks may ask for: zone=gpu,team=a"),
    CONFIG_INT(S, "LOG_MAX_BYTES", log_max_bytes, "16777216", 4096, 1e12,
               "Of a task's log: its first and its last half of this are kept"),
    CONFIG_INT(S, "MEMORY_MB", memory_mb, "0", 0, 1e9,
               "Memory that tasks may take together; 0: that of the machine"),
    CONFIG_STR(S, "NAME", name, NULL,
               "Name of this worker, one of its own for each; empty: the host's name"),
    CONFIG_STR(S, "SECRETS_DIR", secrets_dir, NULL,
               "Folder with a file for each secret, not readable by others; empty: no secrets"),
    CONFIG_SECRET(
        S, "TASK_TOKEN", task_token,
        "Token that tasks get as MODELBUS_TOKEN; @FILE reads it from a file; none: they get "
        "none"),
    CONFIG_SECRET(S, "TOKEN", token,
                  "Bearer token of the worker itself, never of tasks; @FILE reads it from a file"),
    CONFIG_END,
};

enum err_code
settings_labels(const char *labels, void (*each)(void *arg, const char *name, const char *value),
                void *arg, struct err *err)
{
    CLEANUP(mem_free) char *copy = mem_strdup(labels ? labels : "");
    char *rest = copy, *pair;
    int count = 0;

    while ((pair = strsep(&rest, ","))) {
        pair += strspn(pair, " ");
        if (!*pair)
            continue;
        char *value = strchr(pair, '=');
        if (value)
            *value++ = '\0';
        if (!value || !files_name_valid(pair) || !files_name_valid(value))
            return err_set(err, ERR_INVALID,
                           "LABELS: '%.80s' is not name=value of letters, digits, '.', '_', '-'",
                           pair);
        if (++count > LABELS_MAX)
            return err_set(err, ERR_INVALID, "LABELS: more than %d", LABELS_MAX);
        each(arg, pair, value);
    }
    return ERR_OK;
}

double
settings_machine_cpu(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    return cores > 0 ? (double)cores : 1;
}

int64_t
settings_machine_memory_mb(void)
{
    int64_t pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGE_SIZE);

    return pages > 0 ? (pages * bytes) >> 20 : 1024;
}
