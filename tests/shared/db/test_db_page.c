/* SPDX-License-Identifier: Apache-2.0 */
/* test_db_page.c - tokens, and pages that end at a number of rows or of bytes. */
#include "db/db_page.h"

#include "modelbus/common/v1/common.pb-c.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct db_pool *pool;
static struct db_conn *conn;
static struct arena *arena;
static struct err err;
static char schema[64];

#define OK(call) cr_assert_eq((call), ERR_OK, "%s", err.message)

static void
setup(void)
{
    const char *url = getenv("MODELBUS_TEST_POSTGRES_URL");
    char sql[128];

    cr_assert(url, "MODELBUS_TEST_POSTGRES_URL is not set");
    snprintf(schema, sizeof(schema), "test_db_page_%d", (int)getpid());
    arena = arena_new(0, 0);
    OK(db_pool_open(&pool, url, schema, 1, 100, &err));
    OK(db_borrow(pool, &conn, &err));
    snprintf(sql, sizeof(sql), "CREATE SCHEMA %s; CREATE TABLE t (n bigint, body bytea)", schema);
    OK(db_script(conn, sql, &err));
}

static void
teardown(void)
{
    char sql[128];

    snprintf(sql, sizeof(sql), "DROP SCHEMA %s CASCADE", schema);
    OK(db_script(conn, sql, &err));
    db_return(conn);
    db_pool_free(pool);
    arena_free(arena);
}

TestSuite(db_page, .init = setup, .fini = teardown, .timeout = 30);

static size_t
page(int64_t after, int64_t limit, int64_t max, bool *more)
{
    static const struct db_stmt stmt = {
        DB_PAGE_SELECT("SELECT n", "t WHERE n > $1", "t", "n", "octet_length(body)", "$2", "$3")};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    OK(db_exec(conn, &stmt, DB_PARAMS(db_int(after), db_int(limit), db_int(max)), &result, &err));
    size_t rows = db_page_rows(result, 1, limit, more);
    for (size_t i = 0; i < rows; i++)
        cr_assert_eq(db_i64(result, i, 0), after + (int64_t)i + 1);
    return rows;
}

Test(db_page, ends_at_its_limit_of_rows)
{
    bool more;

    OK(db_script(conn, "INSERT INTO t SELECT n, 'abcd' FROM generate_series(1, 5) n", &err));
    cr_assert_eq(page(0, 3, DB_PAGE_BYTES, &more), 3);
    cr_assert(more);
    cr_assert_eq(page(3, 3, DB_PAGE_BYTES, &more), 2);
    cr_assert_not(more);
    cr_assert_eq(page(5, 3, DB_PAGE_BYTES, &more), 0);
    cr_assert_not(more);
    cr_assert_eq(page(0, 5, DB_PAGE_BYTES, &more), 5);
    cr_assert_not(more);
}

Test(db_page, ends_at_its_bytes_but_has_a_row)
{
    bool more;

    OK(db_script(conn, "INSERT INTO t SELECT n, 'abcd' FROM generate_series(1, 5) n", &err));
    cr_assert_eq(page(0, 5, 8, &more), 2);
    cr_assert(more);
    cr_assert_eq(page(3, 5, 1, &more), 1);
    cr_assert(more);
    cr_assert_eq(page(4, 5, 1, &more), 1);
    cr_assert_not(more);
}

Test(db_page, token_is_of_its_list)
{
    const char *const keys[] = {"12", "a b"};
    const char *found[2] = {NULL, NULL};
    bool more;

    char *token = db_page_encode(arena, "ListRuns x", keys, 2);
    OK(db_page_decode(arena, token, "ListRuns x", found, 2, &more, &err));
    cr_assert(more);
    cr_assert_str_eq(found[0], "12");
    cr_assert_str_eq(found[1], "a b");
    cr_assert_eq(db_page_decode(arena, token, "ListRuns y", found, 2, &more, &err), ERR_INVALID);
    cr_assert_eq(db_page_decode(arena, token, "ListRuns x", found, 1, &more, &err), ERR_INVALID);
    token[3] = 'x';
    cr_assert_eq(db_page_decode(arena, token, "ListRuns x", found, 2, &more, &err), ERR_INVALID);
    OK(db_page_decode(arena, "", "ListRuns x", found, 2, &more, &err));
    cr_assert_not(more);
}

Test(db_page, message_columns_come_back)
{
    static const struct db_stmt echo = {"SELECT $1::bytea"};
    const ProtobufCMessageDescriptor *type = &modelbus__common__v1__tag__descriptor;
    CLEANUP(db_result_free) struct db_result *some = NULL;
    CLEANUP(db_result_free) struct db_result *none = NULL;
    CLEANUP(db_result_free) struct db_result *other = NULL;
    Modelbus__Common__V1__Tag tag = MODELBUS__COMMON__V1__TAG__INIT, *found;

    tag.key = (char *)"team";
    OK(db_exec(conn, &echo, DB_PARAMS(db_message(arena, &tag.base)), &some, &err));
    found = db_unpack(some, 0, 0, type, arena, &err);
    cr_assert(found, "%s", err.message);
    cr_assert_str_eq(found->key, "team");

    OK(db_exec(conn, &echo, DB_PARAMS(db_message(arena, NULL)), &none, &err));
    found = db_unpack(none, 0, 0, type, arena, &err);
    cr_assert(found, "%s", err.message);
    cr_assert_str_eq(found->key, "");

    OK(db_exec(conn, &echo, DB_PARAMS(db_bytes("\xff", 1)), &other, &err));
    cr_assert_null(db_unpack(other, 0, 0, type, arena, &err));
    cr_assert_eq(err.code, ERR_INTERNAL);
}
