/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - all SQL of endpoints. */
#include "store.h"

#include "db/db_page.h"

#include <string.h>

static struct db_param
packed(const struct store *store, const Target *target)
{
    return db_message(store->arena, target ? &target->base : NULL);
}

/* *target NULL: the column is empty. */
static MUST_CHECK enum err_code
unpack(const struct store *store, const struct db_result *result, size_t row, int col,
       Target **target, struct err *err)
{
    Target *found = db_unpack(result, row, col, &modelbus__deployment__v1__target__descriptor,
                              store->arena, err);

    if (!found)
        return err->code;
    *target = *found->model_name ? found : NULL;
    return ERR_OK;
}

static void
read_names(const struct store *store, const struct db_result *result, int col, const char ***names,
           size_t *count)
{
    size_t rows = db_rows(result);
    const char **list = arena_alloc(store->arena, rows * sizeof(*list));

    for (size_t i = 0; i < rows; i++)
        list[i] = db_copy(result, i, col, store->arena);
    *names = list;
    *count = rows;
}

/* ---- what the registry has said ---- */

enum err_code
store_lock_model(const struct store *store, const char *model_name, bool shared, struct err *err)
{
    static const struct db_stmt share = {"SELECT pg_advisory_xact_lock_shared($1)"};
    static const struct db_stmt exclude = {"SELECT pg_advisory_xact_lock($1)"};
    int64_t key = db_lock_key(
        arena_printf(store->arena, "deployment model %s/%s", store->workspace, model_name));

    return db_queue(store->db, shared ? &share : &exclude, DB_PARAMS(db_int(key)), err);
}

enum err_code
store_learn_version(const struct store *store, const Target *target, const char ***endpoints,
                    size_t *count, struct err *err)
{
    static const struct db_stmt stmt = {
        "WITH known AS (INSERT INTO known_version (workspace, model_name, version, target)"
        " VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING)"
        " SELECT name FROM endpoint WHERE workspace = $1 AND model_name = $2 AND alias = ''"
        " AND fixed_version = $3 AND NOT deleted AND NOT held"
        " AND (target_model <> model_name OR target_version <> fixed_version) ORDER BY name"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(target->model_name),
                          db_int(target->version), packed(store, target)),
                &result, err))
        return err->code;
    read_names(store, result, 0, endpoints, count);
    return ERR_OK;
}

enum err_code
store_learn_alias(const struct store *store, const char *model_name, const char *alias,
                  int64_t version, int64_t revision, bool *newer, const char ***endpoints,
                  size_t *count, struct err *err)
{
    static const struct db_stmt put = {
        "INSERT INTO known_alias AS k (workspace, model_name, alias, version, revision)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (workspace, model_name, alias)"
        " DO UPDATE SET version = excluded.version, revision = excluded.revision"
        " WHERE excluded.revision > k.revision"};
    static const struct db_stmt bound = {
        "SELECT name FROM endpoint WHERE workspace = $1 AND model_name = $2 AND alias = $3"
        " AND NOT deleted ORDER BY name"};
    CLEANUP(db_result_free) struct db_result *done = NULL;
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &put,
                DB_PARAMS(db_text(store->workspace), db_text(model_name), db_text(alias),
                          db_int(version), db_int(revision)),
                &done, err) ||
        db_exec(store->db, &bound,
                DB_PARAMS(db_text(store->workspace), db_text(model_name), db_text(alias)), &result,
                err))
        return err->code;
    *newer = db_affected(done) == 1;
    read_names(store, result, 0, endpoints, count);
    return ERR_OK;
}

enum err_code
store_find_version(const struct store *store, const char *model_name, int64_t version,
                   const char *alias, Target **target, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT target FROM known_version WHERE workspace = $1 AND model_name = $2"
        " AND version = CASE WHEN $3::bigint > 0 THEN $3 ELSE (SELECT version FROM known_alias"
        " WHERE workspace = $1 AND model_name = $2 AND alias = $4) END"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(model_name), db_int(version),
                          db_text(alias)),
                &result, err))
        return err->code;
    *target = NULL;
    return db_rows(result) ? unpack(store, result, 0, 0, target, err) : ERR_OK;
}

/* ---- endpoints ---- */

#define ENDPOINT_COLUMNS                                                                           \
    "SELECT name, model_name, alias, fixed_version, generation, target, good, held, deleted,"      \
    " detail, created_at_ms, updated_at_ms, workspace, drift_policy"

