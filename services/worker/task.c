/* SPDX-License-Identifier: Apache-2.0 */
/* task.c - the phases of a task: prepare, execute, collect, report. */
#include "task.h"

#include "environment.h"
#include "outputs.h"
#include "prepare.h"

#include "crypto/crypto.h"
#include "life/life.h"
#include "log/log.h"
#include "metrics/metrics.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000
#define TASK_ARENA (16u << 20) /* what its outputs and reasons may need */

struct task {
    const struct task_host *host;
    Lease *lease;
    char *folder;
    atomic_int want;    /* enum task_want */
    _Atomic bool halt;  /* whatever it does for its work is to stop */
    _Atomic bool leave; /* nothing is to be reported either */
    _Atomic bool ended; /* its end is being reported */
    int wake;           /* eventfd */

    /* ---- of the thread that runs it ---- */
    struct keeper *keeper;
    struct mask *mask;
    struct tasklog *log;
    char **environment;
    struct task_limits limits;
    TaskEnding end;
    Output **outputs;
};

struct task *
task_new(const struct task_host *host, const Lease *lease)
{
    size_t size = protobuf_c_message_get_packed_size(&lease->base);
    int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (wake < 0)
        return NULL;
    struct task *t = mem_zalloc(sizeof(*t));
    uint8_t *packed = mem_alloc(size + 1);
    protobuf_c_message_pack(&lease->base, packed);
    t->host = host;
    t->wake = wake;
    t->lease = modelbus__pipeline__v1__lease__unpack(NULL, size, packed);
    free(packed);
    if (!t->lease)
        abort(); /* out of memory */
    t->folder = mem_printf("%s/%s", host->dir, lease->lease);
    t->mask = mask_new();
    t->limits.procs = -1;
    modelbus__pipeline__v1__task_ending__init(&t->end);
    return t;
}

void
task_free(struct task *task)
{
    if (!task)
        return;
    environment_free(task->environment);
    tasklog_unref(task->log);
    mask_free(task->mask);
    close(task->wake);
    modelbus__pipeline__v1__lease__free_unpacked(task->lease, NULL);
    free(task->folder);
    free(task);
}

const char *
task_lease(const struct task *task)
{
    return task->lease->lease;
}

uint32_t
task_lease_ms(const struct task *task)
{
    return task->lease->lease_ms;
}

bool
task_set(struct task *task, enum task_want want)
{
    int now = atomic_load(&task->want);

    do {
        if (now >= (int)want)
            return false;
    } while (!atomic_compare_exchange_weak(&task->want, &now, (int)want));
    if (want == TASK_LOSE)
        atomic_store(&task->leave, true);
    atomic_store(&task->halt, true);
    /* It cannot fail but for a full counter, which is readable as well. */
    ssize_t written = write(task->wake, &(uint64_t){1}, sizeof(uint64_t));
    (void)written;
    return true;
}

bool
task_lose(struct task *task)
{
    return !atomic_load(&task->ended) && task_set(task, TASK_LOSE);
}

/* ---- trying again ---- */

/* After a failure: whether to try once more, when its time has come. */
static bool
again(struct task *t, const char *what, const struct err *err, unsigned *failures,
      const _Atomic bool *give_up)
{
    uint64_t count;
    unsigned random;

    if (atomic_load(give_up) || !gateway_retriable(err->code))
        return false;
    if ((*failures)++ == 0)
        log_warn(err->code == ERR_UNAVAILABLE ? "the gateway is away" : "the gateway refuses",
                 LOG_STR("for", what), LOG_STR("lease", t->lease->lease), LOG_ERR(err));
    int64_t ms = BACKOFF_MIN_MS << (*failures < 7 ? *failures - 1 : 6);
    if (ms > BACKOFF_MAX_MS)
        ms = BACKOFF_MAX_MS;
    crypto_random(&random, sizeof(random));
    struct pollfd wake = {.fd = t->wake, .events = POLLIN};
    if (poll(&wake, 1, (int)(ms - random % (unsigned)(ms / 2))) > 0 &&
        read(t->wake, &count, sizeof(count)) < 0)
        log_debug("wake", LOG_STR("lease", t->lease->lease));
    return !atomic_load(give_up);
}

static enum err_code
download(void *arg, const char *uri, const char *path, struct err *err)
{
    struct task *t = arg;
    unsigned failures = 0;

    do {
        if (gateway_download(t->host->gateway, uri, path, &t->halt, err) == ERR_OK)
            return ERR_OK;
    } while (again(t, "an artifact", err, &failures, &t->halt));
    return err->code;
}

