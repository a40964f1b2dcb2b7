/* SPDX-License-Identifier: Apache-2.0 */
/* counters.c - what the service counts. */
#include "counters.h"

#include "metrics/metrics.h"

static struct metric *
runs(const char *status)
{
    return metrics_counter("modelbus_pipeline_runs_total", "Runs, by how they ended.", "status",
                           status, NULL);
}

static struct metric *
triggers(const char *result)
{
    return metrics_counter("modelbus_pipeline_triggers_total", "Triggers, by what came of them.",
                           "result", result, NULL);
}

static struct metric *
lost(void)
{
    return metrics_counter("modelbus_pipeline_attempts_lost_total",
                           "Attempts that were lost with their worker.", NULL);
}

void
counters_open(void)
{
    runs("succeeded");
    runs("failed");
    runs("cancelled");
    triggers("started");
    triggers("passed_over");
    lost();
}

void
counters_run(const char *status)
{
    metric_add(runs(status), 1);
}

void
counters_trigger(const char *result)
{
    metric_add(triggers(result), 1);
}

void
counters_lost(void)
{
    metric_add(lost(), 1);
}
