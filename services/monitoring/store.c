/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - all SQL of the monitoring service. */
#include "store.h"

#include "db/db_page.h"

#include <inttypes.h>
#include <string.h>

static struct db_param
packed(const struct store *store, const void *message)
{
    return db_message(store->arena, message);
}

/* ---- versions and references ---- */

enum err_code
store_learn_version(const struct store *store, const ModelRegistered *registered, struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO known_version (workspace, model_name, version, registered)"
        " VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"};

    return db_queue(store->db, &stmt,
                    DB_PARAMS(db_text(store->workspace), db_text(registered->model_name),
                              db_int(registered->version), packed(store, registered)),
                    err);
}

enum err_code
store_find_version(const struct store *store, const char *model_name, int64_t version,
                   ModelRegistered **registered, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT registered FROM known_version WHERE workspace = $1 AND model_name = $2"
        " AND version = $3"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(model_name), db_int(version)), &result,
                err))
        return err->code;
    *registered = NULL;
    if (db_rows(result) == 0)
        return ERR_OK;
    *registered = db_unpack(result, 0, 0, &modelbus__registry__v1__model_registered__descriptor,
                            store->arena, err);
    return *registered ? ERR_OK : err->code;
}

enum err_code
store_put_reference(const struct store *store, const Reference *head, const char *endpoint,
                    const struct buf *rows, struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO reference (workspace, model_name, version, endpoint, head, rows)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace, model_name, version, endpoint)"
        " DO UPDATE SET head = excluded.head, rows = excluded.rows"};

    return db_exec(store->db, &stmt,
                   DB_PARAMS(db_text(store->workspace), db_text(head->model_name),
                             db_int(head->version), db_text(endpoint), packed(store, head),
                             db_bytes(rows->data, rows->len)),
                   NULL, err);
}

enum err_code
store_find_reference(const struct store *store, const char *model_name, int64_t version,
                     const char *endpoint, Reference **head, const uint8_t **rows, size_t *len,
                     struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT head, rows FROM reference WHERE workspace = $1 AND model_name = $2"
        " AND version = $3 AND endpoint = $4"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(model_name), db_int(version),
                          db_text(endpoint)),
                &result, err))
        return err->code;
    *head = NULL;
    if (db_rows(result) == 0)
        return ERR_OK;
    *head = db_unpack(result, 0, 0, &modelbus__monitoring__v1__reference__descriptor, store->arena,
                      err);
    if (!*head)
        return err->code;
    db_bin(result, 0, 1, store->arena, rows, len);
    return ERR_OK;
}

/* ---- endpoints ---- */

static enum err_code
unknown_monitor(const char *endpoint, struct err *err)
{
    return err_set(err, ERR_NOT_FOUND,
                   "endpoint '%s' is not watched: nothing was deployed to it yet", endpoint);
}

enum err_code
store_add_monitor(const struct store *store, const char *endpoint, const WatchState *state,
                  struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO monitor (workspace, endpoint, revision, rules, state)"
        " VALUES ($1, $2, 1, '', $3) ON CONFLICT DO NOTHING"};

    return db_exec(store->db, &stmt,
                   DB_PARAMS(db_text(store->workspace), db_text(endpoint), packed(store, state)),
                   NULL, err);
}

static MUST_CHECK enum err_code
read_monitor(const struct store *store, const struct db_result *result, size_t row,
             struct monitor_row *out, struct err *err)
{
    out->revision = db_i64(result, row, 0);
    out->rules = db_unpack(result, row, 1, &modelbus__monitoring__v1__monitor_rules__descriptor,
                           store->arena, err);
    if (!out->rules)
        return err->code;
    out->state = db_unpack(result, row, 2, &modelbus__monitoring__v1__watch_state__descriptor,
                           store->arena, err);
    return out->state ? ERR_OK : err->code;
}

enum err_code
store_get_monitor(const struct store *store, const char *endpoint, bool lock,
                  struct monitor_row *row, struct err *err)
{
#define SELECT_MONITOR                                                                             \
    "SELECT revision, rules, state FROM monitor WHERE workspace = $1 AND endpoint = $2"
    static const struct db_stmt read = {SELECT_MONITOR};
    static const struct db_stmt take = {SELECT_MONITOR " FOR UPDATE"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, lock ? &take : &read,
                DB_PARAMS(db_text(store->workspace), db_text(endpoint)), &result, err))
        return err->code;
    if (db_rows(result) == 0)
        return unknown_monitor(endpoint, err);
    return read_monitor(store, result, 0, row, err);
}