static MUST_CHECK enum err_code
read_endpoint(const struct store *store, const struct db_result *result, size_t row,
              struct endpoint **found, struct err *err)
{
    struct endpoint *e = arena_alloc(store->arena, sizeof(*e));

    e->name = db_copy(result, row, 0, store->arena);
    e->model_name = db_copy(result, row, 1, store->arena);
    e->alias = db_copy(result, row, 2, store->arena);
    e->fixed_version = db_i64(result, row, 3);
    e->generation = db_i64(result, row, 4);
    e->held = db_boolean(result, row, 7);
    e->deleted = db_boolean(result, row, 8);
    e->detail = db_copy(result, row, 9, store->arena);
    e->created_at_ms = db_i64(result, row, 10);
    e->updated_at_ms = db_i64(result, row, 11);
    e->policy = db_unpack(result, row, 13, &modelbus__deployment__v1__drift_policy__descriptor,
                          store->arena, err);
    *found = e;
    if (!e->policy || unpack(store, result, row, 5, &e->target, err) ||
        unpack(store, result, row, 6, &e->good, err))
        return err->code;
    return ERR_OK;
}

enum err_code
store_find_endpoint(const struct store *store, const char *name, struct endpoint **found,
                    struct err *err)
{
    static const struct db_stmt stmt = {
        ENDPOINT_COLUMNS " FROM endpoint WHERE workspace = $1 AND name = $2 FOR UPDATE"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(name)), &result,
                err))
        return err->code;
    *found = NULL;
    return db_rows(result) ? read_endpoint(store, result, 0, found, err) : ERR_OK;
}

enum err_code
store_get_endpoint(const struct store *store, const char *name, enum store_lock lock,
                   struct endpoint **found, struct err *err)
{
    static const struct db_stmt read = {
        ENDPOINT_COLUMNS " FROM endpoint WHERE workspace = $1 AND name = $2 AND NOT deleted"};
    static const struct db_stmt hold = {
        ENDPOINT_COLUMNS
        " FROM endpoint WHERE workspace = $1 AND name = $2 AND NOT deleted FOR UPDATE"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, lock == STORE_LOCK ? &hold : &read,
                DB_PARAMS(db_text(store->workspace), db_text(name)), &result, err))
        return err->code;
    if (db_rows(result) == 0)
        return err_set(err, ERR_NOT_FOUND, "endpoint '%s'", name);
    return read_endpoint(store, result, 0, found, err);
}

static MUST_CHECK enum err_code
put_endpoint(const struct store *store, const struct db_stmt *stmt, const struct endpoint *endpoint,
             struct db_result **result, struct err *err)
{
    const Target *target = endpoint->target;

    return db_exec(store->db, stmt,
                   DB_PARAMS(db_text(store->workspace), db_text(endpoint->name),
                             db_text(endpoint->model_name), db_text(endpoint->alias),
                             db_int(endpoint->fixed_version), db_int(endpoint->generation),
                             db_text(target ? target->model_name : ""),
                             db_int(target ? target->version : 0), packed(store, target),
                             packed(store, endpoint->good), db_bool(endpoint->held),
                             db_bool(endpoint->deleted), db_text(endpoint->detail),
                             db_int(endpoint->created_at_ms), db_int(endpoint->updated_at_ms)),
                   result, err);
}

enum err_code
store_add_endpoint(const struct store *store, const struct endpoint *endpoint, struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO endpoint (workspace, name, model_name, alias, fixed_version, generation,"
        " target_model, target_version, target, good, held, deleted, detail, created_at_ms,"
        " updated_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
        " ON CONFLICT DO NOTHING"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (put_endpoint(store, &stmt, endpoint, &result, err))
        return err->code;
    if (db_affected(result) != 1)
        return err_set(err, ERR_EXISTS, "endpoint '%s' exists", endpoint->name);
    return ERR_OK;
}

enum err_code
store_update_endpoint(const struct store *store, const struct endpoint *endpoint, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE endpoint SET model_name = $3, alias = $4, fixed_version = $5, generation = $6,"
        " target_model = $7, target_version = $8, target = $9, good = $10, held = $11,"
        " deleted = $12, detail = $13, created_at_ms = $14, updated_at_ms = $15"
        " WHERE workspace = $1 AND name = $2"};

    return put_endpoint(store, &stmt, endpoint, NULL, err);
}

