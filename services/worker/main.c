/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the worker. Wires parts, decides nothing. */
#include "files.h"
#include "settings.h"
#include "worker.h"

#include "crypto/crypto.h"
#include "life/life.h"
#include "log/log.h"
#include "process.h"
#include "service_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The tasks of a worker that was killed hold its lock until the last one is gone. */
#define LOCK_MS 5000
#define LOCK_PAUSE_MS 50

struct program {
    struct process process;
    struct settings settings;
    char host[128], name[129], instance[37];
    char *dir; /* absolute */
    int lock;
    PollTasksRequest about;
    struct gateway *gateway;
    struct cache *cache;
    struct folders *folders;
    struct limits *limits;
    struct spawner *spawner;
    struct shipper *shipper;
    struct worker *worker;
    struct http_server *admin;
};

/* ---- its folder ---- */

static enum err_code
lock_folder(struct program *p, struct err *err)
{
    int64_t until_ms = life_monotonic_ms() + LOCK_MS;

    if (mkdir(p->settings.dir, 0700) != 0 && errno != EEXIST)
        return err_set(err, ERR_UNAVAILABLE, "%s: %s", p->settings.dir, strerror(errno));
    p->dir = realpath(p->settings.dir, NULL);
    CLEANUP(mem_free) char *path = mem_printf("%s/lock", p->dir ? p->dir : "");
    p->lock = p->dir ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (p->lock < 0)
        return err_set(err, ERR_UNAVAILABLE, "%s: %s", p->settings.dir, strerror(errno));
    while (flock(p->lock, LOCK_EX | LOCK_NB) != 0) {
        if (life_monotonic_ms() > until_ms)
            return err_set(err, ERR_UNAVAILABLE, "another worker has the folder %s", p->dir);
        if (!life_sleep_ms(LOCK_PAUSE_MS))
            return err_set(err, ERR_CANCELLED, "stopped");
    }
    return ERR_OK;
}

/* Folders of leases that nobody has any more. */
static enum err_code
clean_folder(const struct program *p, struct err *err)
{
    DIR *dir = opendir(p->dir);
    const struct dirent *entry;
    enum err_code code = ERR_OK;

    if (!dir)
        return err_set(err, ERR_UNAVAILABLE, "%s: %s", p->dir, strerror(errno));
    while (!code && (entry = readdir(dir))) {
        if (!crypto_is_uuid(entry->d_name))
            continue;
        log_info("a killed task's folder is removed", LOG_STR("lease", entry->d_name));
        code = files_remove(p->dir, entry->d_name, err);
    }
    closedir(dir);
    return code;
}

/* ---- what it says of itself ---- */

static void
add_label(void *arg, const char *name, const char *value)
{
    PollTasksRequest *about = arg;
    Modelbus__Pipeline__V1__PollTasksRequest__LabelsEntry *entry = mem_alloc(sizeof(*entry));

    modelbus__pipeline__v1__poll_tasks_request__labels_entry__init(entry);
    entry->key = mem_strdup(name);
    entry->value = mem_strdup(value);
    about->labels = mem_realloc(about->labels, (about->n_labels + 1) * sizeof(*about->labels));
    about->labels[about->n_labels++] = entry;
}

static enum err_code
describe_worker(struct program *p, struct err *err)
{
    static Modelbus__Pipeline__V1__Resources capacity = MODELBUS__PIPELINE__V1__RESOURCES__INIT;
    const struct settings *s = &p->settings;

    modelbus__pipeline__v1__poll_tasks_request__init(&p->about);
    capacity.cpu = s->cpu > 0 ? s->cpu : settings_machine_cpu();
    capacity.memory_mb = (uint32_t)(s->memory_mb > 0 ? s->memory_mb : settings_machine_memory_mb());
    capacity.gpu = (uint32_t)s->gpu;
    p->about.capacity = &capacity;
    p->about.host = p->host;
    p->about.version = (char *)(uintptr_t)MODELBUS_VERSION;
    return settings_labels(s->labels, add_label, &p->about, err);
}

static void
free_about(PollTasksRequest *about)
{
    for (size_t i = 0; i < about->n_labels; i++) {
        free(about->labels[i]->key);
        free(about->labels[i]->value);
        free(about->labels[i]);
    }
    free(about->labels);
}

/* ---- the process ---- */

