/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db_page.h - lists by pages: keyset paging with opaque tokens.
 *
 * A page is "the next N rows after this key", so it costs the same at any depth and never
 * repeats or skips a row that stays. The token is the last row's key, in hex, with the
 * name of the list that it belongs to: a token of another list, of another filter, or a
 * damaged one is ERR_INVALID. It grants nothing: the query is bound to the caller's workspace
 * all the same.
 *
 *     if (db_page_limit(page_size, &limit, err) ||
 *         db_page_decode(arena, token, "ListModels", after, 1, &more, err))
 *         return err->code;
 *     … WHERE name > $2 ORDER BY name LIMIT $3 …   with more ? after[0] : ""
 *     … ask for limit + 1 rows; if they came: db_page_encode(arena, "ListModels", last, 1)
 */
#pragma once

#include "arena/arena.h"

#define DB_PAGE_DEFAULT 100
#define DB_PAGE_MAX 1000
#define DB_PAGE_KEYS_MAX 4
#define DB_PAGE_TOKEN_MAX 4096 /* characters; keys and name of the list: half of it */

/* Rows wanted: 0 is DB_PAGE_DEFAULT; more than DB_PAGE_MAX is ERR_INVALID. */
MUST_CHECK enum err_code db_page_limit(uint32_t page_size, int64_t *limit, struct err *err);

/* The token for the page after the row with these keys. Keys are text (numbers in decimal) and
 * together with list at most DB_PAGE_TOKEN_MAX / 2 bytes; longer ones abort. */
char *db_page_encode(struct arena *arena, const char *list, const char *const *keys, size_t count);

/* *more false (keys untouched): token is empty or NULL, the first page. Otherwise keys[0…count) are
 * filled, in arena. ERR_INVALID: not a token of this list. */
MUST_CHECK enum err_code db_page_decode(struct arena *arena, const char *token, const char *list,
                                        const char **keys, size_t count, bool *more,
                                        struct err *err);

/* A key that is a number. ERR_INVALID. */
MUST_CHECK enum err_code db_page_int(const char *key, int64_t *value, struct err *err);
