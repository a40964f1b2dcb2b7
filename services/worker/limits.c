/* SPDX-License-Identifier: Apache-2.0 */
/* limits.c - cgroup v2 by its files (https://docs.kernel.org/admin-guide/cgroup-v2.html). */
#include "limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOUNT "/sys/fs/cgroup"
#define CPU_PERIOD_US 100000
#define TASK_PREFIX "task-"
#define GONE_MS 2000

struct limits {
    char *folder; /* the cgroup that tasks' cgroups are made in; NULL: none */
};

static bool
write_file(const char *folder, const char *name, const char *text)
{
    CLEANUP(mem_free) char *path = mem_printf("%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return good;
}

static bool
read_file(const char *folder, const char *name, char *text, size_t size)
{
    CLEANUP(mem_free) char *path = mem_printf("%s%s%s", folder, *name ? "/" : "", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n >= 0;
}

/* The worker's own cgroup; NULL and *why. */
static char *
own_cgroup(const char **why)
{
    char text[4096], procs[64], own[32];

    *why = "no cgroup v2 with cpu, memory and pids";
    if (!read_file("/proc/self/cgroup", "", text, sizeof(text)))
        return NULL;
    char *line = strncmp(text, "0::", 3) == 0 ? text : NULL; /* others: v1, or both at once */
    if (!line)
        return NULL;
    line[strcspn(line, "\n")] = '\0';
    CLEANUP(mem_free) char *folder = mem_printf("%s%s", MOUNT, line + 3);
    if (!read_file(folder, "cgroup.controllers", text, sizeof(text)) || !strstr(text, "cpu") ||
        !strstr(text, "memory") || !strstr(text, "pids"))
        return NULL;
    *why = "the worker's cgroup is not its own: other processes are in it";
    snprintf(own, sizeof(own), "%d\n", (int)getpid());
    if (!read_file(folder, "cgroup.procs", procs, sizeof(procs)) || strcmp(procs, own) != 0)
        return NULL;
    return TAKE_PTR(folder);
}

struct limits *
limits_open(const char **why)
{
    struct limits *limits = mem_zalloc(sizeof(*limits));
    CLEANUP(mem_free) char *folder = own_cgroup(why);

    if (!folder)
        return limits;
    CLEANUP(mem_free) char *child = mem_printf("%s/worker", folder);
    *why = "the worker may not write its cgroup";
    if ((mkdir(child, 0755) != 0 && errno != EEXIST) || !write_file(child, "cgroup.procs", "0"))
        return limits;
    /* Controllers are for children of a cgroup that has no processes itself. */
    if (!write_file(folder, "cgroup.subtree_control", "+cpu +memory +pids")) {
        *why = "the cgroup's controllers cannot be delegated";
        write_file(folder, "cgroup.procs", "0");
        rmdir(child);
        return limits;
    }
    *why = NULL;
    limits->folder = TAKE_PTR(folder);
    return limits;
}

void
limits_free(struct limits *limits)
{
    if (!limits)
        return;
    free(limits->folder);
    free(limits);
}

bool
limits_cgroup(const struct limits *limits)
{
    return limits->folder;
}

static enum err_code
begin_cgroup(struct task_limits *task, double cpu, uint64_t memory_mb, struct err *err)
{
    CLEANUP(mem_free) char *procs = mem_printf("%s/cgroup.procs", task->folder);
    char text[64];

    if (mkdir(task->folder, 0755) != 0)
        goto failed;
    snprintf(text, sizeof(text), "%lld %d", (long long)(cpu * CPU_PERIOD_US) + 1, CPU_PERIOD_US);
    if (cpu > 0 && !write_file(task->folder, "cpu.max", text))
        goto failed;
    snprintf(text, sizeof(text), "%llu", (unsigned long long)(memory_mb << 20));
    if (memory_mb > 0 && !write_file(task->folder, "memory.max", text))
        goto failed;
    snprintf(text, sizeof(text), "%d", LIMITS_PIDS);
    if (!write_file(task->folder, "pids.max", text))
        goto failed;
    /* Not there on kernels without swap. */
    write_file(task->folder, "memory.swap.max", "0");
    write_file(task->folder, "memory.oom.group", "1");
    task->procs = open(procs, O_WRONLY | O_CLOEXEC);
    if (task->procs >= 0)
        return ERR_OK;
failed:
    return err_set(err, ERR_UNAVAILABLE, "cgroup %s: %s", task->folder, strerror(errno));
}

enum err_code
limits_begin(const struct limits *limits, const char *name, double cpu, uint64_t memory_mb,
             struct task_limits *task, struct err *err)
{
    *task = (struct task_limits){.procs = -1};
    if (limits->folder) {
        task->folder = mem_printf("%s/%s%s", limits->folder, TASK_PREFIX, name);
        if (begin_cgroup(task, cpu, memory_mb, err)) {
            limits_end(task);
            return err->code;
        }
    } else if (memory_mb > 0) {
        uint64_t bytes = memory_mb << 22;
        task->data_bytes = bytes > LIMITS_DATA_MIN ? bytes : LIMITS_DATA_MIN;
    }
    return ERR_OK;
}

bool
limits_out_of_memory(const struct task_limits *task)
{
    char text[1024];

    if (!task->folder || !read_file(task->folder, "memory.events", text, sizeof(text)))
        return false;
    const char *kills = strstr(text, "oom_kill ");
    return kills && strtoull(kills + 9, NULL, 10) > 0;
}

/* cgroup.kill returns before the last one has left. */
static void
remove_cgroup(const char *folder)
{
    write_file(folder, "cgroup.kill", "1");
    for (int ms = 0; rmdir(folder) != 0 && errno == EBUSY && ms < GONE_MS; ms += 10)
        poll(NULL, 0, 10);
}

void
limits_end(struct task_limits *task)
{
    if (task->procs >= 0)
        close(task->procs);
    if (task->folder)
        remove_cgroup(task->folder);
    free(task->folder);
    *task = (struct task_limits){.procs = -1};
}

void
limits_clean(const struct limits *limits)
{
    DIR *dir = limits->folder ? opendir(limits->folder) : NULL;
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        if (strncmp(entry->d_name, TASK_PREFIX, strlen(TASK_PREFIX)) != 0)
            continue;
        CLEANUP(mem_free) char *path = mem_printf("%s/%s", limits->folder, entry->d_name);
        remove_cgroup(path);
    }
    if (dir)
        closedir(dir);
}
