/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db_listen.h - instances of a service tell each other that something has changed.
 *
 * A hint, not a message: what has changed is in the tables. A topic is a short text ("tasks",
 * "run:<id>"). One thread with a connection of its own listens on the schema's channel and sends
 * what db_notify() was given; the same topic waiting twice is sent once. Sending is no part of a
 * transaction, because PostgreSQL lets only one transaction with a notification commit at a time:
 * call db_notify() after the commit (db_after_commit()). What is told while the connection
 * is away is lost, and so is what a killed process was about to tell; after each reconnection heard()
 * is called with the empty topic: anything may have changed. So a listener looks by itself
 * now and then too.
 */
#pragma once

#include "db/db.h"

#define DB_TOPIC_MAX 100    /* bytes; longer ones are cut */
#define DB_TOPICS_MAX 10000 /* that wait for the connection; more become the empty topic */

struct db_listener;
/* heard() is called on the listener's thread for every topic, this process's own as well. Does not
 * fail when the server is away. */
void db_listen(struct db_pool *pool, void (*heard)(void *arg, const char *topic), void *arg,
               struct db_listener **listener);
void db_listener_free(struct db_listener *listener); /* sends nothing any more */
CLEANUP_DEFINE(struct db_listener, db_listener_free)

/* From any thread; does not block. */
void db_notify(struct db_listener *listener, const char *topic);
