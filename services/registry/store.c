/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - all SQL of the registry. */
#include "store.h"

#include "db/db_page.h"

#include <inttypes.h>
#include <string.h>

static struct db_param
packed_tags(const struct store *store, Tag *const *tags, size_t count)
{
    ModelVersion only = MODELBUS__REGISTRY__V1__MODEL_VERSION__INIT;

    only.tags = (Tag **)tags;
    only.n_tags = count;
    return db_message(store->arena, &only.base);
}

static ModelVersion *
unpack(const struct store *store, const struct db_result *result, size_t row, int col,
       struct err *err)
{
    return db_unpack(result, row, col, &modelbus__registry__v1__model_version__descriptor,
                     store->arena, err);
}

/* ---- versions ---- */

enum err_code
store_add_version(const struct store *store, const ModelVersion *version, int64_t *number,
                  struct err *err)
{
    static const struct db_stmt stmt = {
        "WITH m AS (INSERT INTO model (workspace, name, created_at_ms, last_version)"
        " VALUES ($1, $2, $7, 1) ON CONFLICT (workspace, name)"
        " DO UPDATE SET last_version = model.last_version + 1 RETURNING last_version)"
        " INSERT INTO version (workspace, name, version, run_id, description, tags, detail,"
        " created_at_ms, created_by)"
        " SELECT $1, $2, last_version, $3, $4, $5, $6, $7, $8 FROM m RETURNING version"};
    CLEANUP(db_result_free) struct db_result *result = NULL;
    ModelVersion detail = MODELBUS__REGISTRY__V1__MODEL_VERSION__INIT;

    detail.artifact = version->artifact;
    detail.reference_sample = version->reference_sample;
    detail.metrics = version->metrics;
    detail.n_metrics = version->n_metrics;
    detail.feature_names = version->feature_names;
    detail.n_feature_names = version->n_feature_names;
    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(version->name),
                          db_text(version->run_id), db_text(version->description),
                          packed_tags(store, version->tags, version->n_tags),
                          db_message(store->arena, &detail.base), db_int(version->created_at_ms),
                          db_text(version->created_by)),
                &result, err))
        return err->code;
    *number = db_i64(result, 0, 0);
    return ERR_OK;
}

#define VERSION_COLUMNS                                                                            \
    "SELECT v.version, v.stage, v.run_id, v.description, v.tags, v.detail, v.created_at_ms,"       \
    " v.created_by, v.revision, (SELECT string_agg(a.alias, ',' ORDER BY a.alias) FROM alias a"    \
    " WHERE a.workspace = v.workspace AND a.name = v.name AND a.version = v.version)"
#define ONE_VERSION VERSION_COLUMNS " FROM version v WHERE v.workspace = $1 AND v.name = $2"

/* "a,b" as an array; a name of an alias has no comma. */
static void
split_aliases(const struct store *store, const char *joined, ModelVersion *version)
{
    size_t count = *joined ? 1 : 0;

    for (const char *p = joined; *p; p++)
        count += *p == ',';
    version->aliases = arena_alloc(store->arena, count * sizeof(char *));
    version->n_aliases = count;
    for (size_t i = 0; i < count; i++) {
        size_t len = strcspn(joined, ",");
        version->aliases[i] = arena_strndup(store->arena, joined, len);
        joined += len + 1;
    }
}

static MUST_CHECK enum err_code
read_version(const struct store *store, const char *name, const struct db_result *result,
             size_t row, ModelVersion **found, struct err *err)
{
    ModelVersion *version = unpack(store, result, row, 5, err);
    const ModelVersion *tags = version ? unpack(store, result, row, 4, err) : NULL;

    if (!tags)
        return err->code;
    version->name = arena_strdup(store->arena, name);
    version->version = db_i64(result, row, 0);
    version->stage = (Stage)db_i64(result, row, 1);
    version->run_id = db_copy(result, row, 2, store->arena);
    version->description = db_copy(result, row, 3, store->arena);
    version->tags = tags->tags;
    version->n_tags = tags->n_tags;
    version->created_at_ms = db_i64(result, row, 6);
    version->created_by = db_copy(result, row, 7, store->arena);
    version->revision = db_i64(result, row, 8);
    split_aliases(store, db_str(result, row, 9), version);
    *found = version;
    return ERR_OK;
}

