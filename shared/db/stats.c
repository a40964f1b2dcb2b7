/* SPDX-License-Identifier: Apache-2.0 */
/* stats.c - the metrics of all pools of the process. */
#include "db/conn.h"
#include "metrics/metrics.h"

#include <pthread.h>
#include <time.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct metric *idle_connections, *busy_connections, *query_seconds;

static void
make(void)
{
    static const char name[] = "modelbus_db_connections";
    static const char help[] = "Connections to PostgreSQL.";

    idle_connections = metrics_gauge(name, help, "state", "idle", NULL);
    busy_connections = metrics_gauge(name, help, "state", "busy", NULL);
    query_seconds = metrics_histogram("modelbus_db_query_seconds",
                                      "Waits for PostgreSQL: a statement, a flush or a commit.",
                                      metrics_latency_bounds, metrics_latency_bound_count, NULL);
}

void
stats_connections(int idle, int busy)
{
    pthread_once(&once, make);
    if (idle)
        metric_add(idle_connections, idle);
    if (busy)
        metric_add(busy_connections, busy);
}

void
stats_query(double seconds)
{
    pthread_once(&once, make);
    metric_observe(query_seconds, seconds);
}

void
stats_error(enum err_code code)
{
    metric_add(metrics_counter("modelbus_db_errors_total", "Failed waits for PostgreSQL.", "code",
                               err_name(code), NULL),
               1);
}

int64_t
clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
