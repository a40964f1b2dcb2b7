/* SPDX-License-Identifier: Apache-2.0 */
/* exec.c - one poll loop over the task's output, its keeper's report and the worker's word. */
#include "exec.h"

#include "life/life.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK_BYTES (64u << 10)
/* Reads before the other ends are looked at again. */
#define CHUNKS_A_TURN 16
#define KILLED_MS (INT64_MAX - 1) /* a kill_ms: that has been done */

struct watch {
    const struct exec_options *o;
    int output;
    struct keeper_report report;
    bool reported, timed_out;
    int64_t deadline_ms, kill_ms; /* monotonic; INT64_MAX: none */
    char *chunk;
    struct buf masked;
};

static void
keep_output(struct watch *w)
{
    if (w->masked.len == 0)
        return;
    tasklog_add(w->o->log, w->masked.data, w->masked.len);
    buf_clear(&w->masked);
    shipper_wake(w->o->shipper, w->o->log);
}

/* At most `chunks`; false: there is no more by now. */
static bool
take_output(struct watch *w, unsigned chunks)
{
    while (chunks-- > 0) {
        ssize_t n = read(w->output, w->chunk, CHUNK_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        mask_add(w->o->mask, w->chunk, (size_t)n, &w->masked);
        keep_output(w);
    }
    return true;
}

static void
end_with_grace(struct watch *w, int64_t now)
{
    if (w->kill_ms != INT64_MAX)
        return;
    keeper_terminate(w->o->keeper);
    w->kill_ms = now + atomic_load(w->o->grace_ms);
}

static void
look_at_clock(struct watch *w)
{
    int64_t now = life_monotonic_ms();
    int want = atomic_load(w->o->want);

    if (want == TASK_RUN && now >= w->deadline_ms) {
        w->timed_out = true;
        end_with_grace(w, now);
    } else if (want == TASK_LOSE && w->kill_ms != KILLED_MS) {
        w->kill_ms = now;
    } else if (want != TASK_RUN) {
        end_with_grace(w, now);
    }
    if (now >= w->kill_ms) {
        keeper_kill(w->o->keeper);
        w->kill_ms = KILLED_MS;
    }
}

static int
time_left(const struct watch *w)
{
    int64_t until = w->kill_ms;

    if (until == INT64_MAX)
        until = w->deadline_ms;
    int64_t left = until - life_monotonic_ms();
    return until >= KILLED_MS ? -1 : left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

static void
watch(struct watch *w)
{
    struct pollfd ends[] = {{.fd = w->o->keeper->socket, .events = POLLIN},
                            {.fd = w->o->wake, .events = POLLIN},
                            {.fd = w->output, .events = POLLIN}};
    uint64_t count;

    while (!w->reported) {
        if (poll(ends, 3, time_left(w)) < 0)
            continue;
        if (ends[1].revents && read(w->o->wake, &count, sizeof(count)) < 0)
            continue;
        look_at_clock(w);
        if (ends[2].revents && !take_output(w, CHUNKS_A_TURN) && (ends[2].revents & POLLHUP))
            ends[2].fd = -1;
        if (ends[0].revents) {
            w->report = keeper_take_report(w->o->keeper);
            w->reported = true;
        }
    }
    /* Nobody writes any more: what the pipe holds. */
    while (take_output(w, CHUNKS_A_TURN))
        ;
    mask_end(w->o->mask, &w->masked);
    keep_output(w);
}

static void
describe(const struct watch *w, struct exec_result *result)
{
    int status = w->report.value;

    *result = (struct exec_result){.timed_out = w->timed_out};
    if (w->report.kind == KEEPER_KILLED) {
        result->exit_code = -SIGKILL;
        snprintf(result->reason, sizeof(result->reason), "it was killed with its keeper");
    } else if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));
        result->exit_code = -WTERMSIG(status);
        snprintf(result->reason, sizeof(result->reason), "killed by signal %d (SIG%s)",
                 WTERMSIG(status), name ? name : "?");
    } else if (WEXITSTATUS(status) != 0) {
        result->exit_code = WEXITSTATUS(status);
        snprintf(result->reason, sizeof(result->reason), "exit code %d", WEXITSTATUS(status));
    }
    if (w->timed_out)
        snprintf(result->reason, sizeof(result->reason), "timed out after %lld s",
                 (long long)(w->o->timeout_ms / 1000));
    else if (result->exit_code != 0 && limits_out_of_memory(w->o->limits))
        snprintf(result->reason, sizeof(result->reason),
                 "out of memory: more than its resources allow");
}

enum err_code
exec_run(const struct exec_options *options, struct exec_result *result, struct err *err)
{
    const struct keeper_options keeper = {
        .program = options->program,
        .argv = options->argv,
        .envp = options->envp,
        .folder = options->folder,
        .cgroup = options->limits->procs,
        .data_bytes = options->limits->data_bytes,
    };
    struct watch w = {.o = options, .deadline_ms = INT64_MAX, .kill_ms = INT64_MAX};

    if (keeper_start(options->keeper, &keeper, &w.output, err))
        return err->code;
    if (options->timeout_ms > 0)
        w.deadline_ms = life_monotonic_ms() + options->timeout_ms;
    w.chunk = mem_alloc(CHUNK_BYTES);
    watch(&w);
    close(w.output);
    free(w.chunk);
    buf_done(&w.masked);
    if (w.report.kind == KEEPER_NOT_STARTED)
        return err_set(err, ERR_INVALID, "cannot run '%.100s': %s", options->argv[0],
                       strerror(w.report.value));
    describe(&w, result);
    return ERR_OK;
}