static enum err_code
upload_while(struct task *t, const char *path, uint64_t bytes, const _Atomic bool *give_up,
             char uri[ARTIFACT_URI_LEN + 1], struct err *err)
{
    unsigned failures = 0;

    do {
        if (gateway_upload(t->host->gateway, path, bytes, give_up, uri, err) == ERR_OK)
            return ERR_OK;
    } while (again(t, "an artifact", err, &failures, give_up));
    return err->code;
}

static enum err_code
upload(void *arg, const char *path, uint64_t bytes, char uri[ARTIFACT_URI_LEN + 1], struct err *err)
{
    struct task *t = arg;

    return upload_while(t, path, bytes, &t->halt, uri, err);
}

/* ---- phases ---- */

static enum err_code
prepare(struct task *t, struct err *err)
{
    const struct prepare_options prepare = {
        .lease = t->lease,
        .folder = t->folder,
        .cache = t->host->cache,
        .fetch = download,
        .fetch_arg = t,
        .give_up = &t->halt,
    };
    const struct environment_options environment = {
        .lease = t->lease,
        .folder = t->folder,
        .gateway_url = t->host->gateway_url,
        .secrets_dir = t->host->secrets_dir,
        .task_token = t->host->task_token,
    };
    CLEANUP(mem_free) char *path = mem_printf("%s/log", t->folder);
    const Modelbus__Pipeline__V1__Resources *r = t->lease->resources;

    if (environment_make(&environment, t->mask, &t->environment, err) ||
        folders_take(t->host->folders, t->lease->lease, err) ||
        tasklog_open(&t->log, path, t->host->log_max_bytes, err))
        return err->code;
    shipper_add(t->host->shipper, t->lease->lease, t->log);
    if (prepare_contents(&prepare, err))
        return err->code;
    return limits_begin(t->host->limits, t->lease->lease, r ? r->cpu : 0, r ? r->memory_mb : 0,
                        &t->limits, err);
}

static enum err_code
execute(struct task *t, struct exec_result *result, struct err *err)
{
    CLEANUP(mem_free) char *program = NULL;
    CLEANUP(mem_free) char *work = mem_printf("%s/work", t->folder);
    /* NULL-ended, as execve() wants it. */
    char **argv = mem_calloc(t->lease->n_argv + 1, sizeof(*argv));
    struct exec_options o = {
        .argv = argv,
        .envp = t->environment,
        .folder = work,
        .keeper = t->keeper,
        .limits = &t->limits,
        .timeout_ms = (int64_t)t->lease->timeout_s * 1000,
        .grace_ms = &t->host->grace_ms,
        .log = t->log,
        .mask = t->mask,
        .shipper = t->host->shipper,
        .wake = t->wake,
        .want = &t->want,
    };
    enum err_code code = ERR_OK;

    if (t->lease->n_argv == 0)
        code = err_set(err, ERR_INVALID, "there is no command");
    else
        memcpy(argv, t->lease->argv, t->lease->n_argv * sizeof(*argv));
    if (!code)
        code = environment_program(t->environment, argv[0], &program, err);
    o.program = program;
    if (!code)
        code = exec_run(&o, result, err);
    free(argv);
    return code;
}

static enum err_code
collect(struct task *t, struct arena *arena, struct err *err)
{
    t->end.outputs = arena_alloc(arena, (t->lease->n_outputs + 1) * sizeof(*t->end.outputs));
    for (size_t i = 0; i < t->lease->n_outputs; i++) {
        if (outputs_collect(t->folder, t->lease->outputs[i], t->mask, &t->halt, upload, t, arena,
                            &t->end.outputs[i], err))
            return err->code;
        t->end.n_outputs = i + 1;
    }
    return ERR_OK;
}

/* Prepare, execute and collect; the reason is in arena, NULL when all went well. */
static const char *
work(struct task *t, struct arena *arena)
{
    struct exec_result result = {0};
    struct err err;

    if (prepare(t, &err))
        return arena_strdup(arena, err.message);
    t->end.started_at_ms = life_now_ms();
    enum err_code code = execute(t, &result, &err);
    limits_end(&t->limits);
    t->end.exit_code = result.exit_code;
    if (!code && !result.reason[0] && atomic_load(&t->want) == TASK_RUN)
        code = collect(t, arena, &err);
    if (code)
        return arena_strdup(arena, err.message);
    return result.reason[0] ? arena_strdup(arena, result.reason) : NULL;
}

