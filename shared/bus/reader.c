/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.c - explicit assignments, one message at a time, and the watch over the cluster's id.
 *
 * A message is handed out only when no connection is newer than the last look at the cluster
 * id: a message of another cluster can arrive over a newer connection only, so it is never taken
 * for one at the old positions.
 */
#include "bus/internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Shortest time that a look at the cluster id gets, whatever the poll's timeout. */
#define VERIFY_MIN_MS 100
#define VERIFY_MAX_MS 1000
/* A report may be on its way for so long. */
#define REPORT_MS 2000

struct bus_reader {
    struct bus_client *client;
    pthread_mutex_t lock; /* of queue: a wake comes from any thread */
    rd_kafka_queue_t *queue;
    rd_kafka_queue_t *reports;  /* answers to reports */
    enum bus_reported reported; /* NONE, PENDING, or LOST with its client */
    size_t coordinator;         /* the broker to be told, counted round the client's */
    struct bus_options options; /* strings are ours, and so is the group's name */
    char *group;                /* NULL: nothing is reported */
    rd_kafka_message_t *held;   /* taken from the queue, not handed out: the cluster is in doubt */
    char assigned[BUS_CLUSTER_ID_MAX]; /* cluster that the positions belong to; empty: not known */
    char lost_topic[256];              /* names BUS_OFFSET_LOST's partition */
    atomic_bool woken;
};

/* A message in the caller's hand. */
struct handle {
    rd_kafka_message_t *message;
    struct bus_header headers[];
};

static void
client_close(struct bus_client *c)
{
    if (!c)
        return;
    if (c->rk)
        rd_kafka_consumer_close(c->rk);
    bus_client_done(c);
    free(c);
}
CLEANUP_DEFINE(struct bus_client, client_close)

static enum err_code
client_open(struct bus_client **out, const struct bus_reader *r, struct err *err)
{
    const struct bus_options *o = &r->options;
    CLEANUP(client_close) struct bus_client *c = mem_zalloc(sizeof(*c));
    rd_kafka_conf_t *conf;
    char text[256];

    c->role = "reader";
    conf = bus_conf(c, o);
    /* Explicit assignment needs a group's name too; nothing joins it. */
    bus_conf_set(conf, "group.id", r->group ? r->group : "modelbus-reader");
    bus_conf_set(conf, "enable.auto.commit", "false");
    bus_conf_set(conf, "enable.auto.offset.store", "false");
    bus_conf_set(conf, "auto.offset.reset", "error");
    bus_conf_set(conf, "allow.auto.create.topics", "true");
    /* A full queue stops fetching for a second, however soon it is empty again (until librdkafka 2.3;
     * later ones can be told), so this is what can be read in a second. */
    bus_conf_set(conf, "queued.max.messages.kbytes", "65536");
    (void)rd_kafka_conf_set(conf, "fetch.queue.backoff.ms", "10", text, sizeof(text));
    bus_conf_set(conf, "fetch.error.backoff.ms", "50");
    /* How soon new partitions are known. */
    bus_conf_set(conf, "topic.metadata.refresh.interval.ms", "30000");
    bus_conf_set_int(conf, "fetch.wait.max.ms", o->fetch_wait_ms);
    if (bus_client_start(c, RD_KAFKA_CONSUMER, conf, o, err))
        return err->code;
    rd_kafka_poll_set_consumer(c->rk);
    *out = TAKE_PTR(c);
    return ERR_OK;
}

static struct bus_known_topic *
find_topic(const struct bus_client *c, const char *topic)
{
    for (size_t i = 0; i < c->topic_count; i++)
        if (strcmp(rd_kafka_topic_name(c->topics[i].handle), topic) == 0)
            return &c->topics[i];
    return NULL;
}

/* NULL: librdkafka refuses the name. Valid until the next one is added. */
static struct bus_known_topic *
know_topic(struct bus_client *c, const char *topic)
{
    struct bus_known_topic *known = find_topic(c, topic);

    if (known)
        return known;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(c->rk, topic, NULL);
    if (!handle)
        return NULL;
    c->topics = mem_realloc(c->topics, (c->topic_count + 1) * sizeof(*c->topics));
    known = &c->topics[c->topic_count++];
    *known = (struct bus_known_topic){.handle = handle};
    return known;
}

