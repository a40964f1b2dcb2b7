/* SPDX-License-Identifier: Apache-2.0 */
/*
 * consumer_parts.h - what consumer.c, assign.c and batch.c share; inside of consumer.h.
 *
 * consumer.c is the thread's loop, assign.c decides what is read from where, batch.c does
 * what was read. All state below belongs to the thread, except where noted.
 */
#pragma once

#include "consumer.h"

#include "metrics/metrics.h"
#include "ownership.h"

#include <pthread.h>
#include <stdatomic.h>

#define CONSUMER_TOPICS_MAX 32

struct slot { /* one partition of a topic that the service hears */
    char topic[256];
    int32_t partition;
    int64_t next;  /* as committed in bus_offset */
    int64_t moved; /* after the last message read, handled or skipped */
    int64_t end;   /* the log's end as last seen */
    bool told;     /* Kafka knows next */
    struct metric *lag;
};

struct item { /* a message of the batch in hand that is handled or dead-lettered */
    struct bus_message message;
    void *handle;
    struct slot *slot;
    struct event_envelope *envelope;
    ProtobufCMessage *event;
    size_t subscription;
    char inbox_key[37];    /* UUID text */
    bool fresh;            /* not in the inbox before */
    const struct err *bad; /* poison: why; NULL: handle it */
};

struct consumer {
    struct consumer_options options;
    char group[300];
    pthread_t thread;
    pthread_mutex_t mutex; /* slots against consumer_partitions(), stop against naps */
    pthread_cond_t woken;
    bool stop; /* under mutex */
    atomic_bool stopping;
    _Atomic int64_t beat_ms;

    char topics[CONSUMER_TOPICS_MAX][256];
    size_t topic_count;
    struct bus_reader *reader;
    struct ownership *ownership;
    char cluster[128];
    bool cluster_known, topics_created, listed, assigned;
    bool list_again;    /* something failed: it may be a topic that is gone */
    struct slot *slots; /* the array under mutex when it changes; also next, end */
    int64_t *keys;      /* of ownership, by slot */
    bool *owned;        /* by slot */
    size_t slot_count;
    int64_t next_check_ms, next_report_ms, next_lag_ms;
    bool reporting;     /* Kafka was told, and has not answered yet */
    bool report_warned; /* that it refused */

    struct item items[CONSUMER_BATCH];
    size_t count;
    struct arena *batch_arena, *event_arena;
    int64_t skipped_since_ms; /* 0: no offset waits that only skipping has moved */
    bool fenced;              /* the last transaction met another owner's offset */
    bool blame;               /* the last transaction got as far as a handler */

    struct metric **handled; /* by subscription */
    struct metric *skipped, *dead, *retries, *seconds;
};

/* assign.c: make cluster, partitions, ownership and assignment current, as far as it is time. */
MUST_CHECK enum err_code assign_prepare(struct consumer *c, struct err *err);
/* The ownership check alone; *changed: assign anew. */
MUST_CHECK enum err_code assign_check(struct consumer *c, bool *changed, struct err *err);
/* The reader says that slot's offset is not in the log: go on where it is possible. */
MUST_CHECK enum err_code assign_skip_gap(struct consumer *c, const char *topic, int32_t partition,
                                         struct err *err);
struct slot *assign_slot(struct consumer *c, const char *topic, int32_t partition); /* or NULL */
size_t assign_owned(const struct consumer *c);

/* batch.c: read what is ready, at first waiting up to wait_ms. ERR_UNAVAILABLE: the reader's
 * own error, after which it goes on. */
MUST_CHECK enum err_code batch_gather(struct consumer *c, int64_t wait_ms, struct err *err);
/* Do it, retrying in place. False: abandoned; c->assigned is false, offsets are read again. */
bool batch_run(struct consumer *c);
void batch_drop(struct consumer *c);

/* consumer.c: wait ms, checking ownership; false: stopping, or what is owned has changed. */
bool consumer_nap(struct consumer *c, int64_t ms);
