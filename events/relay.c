/* SPDX-License-Identifier: Apache-2.0 */
/* relay.c - outbox rows to Kafka: hold, know the cluster, send, hear reports, mark. */
#include "relay.h"

#include "backlog.h"
#include "headers.h"
#include "life/life.h"
#include "log/log.h"
#include "sync/sync.h"
#include "metrics/metrics.h"
#include "prune.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLIGHT_MAX 4096
#define SELECT_ROWS 1000
#define MARK_ROWS 1000   /* mark at once when so many are delivered, */
#define MARK_AFTER_MS 10 /* or so long after the first */
#define HOLD_POLL_MS 500 /* another instance has the lock */
#define CLUSTER_CHECK_MS 1000
#define PRUNE_MS 60000
#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 2000

struct flight {
    struct relay *relay;
    int64_t id;
    enum { FLIGHT_FREE, FLIGHT_SENT, FLIGHT_DELIVERED, FLIGHT_REFUSED } state;
    char *why; /* refused */
};

struct relay {
    struct outbox *outbox;
    struct outbox_options options;
    struct bus_options bus;
    pthread_t thread;

    pthread_mutex_t mutex;
    pthread_cond_t woken;
    bool wake;             /* under mutex */
    bool stopping;         /* under mutex */
    int64_t stop_deadline; /* under mutex */
    char cluster[128];     /* under mutex; the thread reads it without */
    atomic_bool holds;
    _Atomic int64_t beat_ms;

    /* The thread's own. */
    struct db_conn *conn;
    int64_t lock_key;
    struct bus_producer *producer;
    bool cluster_known;
    bool restart;        /* a row failed: wait for all reports, then start over */
    int64_t alone_until; /* rows up to this one go one by one */
    bool alone;          /* what was sent last did */
    bool more;           /* the last selection was full */
    int64_t next_select_ms, next_cluster_ms, next_prune_ms, mark_due_ms, last_row_ms;
    struct flight flights[FLIGHT_MAX];
    size_t used, sent, delivered, refusals; /* flights[used…] were never touched */
    bool drained;

    struct metric *published, *failures, *refused;
    struct backlog backlog;
};

static const struct db_stmt select_rows = {
    "SELECT id, topic, key, value, headers FROM outbox"
    " WHERE published_at IS NULL AND id <> ALL ($1::bigint[]) ORDER BY id LIMIT $2"};
static const struct db_stmt mark_rows = {
    "UPDATE outbox SET published_at = now() WHERE id = ANY ($1::bigint[])"};
static const struct db_stmt refuse_row = {
    "UPDATE outbox SET published_at = now(), refused = $2 WHERE id = $1"};
static const struct db_stmt known_cluster = {"SELECT 1 FROM bus_cluster WHERE cluster = $1"};
static const struct db_stmt add_cluster = {
    "INSERT INTO bus_cluster (cluster) VALUES ($1) ON CONFLICT DO NOTHING"};
static const struct db_stmt unmark_all = {
    "UPDATE outbox SET published_at = NULL WHERE published_at IS NOT NULL AND refused IS NULL"};

/* ---- rows in flight ---- */

static struct flight *
flight_take(struct relay *r)
{
    if (r->used < FLIGHT_MAX) {
        r->flights[r->used].relay = r;
        return &r->flights[r->used++];
    }
    for (size_t i = 0; i < FLIGHT_MAX; i++)
        if (r->flights[i].state == FLIGHT_FREE)
            return &r->flights[i];
    return NULL;
}

static void
compact(struct relay *r)
{
    while (r->used > 0 && r->flights[r->used - 1].state == FLIGHT_FREE)
        r->used--;
}

static size_t
flight_ids(struct relay *r, bool delivered_only, int64_t ids[FLIGHT_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < r->used; i++) {
        int state = r->flights[i].state;
        if (state == FLIGHT_DELIVERED || (!delivered_only && state != FLIGHT_FREE))
            ids[n++] = r->flights[i].id;
    }
    return n;
}

