/* SPDX-License-Identifier: Apache-2.0 */
/* store_promotion.c - SQL of promotion policies, evaluations and decisions. */
#include "store.h"

#include "db/db_page.h"

/* The message of a single column, NULL when there is no row. */
static MUST_CHECK enum err_code
find_message(const struct store *store, const struct db_stmt *stmt, const struct db_param *params,
             size_t count, const ProtobufCMessageDescriptor *type, void **found, struct err *err)
{
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, stmt, params, count, &result, err))
        return err->code;
    *found = NULL;
    if (db_rows(result) == 0)
        return ERR_OK;
    *found = db_unpack(result, 0, 0, type, store->arena, err);
    return *found ? ERR_OK : err->code;
}

/* ---- policies ---- */

enum err_code
store_set_policy(const struct store *store, const PromotionPolicy *policy, struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO promotion_policy (workspace, name, alias, policy) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (workspace, name, alias) DO UPDATE SET policy = excluded.policy"};

    return db_exec(store->db, &stmt,
                   DB_PARAMS(db_text(store->workspace), db_text(policy->name),
                             db_text(policy->alias), db_message(store->arena, &policy->base)),
                   NULL, err);
}

enum err_code
store_find_policy(const struct store *store, const char *name, const char *alias,
                  PromotionPolicy **found, struct err *err)
{
    static const struct db_stmt stmt = {"SELECT policy FROM promotion_policy"
                                        " WHERE workspace = $1 AND name = $2 AND alias = $3"};

    return find_message(store, &stmt,
                        DB_PARAMS(db_text(store->workspace), db_text(name), db_text(alias)),
                        &modelbus__registry__v1__promotion_policy__descriptor, (void **)found, err);
}

enum err_code
store_delete_policy(const struct store *store, const char *name, const char *alias, struct err *err)
{
    static const struct db_stmt stmt = {"DELETE FROM promotion_policy"
                                        " WHERE workspace = $1 AND name = $2 AND alias = $3"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(name), db_text(alias)), &result, err))
        return err->code;
    if (db_affected(result) != 1)
        return err_set(err, ERR_NOT_FOUND, "model '%s' has no promotion policy for '%s'", name,
                       alias);
    return ERR_OK;
}

/* ---- evaluations ---- */

enum err_code
store_put_evaluation(const struct store *store, const Evaluation *evaluation, struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO evaluation (workspace, name, version, data, evaluated_at_ms, evaluation)"
        " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace, name, version, data)"
        " DO UPDATE SET evaluated_at_ms = excluded.evaluated_at_ms,"
        " evaluation = excluded.evaluation"};

    return db_exec(store->db, &stmt,
                   DB_PARAMS(db_text(store->workspace), db_text(evaluation->name),
                             db_int(evaluation->version), db_text(evaluation->window),
                             db_int(evaluation->evaluated_at_ms),
                             db_message(store->arena, &evaluation->base)),
                   NULL, err);
}

enum err_code
store_find_evaluation(const struct store *store, const char *name, int64_t version,
                      const char *window, Evaluation **found, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT evaluation FROM evaluation"
        " WHERE workspace = $1 AND name = $2 AND version = $3 AND data = $4"};

    return find_message(
        store, &stmt,
        DB_PARAMS(db_text(store->workspace), db_text(name), db_int(version), db_text(window)),
        &modelbus__registry__v1__evaluation__descriptor, (void **)found, err);
}

static MUST_CHECK enum err_code
read_evaluations(const struct store *store, const struct db_result *result, size_t count,
                 Evaluation ***evaluations, struct err *err)
{
    Evaluation **list = arena_alloc(store->arena, (count + 1) * sizeof(*list));

    for (size_t i = 0; i < count; i++) {
        list[i] = db_unpack(result, i, 0, &modelbus__registry__v1__evaluation__descriptor,
                            store->arena, err);
        if (!list[i])
            return err->code;
    }
    *evaluations = list;
    return ERR_OK;
}

enum err_code
store_list_evaluations(const struct store *store, const char *name, int64_t version,
                       const char *after, int64_t limit, Evaluation ***evaluations, size_t *count,
                       bool *more, struct err *err)
{
    static const struct db_stmt stmt = {DB_PAGE_SELECT(
        "SELECT evaluation",
        "evaluation WHERE workspace = $1 AND name = $2 AND version = $3 AND data > $4", "e", "data",
        "octet_length(evaluation)", "$5", "$6")};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(name), db_int(version), db_text(after),
                          db_int(limit), db_int(DB_PAGE_BYTES)),
                &result, err))
        return err->code;
    *count = db_page_rows(result, 1, limit, more);
    return read_evaluations(store, result, *count, evaluations, err);
}

enum err_code
store_latest_evaluations(const struct store *store, const char *name, int64_t version,
                         int64_t limit, Evaluation ***evaluations, size_t *count, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT evaluation FROM evaluation WHERE workspace = $1 AND name = $2 AND version = $3"
        " ORDER BY evaluated_at_ms DESC, data LIMIT $4"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(name), db_int(version), db_int(limit)),
                &result, err))
        return err->code;
    *count = db_rows(result);
    return read_evaluations(store, result, *count, evaluations, err);
}

/* ---- decisions ---- */

enum err_code
store_find_decision(const struct store *store, const char *name, const char *alias,
                    int64_t challenger, const char *window, PromotionDecided **found,
                    struct err *err)
{
    static const struct db_stmt stmt = {"SELECT decision FROM promotion WHERE workspace = $1"
                                        " AND name = $2 AND alias = $3 AND challenger = $4"
                                        " AND data = $5"};

    return find_message(store, &stmt,
                        DB_PARAMS(db_text(store->workspace), db_text(name), db_text(alias),
                                  db_int(challenger), db_text(window)),
                        &modelbus__registry__v1__promotion_decided__descriptor, (void **)found,
                        err);
}

enum err_code
store_add_decision(const struct store *store, const PromotionDecided *decision, struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO promotion (workspace, name, alias, challenger, data, decision)"
        " VALUES ($1, $2, $3, $4, $5, $6)"};

    return db_exec(store->db, &stmt,
                   DB_PARAMS(db_text(store->workspace), db_text(decision->model_name),
                             db_text(decision->alias), db_int(decision->challenger),
                             db_text(decision->window), db_message(store->arena, &decision->base)),
                   NULL, err);
}
