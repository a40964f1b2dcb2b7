/* SPDX-License-Identifier: Apache-2.0 */
/* assign.c - which partitions there are, which are ours, and from which offset on. */
#include "consumer_parts.h"

#include "life/life.h"
#include "log/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BROKER_MS 2000  /* patience with one answer of the broker */
#define TOPICS_MS 10000 /* and with the creation of topics */

static const struct db_stmt read_offsets = {
    "SELECT topic, partition, next FROM bus_offset WHERE cluster = $1"};
static const struct db_stmt first_offset = {
    "INSERT INTO bus_offset (cluster, topic, partition, next) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT DO NOTHING"};
static const struct db_stmt jump_offset = {
    "UPDATE bus_offset SET next = $5 WHERE cluster = $1 AND topic = $2 AND partition = $3"
    " AND next = $4"};

struct slot *
assign_slot(struct consumer *c, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < c->slot_count; i++)
        if (c->owned[i] && c->slots[i].partition == partition &&
            strcmp(c->slots[i].topic, topic) == 0)
            return &c->slots[i];
    return NULL;
}

size_t
assign_owned(const struct consumer *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->slot_count; i++)
        n += c->owned[i];
    return n;
}

/* ---- the cluster and its partitions ---- */

static enum err_code
know_cluster(struct consumer *c, struct err *err)
{
    char id[sizeof(c->cluster)];

    if (c->cluster_known)
        return ERR_OK;
    if (bus_reader_cluster(c->reader, BROKER_MS, id, sizeof(id), err))
        return err_wrap(err, "bus");
    if (strcmp(id, c->cluster) != 0) {
        log_info("reads from cluster", LOG_STR("cluster", id));
        memcpy(c->cluster, id, sizeof(id));
        c->topics_created = false;
        c->listed = c->assigned = false;
    }
    c->cluster_known = true;
    return ERR_OK;
}

static enum err_code
create_topics(struct consumer *c, struct err *err)
{
    if (c->topics_created)
        return ERR_OK;
    if (event_topics_create(&c->options.bus, c->options.prefix, 0, TOPICS_MS, err) &&
        err->code != ERR_UNSUPPORTED)
        return err_wrap(err, "create topics");
    c->topics_created = true;
    return ERR_OK;
}

static void
new_slot(struct consumer *c, struct slot *slot, const char *topic, int32_t partition)
{
    char number[16];

    memset(slot, 0, sizeof(*slot));
    snprintf(slot->topic, sizeof(slot->topic), "%s", topic);
    snprintf(number, sizeof(number), "%d", (int)partition);
    slot->partition = partition;
    slot->lag = metrics_gauge("modelbus_consumer_lag", "Events not yet handled.", "topic",
                              slot->topic, "partition", number, NULL);
    (void)c;
}

/* Events would wait for an answer of the broker, so only what the client knows is looked at. */
static bool
partitions_were_added(const struct consumer *c)
{
    size_t known = 0;

    for (size_t t = 0; t < c->topic_count; t++)
        known += (size_t)bus_reader_known_partitions(c->reader, c->topics[t]);
    return known > c->slot_count;
}

/* Partitions are only ever added within a cluster; slots keep their place while they are. */
static enum err_code
list_partitions(struct consumer *c, struct err *err)
{
    int32_t counts[CONSUMER_TOPICS_MAX];
    size_t total = 0, n = 0;

    if (c->listed && !c->list_again && !partitions_were_added(c))
        return ERR_OK;
    for (size_t t = 0; t < c->topic_count; t++) {
        if (bus_reader_partitions(c->reader, c->topics[t], BROKER_MS, &counts[t], err)) {
            c->topics_created = c->topics_created && err->code != ERR_NOT_FOUND;
            return err_wrap(err, "topic '%s'", c->topics[t]);
        }
        total += (size_t)counts[t];
    }
    c->list_again = false;
    if (c->listed && total == c->slot_count)
        return ERR_OK;

    /* Start ownership over as well: locks of a former list must not linger. */
    ownership_free(c->ownership);
    c->ownership = ownership_new(c->options.db, c->options.service);
    pthread_mutex_lock(&c->mutex);
    c->slots = mem_realloc(c->slots, total * sizeof(*c->slots));
    c->keys = mem_realloc(c->keys, total * sizeof(*c->keys));
    c->owned = mem_realloc(c->owned, total * sizeof(*c->owned));
    memset(c->owned, 0, total * sizeof(*c->owned));
    for (size_t t = 0; t < c->topic_count; t++) {
        for (int32_t p = 0; p < counts[t]; p++, n++) {
            new_slot(c, &c->slots[n], c->topics[t], p);
            c->keys[n] = ownership_key(c->options.service, c->topics[t], p);
        }
    }
    c->slot_count = total;
    pthread_mutex_unlock(&c->mutex);
    c->listed = true;
    c->assigned = false;
    c->next_check_ms = 0;
    return ERR_OK;
}

/* ---- ownership and offsets ---- */

