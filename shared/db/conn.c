/* SPDX-License-Identifier: Apache-2.0 */
/* conn.c - one connection: its session, sending, and collecting results in order. */
#include "db/conn.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PARAMS_MAX 64
#define ANSWER_MS 35000 /* a little more than statement_timeout */

static void
ignore_notice(void *arg, const char *text)
{
    (void)arg;
    (void)text;
}

struct db_conn *
conn_open(const char *url, const char *schema, struct err *err)
{
    /* What the URL says wins: libpq lets later keywords override. */
    const char *const names[] = {"connect_timeout",
                                 "keepalives_idle",
                                 "keepalives_interval",
                                 "keepalives_count",
                                 "tcp_user_timeout",
                                 "application_name",
                                 "client_encoding",
                                 "options",
                                 "dbname",
                                 NULL};
    const char *const values[] = {"3",
                                  "10",
                                  "5",
                                  "3",
                                  "15000",
                                  schema,
                                  "UTF8",
                                  "-c statement_timeout=30000 -c lock_timeout=10000"
                                  " -c idle_in_transaction_session_timeout=60000"
                                  " -c timezone=UTC -c bytea_output=hex",
                                  url,
                                  NULL};
    struct db_conn *conn = mem_zalloc(sizeof(*conn));
    char sql[128];

    conn->answer_ms = ANSWER_MS;
    conn->pg = PQconnectdbParams(names, values, 1);
    if (!conn->pg || PQstatus(conn->pg) != CONNECTION_OK)
        goto failed;
    PQsetNoticeProcessor(conn->pg, ignore_notice, NULL);
    snprintf(sql, sizeof(sql), "SET search_path TO \"%s\"", schema);
    PGresult *result = PQexec(conn->pg, sql);
    ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    if (status != PGRES_COMMAND_OK || PQsetnonblocking(conn->pg, 1) != 0 ||
        !PQenterPipelineMode(conn->pg))
        goto failed;
    return conn;
failed:
    conn_lost(conn, NULL, err);
    conn_close(conn);
    return NULL;
}

void
conn_close(struct db_conn *conn)
{
    PQfinish(conn->pg);
    free(conn->pending);
    free(conn->prepared);
    free(conn->hooks);
    free(conn);
}

static void
expect(struct db_conn *conn, const struct db_stmt *stmt, bool prepare)
{
    if (conn->pending_count == conn->pending_cap) {
        conn->pending_cap = conn->pending_cap ? 2 * conn->pending_cap : 16;
        conn->pending = mem_realloc(conn->pending, conn->pending_cap * sizeof(*conn->pending));
    }
    conn->pending[conn->pending_count++] = (struct pending){stmt, prepare};
}

static enum err_code
begin_if_lazy(struct db_conn *conn, struct err *err)
{
    static const struct db_stmt begin = {"BEGIN"};

    if (conn->tx != TX_LAZY)
        return ERR_OK;
    conn->tx = TX_OPEN;
    return conn_send(conn, &begin, DB_NO_PARAMS, err);
}

enum err_code
conn_send(struct db_conn *conn, const struct db_stmt *stmt, const struct db_param *params,
          size_t count, struct err *err)
{
    char numbers[PARAMS_MAX][32];
    const char *values[PARAMS_MAX];
    int lengths[PARAMS_MAX];
    int formats[PARAMS_MAX];
    char name[PREPARED_NAME_MAX];

    if (count > PARAMS_MAX)
        return err_set(err, ERR_INTERNAL, "a statement with %zu parameters", count);
    if (conn->broken)
        return err_set(err, ERR_UNAVAILABLE, "connection to PostgreSQL was lost before");
    for (size_t i = 0; i < count; i++) {
        const struct db_param *p = &params[i];
        formats[i] = 0;
        lengths[i] = 0;
        values[i] = numbers[i];
        switch (p->kind) {
        case DB_KIND_NULL:
            values[i] = NULL;
            break;
        case DB_KIND_TEXT:
            values[i] = p->value.bytes.data;
            break;
        case DB_KIND_BYTES:
            if (p->value.bytes.len > INT32_MAX)
                return err_set(err, ERR_TOO_LARGE, "a parameter of %zu bytes", p->value.bytes.len);
            values[i] = p->value.bytes.len ? p->value.bytes.data : "";
            lengths[i] = (int)p->value.bytes.len;
            formats[i] = 1;
            break;
        case DB_KIND_INT:
            snprintf(numbers[i], sizeof(numbers[i]), "%lld", (long long)p->value.i);
            break;
        case DB_KIND_DOUBLE:
            snprintf(numbers[i], sizeof(numbers[i]), "%.17g", p->value.d);
            break;
        case DB_KIND_BOOL:
            values[i] = p->value.i ? "t" : "f";
            break;
        }
    }
    if (begin_if_lazy(conn, err))
        return err->code;
    prepared_name(stmt, name);
    if (!prepared_has(conn, stmt)) {
        if (!PQsendPrepare(conn->pg, name, stmt->sql, 0, NULL))
            return conn_lost(conn, NULL, err);
        expect(conn, stmt, true);
        prepared_add(conn, stmt);
    }
    if (!PQsendQueryPrepared(conn->pg, name, (int)count, values, lengths, formats, 0))
        return conn_lost(conn, NULL, err);
    expect(conn, stmt, false);
    return ERR_OK;
}