static MUST_CHECK enum err_code
read_endpoints(const struct store *store, const struct db_result *result, size_t rows,
               struct endpoint ***endpoints, size_t *count, struct err *err)
{
    struct endpoint **list = arena_alloc(store->arena, rows * sizeof(*list));

    for (size_t i = 0; i < rows; i++)
        if (read_endpoint(store, result, i, &list[i], err))
            return err->code;
    *endpoints = list;
    *count = rows;
    return ERR_OK;
}

enum err_code
store_list_endpoints(const struct store *store, const char *after, int64_t limit,
                     struct endpoint ***endpoints, size_t *count, bool *more, struct err *err)
{
    static const struct db_stmt stmt = {DB_PAGE_SELECT(
        ENDPOINT_COLUMNS, "endpoint WHERE workspace = $1 AND name > $2 AND NOT deleted", "e",
        "name", "octet_length(target)", "$3", "$4")};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(after), db_int(limit),
                          db_int(DB_PAGE_BYTES)),
                &result, err))
        return err->code;
    return read_endpoints(store, result, db_page_rows(result, 14, limit, more), endpoints, count,
                          err);
}

enum err_code
store_list_states(const struct store *store, const char *after_workspace, const char *after_name,
                  int64_t limit, const char ***workspaces, struct endpoint ***endpoints,
                  size_t *count, struct err *err)
{
    static const struct db_stmt stmt = {
        ENDPOINT_COLUMNS " FROM endpoint WHERE (workspace, name) > ($1::text, $2::text)"
                         " AND generation > 0 ORDER BY workspace, name LIMIT $3"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(after_workspace), db_text(after_name), db_int(limit)), &result,
                err))
        return err->code;
    read_names(store, result, 12, workspaces, count);
    return read_endpoints(store, result, db_rows(result), endpoints, count, err);
}

/* ---- history ---- */

enum err_code
store_add_change(const struct store *store, const char *endpoint, const EndpointChange *change,
                 int64_t rollback_before, struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO endpoint_change (workspace, endpoint, generation, target, reason, changed_by,"
        " changed_at_ms, detail, rollback_before) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"};

    return db_exec(store->db, &stmt,
                   DB_PARAMS(db_text(store->workspace), db_text(endpoint),
                             db_int(change->generation), packed(store, change->target),
                             db_text(change->reason), db_text(change->changed_by),
                             db_int(change->changed_at_ms), db_text(change->detail),
                             db_int(rollback_before)),
                   NULL, err);
}

enum err_code
store_set_outcome(const struct store *store, const char *endpoint, int64_t generation,
                  const char *outcome, const char *detail, struct err *err)
{
    static const struct db_stmt stmt = {"UPDATE endpoint_change SET outcome = $4,"
                                        " detail = CASE WHEN $5 = '' THEN detail ELSE $5 END"
                                        " WHERE workspace = $1 AND endpoint = $2"
                                        " AND generation = $3 AND outcome <> $4"};

    return db_exec(store->db, &stmt,
                   DB_PARAMS(db_text(store->workspace), db_text(endpoint), db_int(generation),
                             db_text(outcome), db_text(detail)),
                   NULL, err);
}

enum err_code
store_list_changes(const struct store *store, const char *endpoint, int64_t before, int64_t limit,
                   struct history_entry **entries, size_t *count, bool *more, struct err *err)
{
    static const struct db_stmt stmt = {DB_PAGE_SELECT(
        "SELECT generation, target, reason, changed_by, changed_at_ms, outcome, detail, "
        "rollback_before",
        "endpoint_change WHERE workspace = $1 AND endpoint = $2 AND generation < $3", "c",
        "generation DESC", "octet_length(target) + octet_length(detail)", "$4", "$5")};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(endpoint), db_int(before),
                          db_int(limit), db_int(DB_PAGE_BYTES)),
                &result, err))
        return err->code;
    size_t rows = db_page_rows(result, 8, limit, more);
    struct history_entry *list = arena_alloc(store->arena, rows * sizeof(*list));
    for (size_t i = 0; i < rows; i++) {
        EndpointChange *change = arena_alloc(store->arena, sizeof(*change));
        modelbus__deployment__v1__endpoint_change__init(change);
        if (unpack(store, result, i, 1, &change->target, err))
            return err->code;
        change->generation = db_i64(result, i, 0);
        change->reason = db_copy(result, i, 2, store->arena);
        change->changed_by = db_copy(result, i, 3, store->arena);
        change->changed_at_ms = db_i64(result, i, 4);
        change->outcome = db_copy(result, i, 5, store->arena);
        change->detail = db_copy(result, i, 6, store->arena);
        list[i] = (struct history_entry){change, db_i64(result, i, 7)};
    }
    *entries = list;
    *count = rows;
    return ERR_OK;
}

