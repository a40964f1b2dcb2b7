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
 *     … DB_PAGE_SELECT(…) with more ? after[0] : "" …
 *     … rows = db_page_rows(result, col, limit, &more) …
 *     … if more: db_page_encode(arena, "ListModels", last, 1)
 */
#pragma once

#include "arena/arena.h"
#include "db/db.h"

#define DB_PAGE_DEFAULT 100
#define DB_PAGE_MAX 1000
#define DB_PAGE_KEYS_MAX 4
#define DB_PAGE_TOKEN_MAX 4096  /* characters; keys and name of the list: half of it */
#define DB_PAGE_BYTES (2 << 20) /* of the rows of a page, so that a reply fits an rpc message */

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

/*
 * The SQL of a page that ends after limit rows or after max bytes of them, whichever comes first,
 * but has one row at least. The innermost query finds limit + 1 rows, the middle one adds up their
 * sizes, the outer one stops. All arguments are string literals:
 *     columns  "SELECT …" of the outer query; the column after them counts the rows found
 *     from     table and conditions of the innermost query, which takes whole rows
 *     alias    of the rows in the outer query
 *     key      the order; "name", "version DESC"
 *     size     of a row, bytes; from its columns
 *     limit, max  their parameters: "$3"; DB_PAGE_BYTES goes with max
 * db_page_rows() reads how many rows of the result are the page's.
 */
#define DB_PAGE_SELECT(columns, from, alias, key, size, limit, max)                                \
    columns ", found FROM (SELECT p.*, count(*) OVER () AS found, sum(" size                       \
            ") OVER (ORDER BY " key                                                                \
            " ROWS UNBOUNDED PRECEDING) AS bytes FROM (SELECT * FROM " from " ORDER BY " key       \
            " LIMIT " limit "::bigint + 1) p) " alias " WHERE bytes - (" size ") < " max           \
            " ORDER BY " key

/* Rows of the page in the result of a DB_PAGE_SELECT, whose column `found` counts those found;
 * *more: there are others after them. */
size_t db_page_rows(const struct db_result *result, int found, int64_t limit, bool *more);
