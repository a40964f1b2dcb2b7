/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics.h - counters, gauges and histograms in Prometheus' text format 0.0.4.
 *
 * Metrics are registered once (at start or when a label set first appears) and live
 * until the process ends; updates are lock-free. Names follow Prometheus' rules:
 * modelbus_<part>_<what>_<unit>[_total], base units (seconds, bytes). Registering the
 * same name and labels again returns the same metric. At most METRICS_MAX_SERIES label
 * sets a name; further ones share a series labelled "other" (counted in
 * modelbus_metrics_overflow_total), so that outside values cannot grow memory.
 */
#pragma once

#include "buf/buf.h"
#include "err/err.h"

#define METRICS_MAX_SERIES 1000

struct metric; /* one series */

/* labels: "name=value,name=value" pairs as arguments, ended by NULL:
 * metrics_counter("modelbus_rpc_requests_total", "Requests.", "method", m, NULL). */
struct metric *metrics_counter(const char *name, const char *help, ...) __attribute__((sentinel));
struct metric *metrics_gauge(const char *name, const char *help, ...) __attribute__((sentinel));
/* bounds: ascending upper bounds, +Inf is added; borrowed for the process' life. */
struct metric *metrics_histogram(const char *name, const char *help, const double *bounds,
                                 size_t count, ...) __attribute__((sentinel));
/* 50 µs … 10 s, for latencies in seconds. */
extern const double metrics_latency_bounds[];
extern const size_t metrics_latency_bound_count;

void metric_add(struct metric *m, double delta); /* counter (delta >= 0) or gauge */
void metric_set(struct metric *m, double value); /* gauge */
void metric_observe(struct metric *m, double value);
double metric_value(const struct metric *m); /* counter, gauge; histogram: count */

/* Called before each rendering, to set gauges that are cheaper to compute then. */
void metrics_on_render(void (*update)(void *arg), void *arg);

/* All metrics, plus process_* (cpu, resident memory, fds, start time). */
void metrics_render(struct buf *out);