/* ---- pods ---- */

enum err_code
store_put_pod(const struct store *store, const char *endpoint, const PodState *pod, struct err *err)
{
    /* A pod that fell back keeps the reason that it gave for this generation. */
    static const struct db_stmt stmt = {
        "INSERT INTO pod AS p (workspace, endpoint, pod, generation, model_name, version, loaded,"
        " error, load_ms, swap_us, reported_at_ms)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        " ON CONFLICT (workspace, endpoint, pod) DO UPDATE SET generation = excluded.generation,"
        " model_name = excluded.model_name, version = excluded.version, loaded = excluded.loaded,"
        " error = CASE WHEN excluded.error = '' AND NOT excluded.loaded"
        " AND p.generation = excluded.generation THEN p.error ELSE excluded.error END,"
        " load_ms = excluded.load_ms, swap_us = excluded.swap_us,"
        " reported_at_ms = greatest(p.reported_at_ms, excluded.reported_at_ms)"
        " WHERE excluded.generation >= p.generation"};

    return db_exec(store->db, &stmt,
                   DB_PARAMS(db_text(store->workspace), db_text(endpoint), db_text(pod->pod),
                             db_int(pod->generation), db_text(pod->model_name),
                             db_int(pod->version), db_bool(pod->loaded), db_text(pod->error),
                             db_double(pod->load_ms), db_double(pod->swap_us),
                             db_int(pod->reported_at_ms)),
                   NULL, err);
}

enum err_code
store_touch_pod(const struct store *store, const char *endpoint, const char *pod, int64_t at_ms,
                struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE pod SET reported_at_ms = $4 WHERE workspace = $1 AND endpoint = $2 AND pod = $3"
        " AND reported_at_ms < $4"};

    return db_queue(
        store->db, &stmt,
        DB_PARAMS(db_text(store->workspace), db_text(endpoint), db_text(pod), db_int(at_ms)), err);
}

enum err_code
store_remove_pod(const struct store *store, const char *pod, int64_t at_ms, struct err *err)
{
    static const struct db_stmt stmt = {
        "DELETE FROM pod WHERE workspace = $1 AND pod = $2 AND reported_at_ms <= $3"};

    return db_queue(store->db, &stmt,
                    DB_PARAMS(db_text(store->workspace), db_text(pod), db_int(at_ms)), err);
}

enum err_code
store_list_pods(const struct store *store, const char *endpoint, int64_t since_ms, PodState ***pods,
                size_t *count, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT pod, generation, model_name, version, loaded, error, load_ms, swap_us,"
        " reported_at_ms FROM pod WHERE workspace = $1 AND endpoint = $2 AND reported_at_ms >= $3"
        " ORDER BY pod"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(endpoint), db_int(since_ms)), &result,
                err))
        return err->code;
    size_t rows = db_rows(result);
    PodState **list = arena_alloc(store->arena, rows * sizeof(*list));
    for (size_t i = 0; i < rows; i++) {
        PodState *pod = list[i] = arena_alloc(store->arena, sizeof(*pod));
        modelbus__deployment__v1__pod_state__init(pod);
        pod->pod = db_copy(result, i, 0, store->arena);
        pod->generation = db_i64(result, i, 1);
        pod->model_name = db_copy(result, i, 2, store->arena);
        pod->version = db_i64(result, i, 3);
        pod->loaded = db_boolean(result, i, 4);
        pod->error = db_copy(result, i, 5, store->arena);
        pod->load_ms = db_f64(result, i, 6);
        pod->swap_us = db_f64(result, i, 7);
        pod->reported_at_ms = db_i64(result, i, 8);
    }
    *pods = list;
    *count = rows;
    return ERR_OK;
}