enum err_code
store_get_version(const struct store *store, const char *name, int64_t number, const char *alias,
                  ModelVersion **found, struct err *err)
{
    static const struct db_stmt by_number = {ONE_VERSION " AND v.version = $3"};
    static const struct db_stmt by_alias = {ONE_VERSION
                                            " AND v.version = (SELECT version FROM alias"
                                            " WHERE workspace = $1 AND name = $2 AND alias = $3)"};
    static const struct db_stmt latest = {ONE_VERSION " ORDER BY v.version DESC LIMIT 1"};
    CLEANUP(db_result_free) struct db_result *result = NULL;
    const struct db_param params[] = {db_text(store->workspace), db_text(name),
                                      number ? db_int(number) : db_text(alias)};
    const struct db_stmt *stmt = number ? &by_number : *alias ? &by_alias : &latest;

    if (db_exec(store->db, stmt, params, stmt == &latest ? 2 : 3, &result, err))
        return err->code;
    if (db_rows(result) == 0) {
        if (number)
            return err_set(err, ERR_NOT_FOUND, "model '%s' has no version %" PRId64, name, number);
        if (*alias)
            return err_set(err, ERR_NOT_FOUND, "model '%s' has no alias '%s'", name, alias);
        return err_set(err, ERR_NOT_FOUND, "model '%s' has no version", name);
    }
    return read_version(store, name, result, 0, found, err);
}

enum err_code
store_list_versions(const struct store *store, const char *name, int64_t before, int64_t limit,
                    ModelVersion ***versions, size_t *count, bool *more, struct err *err)
{
    static const struct db_stmt stmt = {DB_PAGE_SELECT(
        VERSION_COLUMNS, "version WHERE workspace = $1 AND name = $2 AND version < $3", "v",
        "version DESC", "octet_length(detail) + octet_length(tags)", "$4", "$5")};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(name), db_int(before), db_int(limit),
                          db_int(DB_PAGE_BYTES)),
                &result, err))
        return err->code;
    size_t rows = db_page_rows(result, 10, limit, more);
    ModelVersion **list = arena_alloc(store->arena, rows * sizeof(*list));
    for (size_t i = 0; i < rows; i++)
        if (read_version(store, name, result, i, &list[i], err))
            return err->code;
    *versions = list;
    *count = rows;
    return ERR_OK;
}

/* One version's row is changed or it is not there. */
static MUST_CHECK enum err_code
change_version(const struct store *store, const struct db_stmt *stmt, const struct db_param *params,
               size_t count, const char *name, int64_t number, struct err *err)
{
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, stmt, params, count, &result, err))
        return err->code;
    if (db_affected(result) != 1)
        return err_set(err, ERR_NOT_FOUND, "model '%s' has no version %" PRId64, name, number);
    return ERR_OK;
}

#define THIS_VERSION " WHERE workspace = $1 AND name = $2 AND version = $3"

enum err_code
store_update_version(const struct store *store, const char *name, int64_t number,
                     const char *description, Tag *const *tags, size_t tag_count, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE version SET description = $4, tags = $5, revision = revision + 1" THIS_VERSION};

    return change_version(store, &stmt,
                          DB_PARAMS(db_text(store->workspace), db_text(name), db_int(number),
                                    db_text(description), packed_tags(store, tags, tag_count)),
                          name, number, err);
}

enum err_code
store_set_stage(const struct store *store, const char *name, int64_t number, Stage stage,
                struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE version SET stage = $4, revision = revision + 1" THIS_VERSION};

    return change_version(
        store, &stmt,
        DB_PARAMS(db_text(store->workspace), db_text(name), db_int(number), db_int(stage)), name,
        number, err);
}

