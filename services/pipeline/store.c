/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - SQL of pipelines, their versions and their triggers. */
#include "store.h"

#include "crypto/crypto.h"
#include "db/db_page.h"

#define PIPELINE(suffix) modelbus__pipeline__v1__##suffix

enum err_code
store_lock_pipeline(const struct store *store, const char *name, int64_t *version, bool *paused,
                    struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT version, paused FROM pipeline WHERE workspace = $1 AND name = $2 FOR UPDATE"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(name)), &result,
                err))
        return err->code;
    *version = db_rows(result) ? db_i64(result, 0, 0) : 0;
    if (paused)
        *paused = db_rows(result) && db_boolean(result, 0, 1);
    return ERR_OK;
}

#define PIPELINE_COLUMNS                                                                           \
    "p.name, v.version, p.paused, p.created_ms, v.applied_ms, v.applied_by,"                       \
    " (SELECT min(t.next_due_ms) FROM trigger_state t WHERE t.workspace = p.workspace"             \
    " AND t.pipeline = p.name),"                                                                   \
    " (SELECT count(*) FROM run r WHERE r.workspace = p.workspace AND r.pipeline = p.name"         \
    " AND r.finished_ms = 0)"
#define PIPELINE_COLUMN_COUNT 8

static Pipeline *
read_pipeline(const struct store *store, const struct db_result *result, size_t row)
{
    Pipeline *pipeline = arena_alloc(store->arena, sizeof(*pipeline));

    PIPELINE(pipeline__init)(pipeline);
    pipeline->name = db_copy(result, row, 0, store->arena);
    pipeline->version = db_i64(result, row, 1);
    pipeline->paused = db_boolean(result, row, 2);
    pipeline->created_at_ms = db_i64(result, row, 3);
    pipeline->applied_at_ms = db_i64(result, row, 4);
    pipeline->applied_by = db_copy(result, row, 5, store->arena);
    pipeline->next_due_ms = db_i64(result, row, 6);
    if (pipeline->next_due_ms == INT64_MAX)
        pipeline->next_due_ms = 0;
    pipeline->active_runs = db_i64(result, row, 7);
    return pipeline;
}

enum err_code
store_get_pipeline(const struct store *store, const char *name, int64_t version,
                   Pipeline **pipeline, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT " PIPELINE_COLUMNS ", v.definition FROM pipeline p JOIN pipeline_version v"
        " ON v.workspace = p.workspace AND v.pipeline = p.name"
        " AND v.version = CASE WHEN $3::bigint = 0 THEN p.version ELSE $3 END"
        " WHERE p.workspace = $1 AND p.name = $2"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(name), db_int(version)), &result, err))
        return err->code;
    if (db_rows(result) == 0 && version)
        return err_set(err, ERR_NOT_FOUND, "there is no version %lld of a pipeline '%s'",
                       (long long)version, name);
    if (db_rows(result) == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no pipeline '%s'", name);
    Pipeline *found = read_pipeline(store, result, 0);
    found->definition = db_unpack(result, 0, PIPELINE_COLUMN_COUNT,
                                  &PIPELINE(definition__descriptor), store->arena, err);
    if (!found->definition)
        return err->code;
    *pipeline = found;
    return ERR_OK;
}

enum err_code
store_list_pipelines(const struct store *store, const char *after, int64_t limit,
                     Pipeline ***pipelines, size_t *count, bool *more, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT " PIPELINE_COLUMNS " FROM pipeline p JOIN pipeline_version v"
        " ON v.workspace = p.workspace AND v.pipeline = p.name AND v.version = p.version"
        " WHERE p.workspace = $1 AND p.name > $2 ORDER BY p.name LIMIT $3 + 1"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(after), db_int(limit)), &result, err))
        return err->code;
    *more = db_rows(result) > (size_t)limit;
    *count = *more ? (size_t)limit : db_rows(result);
    *pipelines = arena_alloc(store->arena, *count * sizeof(**pipelines));
    for (size_t i = 0; i < *count; i++)
        (*pipelines)[i] = read_pipeline(store, result, i);
    return ERR_OK;
}

enum err_code
store_put_version(const struct store *store, int64_t version, const Definition *definition,
                  const char *const *heard, size_t heard_count, const char *by, int64_t now_ms,
                  struct err *err)
{
    static const struct db_stmt pipeline = {
        "INSERT INTO pipeline (workspace, name, version, created_ms) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (workspace, name) DO UPDATE SET version = excluded.version"};
    static const struct db_stmt row = {
        "INSERT INTO pipeline_version (workspace, pipeline, version, definition, sha256, heard,"
        " applied_by, applied_ms) VALUES ($1, $2, $3, $4, $5, $6::text[], $7, $8)"};
    struct db_param body = db_message(store->arena, &definition->base);
    uint8_t digest[SHA256_BYTES];

    crypto_sha256(body.value.bytes.data, body.value.bytes.len, digest);
    if (db_exec(store->db, &pipeline,
                DB_PARAMS(db_text(store->workspace), db_text(definition->name), db_int(version),
                          db_int(now_ms)),
                NULL, err))
        return err->code;
    return db_exec(store->db, &row,
                   DB_PARAMS(db_text(store->workspace), db_text(definition->name), db_int(version),
                             body, db_bytes(digest, sizeof(digest)),
                             db_text_array(store->arena, heard, heard_count), db_text(by),
                             db_int(now_ms)),
                   NULL, err);
}

