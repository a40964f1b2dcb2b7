/* SPDX-License-Identifier: Apache-2.0 */
/* db_page.c - a token is hex of: the list's name, NUL, then each key and a NUL. */
#include "db/db_page.h"

#include "crypto/crypto.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum err_code
db_page_limit(uint32_t page_size, int64_t *limit, struct err *err)
{
    if (page_size > DB_PAGE_MAX)
        return err_set(err, ERR_INVALID, "page_size %u: at most %d", page_size, DB_PAGE_MAX);
    *limit = page_size ? page_size : DB_PAGE_DEFAULT;
    return ERR_OK;
}

char *
db_page_encode(struct arena *arena, const char *list, const char *const *keys, size_t count)
{
    char raw[DB_PAGE_TOKEN_MAX / 2];
    size_t len = 0;

    for (size_t i = 0; i <= count; i++) {
        const char *part = i == 0 ? list : keys[i - 1];
        size_t size = strlen(part) + 1;
        if (size > sizeof(raw) - len) {
            fprintf(stderr, "db_page: key of list %s is too long\n", list);
            abort();
        }
        memcpy(raw + len, part, size);
        len += size;
    }
    char *token = arena_alloc(arena, 2 * len + 1);
    crypto_hex(raw, len, token);
    return token;
}

enum err_code
db_page_decode(struct arena *arena, const char *token, const char *list, const char **keys,
               size_t count, bool *more, struct err *err)
{
    const char *found[DB_PAGE_KEYS_MAX];

    if (!token || !*token) {
        *more = false;
        return ERR_OK;
    }
    size_t hex_len = strnlen(token, DB_PAGE_TOKEN_MAX + 1);
    size_t len = hex_len / 2;
    char *raw = arena_alloc(arena, DB_PAGE_TOKEN_MAX / 2);
    if (hex_len > DB_PAGE_TOKEN_MAX || hex_len % 2 || count > DB_PAGE_KEYS_MAX ||
        !crypto_unhex(token, hex_len, raw) || raw[len - 1] != '\0' || strcmp(raw, list) != 0)
        return err_set(err, ERR_INVALID, "page_token: not a token of this list");
    size_t at = strlen(raw) + 1;
    for (size_t i = 0; i < count; i++) {
        if (at >= len)
            return err_set(err, ERR_INVALID, "page_token: not a token of this list");
        found[i] = raw + at;
        at += strlen(found[i]) + 1;
    }
    if (at != len)
        return err_set(err, ERR_INVALID, "page_token: not a token of this list");
    for (size_t i = 0; i < count; i++)
        keys[i] = found[i];
    *more = true;
    return ERR_OK;
}

enum err_code
db_page_int(const char *key, int64_t *value, struct err *err)
{
    char *end;

    errno = 0;
    long long n = strtoll(key, &end, 10);
    if (errno || end == key || *end)
        return err_set(err, ERR_INVALID, "page_token: not a token of this list");
    *value = n;
    return ERR_OK;
}

size_t
db_page_rows(const struct db_result *result, int found, int64_t limit, bool *more)
{
    int64_t rows = (int64_t)db_rows(result);

    *more = rows > 0 && (rows > limit || db_i64(result, 0, found) > rows);
    return (size_t)(rows > limit ? limit : rows);
}
