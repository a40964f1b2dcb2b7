/* SPDX-License-Identifier: Apache-2.0 */
/* store_notify.c - SQL of notifications: who is to be told what, and when. */
#include "store.h"

#include "crypto/crypto.h"

#include <string.h>

/* ---- writing them, in the transaction of the change ---- */

static MUST_CHECK enum err_code
add(const struct store *store, const struct target *t, const char *kind, const char *alert_id,
    bool firing, bool held, int64_t now_ms, int64_t due_ms, struct err *err)
{
    static const struct db_stmt stmt = {
        "WITH n AS (INSERT INTO notification (id, workspace, receiver, route, group_key, kind,"
        " created_at_ms, due_at_ms, held) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING "
        "seq)"
        " INSERT INTO notification_alert (seq, workspace, alert_id, firing)"
        " SELECT seq, $2, $10, $11 FROM n"};
    char id[37];

    crypto_uuid7(id);
    return db_exec(store->db, &stmt,
                   DB_PARAMS(db_text(id), db_text(store->workspace), db_text(t->receiver),
                             db_text(t->route), db_text(t->group_key), db_text(kind),
                             db_int(now_ms), db_int(due_ms), db_bool(held), db_text(alert_id),
                             db_bool(firing)),
                   NULL, err);
}

enum err_code
store_notify(const struct store *store, const struct target *t, const char *alert_id, bool firing,
             int64_t now_ms, int64_t due_ms, struct err *err)
{
    /* The lock keeps the delivery from attempting it before this transaction ends. */
    static const struct db_stmt open_one = {
        "SELECT seq FROM notification n WHERE workspace = $1 AND receiver = $2 AND group_key = $3"
        " AND NOT done AND NOT held AND kind = 'change'"
        " ORDER BY seq DESC LIMIT 1 FOR UPDATE"};
    static const struct db_stmt join = {
        "INSERT INTO notification_alert (seq, workspace, alert_id, firing)"
        " SELECT seq, $2, $3, $4 FROM notification n WHERE seq = $1 AND attempts = 0 AND NOT done"
        " AND NOT EXISTS (SELECT FROM notification_alert e JOIN alert a ON a.workspace = "
        "e.workspace"
        " AND a.id = e.alert_id JOIN alert b ON b.workspace = a.workspace"
        " AND b.fingerprint = a.fingerprint WHERE e.seq = n.seq AND b.workspace = $2 AND b.id = "
        "$3)"};
    CLEANUP(db_result_free) struct db_result *last = NULL;
    CLEANUP(db_result_free) struct db_result *joined = NULL;

    if (db_exec(store->db, &open_one,
                DB_PARAMS(db_text(store->workspace), db_text(t->receiver), db_text(t->group_key)),
                &last, err))
        return err->code;
    if (db_rows(last) == 1) {
        if (db_exec(store->db, &join,
                    DB_PARAMS(db_int(db_i64(last, 0, 0)), db_text(store->workspace),
                              db_text(alert_id), db_bool(firing)),
                    &joined, err))
            return err->code;
        if (db_affected(joined) == 1)
            return ERR_OK;
    }
    return add(store, t, KIND_CHANGE, alert_id, firing, false, now_ms, due_ms, err);
}

enum err_code
store_escalate(const struct store *store, const struct target *t, const char *alert_id,
               int64_t now_ms, int64_t due_ms, struct err *err)
{
    return add(store, t, KIND_ESCALATION, alert_id, true, false, now_ms, due_ms, err);
}

enum err_code
store_drop_escalations(const struct store *store, const char *alert_id, struct err *err)
{
    static const struct db_stmt stmt = {
        "DELETE FROM notification n USING notification_alert e WHERE e.workspace = $1"
        " AND e.alert_id = $2 AND n.seq = e.seq AND NOT n.done AND n.kind = 'escalation'"
        " AND n.attempts = 0"};

    return db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(alert_id)), NULL,
                   err);
}