static void
judge(struct task *t, const char *reason)
{
    int want = atomic_load(&t->want);

    t->end.status = (char *)(uintptr_t)(want == TASK_CANCEL          ? "cancelled"
                                        : reason || want != TASK_RUN ? "failed"
                                                                     : "succeeded");
    if (want == TASK_CANCEL)
        reason = "cancelled";
    else if (want == TASK_STOP)
        reason = "the worker was stopped";
    t->end.reason = (char *)(uintptr_t)(reason ? reason : "");
    if (*t->end.reason)
        t->end.n_outputs = 0;
}

/* A log that cannot be stored does not change what the task has done: it is said and left out. */
static void
store_log(struct task *t, struct arena *arena)
{
    CLEANUP(mem_free) char *whole = mem_printf("%s/log.whole", t->folder);
    uint64_t bytes = t->log ? tasklog_bytes(t->log) : 0;
    char uri[ARTIFACT_URI_LEN + 1];
    const char *file;
    struct err err;

    if (t->log)
        shipper_remove(t->host->shipper, t->log);
    if (bytes == 0 || atomic_load(&t->leave))
        return;
    metric_add(metrics_counter("modelbus_worker_log_bytes_total", "Written by tasks.", NULL),
               (double)bytes);
    if (tasklog_finish(t->log, whole, &file, &t->end.log_bytes, &err) ||
        upload_while(t, file, bytes, &t->leave, uri, &err))
        log_warn("log not stored", LOG_STR("lease", t->lease->lease), LOG_ERR(&err));
    else
        t->end.log_uri = arena_strdup(arena, uri);
}

static enum err_code
say_end(struct task *t, struct err *err)
{
    unsigned failures = 0;

    do {
        if (reporter_say(t->host->reporter, &t->end, err) == ERR_OK)
            return ERR_OK;
    } while (again(t, "the end of a task", err, &failures, &t->leave));
    return err->code;
}

/* An end that is not taken as it is (too large) is said in few words: else the task would be given out again, and
 * run again, without end. */
static enum err_code
report(struct task *t, struct arena *arena, struct err *err)
{
    atomic_store(&t->ended, true);
    enum err_code code = say_end(t, err);
    if (code == ERR_OK || code == ERR_PRECONDITION || atomic_load(&t->leave))
        return code;
    t->end.status = "failed";
    t->end.reason = arena_printf(arena, "its end was refused: %s", err->message);
    t->end.n_outputs = 0;
    return say_end(t, err);
}

void
task_run(struct task *task, struct keeper *keeper)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, TASK_ARENA);
    const Lease *lease = task->lease;
    int64_t started_ms = life_monotonic_ms();
    struct err err;

    log_info("task started", LOG_STR("lease", lease->lease), LOG_STR("run", lease->run),
             LOG_STR("task", lease->task), LOG_INT("index", lease->index),
             LOG_INT("attempt", lease->attempt));
    task->keeper = keeper;
    const char *reason = work(task, arena);
    store_log(task, arena);
    judge(task, reason);
    task->end.lease = lease->lease;
    bool lost = atomic_load(&task->leave) || report(task, arena, &err) != ERR_OK;
    if (lost && (atomic_load(&task->leave) || err.code == ERR_PRECONDITION))
        log_warn("lease lost; the task was killed, its result is thrown away",
                 LOG_STR("lease", lease->lease), LOG_STR("run", lease->run),
                 LOG_STR("task", lease->task), LOG_STR("result", task->end.status),
                 LOG_INT("ms", life_monotonic_ms() - started_ms));
    else if (lost)
        log_error("task not reported", LOG_STR("lease", lease->lease), LOG_ERR(&err));
    else
        log_info("task finished", LOG_STR("lease", lease->lease), LOG_STR("run", lease->run),
                 LOG_STR("task", lease->task), LOG_STR("status", task->end.status),
                 LOG_STR("reason", task->end.reason),
                 LOG_INT("ms", life_monotonic_ms() - started_ms));
    metric_add(metrics_counter("modelbus_worker_tasks_total", "Tasks by their end.", "status",
                               lost ? "lost" : task->end.status, NULL),
               1);
}

void
task_clean(struct task *task)
{
    struct err err;

    if (folders_give(task->host->folders, task->lease->lease, &err))
        log_warn("folder not removed", LOG_ERR(&err));
}