enum err_code
store_lock_monitor(const struct store *store, const char *endpoint, int64_t *revision,
                   struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT revision FROM monitor WHERE workspace = $1 AND endpoint = $2 FOR UPDATE"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(endpoint)), &result,
                err))
        return err->code;
    *revision = db_rows(result) ? db_i64(result, 0, 0) : 0;
    return ERR_OK;
}

enum err_code
store_set_monitor(const struct store *store, const char *endpoint, int64_t revision,
                  const MonitorRules *rules, const WatchState *state, int64_t due_ms,
                  struct err *err)
{
#define UPDATE_MONITOR                                                                             \
    "UPDATE monitor SET revision = $3, state = $4, due_ms = nullif($5::bigint, 0)"
    static const struct db_stmt all = {UPDATE_MONITOR
                                       ", rules = $6 WHERE workspace = $1 AND endpoint = $2"};
    static const struct db_stmt some = {UPDATE_MONITOR " WHERE workspace = $1 AND endpoint = $2"};
    struct db_param params[] = {db_text(store->workspace), db_text(endpoint), db_int(revision),
                                packed(store, state),      db_int(due_ms),    packed(store, rules)};

    return db_queue(store->db, rules ? &all : &some, params, rules ? 6 : 5, err);
}

enum err_code
store_find_due(const struct store *store, int64_t now_ms, const char **workspace,
               const char **endpoint, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT workspace, endpoint FROM monitor WHERE due_ms <= $1 ORDER BY due_ms LIMIT 1"
        " FOR UPDATE SKIP LOCKED"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_int(now_ms)), &result, err))
        return err->code;
    bool found = db_rows(result) == 1;
    *workspace = found ? db_copy(result, 0, 0, store->arena) : NULL;
    *endpoint = found ? db_copy(result, 0, 1, store->arena) : NULL;
    return ERR_OK;
}

enum err_code
store_postpone(const struct store *store, const char *endpoint, int64_t now_ms, int64_t due_ms,
               struct err *err)
{
    static const struct db_stmt stmt = {"UPDATE monitor SET due_ms = $4 WHERE workspace = $1"
                                        " AND endpoint = $2 AND due_ms <= $3"};

    return db_exec(
        store->db, &stmt,
        DB_PARAMS(db_text(store->workspace), db_text(endpoint), db_int(now_ms), db_int(due_ms)),
        NULL, err);
}

enum err_code
store_delete_monitor(const struct store *store, const char *endpoint, struct err *err)
{
    static const struct db_stmt statements[] = {
        {"DELETE FROM pane_part WHERE workspace = $1 AND endpoint = $2"},
        {"DELETE FROM report WHERE workspace = $1 AND endpoint = $2"},
        {"DELETE FROM reference WHERE workspace = $1 AND endpoint = $2"},
        {"DELETE FROM monitor WHERE workspace = $1 AND endpoint = $2"},
    };

    for (size_t i = 0; i < ARRAY_LEN(statements); i++)
        if (db_queue(store->db, &statements[i],
                     DB_PARAMS(db_text(store->workspace), db_text(endpoint)), err))
            return err->code;
    return ERR_OK;
}

enum err_code
store_list_monitors(const struct store *store, const char *after, int64_t limit,
                    Monitor ***monitors, size_t *count, bool *more, struct err *err)
{
    static const struct db_stmt stmt = {DB_PAGE_SELECT(
        "SELECT revision, rules, state, endpoint", "monitor WHERE workspace = $1 AND endpoint > $2",
        "m", "endpoint", "octet_length(rules) + octet_length(state)", "$3", "$4")};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(after), db_int(limit),
                          db_int(DB_PAGE_BYTES)),
                &result, err))
        return err->code;
    size_t rows = db_page_rows(result, 4, limit, more);
    *monitors = arena_alloc(store->arena, (rows + 1) * sizeof(Monitor *));
    for (size_t i = 0; i < rows; i++) {
        struct monitor_row row;
        if (read_monitor(store, result, i, &row, err))
            return err->code;
        Monitor *m = (*monitors)[i] = row.state->monitor;
        m->endpoint = db_copy(result, i, 3, store->arena);
        m->rules = row.rules;
    }
    *count = rows;
    return ERR_OK;
}

/* ---- panes ---- */

enum err_code
store_add_part(const struct store *store, const char *endpoint, int64_t pane, uint32_t part,
               const struct buf *rows, struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO pane_part (workspace, endpoint, pane, part, rows)"
        " VALUES ($1, $2, $3, $4, $5)"};

    return db_queue(store->db, &stmt,
                    DB_PARAMS(db_text(store->workspace), db_text(endpoint), db_int(pane),
                              db_int(part), db_bytes(rows->data, rows->len)),
                    err);
}