/*
 * Send what is buffered and read until the next result is there. Reads while it writes: else
 * both sides could wait for the other to empty its buffer. False: no answer in time.
 */
static bool
await_result(struct db_conn *conn, int64_t until_ms)
{
    for (;;) {
        int unsent = PQflush(conn->pg);
        if (unsent < 0 || (unsent == 0 && !PQisBusy(conn->pg)))
            return true;
        struct pollfd fd = {.fd = PQsocket(conn->pg),
                            .events = (short)(POLLIN | (unsent ? POLLOUT : 0))};
        int64_t left = until_ms ? until_ms - clock_ms() : -1;
        if (until_ms && left <= 0)
            return false;
        int n = poll(&fd, 1, (int)left);
        if (n < 0 && errno != EINTR)
            return false;
        /* A lost connection shows in the result that libpq then makes up. */
        if (n > 0 && (fd.revents & ~POLLOUT) && !PQconsumeInput(conn->pg))
            return true;
    }
}

/* The one result of a statement (or of the synchronisation point); NULL: too late. */
static PGresult *
next_result(struct db_conn *conn, bool sync, int64_t until_ms)
{
    PGresult *first = NULL;

    for (;;) {
        if (!await_result(conn, until_ms)) {
            PQclear(first);
            return NULL;
        }
        PGresult *result = PQgetResult(conn->pg);
        if (!first)
            first = result;
        else
            PQclear(result);
        if (!result || sync || PQstatus(conn->pg) == CONNECTION_BAD)
            return first;
    }
}

static enum err_code
collect(struct db_conn *conn, PGresult **last, struct err *err)
{
    int64_t until_ms = conn->answer_ms ? clock_ms() + conn->answer_ms : 0;
    enum err_code code = ERR_OK;

    *last = NULL;
    if (conn->broken)
        return err_set(err, ERR_UNAVAILABLE, "connection to PostgreSQL was lost before");
    if (!PQpipelineSync(conn->pg))
        return conn_lost(conn, NULL, err);
    for (size_t i = 0; i <= conn->pending_count; i++) {
        bool sync = i == conn->pending_count;
        PGresult *result = next_result(conn, sync, until_ms);
        ExecStatusType status = PQresultStatus(result);
        bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;

        if (!result) {
            conn->broken = true;
            return code ? code : conn_lost(conn, "no answer in time", err);
        }
        if (status == PGRES_FATAL_ERROR && !code)
            code = conn_failure(conn, result, err);
        if (!sync && !ok && conn->pending[i].prepare)
            prepared_remove(conn, conn->pending[i].stmt);
        if (!sync && ok && !conn->pending[i].prepare) {
            PQclear(*last);
            *last = result;
        } else {
            PQclear(result);
        }
        if (PQstatus(conn->pg) == CONNECTION_BAD) {
            conn->broken = true;
            return code ? code : conn_lost(conn, NULL, err);
        }
        /* After a failure the server skips (PIPELINE_ABORTED) up to the synchronisation. */
        if (sync ? status != PGRES_PIPELINE_SYNC : !ok && !code) {
            conn->broken = true;
            return err_set(err, ERR_INTERNAL, "PostgreSQL: unexpected result %s",
                           PQresStatus(status));
        }
    }
    return code;
}

enum err_code
conn_collect(struct db_conn *conn, PGresult **last, struct err *err)
{
    PGresult *result;
    struct timespec from, to;

    clock_gettime(CLOCK_MONOTONIC, &from);
    enum err_code code = collect(conn, &result, err);
    clock_gettime(CLOCK_MONOTONIC, &to);
    stats_query((double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec));
    conn->pending_count = 0;
    if (code)
        stats_error(code);
    if (code || !last)
        PQclear(result);
    if (!code && last)
        *last = result;
    return code;
}
