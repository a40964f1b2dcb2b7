/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h - the pod's configuration beside that of every process, INFERENCE_<NAME>. */
#pragma once

#include "config/config.h"

struct settings {
    char *artifact_token, *artifact_url;
    char *bind;
    char *cache_dir;
    int64_t cache_max_bytes;
    int64_t deadline_ms;
    char *endpoints;
    int64_t log_queue_rows;
    double log_sample;
    int64_t max_body, max_connections, max_rows, model_max_bytes;
    char *pod;
    int64_t queue;
    int64_t stats_ms;
    int64_t threads;
    char *workspace;
};

extern const struct config_key settings_keys[];

/* name is in the comma-separated list; an empty or NULL list holds every name. */
bool settings_lists(const char *list, const char *name);
