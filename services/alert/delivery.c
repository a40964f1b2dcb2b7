/* SPDX-License-Identifier: Apache-2.0 */
/* delivery.c - notifications reach their receivers. */
#include "delivery.h"

#include "changes.h"
#include "compose.h"
#include "payload.h"
#include "service.h"

#include "crypto/crypto.h"
#include "life/life.h"
#include "log/log.h"
#include "metrics/metrics.h"
#include "sync/sync.h"

#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 16
#define PRUNE_MS 600000
#define TROUBLE_MS 2000 /* the database is away */
#define SPIN_MS 50      /* what is due is with another instance */

struct delivery {
    struct delivery_options options;
    struct metric *firing, *waiting, *oldest;

    pthread_mutex_t lock;
    pthread_cond_t woken;
    uint64_t wakes;
    bool stop;
    int64_t next_sweep_ms, next_prune_ms; /* of the clock */
    pthread_t threads[THREADS_MAX];
    unsigned count;
};

/* ---- one attempt ---- */

static struct change
change_in(const struct delivery *d, struct db_conn *db, const char *workspace, struct arena *arena)
{
    return (struct change){
        .store = {.db = db, .workspace = workspace, .arena = arena},
        .service = d->options.service,
        .outbox = d->options.service->outbox,
        .by = "service:alert",
        .now_ms = d->options.clock(),
    };
}

static void
count_result(const char *receiver, const char *result)
{
    metric_add(metrics_counter("modelbus_alert_notifications_total",
                               "Attempts to notify a receiver, by result.", "receiver", receiver,
                               "result", result, NULL),
               1);
}

static double
chance(void)
{
    uint32_t n;

    crypto_random(&n, sizeof(n));
    return (double)n / 4294967296.0;
}

/* An attempt that is to be made, and what became of it. */
struct attempt {
    struct notification *notification; /* NULL: nothing is to be sent */
    const AlertReceiver *receiver;
    const AlertRoute *route;
    AlertGroup *group;
};

static MUST_CHECK enum err_code
settle(struct delivery *d, struct db_conn *db, struct attempt *a, const struct err *failure,
       struct arena *arena, struct err *err)
{
    struct notification *n = a->notification;
    struct change change = change_in(d, db, n->workspace, arena);
    int64_t now_ms = change.now_ms;
    bool firing = strcmp(payload_status(a->group), "firing") == 0, mine = false;

    if (n->attempts++ == 0) /* as it is in the row now */
        n->attempted_at_ms = now_ms;
    if (failure && a->receiver && now_ms - n->attempted_at_ms < DELIVERY_GIVE_UP_MS) {
        count_result(n->target.receiver, "failed");
        return store_retry(&change.store, n, now_ms + delivery_backoff_ms(n->attempts, chance()),
                           failure->message, err);
    }
    if (db_begin(db, err) ||
        store_finish(&change.store, n, now_ms, failure ? failure->message : "", &mine, err))
        return err->code;
    if (mine && store_set_repeat(&change.store, &n->target, now_ms,
                                 firing ? now_ms + route_repeat_ms(a->route) : 0, err))
        return err->code;
    count_result(n->target.receiver, failure ? "given_up" : "delivered");
    if (failure)
        log_error("notification given up", LOG_STR("receiver", n->target.receiver),
                  LOG_STR("notification", n->id), LOG_ERR(failure));
    return db_commit(db, err);
}

static void
send_it(struct delivery *d, const struct attempt *a, struct err *failure)
{
    const struct notification *n = a->notification;

    if (!a->receiver)
        (void)err_set(failure, ERR_NOT_FOUND, "there is no receiver '%s' any more",
                      n->target.receiver);
    else if (send_group(&d->options.sender, a->receiver, n->id, a->group, d->options.clock(),
                        failure) == ERR_OK)
        *failure = (struct err){0};
    if (failure->code && n->attempts == 0)
        log_warn("notification failed; it is tried again", LOG_STR("receiver", n->target.receiver),
                 LOG_STR("notification", n->id), LOG_ERR(failure));
}

/* Take what is due, and write down what is told before anybody is told. */
static MUST_CHECK enum err_code
prepare(struct delivery *d, struct db_conn *db, struct attempt *a, bool *did, struct arena *arena,
        struct err *err)
{
    struct change change = change_in(d, db, "", arena);
    AlertConfig *rulebook = NULL;
    struct notification *n;

