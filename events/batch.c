/* SPDX-License-Identifier: Apache-2.0 */
/* batch.c - messages into one transaction: inbox, handlers, outbox, offsets. */
#include "consumer_parts.h"

#include "crypto/crypto.h"
#include "deadletter.h"
#include "life/life.h"
#include "log/log.h"
#include "origin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES (4u << 20)       /* of values */
#define BATCH_ARENA_FULL (16u << 20) /* decoded; the arena's limit leaves room for one more */
#define BACKOFF_MIN_MS 10
#define BACKOFF_MAX_MS 5000

static const struct db_stmt insert_inbox = {
    "INSERT INTO inbox (key) SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING RETURNING key"};
static const struct db_stmt move_offsets_stmt = {
    "UPDATE bus_offset o SET next = n.becomes FROM"
    " unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[]) n (topic, part, was, becomes)"
    " WHERE o.cluster = $1 AND o.topic = n.topic AND o.partition = n.part AND o.next = n.was"};

/* ---- reading ---- */

static void
inbox_key(const struct event_envelope *e, char key[37])
{
    char text[sizeof(e->source) + sizeof(e->id)];
    uint8_t d[SHA256_BYTES];
    char h[SHA256_HEX + 1];
    size_t source_len = strlen(e->source), id_len = strlen(e->id);

    memcpy(text, e->source, source_len + 1);
    memcpy(text + source_len + 1, e->id, id_len);
    crypto_sha256(text, source_len + 1 + id_len, d);
    crypto_hex(d, 16, h);
    snprintf(key, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", h, h + 8, h + 12, h + 16, h + 20);
}

static bool
find_subscription(const struct consumer *c, const struct event_type *type, size_t *index)
{
    for (size_t i = 0; c->options.subscriptions[i].type; i++) {
        if (c->options.subscriptions[i].type == type->descriptor) {
            *index = i;
            return true;
        }
    }
    return false;
}

/* Decode into the batch, or only note that the offset moves. */
static void
take(struct consumer *c, const struct bus_message *m, void *handle)
{
    struct slot *slot = assign_slot(c, m->topic, m->partition);
    struct item *item = &c->items[c->count];
    const struct event_type *type = NULL;
    struct err bad;

    if (!slot || m->offset < slot->moved) { /* of an earlier assignment */
        bus_message_done(handle);
        return;
    }
    slot->moved = m->offset + 1;
    if (slot->end < slot->moved)
        slot->end = slot->moved;
    *item = (struct item){.message = *m, .handle = handle, .slot = slot};
    item->envelope = arena_zalloc(c->batch_arena, sizeof(*item->envelope));
    if (event_decode(c->options.prefix, m, c->batch_arena, item->envelope, &type, &item->event,
                     &bad)) {
        item->bad = arena_memdup(c->batch_arena, &bad, sizeof(bad));
    } else if (!type || !item->event || !find_subscription(c, type, &item->subscription)) {
        metric_add(c->skipped, 1);
        if (c->skipped_since_ms == 0)
            c->skipped_since_ms = life_monotonic_ms();
        bus_message_done(handle);
        return;
    } else {
        inbox_key(item->envelope, item->inbox_key);
    }
    c->count++;
}

enum err_code
batch_gather(struct consumer *c, int64_t wait_ms, struct err *err)
{
    size_t bytes = 0, seen = 0;

    while (c->count < CONSUMER_BATCH && seen++ < 4 * CONSUMER_BATCH && bytes < BATCH_BYTES &&
           arena_used(c->batch_arena) < BATCH_ARENA_FULL) {
        struct bus_message m;
        void *handle;

        switch (bus_reader_poll(c->reader, (int)wait_ms, &m, &handle, err)) {
        case BUS_MESSAGE:
            bytes += m.value_len;
            take(c, &m, handle);
            break;
        case BUS_NOTHING:
            return ERR_OK;
        case BUS_CLUSTER_CHANGED:
            c->cluster_known = c->listed = c->assigned = false;
            return ERR_OK;
        case BUS_OFFSET_LOST:
            return assign_skip_gap(c, m.topic, m.partition, err);
        case BUS_ERROR:
            return err->code;
        }
        wait_ms = 0;
    }
    return ERR_OK;
}

void
batch_drop(struct consumer *c)
{
    for (size_t i = 0; i < c->count; i++)
        bus_message_done(c->items[i].handle);
    c->count = 0;
    arena_reset(c->batch_arena);
}

/* ---- one transaction ---- */

static int
by_key(const void *a, const void *b)
{
    const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;
    int order = strcmp(x->inbox_key, y->inbox_key);

    return order ? order : (x > y) - (x < y);
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Note the events in the inbox; those that were not there are fresh, of equal ones the first. */
static enum err_code
already_seen(struct consumer *c, struct db_conn *db, struct item *items, size_t n, struct err *err)
{
    CLEANUP(db_result_free) struct db_result *r = NULL;
    struct item *sorted[CONSUMER_BATCH];
    const char *keys[CONSUMER_BATCH], *added[CONSUMER_BATCH];
    size_t good = 0;

    for (size_t i = 0; i < n; i++) {
        items[i].fresh = false;
        if (!items[i].bad)
            sorted[good++] = &items[i];
    }
    if (good == 0)
        return ERR_OK;
    qsort(sorted, good, sizeof(sorted[0]), by_key);
    for (size_t i = 0; i < good; i++)
        keys[i] = sorted[i]->inbox_key;
    if (db_exec(db, &insert_inbox, DB_PARAMS(db_text_array(c->event_arena, keys, good)), &r, err))
        return err_wrap(err, "inbox");
    size_t rows = db_rows(r);
    for (size_t i = 0; i < rows; i++)
        added[i] = db_str(r, i, 0);
    qsort(added, rows, sizeof(added[0]), by_text);
    for (size_t i = 0, row = 0; i < good && row < rows; i++) {
        if (strcmp(sorted[i]->inbox_key, added[row]) == 0) {
            sorted[i]->fresh = true;
            row++;
        }
    }
    return ERR_OK;
}

static enum err_code
bury(struct consumer *c, struct db_conn *db, const struct item *item, struct err *err)
{
    const struct dead_letter letter = {
        .service = c->options.service,
        .cluster = c->cluster,
        .message = &item->message,
        .envelope = item->envelope,
        .why = item->bad,
    };

    event_origin_enter(item->envelope);
    enum err_code code = dead_letter_write(db, c->options.outbox, &letter, c->event_arena, err);
    event_origin_set(NULL);
    return code;
}

static enum err_code
handle(struct consumer *c, struct db_conn *db, const struct item *item, struct err *err)
{
    struct event_context context = {
        .envelope = item->envelope,
        .workspace = item->envelope->workspace,
        .db = db,
        .outbox = c->options.outbox,
        .arena = c->event_arena,
    };

    c->blame = true;
    event_origin_enter(item->envelope);
    enum err_code code = c->options.subscriptions[item->subscription].handler(
        c->options.arg, item->event, &context, err);
    event_origin_set(NULL);
    return code;
}

/* The offsets of what was read: of one item alone, or of all slots. */
static enum err_code
move_offsets(struct consumer *c, struct db_conn *db, const struct item *alone, struct err *err)
{
    CLEANUP(db_result_free) struct db_result *r = NULL;
    struct arena *a = c->event_arena;
    const char **topics = arena_alloc(a, c->slot_count * sizeof(*topics));
    int64_t *parts = arena_alloc(a, c->slot_count * sizeof(*parts));
    int64_t *was = arena_alloc(a, c->slot_count * sizeof(*was));
    int64_t *becomes = arena_alloc(a, c->slot_count * sizeof(*becomes));
    size_t n = 0;

    for (size_t i = 0; i < c->slot_count; i++) {
        const struct slot *s = &c->slots[i];
        if (!c->owned[i] || (alone ? alone->slot != s : s->moved == s->next))
            continue;
        topics[n] = s->topic;
        parts[n] = s->partition;
        was[n] = s->next;
        becomes[n++] = alone ? alone->message.offset + 1 : s->moved;
    }
    if (n == 0)
        return ERR_OK;
    if (db_exec(db, &move_offsets_stmt,
                DB_PARAMS(db_text(c->cluster), db_text_array(a, topics, n),
                          db_int_array(a, parts, n), db_int_array(a, was, n),
                          db_int_array(a, becomes, n)),
                &r, err))
        return err_wrap(err, "move offsets");
    if (db_affected(r) != (int64_t)n) {
        c->fenced = true;
        return err_set(err, ERR_CONFLICT, "another instance has moved the offsets");
    }
    return ERR_OK;
}

static void
committed(struct consumer *c, const struct item *items, size_t n, const struct item *alone)
{
    int64_t now = life_now_ms();

    pthread_mutex_lock(&c->mutex);
    for (size_t i = 0; i < c->slot_count; i++) {
        struct slot *s = &c->slots[i];
        if (!c->owned[i] || (alone && alone->slot != s))
            continue;
        int64_t next = alone ? alone->message.offset + 1 : s->moved;
        if (next != s->next) {
            s->next = next;
            s->told = false;
            metric_set(s->lag, (double)(s->end - s->next));
        }
    }
    pthread_mutex_unlock(&c->mutex);
    if (!alone)
        c->skipped_since_ms = 0;
    for (size_t i = 0; i < n; i++) {
        if (items[i].bad) {
            metric_add(c->dead, 1);
            log_warn("event dead-lettered", LOG_STR("topic", items[i].message.topic),
                     LOG_INT("partition", items[i].message.partition),
                     LOG_INT("offset", items[i].message.offset),
                     LOG_STR("type", items[i].envelope->type), LOG_ERR(items[i].bad));
        } else if (items[i].fresh) {
            int64_t age_ms = now - items[i].envelope->time_ms;
            metric_add(c->handled[items[i].subscription], 1);
            metric_observe(c->seconds, age_ms > 0 ? (double)age_ms / 1000 : 0);
        }
    }
}

static enum err_code
transact(struct consumer *c, struct item *items, size_t n, const struct item *alone,
         struct err *err)
{
    CLEANUP(db_return) struct db_conn *db = NULL;

    c->fenced = c->blame = false;
    arena_reset(c->event_arena);
    if (db_borrow(c->options.db, &db, err) || db_begin(db, err) ||
        already_seen(c, db, items, n, err))
        return err->code;
    for (size_t i = 0; i < n; i++) {
        arena_reset(c->event_arena);
        if (items[i].bad ? bury(c, db, &items[i], err)
                         : items[i].fresh && handle(c, db, &items[i], err))
            return err->code;
    }
    arena_reset(c->event_arena);
    if (move_offsets(c, db, alone, err) || db_commit(db, err))
        return err->code;
    committed(c, items, n, alone);
    life_condition("database", true);
    return ERR_OK;
}

/* ---- failure ---- */

static bool
transient(const struct err *err, int *internal_tries)
{
    return err_retriable(err->code) || err->code == ERR_CONFLICT ||
           (err->code == ERR_INTERNAL && ++*internal_tries <= CONSUMER_INTERNAL_RETRIES);
}

/* Until it is committed, handled or buried. */
static bool
insist(struct consumer *c, struct item *items, size_t n, const struct item *alone)
{
    int64_t wait_ms = BACKOFF_MIN_MS;
    int internal_tries = 0;
    struct err err = {0};

    while (transact(c, items, n, alone, &err)) {
        if (c->fenced) {
            log_warn("offsets are read again", LOG_ERR(&err));
            return false;
        }
        if (c->blame && alone && !transient(&err, &internal_tries)) {
            items->bad = arena_memdup(c->batch_arena, &err, sizeof(err));
            continue;
        }
        if (!c->blame && err.code == ERR_UNAVAILABLE)
            life_condition("database", false);
        metric_add(c->retries, 1);
        log_warn("event will be retried", LOG_ERR(&err), LOG_INT("ms", wait_ms),
                 LOG_STR("event_id", alone ? alone->envelope->id : ""));
        if (!consumer_nap(c, wait_ms))
            return false;
        wait_ms = wait_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : wait_ms * 2;
    }
    return true;
}

static bool
one_by_one(struct consumer *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (!insist(c, &c->items[i], 1, &c->items[i]))
            return false;
    return true;
}

bool
batch_run(struct consumer *c)
{
    struct err err = {0};
    bool done = true;

    if (transact(c, c->items, c->count, NULL, &err))
        done = c->fenced ? false : c->count > 0 ? one_by_one(c) : insist(c, NULL, 0, NULL);
    if (!done)
        c->assigned = false;
    batch_drop(c);
    return done;
}