enum err_code
store_told(const struct store *store, const char *alert_id, struct target **targets, size_t *count,
           struct err *err)
{
    static const struct db_stmt drop_held = {
        "DELETE FROM notification_alert e USING notification n WHERE e.workspace = $1"
        " AND e.alert_id = $2 AND e.firing AND n.seq = e.seq AND n.held AND NOT n.done"};
    static const struct db_stmt told = {
        "SELECT DISTINCT n.receiver, n.route, n.group_key FROM notification n"
        " JOIN notification_alert e USING (seq) WHERE e.workspace = $1 AND e.alert_id = $2"
        " AND e.firing ORDER BY 1, 3"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (store_drop_escalations(store, alert_id, err) ||
        db_exec(store->db, &drop_held, DB_PARAMS(db_text(store->workspace), db_text(alert_id)),
                NULL, err) ||
        db_exec(store->db, &told, DB_PARAMS(db_text(store->workspace), db_text(alert_id)), &result,
                err))
        return err->code;
    *count = db_rows(result);
    *targets = arena_alloc(store->arena, *count * sizeof(**targets));
    for (size_t i = 0; i < *count; i++)
        (*targets)[i] = (struct target){db_copy(result, i, 0, store->arena),
                                        db_copy(result, i, 1, store->arena),
                                        db_copy(result, i, 2, store->arena)};
    return ERR_OK;
}

enum err_code
store_unhold(const struct store *store, int64_t now_ms, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE notification SET due_at_ms = $2 WHERE workspace = $1 AND held AND NOT done"
        " AND due_at_ms > $2"};

    return db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_int(now_ms)), NULL,
                   err);
}

enum err_code
store_list_notifications(const struct store *store, const char *alert_id,
                         Notification ***notifications, size_t *count, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT n.id, n.receiver, n.route, n.kind, e.firing, CASE WHEN n.done AND n.error <> ''"
        " THEN 'given up' WHEN n.done THEN 'delivered' WHEN n.held THEN 'held'"
        " WHEN n.attempts > 0 THEN 'retrying' ELSE 'waiting' END, n.due_at_ms, n.delivered_at_ms,"
        " n.attempts, n.error FROM notification n JOIN notification_alert e USING (seq)"
        " WHERE e.workspace = $1 AND e.alert_id = $2 ORDER BY seq DESC LIMIT 200"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(alert_id)), &result,
                err))
        return err->code;
    *count = db_rows(result);
    *notifications = arena_alloc(store->arena, *count * sizeof(**notifications));
    for (size_t i = 0; i < *count; i++) {
        Notification *n = (*notifications)[i] = arena_alloc(store->arena, sizeof(*n));
        modelbus__alert__v1__notification__init(n);
        n->id = db_copy(result, i, 0, store->arena);
        n->receiver = db_copy(result, i, 1, store->arena);
        n->route = db_copy(result, i, 2, store->arena);
        n->kind = db_copy(result, i, 3, store->arena);
        n->status = db_boolean(result, i, 4) ? "firing" : "resolved";
        n->state = db_copy(result, i, 5, store->arena);
        n->due_at_ms = db_i64(result, i, 6);
        n->delivered_at_ms = db_i64(result, i, 7);
        n->attempts = db_i64(result, i, 8);
        n->error = db_copy(result, i, 9, store->arena);
    }
    return ERR_OK;
}

/* ---- taking them ---- */

/* In a group what changed is told in order; what was attempted comes before what was not. */
#define ITS_TURN                                                                                   \
    "NOT n.done AND NOT EXISTS (SELECT FROM notification p WHERE p.workspace = n.workspace"        \
    " AND p.receiver = n.receiver AND p.group_key = n.group_key AND p.seq < n.seq AND NOT p.done"  \
    " AND NOT p.held AND (p.kind = 'change' OR p.attempts > 0))"

enum err_code
store_claim(const struct store *store, int64_t now_ms, struct notification **found, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT seq, id, workspace, receiver, route, group_key, kind, attempted_at_ms, attempts, "
        "body, held"
        " FROM notification n WHERE due_at_ms <= $1 AND " ITS_TURN
        " ORDER BY due_at_ms, seq LIMIT 1 FOR UPDATE OF n SKIP LOCKED"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_int(now_ms)), &result, err))
        return err->code;
    *found = NULL;
    if (db_rows(result) == 0)
        return ERR_OK;
    struct notification *n = arena_zalloc(store->arena, sizeof(*n));
    n->seq = db_i64(result, 0, 0);
    n->id = db_copy(result, 0, 1, store->arena);
    n->workspace = db_copy(result, 0, 2, store->arena);
    n->target =
        (struct target){db_copy(result, 0, 3, store->arena), db_copy(result, 0, 4, store->arena),
                        db_copy(result, 0, 5, store->arena)};
    n->kind = db_copy(result, 0, 6, store->arena);
    n->attempted_at_ms = db_i64(result, 0, 7);
    n->attempts = db_i64(result, 0, 8);
    n->held = db_boolean(result, 0, 10);
    if (n->attempts > 0) {
        n->group = db_unpack(result, 0, 9, &modelbus__alert__v1__alert_group__descriptor,
                             store->arena, err);
        if (!n->group)
            return err->code;
    }
    *found = n;
    return ERR_OK;
}

