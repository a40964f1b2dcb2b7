/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h - the worker's configuration beside that of every process, WORKER_<NAME>. */
#pragma once

#include "config/config.h"

struct settings {
    int64_t cache_bytes;
    double cpu;
    char *dir;
    char *gateway_url;
    int64_t gpu;
    int64_t grace_s;
    char *http_bind;
    char *labels;
    int64_t log_max_bytes;
    int64_t memory_mb;
    char *name;
    char *secrets_dir;
    char *task_token;
    char *token;
};

extern const struct config_key settings_keys[];

/* "zone=gpu,team=a" as pairs: calls each(), whose texts last for the call. ERR_INVALID. */
MUST_CHECK enum err_code
settings_labels(const char *labels, void (*each)(void *arg, const char *name, const char *value),
                void *arg, struct err *err);
/* What the machine has, for settings that are 0. */
double settings_machine_cpu(void);
int64_t settings_machine_memory_mb(void);
