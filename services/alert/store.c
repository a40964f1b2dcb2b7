/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - SQL of what is configured, of alerts and of silences. */
#include "store.h"

#include "db/db_page.h"

#include <string.h>

/* ---- what is configured ---- */

enum err_code
store_load_config(const struct store *store, AlertConfig **config, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT kind, body FROM config WHERE workspace = $1 ORDER BY kind, name"};
    CLEANUP(db_result_free) struct db_result *result = NULL;
    AlertConfig *found = arena_alloc(store->arena, sizeof(*found));

    modelbus__alert__v1__alert_config__init(found);
    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace)), &result, err))
        return err->code;
    for (size_t i = 0; i < db_rows(result); i++) {
        int kind = 0;
        while (strcmp(entry_types[kind].name, db_str(result, i, 0)) != 0)
            kind++;
        ProtobufCMessage *entry =
            db_unpack(result, i, 1, entry_types[kind].descriptor, store->arena, err);
        if (!entry)
            return err->code;
        entry_set_origin(entry, "workspace");
        rulebook_add(found, (enum entry_kind)kind, entry, store->arena);
    }
    *config = found;
    return ERR_OK;
}

enum err_code
store_put_config(const struct store *store, enum entry_kind kind, const ProtobufCMessage *entry,
                 struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO config (workspace, kind, name, body) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (workspace, kind, name) DO UPDATE SET body = excluded.body"};

    return db_exec(store->db, &stmt,
                   DB_PARAMS(db_text(store->workspace), db_text(entry_types[kind].name),
                             db_text(entry_name(entry)), db_message(store->arena, entry)),
                   NULL, err);
}

enum err_code
store_delete_config(const struct store *store, enum entry_kind kind, const char *name,
                    bool *existed, struct err *err)
{
    static const struct db_stmt stmt = {
        "DELETE FROM config WHERE workspace = $1 AND kind = $2 AND name = $3"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(
            store->db, &stmt,
            DB_PARAMS(db_text(store->workspace), db_text(entry_types[kind].name), db_text(name)),
            &result, err))
        return err->code;
    *existed = db_affected(result) == 1;
    return ERR_OK;
}

/* ---- alerts ---- */

enum err_code
store_read_alert(const struct store *store, const struct db_result *result, size_t row,
                 Alert **alert, struct err *err)
{
    Alert *body =
        db_unpack(result, row, 0, &modelbus__alert__v1__alert__descriptor, store->arena, err);
    Alert *last =
        body ? db_unpack(result, row, 1, &modelbus__alert__v1__alert__descriptor, store->arena, err)
             : NULL;

    if (!last)
        return err->code;
    body->annotations = last->annotations;
    body->n_annotations = last->n_annotations;
    body->state = db_boolean(result, row, 2) ? "firing" : "resolved";
    body->resolved_at_ms = db_i64(result, row, 3);
    body->resolved_by = db_copy(result, row, 4, store->arena);
    body->acknowledged_at_ms = db_i64(result, row, 5);
    body->acknowledged_by = db_copy(result, row, 6, store->arena);
    body->comment = db_copy(result, row, 7, store->arena);
    body->events = db_i64(result, row, 8);
    body->last_event_at_ms = db_i64(result, row, 9);
    *alert = body;
    return ERR_OK;
}

static MUST_CHECK enum err_code
read_alerts(const struct store *store, const struct db_result *result, size_t rows, Alert ***alerts,
            size_t *count, struct err *err)
{
    Alert **list = arena_alloc(store->arena, rows * sizeof(*list));

    for (size_t i = 0; i < rows; i++)
        if (store_read_alert(store, result, i, &list[i], err))
            return err->code;
    *alerts = list;
    *count = rows;
    return ERR_OK;
}

enum err_code
store_fire(const struct store *store, const Alert *alert, int64_t resolve_at_ms, bool *fresh,
           struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO alert AS a (workspace, id, fingerprint, rule, body, annotations, firing,"
        " started_at_ms, resolve_at_ms, resolved_at_ms, resolved_by, acknowledged_at_ms,"
        " acknowledged_by, comment, events, last_event_at_ms)"
        " VALUES ($1, $2, $3, $4, $5, $6, true, $7, $8, 0, '', 0, '', '', 1, $7)"
        " ON CONFLICT (workspace, fingerprint) WHERE firing DO UPDATE SET"
        " annotations = excluded.annotations, resolve_at_ms = excluded.resolve_at_ms,"
        " events = a.events + 1, last_event_at_ms = excluded.last_event_at_ms"
        " RETURNING id = $2::uuid"};
    CLEANUP(db_result_free) struct db_result *result = NULL;
    Alert body = *alert, last = MODELBUS__ALERT__V1__ALERT__INIT;

    last.annotations = alert->annotations;
    last.n_annotations = alert->n_annotations;
    body.n_annotations = 0;
    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(alert->id),
                          db_text(alert->fingerprint), db_text(alert->name),
                          db_message(store->arena, &body.base),
                          db_message(store->arena, &last.base), db_int(alert->started_at_ms),
                          db_int(resolve_at_ms)),
                &result, err))
        return err->code;
    *fresh = db_boolean(result, 0, 0);
    return ERR_OK;
}

enum err_code
store_find_firing(const struct store *store, const char *fingerprint, Alert **alert,
                  struct err *err)
{
    static const struct db_stmt stmt = {"SELECT " ALERT_COLUMNS " FROM alert a"
                                        " WHERE workspace = $1 AND fingerprint = $2 AND firing"
                                        " FOR UPDATE"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(fingerprint)),
                &result, err))
        return err->code;
    *alert = NULL;
    return db_rows(result) ? store_read_alert(store, result, 0, alert, err) : ERR_OK;
}