enum err_code
store_next_due(const struct store *store, int64_t *due_ms, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT least((SELECT min(due_at_ms) FROM notification n WHERE " ITS_TURN "),"
        " (SELECT min(resolve_at_ms) FROM alert WHERE firing AND resolve_at_ms > 0))"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_NO_PARAMS, &result, err))
        return err->code;
    *due_ms = db_is_null(result, 0, 0) ? INT64_MAX : db_i64(result, 0, 0);
    return ERR_OK;
}

enum err_code
store_list_entries(const struct store *store, const struct notification *n, struct entry **entries,
                   size_t *count, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT " ALERT_COLUMNS ", e.firing, EXISTS (SELECT FROM notification_alert f"
        " JOIN notification p USING (seq) WHERE f.workspace = $2 AND f.alert_id = e.alert_id"
        " AND f.firing AND p.receiver = $3 AND p.group_key = $4 AND p.seq <> e.seq"
        " AND p.attempts > 0) FROM notification_alert e"
        " JOIN alert a ON a.workspace = e.workspace AND a.id = e.alert_id"
        " WHERE e.seq = $1 AND e.workspace = $2 ORDER BY a.id"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_int(n->seq), db_text(store->workspace), db_text(n->target.receiver),
                          db_text(n->target.group_key)),
                &result, err))
        return err->code;
    *count = db_rows(result);
    *entries = arena_alloc(store->arena, *count * sizeof(**entries));
    for (size_t i = 0; i < *count; i++) {
        struct entry *entry = &(*entries)[i];
        if (store_read_alert(store, result, i, &entry->alert, err))
            return err->code;
        entry->firing = db_boolean(result, i, ALERT_COLUMN_COUNT);
        entry->told = db_boolean(result, i, ALERT_COLUMN_COUNT + 1);
    }
    return ERR_OK;
}

enum err_code
store_list_group(const struct store *store, const struct target *target, Alert ***alerts,
                 size_t *count, struct err *err)
{
    static const struct db_stmt stmt = {
        "WITH told AS MATERIALIZED (SELECT DISTINCT f.alert_id FROM notification p"
        " JOIN notification_alert f USING (seq) WHERE p.workspace = $1 AND p.receiver = $2"
        " AND p.group_key = $3 AND p.attempts > 0 AND f.firing) SELECT " ALERT_COLUMNS
        " FROM told JOIN alert a ON a.workspace = $1 AND a.id = told.alert_id WHERE a.firing"
        " ORDER BY a.id"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(target->receiver),
                          db_text(target->group_key)),
                &result, err))
        return err->code;
    *count = db_rows(result);
    *alerts = arena_alloc(store->arena, *count * sizeof(**alerts));
    for (size_t i = 0; i < *count; i++)
        if (store_read_alert(store, result, i, &(*alerts)[i], err))
            return err->code;
    return ERR_OK;
}

/* ---- what becomes of them ---- */

enum err_code
store_drop_entry(const struct store *store, int64_t seq, const char *alert_id, struct err *err)
{
    static const struct db_stmt stmt = {
        "DELETE FROM notification_alert WHERE seq = $1 AND alert_id = $2"};

    return db_exec(store->db, &stmt, DB_PARAMS(db_int(seq), db_text(alert_id)), NULL, err);
}

enum err_code
store_hold_entry(const struct store *store, const struct notification *n, const char *alert_id,
                 int64_t now_ms, int64_t due_ms, struct err *err)
{
    if (store_drop_entry(store, n->seq, alert_id, err))
        return err->code;
    return add(store, &n->target, n->kind, alert_id, true, true, now_ms, due_ms, err);
}

enum err_code
store_attempt(const struct store *store, const struct notification *n, const AlertGroup *group,
              int64_t now_ms, int64_t due_ms, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE notification SET attempts = attempts + 1, due_at_ms = $2, held = false,"
        " body = coalesce($3, body),"
        " attempted_at_ms = CASE attempts WHEN 0 THEN $4 ELSE attempted_at_ms END WHERE seq = $1"};

    return db_exec(store->db, &stmt,
                   DB_PARAMS(db_int(n->seq), db_int(due_ms),
                             group ? db_message(store->arena, &group->base) : db_null(),
                             db_int(now_ms)),
                   NULL, err);
}

enum err_code
store_retry(const struct store *store, const struct notification *n, int64_t due_ms,
            const char *why, struct err *err)
{
    static const struct db_stmt stmt = {"UPDATE notification SET due_at_ms = $3, error = $4"
                                        " WHERE seq = $1 AND attempts = $2 AND NOT done"};

    return db_exec(store->db, &stmt,
                   DB_PARAMS(db_int(n->seq), db_int(n->attempts), db_int(due_ms), db_text(why)),
                   NULL, err);
}