/* Go on with this client; the old one, NULL at first, is closed. */
static void
use_client(struct bus_reader *r, struct bus_client *fresh)
{
    struct bus_client *old = r->client;
    rd_kafka_queue_t *old_queue, *old_reports = r->reports;

    r->reports = fresh ? rd_kafka_queue_new(fresh->rk) : NULL;
    pthread_mutex_lock(&r->lock);
    old_queue = r->queue;
    r->client = fresh;
    r->queue = fresh ? rd_kafka_queue_get_consumer(fresh->rk) : NULL;
    pthread_mutex_unlock(&r->lock);
    for (size_t i = 0; fresh && old && i < old->topic_count; i++)
        know_topic(fresh, rd_kafka_topic_name(old->topics[i].handle));
    if (r->reported == BUS_REPORT_PENDING)
        r->reported = BUS_REPORT_LOST;
    if (old) {
        rd_kafka_queue_destroy(old_reports);
        rd_kafka_queue_destroy(old_queue);
    }
    client_close(old);
}

enum err_code
bus_reader_open(struct bus_reader **out, const struct bus_options *o, const char *group,
                struct err *err)
{
    CLEANUP(bus_reader_free) struct bus_reader *r = mem_zalloc(sizeof(*r));
    struct bus_client *client;

    pthread_mutex_init(&r->lock, NULL);
    r->options = *o;
    r->options.brokers = mem_strdup(o->brokers);
    r->options.client_id = mem_strdup(o->client_id);
    r->options.properties = mem_strdup(o->properties);
    r->group = mem_strdup(group);
    if (client_open(&client, r, err))
        return err->code;
    use_client(r, client);
    *out = TAKE_PTR(r);
    return ERR_OK;
}

static void
drop_held(struct bus_reader *r)
{
    if (r->held)
        rd_kafka_message_destroy(r->held);
    r->held = NULL;
}

void
bus_reader_free(struct bus_reader *r)
{
    if (!r)
        return;
    drop_held(r);
    use_client(r, NULL);
    pthread_mutex_destroy(&r->lock);
    free((char *)(uintptr_t)r->options.brokers);
    free((char *)(uintptr_t)r->options.client_id);
    free((char *)(uintptr_t)r->options.properties);
    free(r->group);
    free(r);
}

enum err_code
bus_reader_partitions(struct bus_reader *r, const char *topic, int timeout_ms, int32_t *count,
                      struct err *err)
{
    int64_t deadline = bus_now_ms() + timeout_ms;
    struct bus_known_topic *known = know_topic(r->client, topic);
    const struct rd_kafka_metadata *metadata;
    rd_kafka_resp_err_t code;
    int32_t found = 0;

