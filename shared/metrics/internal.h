/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - the registry that metrics.c fills and render.c prints. */
#pragma once

#include "metrics/metrics.h"

#include <pthread.h>
#include <stdatomic.h>

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct family { /* all series of one name */
    struct family *next;
    char *name, *help;
    enum metric_type type;
    const double *bounds;
    size_t bound_count;
    struct metric *first, *last;
    size_t series;
    struct metric *other; /* shared by label sets past METRICS_MAX_SERIES */
};

struct metric {
    struct family *family;
    struct metric *next;        /* within the family, in order of registration */
    struct metric *hash_next;   /* within the registry's bucket */
    char *labels;               /* method="Get",code="OK"; empty: none */
    _Atomic uint64_t bits;      /* the double: value, or a histogram's sum */
    _Atomic uint64_t buckets[]; /* histogram: bound_count + 1, not cumulative */
};

struct metrics_registry {
    pthread_mutex_t lock; /* registration and rendering; updates do not take it */
    struct family *first, *last;
};

extern struct metrics_registry metrics_registry;

/* process_* families as text, and what the process may have (limits.c). */
void metrics_render_process(struct buf *out);
double metrics_cpu_limit(void);    /* cores */
double metrics_memory_limit(void); /* bytes */
