/* SPDX-License-Identifier: Apache-2.0 */
/* test_db.c - the pool, transactions and the pipeline on a real PostgreSQL. */
#include "db/db.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct db_pool *pool;
static struct db_conn *conn;
static struct err err;
static char schema[64];

static const struct embed_file files[] = {
    {"001.sql", "CREATE TABLE t (a int PRIMARY KEY CHECK (a > 0), b bytea)"}, {NULL, NULL}};
static const struct db_stmt insert = {"INSERT INTO t VALUES ($1, $2)"};
static const struct db_stmt count = {"SELECT count(*) FROM t"};
static const struct db_stmt pid = {"SELECT pg_backend_pid()"};

#define OK(call) cr_assert_eq((call), ERR_OK, "%s", err.message)

static void
setup(void)
{
    const char *url = getenv("MODELBUS_TEST_POSTGRES_URL");

    cr_assert(url, "MODELBUS_TEST_POSTGRES_URL is not set");
    snprintf(schema, sizeof(schema), "test_db_%d", (int)getpid());
    OK(db_pool_open(&pool, url, schema, 2, 100, &err));
    OK(db_migrate(pool, "test", files, &err));
    OK(db_borrow(pool, &conn, &err));
}

static void
teardown(void)
{
    char sql[128];

    snprintf(sql, sizeof(sql), "DROP SCHEMA %s CASCADE", schema);
    db_rollback(conn);
    OK(db_script(conn, sql, &err));
    db_return(conn);
    db_pool_free(pool);
}

TestSuite(db, .init = setup, .fini = teardown, .timeout = 30);

static int64_t
number(const struct db_stmt *stmt)
{
    CLEANUP(db_result_free) struct db_result *result = NULL;

    OK(db_exec(conn, stmt, DB_NO_PARAMS, &result, &err));
    return db_i64(result, 0, 0);
}

static void
hook(void *arg)
{
    ++*(int *)arg;
}

Test(db, a_queued_failure_shows_at_the_commit_and_undoes_the_transaction)
{
    int hooks = 0;

    OK(db_begin(conn, &err));
    db_after_commit(conn, hook, &hooks);
    OK(db_queue(conn, &insert, DB_PARAMS(db_int(1), db_null()), &err));
    OK(db_queue(conn, &insert, DB_PARAMS(db_int(1), db_null()), &err));
    OK(db_queue(conn, &insert, DB_PARAMS(db_int(2), db_null()), &err));
    cr_assert_eq(db_commit(conn, &err), ERR_EXISTS);
    cr_assert_not(db_in_transaction(conn));
    cr_assert_eq(hooks, 0);
    cr_assert_eq(number(&count), 0);
}

Test(db, a_commit_keeps_what_was_queued_and_runs_a_hook_once)
{
    int hooks = 0;

    OK(db_begin(conn, &err));
    db_after_commit(conn, hook, &hooks);
    db_after_commit(conn, hook, &hooks);
    for (int i = 1; i <= 5000; i++)
        OK(db_queue(conn, &insert, DB_PARAMS(db_int(i), db_null()), &err));
    OK(db_commit(conn, &err));
    cr_assert_eq(hooks, 1);
    cr_assert_eq(number(&count), 5000);
}

Test(db, a_rollback_to_a_savepoint_undoes_only_what_follows_it)
{
    OK(db_begin(conn, &err));
    OK(db_queue(conn, &insert, DB_PARAMS(db_int(1), db_null()), &err));
    OK(db_savepoint(conn, &err));
    cr_assert_eq(db_exec(conn, &insert, DB_PARAMS(db_int(0), db_null()), NULL, &err),
                 ERR_PRECONDITION);
    OK(db_rollback_to_savepoint(conn, &err));
    OK(db_release_savepoint(conn, &err));
    OK(db_commit(conn, &err));
    cr_assert_eq(number(&count), 1);
}

Test(db, bytea_keeps_every_byte_and_arrays_every_text)
{
    static const struct db_stmt select = {"SELECT b FROM t"};
    static const struct db_stmt texts = {"SELECT x FROM unnest($1::text[]) x"};
    static const char *const items[] = {"a\"b\\c,{}", "", NULL, "NULL"};
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    CLEANUP(db_result_free) struct db_result *one = NULL;
    CLEANUP(db_result_free) struct db_result *four = NULL;
    uint8_t all[256];
    const uint8_t *data;
    size_t len;

    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    OK(db_exec(conn, &insert, DB_PARAMS(db_int(1), db_bytes(all, sizeof(all))), NULL, &err));
    OK(db_exec(conn, &select, DB_NO_PARAMS, &one, &err));
    db_bin(one, 0, 0, arena, &data, &len);
    cr_assert_eq(len, sizeof(all));
    cr_assert_eq(memcmp(data, all, len), 0);
    OK(db_exec(conn, &texts, DB_PARAMS(db_text_array(arena, items, 4)), &four, &err));
    cr_assert_eq(db_rows(four), 4);
    for (size_t i = 0; i < 4; i++) {
        cr_assert_eq(db_is_null(four, i, 0), items[i] == NULL);
        cr_assert_str_eq(db_str(four, i, 0), items[i] ? items[i] : "");
    }
}

Test(db, a_terminated_connection_is_unavailable_and_then_replaced_with_its_statements)
{
    static const struct db_stmt terminate = {"SELECT pg_terminate_backend($1)"};
    struct db_conn *other, *third;
    int64_t victim = number(&pid);

    OK(db_borrow(pool, &other, &err));
    cr_assert_eq(db_borrow(pool, &third, &err), ERR_UNAVAILABLE, "the pool has two");
    OK(db_exec(other, &terminate, DB_PARAMS(db_int(victim)), NULL, &err));
    cr_assert_eq(db_exec(conn, &pid, DB_NO_PARAMS, NULL, &err), ERR_UNAVAILABLE);
    db_return(conn);
    OK(db_borrow(pool, &conn, &err));
    cr_assert_neq(number(&pid), victim);
    db_return(other);
}

Test(db, a_changed_migration_is_refused)
{
    static const struct embed_file changed[] = {{"001.sql", "SELECT 1"}, {NULL, NULL}};

    OK(db_migrate(pool, "test", files, &err));
    cr_assert_eq(db_migrate(pool, "test", changed, &err), ERR_INTERNAL);
}