    if (db_begin(db, err) || store_claim(&change.store, change.now_ms, &n, err))
        return err->code;
    *did = n != NULL;
    if (!n)
        return db_commit(db, err);
    change.store.workspace = n->workspace;
    if (change_rulebook(&change, &rulebook, NULL, err))
        return err->code;
    a->receiver = rulebook_receiver(rulebook, n->target.receiver);
    a->route = rulebook_route(rulebook, n->target.route);
    a->group = n->group;
    if (!a->group && compose(&change, rulebook, n, &a->group, err))
        return err->code;
    if (a->group) {
        a->notification = n;
        if (store_attempt(&change.store, n, n->group ? NULL : a->group, change.now_ms,
                          change.now_ms + DELIVERY_LEASE_MS + d->options.sender.timeout_ms, err))
            return err->code;
    }
    return db_commit(db, err);
}

/* ---- alerts whose time is over ---- */

static MUST_CHECK enum err_code
resolve_overdue(struct delivery *d, struct db_conn *db, bool *did, struct arena *arena,
                struct err *err)
{
    struct change change = change_in(d, db, "", arena);
    const char *workspace, *id;
    Alert *alert;

    if (db_begin(db, err) || store_find_overdue(&change.store, change.now_ms, &workspace, &id, err))
        return err->code;
    *did = workspace != NULL;
    if (!workspace)
        return db_commit(db, err);
    change.store.workspace = workspace;
    if (store_get_alert(&change.store, id, STORE_LOCK, &alert, err) ||
        change_resolve(&change, alert, "time", err))
        return err->code;
    return db_commit(db, err);
}

static MUST_CHECK enum err_code
step(struct delivery *d, struct db_conn *db, bool *did, struct arena *arena, struct err *err)
{
    struct attempt attempt = {0};
    struct err failure = {0};

    if (resolve_overdue(d, db, did, arena, err) || *did)
        return err->code;
    if (prepare(d, db, &attempt, did, arena, err) || !attempt.notification)
        return err->code;
    send_it(d, &attempt, &failure);
    return settle(d, db, &attempt, failure.code ? &failure : NULL, arena, err);
}

enum err_code
delivery_step(struct delivery *d, bool *did, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    struct db_conn *db;

    *err = (struct err){0};
    *did = false;
    if (db_borrow(d->options.service->db, &db, err))
        return err->code;
    enum err_code code = step(d, db, did, arena, err);
    /* Another transaction was in the way: the same again. */
    if (code && db_retry_advised(db))
        code = ERR_CONFLICT;
    db_rollback(db);
    db_return(db);
    return code;
}

enum err_code
delivery_test(struct delivery *d, const AlertReceiver *receiver, const char *workspace,
              struct arena *arena, struct err *err)
{
    AlertGroup *group = compose_test(workspace, d->options.clock(), arena);
    struct send_options options = d->options.sender;
    char id[37];

    if (options.timeout_ms > DELIVERY_TEST_MS)
        options.timeout_ms = DELIVERY_TEST_MS;
    crypto_uuid7(id);
    return send_group(&options, receiver, id, group, d->options.clock(), err);
}

/* ---- threads ---- */

static MUST_CHECK enum err_code
sweep(struct delivery *d, struct db_conn *db, struct arena *arena, struct err *err)
{
    struct change change = change_in(d, db, "", arena);
    int64_t now_ms = change.now_ms, firing, waiting, oldest_ms;

    pthread_mutex_lock(&d->lock);
    bool due = now_ms >= d->next_sweep_ms, prune = now_ms >= d->next_prune_ms;
    if (due)
        d->next_sweep_ms = now_ms + DELIVERY_SWEEP_MS;
    if (prune)
        d->next_prune_ms = now_ms + PRUNE_MS;
    pthread_mutex_unlock(&d->lock);
    if (due) {
        if (store_measure(&change.store, &firing, &waiting, &oldest_ms, err))
            return err->code;
        metric_set(d->firing, (double)firing);
        metric_set(d->waiting, (double)waiting);
        metric_set(d->oldest, oldest_ms ? (double)(now_ms - oldest_ms) / 1000 : 0);
    }
    return prune ? store_prune(&change.store, now_ms - d->options.retention_ms, err) : ERR_OK;
}

