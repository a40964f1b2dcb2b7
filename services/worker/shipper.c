/* SPDX-License-Identifier: Apache-2.0 */
/* shipper.c - a list of logs, and a thread that looks at those that have grown. */
#include "shipper.h"

#include "life/life.h"
#include "log/log.h"
#include "sync/sync.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define AWAY_MS 2000

struct entry {
    char *lease;
    struct tasklog *log;
    uint64_t position; /* of what is sent next */
    int64_t due_ms;    /* INT64_MAX: nothing new */
    bool sending, removed;
    struct entry *next;
};

struct shipper {
    struct gateway *gateway;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct entry *entries;
    _Atomic bool over;
};

static void
entry_free(struct entry *e)
{
    tasklog_unref(e->log);
    free(e->lease);
    free(e);
}

/* The one that is due first. Under lock, as all of these. */
static struct entry *
next_entry(const struct shipper *s)
{
    struct entry *first = NULL;

    for (struct entry *e = s->entries; e; e = e->next)
        if (!first || e->due_ms < first->due_ms)
            first = e;
    return first;
}

static void
drop(struct shipper *s, struct entry *gone)
{
    struct entry **at = &s->entries;

    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    entry_free(gone);
}

/* One chunk; *sent: how much of it there was. */
static enum err_code
send_chunk(struct shipper *s, const struct entry *e, size_t *sent, struct err *err)
{
    CLEANUP(mem_free) char *chunk = mem_alloc(SHIPPER_BYTES);
    uint64_t position = e->position;

    *sent = tasklog_read(e->log, &position, chunk, SHIPPER_BYTES);
    if (position != e->position)
        return err_set(err, ERR_TOO_LARGE, "the task writes faster than it can be followed");
    if (*sent == 0)
        return ERR_OK;
    return gateway_write_log(s->gateway, e->lease, position, chunk, *sent, &s->over, err);
}

static void
send_one(struct shipper *s, struct entry *e)
{
    struct err err;
    size_t sent;

    e->sending = true;
    pthread_mutex_unlock(&s->lock);
    int64_t started_ms = life_monotonic_ms();
    enum err_code code = send_chunk(s, e, &sent, &err);
    if (code && code != ERR_CANCELLED)
        log_debug("log not sent", LOG_STR("lease", e->lease), LOG_ERR(&err));
    pthread_mutex_lock(&s->lock);
    e->sending = false;
    if (code) {
        /* Refused: the lease is lost or over. */
        e->due_ms = gateway_retriable(code) ? life_monotonic_ms() + AWAY_MS : INT64_MAX;
        e->removed = e->removed || !gateway_retriable(code);
    } else {
        e->position += sent;
        e->due_ms = e->position < tasklog_bytes(e->log) ? started_ms + SHIPPER_MS : INT64_MAX;
    }
    if (e->removed)
        drop(s, e);
}

static void *
shipper_main(void *arg)
{
    struct shipper *s = arg;

    pthread_setname_np(pthread_self(), "log");
    pthread_mutex_lock(&s->lock);
    while (!s->over) {
        struct entry *e = next_entry(s);
        if (e && e->due_ms <= life_monotonic_ms())
            send_one(s, e);
        else
            sync_wait(&s->changed, &s->lock, e ? e->due_ms : INT64_MAX);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

struct shipper *
shipper_start(struct gateway *gateway)
{
    struct shipper *s = mem_zalloc(sizeof(*s));

    s->gateway = gateway;
    pthread_mutex_init(&s->lock, NULL);
    sync_cond_init(&s->changed);
    if (pthread_create(&s->thread, NULL, shipper_main, s) != 0)
        abort();
    return s;
}

void
shipper_stop(struct shipper *shipper)
{
    if (!shipper)
        return;
    pthread_mutex_lock(&shipper->lock);
    shipper->over = true;
    pthread_cond_signal(&shipper->changed);
    pthread_mutex_unlock(&shipper->lock);
    pthread_join(shipper->thread, NULL);
    while (shipper->entries)
        drop(shipper, shipper->entries);
    pthread_cond_destroy(&shipper->changed);
    pthread_mutex_destroy(&shipper->lock);
    free(shipper);
}

void
shipper_add(struct shipper *shipper, const char *lease, struct tasklog *log)
{
    struct entry *e = mem_zalloc(sizeof(*e));

    e->lease = mem_strdup(lease);
    e->log = tasklog_ref(log);
    e->due_ms = INT64_MAX;
    pthread_mutex_lock(&shipper->lock);
    e->next = shipper->entries;
    shipper->entries = e;
    pthread_mutex_unlock(&shipper->lock);
}

static struct entry *
find(const struct shipper *s, const struct tasklog *log)
{
    struct entry *e = s->entries;

    while (e && e->log != log)
        e = e->next;
    return e;
}

void
shipper_wake(struct shipper *shipper, const struct tasklog *log)
{
    pthread_mutex_lock(&shipper->lock);
    struct entry *e = find(shipper, log);
    if (e && e->due_ms == INT64_MAX && !e->sending) {
        /* Not at once: what ends within this time needs no request of its own. */
        e->due_ms = life_monotonic_ms() + SHIPPER_MS;
        pthread_cond_signal(&shipper->changed);
    }
    pthread_mutex_unlock(&shipper->lock);
}

void
shipper_remove(struct shipper *shipper, const struct tasklog *log)
{
    pthread_mutex_lock(&shipper->lock);
    struct entry *e = find(shipper, log);
    if (e && e->sending)
        e->removed = true;
    else if (e)
        drop(shipper, e);
    pthread_mutex_unlock(&shipper->lock);
}
