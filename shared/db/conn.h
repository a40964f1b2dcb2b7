/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.h - inside db: what a connection is. Only files of this folder include it.
 *
 * A connection is in libpq's pipeline mode from its start: a statement is sent together with its
 * PREPARE and the transaction's BEGIN, and one synchronisation collects the results of
 * all that was sent since the last. pending lists what is still to be collected, in order.
 */
#pragma once

#include "db/db.h"

#include <libpq-fe.h>

struct pending {
    const struct db_stmt *stmt;
    bool prepare; /* the result of its PREPARE, else of its execution */
};

struct commit_hook {
    void (*call)(void *arg);
    void *arg;
};

struct db_conn {
    struct db_pool *pool;
    PGconn *pg;
    bool pooled;          /* counted by the pool; false: from db_connect() */
    bool broken;          /* lost or in an unknown state: closed on return */
    bool retry_advised;   /* see db_retry_advised() */
    int64_t answer_ms;    /* longest wait for the server; 0: no bound */
    int64_t idle_from_ms; /* while in the pool's list */
    enum { TX_NONE, TX_LAZY /* BEGIN is not sent yet */, TX_OPEN } tx;
    struct pending *pending;
    size_t pending_count, pending_cap;
    const struct db_stmt **prepared; /* open addressing, a power of two */
    size_t prepared_count, prepared_cap;
    struct commit_hook *hooks;
    size_t hook_count, hook_cap;
};

/* Open a connection and its session; NULL and err filled (ERR_UNAVAILABLE) on failure. */
struct db_conn *conn_open(const char *url, const char *schema, struct err *err);
void conn_close(struct db_conn *conn);

/* Send one statement, with BEGIN and PREPARE as needed, without waiting. */
MUST_CHECK enum err_code conn_send(struct db_conn *conn, const struct db_stmt *stmt,
                                   const struct db_param *params, size_t count, struct err *err);
/* Wait for the results of all that was sent. The first failure is reported; else *last (may be
 * NULL) is the caller's: the result of the last statement, NULL when there was none. */
MUST_CHECK enum err_code conn_collect(struct db_conn *conn, PGresult **last, struct err *err);

/* Fill err from a failed result; notes on conn whether it is lost and whether to retry. */
enum err_code conn_failure(struct db_conn *conn, const PGresult *result, struct err *err);
enum err_code conn_lost(struct db_conn *conn, const char *why, struct err *err);

/* Prepared statements of a connection (prepared.c). */
#define PREPARED_NAME_MAX 20
void prepared_name(const struct db_stmt *stmt, char name[PREPARED_NAME_MAX]);
bool prepared_has(const struct db_conn *conn, const struct db_stmt *stmt);
void prepared_add(struct db_conn *conn, const struct db_stmt *stmt);
void prepared_remove(struct db_conn *conn, const struct db_stmt *stmt);

int64_t clock_ms(void); /* CLOCK_MONOTONIC */

/* modelbus_db_* (stats.c) */
void stats_connections(int idle, int busy); /* changes */
void stats_query(double seconds);
void stats_error(enum err_code code);