enum err_code
store_set_paused(const struct store *store, const char *name, bool paused, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE pipeline SET paused = $3 WHERE workspace = $1 AND name = $2"};

    return db_exec(store->db, &stmt,
                   DB_PARAMS(db_text(store->workspace), db_text(name), db_bool(paused)), NULL, err);
}

enum err_code
store_delete_pipeline(const struct store *store, const char *name, struct err *err)
{
    static const struct db_stmt runs = {"DELETE FROM run WHERE workspace = $1 AND pipeline = $2"};
    static const struct db_stmt rows = {"DELETE FROM pipeline WHERE workspace = $1 AND name = $2"};

    if (db_exec(store->db, &runs, DB_PARAMS(db_text(store->workspace), db_text(name)), NULL, err))
        return err->code;
    return db_exec(store->db, &rows, DB_PARAMS(db_text(store->workspace), db_text(name)), NULL,
                   err);
}

/* ---- who hears what ---- */

enum err_code
store_revision(const struct store *store, int64_t *revision, struct err *err)
{
    static const struct db_stmt stmt = {"SELECT n FROM revision"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_NO_PARAMS, &result, err))
        return err->code;
    *revision = db_i64(result, 0, 0);
    return ERR_OK;
}

enum err_code
store_grow_revision(const struct store *store, struct err *err)
{
    static const struct db_stmt stmt = {"UPDATE revision SET n = n + 1"};

    return db_exec(store->db, &stmt, DB_NO_PARAMS, NULL, err);
}

enum err_code
store_list_listening(const struct store *store, struct listening **found, size_t *count,
                     struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT p.workspace, p.version, v.applied_ms, v.definition FROM pipeline p"
        " JOIN pipeline_version v ON v.workspace = p.workspace AND v.pipeline = p.name"
        " AND v.version = p.version WHERE NOT p.paused AND v.heard <> '{}'"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_NO_PARAMS, &result, err))
        return err->code;
    struct listening *list = arena_alloc(store->arena, db_rows(result) * sizeof(*list));
    for (size_t i = 0; i < db_rows(result); i++) {
        list[i] = (struct listening){
            .workspace = db_copy(result, i, 0, store->arena),
            .version = db_i64(result, i, 1),
            .applied_ms = db_i64(result, i, 2),
            .definition =
                db_unpack(result, i, 3, &PIPELINE(definition__descriptor), store->arena, err),
        };
        if (!list[i].definition)
            return err->code;
    }
    *found = list;
    *count = db_rows(result);
    return ERR_OK;
}

/* ---- cron ---- */

enum err_code
store_list_cron(const struct store *store, const char *pipeline, struct cron_state **states,
                size_t *count, struct err *err)
{
    static const struct db_stmt stmt = {"SELECT trigger, schedule, next_due_ms FROM trigger_state"
                                        " WHERE workspace = $1 AND pipeline = $2 ORDER BY trigger"
                                        " FOR UPDATE"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(pipeline)), &result,
                err))
        return err->code;
    *count = db_rows(result);
    *states = arena_alloc(store->arena, *count * sizeof(**states));
    for (size_t i = 0; i < *count; i++)
        (*states)[i] =
            (struct cron_state){db_copy(result, i, 0, store->arena),
                                db_copy(result, i, 1, store->arena), db_i64(result, i, 2)};
    return ERR_OK;
}

enum err_code
store_put_cron(const struct store *store, const char *pipeline, const struct cron_state *state,
               int64_t last_due_ms, struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO trigger_state (workspace, pipeline, trigger, schedule, next_due_ms,"
        " last_due_ms) VALUES ($1, $2, $3, $4, $5, $6)"
        " ON CONFLICT (workspace, pipeline, trigger) DO UPDATE SET schedule = excluded.schedule,"
        " next_due_ms = excluded.next_due_ms,"
        " last_due_ms = greatest(trigger_state.last_due_ms, excluded.last_due_ms)"};

    return db_exec(store->db, &stmt,
                   DB_PARAMS(db_text(store->workspace), db_text(pipeline), db_text(state->trigger),
                             db_text(state->schedule), db_int(state->next_due_ms),
                             db_int(last_due_ms)),
                   NULL, err);
}

enum err_code
store_drop_cron(const struct store *store, const char *pipeline, const char *trigger,
                struct err *err)
{
    static const struct db_stmt stmt = {
        "DELETE FROM trigger_state WHERE workspace = $1 AND pipeline = $2 AND trigger = $3"};

    return db_exec(store->db, &stmt,
                   DB_PARAMS(db_text(store->workspace), db_text(pipeline), db_text(trigger)), NULL,
                   err);
}

enum err_code
store_find_cron_due(const struct store *store, int64_t now_ms, const char **workspace,
                    const char **pipeline, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT p.workspace, p.name FROM trigger_state t JOIN pipeline p"
        " ON p.workspace = t.workspace AND p.name = t.pipeline WHERE t.next_due_ms <= $1"
        " ORDER BY t.next_due_ms LIMIT 1 FOR UPDATE OF p SKIP LOCKED"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_int(now_ms)), &result, err))
        return err->code;
    bool found = db_rows(result) == 1;
    *workspace = found ? db_copy(result, 0, 0, store->arena) : NULL;
    *pipeline = found ? db_copy(result, 0, 1, store->arena) : NULL;
    return ERR_OK;
}