enum err_code
store_drop_parts(const struct store *store, const char *endpoint, int64_t first, int64_t last,
                 struct err *err)
{
    static const struct db_stmt stmt = {"DELETE FROM pane_part WHERE workspace = $1"
                                        " AND endpoint = $2 AND pane BETWEEN $3 AND $4"};

    return db_queue(
        store->db, &stmt,
        DB_PARAMS(db_text(store->workspace), db_text(endpoint), db_int(first), db_int(last)), err);
}

enum err_code
store_read_parts(const struct store *store, const char *endpoint, int64_t pane,
                 struct reservoir *sample, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT rows FROM pane_part WHERE workspace = $1 AND endpoint = $2 AND pane = $3"
        " ORDER BY part"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(endpoint), db_int(pane)), &result,
                err))
        return err->code;
    for (size_t i = 0; i < db_rows(result); i++) {
        const uint8_t *data;
        size_t len;
        db_bin(result, i, 0, store->arena, &data, &len);
        if (reservoir_apply(sample, data, len, err))
            return err_wrap(err, "endpoint '%s', pane %" PRId64, endpoint, pane);
    }
    return ERR_OK;
}

/* ---- reports ---- */

enum err_code
store_add_report(const struct store *store, const Report *report, int64_t kept, struct err *err)
{
    static const struct db_stmt add = {
        "INSERT INTO report (workspace, id, endpoint, number, version, drifted, head, detail)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"};
    static const struct db_stmt prune = {
        "DELETE FROM report WHERE workspace = $1 AND endpoint = $2 AND number <= $3"};
    Report head = *report, detail = MODELBUS__MONITORING__V1__REPORT__INIT;

    head.n_columns = head.n_histograms = head.n_segments = 0;
    detail.columns = report->columns;
    detail.n_columns = report->n_columns;
    detail.histograms = report->histograms;
    detail.n_histograms = report->n_histograms;
    detail.segments = report->segments;
    detail.n_segments = report->n_segments;
    if (db_queue(store->db, &add,
                 DB_PARAMS(db_text(store->workspace), db_text(report->id),
                           db_text(report->endpoint), db_int(report->window->number),
                           db_int(report->version), db_bool(strcmp(report->outcome, "drift") == 0),
                           packed(store, &head), packed(store, &detail)),
                 err))
        return err->code;
    return db_queue(store->db, &prune,
                    DB_PARAMS(db_text(store->workspace), db_text(report->endpoint),
                              db_int(report->window->number - kept)),
                    err);
}

static MUST_CHECK enum err_code
read_report(const struct store *store, const struct db_result *result, size_t row, int col,
            Report **report, struct err *err)
{
    *report = db_unpack(result, row, col, &modelbus__monitoring__v1__report__descriptor,
                        store->arena, err);
    return *report ? ERR_OK : err->code;
}

enum err_code
store_get_report(const struct store *store, const char *id, Report **report, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT head, detail FROM report WHERE workspace = $1 AND id = $2"};
    CLEANUP(db_result_free) struct db_result *result = NULL;
    Report *detail;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(id)), &result, err))
        return err->code;
    if (db_rows(result) == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no report '%s' (the newest are kept)", id);
    if (read_report(store, result, 0, 0, report, err) ||
        read_report(store, result, 0, 1, &detail, err))
        return err->code;
    (*report)->columns = detail->columns;
    (*report)->n_columns = detail->n_columns;
    (*report)->histograms = detail->histograms;
    (*report)->n_histograms = detail->n_histograms;
    (*report)->segments = detail->segments;
    (*report)->n_segments = detail->n_segments;
    return ERR_OK;
}

enum err_code
store_list_reports(const struct store *store, const char *endpoint, int64_t version, bool drifted,
                   int64_t before, int64_t limit, Report ***reports, size_t *count, bool *more,
                   struct err *err)
{
    static const struct db_stmt stmt = {
        DB_PAGE_SELECT("SELECT head",
                       "report WHERE workspace = $1 AND endpoint = $2 AND number < $3"
                       " AND ($4::bigint = 0 OR version = $4) AND (NOT $5::boolean OR drifted)",
                       "r", "number DESC", "octet_length(head)", "$6", "$7")};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(endpoint), db_int(before),
                          db_int(version), db_bool(drifted), db_int(limit), db_int(DB_PAGE_BYTES)),
                &result, err))
        return err->code;
    size_t rows = db_page_rows(result, 1, limit, more);
    *reports = arena_alloc(store->arena, (rows + 1) * sizeof(Report *));
    for (size_t i = 0; i < rows; i++)
        if (read_report(store, result, i, 0, &(*reports)[i], err))
            return err->code;
    *count = rows;
    return ERR_OK;
}
