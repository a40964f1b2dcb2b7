/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus.h - Kafka through librdkafka, without policy.
 *
 * The producer is idempotent (acks=all) and reports each delivery to a callback on
 * bus_producer_poll()'s thread. The reader takes explicit (topic, partition, offset)
 * assignments, never a group's: who reads what is decided above (events/consumer.h
 * holds ownership in PostgreSQL). A reader follows the cluster's id: when another
 * cluster answers at the same address (the embedded bus came back empty),
 * bus_reader_poll() says BUS_CLUSTER_CHANGED and the owner assigns anew.
 *
 * Settings that come from experience with librdkafka 2.0: Nagle off, prefetch of 64 MiB,
 * auto.offset.reset=error, no consume_batch, fatal producer errors recreate the producer.
 */
#pragma once

#include "err/err.h"

struct bus_options {
    const char *brokers;    /* host:port list */
    const char *client_id;  /* "registry-1" */
    int64_t fetch_wait_ms;  /* 500 on a real broker, 10 on the embedded bus */
    int64_t linger_us;      /* producer; 0 sends at once */
    const char *properties; /* more librdkafka properties, "k=v;k=v" (TLS, SASL); NULL */
};

struct bus_header {
    const char *name;
    const void *value;
    size_t len;
};
#define BUS_HEADERS_MAX 64
#define BUS_MESSAGE_MAX (1u << 20) /* value bytes */

struct bus_message {
    const char *topic;
    int32_t partition; /* -1 when producing: by key (murmur2, as Java does) */
    int64_t offset;
    int64_t timestamp_ms;
    const void *key; /* NULL: none */
    size_t key_len;
    const void *value; /* NULL: tombstone */
    size_t value_len;
    const struct bus_header *headers;
    size_t header_count;
};
/* The header's value, NULL if absent; *len as stored (no NUL is promised). */
const void *bus_header(const struct bus_message *m, const char *name, size_t *len);

/* ---- producer ---- */
struct bus_producer;
/* err NULL: delivered. opaque as given. On bus_producer_poll()'s thread. */
typedef void (*bus_delivered)(void *arg, void *opaque, const struct err *err);
MUST_CHECK enum err_code bus_producer_open(struct bus_producer **p, const struct bus_options *o,
                                           bus_delivered delivered, void *arg, struct err *err);
/* Copies the message. ERR_UNAVAILABLE: local queue full, poll and retry. ERR_TOO_LARGE. ERR_INTERNAL with
 * bus_producer_fatal() true: free, open anew and send again what was not reported. */
MUST_CHECK enum err_code bus_produce(struct bus_producer *p, const struct bus_message *m,
                                     void *opaque, struct err *err);
int bus_producer_poll(struct bus_producer *p, int timeout_ms); /* reports served */
bool bus_producer_fatal(struct bus_producer *p);
/* Wait until all is reported or the time is up; false when something is left. */
bool bus_producer_flush(struct bus_producer *p, int64_t timeout_ms);
void bus_producer_free(struct bus_producer *p); /* reports what is left as failed */
CLEANUP_DEFINE(struct bus_producer, bus_producer_free)
/* Current cluster id, copied; ERR_UNAVAILABLE when no broker answered within timeout_ms. */
MUST_CHECK enum err_code bus_producer_cluster(struct bus_producer *p, int timeout_ms, char *id,
                                              size_t size, struct err *err);

/* ---- reader ---- */
struct bus_reader;
struct bus_position {
    char topic[256];
    int32_t partition;
    int64_t offset; /* next to read; BUS_OFFSET_BEGINNING, BUS_OFFSET_END */
};
#define BUS_OFFSET_BEGINNING (-2)
#define BUS_OFFSET_END (-1)

/* group: name under which offsets are also committed to Kafka, for lag tools; NULL: none. */
MUST_CHECK enum err_code bus_reader_open(struct bus_reader **r, const struct bus_options *o,
                                         const char *group, struct err *err);
