/* SPDX-License-Identifier: Apache-2.0 */
/* store_labels.c - SQL of predictions, labels and performance reports. */
#include "store_labels.h"

#include "db/db_page.h"

#include <string.h>

/* ---- the state of an endpoint ---- */

enum err_code
store_find_labels(const struct store *store, const char *endpoint, LabelState **state,
                  struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT state FROM label_state WHERE workspace = $1 AND endpoint = $2"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(endpoint)), &result,
                err))
        return err->code;
    *state = NULL;
    if (db_rows(result) == 0)
        return ERR_OK;
    *state = db_unpack(result, 0, 0, &modelbus__monitoring__v1__label_state__descriptor,
                       store->arena, err);
    return *state ? ERR_OK : err->code;
}

enum err_code
store_set_labels(const struct store *store, const char *endpoint, const LabelState *state,
                 struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO label_state (workspace, endpoint, state) VALUES ($1, $2, $3)"
        " ON CONFLICT (workspace, endpoint) DO UPDATE SET state = excluded.state"};

    return db_queue(store->db, &stmt,
                    DB_PARAMS(db_text(store->workspace), db_text(endpoint),
                              db_message(store->arena, &state->base)),
                    err);
}

enum err_code
store_drop_labels(const struct store *store, const char *endpoint, bool all, struct err *err)
{
    static const struct db_stmt statements[] = {
        {"DELETE FROM prediction WHERE workspace = $1 AND endpoint = $2"},
        {"DELETE FROM label_waiting WHERE workspace = $1 AND endpoint = $2"},
        {"DELETE FROM labelled WHERE workspace = $1 AND endpoint = $2"},
        {"DELETE FROM performance_report WHERE workspace = $1 AND endpoint = $2"},
        {"DELETE FROM label_state WHERE workspace = $1 AND endpoint = $2"},
    };

    for (size_t i = 0; i < (all ? ARRAY_LEN(statements) : 3); i++)
        if (db_queue(store->db, &statements[i],
                     DB_PARAMS(db_text(store->workspace), db_text(endpoint)), err))
            return err->code;
    return ERR_OK;
}

/* ---- arrays ---- */

static struct db_param
ids_of(const struct store *store, const struct prediction *rows, size_t count)
{
    const char **ids = arena_alloc(store->arena, count * sizeof(*ids));

    for (size_t i = 0; i < count; i++)
        ids[i] = rows[i].id;
    return db_text_array(store->arena, ids, count);
}

/* For "$n::text[]::float8[]". */
static struct db_param
doubles_of(const struct store *store, const struct prediction *rows, size_t count, bool labels)
{
    const char **texts = arena_alloc(store->arena, count * sizeof(*texts));

    for (size_t i = 0; i < count; i++)
        texts[i] = arena_printf(store->arena, "%.17g", labels ? rows[i].label : rows[i].output);
    return db_text_array(store->arena, texts, count);
}

/* Columns: model_name, version, a number. */
static void
read_shares(const struct store *store, const struct db_result *result, struct share **shares,
            size_t *count)
{
    *count = db_rows(result);
    *shares = arena_alloc(store->arena, (*count + 1) * sizeof(**shares));
    for (size_t i = 0; i < *count; i++)
        (*shares)[i] = (struct share){.model_name = db_copy(result, i, 0, store->arena),
                                      .version = db_i64(result, i, 1),
                                      .rows = (uint64_t)db_i64(result, i, 2)};
}

/* The rows of a table with the ids of $3, each looked up by the primary key: for a long list of ids in
 * "= ANY" PostgreSQL may read all rows of the endpoint instead. */
#define EACH_ID(columns, table)                                                                    \
    "unnest($3::text[]) WITH ORDINALITY l (id, nr) CROSS JOIN LATERAL (SELECT " columns            \
    " FROM " table " WHERE workspace = $1 AND endpoint = $2 AND id = l.id LIMIT 1) r"

/* ---- predictions ---- */