    if (!known)
        return bus_err(err, rd_kafka_last_error(), topic);
    for (;;) {
        int64_t left = deadline - bus_now_ms();

        code =
            rd_kafka_metadata(r->client->rk, 0, known->handle, &metadata, left > 1 ? (int)left : 1);
        if (!code) {
            code = metadata->topic_cnt == 1 ? metadata->topics[0].err
                                            : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
            found = code ? 0 : metadata->topics[0].partition_cnt;
            rd_kafka_metadata_destroy(metadata);
        }
        /* A topic that is being created is unknown or without a leader for a moment. */
        if ((code != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART &&
             code != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) ||
            deadline - bus_now_ms() < 50)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    if (code)
        return bus_err(err, code, topic);
    *count = known->partitions = found;
    return ERR_OK;
}

int32_t
bus_reader_known_partitions(const struct bus_reader *r, const char *topic)
{
    const struct bus_known_topic *known = find_topic(r->client, topic);

    return known ? known->partitions : 0;
}

enum err_code
bus_reader_cluster(struct bus_reader *r, int timeout_ms, char *id, size_t size, struct err *err)
{
    return bus_client_cluster(r->client, timeout_ms, id, size, err);
}

/* which: one of the "times" of ListOffsets, BUS_OFFSET_BEGINNING or BUS_OFFSET_END. Not
 * rd_kafka_query_watermark_offsets(): while the broker is away that waits up to a minute whatever
 * its timeout. */
static enum err_code
ask_offset(struct bus_reader *r, const char *topic, int32_t partition, int64_t which,
           int timeout_ms, int64_t *offset, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = which;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(r->client->rk, list, timeout_ms);
    if (!code)
        code = list->elems[0].err;
    if (!code)
        *offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return code ? bus_err(err, code, topic) : ERR_OK;
}

static enum err_code
ask_bounds(struct bus_reader *r, const char *topic, int32_t partition, int timeout_ms, int64_t *low,
           int64_t *high, struct err *err)
{
    int64_t deadline = bus_now_ms() + timeout_ms;
    int64_t first = 0;

    if (ask_offset(r, topic, partition, BUS_OFFSET_BEGINNING, timeout_ms, &first, err))
        return err->code;
    int64_t left = deadline - bus_now_ms();
    if (ask_offset(r, topic, partition, BUS_OFFSET_END, left > 1 ? (int)left : 1, high, err))
        return err->code;
    *low = first;
    return ERR_OK;
}

/*
 * A client that saw a topic's id change (another cluster, a topic made anew) may never learn the
 * topic's leader again: librdkafka 2.4 to 2.8 loses the entry of its metadata cache. Brokers that
 * answer while offsets cannot be asked for are the sign; only a fresh client helps.
 */
static void
renew_if_lost(struct bus_reader *r, int timeout_ms)
{
    struct bus_client *fresh;
    struct err err;

    if (bus_client_verify(r->client, timeout_ms, &err) || client_open(&fresh, r, &err))
        return;
    drop_held(r);
    use_client(r, fresh);
}

enum err_code
bus_reader_bounds(struct bus_reader *r, const char *topic, int32_t partition, int timeout_ms,
                  int64_t *low, int64_t *high, struct err *err)
{
    if (ask_bounds(r, topic, partition, timeout_ms, low, high, err) == ERR_OK)
        return ERR_OK;
    if (err->code == ERR_UNAVAILABLE)
        renew_if_lost(r, timeout_ms < VERIFY_MAX_MS ? timeout_ms : VERIFY_MAX_MS);
    return err->code;
}

int64_t
bus_reader_end(struct bus_reader *r, const char *topic, int32_t partition)
{
    int64_t low = -1, high = -1;

    if (rd_kafka_get_watermark_offsets(r->client->rk, topic, partition, &low, &high))
        return -1;
    return high >= 0 ? high : -1;
}

static rd_kafka_topic_partition_list_t *
position_list(const struct bus_position *p, size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);

    for (size_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, p[i].topic, p[i].partition)->offset = p[i].offset;
    return list;
}

/*
 * Let go of all partitions and of what is queued of them. librdkafka drops old messages by itself,
 * but not an old "offset out of range": that would pass for one of the next assignment.
 */
static void
unassign(struct bus_reader *r)
{
    rd_kafka_topic_partition_list_t *list;

    drop_held(r);
    rd_kafka_assign(r->client->rk, NULL);
    /* Answered by the thread that stops the fetchers, after it has. */
    if (!rd_kafka_assignment(r->client->rk, &list))
        rd_kafka_topic_partition_list_destroy(list);
    /* A wake makes one poll come back empty before the queue is. */
    for (int empty = 0; empty < 2;) {
        rd_kafka_message_t *km = rd_kafka_consumer_poll(r->client->rk, 0);

        if (km)
            rd_kafka_message_destroy(km);
        else
            empty++;
    }
}

enum err_code
bus_reader_assign(struct bus_reader *r, const struct bus_position *p, size_t count, struct err *err)
{
    unassign(r);
    rd_kafka_topic_partition_list_t *list = position_list(p, count);
    rd_kafka_resp_err_t code = count ? rd_kafka_assign(r->client->rk, list) : 0;

    rd_kafka_topic_partition_list_destroy(list);
    if (code)
        return bus_err(err, code, "assign");
    snprintf(r->assigned, sizeof(r->assigned), "%s", r->client->cluster);
    return ERR_OK;
}