/* How long until something is due, ms. */
static MUST_CHECK enum err_code
look_ahead(struct delivery *d, int64_t *wait_ms, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    CLEANUP(db_return) struct db_conn *db = NULL;
    struct store store = {.arena = arena, .workspace = ""};
    int64_t due_ms;

    if (db_borrow(d->options.service->db, &db, err) || sweep(d, db, arena, err))
        return err->code;
    store.db = db;
    if (store_next_due(&store, &due_ms, err))
        return err->code;
    int64_t now_ms = d->options.clock();
    *wait_ms = due_ms == INT64_MAX || due_ms - now_ms > DELIVERY_SWEEP_MS ? DELIVERY_SWEEP_MS
                                                                          : due_ms - now_ms;
    if (*wait_ms < SPIN_MS)
        *wait_ms = SPIN_MS;
    return ERR_OK;
}

/* False: stopping. */
static bool
wait_for_work(struct delivery *d, uint64_t seen, int64_t wait_ms)
{
    int64_t until_ms = life_monotonic_ms() + wait_ms;

    pthread_mutex_lock(&d->lock);
    while (!d->stop && d->wakes == seen && sync_wait(&d->woken, &d->lock, until_ms))
        ;
    bool stop = d->stop;
    pthread_mutex_unlock(&d->lock);
    return !stop;
}

static uint64_t
wakes(struct delivery *d, bool *stop)
{
    pthread_mutex_lock(&d->lock);
    uint64_t n = d->wakes;
    *stop = d->stop;
    pthread_mutex_unlock(&d->lock);
    return n;
}

static void *
run(void *arg)
{
    struct delivery *d = arg;
    bool stop = false, did;
    struct err err = {0};

    while (!stop) {
        uint64_t seen = wakes(d, &stop);
        int64_t wait_ms = TROUBLE_MS;
        enum err_code code = ERR_OK;
        do
            code = delivery_step(d, &did, &err);
        while (!code && did && (wakes(d, &stop), !stop));
        if (!code && !stop)
            code = look_ahead(d, &wait_ms, &err);
        if (code == ERR_CONFLICT)
            wait_ms = SPIN_MS;
        else if (code)
            log_warn("delivery waits", LOG_ERR(&err), LOG_INT("ms", wait_ms));
        if (!stop)
            stop = !wait_for_work(d, seen, wait_ms);
    }
    return NULL;
}

struct delivery *
delivery_new(const struct delivery_options *options)
{
    struct delivery *d = mem_zalloc(sizeof(*d));

    d->options = *options;
    pthread_mutex_init(&d->lock, NULL);
    sync_cond_init(&d->woken);
    d->firing = metrics_gauge("modelbus_alert_active", "Alerts that fire.", NULL);
    d->waiting = metrics_gauge("modelbus_alert_notifications_pending",
                               "Notifications that are to be delivered.", NULL);
    d->oldest = metrics_gauge("modelbus_alert_notification_oldest_seconds",
                              "Since when the oldest notification waits.", NULL);
    return d;
}

enum err_code
delivery_start(struct delivery *d, unsigned threads, struct err *err)
{
    for (unsigned i = 0; i < threads && i < THREADS_MAX; i++) {
        if (pthread_create(&d->threads[i], NULL, run, d) != 0)
            return err_set(err, ERR_INTERNAL, "no thread for the delivery");
        d->count++;
    }
    return ERR_OK;
}

void
delivery_wake(void *arg)
{
    struct delivery *d = arg;

    pthread_mutex_lock(&d->lock);
    d->wakes++;
    pthread_cond_broadcast(&d->woken);
    pthread_mutex_unlock(&d->lock);
}

bool
delivery_free(struct delivery *d, int64_t deadline_ms)
{
    if (!d)
        return true;
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_cond_broadcast(&d->woken);
    pthread_mutex_unlock(&d->lock);
    for (unsigned i = 0; i < d->count; i++)
        pthread_join(d->threads[i], NULL);
    pthread_cond_destroy(&d->woken);
    pthread_mutex_destroy(&d->lock);
    free(d);
    return life_monotonic_ms() <= deadline_ms;
}
