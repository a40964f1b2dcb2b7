/* SPDX-License-Identifier: Apache-2.0 */
/* listen.c - LISTEN and NOTIFY on a thread with a connection of its own. */
#include "db/conn.h"
#include "db/db_listen.h"

#include "log/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RETRY_MS 500

struct db_listener {
    struct db_pool *pool;
    void (*heard)(void *arg, const char *topic);
    void *arg;
    char *sql;
    struct db_stmt listen;
    struct db_conn *conn; /* of the thread */
    pthread_t thread;
    int wake;
    pthread_mutex_t lock;
    char **topics; /* to be sent */
    size_t count, room;
    bool stop;
};

static void
wake(const struct db_listener *l)
{
    static const uint64_t one = 1;

    /* Full means that it is awake. */
    if (write(l->wake, &one, sizeof(one)) < 0 && errno != EAGAIN)
        abort();
}

void
db_notify(struct db_listener *l, const char *topic)
{
    bool known = false;

    pthread_mutex_lock(&l->lock);
    if (l->count >= DB_TOPICS_MAX)
        topic = "";
    for (size_t i = 0; i < l->count && !known; i++)
        known = strncmp(l->topics[i], topic, DB_TOPIC_MAX) == 0;
    if (!known) {
        if (l->count == l->room) {
            l->room = l->room ? 2 * l->room : 16;
            l->topics = mem_realloc(l->topics, l->room * sizeof(*l->topics));
        }
        l->topics[l->count++] = mem_strndup(topic, strnlen(topic, DB_TOPIC_MAX));
    }
    pthread_mutex_unlock(&l->lock);
    if (!known)
        wake(l);
}

/* What waits, taken over; false: stop. */
static bool
take(struct db_listener *l, char ***topics, size_t *count)
{
    pthread_mutex_lock(&l->lock);
    *topics = l->topics;
    *count = l->count;
    l->topics = NULL;
    l->count = l->room = 0;
    bool stop = l->stop;
    pthread_mutex_unlock(&l->lock);
    return !stop;
}

static void
topics_free(char **topics, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(topics[i]);
    free(topics);
}

static enum err_code
send_topics(struct db_listener *l, char *const *topics, size_t count, struct err *err)
{
    static const struct db_stmt notify = {
        "SELECT pg_notify(current_schema() || '_changed', t) FROM unnest($1::text[]) t"};
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);

    if (count == 0)
        return ERR_OK;
    return db_exec(l->conn, &notify,
                   DB_PARAMS(db_text_array(arena, (const char *const *)topics, count)), NULL, err);
}

static enum err_code
hear(struct db_listener *l, struct err *err)
{
    PGnotify *notify;

    if (!PQconsumeInput(l->conn->pg))
        return conn_lost(l->conn, NULL, err);
    while ((notify = PQnotifies(l->conn->pg))) {
        l->heard(l->arg, notify->extra);
        PQfreemem(notify);
    }
    return ERR_OK;
}

/* Until something is to be heard or sent. conn NULL: until it may be tried again. */
static void
wait_for_news(const struct db_listener *l)
{
    struct pollfd fds[] = {{.fd = l->wake, .events = POLLIN},
                           {.fd = l->conn ? PQsocket(l->conn->pg) : -1, .events = POLLIN}};
    uint64_t ticks;

    if (poll(fds, 2, l->conn ? -1 : RETRY_MS) < 0 && errno != EINTR)
        abort();
    if (fds[0].revents && read(l->wake, &ticks, sizeof(ticks)) < 0 && errno != EAGAIN)
        abort();
}

static enum err_code
turn(struct db_listener *l, char *const *topics, size_t count, struct err *err)
{
    if (!l->conn) {
        if (db_connect(l->pool, &l->conn, err) ||
            db_exec(l->conn, &l->listen, DB_NO_PARAMS, NULL, err))
            return err->code;
        l->heard(l->arg, "");
    }
    if (send_topics(l, topics, count, err))
        return err->code;
    return hear(l, err);
}

static void *
run(void *arg)
{
    struct db_listener *l = arg;
    struct err err = {0};
    char **topics;
    size_t count;

    while (take(l, &topics, &count)) {
        if (turn(l, topics, count, &err)) {
            log_debug("not listening to other instances", LOG_ERR(&err));
            db_return(TAKE_PTR(l->conn));
        }
        topics_free(topics, count);
        wait_for_news(l);
    }
    topics_free(topics, count);
    db_return(TAKE_PTR(l->conn));
    return NULL;
}

void
db_listen(struct db_pool *pool, void (*heard)(void *arg, const char *topic), void *arg,
          struct db_listener **listener)
{
    struct db_listener *l = mem_zalloc(sizeof(*l));
    size_t len = strlen(db_schema(pool)) + sizeof("LISTEN \"_changed\"");

    l->pool = pool;
    l->heard = heard;
    l->arg = arg;
    l->sql = mem_alloc(len);
    snprintf(l->sql, len, "LISTEN \"%s_changed\"", db_schema(pool));
    l->listen.sql = l->sql;
    pthread_mutex_init(&l->lock, NULL);
    l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->wake < 0 || pthread_create(&l->thread, NULL, run, l))
        abort();
    *listener = l;
}

void
db_listener_free(struct db_listener *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_mutex_unlock(&l->lock);
    wake(l);
    pthread_join(l->thread, NULL);
    close(l->wake);
    pthread_mutex_destroy(&l->lock);
    free(l->sql);
    free(l);
}