/* Look at the cluster id when it is in doubt. BUS_MESSAGE: it is as it was, go on. */
static enum bus_event
check_cluster(struct bus_reader *r, int timeout_ms, bool force)
{
    struct err away;

    if (!force && !bus_client_suspect(r->client) && strcmp(r->assigned, r->client->cluster) == 0)
        return BUS_MESSAGE;
    if ((force || bus_client_suspect(r->client)) &&
        bus_client_verify(r->client,
                          timeout_ms < VERIFY_MIN_MS   ? VERIFY_MIN_MS
                          : timeout_ms > VERIFY_MAX_MS ? VERIFY_MAX_MS
                                                       : timeout_ms,
                          &away))
        return BUS_NOTHING; /* away; BUS_ERROR says so once */
    bool changed = r->assigned[0] && strcmp(r->assigned, r->client->cluster) != 0;
    snprintf(r->assigned, sizeof(r->assigned), "%s", r->client->cluster);
    if (!changed)
        return BUS_MESSAGE;
    unassign(r); /* nothing more at the old positions */
    return BUS_CLUSTER_CHANGED;
}

static struct handle *
fill(rd_kafka_message_t *km, struct bus_message *m)
{
    rd_kafka_headers_t *headers = NULL;
    size_t count = 0;

    if (!rd_kafka_message_headers(km, &headers))
        count = rd_kafka_header_cnt(headers);
    if (count > BUS_HEADERS_MAX)
        count = BUS_HEADERS_MAX;
    struct handle *h = mem_alloc(sizeof(*h) + count * sizeof(h->headers[0]));
    h->message = km;
    for (size_t i = 0; i < count; i++)
        rd_kafka_header_get_all(headers, i, &h->headers[i].name, &h->headers[i].value,
                                &h->headers[i].len);
    *m = (struct bus_message){
        .topic = rd_kafka_topic_name(km->rkt),
        .partition = km->partition,
        .offset = km->offset,
        .timestamp_ms = rd_kafka_message_timestamp(km, NULL),
        .key = km->key,
        .key_len = km->key_len,
        .value = km->payload,
        .value_len = km->len,
        .headers = h->headers,
        .header_count = count,
    };
    return h;
}

/* km carries an error instead of a message; taken. */
static enum bus_event
take_error(struct bus_reader *r, rd_kafka_message_t *km, int timeout_ms, struct bus_message *m,
           struct err *err)
{
    enum bus_event event = BUS_ERROR;
    bool lost = km->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
                km->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;

    /* An offset past the end is most often the same name on another cluster. */
    enum bus_event checked = lost ? check_cluster(r, timeout_ms, true) : BUS_MESSAGE;
    if (checked == BUS_NOTHING) { /* nobody to ask: the next poll takes it up again */
        r->held = km;
        return BUS_NOTHING;
    }
    if (checked == BUS_CLUSTER_CHANGED) {
        event = BUS_CLUSTER_CHANGED;
    } else if (lost && km->rkt) {
        snprintf(r->lost_topic, sizeof(r->lost_topic), "%s", rd_kafka_topic_name(km->rkt));
        *m = (struct bus_message){
            .topic = r->lost_topic, .partition = km->partition, .offset = km->offset};
        event = BUS_OFFSET_LOST;
    } else {
        bus_err(err, km->err, km->rkt ? rd_kafka_topic_name(km->rkt) : "read");
    }
    rd_kafka_message_destroy(km);
    return event;
}

enum bus_event
bus_reader_poll(struct bus_reader *r, int timeout_ms, struct bus_message *m, void **handle,
                struct err *err)
{
    if (atomic_exchange(&r->woken, false))
        timeout_ms = 0;
    if (atomic_exchange(&r->client->down, false)) {
        err_set(err, ERR_UNAVAILABLE, "all brokers are away");
        return BUS_ERROR;
    }
    /* In doubt: look first; the wait for the answer is the wait of this poll. */
    bool doubt = bus_client_suspect(r->client);
    enum bus_event checked = check_cluster(r, timeout_ms, false);
    if (checked == BUS_CLUSTER_CHANGED)
        return checked;
    rd_kafka_message_t *km = TAKE_PTR(r->held);
    if (!km)
        km = rd_kafka_consumer_poll(r->client->rk, doubt ? 0 : timeout_ms);
    if (!km)
        return BUS_NOTHING;
    if (km->err)
        return take_error(r, km, timeout_ms, m, err);
    /* A connection may have been made while we waited in the poll. */
    r->held = km;
    checked = check_cluster(r, timeout_ms, false);
    if (checked != BUS_MESSAGE)
        return checked;
    r->held = NULL;
    *handle = fill(km, m);
    return BUS_MESSAGE;
}