enum err_code
store_add_predictions(const struct store *store, const char *endpoint, const char *model_name,
                      int64_t version, const struct prediction *rows, size_t count, size_t *added,
                      struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO prediction (workspace, endpoint, id, model_name, version, at_ms, output)"
        " SELECT $1, $2, r.id, $3, $4, r.at_ms, r.output"
        " FROM unnest($5::text[], $6::bigint[], $7::text[]::float8[]) r (id, at_ms, output)"
        " ON CONFLICT DO NOTHING"};
    CLEANUP(db_result_free) struct db_result *result = NULL;
    int64_t *times = arena_alloc(store->arena, count * sizeof(*times));

    for (size_t i = 0; i < count; i++)
        times[i] = rows[i].at_ms;
    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(endpoint), db_text(model_name),
                          db_int(version), ids_of(store, rows, count),
                          db_int_array(store->arena, times, count),
                          doubles_of(store, rows, count, false)),
                &result, err))
        return err->code;
    *added = (size_t)db_affected(result);
    return ERR_OK;
}

enum err_code
store_find_predictions(const struct store *store, const char *endpoint, const char *const *ids,
                       size_t count, struct prediction **found, size_t *found_count,
                       struct err *err)
{
    static const struct db_stmt stmt = {"SELECT l.id, r.at_ms, r.label FROM " EACH_ID(
        "at_ms, label", "prediction") " ORDER BY l.nr"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(endpoint),
                          db_text_array(store->arena, ids, count)),
                &result, err))
        return err->code;
    *found_count = db_rows(result);
    *found = arena_alloc(store->arena, (*found_count + 1) * sizeof(**found));
    for (size_t i = 0; i < *found_count; i++)
        (*found)[i] = (struct prediction){
            .id = db_copy(result, i, 0, store->arena),
            .at_ms = db_i64(result, i, 1),
            .labelled = !db_is_null(result, i, 2),
            .label = db_f64(result, i, 2),
        };
    return ERR_OK;
}

enum err_code
store_join(const struct store *store, const char *endpoint, const struct prediction *rows,
           size_t count, int64_t first, struct share **shares, size_t *share_count, struct err *err)
{
    static const struct db_stmt stmt = {
        "WITH done AS (UPDATE prediction p SET label = l.label"
        " FROM unnest($3::text[], $4::text[]::float8[]) WITH ORDINALITY l (id, label, nr)"
        " WHERE p.workspace = $1 AND p.endpoint = $2 AND p.id = l.id"
        " RETURNING p.model_name, p.version, l.nr, p.at_ms, p.output, p.label),"
        " kept AS (INSERT INTO labelled (workspace, endpoint, model_name, version, joined, at_ms,"
        " output, label) SELECT $1, $2, model_name, version, $5::bigint - 1 + nr, at_ms, output,"
        " label FROM done)"
        " SELECT model_name, version, count(*) FROM done GROUP BY 1, 2 ORDER BY min(nr)"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(endpoint), ids_of(store, rows, count),
                          doubles_of(store, rows, count, true), db_int(first)),
                &result, err))
        return err->code;
    read_shares(store, result, shares, share_count);
    return ERR_OK;
}

enum err_code
store_prune_predictions(const struct store *store, const char *endpoint, int64_t before_ms,
                        size_t oldest, uint64_t *gone, uint64_t *unlabelled, struct err *err)
{
#define OF_ENDPOINT "workspace || E'\\n' || endpoint = $1 || E'\\n' || $2"
#define GONE_PREDICTIONS " RETURNING label) SELECT count(*), count(*) - count(label) FROM gone"
    static const struct db_stmt by_time = {"WITH gone AS (DELETE FROM prediction WHERE " OF_ENDPOINT
                                           " AND at_ms < $3" GONE_PREDICTIONS};
    static const struct db_stmt by_count = {
        "WITH gone AS (DELETE FROM prediction WHERE ctid = ANY (ARRAY (SELECT ctid FROM prediction"
        " WHERE " OF_ENDPOINT " ORDER BY at_ms LIMIT $3))" GONE_PREDICTIONS};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, oldest ? &by_count : &by_time,
                DB_PARAMS(db_text(store->workspace), db_text(endpoint),
                          db_int(oldest ? (int64_t)oldest : before_ms)),
                &result, err))
        return err->code;
    *gone = (uint64_t)db_i64(result, 0, 0);
    *unlabelled = (uint64_t)db_i64(result, 0, 1);
    return ERR_OK;
}

/* ---- labels that wait ---- */

