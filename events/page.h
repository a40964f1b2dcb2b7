/* SPDX-License-Identifier: Apache-2.0 */
/*
 * page.h - the page that a query asks for, and the token of the next one (db/db_page.h with the
 * PageRequest of the queries).
 *
 *     int64_t limit, before = INT64_MAX;
 *     if (page_read_number(arena, request->page, list, &before, &limit, err) || …)
 *         return err->code;
 *     if (more)
 *         response->next_page_token = page_next_number(arena, list, last->version);
 *
 * list names the list and what it is filtered by; a token of another one is ERR_INVALID, like a
 * page_size that is out of range. Of the first page the keys stay as they are. page may be NULL:
 * the first one. What is filled lives in arena.
 */
#pragma once

#include "db/db_page.h"
#include "values.h"

MUST_CHECK enum err_code page_read(struct arena *arena, const PageRequest *page, const char *list,
                                   const char **keys, size_t count, int64_t *limit,
                                   struct err *err);
/* Of a list whose key is one number. */
MUST_CHECK enum err_code page_read_number(struct arena *arena, const PageRequest *page,
                                          const char *list, int64_t *key, int64_t *limit,
                                          struct err *err);

/* The token of the page after a row with this key; several keys: db_page_encode(). */
char *page_next(struct arena *arena, const char *list, const char *key);
char *page_next_number(struct arena *arena, const char *list, int64_t key);
