/* SPDX-License-Identifier: Apache-2.0 */
/* process.c - what /proc says about this process, under Prometheus' usual names. */
#include "metrics/internal.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void
add(struct buf *out, const char *name, const char *type, const char *help, double value)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s ", name, help, name, type, name);
    buf_double(out, value);
    buf_char(out, '\n');
}

/* Seconds since the epoch; 0 when /proc does not tell. */
static double
start_time(void)
{
    char line[1024];
    unsigned long long ticks = 0, boot = 0;
    FILE *file = fopen("/proc/self/stat", "re");

    if (!file)
        return 0;
    /* Field 22; the name in field 2 may contain blanks, so count after its ")". */
    char *p = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
    if (!p || sscanf(p,
                     ") %*c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                     "%*s %*s %llu",
                     &ticks) != 1)
        ticks = 0;
    fclose(file);
    file = fopen("/proc/stat", "re");
    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "btime %llu", &boot) == 1)
            break;
    fclose(file);
    return ticks && boot ? (double)boot + (double)ticks / (double)sysconf(_SC_CLK_TCK) : 0;
}

static int
open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    if (!dir)
        return 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count - 1; /* opendir's own */
}

void
metrics_render_process(struct buf *out)
{
    struct rusage usage;
    struct rlimit limit;
    unsigned long long virtual_pages = 0, resident_pages = 0;
    double page = (double)sysconf(_SC_PAGESIZE);
    FILE *file = fopen("/proc/self/statm", "re");

    if (file) {
        if (fscanf(file, "%llu %llu", &virtual_pages, &resident_pages) != 2)
            virtual_pages = resident_pages = 0;
        fclose(file);
    }
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        add(out, "process_cpu_seconds_total", "counter", "User and system CPU time.",
            (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    add(out, "process_virtual_memory_bytes", "gauge", "Virtual memory size.",
        (double)virtual_pages * page);
    add(out, "process_resident_memory_bytes", "gauge", "Resident memory size.",
        (double)resident_pages * page);
    add(out, "process_open_fds", "gauge", "Open file descriptors.", open_fds());
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        add(out, "process_max_fds", "gauge", "Limit of open file descriptors.",
            (double)limit.rlim_cur);
    add(out, "process_start_time_seconds", "gauge", "Start of the process, Unix epoch.",
        start_time());
    add(out, "modelbus_process_cpu_limit_cores", "gauge",
        "Processors that this process may use: its control group's quota, else all.",
        metrics_cpu_limit());
    add(out, "modelbus_process_memory_limit_bytes", "gauge",
        "Memory that this process may use: its control group's limit, else all.",
        metrics_memory_limit());
}
