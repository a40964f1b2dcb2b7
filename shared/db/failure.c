/* SPDX-License-Identifier: Apache-2.0 */
/* failure.c - SQLSTATE to error code (PostgreSQL manual, appendix A). */
#include "db/conn.h"

#include <string.h>

static const struct {
    const char *state; /* a class of two characters, or all five; the first match counts */
    enum err_code code;
    bool lost;  /* the connection is gone or of no use */
    bool retry; /* the transaction, as a whole */
} states[] = {
    {.state = "08", .code = ERR_UNAVAILABLE, .lost = true}, /* connection exception */
    {.state = "0A000",
     .code = ERR_INTERNAL,
     .lost = true}, /* also: a prepared plan that no longer fits */
    {.state = "22", .code = ERR_INVALID, .lost = false},       /* data exception */
    {.state = "23505", .code = ERR_EXISTS, .lost = false},     /* unique violation */
    {.state = "23P01", .code = ERR_EXISTS, .lost = false},     /* exclusion violation */
    {.state = "23", .code = ERR_PRECONDITION, .lost = false},  /* other integrity constraints */
    {.state = "25006", .code = ERR_UNAVAILABLE, .lost = true}, /* read-only: a standby answers */
    {.state = "25P03",
     .code = ERR_UNAVAILABLE,
     .lost = true}, /* idle in transaction for too long */
    {.state = "26000", .code = ERR_UNAVAILABLE, .lost = true}, /* no such prepared statement */
    {.state = "40001", .code = ERR_CONFLICT, .retry = true},   /* serialization failure */
    {.state = "40P01", .code = ERR_CONFLICT, .retry = true},   /* deadlock */
    {.state = "53",
     .code = ERR_UNAVAILABLE,
     .lost = false},                        /* out of memory, disk or connections */
    {.state = "54", .code = ERR_TOO_LARGE}, /* program limit, e.g. of an index row */
    {.state = "55P03", .code = ERR_CONFLICT, .retry = true}, /* lock time-out */
    {.state = "57014", .code = ERR_DEADLINE, .lost = false}, /* statement time-out, cancelled */
    {.state = "57", .code = ERR_UNAVAILABLE, .lost = true},  /* shutting down, terminated */
    {.state = "58", .code = ERR_UNAVAILABLE, .lost = false}, /* system error */
};

/* The first line of a text, without the blanks at its end. */
static int
line_len(const char *text)
{
    size_t len = strcspn(text, "\n");

    while (len > 0 && text[len - 1] == ' ')
        len--;
    return (int)len;
}

enum err_code
conn_lost(struct db_conn *conn, const char *why, struct err *err)
{
    const char *text = why ? why : PQerrorMessage(conn->pg);

    conn->broken = true;
    return err_set(err, ERR_UNAVAILABLE, "connection to PostgreSQL lost: %.*s", line_len(text),
                   text);
}

enum err_code
conn_failure(struct db_conn *conn, const PGresult *result, struct err *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

    if (!state || PQstatus(conn->pg) == CONNECTION_BAD)
        conn->broken = true;
    if (!state)
        return conn_lost(conn, PQresultErrorMessage(result), err);
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        if (strncmp(state, states[i].state, strlen(states[i].state)) != 0)
            continue;
        conn->broken |= states[i].lost;
        conn->retry_advised = states[i].retry;
        return err_set(err, states[i].code, "PostgreSQL: %s (%s)", text ? text : "", state);
    }
    return err_set(err, ERR_INTERNAL, "PostgreSQL: %s (%s)", text ? text : "", state);
}

bool
db_retry_advised(const struct db_conn *conn)
{
    return conn->retry_advised;
}