void bus_reader_free(struct bus_reader *r);
CLEANUP_DEFINE(struct bus_reader, bus_reader_free)

/* Partition count of a topic, created by the broker's auto-creation when it allows;
 * ERR_NOT_FOUND when the topic is not there, ERR_UNAVAILABLE. */
MUST_CHECK enum err_code bus_reader_partitions(struct bus_reader *r, const char *topic,
                                               int timeout_ms, int32_t *count, struct err *err);
/* The same of a topic that was asked for once: as the client has heard since, by itself, within a
 * minute; 0 when a new client has not heard yet. Asks nobody and does not wait (see bus_reader_end()). */
int32_t bus_reader_known_partitions(const struct bus_reader *r, const char *topic);
MUST_CHECK enum err_code bus_reader_cluster(struct bus_reader *r, int timeout_ms, char *id,
                                            size_t size, struct err *err);
/* Oldest and next offset of a partition (asks the broker). To be asked before assigning, with no message in
 * hand: a failure may have replaced the client, and its assignment is gone. */
MUST_CHECK enum err_code bus_reader_bounds(struct bus_reader *r, const char *topic,
                                           int32_t partition, int timeout_ms, int64_t *low,
                                           int64_t *high, struct err *err);
/* The next offset of an assigned partition as the last fetch has told it, -1 when there was none yet. Asks
 * nobody and does not wait: a question to the broker waits behind the fetch that is under way. */
int64_t bus_reader_end(struct bus_reader *r, const char *topic, int32_t partition);
/* Replace the whole assignment; earlier prefetch is dropped. */
MUST_CHECK enum err_code bus_reader_assign(struct bus_reader *r, const struct bus_position *p,
                                           size_t count, struct err *err);
enum bus_event {
    BUS_NOTHING,         /* timeout_ms passed */
    BUS_MESSAGE,         /* *m is filled, valid until bus_message_done(handle) */
    BUS_CLUSTER_CHANGED, /* another cluster answers: assign anew */
    BUS_OFFSET_LOST,     /* the assigned offset is gone (retention): *m names topic, partition */
    BUS_ERROR,           /* *err is filled; the reader goes on by itself */
};
enum bus_event bus_reader_poll(struct bus_reader *r, int timeout_ms, struct bus_message *m,
                               void **handle, struct err *err);
void bus_message_done(void *handle);
/* Tell Kafka about progress, for the eyes of others (PostgreSQL holds the truth): asynchronous, and one report at
 * a time; to be called after bus_reader_reported() has said how the one before ended. Without a group: nothing. */
void bus_reader_report(struct bus_reader *r, const struct bus_position *p, size_t count);
enum bus_reported {
    BUS_REPORT_NONE,    /* none is on its way, and nothing is to be said of one */
    BUS_REPORT_PENDING, /* no answer yet; there will be one, or an end, within two seconds */
    BUS_REPORT_TAKEN,
    BUS_REPORT_REFUSED, /* *err says why; another try would be refused too */
    BUS_REPORT_LOST,    /* *err says why; report again, after a while */
};
/* How the last report ended; said once. Asks nobody and does not wait. */
enum bus_reported bus_reader_reported(struct bus_reader *r, struct err *err);
/* Wake a bus_reader_poll() that waits, from any thread. */
void bus_reader_wake(struct bus_reader *r);

/* Create topics that are missing (real Kafka: Admin API; ERR_UNSUPPORTED on a bus without it
 * is not an error for the caller to stop at). */
struct bus_topic {
    const char *name;
    int partitions;
    int replication; /* -1: the broker's default */
    bool compacted;
    int64_t retention_ms; /* -1: unlimited, 0: the broker's default */
};
MUST_CHECK enum err_code bus_create_topics(const struct bus_options *o,
                                           const struct bus_topic *topics, size_t count,
                                           int timeout_ms, struct err *err);
