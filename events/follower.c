/* SPDX-License-Identifier: Apache-2.0 */
/* follower.c - every partition of one topic, on a thread of its own. */
#include "follower.h"

#include "life/life.h"
#include "log/log.h"
#include "metrics/metrics.h"
#include "origin.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_MS 1000
#define POLL_MS 500

struct follower {
    struct follower_options options; /* strings are ours */
    char topic[256];
    struct bus_reader *reader;
    struct arena *arena;
    struct bus_position *ends; /* what was there at the start, per partition */
    int32_t partitions;        /* 0: assign (again) */
    int32_t behind;            /* partitions whose end is not reached */
    char cluster[128];         /* that the positions are of; empty: none yet */
    int64_t log_next_ms;       /* troubles are logged no sooner */
    int64_t log_suppressed;
    struct metric *bad;
    atomic_bool stopping;
    pthread_t thread;
};

static void
trouble(struct follower *f, const struct err *err)
{
    int64_t now = life_monotonic_ms();

    if (now < f->log_next_ms) {
        f->log_suppressed++;
        return;
    }
    log_warn("follower waits", LOG_STR("topic", f->topic), LOG_ERR(err),
             LOG_INT("suppressed", f->log_suppressed));
    f->log_next_ms = now + FOLLOWER_QUIET_MS;
    f->log_suppressed = 0;
}

/* Whose content the next assignment is of, however the change was noticed. */
static void
take_cluster(struct follower *f, const char *cluster)
{
    bool changed = f->cluster[0] && strcmp(f->cluster, cluster) != 0;

    snprintf(f->cluster, sizeof(f->cluster), "%s", cluster);
    if (!changed)
        return;
    /* All of the new cluster's content is news, whatever was asked for at first. */
    f->options.from_end = false;
    if (f->options.on_restart)
        f->options.on_restart(f->options.arg);
}

static void
reach(struct follower *f, int32_t partition, int64_t next)
{
    struct bus_position *end = &f->ends[partition];

    if (end->offset < 0 || next < end->offset)
        return;
    end->offset = -1; /* reached */
    if (--f->behind == 0 && f->options.on_caught_up)
        f->options.on_caught_up(f->options.arg);
}

static enum err_code
assign(struct follower *f, struct err *err)
{
    CLEANUP(mem_free) struct bus_position *from = NULL;
    char cluster[sizeof(f->cluster)];
    int32_t count;

    if (bus_reader_cluster(f->reader, ASK_MS, cluster, sizeof(cluster), err))
        return err->code;
    take_cluster(f, cluster);
    if (bus_reader_partitions(f->reader, f->topic, ASK_MS, &count, err))
        return err->code;
    from = mem_calloc((size_t)count, sizeof(*from));
    free(f->ends);
    f->ends = mem_calloc((size_t)count, sizeof(*f->ends));
    for (int32_t i = 0; i < count; i++) {
        int64_t low;
        int64_t high;

        if (bus_reader_bounds(f->reader, f->topic, i, ASK_MS, &low, &high, err))
            return err->code;
        from[i].partition = i;
        from[i].offset = f->options.from_end ? high : low;
        snprintf(from[i].topic, sizeof(from[i].topic), "%s", f->topic);
        f->ends[i].offset = high;
    }
    if (bus_reader_assign(f->reader, from, (size_t)count, err))
        return err->code;
    f->partitions = count;
    f->behind = count;
    for (int32_t i = 0; i < count; i++)
        reach(f, i, from[i].offset);
    return ERR_OK;
}

/* Most tools write tombstones without headers. */
static bool
bare_tombstone(const struct bus_message *m)
{
    size_t len;

    return !m->value && !bus_header(m, "ce_type", &len);
}

static void
hand_out(struct follower *f, const struct bus_message *m)
{
    const struct event_type *type;
    struct event_envelope envelope;
    ProtobufCMessage *event;
    struct err err;

    arena_reset(f->arena);
    if (bare_tombstone(m)) {
        f->options.on_event(f->options.arg, NULL, &(struct event_envelope){0}, NULL, m);
    } else if (event_decode(f->options.prefix, m, f->arena, &envelope, &type, &event, &err)) {
        metric_add(f->bad, 1);
        if (f->options.on_bad)
            f->options.on_bad(f->options.arg, m, &err);
    } else {
        event_origin_enter(&envelope);
        f->options.on_event(f->options.arg, type, &envelope, event, m);
        event_origin_set(NULL);
    }
    if (m->partition < f->partitions)
        reach(f, m->partition, m->offset + 1);
}

static void *
follow(void *arg)
{
    struct follower *f = arg;

    while (!atomic_load(&f->stopping)) {
        struct bus_message m;
        struct err err;
        void *handle = NULL;

        if (!f->partitions && assign(f, &err)) {
            trouble(f, &err);
            /* Without positions there is nothing to read; a poll serves the client meanwhile. */
            bus_reader_poll(f->reader, POLL_MS, &m, &handle, &err);
            bus_message_done(handle);
            continue;
        }
        switch (bus_reader_poll(f->reader, POLL_MS, &m, &handle, &err)) {
        case BUS_MESSAGE:
            hand_out(f, &m);
            bus_message_done(handle);
            break;
        case BUS_CLUSTER_CHANGED:
        case BUS_OFFSET_LOST:
            f->partitions = 0;
            break;
        case BUS_ERROR:
            trouble(f, &err);
            break;
        case BUS_NOTHING:
            break;
        }
    }
    return NULL;
}

static void
destroy(struct follower *f)
{
    bus_reader_free(f->reader);
    arena_free(f->arena);
    free(f->ends);
    free((char *)(uintptr_t)f->options.prefix);
    free(f);
}

enum err_code
follower_start(struct follower **follower, const struct follower_options *options, struct err *err)
{
    struct follower *f = mem_zalloc(sizeof(*f));

    f->options = *options;
    f->options.prefix = mem_strdup(options->prefix);
    event_topic_name(options->prefix, options->topic, f->topic);
    f->arena = arena_new(0, 0);
    f->bad = metrics_counter("modelbus_bus_follower_bad_total",
                             "Messages of a followed topic that are not good events.", "topic",
                             f->topic, NULL);
    if (bus_reader_open(&f->reader, &options->bus, NULL, err)) {
        destroy(f);
        return err->code;
    }
    if (pthread_create(&f->thread, NULL, follow, f)) {
        destroy(f);
        return err_set(err, ERR_UNAVAILABLE, "follower: no thread");
    }
    pthread_setname_np(f->thread, "follower");
    *follower = f;
    return ERR_OK;
}

void
follower_stop(struct follower *f)
{
    if (!f)
        return;
    atomic_store(&f->stopping, true);
    bus_reader_wake(f->reader);
    pthread_join(f->thread, NULL);
    destroy(f);
}
