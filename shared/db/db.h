/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db.h - PostgreSQL: a pool of connections, transactions, prepared statements, pipeline
 * mode and migrations.
 *
 * A service has one schema, which is every connection's search_path. A connection is
 * borrowed by one thread at a time. Statements are static structs, prepared on a
 * connection at their first use there and again after a reconnect.
 *
 * Threads: a pool is for all, a connection and a result for one at a time.
 *
 * Errors: ERR_UNAVAILABLE when PostgreSQL is away, starting, stopping, out of room or connections,
 * or the pool's wait ran out; ERR_CONFLICT for serialization failures, deadlocks and lock
 * time-outs (db_retry_advised() tells them from a lost compare-and-set); ERR_EXISTS for a unique
 * violation; ERR_PRECONDITION for other violated constraints; ERR_INVALID for data the
 * server refuses (22xxx); ERR_TOO_LARGE for its program limits (54xxx); ERR_DEADLINE for a
 * statement time-out; ERR_INTERNAL otherwise. The message has the server's text and SQLSTATE. A
 * lost connection fails every further call with ERR_UNAVAILABLE and is closed on return.
 *
 * Sessions: statement_timeout 30 s, lock_timeout 10 s, idle transactions 60 s, connect_timeout 3 s,
 * keepalives, UTC; each can be set otherwise in the URL. An answer that does not come in 35 s
 * counts as a lost connection.
 *
 * Metrics: modelbus_db_connections{state}, modelbus_db_query_seconds (waits for the server),
 * modelbus_db_errors_total{code}.
 */
#pragma once

#include "arena/arena.h"
#include "db/embed.h"
#include "err/err.h"

struct db_pool;
struct db_conn; /* a borrowed connection, outside or inside a transaction */
struct db_result;

/*
 * Open a pool of up to size connections (made when first needed, closed after a minute unused down
 * to one). Does not fail when the server is away: the first borrow does. schema is
 * created by db_migrate(). wait_ms bounds the wait for a free connection. url is a PostgreSQL URL
 * or key=value text, over TCP or a unix socket; a malformed one, or a schema that
 * is not ^[a-z_][a-z0-9_]*$, is ERR_INVALID.
 */
MUST_CHECK enum err_code db_pool_open(struct db_pool **pool, const char *url, const char *schema,
                                      unsigned size, int64_t wait_ms, struct err *err);
void db_pool_free(struct db_pool *pool); /* all connections must have been returned */
CLEANUP_DEFINE(struct db_pool, db_pool_free)
const char *db_schema(const struct db_pool *pool);

/* Create the schema if needed and apply the files that it has not seen, in name order,
 * each in a transaction of its own, under an advisory lock so that several instances
 * may start at once. A file that was applied and has changed since is ERR_INTERNAL.
 * set names the series ("events", "registry"): table schema_migration(set, name, sha256, at). */
MUST_CHECK enum err_code db_migrate(struct db_pool *pool, const char *set,
                                    const struct embed_file *files, struct err *err);

/* Borrow a connection; broken ones are replaced. Return with db_return(), also after
 * errors (an open transaction is rolled back then). While PostgreSQL is away one caller at a time
 * tries to connect, at most every 100 ms; the others fail at once. */
MUST_CHECK enum err_code db_borrow(struct db_pool *pool, struct db_conn **conn, struct err *err);
void db_return(struct db_conn *conn);
CLEANUP_DEFINE(struct db_conn, db_return)

/* A connection of one's own outside the pool's count, for advisory locks. */
MUST_CHECK enum err_code db_connect(struct db_pool *pool, struct db_conn **conn, struct err *err);

/* Costs nothing: BEGIN travels with the transaction's first statement. */
MUST_CHECK enum err_code db_begin(struct db_conn *conn, struct err *err);
/* Also sends what is queued, in the same round trip. On failure the transaction is rolled back.
 * ERR_UNAVAILABLE after a lost connection: the outcome is unknown, the caller must be
 * idempotent (inbox, request id). */
MUST_CHECK enum err_code db_commit(struct db_conn *conn, struct err *err);
void db_rollback(struct db_conn *conn); /* no-op without a transaction */
bool db_in_transaction(const struct db_conn *conn);
/* The last failure on conn came from other transactions (serialization, deadlock, lock time-out):
 * the same transaction, done again from its start, may succeed. */
bool db_retry_advised(const struct db_conn *conn);
/* Run after a successful commit, dropped on rollback; e.g. to wake the outbox relay. The same
 * call and arg are run once. Runs on the committing thread; do not use conn in it. */
void db_after_commit(struct db_conn *conn, void (*call)(void *arg), void *arg);
/* A savepoint stays after a rollback to it, until it is released; they nest. */
MUST_CHECK enum err_code db_savepoint(struct db_conn *conn, struct err *err);
MUST_CHECK enum err_code db_rollback_to_savepoint(struct db_conn *conn, struct err *err);
MUST_CHECK enum err_code db_release_savepoint(struct db_conn *conn, struct err *err);

