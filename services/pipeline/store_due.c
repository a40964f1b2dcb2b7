/* SPDX-License-Identifier: Apache-2.0 */
/* store_due.c - SQL of the scheduler: what is due in all workspaces, and what is to be forgotten. */
#include "store.h"

static MUST_CHECK enum err_code
find(const struct store *store, const struct db_stmt *stmt, const struct db_param *params,
     size_t count, struct due *due, struct err *err)
{
    CLEANUP(db_result_free) struct db_result *result = NULL;

    *due = (struct due){NULL, NULL, NULL};
    if (db_exec(store->db, stmt, params, count, &result, err))
        return err->code;
    if (db_rows(result) == 0)
        return ERR_OK;
    due->workspace = db_copy(result, 0, 0, store->arena);
    due->run = db_copy(result, 0, 1, store->arena);
    due->lease = db_copy(result, 0, 2, store->arena);
    return ERR_OK;
}

#define TO_BEGIN                                                                                   \
    "NOT r.begun AND r.finished_ms = 0 AND NOT (r.serial AND EXISTS (SELECT 1 FROM run o"          \
    " WHERE o.workspace = r.workspace AND o.pipeline = r.pipeline AND o.finished_ms = 0"           \
    " AND (o.begun OR o.id < r.id)))"

enum err_code
store_find_to_begin(const struct store *store, struct due *due, struct err *err)
{
    static const struct db_stmt stmt = {"SELECT r.workspace, r.id, '' FROM run r WHERE " TO_BEGIN
                                        " ORDER BY r.id LIMIT 1 FOR UPDATE SKIP LOCKED"};

    return find(store, &stmt, DB_NO_PARAMS, due, err);
}

enum err_code
store_find_lost(const struct store *store, int64_t now_ms, struct due *due, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT a.workspace, a.run, a.lease FROM attempt a JOIN run r ON r.id = a.run"
        " WHERE a.status = 'running' AND a.leased_until_ms < $1 ORDER BY a.leased_until_ms LIMIT 1"
        " FOR UPDATE OF r SKIP LOCKED"};

    return find(store, &stmt, DB_PARAMS(db_int(now_ms)), due, err);
}

enum err_code
store_stop_overdue(const struct store *store, int64_t now_ms, struct due *due, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE attempt SET stop = 'timeout' WHERE lease = (SELECT lease FROM attempt"
        " WHERE status = 'running' AND stop = '' AND stop_ms <= $1 ORDER BY stop_ms LIMIT 1"
        " FOR UPDATE SKIP LOCKED) RETURNING workspace, run, lease"};

    return find(store, &stmt, DB_PARAMS(db_int(now_ms)), due, err);
}

enum err_code
store_find_overdue_run(const struct store *store, int64_t now_ms, struct due *due, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT workspace, id, '' FROM run WHERE finished_ms = 0 AND deadline_ms > 0"
        " AND deadline_ms <= $1 ORDER BY deadline_ms LIMIT 1 FOR UPDATE SKIP LOCKED"};

    return find(store, &stmt, DB_PARAMS(db_int(now_ms)), due, err);
}

enum err_code
store_find_woken(const struct store *store, int64_t after_ms, int64_t now_ms,
                 const char ***workspaces, size_t *count, struct err *err)
{
    static const struct db_stmt stmt = {"SELECT DISTINCT workspace FROM attempt WHERE status ="
                                        " 'ready' AND due_ms > $1 AND due_ms <= $2"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_int(after_ms), db_int(now_ms)), &result, err))
        return err->code;
    *count = db_rows(result);
    *workspaces = arena_alloc(store->arena, *count * sizeof(**workspaces));
    for (size_t i = 0; i < *count; i++)
        (*workspaces)[i] = db_copy(result, i, 0, store->arena);
    return ERR_OK;
}

