/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - the token table. */
#include "store.h"

#include <inttypes.h>
#include <string.h>

#define COLUMNS                                                                                    \
    "id, workspace, hash, subject, roles, scopes, created_at_ms, created_by, expires_at_ms, "      \
    "revoked_at_ms"

static void
read_row(const struct db_result *result, size_t row, struct arena *arena, struct token *token)
{
    const uint8_t *hash;
    size_t len;

    token->id = db_copy(result, row, 0, arena);
    token->workspace = db_copy(result, row, 1, arena);
    db_bin(result, row, 2, arena, &hash, &len);
    memcpy(token->hash, hash, sizeof(token->hash)); /* the table's CHECK says 32 */
    token->subject = db_copy(result, row, 3, arena);
    token->roles = (unsigned)db_i64(result, row, 4);
    token->scopes = db_copy(result, row, 5, arena);
    token->created_at_ms = db_i64(result, row, 6);
    token->created_by = db_copy(result, row, 7, arena);
    token->expires_at_ms = db_i64(result, row, 8);
    token->revoked_at_ms = db_i64(result, row, 9);
}

static void
read_rows(const struct db_result *result, struct arena *arena, struct token **tokens, size_t *count)
{
    *count = db_rows(result);
    *tokens = arena_zalloc(arena, (*count + 1) * sizeof(**tokens));
    for (size_t i = 0; i < *count; i++)
        read_row(result, i, arena, &(*tokens)[i]);
}

enum err_code
store_add_token(struct db_conn *db, const struct token *t, int64_t limit, struct err *err)
{
    static const struct db_stmt insert = {"INSERT INTO token (" COLUMNS
                                          ") SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, 0 WHERE "
                                          "(SELECT count(*) FROM token WHERE revoked_at_ms = 0 AND"
                                          " (expires_at_ms = 0 OR expires_at_ms > $7)) < $10"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(db, &insert,
                DB_PARAMS(db_text(t->id), db_text(t->workspace), db_bytes(t->hash, sizeof(t->hash)),
                          db_text(t->subject), db_int(t->roles), db_text(t->scopes),
                          db_int(t->created_at_ms), db_text(t->created_by),
                          db_int(t->expires_at_ms), db_int(limit)),
                &result, err))
        return err->code;
    if (db_affected(result) == 0)
        return err_set(err, ERR_PRECONDITION, "%" PRId64 " tokens are live: revoke some first",
                       limit);
    return ERR_OK;
}

enum err_code
store_list_tokens(struct db_conn *db, const char *workspace, const char *after, int64_t limit,
                  struct arena *arena, struct token **tokens, size_t *count, struct err *err)
{
    static const struct db_stmt select = {"SELECT " COLUMNS " FROM token WHERE workspace = $1 AND "
                                          "id > $2 ORDER BY id LIMIT $3"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(db, &select, DB_PARAMS(db_text(workspace), db_text(after), db_int(limit)), &result,
                err))
        return err->code;
    read_rows(result, arena, tokens, count);
    return ERR_OK;
}

enum err_code
store_live_tokens(struct db_conn *db, int64_t now_ms, int64_t limit, struct arena *arena,
                  struct token **tokens, size_t *count, struct err *err)
{
    static const struct db_stmt select = {"SELECT " COLUMNS " FROM token WHERE revoked_at_ms = 0 "
                                          "AND (expires_at_ms = 0 OR expires_at_ms > $1) "
                                          "ORDER BY id DESC LIMIT $2"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(db, &select, DB_PARAMS(db_int(now_ms), db_int(limit)), &result, err))
        return err->code;
    read_rows(result, arena, tokens, count);
    return ERR_OK;
}

enum err_code
store_revoke_token(struct db_conn *db, const char *workspace, const char *id, int64_t now_ms,
                   struct arena *arena, struct token *token, struct err *err)
{
    static const struct db_stmt update = {
        "UPDATE token SET revoked_at_ms = CASE revoked_at_ms WHEN 0 THEN $3 ELSE revoked_at_ms END "
        "WHERE workspace = $1 AND id = $2 RETURNING " COLUMNS};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(db, &update, DB_PARAMS(db_text(workspace), db_text(id), db_int(now_ms)), &result,
                err))
        return err->code;
    if (db_rows(result) == 0)
        return err_set(err, ERR_NOT_FOUND, "token '%.64s'", id);
    read_row(result, 0, arena, token);
    return ERR_OK;
}