enum err_code
assign_check(struct consumer *c, bool *changed, struct err *err)
{
    *changed = false;
    c->next_check_ms = life_monotonic_ms() + CONSUMER_OWNERSHIP_MS;
    pthread_mutex_lock(&c->mutex);
    bool *owned = arena_memdup(c->event_arena, c->owned, c->slot_count * sizeof(*owned));
    pthread_mutex_unlock(&c->mutex);
    enum err_code code = ownership_check(c->ownership, c->keys, owned, c->slot_count, changed, err);
    pthread_mutex_lock(&c->mutex);
    memcpy(c->owned, owned, c->slot_count * sizeof(*owned));
    pthread_mutex_unlock(&c->mutex);
    if (*changed) {
        c->assigned = false;
        log_info("partitions", LOG_INT("owned", assign_owned(c)), LOG_INT("of", c->slot_count));
    }
    return code;
}

static enum err_code
load_offsets(struct consumer *c, struct db_conn *db, struct err *err)
{
    CLEANUP(db_result_free) struct db_result *r = NULL;

    if (db_exec(db, &read_offsets, DB_PARAMS(db_text(c->cluster)), &r, err))
        return err_wrap(err, "read offsets");
    pthread_mutex_lock(&c->mutex);
    for (size_t i = 0; i < c->slot_count; i++)
        c->slots[i].next = c->slots[i].moved = -1;
    for (size_t i = 0; i < db_rows(r); i++) {
        struct slot *s = assign_slot(c, db_str(r, i, 0), (int32_t)db_i64(r, i, 1));
        if (s)
            s->next = s->moved = db_i64(r, i, 2);
    }
    pthread_mutex_unlock(&c->mutex);
    return ERR_OK;
}

/* A partition that was never read starts at its oldest message, and has a row from then on. */
static enum err_code
begin_new(struct consumer *c, struct db_conn *db, struct err *err)
{
    bool any = false;

    for (size_t i = 0; i < c->slot_count; i++) {
        struct slot *s = &c->slots[i];
        int64_t low, high;

        if (!c->owned[i] || s->next >= 0)
            continue;
        if (bus_reader_bounds(c->reader, s->topic, s->partition, BROKER_MS, &low, &high, err))
            return err_wrap(err, "bounds of %s/%d", s->topic, (int)s->partition);
        if (db_exec(db, &first_offset,
                    DB_PARAMS(db_text(c->cluster), db_text(s->topic), db_int(s->partition),
                              db_int(low)),
                    NULL, err))
            return err_wrap(err, "first offset");
        any = true;
    }
    return any ? load_offsets(c, db, err) : ERR_OK;
}

static enum err_code
assign(struct consumer *c, struct err *err)
{
    CLEANUP(db_return) struct db_conn *db = NULL;
    size_t n = 0;

    if (c->assigned)
        return ERR_OK;
    if (db_borrow(c->options.db, &db, err) || load_offsets(c, db, err) || begin_new(c, db, err))
        return err->code;
    struct bus_position *positions = mem_calloc(c->slot_count, sizeof(*positions));
    for (size_t i = 0; i < c->slot_count; i++) {
        if (!c->owned[i])
            continue;
        memcpy(positions[n].topic, c->slots[i].topic, sizeof(positions[n].topic));
        positions[n].partition = c->slots[i].partition;
        positions[n++].offset = c->slots[i].next;
    }
    enum err_code code = bus_reader_assign(c->reader, positions, n, err);
    free(positions);
    if (code)
        return err_wrap(err, "assign");
    c->assigned = true;
    c->skipped_since_ms = 0;
    return ERR_OK;
}

enum err_code
assign_prepare(struct consumer *c, struct err *err)
{
    bool changed;

    if (know_cluster(c, err) || create_topics(c, err) || list_partitions(c, err))
        return err->code;
    life_condition("bus", true);
    arena_reset(c->event_arena);
    if (life_monotonic_ms() >= c->next_check_ms && assign_check(c, &changed, err))
        return err->code;
    return assign(c, err);
}

enum err_code
assign_skip_gap(struct consumer *c, const char *topic, int32_t partition, struct err *err)
{
    CLEANUP(db_return) struct db_conn *db = NULL;
    struct slot *s = assign_slot(c, topic, partition);
    int64_t low, high;

    if (!s)
        return ERR_OK;
    c->assigned = false;
    if (bus_reader_bounds(c->reader, s->topic, s->partition, BROKER_MS, &low, &high, err) ||
        db_borrow(c->options.db, &db, err))
        return err->code;
    if (s->next >= low && s->next <= high)
        return ERR_OK; /* it is there after all: assigning again is enough */
    log_error("messages are missing from the log, going on at its oldest",
              LOG_STR("topic", s->topic), LOG_INT("partition", s->partition),
              LOG_INT("expected", s->next), LOG_INT("oldest", low), LOG_INT("end", high));
    /* Beyond the end the log was truncated: from its beginning, the inbox knows what was done. */
    if (db_exec(db, &jump_offset,
                DB_PARAMS(db_text(c->cluster), db_text(s->topic), db_int(s->partition),
                          db_int(s->next), db_int(low)),
                NULL, err))
        return err_wrap(err, "skip the gap");
    return ERR_OK;
}