/* The bus will never take it. */
static bool
hopeless(const struct err *err)
{
    return err->code == ERR_TOO_LARGE || err->code == ERR_INVALID;
}

static void
on_report(void *arg, void *opaque, const struct err *err)
{
    struct relay *r = arg;
    struct flight *f = opaque;

    r->sent--;
    if (!err) {
        f->state = FLIGHT_DELIVERED;
        if (r->delivered++ == 0)
            r->mark_due_ms = life_monotonic_ms() + MARK_AFTER_MS;
        return;
    }
    if (hopeless(err) && r->alone) {
        f->state = FLIGHT_REFUSED;
        f->why = mem_strdup(err->message);
        r->refusals++;
        return;
    }
    /* A broker refuses a request as a whole: which row it was shows when each goes alone. */
    if (hopeless(err) && f->id > r->alone_until)
        r->alone_until = f->id;
    f->state = FLIGHT_FREE;
    metric_add(r->failures, 1);
    if (!r->restart)
        log_warn("event not delivered, will be sent again", LOG_INT("outbox_id", f->id),
                 LOG_ERR(err));
    r->restart = true;
}

static enum err_code
refuse(struct relay *r, int64_t id, const char *why, struct err *err)
{
    if (db_exec(r->conn, &refuse_row, DB_PARAMS(db_int(id), db_text(why)), NULL, err))
        return err_wrap(err, "set a refused event aside");
    log_error("event refused by the bus, set aside", LOG_INT("outbox_id", id),
              LOG_STR("detail", why));
    metric_add(r->refused, 1);
    return ERR_OK;
}

static enum err_code
mark_refused(struct relay *r, struct err *err)
{
    for (size_t i = 0; r->refusals > 0 && i < r->used; i++) {
        struct flight *f = &r->flights[i];

        if (f->state != FLIGHT_REFUSED)
            continue;
        if (refuse(r, f->id, f->why, err))
            return err->code;
        free(TAKE_PTR(f->why));
        f->state = FLIGHT_FREE;
        r->refusals--;
    }
    return ERR_OK;
}

static enum err_code
mark(struct relay *r, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    int64_t *ids = arena_alloc(arena, FLIGHT_MAX * sizeof(*ids));
    size_t n = flight_ids(r, true, ids);

    if (mark_refused(r, err))
        return err->code;
    if (n == 0)
        return ERR_OK;
    if (db_exec(r->conn, &mark_rows, DB_PARAMS(db_int_array(arena, ids, n)), NULL, err))
        return err_wrap(err, "mark published");
    for (size_t i = 0; i < r->used; i++)
        if (r->flights[i].state == FLIGHT_DELIVERED)
            r->flights[i].state = FLIGHT_FREE;
    r->delivered = 0;
    compact(r);
    metric_add(r->published, (double)n);
    return ERR_OK;
}

/* ---- sending ---- */

static enum err_code
send_row(struct relay *r, const struct db_result *rows, size_t i, struct arena *arena,
         struct err *err)
{
    struct bus_message m = {.topic = db_str(rows, i, 1), .partition = -1};
    const uint8_t *packed;
    size_t packed_len;
    int64_t id = db_i64(rows, i, 0);

    if (!db_is_null(rows, i, 2))
        db_bin(rows, i, 2, arena, (const uint8_t **)&m.key, &m.key_len);
    if (!db_is_null(rows, i, 3))
        db_bin(rows, i, 3, arena, (const uint8_t **)&m.value, &m.value_len);
    db_bin(rows, i, 4, arena, &packed, &packed_len);
    if (headers_unpack(packed, packed_len, arena, &m.headers, &m.header_count, err))
        return err_wrap(err, "outbox row %lld", (long long)id);

    struct flight *f = flight_take(r);
    f->id = id;
    f->state = FLIGHT_SENT;
    r->sent++;
    if (bus_produce(r->producer, &m, f, err) == ERR_OK)
        return ERR_OK;
    f->state = FLIGHT_FREE;
    r->sent--;
    if (!hopeless(err))
        return err->code;
    struct err why = *err;
    return refuse(r, id, why.message, err);
}

