/* SPDX-License-Identifier: Apache-2.0 */
/* exec.c - statements, transactions, savepoints and advisory locks on a connection. */
#include "crypto/crypto.h"
#include "db/conn.h"

#include <stdlib.h>
#include <string.h>

#define QUEUE_MAX 1024 /* statements sent without looking at results */

enum err_code
db_exec(struct db_conn *conn, const struct db_stmt *stmt, const struct db_param *params,
        size_t count, struct db_result **result, struct err *err)
{
    PGresult *last = NULL;

    conn->retry_advised = false;
    if (conn_send(conn, stmt, params, count, err) || conn_collect(conn, &last, err))
        return err->code;
    if (result)
        *result = (struct db_result *)last;
    else
        PQclear(last);
    return ERR_OK;
}

enum err_code
db_exec_expect(struct db_conn *conn, const struct db_stmt *stmt, const struct db_param *params,
               size_t count, int64_t rows, struct err *err)
{
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(conn, stmt, params, count, &result, err))
        return err->code;
    if (db_affected(result) != rows)
        return err_set(err, ERR_CONFLICT, "%lld rows affected, expected %lld",
                       (long long)db_affected(result), (long long)rows);
    return ERR_OK;
}

enum err_code
db_queue(struct db_conn *conn, const struct db_stmt *stmt, const struct db_param *params,
         size_t count, struct err *err)
{
    conn->retry_advised = false;
    if (conn->tx == TX_NONE)
        return err_set(err, ERR_INTERNAL, "statement queued outside a transaction");
    if (conn_send(conn, stmt, params, count, err))
        return err->code;
    return conn->pending_count >= QUEUE_MAX ? conn_collect(conn, NULL, err) : ERR_OK;
}

enum err_code
db_flush(struct db_conn *conn, struct err *err)
{
    conn->retry_advised = false;
    return conn->pending_count > 0 ? conn_collect(conn, NULL, err) : ERR_OK;
}

enum err_code
db_script(struct db_conn *conn, const char *sql, struct err *err)
{
    static const struct db_stmt nothing = {"SELECT"};

    /* The simple protocol needs the pipeline empty, and a lazy BEGIN sent. */
    if (conn->tx == TX_LAZY || conn->pending_count > 0 || conn->broken)
        if (db_exec(conn, &nothing, DB_NO_PARAMS, NULL, err))
            return err->code;
    conn->retry_advised = false;
    if (!PQexitPipelineMode(conn->pg))
        return conn_lost(conn, NULL, err);
    PGresult *result = PQexec(conn->pg, sql);
    ExecStatusType status = PQresultStatus(result);
    enum err_code code = ERR_OK;
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY) {
        code = conn_failure(conn, result, err);
        stats_error(code);
    }
    PQclear(result);
    if (!PQenterPipelineMode(conn->pg)) {
        conn->broken = true;
        return code ? code : conn_lost(conn, NULL, err);
    }
    return code;
}

enum err_code
db_begin(struct db_conn *conn, struct err *err)
{
    conn->retry_advised = false;
    if (conn->tx != TX_NONE)
        return err_set(err, ERR_INTERNAL, "transaction within a transaction");
    if (conn->broken)
        return err_set(err, ERR_UNAVAILABLE, "connection to PostgreSQL was lost before");
    conn->tx = TX_LAZY;
    conn->hook_count = 0;
    return ERR_OK;
}

static void
run_hooks(struct db_conn *conn)
{
    size_t count = conn->hook_count;

    conn->hook_count = 0;
    for (size_t i = 0; i < count; i++)
        conn->hooks[i].call(conn->hooks[i].arg);
}