struct db_stmt {
    const char *sql; /* $1, $2 …; unique address: declare static const */
};

struct db_param {
    enum {
        DB_KIND_NULL,
        DB_KIND_TEXT,
        DB_KIND_BYTES,
        DB_KIND_INT,
        DB_KIND_DOUBLE,
        DB_KIND_BOOL
    } kind;
    union {
        struct {
            const void *data;
            size_t len;
        } bytes;
        int64_t i;
        double d;
    } value;
};

struct db_param db_text(const char *s);                 /* NULL: SQL NULL */
struct db_param db_bytes(const void *data, size_t len); /* bytea; empty is not NULL */
/* A message as bytea, packed in arena; NULL is an empty column. db_unpack() reads it. */
struct db_param db_message(struct arena *arena, const ProtobufCMessage *message);
struct db_param db_int(int64_t i);
struct db_param db_double(double d);
struct db_param db_bool(bool b);
struct db_param db_null(void);
/* A PostgreSQL array literal ("{…}") of texts, bytea or bigints, built in arena, passed as text: use
 * `unnest($1::text[])`. NULL elements allowed where the pointer is NULL. */
struct db_param db_text_array(struct arena *arena, const char *const *items, size_t count);
struct db_param db_int_array(struct arena *arena, const int64_t *items, size_t count);
struct db_param db_bytes_array(struct arena *arena, const void *const *items, const size_t *lens,
                               size_t count);

#define DB_PARAMS(...)                                                                             \
    (const struct db_param[]){__VA_ARGS__},                                                        \
        sizeof((const struct db_param[]){__VA_ARGS__}) / sizeof(struct db_param)
#define DB_NO_PARAMS NULL, 0

/*
 * Execute and wait. result may be NULL; otherwise *result is the caller's, free with
 * db_result_free(). Inside a transaction an error leaves it failed: roll back (to the
 * savepoint or whole). At most 64 parameters.
 *     db_exec(conn, &stmt, DB_PARAMS(db_text(name), db_int(n)), &result, err)
 */
MUST_CHECK enum err_code db_exec(struct db_conn *conn, const struct db_stmt *stmt,
                                 const struct db_param *params, size_t count,
                                 struct db_result **result, struct err *err);
/* Like db_exec(), and ERR_CONFLICT unless exactly `rows` rows were affected or returned. */
MUST_CHECK enum err_code db_exec_expect(struct db_conn *conn, const struct db_stmt *stmt,
                                        const struct db_param *params, size_t count, int64_t rows,
                                        struct err *err);
/* Send without waiting (pipeline mode, inside a transaction only). Errors show at the
 * next db_flush(), db_exec() or db_commit(), which then fail with the first of them. */
MUST_CHECK enum err_code db_queue(struct db_conn *conn, const struct db_stmt *stmt,
                                  const struct db_param *params, size_t count, struct err *err);
MUST_CHECK enum err_code db_flush(struct db_conn *conn, struct err *err);
/* Several statements of text SQL without parameters or results (tests, migrations). */
MUST_CHECK enum err_code db_script(struct db_conn *conn, const char *sql, struct err *err);

void db_result_free(struct db_result *result);
CLEANUP_DEFINE(struct db_result, db_result_free)
size_t db_rows(const struct db_result *result);
int64_t
db_affected(const struct db_result *result); /* rows inserted, updated, deleted or returned */
bool db_is_null(const struct db_result *result, size_t row, int col);
const char *db_str(const struct db_result *result, size_t row,
                   int col); /* "" when NULL; lives as long as result */
int64_t db_i64(const struct db_result *result, size_t row, int col); /* 0 when NULL */
double db_f64(const struct db_result *result, size_t row, int col);
bool db_boolean(const struct db_result *result, size_t row, int col);
char *db_copy(const struct db_result *result, size_t row, int col, struct arena *arena);
/* Decoded bytea in arena; empty when NULL. Aborts when the column is not bytea. */
void db_bin(const struct db_result *result, size_t row, int col, struct arena *arena,
            const uint8_t **data, size_t *len);
/* What db_message() wrote, a message of that type in arena; without any field when the column is
 * empty or NULL. NULL and ERR_INTERNAL: not such a message. */
MUST_CHECK void *db_unpack(const struct db_result *result, size_t row, int col,
                           const ProtobufCMessageDescriptor *type, struct arena *arena,
                           struct err *err);

/* Session advisory locks, by 64-bit key; db_lock_key() hashes a name. They end with
 * the connection (also on kill -9 of its holder). */
int64_t db_lock_key(const char *name);
MUST_CHECK enum err_code db_try_lock(struct db_conn *conn, int64_t key, bool *got, struct err *err);
/* ERR_PRECONDITION: not held by conn. */
MUST_CHECK enum err_code db_unlock(struct db_conn *conn, int64_t key, struct err *err);
bool db_alive(struct db_conn *conn); /* one cheap round trip */