static enum err_code
send_pending(struct relay *r, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(64 << 10, 2u << 30);
    CLEANUP(db_result_free) struct db_result *rows = NULL;
    int64_t *ids = arena_alloc(arena, FLIGHT_MAX * sizeof(*ids));
    size_t n = flight_ids(r, false, ids);

    int64_t limit = r->alone_until > 0 ? 1 : SELECT_ROWS;

    int64_t now = life_monotonic_ms();
    bool idle = now - r->last_row_ms > OUTBOX_IDLE_AFTER_MS;
    r->next_select_ms = now + (idle ? OUTBOX_IDLE_POLL_MS : OUTBOX_POLL_MS);
    if (db_exec(r->conn, &select_rows, DB_PARAMS(db_int_array(arena, ids, n), db_int(limit)), &rows,
                err))
        return err_wrap(err, "read the outbox");
    if (db_rows(rows) > 0)
        r->last_row_ms = now;
    r->more = db_rows(rows) == (size_t)limit;
    r->alone = limit == 1;
    if (r->alone && (!r->more || db_i64(rows, 0, 0) >= r->alone_until))
        r->alone_until = 0;
    r->drained = db_rows(rows) == 0 && r->sent == 0;
    for (size_t i = 0; i < db_rows(rows); i++) {
        if (send_row(r, rows, i, arena, err) == ERR_OK)
            continue;
        r->more = true;
        /* The local queue is full: the reports that make room also bring us back here. */
        return err->code == ERR_UNAVAILABLE && r->sent > 0 ? ERR_OK : err->code;
    }
    return ERR_OK;
}

/* ---- holding the lock, the producer, the cluster ---- */

static void
let_go(struct relay *r)
{
    atomic_store(&r->holds, false);
    db_return(TAKE_PTR(r->conn));
}

/* *held false and ERR_OK: another instance is the relay. */
static enum err_code
hold(struct relay *r, bool *held, struct err *err)
{
    *held = atomic_load(&r->holds);
    if (*held)
        return ERR_OK;
    if (!r->conn && (db_connect(r->options.db, &r->conn, err) ||
                     db_script(r->conn, "SET synchronous_commit = off", err)))
        return err_wrap(err, "relay");
    if (db_try_lock(r->conn, r->lock_key, held, err))
        return err_wrap(err, "relay");
    atomic_store(&r->holds, *held);
    if (*held)
        log_info("holds the outbox relay");
    return ERR_OK;
}

/* The service's first meeting with this cluster: all that is kept goes there too, then
 * the state topics, in one transaction with the note that it was done. */
static enum err_code
greet_cluster(struct relay *r, const char *cluster, struct err *err)
{
    CLEANUP(db_return) struct db_conn *conn = NULL;
    CLEANUP(db_result_free) struct db_result *known = NULL;

    if (db_exec(r->conn, &known_cluster, DB_PARAMS(db_text(cluster)), &known, err))
        return err->code;
    if (db_rows(known) > 0)
        return ERR_OK;
    if (db_borrow(r->options.db, &conn, err) || db_begin(conn, err) ||
        db_exec(conn, &unmark_all, DB_NO_PARAMS, NULL, err))
        return err->code;
    if (r->options.republish && r->options.republish(r->options.arg, r->outbox, conn, err))
        return err_wrap(err, "republish");
    if (db_exec(conn, &add_cluster, DB_PARAMS(db_text(cluster)), NULL, err) || db_commit(conn, err))
        return err->code;
    log_info("new cluster: kept events and state are published to it", LOG_STR("cluster", cluster));
    return ERR_OK;
}