static enum err_code
configured(void *arg, struct err *err)
{
    struct program *p = arg;

    if (gethostname(p->host, sizeof(p->host) - 1) != 0)
        snprintf(p->host, sizeof(p->host), "localhost");
    snprintf(p->name, sizeof(p->name), "%s",
             p->settings.name && *p->settings.name ? p->settings.name : p->host);
    crypto_uuid7(p->instance);
    if (!files_name_valid(p->name))
        return err_set(err, ERR_INVALID,
                       "NAME: '%s' is not made of letters, digits, '.', '_' and '-'", p->name);
    if (describe_worker(p, err))
        return err->code;
    return gateway_open(&p->gateway, p->settings.gateway_url, p->settings.token, p->name, err);
}

/* One step, so that all of the time is the tasks'. */
static bool
stop(void *arg, int64_t deadline_ms)
{
    struct program *p = arg;
    bool complete = !p->worker || worker_stop(p->worker, deadline_ms);

    shipper_stop(TAKE_PTR(p->shipper));
    if (p->admin)
        http_server_stop(TAKE_PTR(p->admin), 0);
    return complete;
}

static void
start_worker(struct program *p)
{
    const struct settings *s = &p->settings;
    const struct worker_options options = {
        .host = {.gateway = p->gateway,
                 .cache = p->cache,
                 .folders = p->folders,
                 .limits = p->limits,
                 .shipper = p->shipper,
                 .dir = p->dir,
                 .instance = p->instance,
                 .gateway_url = s->gateway_url,
                 .secrets_dir = s->secrets_dir,
                 .task_token = s->task_token,
                 .log_max_bytes = (uint64_t)s->log_max_bytes & ~1ull,
                 .grace_ms = s->grace_s * 1000,
                 .spawner = p->spawner},
        .about = &p->about,
    };

    p->worker = worker_start(&options);
}

static enum err_code
start(void *arg, struct err *err)
{
    struct program *p = arg;
    const char *why;

    /* Tasks run as the same user: they shall not read the token out of this process. */
    prctl(PR_SET_DUMPABLE, 0);
    life_on_stop("worker", stop, p);
    /* After the lock, which what is left of a former life holds: the cgroup is to be the worker's own. */
    if (lock_folder(p, err) || clean_folder(p, err))
        return err->code;
    p->limits = limits_open(&why);
    limits_clean(p->limits);
    p->spawner = spawner_open(p->lock);
    CLEANUP(mem_free) char *cache = mem_printf("%s/cache", p->dir);
    if (folders_open(&p->folders, p->dir, err) ||
        cache_open(&p->cache, cache, (uint64_t)p->settings.cache_bytes, err) ||
        service_admin_start(&p->admin, p->settings.http_bind, err))
        return err->code;
    p->shipper = shipper_start(p->gateway);
    start_worker(p);
    log_info("started", LOG_STR("worker", p->name), LOG_STR("instance", p->instance),
             LOG_DOUBLE("cpu", p->about.capacity->cpu),
             LOG_INT("memory_mb", p->about.capacity->memory_mb),
             LOG_STR("limits", why ? "rlimits" : "cgroup"), LOG_STR("why", why ? why : ""));
    return ERR_OK;
}

static void
ended(void *arg)
{
    struct program *p = arg;

    prctl(PR_SET_DUMPABLE, 1);
    cache_free(p->cache);
    folders_free(p->folders);
    spawner_free(p->spawner);
    limits_free(p->limits);
    gateway_free(p->gateway);
    free_about(&p->about);
    free(p->dir);
    if (p->lock >= 0)
        close(p->lock);
}

/* For --describe, as the services describe themselves. */
static void
describe(void *arg)
{
    const struct process *process = &((const struct program *)arg)->process;

    printf("{\"service\":\"%s\",\"prefix\":\"%s\",\"doc\":\"%s\",\"config\":", process->name,
           process->prefix, process->doc);
    config_describe(process->prefix, process->tables, stdout);
    printf(",\"queries\":[],\"hears\":[],\"says\":[]}\n");
}

int
main(int argc, char **argv)
{
    static struct program program = {.lock = -1};
    const struct config_table tables[] = {
        {process_rows, &program.process.settings},
        {settings_keys, &program.settings},
        {NULL, NULL},
    };

    program.process = (struct process){
        .name = "worker",
        .prefix = "WORKER",
        .doc = "Runs the tasks of pipelines: asks for them, executes them, reports.",
        .tables = tables,
        .named = &program.settings.name,
        .arg = &program,
        .describe = describe,
        .configured = configured,
        .start = start,
        .ended = ended,
    };
    return process_main(&program.process, argc, argv);
}