static void
read_waiting(const struct store *store, const struct db_result *result, struct waiting **found,
             size_t *count)
{
    *count = db_rows(result);
    *found = arena_alloc(store->arena, (*count + 1) * sizeof(**found));
    for (size_t i = 0; i < *count; i++)
        (*found)[i] = (struct waiting){.id = db_copy(result, i, 0, store->arena),
                                       .value = db_copy(result, i, 1, store->arena)};
}

enum err_code
store_find_waiting(const struct store *store, const char *endpoint, const char *const *ids,
                   size_t count, struct waiting **found, size_t *found_count, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT l.id, r.value FROM " EACH_ID("value", "label_waiting") " ORDER BY l.nr"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(endpoint),
                          db_text_array(store->arena, ids, count)),
                &result, err))
        return err->code;
    read_waiting(store, result, found, found_count);
    return ERR_OK;
}

enum err_code
store_add_waiting(const struct store *store, const char *endpoint, const struct waiting *labels,
                  size_t count, int64_t now_ms, struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO label_waiting (workspace, endpoint, id, value, received_ms)"
        " SELECT $1, $2, l.id, l.value, $5 FROM unnest($3::text[], $4::text[]) l (id, value)"};
    const char **ids = arena_alloc(store->arena, count * sizeof(*ids));
    const char **values = arena_alloc(store->arena, count * sizeof(*values));

    for (size_t i = 0; i < count; i++) {
        ids[i] = labels[i].id;
        values[i] = labels[i].value;
    }
    return db_queue(store->db, &stmt,
                    DB_PARAMS(db_text(store->workspace), db_text(endpoint),
                              db_text_array(store->arena, ids, count),
                              db_text_array(store->arena, values, count), db_int(now_ms)),
                    err);
}

enum err_code
store_take_waiting(const struct store *store, const char *endpoint, const char *const *ids,
                   size_t count, struct waiting **taken, size_t *taken_count, struct err *err)
{
    static const struct db_stmt stmt = {
        "WITH taken AS (DELETE FROM label_waiting WHERE ctid = ANY (ARRAY (SELECT r.ctid "
        "FROM " EACH_ID("ctid",
                        "label_waiting") ")) RETURNING id, value, received_ms)"
                                         " SELECT id, value FROM taken ORDER BY received_ms, id"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(endpoint),
                          db_text_array(store->arena, ids, count)),
                &result, err))
        return err->code;
    read_waiting(store, result, taken, taken_count);
    return ERR_OK;
}

enum err_code
store_prune_waiting(const struct store *store, const char *endpoint, int64_t before_ms,
                    size_t oldest, uint64_t *gone, struct err *err)
{
    static const struct db_stmt by_time = {"DELETE FROM label_waiting WHERE " OF_ENDPOINT
                                           " AND received_ms < $3"};
    static const struct db_stmt by_count = {
        "DELETE FROM label_waiting WHERE ctid = ANY (ARRAY (SELECT ctid FROM label_waiting"
        " WHERE " OF_ENDPOINT " ORDER BY received_ms LIMIT $3))"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, oldest ? &by_count : &by_time,
                DB_PARAMS(db_text(store->workspace), db_text(endpoint),
                          db_int(oldest ? (int64_t)oldest : before_ms)),
                &result, err))
        return err->code;
    *gone = (uint64_t)db_affected(result);
    return ERR_OK;
}

/* ---- windows ---- */

enum err_code
store_prune_labelled(const struct store *store, const char *endpoint, int64_t before_ms,
                     struct share **gone, size_t *count, struct err *err)
{
    static const struct db_stmt stmt = {
        "DELETE FROM labelled WHERE workspace = $1 AND endpoint = $2 AND at_ms < $3"
        " RETURNING model_name, version, joined"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(endpoint), db_int(before_ms)), &result,
                err))
        return err->code;
    read_shares(store, result, gone, count);
    return ERR_OK;
}

/* Rows that were taken are not looked at again (joined > $5): within one transaction their dead versions
 * stay where they were. */