enum err_code
db_commit(struct db_conn *conn, struct err *err)
{
    static const struct db_stmt commit = {"COMMIT"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (conn->tx == TX_NONE)
        return err_set(err, ERR_INTERNAL, "commit without a transaction");
    if (conn->tx == TX_OPEN) {
        if (db_exec(conn, &commit, DB_NO_PARAMS, &result, err)) {
            db_rollback(conn);
            return err->code;
        }
        /* A transaction that failed before is rolled back by COMMIT, without an error. */
        if (strcmp(PQcmdStatus((PGresult *)result), "COMMIT") != 0) {
            conn->tx = TX_NONE;
            conn->hook_count = 0;
            return err_set(err, ERR_INTERNAL, "commit of a transaction that had failed");
        }
    }
    conn->tx = TX_NONE;
    run_hooks(conn);
    return ERR_OK;
}

void
db_rollback(struct db_conn *conn)
{
    static const struct db_stmt rollback = {"ROLLBACK"};
    bool retry = conn->retry_advised;
    bool sent = conn->tx == TX_OPEN;
    struct err ignored; /* a connection that cannot roll back is closed, and that rolls back */

    conn->tx = TX_NONE;
    conn->hook_count = 0;
    if (sent && !conn->broken) {
        /* What was queued may have failed and would make the server skip the ROLLBACK. */
        if (db_flush(conn, &ignored) == ERR_OK || !conn->broken)
            if (PQtransactionStatus(conn->pg) != PQTRANS_IDLE &&
                db_exec(conn, &rollback, DB_NO_PARAMS, NULL, &ignored))
                conn->broken = true;
    }
    conn->retry_advised = retry;
}

bool
db_in_transaction(const struct db_conn *conn)
{
    return conn->tx != TX_NONE;
}

void
db_after_commit(struct db_conn *conn, void (*call)(void *arg), void *arg)
{
    for (size_t i = 0; i < conn->hook_count; i++)
        if (conn->hooks[i].call == call && conn->hooks[i].arg == arg)
            return;
    if (conn->hook_count == conn->hook_cap) {
        conn->hook_cap = conn->hook_cap ? 2 * conn->hook_cap : 4;
        conn->hooks = mem_realloc(conn->hooks, conn->hook_cap * sizeof(*conn->hooks));
    }
    conn->hooks[conn->hook_count++] = (struct commit_hook){call, arg};
}

static enum err_code
in_transaction(struct db_conn *conn, const struct db_stmt *stmt, struct err *err)
{
    if (conn->tx == TX_NONE)
        return err_set(err, ERR_INTERNAL, "savepoint outside a transaction");
    return db_exec(conn, stmt, DB_NO_PARAMS, NULL, err);
}

enum err_code
db_savepoint(struct db_conn *conn, struct err *err)
{
    static const struct db_stmt savepoint = {"SAVEPOINT s"};

    return in_transaction(conn, &savepoint, err);
}

enum err_code
db_rollback_to_savepoint(struct db_conn *conn, struct err *err)
{
    static const struct db_stmt rollback = {"ROLLBACK TO SAVEPOINT s"};
    struct err undone;

    /* Failures of what is queued are rolled back too. */
    if (db_flush(conn, &undone) && conn->broken) {
        *err = undone;
        return err->code;
    }
    return in_transaction(conn, &rollback, err);
}

enum err_code
db_release_savepoint(struct db_conn *conn, struct err *err)
{
    static const struct db_stmt release = {"RELEASE SAVEPOINT s"};

    return in_transaction(conn, &release, err);
}

int64_t
db_lock_key(const char *name)
{
    uint8_t digest[SHA256_BYTES];
    int64_t key;

    crypto_sha256(name, strlen(name), digest);
    memcpy(&key, digest, sizeof(key));
    return key;
}

enum err_code
db_try_lock(struct db_conn *conn, int64_t key, bool *got, struct err *err)
{
    static const struct db_stmt lock = {"SELECT pg_try_advisory_lock($1)"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(conn, &lock, DB_PARAMS(db_int(key)), &result, err))
        return err->code;
    *got = db_boolean(result, 0, 0);
    return ERR_OK;
}

enum err_code
db_unlock(struct db_conn *conn, int64_t key, struct err *err)
{
    static const struct db_stmt unlock = {"SELECT pg_advisory_unlock($1)"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(conn, &unlock, DB_PARAMS(db_int(key)), &result, err))
        return err->code;
    if (!db_boolean(result, 0, 0))
        return err_set(err, ERR_PRECONDITION, "advisory lock %lld is not held here",
                       (long long)key);
    return ERR_OK;
}

bool
db_alive(struct db_conn *conn)
{
    static const struct db_stmt ping = {"SELECT 1"};
    struct err ignored; /* the answer says it */

    return db_exec(conn, &ping, DB_NO_PARAMS, NULL, &ignored) == ERR_OK;
}
