/* SPDX-License-Identifier: Apache-2.0 */
/* supervisor.c - the loop around the parts of a local platform. */
#include "supervisor.h"

#include "parts.h"

#include "localdir/localdir.h"
#include "log/log.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* A part that ends this often before everything has been ready once will not come up. */
#define START_TRIES 5

#define EACH_PART(s, part)                                                                         \
    (struct part *part = (s)->plan->parts; part < (s)->plan->parts + (s)->plan->part_count; part++)

PRINTF_LIKE(2, 3)
static void
tell(const struct supervisor *s, const char *format, ...)
{
    va_list args;

    if (!s->tell)
        return;
    va_start(args, format);
    vfprintf(s->tell, format, args);
    va_end(args);
    fflush(s->tell);
}

static void
write_status(const struct supervisor *s)
{
    CLEANUP(mem_free) char *path = localdir_path(s->plan->dir, "run/status.json");
    json_t *parts = json_array();
    struct err err;

    for
        EACH_PART(s, part)
    json_array_append_new(parts,
                          json_pack("{ss si ss sI si ss si ss ss*}", "name", part->name, "pid",
                                    (int)part->pid, "state", part_state_name(part->state),
                                    "started_ms", (json_int_t)part->started_ms, "restarts",
                                    (int)part->restarts, "address", part->address, "port",
                                    part->port, "log", part->log, "probe", part->probe));
    json_t *status =
        json_pack("{si sI sb sb so}", "pid", (int)getpid(), "started_ms", (json_int_t)s->started_ms,
                  "ready", s->ready, "stopping", s->stopping, "parts", parts);
    if (localdir_write_json(path, status, 0600, &err))
        log_warn("status not written", LOG_ERR(&err));
    json_decref(status);
}

static void
start(struct supervisor *s, struct part *part)
{
    struct err err;

    part_rotate_log(part, SUPERVISOR_LOG_BYTES);
    /* What says "ready" must be of this start. */
    if (part->phase == PHASE_BUS)
        unlink(part->arg);
    if (part_start(part, &err))
        log_error("part not started", LOG_STR("part", part->name), LOG_ERR(&err));
    else
        log_info("part started", LOG_STR("part", part->name), LOG_INT("pid", part->pid));
    write_status(s);
}

static void
reap(struct supervisor *s)
{
    char how[64];
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for
            EACH_PART(s, part)
            {
                if (part->pid != pid)
                    continue;
                /* What it left in its group, as an initdb that was cut short. A server's
                 * backends are in groups of their own, and end by themselves. */
                kill(-pid, SIGKILL);
                part_exited(part, status, !s->stopping);
                part_describe_exit(status, how);
                if (s->stopping) {
                    log_info("part stopped", LOG_STR("part", part->name), LOG_STR("with", how));
                } else {
                    int64_t wait_ms = part->next_ms - localdir_monotonic_ms();
                    log_warn("part exited", LOG_STR("part", part->name), LOG_STR("with", how),
                             LOG_INT("restart_in_ms", wait_ms),
                             LOG_INT("restarts", part->restarts));
                    tell(s, "%s ended with %s; starts again in %lld ms\n", part->name, how,
                         (long long)wait_ms);
                }
                write_status(s);
            }
    }
}

/* Sleep until a signal or until_ms (CLOCK_MONOTONIC). */
static void
wait_signals(struct supervisor *s, int64_t until_ms)
{
    struct pollfd ready = {.fd = s->signals, .events = POLLIN};
    struct signalfd_siginfo info;
    int64_t left = until_ms - localdir_monotonic_ms();

    if (poll(&ready, 1, left > 0 ? (int)left : 0) <= 0)
        return;
    while (read(s->signals, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGCHLD) {
            reap(s);
        } else {
            s->hurry = s->stopping;
            s->stopping = true;
        }
    }
}

static bool
all_ready(const struct supervisor *s)
{
    for
        EACH_PART(s, part)
    if (part->state != PART_READY)
        return false;
    return true;
}

