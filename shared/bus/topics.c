/* SPDX-License-Identifier: Apache-2.0 */
/* topics.c - headers of a message, and topics by the Admin API. */
#include "bus/internal.h"

#include <stdlib.h>
#include <string.h>

/* How the id of librdkafka's mock cluster begins. That of 2.0 names no controller: a request to
 * create topics would wait for one until its time is up, instead of being refused. */
#define MOCK_ID "mockCluster"

const void *
bus_header(const struct bus_message *m, const char *name, size_t *len)
{
    for (size_t i = 0; i < m->header_count; i++) {
        if (strcmp(m->headers[i].name, name) == 0) {
            *len = m->headers[i].len;
            return m->headers[i].value;
        }
    }
    return NULL;
}

static enum err_code
new_topic(const struct bus_topic *t, rd_kafka_NewTopic_t **out, struct err *err)
{
    char text[256];
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(t->name, t->partitions, t->replication, text, sizeof(text));

    if (!topic)
        return err_set(err, ERR_INVALID, "topic '%s': %s", t->name, text);
    if (t->compacted)
        rd_kafka_NewTopic_set_config(topic, "cleanup.policy", "compact");
    if (t->retention_ms) {
        snprintf(text, sizeof(text), "%lld", (long long)t->retention_ms);
        rd_kafka_NewTopic_set_config(topic, "retention.ms", text);
    }
    *out = topic;
    return ERR_OK;
}

static enum err_code
read_results(rd_kafka_event_t *event, struct err *err)
{
    size_t count = 0;

    if (rd_kafka_event_error(event))
        return bus_err(err, rd_kafka_event_error(event), "create topics");
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    for (size_t i = 0; i < count; i++) {
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);

        if (code && code != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
            bus_err(err, code, rd_kafka_topic_result_name(results[i]));
            return err_wrap(err, "create topic");
        }
    }
    return ERR_OK;
}

static bool
listed(const struct rd_kafka_metadata *all, const char *name)
{
    for (int i = 0; i < all->topic_cnt; i++)
        if (strcmp(all->topics[i].topic, name) == 0)
            return true;
    return false;
}

/* Only what is missing is asked for: a bus without the Admin API (the embedded one) has its
 * topics already and would let the request time out. */
static enum err_code
new_topics(rd_kafka_t *rk, const struct bus_topic *topics, size_t count, int timeout_ms,
           rd_kafka_NewTopic_t **fresh, size_t *fresh_count, struct err *err)
{
    const struct rd_kafka_metadata *all;
    rd_kafka_resp_err_t rv = rd_kafka_metadata(rk, 1, NULL, &all, timeout_ms);
    enum err_code code = ERR_OK;

    if (rv)
        return bus_err(err, rv, "list topics");
    for (size_t i = 0; !code && i < count; i++)
        if (!listed(all, topics[i].name) &&
            !(code = new_topic(&topics[i], &fresh[*fresh_count], err)))
            ++*fresh_count;
    rd_kafka_metadata_destroy(all);
    return code;
}

static bool
is_embedded(rd_kafka_t *rk)
{
    char *id = rd_kafka_clusterid(rk, 0);
    bool mock = id && strncmp(id, MOCK_ID, strlen(MOCK_ID)) == 0;

    if (id)
        rd_kafka_mem_free(rk, id);
    return mock;
}

enum err_code
bus_create_topics(const struct bus_options *o, const struct bus_topic *topics, size_t count,
                  int timeout_ms, struct err *err)
{
    struct bus_client client = {.role = "admin"};
    CLEANUP(mem_free) rd_kafka_NewTopic_t **fresh = mem_calloc(count, sizeof(*fresh));
    rd_kafka_AdminOptions_t *options = NULL;
    rd_kafka_queue_t *queue = NULL;
    rd_kafka_event_t *event = NULL;
    size_t fresh_count = 0;
    enum err_code code;

    code = bus_client_start(&client, RD_KAFKA_PRODUCER, bus_conf(&client, o), o, err);
    if (!code)
        code = new_topics(client.rk, topics, count, timeout_ms, fresh, &fresh_count, err);
    if (!code && fresh_count && is_embedded(client.rk))
        code = err_set(err, ERR_UNSUPPORTED, "create topics: the embedded bus creates none");
    if (code || !fresh_count)
        goto out;
    char text[128];
    options = rd_kafka_AdminOptions_new(client.rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    if (rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, text, sizeof(text)) ||
        rd_kafka_AdminOptions_set_operation_timeout(options, timeout_ms, text, sizeof(text))) {
        code = err_set(err, ERR_INVALID, "create topics: %s", text);
        goto out;
    }
    queue = rd_kafka_queue_new(client.rk);
    rd_kafka_CreateTopics(client.rk, fresh, fresh_count, options, queue);
    event = rd_kafka_queue_poll(queue, timeout_ms + 1000);
    code = event ? read_results(event, err)
                 : err_set(err, ERR_UNAVAILABLE, "create topics: no answer");
out:
    if (event)
        rd_kafka_event_destroy(event);
    if (queue)
        rd_kafka_queue_destroy(queue);
    if (options)
        rd_kafka_AdminOptions_destroy(options);
    for (size_t i = 0; i < fresh_count; i++)
        rd_kafka_NewTopic_destroy(fresh[i]);
    bus_client_done(&client);
    return code;
}