enum err_code
store_get_alert(const struct store *store, const char *id, enum store_lock lock, Alert **alert,
                struct err *err)
{
#define SELECT "SELECT " ALERT_COLUMNS " FROM alert a WHERE workspace = $1 AND id = $2"
    static const struct db_stmt read = {SELECT};
    static const struct db_stmt locked = {SELECT " FOR UPDATE"};
#undef SELECT
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, lock == STORE_LOCK ? &locked : &read,
                DB_PARAMS(db_text(store->workspace), db_text(id)), &result, err))
        return err->code;
    if (db_rows(result) == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no alert %s", id);
    return store_read_alert(store, result, 0, alert, err);
}

enum err_code
store_resolve(const struct store *store, const char *id, int64_t now_ms, const char *by,
              struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE alert SET firing = false, resolved_at_ms = $3, resolved_by = $4"
        " WHERE workspace = $1 AND id = $2 AND firing"};

    return db_exec_expect(
        store->db, &stmt,
        DB_PARAMS(db_text(store->workspace), db_text(id), db_int(now_ms), db_text(by)), 1, err);
}

enum err_code
store_acknowledge(const struct store *store, const char *id, int64_t now_ms, const char *by,
                  const char *comment, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE alert SET acknowledged_at_ms = $3, acknowledged_by = $4, comment = $5"
        " WHERE workspace = $1 AND id = $2"};

    return db_exec(store->db, &stmt,
                   DB_PARAMS(db_text(store->workspace), db_text(id), db_int(now_ms), db_text(by),
                             db_text(comment)),
                   NULL, err);
}

enum err_code
store_list_alerts(const struct store *store, const char *before, bool include_resolved,
                  int64_t limit, Alert ***alerts, size_t *count, bool *more, struct err *err)
{
    static const struct db_stmt stmt = {DB_PAGE_SELECT(
        "SELECT " ALERT_COLUMNS, "alert WHERE workspace = $1 AND id < $2::uuid AND ($3 OR firing)",
        "a", "id DESC", "octet_length(body) + octet_length(annotations) + octet_length(comment)",
        "$4", "$5")};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(before), db_bool(include_resolved),
                          db_int(limit), db_int(DB_PAGE_BYTES)),
                &result, err))
        return err->code;
    return read_alerts(store, result, db_page_rows(result, ALERT_COLUMN_COUNT, limit, more), alerts,
                       count, err);
}

enum err_code
store_list_firing(const struct store *store, const char *rule, Alert ***alerts, size_t *count,
                  struct err *err)
{
    static const struct db_stmt stmt = {"SELECT " ALERT_COLUMNS " FROM alert a WHERE workspace = $1"
                                        " AND firing AND ($2::text IS NULL OR rule = $2)"
                                        " ORDER BY id DESC LIMIT $3"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(rule), db_int(STORE_FIRING_MAX)),
                &result, err))
        return err->code;
    return read_alerts(store, result, db_rows(result), alerts, count, err);
}

enum err_code
store_find_overdue(const struct store *store, int64_t now_ms, const char **workspace,
                   const char **id, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT workspace, id FROM alert WHERE firing AND resolve_at_ms > 0 AND resolve_at_ms <= $1"
        " ORDER BY resolve_at_ms LIMIT 1 FOR UPDATE SKIP LOCKED"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_int(now_ms)), &result, err))
        return err->code;
    bool found = db_rows(result) == 1;
    *workspace = found ? db_copy(result, 0, 0, store->arena) : NULL;
    *id = found ? db_copy(result, 0, 1, store->arena) : NULL;
    return ERR_OK;
}

/* ---- silences ---- */

enum err_code
store_add_silence(const struct store *store, const Silence *silence, struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO silence (workspace, id, body, ends_at_ms) VALUES ($1, $2, $3, $4)"};

    return db_exec(store->db, &stmt,
                   DB_PARAMS(db_text(store->workspace), db_text(silence->id),
                             db_message(store->arena, &silence->base), db_int(silence->ends_at_ms)),
                   NULL, err);
}

enum err_code
store_end_silence(const struct store *store, const char *id, int64_t now_ms, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE silence SET ends_at_ms = least(ends_at_ms, $3) WHERE workspace = $1 AND id = $2"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(id), db_int(now_ms)),
                &result, err))
        return err->code;
    if (db_affected(result) != 1)
        return err_set(err, ERR_NOT_FOUND, "there is no silence %s", id);
    return ERR_OK;
}

enum err_code
store_list_silences(const struct store *store, const char *before, int64_t since_ms, int64_t limit,
                    Silence ***silences, size_t *count, bool *more, struct err *err)
{
    static const struct db_stmt stmt = {
        DB_PAGE_SELECT("SELECT body, ends_at_ms",
                       "silence WHERE workspace = $1 AND id < $2::uuid AND ends_at_ms > $3", "s",
                       "id DESC", "octet_length(body)", "$4", "$5")};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(before), db_int(since_ms),
                          db_int(limit), db_int(DB_PAGE_BYTES)),
                &result, err))
        return err->code;
    size_t rows = db_page_rows(result, 2, limit, more);
    Silence **list = arena_alloc(store->arena, rows * sizeof(*list));
    for (size_t i = 0; i < rows; i++) {
        list[i] =
            db_unpack(result, i, 0, &modelbus__alert__v1__silence__descriptor, store->arena, err);
        if (!list[i])
            return err->code;
        list[i]->ends_at_ms = db_i64(result, i, 1);
    }
    *silences = list;
    *count = rows;
    return ERR_OK;
}