static enum err_code
know_cluster(struct relay *r, struct err *err)
{
    char id[128];

    if (r->cluster_known && life_monotonic_ms() < r->next_cluster_ms)
        return ERR_OK;
    if (bus_producer_cluster(r->producer, r->cluster_known ? 0 : 1000, id, sizeof(id), err)) {
        if (!r->cluster_known)
            return err_wrap(err, "bus");
    } else if (!r->cluster_known || strcmp(id, r->cluster) != 0) {
        if (greet_cluster(r, id, err))
            return err_wrap(err, "cluster '%s'", id);
        pthread_mutex_lock(&r->mutex);
        memcpy(r->cluster, id, sizeof(id));
        pthread_mutex_unlock(&r->mutex);
        r->cluster_known = true;
        r->next_select_ms = 0;
    }
    r->next_cluster_ms = life_monotonic_ms() + CLUSTER_CHECK_MS;
    return ERR_OK;
}

static enum err_code
producer_ready(struct relay *r, struct err *err)
{
    if (r->producer && bus_producer_fatal(r->producer)) {
        log_warn("the producer is beyond repair, opening a new one");
        bus_producer_free(TAKE_PTR(r->producer)); /* reports what was in flight as failed */
    }
    if (!r->producer && bus_producer_open(&r->producer, &r->bus, on_report, r, err))
        return err_wrap(err, "producer");
    return know_cluster(r, err);
}

/* ---- the loop ---- */

/* Sleep until then, less when asked to wake. */
static void
rest(struct relay *r, int64_t until_ms)
{
    pthread_mutex_lock(&r->mutex);
    while (!r->wake && sync_wait(&r->woken, &r->mutex, until_ms))
        ;
    pthread_mutex_unlock(&r->mutex);
}

static bool
take_wake(struct relay *r)
{
    pthread_mutex_lock(&r->mutex);
    bool woken = r->wake;
    r->wake = false;
    pthread_mutex_unlock(&r->mutex);
    return woken;
}

static enum err_code
turn(struct relay *r, struct err *err)
{
    bool held;

    if (hold(r, &held, err))
        return err->code;
    if (!held) {
        backlog_clear(&r->backlog);
        r->drained = true; /* what is left is the holder's */
        if (r->producer)
            bus_producer_poll(r->producer, 0);
        if (mark(r, err))
            return err->code;
        take_wake(r);
        rest(r, life_monotonic_ms() + HOLD_POLL_MS);
        return ERR_OK;
    }
    /* First, so that it is told while the bus is away. */
    if (backlog_measure(&r->backlog, r->conn, err) || producer_ready(r, err))
        return err->code;
    if (r->restart && r->sent == 0) {
        r->restart = false;
        r->next_select_ms = 0;
        r->more = false;
    }
    bool room = !r->restart && r->sent + r->delivered + r->refusals + SELECT_ROWS <= FLIGHT_MAX &&
                !(r->sent > 0 && (r->alone || r->alone_until > 0));
    int64_t now = life_monotonic_ms();
    if (room && (take_wake(r) || r->more || now >= r->next_select_ms) && send_pending(r, err))
        return err->code;
    if (r->sent > 0)
        bus_producer_poll(r->producer, r->more && room ? 0 : 1);
    now = life_monotonic_ms();
    if (r->delivered >= MARK_ROWS || r->refusals > 0 || (r->delivered > 0 && now >= r->mark_due_ms))
        if (mark(r, err))
            return err->code;
    if (now >= r->next_prune_ms && r->sent == 0) {
        bool more_to_prune = false;
        if (prune_tables(r->conn, r->options.retention_ms, &more_to_prune, err))
            return err->code;
        r->next_prune_ms = now + (more_to_prune ? OUTBOX_POLL_MS : PRUNE_MS);
    }
    if (r->sent == 0 && !r->more)
        rest(r, r->delivered > 0 ? r->mark_due_ms : r->next_select_ms);
    return ERR_OK;
}

static bool
finished(struct relay *r)
{
    pthread_mutex_lock(&r->mutex);
    bool stopping = r->stopping;
    int64_t deadline = r->stop_deadline;
    pthread_mutex_unlock(&r->mutex);
    return stopping && ((r->drained && r->sent + r->delivered + r->refusals == 0) ||
                        life_monotonic_ms() >= deadline);
}

