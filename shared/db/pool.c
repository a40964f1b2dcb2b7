/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c - connections for threads to borrow. */
#include "db/conn.h"

#include "sync/sync.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_MS 60000  /* longer unused connections are closed, down to one */
#define FAILURE_MS 100 /* after a failed attempt others fail at once, without one */
#define SCHEMA_NAME_MAX 63

struct db_pool {
    char *url, *schema;
    unsigned size;
    int64_t wait_ms;
    pthread_mutex_t lock;
    pthread_cond_t returned;
    /* Under lock: */
    unsigned open;         /* pooled connections, borrowed and idle */
    struct db_conn **idle; /* the most recently used last */
    unsigned idle_count;
    bool away;           /* the last attempt to connect failed with failure ... */
    bool trying;         /* ... and one thread tries again */
    int64_t try_from_ms; /* not before */
    struct err failure;
};

static bool
name_ok(const char *schema)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz_0123456789";
    size_t len = strlen(schema);

    return len > 0 && len <= SCHEMA_NAME_MAX && strspn(schema, letters) == len &&
           !strchr("0123456789", schema[0]);
}

enum err_code
db_pool_open(struct db_pool **pool, const char *url, const char *schema, unsigned size,
             int64_t wait_ms, struct err *err)
{
    char *wrong = NULL;

    if (!name_ok(schema))
        return err_set(err, ERR_INVALID, "schema name '%s'", schema);
    if (size == 0)
        return err_set(err, ERR_INVALID, "a pool of no connections");
    /* Not the parser's text: it quotes the URL, and with it the password. */
    PQconninfoOption *parsed = PQconninfoParse(url, &wrong);
    PQconninfoFree(parsed);
    PQfreemem(wrong);
    if (!parsed)
        return err_set(err, ERR_INVALID, "malformed PostgreSQL URL");

    struct db_pool *p = mem_zalloc(sizeof(*p));
    p->url = mem_strdup(url);
    p->schema = mem_strdup(schema);
    p->size = size;
    p->wait_ms = wait_ms;
    p->idle = mem_calloc(size, sizeof(struct db_conn *));
    pthread_mutex_init(&p->lock, NULL);
    sync_cond_init(&p->returned);
    stats_connections(0, 0);
    *pool = p;
    return ERR_OK;
}

void
db_pool_free(struct db_pool *pool)
{
    if (!pool)
        return;
    for (unsigned i = 0; i < pool->idle_count; i++)
        conn_close(pool->idle[i]);
    stats_connections(-(int)pool->idle_count, 0);
    pthread_cond_destroy(&pool->returned);
    pthread_mutex_destroy(&pool->lock);
    free(pool->idle);
    free(pool->schema);
    free(pool->url);
    free(pool);
}

/* The server says nothing to an idle connection but that it ends. */
static bool
silent(const struct db_conn *conn)
{
    struct pollfd fd = {.fd = PQsocket(conn->pg), .events = POLLIN};

    return poll(&fd, 1, 0) == 0;
}

/* Under the lock: take out the longest unused connection when it is due; NULL: none is. */
static struct db_conn *
take_expired(struct db_pool *pool)
{
    if (pool->idle_count == 0 || pool->open <= 1 ||
        clock_ms() - pool->idle[0]->idle_from_ms < IDLE_MS)
        return NULL;
    struct db_conn *conn = pool->idle[0];
    pool->idle_count--;
    pool->open--;
    memmove(&pool->idle[0], &pool->idle[1], pool->idle_count * sizeof(pool->idle[0]));
    return conn;
}

/* May this thread try to connect? Under the lock. After a failure one at a time, with pauses. */
static enum err_code
may_connect(struct db_pool *pool, struct err *err)
{
    if (!pool->away)
        return ERR_OK;
    if (pool->trying || clock_ms() < pool->try_from_ms) {
        *err = pool->failure;
        return err->code;
    }
    pool->trying = true;
    return ERR_OK;
}

/* Connect without the lock, and remember how it went. */
static struct db_conn *
make(struct db_pool *pool, struct err *err)
{
    struct err failure;
    struct db_conn *conn = conn_open(pool->url, pool->schema, &failure);

    pthread_mutex_lock(&pool->lock);
    pool->trying = false;
    pool->away = conn == NULL;
    if (!conn) {
        pool->try_from_ms = clock_ms() + FAILURE_MS;
        pool->failure = failure;
    }
    pthread_mutex_unlock(&pool->lock);
    if (conn) {
        conn->pool = pool;
    } else {
        stats_error(failure.code);
        *err = failure;
    }
    return conn;
}

/* An idle connection (*conn) or the right to make one (*conn NULL). Under the lock. */
static enum err_code
take(struct db_pool *pool, struct db_conn **conn, struct err *err)
{
    int64_t until = clock_ms() + pool->wait_ms;

    for (;;) {
        while (pool->idle_count > 0) {
            struct db_conn *found = pool->idle[--pool->idle_count];
            stats_connections(-1, 0);
            if (silent(found)) {
                *conn = found;
                return ERR_OK;
            }
            conn_close(found);
            pool->open--;
        }
        if (pool->open < pool->size) {
            if (may_connect(pool, err))
                return err->code;
            pool->open++;
            *conn = NULL;
            return ERR_OK;
        }
        if (!sync_wait(&pool->returned, &pool->lock, until) && pool->idle_count == 0 &&
            pool->open >= pool->size)
            return err_set(err, ERR_UNAVAILABLE, "all %u connections to PostgreSQL are in use",
                           pool->size);
    }
}

enum err_code
db_borrow(struct db_pool *pool, struct db_conn **conn, struct err *err)
{
    struct db_conn *got = NULL;

    pthread_mutex_lock(&pool->lock);
    enum err_code code = take(pool, &got, err);
    pthread_mutex_unlock(&pool->lock);
    if (code) {
        stats_error(code);
        return code;
    }
    if (!got && !(got = make(pool, err))) {
        pthread_mutex_lock(&pool->lock);
        pool->open--;
        pthread_cond_signal(&pool->returned);
        pthread_mutex_unlock(&pool->lock);
        return err->code;
    }
    got->pooled = true;
    got->retry_advised = false;
    stats_connections(0, 1);
    *conn = got;
    return ERR_OK;
}

void
db_return(struct db_conn *conn)
{
    if (!conn)
        return;
    struct db_pool *pool = conn->pool;
    db_rollback(conn);
    stats_connections(0, -1);
    if (!conn->pooled) {
        conn_close(conn);
        return;
    }
    bool keep = !conn->broken && PQtransactionStatus(conn->pg) == PQTRANS_IDLE;
    pthread_mutex_lock(&pool->lock);
    struct db_conn *expired = keep ? take_expired(pool) : conn;
    if (keep) {
        conn->idle_from_ms = clock_ms();
        pool->idle[pool->idle_count++] = conn;
    } else {
        pool->open--;
    }
    pthread_cond_signal(&pool->returned);
    pthread_mutex_unlock(&pool->lock);
    stats_connections(keep - (keep && expired), 0);
    if (expired)
        conn_close(expired);
}

enum err_code
db_connect(struct db_pool *pool, struct db_conn **conn, struct err *err)
{
    pthread_mutex_lock(&pool->lock);
    enum err_code code = may_connect(pool, err);
    pthread_mutex_unlock(&pool->lock);
    struct db_conn *made = code ? NULL : make(pool, err);
    if (!made)
        return err->code;
    stats_connections(0, 1);
    *conn = made;
    return ERR_OK;
}

const char *
db_schema(const struct db_pool *pool)
{
    return pool->schema;
}
