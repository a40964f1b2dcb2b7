/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay.h - the thread that sends a service's outbox; inside of outbox.h.
 *
 * One relay a service does the work: the one that holds the advisory lock, on a connection
 * of its own. Rows are read in id order, without those that are in flight (commit order is not id
 * order, so there is no high-water mark), produced, and marked in one statement after their
 * delivery reports. Marks are not synced to disk: a lost one only sends its row again.
 *
 * Order per key: the producer keeps the order of what it was given. When a row
 * fails, nothing more is given to it until all in flight have been reported; then the
 * relay starts over from the table.
 */
#pragma once

#include "outbox.h"

#include <stdatomic.h>

struct relay;

MUST_CHECK enum err_code relay_start(struct relay **relay, struct outbox *outbox,
                                     const struct outbox_options *options, struct err *err);
/* Send what is committed until deadline_ms, join, free; false: something was left. */
bool relay_stop(struct relay *relay, int64_t deadline_ms);
void relay_wake(struct relay *relay); /* any thread */
/* Any thread. */
bool relay_holds(const struct relay *relay);
void relay_cluster(struct relay *relay, char cluster[128]);
int64_t relay_beat_ms(const struct relay *relay);
