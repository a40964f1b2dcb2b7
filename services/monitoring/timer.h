/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer.h - windows by time end by the clock, also when no row comes any more.
 *
 * A window that has enough rows has a time at which it is due, in the endpoint's row, from the
 * moment when its first row was handled: a pod's clock may be wrong, and rows of a backlog
 * are as old as they are. A thread of every instance looks each TIMER_TICK_MS for what is due, and
 * judges it in the transaction that takes the time out of the row, as the consumer does with
 * rows. Rows that are locked are with another instance, or get rows just now: they are passed by.
 * What fails is tried again after TIMER_POSTPONED_MS, so that it holds up no other endpoint.
 */
#pragma once

#include "changes.h"

#define TIMER_TICK_MS 1000
#define TIMER_POSTPONED_MS 10000

struct service;
struct timer;
/* monitoring: of this thread alone; taken, also on failure. ERR_INTERNAL: no thread. */
MUST_CHECK enum err_code timer_start(struct timer **timer, struct service *service,
                                     struct monitoring *monitoring, struct err *err);
/* Finish what is in hand, join, free. */
void timer_stop(struct timer *timer);

/* Judge one window that is due at now_ms (Unix epoch); *did false: none is. What the thread does; for
 * tests. Errors are the database's. */
MUST_CHECK enum err_code timer_step(const struct service *service, struct monitoring *monitoring,
                                    int64_t now_ms, bool *did, struct err *err);
