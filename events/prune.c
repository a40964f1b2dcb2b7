/* SPDX-License-Identifier: Apache-2.0 */
/* prune.c - deletes by ctid, found through the block range indexes. */
#include "prune.h"

#include "outbox.h"

static const struct db_stmt prune_outbox = {
    "DELETE FROM outbox WHERE ctid = ANY (ARRAY(SELECT ctid FROM outbox"
    " WHERE created_at < now() - $1::bigint * interval '1 millisecond'"
    " AND published_at < now() - $1::bigint * interval '1 millisecond' LIMIT $2))"};
static const struct db_stmt prune_inbox = {
    "DELETE FROM inbox WHERE ctid = ANY (ARRAY(SELECT ctid FROM inbox"
    " WHERE at < now() - $1::bigint * interval '1 millisecond' LIMIT $2))"};
static const struct db_stmt prune_requests = {
    "DELETE FROM rpc_request WHERE ctid = ANY (ARRAY(SELECT ctid FROM rpc_request"
    " WHERE at < now() - $1::bigint * interval '1 millisecond' LIMIT $2))"};

static enum err_code
prune(struct db_conn *conn, const struct db_stmt *stmt, int64_t age_ms, bool *more, struct err *err)
{
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(conn, stmt, DB_PARAMS(db_int(age_ms), db_int(PRUNE_ROWS)), &result, err))
        return err_wrap(err, "prune");
    if (db_affected(result) == PRUNE_ROWS)
        *more = true;
    return ERR_OK;
}

enum err_code
prune_tables(struct db_conn *conn, int64_t outbox_retention_ms, bool *more, struct err *err)
{
    *more = false;
    if (prune(conn, &prune_outbox, outbox_retention_ms, more, err) ||
        prune(conn, &prune_inbox, INBOX_RETENTION_S * 1000LL, more, err) ||
        prune(conn, &prune_requests, INBOX_RETENTION_S * 1000LL, more, err))
        return err->code;
    return ERR_OK;
}