/* One turn: start what is due, ask what is starting. Returns when to look again. */
static int64_t
turn(struct supervisor *s)
{
    int64_t now = localdir_monotonic_ms();
    int64_t next = now + SUPERVISOR_LOG_CHECK_MS;

    for
        EACH_PART(s, part)
        {
            if (part->state == PART_BACKOFF && part->next_ms <= now)
                start(s, part);
            if (part_probe(part)) {
                log_info("part ready", LOG_STR("part", part->name),
                         LOG_INT("ms", localdir_monotonic_ms() - part->started_at));
                if (s->ready)
                    tell(s, "%s is ready again\n", part->name);
                write_status(s);
            }
            if (part->state == PART_STARTING && next > now + SUPERVISOR_PROBE_MS)
                next = now + SUPERVISOR_PROBE_MS;
            if (part->state == PART_BACKOFF && next > part->next_ms)
                next = part->next_ms;
        }
    if (!s->ready && all_ready(s)) {
        s->ready = true;
        write_status(s);
        s->on_ready(s->arg, localdir_monotonic_ms() - s->started_at);
    }
    return next;
}

/* Before the first readiness: a part that will never come up ends the attempt. */
static enum err_code
check_start(const struct supervisor *s, struct err *err)
{
    char how[64];

    if (s->ready)
        return ERR_OK;
    for
        EACH_PART(s, part)
        {
            if (part_hopeless(part) || part->restarts >= START_TRIES) {
                part_describe_exit(part->last_status, how);
                return err_set(err, ERR_PRECONDITION, "%s does not start (%s); see %s", part->name,
                               how, part->log);
            }
            if (part->state != PART_READY &&
                localdir_monotonic_ms() - s->started_at > SUPERVISOR_START_MS)
                return err_set(err, ERR_DEADLINE, "%s was not ready within %d s; see %s",
                               part->name, SUPERVISOR_START_MS / 1000, part->log);
        }
    return ERR_OK;
}

static bool
phase_runs(const struct supervisor *s, unsigned phase)
{
    for
        EACH_PART(s, part)
    if (part->phase == phase && part->pid)
        return true;
    return false;
}

static void
stop_phase(struct supervisor *s, unsigned phase)
{
    int64_t end = localdir_monotonic_ms();

    for
        EACH_PART(s, part)
        {
            if (part->phase != phase)
                continue;
            if (!part->pid)
                part->state = PART_STOPPED;
            else
                kill(part->pid, part->stop_signal);
            if (part->pid && localdir_monotonic_ms() + part->stop_ms > end)
                end = localdir_monotonic_ms() + part->stop_ms;
        }
    while (phase_runs(s, phase) && !s->hurry && localdir_monotonic_ms() < end)
        wait_signals(s, end);
    for
        EACH_PART(s, part)
        {
            if (part->phase == phase && part->pid) {
                log_warn("part killed, it did not stop in time", LOG_STR("part", part->name));
                kill(part->pid, SIGKILL);
            }
        }
    while (phase_runs(s, phase))
        wait_signals(s, localdir_monotonic_ms() + SUPERVISOR_LOG_CHECK_MS);
}

enum err_code
supervisor_signals(struct supervisor *s, struct err *err)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN); /* the terminal's end is not ours */
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    s->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->signals < 0)
        return err_set(err, ERR_UNAVAILABLE, "signalfd: %s", strerror(errno));
    return ERR_OK;
}

enum err_code
supervisor_run(struct supervisor *s, struct err *err)
{
    enum err_code code = ERR_OK;

    s->started_ms = localdir_now_ms();
    s->started_at = localdir_monotonic_ms();
    for
        EACH_PART(s, part)
    start(s, part);
    while (!s->stopping) {
        int64_t next = turn(s);
        code = check_start(s, err);
        if (code)
            break;
        wait_signals(s, next);
        if (s->ready)
            for
                EACH_PART(s, part)
        part_rotate_log(part, SUPERVISOR_LOG_BYTES);
    }
    s->stopping = true;
    write_status(s);
    tell(s, "stopping\n");
    for (unsigned phase = PHASE_EDGE + 1; phase-- > 0;)
        stop_phase(s, phase);
    write_status(s);
    return code;
}