enum err_code
store_finish(const struct store *store, const struct notification *n, int64_t now_ms,
             const char *why, bool *mine, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE notification SET done = true, delivered_at_ms = $3, error = $4"
        " WHERE seq = $1 AND attempts = $2 AND NOT done"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_int(n->seq), db_int(n->attempts), db_int(now_ms), db_text(why)),
                &result, err))
        return err->code;
    *mine = db_affected(result) == 1;
    return ERR_OK;
}

enum err_code
store_postpone(const struct store *store, int64_t seq, bool held, int64_t due_ms, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE notification SET due_at_ms = $2, held = $3 WHERE seq = $1"};

    return db_exec(store->db, &stmt, DB_PARAMS(db_int(seq), db_int(due_ms), db_bool(held)), NULL,
                   err);
}

enum err_code
store_drop_notification(const struct store *store, int64_t seq, struct err *err)
{
    static const struct db_stmt stmt = {"DELETE FROM notification WHERE seq = $1"};

    return db_exec(store->db, &stmt, DB_PARAMS(db_int(seq)), NULL, err);
}

enum err_code
store_set_repeat(const struct store *store, const struct target *t, int64_t now_ms, int64_t due_ms,
                 struct err *err)
{
    static const struct db_stmt put = {
        "INSERT INTO notification AS n (id, workspace, receiver, route, group_key, kind,"
        " created_at_ms, due_at_ms) VALUES ($1, $2, $3, $4, $5, 'repeat', $6, $7)"
        " ON CONFLICT (workspace, receiver, group_key) WHERE kind = 'repeat' AND NOT done"
        " DO UPDATE SET due_at_ms = excluded.due_at_ms WHERE n.attempts = 0"};
    static const struct db_stmt drop = {
        "DELETE FROM notification WHERE workspace = $1 AND receiver = $2 AND group_key = $3"
        " AND kind = 'repeat' AND NOT done AND attempts = 0"};
    char id[37];

    if (due_ms == 0)
        return db_exec(
            store->db, &drop,
            DB_PARAMS(db_text(store->workspace), db_text(t->receiver), db_text(t->group_key)), NULL,
            err);
    crypto_uuid7(id);
    return db_exec(store->db, &put,
                   DB_PARAMS(db_text(id), db_text(store->workspace), db_text(t->receiver),
                             db_text(t->route), db_text(t->group_key), db_int(now_ms),
                             db_int(due_ms)),
                   NULL, err);
}

enum err_code
store_prune(const struct store *store, int64_t before_ms, struct err *err)
{
    /* Not those of alerts that still fire: they say who is to hear of the end. */
    static const struct db_stmt notifications = {
        "DELETE FROM notification WHERE seq IN (SELECT seq FROM notification n WHERE done"
        " AND delivered_at_ms < $1 AND NOT EXISTS (SELECT FROM notification_alert e JOIN alert a"
        " ON a.workspace = e.workspace AND a.id = e.alert_id WHERE e.seq = n.seq AND a.firing)"
        " LIMIT $2)"};
    static const struct db_stmt alerts = {
        "DELETE FROM alert WHERE (workspace, id) IN (SELECT workspace, id FROM alert a"
        " WHERE NOT firing AND resolved_at_ms < $1 AND NOT EXISTS (SELECT FROM notification_alert e"
        " WHERE e.workspace = a.workspace AND e.alert_id = a.id) LIMIT $2)"};
    static const struct db_stmt silences = {
        "DELETE FROM silence WHERE (workspace, id) IN"
        " (SELECT workspace, id FROM silence WHERE ends_at_ms < $1 LIMIT $2)"};
    static const struct db_stmt *const stmts[] = {&notifications, &alerts, &silences};

    for (size_t i = 0; i < ARRAY_LEN(stmts); i++)
        if (db_exec(store->db, stmts[i], DB_PARAMS(db_int(before_ms), db_int(STORE_PRUNE_ROWS)),
                    NULL, err))
            return err->code;
    return ERR_OK;
}

enum err_code
store_measure(const struct store *store, int64_t *firing, int64_t *waiting, int64_t *oldest_ms,
              struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT (SELECT count(*) FROM alert WHERE firing), count(*),"
        " coalesce(min(created_at_ms), 0) FROM notification WHERE NOT done AND NOT held"
        " AND kind <> 'repeat'"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_NO_PARAMS, &result, err))
        return err->code;
    *firing = db_i64(result, 0, 0);
    *waiting = db_i64(result, 0, 1);
    *oldest_ms = db_i64(result, 0, 2);
    return ERR_OK;
}
