/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - what the producer, the reader and the topic maker share: one librdkafka
 * instance with its log, its figures and its knowledge of which cluster answers.
 */
#pragma once

#include "bus/bus.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

#define BUS_CLUSTER_ID_MAX 128

struct bus_client {
    rd_kafka_t *rk;
    const char *role; /* "producer", "reader", "admin": a label of the metrics */
    char *client_id;
    /* Connections tried so far (counted on librdkafka's threads before the first byte of a new
     * connection can arrive), and how many of them the last look at the cluster id covers. */
    atomic_uint connects;
    unsigned verified;
    char cluster[BUS_CLUSTER_ID_MAX]; /* as last verified; empty: never */
    int32_t *brokers;                 /* ids of the cluster's brokers at that look */
    size_t broker_count;
    atomic_bool down;            /* all brokers went away; taken by the reader's poll */
    _Atomic int64_t log_next_ms; /* the log is quiet until then */
    atomic_uint log_suppressed;
    double tx_errors;               /* as of the last statistics */
    struct bus_known_topic *topics; /* those whose partitions were asked for */
    size_t topic_count;
};

struct bus_known_topic {
    rd_kafka_topic_t *handle; /* held, so that its metadata is kept fresh */
    int32_t partitions;       /* as of the last answer or the last statistics; 0: none was seen */
};

/* Settings that every instance has; the caller adds its own, then calls bus_client_start(), which
 * applies o->properties and takes conf in every case. */
rd_kafka_conf_t *bus_conf(struct bus_client *c, const struct bus_options *o);
/* A property of ours: a refusal by librdkafka is a bug and aborts. */
void bus_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value);
void bus_conf_set_int(rd_kafka_conf_t *conf, const char *name, int64_t value);
MUST_CHECK enum err_code bus_client_start(struct bus_client *c, rd_kafka_type_t type,
                                          rd_kafka_conf_t *conf, const struct bus_options *o,
                                          struct err *err);
void bus_client_done(struct bus_client *c);

/* The cluster may be another one than c->cluster says: a connection is newer than the last look. */
bool bus_client_suspect(const struct bus_client *c);
/* Ask a broker which cluster it belongs to and keep the answer in c->cluster. */
MUST_CHECK enum err_code bus_client_verify(struct bus_client *c, int timeout_ms, struct err *err);
/* c->cluster, verified when in doubt, copied to id. */
MUST_CHECK enum err_code bus_client_cluster(struct bus_client *c, int timeout_ms, char *id,
                                            size_t size, struct err *err);

/* Our code for one of librdkafka's, with its text. */
enum err_code bus_err(struct err *err, rd_kafka_resp_err_t code, const char *what);

/* stats.c: statistics JSON into metrics and c->topics; a callback of librdkafka, which calls it
 * in the thread that polls. */
int bus_stats(rd_kafka_t *rk, char *json, size_t len, void *opaque);
int64_t bus_now_ms(void); /* CLOCK_MONOTONIC */
