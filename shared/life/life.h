/* SPDX-License-Identifier: Apache-2.0 */
/*
 * life.h - a process from start to stop.
 *
 * States: starting, ready, draining. Call life_init() first in main(), before any thread
 * starts: it blocks SIGTERM, SIGINT and SIGHUP in all threads, ignores SIGPIPE, limits
 * malloc's arenas (small services share one machine) and starts one small thread that waits
 * for the signals, so that a stop is noticed during start-up and draining too. Programs that
 * are executed from here inherit the blocked signals: unblock them between fork and exec.
 *
 * Stopping follows registration backwards, each step with its share of the drain time:
 * intake first (listeners, consumers), then workers, then the database, then the bus.
 */
#pragma once

#include "err/err.h"

void life_init(void);

/* STARTING until life_wait() is entered, DRAINING from the first request to stop. */
enum life_state { LIFE_STARTING, LIFE_READY, LIFE_DRAINING };
enum life_state life_state(void);
bool life_stopping(void); /* any thread; true from the first SIGTERM or life_stop() */

/*
 * A named condition of readiness ("database", "bus"). life_ready() is true when all
 * are up and the process is not draining; else *why (may be NULL) names the first that is
 * not, or "draining". The name is copied; *why is valid for the life of the process.
 */
void life_condition(const char *name, bool up);
bool life_ready(const char **why);

/* Ask to stop, from any thread; life_wait() returns. exit_code 0 is a graceful stop. The
 * first request decides the exit code. */
void life_stop(int exit_code);

/* Called by life_wait() on SIGHUP, on the main thread. */
void life_on_reload(void (*reload)(void *arg), void *arg);

/* Block until SIGTERM, SIGINT or life_stop(). Returns the exit code to use. A second
 * SIGTERM or SIGINT, at any time, ends the process at once with status 130. */
int life_wait(void);

/*
 * stop() runs at life_shutdown(), last registered first, on the calling thread;
 * it must return within the deadline (CLOCK_MONOTONIC ms) and says false when it
 * had to give something up.
 */
void life_on_stop(const char *name, bool (*stop)(void *arg, int64_t deadline_ms), void *arg);
/* Run the stop list within drain_ms and empty it; implies life_stop(0). Each step has an equal
 * share of the time that is left. False when a step fell short (each is logged). */
bool life_shutdown(int64_t drain_ms);

int64_t life_now_ms(void); /* Unix epoch, ms */
int64_t life_monotonic_ms(void);
int64_t life_monotonic_us(void);
/* Sleep up to ms, less when the process is asked to stop (then false). */
bool life_sleep_ms(int64_t ms);