enum err_code
store_forget_pods(const struct store *store, const char *endpoint, int64_t since_ms,
                  struct err *err)
{
    static const struct db_stmt stmt = {
        "DELETE FROM pod WHERE workspace = $1 AND endpoint = $2 AND reported_at_ms < $3"};

    return db_queue(store->db, &stmt,
                    DB_PARAMS(db_text(store->workspace), db_text(endpoint), db_int(since_ms)), err);
}

/* ---- drift ---- */

enum err_code
store_set_policy(const struct store *store, const char *endpoint, const DriftPolicy *policy,
                 struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE endpoint SET drift_policy = $3 WHERE workspace = $1 AND name = $2"};

    return db_exec(store->db, &stmt,
                   DB_PARAMS(db_text(store->workspace), db_text(endpoint),
                             db_message(store->arena, (const ProtobufCMessage *)policy)),
                   NULL, err);
}

enum err_code
store_drift_past(const struct store *store, const char *endpoint, const char *episode,
                 int64_t day_ms, struct drift_past *past, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT coalesce(max(number), 0), coalesce(max(decided_at_ms) FILTER (WHERE acted), 0),"
        " coalesce(bool_or(episode = $3), false),"
        " coalesce(max(decided_at_ms) FILTER (WHERE retrained), 0),"
        " count(*) FILTER (WHERE retrained AND decided_at_ms > $4)"
        " FROM drift_action WHERE workspace = $1 AND endpoint = $2"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(endpoint), db_text(episode),
                          db_int(day_ms)),
                &result, err))
        return err->code;
    past->number = db_i64(result, 0, 0);
    past->known = db_boolean(result, 0, 2);
    past->done.rolled_back_ms = db_i64(result, 0, 1);
    past->done.retrained_ms = db_i64(result, 0, 3);
    past->done.retrains = db_i64(result, 0, 4);
    return ERR_OK;
}

enum err_code
store_drift_left(const struct store *store, const char *endpoint, const char *model_name,
                 int64_t since_ms, int64_t **versions, size_t *count, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT DISTINCT version FROM drift_action WHERE workspace = $1 AND endpoint = $2"
        " AND model_name = $3 AND acted AND decided_at_ms >= $4"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(endpoint), db_text(model_name),
                          db_int(since_ms)),
                &result, err))
        return err->code;
    *count = db_rows(result);
    *versions = arena_alloc(store->arena, (*count + 1) * sizeof(**versions));
    for (size_t i = 0; i < *count; i++)
        (*versions)[i] = db_i64(result, i, 0);
    return ERR_OK;
}

enum err_code
store_add_drift_action(const struct store *store, const char *endpoint, int64_t number,
                       const DriftAction *action, struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO drift_action (workspace, endpoint, episode, number, decided_at_ms, acted,"
        " model_name, version, action, retrained) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9,"
        " $10)"};

    return db_exec(store->db, &stmt,
                   DB_PARAMS(db_text(store->workspace), db_text(endpoint), db_text(action->episode),
                             db_int(number), db_int(action->decided_at_ms),
                             db_bool(action->to_version != 0), db_text(action->model_name),
                             db_int(action->version), db_message(store->arena, &action->base),
                             db_bool(*action->pipeline != '\0')),
                   NULL, err);
}

enum err_code
store_list_drift_actions(const struct store *store, const char *endpoint, int64_t before,
                         int64_t limit, DriftAction ***actions, int64_t *last, size_t *count,
                         bool *more, struct err *err)
{
    static const struct db_stmt stmt = {
        DB_PAGE_SELECT("SELECT action, number",
                       "drift_action WHERE workspace = $1 AND endpoint = $2 AND number < $3", "a",
                       "number DESC", "octet_length(action)", "$4", "$5")};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(endpoint), db_int(before),
                          db_int(limit), db_int(DB_PAGE_BYTES)),
                &result, err))
        return err->code;
    *count = db_page_rows(result, 2, limit, more);
    *actions = arena_alloc(store->arena, (*count + 1) * sizeof(DriftAction *));
    for (size_t i = 0; i < *count; i++) {
        (*actions)[i] = db_unpack(result, i, 0, &modelbus__deployment__v1__drift_action__descriptor,
                                  store->arena, err);
        if (!(*actions)[i])
            return err->code;
        *last = db_i64(result, i, 1);
    }
    return ERR_OK;
}
