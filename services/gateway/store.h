/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - API tokens in PostgreSQL (schema "gateway").
 *
 * store.c is the only file of this service with SQL. Strings of a row live in the arena
 * given. Errors are db.h's.
 */
#pragma once

#include "arena/arena.h"
#include "db/db.h"

/* One row; times are Unix epoch, ms, 0 for never. */
struct token {
    const char *id, *workspace, *subject, *scopes, *created_by;
    uint8_t hash[32];
    unsigned roles; /* of enum auth_role */
    int64_t created_at_ms, expires_at_ms, revoked_at_ms;
};

/* ERR_PRECONDITION when so many are live already. */
MUST_CHECK enum err_code store_add_token(struct db_conn *db, const struct token *token,
                                         int64_t limit, struct err *err);
/* A page of the workspace's tokens after the id, oldest first; rows in arena. */
MUST_CHECK enum err_code store_list_tokens(struct db_conn *db, const char *workspace,
                                           const char *after, int64_t limit, struct arena *arena,
                                           struct token **tokens, size_t *count, struct err *err);
/* Every token that is neither revoked nor expired at now_ms, at most limit. */
MUST_CHECK enum err_code store_live_tokens(struct db_conn *db, int64_t now_ms, int64_t limit,
                                           struct arena *arena, struct token **tokens,
                                           size_t *count, struct err *err);
/* ERR_NOT_FOUND. Revoking again keeps the first time. */
MUST_CHECK enum err_code store_revoke_token(struct db_conn *db, const char *workspace,
                                            const char *id, int64_t now_ms, struct arena *arena,
                                            struct token *token, struct err *err);
