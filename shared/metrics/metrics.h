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

/* Labels are name, value pairs of strings (copied), ended by NULL:
 * metrics_counter("modelbus_rpc_requests_total", "Requests.", "method", m, NULL).
 * Give the names of one metric always in the same order. Looking a metric up takes a mutex
 * and a hash lookup: keep the pointer where it is cheap to keep. The same name with another
 * type aborts. */
struct metric *metrics_counter(const char *name, const char *help, ...) __attribute__((sentinel));
struct metric *metrics_gauge(const char *name, const char *help, ...) __attribute__((sentinel));
/* bounds: ascending upper bounds, +Inf is added; borrowed for the process' life. */
struct metric *metrics_histogram(const char *name, const char *help, const double *bounds,
                                 size_t count, ...) __attribute__((sentinel));
/* 50 µs … 10 s, for latencies in seconds. */
extern const double metrics_latency_bounds[];
extern const size_t metrics_latency_bound_count;

/* Updates: any thread, no lock. A counter never falls: it ignores a negative or NaN delta. A
 * histogram counts NaN in +Inf and leaves it out of the sum. */
void metric_add(struct metric *m, double delta); /* counter or gauge */
void metric_set(struct metric *m, double value); /* gauge */
void metric_observe(struct metric *m, double value);
double metric_value(const struct metric *m); /* counter, gauge; histogram: count */

/* Called before each rendering, to set gauges that are cheaper to compute then. Runs on
 * the rendering thread, for the rest of the process' life; may register metrics. */
void metrics_on_render(void (*update)(void *arg), void *arg);

/* Append all metrics, plus process_* (cpu, memory, fds, start time) and
 * modelbus_process_*_limit_* (what the process may have of the machine). Any thread. */
void metrics_render(struct buf *out);
