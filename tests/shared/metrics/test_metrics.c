/* SPDX-License-Identifier: Apache-2.0 */
/* test_metrics.c - the text that Prometheus reads, and updates from threads. */
#include "metrics/metrics.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct buf page;

static const char *
render(void)
{
    buf_clear(&page);
    metrics_render(&page);
    return page.data;
}

static bool
has(const char *text)
{
    return strstr(render(), text) != NULL;
}

Test(metrics, a_counter_with_labels)
{
    struct metric *m =
        metrics_counter("test_calls_total", "Calls.", "method", "Get", "code", "OK", NULL);

    metric_add(m, 1);
    metric_add(m, 2);
    cr_assert_eq(metric_value(m), 3);
    cr_assert(has("# HELP test_calls_total Calls.\n# TYPE test_calls_total counter\n"
                  "test_calls_total{method=\"Get\",code=\"OK\"} 3\n"),
              "%s", page.data);
}

Test(metrics, help_and_type_once_for_all_series)
{
    metrics_counter("test_calls_total", "Calls.", "m", "a", NULL);
    metrics_gauge("test_other", "Other.", NULL);
    metrics_counter("test_calls_total", "Calls.", "m", "b", NULL);
    cr_assert(has("# TYPE test_calls_total counter\n"
                  "test_calls_total{m=\"a\"} 0\ntest_calls_total{m=\"b\"} 0\n"));
}

Test(metrics, the_same_name_and_labels_are_the_same_metric)
{
    cr_assert_eq(metrics_gauge("test_g", "G.", "a", "1", NULL),
                 metrics_gauge("test_g", "G.", "a", "1", NULL));
    cr_assert_neq(metrics_gauge("test_g", "G.", "a", "1", NULL),
                  metrics_gauge("test_g", "G.", "a", "2", NULL));
}

Test(metrics, one_name_with_two_types_aborts, .signal = SIGABRT)
{
    metrics_gauge("test_g", "G.", NULL);
    metrics_counter("test_g", "G.", NULL);
}

Test(metrics, a_counter_never_falls)
{
    struct metric *m = metrics_counter("test_total", "T.", NULL);

    metric_add(m, 2);
    metric_add(m, -1);
    metric_add(m, NAN);
    cr_assert_eq(metric_value(m), 2);
}

Test(metrics, gauges_of_every_value)
{
    struct metric *m = metrics_gauge("test_gauge", "G.", NULL);

    metric_set(m, -1.5);
    metric_add(m, 1);
    cr_assert(has("\ntest_gauge -0.5\n"));
    metric_set(m, NAN);
    cr_assert(has("\ntest_gauge NaN\n"));
    metric_set(m, INFINITY);
    cr_assert(has("\ntest_gauge +Inf\n"));
    metric_set(m, -INFINITY);
    cr_assert(has("\ntest_gauge -Inf\n"));
}

Test(metrics, histograms_are_cumulative_with_inclusive_bounds)
{
    static const double bounds[] = {0.1, 1};
    struct metric *m = metrics_histogram("test_seconds", "S.", bounds, 2, "m", "x", NULL);

    metric_observe(m, 0.1);
    metric_observe(m, 0.5);
    metric_observe(m, 7);
    cr_assert(has("test_seconds_bucket{m=\"x\",le=\"0.1\"} 1\n"
                  "test_seconds_bucket{m=\"x\",le=\"1\"} 2\n"
                  "test_seconds_bucket{m=\"x\",le=\"+Inf\"} 3\n"
                  "test_seconds_sum{m=\"x\"} 7.6\n"
                  "test_seconds_count{m=\"x\"} 3\n"),
              "%s", page.data);
}

Test(metrics, nan_does_not_spoil_a_histograms_sum)
{
    struct metric *m = metrics_histogram("test_seconds", "S.", metrics_latency_bounds,
                                         metrics_latency_bound_count, NULL);

    metric_observe(m, NAN);
    metric_observe(m, 1);
    cr_assert_eq(metric_value(m), 2);
    cr_assert(has("test_seconds_bucket{le=\"10\"} 1\n"));
    cr_assert(has("test_seconds_sum 1\n"));
}

Test(metrics, label_values_and_help_are_escaped)
{
    metrics_gauge("test_g", "a\nb\\c", "path", "a\"b\\c\nd\xff", NULL);
    cr_assert(has("# HELP test_g a\\nb\\\\c\n"));
    cr_assert(has("test_g{path=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\"} 0\n"), "%s", page.data);
}

Test(metrics, past_the_cap_label_sets_share_a_series)
{
    char value[16];

    for (int i = 0; i < METRICS_MAX_SERIES + 50; i++) {
        snprintf(value, sizeof(value), "v%d", i);
        metric_add(metrics_counter("test_total", "T.", "user", value, "m", "x", NULL), 1);
    }
    cr_assert(has("test_total{user=\"v999\",m=\"x\"} 1\n"));
    cr_assert_not(has("v1000"));
    cr_assert(has("test_total{user=\"other\",m=\"other\"} 50\n"));
    cr_assert(has("modelbus_metrics_overflow_total{metric=\"test_total\"} 50\n"));
}

static void
set_gauge(void *arg)
{
    metric_set(arg, 7);
}

Test(metrics, callbacks_run_before_each_rendering)
{
    metrics_on_render(set_gauge, metrics_gauge("test_g", "G.", NULL));
    cr_assert(has("\ntest_g 7\n"));
}

Test(metrics, the_process_is_described)
{
    double cpu = -1, memory = 0, fds = 0, start = 0;
    const char *text = render();

    sscanf(strstr(text, "\nprocess_cpu_seconds_total "), "\nprocess_cpu_seconds_total %lf", &cpu);
    sscanf(strstr(text, "\nprocess_resident_memory_bytes "), "\nprocess_resident_memory_bytes %lf",
           &memory);
    sscanf(strstr(text, "\nprocess_open_fds "), "\nprocess_open_fds %lf", &fds);
    sscanf(strstr(text, "\nprocess_start_time_seconds "), "\nprocess_start_time_seconds %lf",
           &start);
    cr_assert_geq(cpu, 0);
    cr_assert_gt(memory, 100000);
    cr_assert_geq(fds, 3);
    cr_assert_gt(start, 1.6e9);
}

Test(metrics, what_the_process_may_have_is_told)
{
    double cores = 0, bytes = 0;
    const char *text = render();

    sscanf(strstr(text, "\nmodelbus_process_cpu_limit_cores "),
           "\nmodelbus_process_cpu_limit_cores %lf", &cores);
    sscanf(strstr(text, "\nmodelbus_process_memory_limit_bytes "),
           "\nmodelbus_process_memory_limit_bytes %lf", &bytes);
    cr_assert_gt(cores, 0);
    cr_assert_leq(cores, (double)sysconf(_SC_NPROCESSORS_CONF));
    cr_assert_gt(bytes, 1e6);
    cr_assert_leq(bytes, (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE));
}

static void *
update_many(void *arg)
{
    static const double bounds[] = {1};

    for (int i = 0; i < 10000; i++) {
        metric_add(arg, 1);
        metric_observe(metrics_histogram("test_h", "H.", bounds, 1, NULL), 0.5);
    }
    return NULL;
}

Test(metrics, no_update_of_a_thread_is_lost)
{
    struct metric *m = metrics_counter("test_total", "T.", NULL);
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, update_many, m), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(metric_value(m), 40000);
    cr_assert(has("test_h_sum 20000\ntest_h_count 40000\n"));
}
