/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backlog.h - how much of the outbox waits, and for how long, as gauges; inside of relay.h.
 *
 * modelbus_outbox_pending is counted up to BACKLOG_MAX, so that a large backlog stays cheap to
 * watch; modelbus_outbox_oldest_seconds is the age of the oldest event that waits. Only the
 * instance that holds the relay measures; the others say 0. A figure is up to BACKLOG_EVERY_MS
 * old, and older while the database is away (modelbus_ready is 0 then).
 */
#pragma once

#include "db/db.h"

#define BACKLOG_MAX 100000
#define BACKLOG_EVERY_MS 5000

struct backlog {
    struct metric *pending, *oldest;
    int64_t next_ms;
};

/* One thread. */
void backlog_init(struct backlog *backlog);
/* When it is time. */
MUST_CHECK enum err_code backlog_measure(struct backlog *backlog, struct db_conn *conn,
                                         struct err *err);
void backlog_clear(struct backlog *backlog); /* another instance has the relay */