enum err_code
store_touch_version(const struct store *store, const char *name, int64_t number, struct err *err)
{
    static const struct db_stmt stmt = {"UPDATE version SET revision = revision + 1" THIS_VERSION};

    return change_version(store, &stmt,
                          DB_PARAMS(db_text(store->workspace), db_text(name), db_int(number)), name,
                          number, err);
}

enum err_code
store_delete_version(const struct store *store, const char *name, int64_t number, struct err *err)
{
    static const struct db_stmt stmt = {"DELETE FROM version" THIS_VERSION};

    return change_version(store, &stmt,
                          DB_PARAMS(db_text(store->workspace), db_text(name), db_int(number)), name,
                          number, err);
}

enum err_code
store_production(const struct store *store, const char *name, int64_t *number, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT version FROM version WHERE workspace = $1 AND name = $2 AND stage = 3"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(name)), &result,
                err))
        return err->code;
    *number = db_rows(result) ? db_i64(result, 0, 0) : 0;
    return ERR_OK;
}

/* ---- models ---- */

enum err_code
store_add_model(const struct store *store, const Model *model, struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO model (workspace, name, description, tags, created_at_ms)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(
            store->db, &stmt,
            DB_PARAMS(db_text(store->workspace), db_text(model->name), db_text(model->description),
                      packed_tags(store, model->tags, model->n_tags), db_int(model->created_at_ms)),
            &result, err))
        return err->code;
    if (db_affected(result) != 1)
        return err_set(err, ERR_EXISTS, "model '%s' exists", model->name);
    return ERR_OK;
}

#define MODEL_COLUMNS                                                                              \
    "SELECT m.name, m.description, m.tags, m.revision, m.created_at_ms, (SELECT v.version"         \
    " FROM version v WHERE v.workspace = m.workspace AND v.name = m.name"                          \
    " ORDER BY v.version DESC LIMIT 1)"

static MUST_CHECK enum err_code
read_models(const struct store *store, const struct db_result *result, Model **models, size_t count,
            struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        Model *model = models[i] = arena_alloc(store->arena, sizeof(*model));
        const ModelVersion *tags = unpack(store, result, i, 2, err);
        if (!tags)
            return err->code;
        modelbus__registry__v1__model__init(model);
        model->name = db_copy(result, i, 0, store->arena);
        model->description = db_copy(result, i, 1, store->arena);
        model->tags = tags->tags;
        model->n_tags = tags->n_tags;
        model->revision = db_i64(result, i, 3);
        model->created_at_ms = db_i64(result, i, 4);
        model->latest_version = db_i64(result, i, 5);
    }
    return ERR_OK;
}

/* The aliases of all of them with one statement; both lists are ordered by name. */
static MUST_CHECK enum err_code
add_aliases(const struct store *store, Model **models, size_t count, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT name, alias, version, revision, moved_at_ms, moved_by FROM alias"
        " WHERE workspace = $1 AND name = ANY ($2::text[]) AND version IS NOT NULL"
        " ORDER BY name, alias"};
    CLEANUP(db_result_free) struct db_result *result = NULL;
    const char **names = arena_alloc(store->arena, count * sizeof(*names));

    for (size_t i = 0; i < count; i++)
        names[i] = models[i]->name;
    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text_array(store->arena, names, count)),
                &result, err))
        return err->code;
    size_t rows = db_rows(result);
    Alias **aliases = arena_alloc(store->arena, rows * sizeof(*aliases));
    for (size_t row = 0, i = 0; row < rows; row++) {
        Alias *alias = aliases[row] = arena_alloc(store->arena, sizeof(*alias));
        modelbus__registry__v1__alias__init(alias);
        alias->alias = db_copy(result, row, 1, store->arena);
        alias->version = db_i64(result, row, 2);
        alias->revision = db_i64(result, row, 3);
        alias->moved_at_ms = db_i64(result, row, 4);
        alias->moved_by = db_copy(result, row, 5, store->arena);
        while (strcmp(models[i]->name, db_str(result, row, 0)) != 0)
            i++;
        if (models[i]->n_aliases++ == 0)
            models[i]->aliases = &aliases[row];
    }
    return ERR_OK;
}