static void *
relay_main(void *arg)
{
    struct relay *r = arg;
    int64_t backoff_ms = BACKOFF_MIN_MS;
    struct err err = {0};

    while (!finished(r)) {
        atomic_store(&r->beat_ms, life_monotonic_ms());
        if (turn(r, &err) == ERR_OK) {
            life_condition("outbox", true);
            backoff_ms = BACKOFF_MIN_MS;
            continue;
        }
        life_condition("outbox", false);
        log_warn("outbox relay waits", LOG_ERR(&err), LOG_INT("ms", backoff_ms));
        /* Whatever failed, a connection that may be broken is not worth keeping; rows in
         * flight stay known, so that reconnecting does not send them twice. */
        if (r->conn && !db_alive(r->conn))
            let_go(r);
        take_wake(r);
        /* A commit may cut it short: then the server is back. */
        rest(r, life_monotonic_ms() + backoff_ms);
        if (r->producer)
            bus_producer_poll(r->producer, 0);
        backoff_ms = backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : backoff_ms * 2;
    }
    bus_producer_free(TAKE_PTR(r->producer));
    let_go(r);
    for (size_t i = 0; i < r->used; i++)
        free(r->flights[i].why);
    return NULL;
}

enum err_code
relay_start(struct relay **relay, struct outbox *outbox, const struct outbox_options *options,
            struct err *err)
{
    struct relay *r = mem_zalloc(sizeof(*r));
    char name[300];

    r->outbox = outbox;
    r->options = *options;
    r->bus = options->bus;
    snprintf(name, sizeof(name), "outbox/%s", options->service);
    r->lock_key = db_lock_key(name);
    r->published =
        metrics_counter("modelbus_outbox_published_total", "Events delivered to the bus.", NULL);
    r->failures = metrics_counter("modelbus_outbox_failures_total",
                                  "Deliveries that failed and are tried again.", NULL);
    r->refused = metrics_counter("modelbus_outbox_refused_total",
                                 "Events that the bus will never take.", NULL);
    backlog_init(&r->backlog);
    r->next_prune_ms = life_monotonic_ms() + PRUNE_MS;
    pthread_mutex_init(&r->mutex, NULL);
    sync_cond_init(&r->woken);
    atomic_store(&r->beat_ms, life_monotonic_ms());
    life_condition("outbox", false);
    if (pthread_create(&r->thread, NULL, relay_main, r) != 0) {
        free(r);
        return err_set(err, ERR_INTERNAL, "relay: no thread");
    }
    pthread_setname_np(r->thread, "outbox");
    *relay = r;
    return ERR_OK;
}

bool
relay_stop(struct relay *r, int64_t deadline_ms)
{
    pthread_mutex_lock(&r->mutex);
    r->stopping = true;
    r->stop_deadline = deadline_ms;
    r->wake = true;
    pthread_cond_signal(&r->woken);
    pthread_mutex_unlock(&r->mutex);
    pthread_join(r->thread, NULL);
    bool complete = r->drained && r->delivered == 0;
    pthread_cond_destroy(&r->woken);
    pthread_mutex_destroy(&r->mutex);
    free(r);
    return complete;
}

void
relay_wake(struct relay *r)
{
    pthread_mutex_lock(&r->mutex);
    if (!r->wake) {
        r->wake = true;
        pthread_cond_signal(&r->woken);
    }
    pthread_mutex_unlock(&r->mutex);
}

bool
relay_holds(const struct relay *r)
{
    return atomic_load(&r->holds);
}

void
relay_cluster(struct relay *r, char cluster[128])
{
    pthread_mutex_lock(&r->mutex);
    memcpy(cluster, r->cluster, sizeof(r->cluster));
    pthread_mutex_unlock(&r->mutex);
}

int64_t
relay_beat_ms(const struct relay *r)
{
    return atomic_load(&r->beat_ms);
}
