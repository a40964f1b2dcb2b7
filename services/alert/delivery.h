/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delivery.h - notifications reach their receivers.
 *
 * A notification is a row, written in the transaction that changed the alert. A delivery thread
 * takes one that is due and whose turn it is in its group, decides what is to be told (alerts that
 * are silenced or inhibited are held back), writes that down with the attempt, commits, and sends.
 * From then on the notification stays as it is: every attempt has the same content and the same id,
 * by which receivers can tell a repeated one. It is tried again with backoff until it is delivered
 * or DELIVERY_GIVE_UP_MS have passed since the first attempt. What a thread that died was sending
 * becomes due again after DELIVERY_LEASE_MS. Any number of threads and instances.
 *
 * Time is asked of a clock that a test may replace. Threads sleep until something is due or a
 * commit wakes them; what other instances left behind is found within DELIVERY_SWEEP_MS.
 */
#pragma once

#include "alert.h"
#include "send.h"

struct service;

#define DELIVERY_LEASE_MS 30000
#define DELIVERY_SWEEP_MS 15000
#define DELIVERY_GIVE_UP_MS (INT64_C(3) * 24 * 3600 * 1000)
#define DELIVERY_TEST_MS 4000       /* somebody waits */
#define DELIVERY_INHIBITED_MS 60000 /* an inhibited alert is looked at again */

struct delivery_options {
    struct service *service; /* pool, outbox; state is a struct alert_state */
    struct send_options sender;
    int64_t retention_ms;   /* of what is over */
    int64_t (*clock)(void); /* Unix epoch, ms */
};
struct delivery;
/* Borrows the options' parts until delivery_free(). */
struct delivery *delivery_new(const struct delivery_options *options);
/* Join the threads (which end their attempts, see send_options.stopping), free. False: it took
 * longer than deadline_ms. */
bool delivery_free(struct delivery *delivery, int64_t deadline_ms);
MUST_CHECK enum err_code delivery_start(struct delivery *delivery, unsigned threads,
                                        struct err *err);
/* Something may be due. Any thread; for db_after_commit(). */
void delivery_wake(void *delivery);

/*
 * One step: resolve an alert whose time is over, or try one notification. *did false: nothing was
 * due. What the threads do; for tests. Errors are the database's: a receiver that fails is not one.
 */
MUST_CHECK enum err_code delivery_step(struct delivery *delivery, bool *did, struct err *err);
/* Send a receiver a test message at once. */
MUST_CHECK enum err_code delivery_test(struct delivery *delivery, const AlertReceiver *receiver,
                                       const char *workspace, struct arena *arena, struct err *err);