enum err_code
store_next_due(const struct store *store, int64_t now_ms, int64_t *due_ms, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT coalesce(least((SELECT min(next_due_ms) FROM trigger_state),"
        " (SELECT 0 FROM run r WHERE " TO_BEGIN " LIMIT 1),"
        " (SELECT min(deadline_ms) FROM run WHERE finished_ms = 0 AND deadline_ms > 0),"
        " (SELECT min(due_ms) FROM attempt WHERE status = 'ready' AND due_ms > $1),"
        " (SELECT min(leased_until_ms) + 1 FROM attempt WHERE status = 'running'),"
        " (SELECT min(stop_ms) FROM attempt WHERE status = 'running' AND stop = '')),"
        " 9223372036854775807)"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_int(now_ms)), &result, err))
        return err->code;
    *due_ms = db_i64(result, 0, 0);
    return ERR_OK;
}

enum err_code
store_seen(const struct store *store, int64_t now_ms, int64_t *before_ms, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE alive SET seen_ms = $1 FROM (SELECT seen_ms AS before FROM alive FOR UPDATE) o"
        " RETURNING o.before"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_int(now_ms)), &result, err))
        return err->code;
    *before_ms = db_i64(result, 0, 0);
    return ERR_OK;
}

enum err_code
store_prolong(const struct store *store, int64_t by_ms, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE attempt SET leased_until_ms = leased_until_ms + $1 WHERE lease IN (SELECT lease"
        " FROM attempt WHERE status = 'running' AND leased_until_ms > 0 FOR UPDATE SKIP LOCKED)"};

    return db_exec(store->db, &stmt, DB_PARAMS(db_int(by_ms)), NULL, err);
}

enum err_code
store_measure(const struct store *store, int64_t now_ms, int64_t seen_ms, struct measures *measures,
              struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT (SELECT count(*) FROM attempt WHERE status = 'ready' AND due_ms <= $1),"
        " (SELECT count(*) FROM attempt WHERE status = 'running'),"
        " (SELECT min(due_ms) FROM attempt WHERE status = 'ready' AND due_ms <= $1),"
        " (SELECT count(*) FROM run WHERE finished_ms = 0),"
        " (SELECT count(*) FROM worker WHERE seen_ms > $2 AND NOT drain AND NOT stopping)"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_int(now_ms), db_int(seen_ms)), &result, err))
        return err->code;
    *measures = (struct measures){db_i64(result, 0, 0), db_i64(result, 0, 1), db_i64(result, 0, 2),
                                  db_i64(result, 0, 3), db_i64(result, 0, 4)};
    return ERR_OK;
}

enum err_code
store_prune(const struct store *store, int64_t before_ms, int64_t log_before_ms, struct err *err)
{
    static const struct db_stmt runs = {
        "DELETE FROM run WHERE id IN (SELECT id FROM run WHERE finished_ms > 0 AND finished_ms < $1"
        " ORDER BY finished_ms LIMIT $2 FOR UPDATE SKIP LOCKED)"};
    static const struct db_stmt logs = {
        "DELETE FROM log_chunk c USING attempt a WHERE a.lease = c.lease AND a.finished_ms > 0"
        " AND a.finished_ms < $1 AND (a.log_uri <> '' OR a.finished_ms < $2)"};
    static const struct db_stmt cache = {"DELETE FROM output_cache WHERE at_ms < $1"};
    static const struct db_stmt workers = {
        "DELETE FROM worker w WHERE seen_ms < $1 AND NOT EXISTS (SELECT 1 FROM attempt a"
        " WHERE a.workspace = w.workspace AND a.worker = w.name AND a.status = 'running')"};

    if (db_exec(store->db, &runs, DB_PARAMS(db_int(before_ms), db_int(STORE_PRUNE_RUNS)), NULL,
                err) ||
        db_exec(store->db, &logs, DB_PARAMS(db_int(log_before_ms), db_int(before_ms)), NULL, err) ||
        db_exec(store->db, &cache, DB_PARAMS(db_int(before_ms)), NULL, err))
        return err->code;
    return db_exec(store->db, &workers, DB_PARAMS(db_int(before_ms)), NULL, err);
}
