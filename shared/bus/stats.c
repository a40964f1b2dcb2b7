/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats.c - librdkafka's statistics as metrics
 * (https://github.com/confluentinc/librdkafka/blob/master/STATISTICS.md).
 */
#include "bus/internal.h"

#include "metrics/metrics.h"

#include <jansson.h>

static int32_t
count_partitions(json_t *topic)
{
    const char *number;
    json_t *partition;
    int32_t count = 0;

    /* Without -1, which stands for none. */
    json_object_foreach(json_object_get(topic, "partitions"), number, partition)
    {
        if (number[0] != '-' && json_is_false(json_object_get(partition, "unknown")))
            count++;
    }
    return count;
}

static void
know_partitions(struct bus_client *c, json_t *topics)
{
    for (size_t i = 0; i < c->topic_count; i++) {
        int32_t count =
            count_partitions(json_object_get(topics, rd_kafka_topic_name(c->topics[i].handle)));
        /* They never become less; while the topic has no leader they are not seen. */
        if (count > c->topics[i].partitions)
            c->topics[i].partitions = count;
    }
}

int
bus_stats(rd_kafka_t *rk, char *json, size_t len, void *opaque)
{
    struct bus_client *c = opaque;
    json_t *stats = json_loadb(json, len, 0, NULL);
    const char *name;
    json_t *broker;
    double errors = 0;
    double p99_us = 0;

    (void)rk;
    json_object_foreach(json_object_get(stats, "brokers"), name, broker)
    {
        double p99 = json_number_value(json_object_get(json_object_get(broker, "rtt"), "p99"));

        errors += json_number_value(json_object_get(broker, "txerrs"));
        p99_us = p99 > p99_us ? p99 : p99_us;
    }
    metric_set(metrics_gauge("modelbus_bus_rtt_p99_seconds",
                             "Slowest broker's 99th percentile of request round trips.", "client",
                             c->client_id, "role", c->role, NULL),
               p99_us / 1e6);
    struct metric *total =
        metrics_counter("modelbus_bus_tx_errors_total", "Requests that could not be sent.",
                        "client", c->client_id, "role", c->role, NULL);
    /* A broker that left the list takes its count along. */
    if (errors > c->tx_errors)
        metric_add(total, errors - c->tx_errors);
    c->tx_errors = errors;
    metric_set(metrics_gauge("modelbus_bus_queue_messages",
                             "Messages that wait to be sent or reported.", "client", c->client_id,
                             "role", c->role, NULL),
               json_number_value(json_object_get(stats, "msg_cnt")));
    know_partitions(c, json_object_get(stats, "topics"));
    json_decref(stats);
    return 0; /* librdkafka frees the text */
}