enum err_code
store_get_model(const struct store *store, const char *name, Model **found, struct err *err)
{
    static const struct db_stmt stmt = {MODEL_COLUMNS
                                        " FROM model m WHERE m.workspace = $1 AND m.name = $2"};
    CLEANUP(db_result_free) struct db_result *result = NULL;
    Model *model = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(name)), &result,
                err))
        return err->code;
    if (db_rows(result) == 0)
        return err_set(err, ERR_NOT_FOUND, "model '%s'", name);
    if (read_models(store, result, &model, 1, err) || add_aliases(store, &model, 1, err))
        return err->code;
    *found = model;
    return ERR_OK;
}

enum err_code
store_list_models(const struct store *store, const char *prefix, const char *after, int64_t limit,
                  Model ***models, size_t *count, bool *more, struct err *err)
{
    /* The bounds make it a range of the primary key; the last character is above any other. */
    static const struct db_stmt stmt = {
        DB_PAGE_SELECT(MODEL_COLUMNS,
                       "model WHERE workspace = $1 AND name > $2 AND name >= $3 AND name < $3 || "
                       "chr(1114111) AND starts_with(name, $3)",
                       "m", "name", "octet_length(description) + octet_length(tags)", "$4", "$5")};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(after), db_text(prefix), db_int(limit),
                          db_int(DB_PAGE_BYTES)),
                &result, err))
        return err->code;
    size_t rows = db_page_rows(result, 6, limit, more);
    Model **list = arena_alloc(store->arena, rows * sizeof(*list));
    if (read_models(store, result, list, rows, err) || add_aliases(store, list, rows, err))
        return err->code;
    *models = list;
    *count = rows;
    return ERR_OK;
}

enum err_code
store_update_model(const struct store *store, const char *name, const char *description,
                   Tag *const *tags, size_t tag_count, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE model SET description = $3, tags = $4, revision = revision + 1"
        " WHERE workspace = $1 AND name = $2"};

    return db_exec_expect(store->db, &stmt,
                          DB_PARAMS(db_text(store->workspace), db_text(name), db_text(description),
                                    packed_tags(store, tags, tag_count)),
                          1, err);
}

enum err_code
store_lock_model(const struct store *store, const char *name, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT 1 FROM model WHERE workspace = $1 AND name = $2 FOR UPDATE"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(name)), &result,
                err))
        return err->code;
    if (db_rows(result) == 0)
        return err_set(err, ERR_NOT_FOUND, "model '%s'", name);
    return ERR_OK;
}

/* ---- aliases ---- */

enum err_code
store_get_alias(const struct store *store, const char *name, const char *alias, Alias *found,
                struct err *err)
{
    static const struct db_stmt stmt = {"SELECT version, revision, moved_at_ms, moved_by FROM alias"
                                        " WHERE workspace = $1 AND name = $2 AND alias = $3"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(name), db_text(alias)), &result, err))
        return err->code;
    found->alias = arena_strdup(store->arena, alias);
    if (db_rows(result)) {
        found->version = db_i64(result, 0, 0);
        found->revision = db_i64(result, 0, 1);
        found->moved_at_ms = db_i64(result, 0, 2);
        found->moved_by = db_copy(result, 0, 3, store->arena);
    }
    return ERR_OK;
}

enum err_code
store_move_alias(const struct store *store, const char *name, Alias *moved, struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO alias (workspace, name, alias, version, revision, moved_at_ms, moved_by)"
        " VALUES ($1, $2, $3, nullif($4::bigint, 0), 1, $5, $6)"
        " ON CONFLICT (workspace, name, alias) DO UPDATE SET version = excluded.version,"
        " revision = alias.revision + 1, moved_at_ms = excluded.moved_at_ms,"
        " moved_by = excluded.moved_by RETURNING revision"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(name), db_text(moved->alias),
                          db_int(moved->version), db_int(moved->moved_at_ms),
                          db_text(moved->moved_by)),
                &result, err))
        return err->code;
    moved->revision = db_i64(result, 0, 0);
    return ERR_OK;
}