enum err_code
store_take_window(const struct store *store, const char *endpoint, const char *model_name,
                  int64_t version, uint32_t count, int64_t *judged, struct performance_row **rows,
                  int64_t *start_ms, int64_t *end_ms, struct err *err)
{
#define OF_VERSION                                                                                 \
    "workspace = $1 AND endpoint = $2 AND model_name = $3 AND version = $4 AND joined > $5"
    static const struct db_stmt stmt = {
        "DELETE FROM labelled WHERE " OF_VERSION " AND joined <= (SELECT joined FROM labelled"
        " WHERE " OF_VERSION " ORDER BY joined LIMIT 1 OFFSET $6::bigint - 1)"
        " RETURNING output, label, at_ms, joined"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(endpoint), db_text(model_name),
                          db_int(version), db_int(*judged), db_int(count)),
                &result, err))
        return err->code;
    if (db_rows(result) != count)
        return err_set(err, ERR_INTERNAL, "%zu labelled rows of version %lld where %u should be",
                       db_rows(result), (long long)version, count);
    *rows = arena_alloc(store->arena, count * sizeof(**rows));
    *start_ms = INT64_MAX;
    *end_ms = INT64_MIN;
    for (size_t i = 0; i < count; i++) {
        int64_t at_ms = db_i64(result, i, 2), joined = db_i64(result, i, 3);
        (*rows)[i] =
            (struct performance_row){.output = db_f64(result, i, 0), .label = db_f64(result, i, 1)};
        *start_ms = at_ms < *start_ms ? at_ms : *start_ms;
        *end_ms = at_ms > *end_ms ? at_ms : *end_ms;
        *judged = joined > *judged ? joined : *judged;
    }
    return ERR_OK;
}

/* ---- reports ---- */

enum err_code
store_add_performance(const struct store *store, const PerformanceReport *report, int64_t kept,
                      struct err *err)
{
    static const struct db_stmt add = {
        "INSERT INTO performance_report (workspace, id, endpoint, number, version, degraded,"
        " report) VALUES ($1, $2, $3, $4, $5, $6, $7)"};
    static const struct db_stmt prune = {
        "DELETE FROM performance_report WHERE workspace = $1 AND endpoint = $2 AND number <= $3"};

    if (db_queue(store->db, &add,
                 DB_PARAMS(db_text(store->workspace), db_text(report->id),
                           db_text(report->endpoint), db_int(report->window->number),
                           db_int(report->version),
                           db_bool(strcmp(report->outcome, "degraded") == 0),
                           db_message(store->arena, &report->base)),
                 err))
        return err->code;
    return db_queue(store->db, &prune,
                    DB_PARAMS(db_text(store->workspace), db_text(report->endpoint),
                              db_int(report->window->number - kept)),
                    err);
}

static MUST_CHECK enum err_code
read_report(const struct store *store, const struct db_result *result, size_t row,
            PerformanceReport **report, struct err *err)
{
    *report = db_unpack(result, row, 0, &modelbus__monitoring__v1__performance_report__descriptor,
                        store->arena, err);
    return *report ? ERR_OK : err->code;
}

enum err_code
store_get_performance(const struct store *store, const char *id, PerformanceReport **report,
                      struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT report FROM performance_report WHERE workspace = $1 AND id = $2"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(id)), &result, err))
        return err->code;
    if (db_rows(result) == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no report '%s' (the newest are kept)", id);
    return read_report(store, result, 0, report, err);
}

enum err_code
store_list_performance(const struct store *store, const char *endpoint, int64_t version,
                       bool degraded, int64_t before, int64_t limit, PerformanceReport ***reports,
                       size_t *count, bool *more, struct err *err)
{
    static const struct db_stmt stmt = {
        DB_PAGE_SELECT("SELECT report",
                       "performance_report WHERE workspace = $1 AND endpoint = $2 AND number < $3"
                       " AND ($4::bigint = 0 OR version = $4) AND (NOT $5::boolean OR degraded)",
                       "r", "number DESC", "octet_length(report)", "$6", "$7")};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(endpoint), db_int(before),
                          db_int(version), db_bool(degraded), db_int(limit), db_int(DB_PAGE_BYTES)),
                &result, err))
        return err->code;
    size_t rows = db_page_rows(result, 1, limit, more);
    *reports = arena_alloc(store->arena, (rows + 1) * sizeof(PerformanceReport *));
    for (size_t i = 0; i < rows; i++)
        if (read_report(store, result, i, &(*reports)[i], err))
            return err->code;
    *count = rows;
    return ERR_OK;
}
