/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fabric.h - the fabric of one made-up service, on real PostgreSQL and a real bus.
 *
 * Schema and topic prefix are unique and removed by fabric_close(). The service hears
 * ModelRegistered and writes a row of table applied for each; the model's name tells
 * its handler to misbehave:
 *   "poison…"   ERR_INVALID
 *   "broken…"   ERR_INTERNAL, always
 *   "flaky…"    ERR_UNAVAILABLE the first three times
 *   "echo…"     applied, and AliasMoved is said
 *   others      applied (model, version, instance)
 * Anything that fails here ends the test with a message.
 */
#pragma once

#include "consumer.h"

#include <sys/types.h>

struct fabric {
    char name[64]; /* schema, service and prefix */
    char brokers[256];
    struct bus_options bus;
    struct db_pool *db;
    struct outbox *outbox;
    int republished; /* calls of the hook */
};

void fabric_open(struct fabric *f);
/* Another process' view of an open fabric; it does not close it. */
void fabric_attach(struct fabric *f, const char *name);
void fabric_close(struct fabric *f);

void fabric_relay_start(struct fabric *f);
void fabric_relay_stop(struct fabric *f);
/* service NULL: the fabric's own; another one reads with locks of its own, but the same tables. */
struct consumer *fabric_consumer(struct fabric *f, const char *service, int *instance);

/* A process of its own that consumes until it is killed. */
pid_t fabric_child(struct fabric *f, int instance);

/* One transaction that registers versions [first, first + count) of a model. */
void fabric_register(struct fabric *f, const char *model, int64_t first, int64_t count);
void fabric_register_as(struct fabric *f, const char *model, int64_t version, const char *id);
/* Straight to Kafka, past the outbox; headers NULL: none. */
void fabric_produce(struct fabric *f, const char *suffix, const char *key, const char *value,
                    const struct bus_header *headers, size_t count);

/* A topic of real Kafka gets more partitions. */
void fabric_grow(struct fabric *f, const char *suffix, size_t partitions);

/* A statement that yields one number. */
int64_t fabric_number(struct fabric *f, const char *sql);
/* Until the statement yields want; aborts with the last value after 60 s. Returns the ms it took. */
int64_t fabric_wait(struct fabric *f, const char *sql, int64_t want);
/* Committed offset of the service's group, -1001 when none. */
int64_t fabric_kafka_offset(struct fabric *f, const char *suffix, int32_t partition);
/* Messages in all partitions of a topic. */
int64_t fabric_topic_size(struct fabric *f, const char *suffix);
