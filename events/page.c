/* SPDX-License-Identifier: Apache-2.0 */
/* page.c - the page that a query asks for. */
#include "page.h"

#include <inttypes.h>

enum err_code
page_read(struct arena *arena, const PageRequest *page, const char *list, const char **keys,
          size_t count, int64_t *limit, struct err *err)
{
    int64_t rows;
    bool later;

    if (db_page_limit(page ? page->page_size : 0, &rows, err) ||
        db_page_decode(arena, page ? page->page_token : "", list, keys, count, &later, err))
        return err->code;
    *limit = rows;
    return ERR_OK;
}

enum err_code
page_read_number(struct arena *arena, const PageRequest *page, const char *list, int64_t *key,
                 int64_t *limit, struct err *err)
{
    const char *text = NULL;

    if (page_read(arena, page, list, &text, 1, limit, err))
        return err->code;
    return text ? db_page_int(text, key, err) : ERR_OK;
}

char *
page_next(struct arena *arena, const char *list, const char *key)
{
    return db_page_encode(arena, list, &key, 1);
}

char *
page_next_number(struct arena *arena, const char *list, int64_t key)
{
    return page_next(arena, list, arena_printf(arena, "%" PRId64, key));
}
