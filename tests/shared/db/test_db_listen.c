/* SPDX-License-Identifier: Apache-2.0 */
/* test_db_listen.c - two instances tell each other, over a restart of their connections. */
#include "crypto/crypto.h"
#include "db/db_listen.h"
#include "life/life.h"
#include "sync/sync.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_MS 10000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static struct ear {
    char last[DB_TOPIC_MAX + 1];
    int connected, told;
} ears[2];
static struct db_pool *pool;
static struct err err;

static void
heard(void *arg, const char *topic)
{
    struct ear *ear = arg;

    pthread_mutex_lock(&lock);
    if (*topic) {
        snprintf(ear->last, sizeof(ear->last), "%s", topic);
        ear->told++;
    } else {
        ear->connected++;
    }
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static bool
becomes(const int *value, int at_least)
{
    int64_t until_ms = life_monotonic_ms() + PATIENCE_MS;

    pthread_mutex_lock(&lock);
    while (*value < at_least && sync_wait(&changed, &lock, until_ms))
        ;
    bool good = *value >= at_least;
    pthread_mutex_unlock(&lock);
    return good;
}

static void
run_sql(const char *sql)
{
    CLEANUP(db_return) struct db_conn *conn = NULL;
    struct db_stmt stmt = {sql};

    cr_assert_eq(db_connect(pool, &conn, &err), ERR_OK, "%s", err.message);
    cr_assert_eq(db_exec(conn, &stmt, DB_NO_PARAMS, NULL, &err), ERR_OK, "%s", err.message);
}

Test(db_listen, instances_hear_each_other_and_come_back)
{
    static const struct embed_file none[] = {{.name = NULL}};
    const char *url = getenv("MODELBUS_TEST_POSTGRES_URL");
    CLEANUP(db_listener_free) struct db_listener *one = NULL, *two = NULL;
    char schema[64], id[37], sql[200], topic[2 * DB_TOPIC_MAX];

    cr_assert(url, "MODELBUS_TEST_POSTGRES_URL is not set");
    sync_cond_init(&changed);
    crypto_uuid7(id);
    snprintf(schema, sizeof(schema), "listen_%.8s%.4s%.4s", id, id + 9, id + 14);
    cr_assert_eq(db_pool_open(&pool, url, schema, 4, 1000, &err), ERR_OK, "%s", err.message);
    cr_assert_eq(db_migrate(pool, "none", none, &err), ERR_OK, "%s", err.message);
    db_listen(pool, heard, &ears[0], &one);
    db_listen(pool, heard, &ears[1], &two);
    cr_assert(becomes(&ears[0].connected, 1) && becomes(&ears[1].connected, 1));

    db_notify(one, "tasks");
    cr_assert(becomes(&ears[0].told, 1) && becomes(&ears[1].told, 1));
    cr_expect_str_eq(ears[1].last, "tasks");

    memset(topic, 'x', sizeof(topic) - 1);
    topic[sizeof(topic) - 1] = '\0';
    db_notify(two, topic);
    cr_assert(becomes(&ears[0].told, 2));
    cr_expect_eq(strlen(ears[0].last), DB_TOPIC_MAX);

    snprintf(sql, sizeof(sql),
             "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE "
             "'%%%s_changed%%' AND pid <> pg_backend_pid()",
             schema);
    run_sql(sql);
    snprintf(sql, sizeof(sql),
             "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE "
             "'%%_changed%%' AND query NOT LIKE '%%terminate%%' AND pid <> pg_backend_pid()");
    run_sql(sql);
    cr_assert(becomes(&ears[0].connected, 2) && becomes(&ears[1].connected, 2));
    db_notify(one, "again");
    cr_assert(becomes(&ears[1].told, 3));
    cr_expect_str_eq(ears[1].last, "again");
    db_listener_free(TAKE_PTR(one));
    db_listener_free(TAKE_PTR(two));
    snprintf(sql, sizeof(sql), "DROP SCHEMA %s CASCADE", schema);
    run_sql(sql);
    db_pool_free(pool);
}
