/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokens.h - the live tokens in memory, so that no request waits for the database.
 *
 * A thread reads them all again every TOKENS_REFRESH_MS: what other gateways created or
 * revoked counts here within that time; what this one did counts at once. An unknown token
 * costs a lookup in memory and no query. While PostgreSQL is away the last copy serves for
 * TOKENS_STALE_MS, then tokens answer ERR_UNAVAILABLE.
 */
#pragma once

#include "auth/auth.h"
#include "store.h"

#define TOKENS_REFRESH_MS 2000
#define TOKENS_STALE_MS 60000
#define TOKENS_MAX 10000 /* live ones; more are not created */
#define TOKENS_LIFETIME_MAX_S (100LL * 366 * 24 * 3600)

struct tokens;
/* Reads once, then in the background. */
MUST_CHECK enum err_code tokens_start(struct tokens **tokens, struct db_pool *db, struct err *err);
void tokens_stop(struct tokens *tokens);
CLEANUP_DEFINE(struct tokens, tokens_stop)

/* ERR_UNAUTHENTICATED: unknown, revoked or expired. Any thread. */
MUST_CHECK enum err_code tokens_find(struct tokens *tokens, const uint8_t hash[32], int64_t now_ms,
                                     struct auth_caller *caller, struct err *err);
/* What this process has just committed. */
void tokens_put(struct tokens *tokens, const struct token *token);
void tokens_drop(struct tokens *tokens, const uint8_t hash[32]);
