/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c - registration under a mutex, updates with atomics only. */
#include "metrics/metrics.h"

#include "buf/fnv.h"
#include "buf/text.h"
#include "metrics/internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_BUCKETS 1024

const double metrics_latency_bounds[] = {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025,
                                         0.005,   0.01,   0.025,   0.05,   0.1,   0.25,
                                         0.5,     1,      2.5,     5,      10};
const size_t metrics_latency_bound_count = ARRAY_LEN(metrics_latency_bounds);

struct metrics_registry metrics_registry = {.lock = PTHREAD_MUTEX_INITIALIZER};
static struct metric *hash[HASH_BUCKETS]; /* by name and labels */

static void
add_label_value(struct buf *out, const char *value)
{
    size_t len = strlen(value);

    for (size_t i = 0; i < len;) {
        size_t n = text_utf8_sequence(value + i, len - i);
        if (n == 0) { /* one such byte would make the whole page unreadable */
            buf_str(out, "\xef\xbf\xbd");
            i++;
            continue;
        }
        if (value[i] == '\n')
            buf_str(out, "\\n");
        else if (value[i] == '"' || value[i] == '\\')
            buf_printf(out, "\\%c", value[i]);
        else
            buf_add(out, value + i, n);
        i += n;
    }
}

/* With instead != NULL that is every label's value. */
static void
format_labels(struct buf *out, va_list pairs, const char *instead)
{
    const char *name;

    buf_str(out, "");
    while ((name = va_arg(pairs, const char *)) != NULL) {
        const char *value = va_arg(pairs, const char *);
        if (out->len > 0)
            buf_char(out, ',');
        buf_printf(out, "%s=\"", name);
        add_label_value(out, instead ? instead : value ? value : "");
        buf_char(out, '"');
    }
}

static struct metric **
hash_bucket(const char *name, const char *labels)
{
    uint64_t h = fnv(fnv(FNV_START, name, strlen(name)), labels, strlen(labels));

    return &hash[(h ^ h >> 32) % HASH_BUCKETS];
}

static struct family *
family_get(const char *name, const char *help, enum metric_type type, const double *bounds,
           size_t bound_count)
{
    struct family *family;

    for (family = metrics_registry.first; family; family = family->next)
        if (strcmp(family->name, name) == 0)
            break;
    if (family) {
        if (family->type != type) {
            fprintf(stderr, "metric %s is registered with two types\n", name);
            abort();
        }
        return family;
    }
    family = mem_zalloc(sizeof(*family));
    family->name = mem_strdup(name);
    family->help = mem_strdup(help);
    family->type = type;
    family->bounds = bounds;
    family->bound_count = bound_count;
    if (metrics_registry.last)
        metrics_registry.last->next = family;
    else
        metrics_registry.first = family;
    metrics_registry.last = family;
    return family;
}

static struct metric *
series_new(struct family *family, const char *labels)
{
    size_t buckets = family->type == METRIC_HISTOGRAM ? family->bound_count + 1 : 0;
    struct metric *m = mem_zalloc(sizeof(*m) + buckets * sizeof(m->buckets[0]));

    m->family = family;
    m->labels = mem_strdup(labels);
    if (family->last)
        family->last->next = m;
    else
        family->first = m;
    family->last = m;
    return m;
}

/* Sets *overflow when the label set got the shared series. */
static struct metric *
series_get(struct family *family, const char *labels, va_list pairs, bool *overflow)
{
    struct metric **bucket = hash_bucket(family->name, labels);

    for (struct metric *m = *bucket; m; m = m->hash_next)
        if (m->family == family && strcmp(m->labels, labels) == 0)
            return m;
    if (family->series >= METRICS_MAX_SERIES) {
        *overflow = true;
        if (!family->other) {
            CLEANUP(buf_done) struct buf text = {0};
            format_labels(&text, pairs, "other");
            family->other = series_new(family, text.data);
        }
        return family->other;
    }
    struct metric *m = series_new(family, labels);
    family->series++;
    m->hash_next = *bucket;
    *bucket = m;
    return m;
}

static struct metric *
find_or_register(const char *name, const char *help, enum metric_type type, const double *bounds,
                 size_t bound_count, va_list pairs)
{
    CLEANUP(buf_done) struct buf labels = {0};
    bool overflow = false;
    va_list again;

    va_copy(again, pairs);
    format_labels(&labels, pairs, NULL);
    pthread_mutex_lock(&metrics_registry.lock);
    struct family *family = family_get(name, help, type, bounds, bound_count);
    struct metric *m = series_get(family, labels.data, again, &overflow);
    pthread_mutex_unlock(&metrics_registry.lock);
    va_end(again);
    if (overflow)
        metric_add(metrics_counter("modelbus_metrics_overflow_total",
                                   "Label sets that share a series because a metric has too many.",
                                   "metric", name, NULL),
                   1);
    return m;
}

struct metric *
metrics_counter(const char *name, const char *help, ...)
{
    va_list pairs;

    va_start(pairs, help);
    struct metric *m = find_or_register(name, help, METRIC_COUNTER, NULL, 0, pairs);
    va_end(pairs);
    return m;
}

struct metric *
metrics_gauge(const char *name, const char *help, ...)
{
    va_list pairs;

    va_start(pairs, help);
    struct metric *m = find_or_register(name, help, METRIC_GAUGE, NULL, 0, pairs);
    va_end(pairs);
    return m;
}

struct metric *
metrics_histogram(const char *name, const char *help, const double *bounds, size_t count, ...)
{
    va_list pairs;

    va_start(pairs, count);
    struct metric *m = find_or_register(name, help, METRIC_HISTOGRAM, bounds, count, pairs);
    va_end(pairs);
    return m;
}

static uint64_t
to_bits(double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

static double
from_bits(uint64_t bits)
{
    double x;

    memcpy(&x, &bits, sizeof(x));
    return x;
}

static void
add_bits(_Atomic uint64_t *bits, double delta)
{
    uint64_t seen = atomic_load_explicit(bits, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(bits, &seen, to_bits(from_bits(seen) + delta),
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

void
metric_add(struct metric *m, double delta)
{
    if (m->family->type == METRIC_COUNTER && !(delta >= 0))
        return;
    add_bits(&m->bits, delta);
}

void
metric_set(struct metric *m, double value)
{
    atomic_store_explicit(&m->bits, to_bits(value), memory_order_relaxed);
}

void
metric_observe(struct metric *m, double value)
{
    const struct family *family = m->family;
    size_t i = 0;

    while (i < family->bound_count && !(value <= family->bounds[i]))
        i++;
    atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
    if (!isnan(value))
        add_bits(&m->bits, value);
}

double
metric_value(const struct metric *m)
{
    uint64_t count = 0;

    if (m->family->type != METRIC_HISTOGRAM)
        return from_bits(atomic_load_explicit(&m->bits, memory_order_relaxed));
    for (size_t i = 0; i <= m->family->bound_count; i++)
        count += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
    return (double)count;
}
