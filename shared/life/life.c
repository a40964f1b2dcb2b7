/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life.c - one mutex and one condition variable hold the state; a small thread
 * waits for signals, so that they count from life_init() on, whatever main() does.
 */
#include "life/life.h"

#include "log/log.h"
#include "sync/sync.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SIGNAL_THREAD_STACK (128 << 10)
#define EXIT_SECOND_SIGNAL 130

struct condition {
    const char *name;
    bool up;
};

struct stop_step {
    const char *name;
    bool (*stop)(void *arg, int64_t deadline_ms);
    void *arg;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static pthread_once_t changed_once = PTHREAD_ONCE_INIT;

static atomic_bool stopping;
static atomic_bool waiting; /* life_wait() was entered: start-up is over */

/* Under lock. */
static int exit_status;
static bool reload_pending;
static void (*reload_call)(void *arg);
static void *reload_arg;
static struct condition *conditions;
static size_t condition_count;
static struct stop_step *steps;
static size_t step_count;

static void
init_changed(void)
{
    sync_cond_init(&changed);
}

static void
enter(void)
{
    pthread_once(&changed_once, init_changed);
    pthread_mutex_lock(&lock);
}

static void
leave(void)
{
    pthread_mutex_unlock(&lock);
}

static void
fill_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
}

static void *
signal_loop(void *arg)
{
    int ends_seen = 0;
    sigset_t set;
    int signal;

    (void)arg;
    fill_signals(&set);
    for (;;) {
        if (sigwait(&set, &signal) != 0)
            continue;
        if (signal == SIGHUP) {
            enter();
            reload_pending = true;
            pthread_cond_broadcast(&changed);
            leave();
        } else if (ends_seen++ == 0) {
            life_stop(0);
        } else {
            _exit(EXIT_SECOND_SIGNAL);
        }
    }
    return NULL;
}

void
life_init(void)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t set;

    /* Must precede the first allocation of other threads to have an effect. */
    mallopt(M_ARENA_MAX, 2);
    signal(SIGPIPE, SIG_IGN);
    fill_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, SIGNAL_THREAD_STACK);
    if (pthread_create(&thread, &attr, signal_loop, NULL) != 0)
        abort();
    pthread_attr_destroy(&attr);
    pthread_setname_np(thread, "signals");
}

enum life_state
life_state(void)
{
    if (life_stopping())
        return LIFE_DRAINING;
    return atomic_load(&waiting) ? LIFE_READY : LIFE_STARTING;
}

bool
life_stopping(void)
{
    return atomic_load_explicit(&stopping, memory_order_acquire);
}

void
life_condition(const char *name, bool up)
{
    size_t i = 0;

    enter();
    while (i < condition_count && strcmp(conditions[i].name, name) != 0)
        i++;
    if (i == condition_count) {
        conditions = mem_realloc(conditions, (condition_count + 1) * sizeof(*conditions));
        conditions[condition_count++].name = mem_strdup(name);
    }
    conditions[i].up = up;
    leave();
}

bool
life_ready(const char **why)
{
    const char *missing = NULL;

    enter();
    if (life_stopping())
        missing = "draining";
    for (size_t i = 0; i < condition_count && !missing; i++)
        if (!conditions[i].up)
            missing = conditions[i].name;
    leave();
    if (missing && why)
        *why = missing;
    return !missing;
}

void
life_stop(int exit_code)
{
    enter();
    if (!life_stopping()) {
        exit_status = exit_code;
        atomic_store_explicit(&stopping, true, memory_order_release);
        pthread_cond_broadcast(&changed);
    }
    leave();
}

void
life_on_reload(void (*reload)(void *arg), void *arg)
{
    enter();
    reload_call = reload;
    reload_arg = arg;
    leave();
}

int
life_wait(void)
{
    int status;

    atomic_store(&waiting, true);
    enter();
    while (!life_stopping()) {
        if (!reload_pending) {
            pthread_cond_wait(&changed, &lock);
            continue;
        }
        reload_pending = false;
        void (*reload)(void *arg) = reload_call;
        void *arg = reload_arg;
        leave();
        if (reload)
            reload(arg);
        enter();
    }
    status = exit_status;
    leave();
    return status;
}

void
life_on_stop(const char *name, bool (*stop)(void *arg, int64_t deadline_ms), void *arg)
{
    enter();
    steps = mem_realloc(steps, (step_count + 1) * sizeof(*steps));
    steps[step_count++] = (struct stop_step){name, stop, arg};
    leave();
}

bool
life_shutdown(int64_t drain_ms)
{
    int64_t end = life_monotonic_ms() + drain_ms;
    bool complete = true;

    life_stop(0);
    enter();
    while (step_count > 0) {
        struct stop_step step = steps[--step_count];
        leave();
        int64_t now = life_monotonic_ms();
        int64_t left = end > now ? end - now : 0;
        /* An equal share of what is left: what one step saves, the next ones have. */
        if (!step.stop(step.arg, now + left / (int64_t)(step_count + 1))) {
            log_warn("stop step fell short", LOG_STR("step", step.name),
                     LOG_INT("ms", life_monotonic_ms() - now));
            complete = false;
        }
        enter();
    }
    free(steps);
    steps = NULL;
    leave();
    return complete;
}

static int64_t
clock_us(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
life_now_ms(void)
{
    return clock_us(CLOCK_REALTIME) / 1000;
}

int64_t
life_monotonic_ms(void)
{
    return clock_us(CLOCK_MONOTONIC) / 1000;
}

int64_t
life_monotonic_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

bool
life_sleep_ms(int64_t ms)
{
    /* Rounded up: not a moment less. */
    int64_t until_ms = (life_monotonic_us() + 999) / 1000 + (ms < 0 ? 0 : ms);

    enter();
    while (!life_stopping() && sync_wait(&changed, &lock, until_ms))
        ;
    leave();
    return !life_stopping();
}
