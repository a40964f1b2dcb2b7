/* SPDX-License-Identifier: Apache-2.0 */
/* producer.c - the idempotent producer. */
#include "bus/internal.h"

#include <stdlib.h>

struct bus_producer {
    struct bus_client client;
    bus_delivered delivered;
    void *arg;
    int reports; /* served since the poll began */
};

static void
on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct bus_producer *p = opaque; /* the client is its first member */
    struct err err;

    (void)rk;
    p->reports++;
    /* Only an offset proves that the message is in the log (see max.in.flight below). */
    bool confirmed = !m->err && m->offset >= 0;
    if (m->err)
        bus_err(&err, m->err, "delivery");
    else if (!confirmed)
        err_set(&err, ERR_UNAVAILABLE, "delivery: the broker named no offset");
    p->delivered(p->arg, m->_private, confirmed ? NULL : &err);
}

enum err_code
bus_producer_open(struct bus_producer **out, const struct bus_options *o, bus_delivered delivered,
                  void *arg, struct err *err)
{
    CLEANUP(bus_producer_free) struct bus_producer *p = mem_zalloc(sizeof(*p));
    rd_kafka_conf_t *conf;
    char linger[32];

    p->client.role = "producer";
    p->delivered = delivered;
    p->arg = arg;
    conf = bus_conf(&p->client, o);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    bus_conf_set(conf, "enable.idempotence", "true");
    bus_conf_set(conf, "acks", "all");
    /* One request at a time. With more, librdkafka takes the success of a later request for the
     * success of an earlier one; but a broker that knows no sequence of this producer yet refuses
     * the first (NOT_LEADER, just after the topic's creation) and takes the second: lost. */
    bus_conf_set(conf, "max.in.flight.requests.per.connection", "1");
    /* What follows a message that the broker refused does not overtake it: the producer ends there. */
    bus_conf_set(conf, "enable.gapless.guarantee", "true");
    bus_conf_set(conf, "partitioner", "murmur2_random");
    bus_conf_set(conf, "compression.codec", "none");
    /* No expiry: one message given up in a long outage would leave its key's order to chance. */
    bus_conf_set(conf, "message.timeout.ms", "0");
    /* The broker's limit decides; ours only has to let BUS_MESSAGE_MAX and its headers through. */
    bus_conf_set_int(conf, "message.max.bytes", 2 * (int64_t)BUS_MESSAGE_MAX);
    bus_conf_set(conf, "queue.buffering.max.kbytes", "65536");
    snprintf(linger, sizeof(linger), "%lld.%03lld", (long long)(o->linger_us / 1000),
             (long long)(o->linger_us % 1000));
    bus_conf_set(conf, "linger.ms", linger);
    if (bus_client_start(&p->client, RD_KAFKA_PRODUCER, conf, o, err))
        return err->code;
    *out = TAKE_PTR(p);
    return ERR_OK;
}

static rd_kafka_headers_t *
copy_headers(const struct bus_message *m)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(m->header_count);

    for (size_t i = 0; i < m->header_count; i++)
        rd_kafka_header_add(headers, m->headers[i].name, -1, m->headers[i].value,
                            (ssize_t)m->headers[i].len);
    return headers;
}

enum err_code
bus_produce(struct bus_producer *p, const struct bus_message *m, void *opaque, struct err *err)
{
    rd_kafka_headers_t *headers;
    rd_kafka_resp_err_t code;

    if (m->value_len > BUS_MESSAGE_MAX)
        return err_set(err, ERR_TOO_LARGE, "message of %zu bytes: at most %u", m->value_len,
                       BUS_MESSAGE_MAX);
    if (m->header_count > BUS_HEADERS_MAX)
        return err_set(err, ERR_TOO_LARGE, "message with %zu headers: at most %d", m->header_count,
                       BUS_HEADERS_MAX);
    headers = copy_headers(m);
    code = rd_kafka_producev(
        p->client.rk, RD_KAFKA_V_TOPIC(m->topic), RD_KAFKA_V_PARTITION(m->partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY((void *)(uintptr_t)m->key, m->key_len),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)m->value, m->value_len), RD_KAFKA_V_HEADERS(headers),
        RD_KAFKA_V_TIMESTAMP(m->timestamp_ms), RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
    if (code) {
        rd_kafka_headers_destroy(headers); /* taken on success only */
        return bus_err(err, code, "produce");
    }
    return ERR_OK;
}

int
bus_producer_poll(struct bus_producer *p, int timeout_ms)
{
    p->reports = 0;
    rd_kafka_poll(p->client.rk, timeout_ms);
    return p->reports;
}

bool
bus_producer_fatal(struct bus_producer *p)
{
    char text[8];

    return rd_kafka_fatal_error(p->client.rk, text, sizeof(text)) != RD_KAFKA_RESP_ERR_NO_ERROR;
}

bool
bus_producer_flush(struct bus_producer *p, int64_t timeout_ms)
{
    return rd_kafka_flush(p->client.rk, (int)timeout_ms) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

void
bus_producer_free(struct bus_producer *p)
{
    if (!p)
        return;
    if (p->client.rk) {
        rd_kafka_purge(p->client.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        while (rd_kafka_flush(p->client.rk, 1000) == RD_KAFKA_RESP_ERR__TIMED_OUT)
            ;
    }
    bus_client_done(&p->client);
    free(p);
}

enum err_code
bus_producer_cluster(struct bus_producer *p, int timeout_ms, char *id, size_t size, struct err *err)
{
    return bus_client_cluster(&p->client, timeout_ms, id, size, err);
}