void
bus_message_done(void *handle)
{
    struct handle *h = handle;

    if (!h)
        return;
    rd_kafka_message_destroy(h->message);
    free(h);
}

/*
 * An administrator's request, which has an end of its own: a consumer's commit that its coordinator
 * does not answer is tried for ever, and no close ends before it (librdkafka 2.0 to 2.8).
 *
 * It names its broker. Left to find the group's coordinator by itself, librdkafka (2.0 to 2.8) uses what it has
 * freed when the coordinator is found after the request's end, as when a broker comes back, and aborts. Whoever
 * is not the coordinator says so, and the next report goes to the next broker.
 */
void
bus_reader_report(struct bus_reader *r, const struct bus_position *p, size_t count)
{
    const struct bus_client *c = r->client;
    char text[128];

    if (!r->group || !count)
        return;
    if (!c->broker_count) {
        r->reported = BUS_REPORT_LOST;
        return;
    }
    rd_kafka_topic_partition_list_t *list = position_list(p, count);
    rd_kafka_AlterConsumerGroupOffsets_t *offsets =
        rd_kafka_AlterConsumerGroupOffsets_new(r->group, list);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(c->rk, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, REPORT_MS, text, sizeof(text));
    (void)rd_kafka_AdminOptions_set_broker(options, c->brokers[r->coordinator % c->broker_count],
                                           text, sizeof(text));
    rd_kafka_AlterConsumerGroupOffsets(c->rk, &offsets, 1, options, r->reports);
    r->reported = BUS_REPORT_PENDING;
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_AlterConsumerGroupOffsets_destroy(offsets);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Of the partitions' errors the first: what the group or the broker cannot do it can do for none. */
static rd_kafka_resp_err_t
report_error(rd_kafka_event_t *answer)
{
    const rd_kafka_topic_partition_list_t *list;
    const rd_kafka_group_result_t **groups;
    size_t count;

    if (rd_kafka_event_error(answer))
        return rd_kafka_event_error(answer);
    groups = rd_kafka_AlterConsumerGroupOffsets_result_groups(
        rd_kafka_event_AlterConsumerGroupOffsets_result(answer), &count);
    if (!count)
        return RD_KAFKA_RESP_ERR__BAD_MSG;
    if (rd_kafka_group_result_error(groups[0]))
        return rd_kafka_error_code(rd_kafka_group_result_error(groups[0]));
    list = rd_kafka_group_result_partitions(groups[0]);
    for (int i = 0; list && i < list->cnt; i++)
        if (list->elems[i].err)
            return list->elems[i].err;
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

enum bus_reported
bus_reader_reported(struct bus_reader *r, struct err *err)
{
    enum bus_reported how = r->reported;
    rd_kafka_event_t *answer;

    if (how == BUS_REPORT_PENDING) {
        answer = rd_kafka_queue_poll(r->reports, 0);
        if (!answer)
            return how;
        rd_kafka_resp_err_t code = report_error(answer);
        rd_kafka_event_destroy(answer);
        if (!code)
            how = BUS_REPORT_TAKEN;
        else
            how = bus_err(err, code, r->group) == ERR_UNAVAILABLE ? BUS_REPORT_LOST
                                                                  : BUS_REPORT_REFUSED;
    } else if (how == BUS_REPORT_LOST) {
        err_set(err, ERR_UNAVAILABLE, "%s: no broker is known yet", r->group);
    }
    if (how == BUS_REPORT_LOST)
        r->coordinator++;
    r->reported = BUS_REPORT_NONE;
    return how;
}

void
bus_reader_wake(struct bus_reader *r)
{
    atomic_store(&r->woken, true);
    pthread_mutex_lock(&r->lock);
    rd_kafka_queue_yield(r->queue);
    pthread_mutex_unlock(&r->lock);
}
