/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life.h - a process from start to stop.
 *
 * States: starting, ready, draining, stopped. life_init() blocks SIGTERM, SIGINT and SIGHUP in
 * all threads created later, ignores SIGPIPE, limits malloc arenas (small services
 * share one machine) and takes the signals on a signalfd that life_wait() reads.
 *
 * Stopping follows registration backwards, each step with its share of the drain time:
 * intake first (listeners, consumers), then workers, then the database, then the bus.
 */
#pragma once

#include "err/err.h"

void life_init(void);

enum life_state { LIFE_STARTING, LIFE_READY, LIFE_DRAINING };
enum life_state life_state(void);
bool life_stopping(void); /* any thread; true from the first SIGTERM or life_stop() */

/*
 * A named condition of readiness ("database", "bus"). life_ready() is true when all
 * are up and the process is not draining; *why (may be NULL) names the first that is not.
 */
void life_condition(const char *name, bool up);
bool life_ready(const char **why);

/* Ask to stop, from any thread; life_wait() returns. exit_code 0 is a graceful stop. */
void life_stop(int exit_code);

/* Called by life_wait() on SIGHUP, on the main thread. */
void life_on_reload(void (*reload)(void *arg), void *arg);

/* Block until SIGTERM, SIGINT or life_stop(). Returns the exit code to use. A second
 * signal while draining ends the process at once with status 130. */
int life_wait(void);

/*
 * stop() runs at life_shutdown(), last registered first, on the calling thread;
 * it must return within the deadline (CLOCK_MONOTONIC ms) and says false when it
 * had to give something up.
 */
void life_on_stop(const char *name, bool (*stop)(void *arg, int64_t deadline_ms), void *arg);
/* Run the stop list within drain_ms. Returns false when a step fell short. */
bool life_shutdown(int64_t drain_ms);

int64_t life_now_ms(void); /* Unix epoch, ms */
int64_t life_monotonic_ms(void);
int64_t life_monotonic_us(void);
/* Sleep up to ms, less when the process is asked to stop (then false). */
bool life_sleep_ms(int64_t ms);
