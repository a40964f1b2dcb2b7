/* SPDX-License-Identifier: Apache-2.0 */
/* limits.c - how much of the machine this process may have: its control group's limits, else all. */
#include "metrics/internal.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where /proc/self/cgroup says that we are; controller "" is version 2. False: it does not say. */
static bool
group_path(const char *controller, char path[512])
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[1024], wanted[64];
    bool found = false;

    if (!file)
        return false;
    snprintf(wanted, sizeof(wanted), ",%s,", controller);
    while (!found && fgets(line, sizeof(line), file)) { /* 4:cpu,cpuacct:/path */
        char *names = strchr(line, ':');
        char *where = names ? strchr(names + 1, ':') : NULL;
        char list[300];

        if (!where)
            continue;
        *where++ = '\0';
        where[strcspn(where, "\n")] = '\0';
        snprintf(list, sizeof(list), ",%s,", names + 1);
        found = *controller ? strstr(list, wanted) != NULL : names[1] == '\0';
        snprintf(path, 512, "%s", strcmp(where, "/") == 0 ? "" : where);
    }
    fclose(file);
    return found;
}

/* In a container the group's own folder is mounted at the top, so path may not be there. */
static bool
group_line(const char *controller, const char *name, char *line, int size)
{
    char path[512], full[700];
    bool ok = false;

    if (!group_path(controller, path))
        return false;
    for (int top = 0; !ok && top < 2; top++) {
        snprintf(full, sizeof(full), "/sys/fs/cgroup%s%s%s/%s", *controller ? "/" : "", controller,
                 top ? "" : path, name);
        FILE *file = fopen(full, "re");
        if (!file)
            continue;
        ok = fgets(line, size, file) != NULL;
        fclose(file);
    }
    return ok;
}

double
metrics_memory_limit(void)
{
    double all = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    char line[64];

    if (!group_line("", "memory.max", line, sizeof(line)) &&
        !group_line("memory", "memory.limit_in_bytes", line, sizeof(line)))
        return all;
    double limit = strtod(line, NULL); /* "max" is 0 */
    return limit > 0 && limit < all ? limit : all;
}

double
metrics_cpu_limit(void)
{
    double all = (double)sysconf(_SC_NPROCESSORS_ONLN), quota = 0, period = 0;
    char line[64];
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        all = (double)CPU_COUNT(&set);
    if (group_line("", "cpu.max", line, sizeof(line))) {
        if (sscanf(line, "%lf %lf", &quota, &period) != 2) /* "max 100000" */
            quota = 0;
    } else if (group_line("cpu", "cpu.cfs_quota_us", line, sizeof(line))) {
        quota = strtod(line, NULL); /* -1: none */
        if (group_line("cpu", "cpu.cfs_period_us", line, sizeof(line)))
            period = strtod(line, NULL);
    }
    return quota > 0 && period > 0 && quota / period < all ? quota / period : all;
}
