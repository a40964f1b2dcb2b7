/* SPDX-License-Identifier: Apache-2.0 */
/* streams.c - a thread for each listener, from the bus to its connection. */
#include "streams.h"

#include "buf/buf.h"
#include "crypto/crypto.h"
#include "envelope.h"
#include "life/life.h"
#include "log/log.h"
#include "metrics/metrics.h"
#include "pbjson/pbjson.h"
#include "sync/sync.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define ASK_MS 5000
#define POLL_MS 200
#define ARENA_LIMIT (64u << 20)
#define FULL_CHECK_NS 50000000

struct streams {
    struct bus_options bus;
    const char *prefix;
    char *client_id;
    int64_t most;
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    int64_t count; /* under mutex */
    atomic_bool stopping;
    struct metric *listeners, *sent, *dropped;
};

struct listener {
    struct streams *streams;
    struct http_stream *out;
    struct bus_reader *reader;
    struct auth_caller caller;
    struct hearing hearing;
    char *key; /* NULL: of any aggregate */
    bool resume;
    struct cursor cursor;
    struct arena *arena;
    int64_t written_ms;
};

struct streams *
streams_new(const struct bus_options *bus, const char *prefix, int64_t most)
{
    struct streams *s = mem_zalloc(sizeof(*s));

    s->bus = *bus;
    s->client_id = mem_printf("%s-stream", bus->client_id ? bus->client_id : "gateway");
    s->bus.client_id = s->client_id;
    s->prefix = prefix;
    s->most = most;
    pthread_mutex_init(&s->mutex, NULL);
    sync_cond_init(&s->ended);
    s->listeners = metrics_gauge("modelbus_gateway_event_listeners", "Open event streams.", NULL);
    s->sent = metrics_counter("modelbus_gateway_events_streamed_total",
                              "Events written to event streams.", NULL);
    s->dropped =
        metrics_counter("modelbus_gateway_event_listeners_dropped_total",
                        "Event streams that were ended because nobody took their events.", NULL);
    return s;
}

static void
leave(struct streams *s)
{
    pthread_mutex_lock(&s->mutex);
    s->count--;
    metric_set(s->listeners, (double)s->count);
    pthread_cond_broadcast(&s->ended);
    pthread_mutex_unlock(&s->mutex);
}

void
streams_free(struct streams *s)
{
    if (!s)
        return;
    atomic_store(&s->stopping, true);
    pthread_mutex_lock(&s->mutex);
    while (s->count > 0)
        pthread_cond_wait(&s->ended, &s->mutex);
    pthread_mutex_unlock(&s->mutex);
    pthread_cond_destroy(&s->ended);
    pthread_mutex_destroy(&s->mutex);
    free(s->client_id);
    free(s);
}

/* ---- writing ---- */

/* False: the listener is gone, or has been dropped, or we stop. */
static bool
write_out(struct listener *l, const struct buf *text)
{
    static const char notice[] =
        "event: dropped\ndata: {\"detail\":\"events wait and nobody takes them; come back with "
        "Last-Event-ID\"}\n\n";
    int64_t until_ms = life_monotonic_ms() + STREAMS_SLOW_MS;

    while (!atomic_load(&l->streams->stopping)) {
        switch (http_stream_write(l->out, text->data, text->len)) {
        case HTTP_STREAM_GOOD:
            l->written_ms = life_monotonic_ms();
            return true;
        case HTTP_STREAM_GONE:
            return false;
        case HTTP_STREAM_FULL:
            break;
        }
        if (life_monotonic_ms() >= until_ms) {
            metric_add(l->streams->dropped, 1);
            http_stream_close(TAKE_PTR(l->out), notice, sizeof(notice) - 1);
            return false;
        }
        nanosleep(&(struct timespec){.tv_nsec = FULL_CHECK_NS}, NULL);
    }
    return false;
}

static void
write_text(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, ",\"%s\":", name);
    buf_json_str(out, value, strlen(value));
}

static bool
write_event(struct listener *l, const struct event_envelope *e, const struct event_type *type,
            const ProtobufCMessage *event)
{
    CLEANUP(buf_done) struct buf out = {0};
    char cursor[CURSOR_TEXT_MAX];

    cursor_write(&l->cursor, cursor);
    buf_printf(&out, "id: %s\nevent: %s\ndata: {\"type\":\"%s\"", cursor,
               type->descriptor->short_name, type->descriptor->name);
    write_text(&out, "id", e->id);
    write_text(&out, "source", e->source);
    write_text(&out, "subject", e->subject);
    write_text(&out, "workspace", e->workspace);
    buf_str(&out, ",\"time_ms\":");
    buf_int(&out, e->time_ms);
    if (*e->traceparent)
        write_text(&out, "traceparent", e->traceparent);
    if (*e->cause)
        write_text(&out, "cause", e->cause);
    buf_str(&out, ",\"data\":");
    pbjson_write(event, 0, &out);
    buf_str(&out, "}\n\n");
    metric_add(l->streams->sent, 1);
    return write_out(l, &out);
}

static bool
write_comment(struct listener *l, const char *comment)
{
    CLEANUP(buf_done) struct buf out = {0};

    buf_printf(&out, ": %s\n\n", comment);
    return write_out(l, &out);
}

/* ---- the bus ---- */

static int64_t
start_of(const struct cursor *before, const char *topic, size_t partition, int64_t fallback)
{
    for (size_t i = 0; before && i < before->topic_count; i++)
        if (strcmp(before->topics[i].topic, topic) == 0 && partition < before->topics[i].partitions)
            return before->topics[i].next[partition];
    return fallback;
}

/* Where everything is to be read from: where the client stood, else from now on, else, in a cluster
 * that it has not seen, from the beginning. */
static MUST_CHECK enum err_code
assign(struct listener *l, struct err *err)
{
    CLEANUP(mem_free)
    struct bus_position *positions =
        mem_calloc(STREAMS_TOPICS_MAX * CURSOR_PARTITIONS_MAX, sizeof(*positions));
    CLEANUP(mem_free) struct cursor *fresh = mem_zalloc(sizeof(*fresh));
    char cluster[128], digits[SHA256_HEX + 1], name[256];
    size_t count = 0;

    if (bus_reader_cluster(l->reader, ASK_MS, cluster, sizeof(cluster), err))
        return err->code;
    crypto_sha256_hex(cluster, strlen(cluster), digits);
    memcpy(fresh->cluster, digits, 16);
    bool same = l->resume && strcmp(l->cursor.cluster, fresh->cluster) == 0;
    const struct cursor *before = same ? &l->cursor : NULL;
    bool from_start = l->resume && !same;
    for (size_t i = 0; i < l->hearing.topic_count; i++) {
        const char *suffix = l->hearing.topics[i]->suffix;
        int32_t partitions;
        event_topic_name(l->streams->prefix, suffix, name);
        if (bus_reader_partitions(l->reader, name, ASK_MS, &partitions, err)) {
            if (err->code == ERR_NOT_FOUND)
                continue;
            return err->code;
        }
        size_t t = fresh->topic_count++;
        strncpy(fresh->topics[t].topic, suffix, sizeof(fresh->topics[t].topic) - 1);
        for (int32_t p = 0; p < partitions && p < CURSOR_PARTITIONS_MAX; p++) {
            int64_t low, high;
            if (bus_reader_bounds(l->reader, name, p, ASK_MS, &low, &high, err))
                return err->code;
            int64_t next = start_of(before, suffix, (size_t)p, from_start ? low : high);
            next = next < low ? low : next > high ? high : next;
            fresh->topics[t].next[fresh->topics[t].partitions++] = next;
            positions[count] = (struct bus_position){.partition = p, .offset = next};
            memcpy(positions[count++].topic, name, sizeof(name));
        }
    }
    l->cursor = *fresh;
    l->resume = true;
    return bus_reader_assign(l->reader, positions, count, err);
}

static void
advance(struct listener *l, const struct bus_message *m)
{
    const char *suffix = m->topic + strlen(l->streams->prefix) + 1;

    for (size_t i = 0; i < l->cursor.topic_count; i++)
        if (strcmp(l->cursor.topics[i].topic, suffix) == 0 &&
            (size_t)m->partition < l->cursor.topics[i].partitions)
            l->cursor.topics[i].next[m->partition] = m->offset + 1;
}

static bool
wanted(const struct listener *l, const struct event_envelope *e, const struct event_type *type)
{
    bool heard = l->hearing.type_count == 0;

    for (size_t i = 0; i < l->hearing.type_count; i++)
        heard |= l->hearing.types[i] == type;
    return heard && strcmp(e->workspace, l->caller.workspace) == 0 &&
           (!l->key || strcmp(e->subject, l->key) == 0);
}

/* A bad message is the dead letters' matter, not the listener's. */
static bool
hand_on(struct listener *l, const struct bus_message *m)
{
    CLEANUP(mem_free) struct event_envelope *e = mem_zalloc(sizeof(*e));
    const struct event_type *type = NULL;
    ProtobufCMessage *event = NULL;
    struct err err;

    advance(l, m);
    arena_reset(l->arena);
    if (event_decode(l->streams->prefix, m, l->arena, e, &type, &event, &err) || !type || !event)
        return true;
    if (!*e->subject) /* plain producers may leave it out */
        strncpy(e->subject, event_key(type, event), sizeof(e->subject) - 1);
    if (!wanted(l, e, type))
        return true;
    return write_event(l, e, type, event);
}

static MUST_CHECK enum err_code
follow(struct listener *l, struct err *err)
{
    if (assign(l, err))
        return err->code;
    if (!write_comment(l, "hears"))
        return ERR_OK;
    while (!atomic_load(&l->streams->stopping)) {
        struct bus_message m;
        void *handle;
        bool goes_on = true;
        switch (bus_reader_poll(l->reader, POLL_MS, &m, &handle, err)) {
        case BUS_MESSAGE:
            goes_on = hand_on(l, &m);
            bus_message_done(handle);
            break;
        case BUS_CLUSTER_CHANGED:
        case BUS_OFFSET_LOST: /* assign() goes on with what is still there */
            if (assign(l, err))
                return err->code;
            break;
        case BUS_ERROR: /* it goes on by itself */
        case BUS_NOTHING:
            break;
        }
        if (goes_on && http_stream_gone(l->out))
            return ERR_OK;
        if (goes_on && life_monotonic_ms() - l->written_ms >= STREAMS_QUIET_MS)
            goes_on = write_comment(l, "quiet");
        if (!goes_on)
            return ERR_OK;
    }
    return ERR_OK;
}

static void *
listen_on(void *arg)
{
    struct listener *l = arg;
    struct streams *streams = l->streams;
    CLEANUP(buf_done) struct buf last = {0};
    struct err err;

    l->written_ms = life_monotonic_ms();
    if (bus_reader_open(&l->reader, &l->streams->bus, NULL, &err) || follow(l, &err)) {
        buf_printf(&last, "event: error\ndata: {\"code\":\"%s\",\"detail\":", err_name(err.code));
        buf_json_str(&last, err.message, strlen(err.message));
        buf_str(&last, "}\n\n");
        log_warn("an event stream ends", LOG_ERR(&err));
    }
    http_stream_close(l->out, last.data, last.len);
    bus_reader_free(l->reader);
    arena_free(l->arena);
    free(l->key);
    free(l);
    /* The last: who stops us waits for it. */
    leave(streams);
    return NULL;
}

static MUST_CHECK enum err_code
enter(struct streams *s, struct err *err)
{
    enum err_code code = ERR_OK;

    pthread_mutex_lock(&s->mutex);
    if (s->count >= s->most)
        code = err_set(err, ERR_RATE_LIMITED,
                       "%lld event streams are open, which is the most that this gateway keeps "
                       "(GATEWAY_EVENT_STREAMS)",
                       (long long)s->count);
    else
        s->count++;
    metric_set(s->listeners, (double)s->count);
    pthread_mutex_unlock(&s->mutex);
    return code;
}

enum err_code
streams_listen(struct streams *s, struct http_request *r, const struct auth_caller *caller,
               struct err *err)
{
    const char *last = http_header(r, "Last-Event-ID"), *key = http_query(r, "key");
    struct listener *l = mem_zalloc(sizeof(*l));
    pthread_t thread;

    l->streams = s;
    l->caller = *caller;
    if (!last)
        last = http_query(r, "last_event_id");
    if (hearing_choose(&l->hearing, caller, http_query(r, "type"), err) ||
        (last && *last && cursor_read(&l->cursor, last, err)) || enter(s, err)) {
        free(l);
        return err->code;
    }
    l->resume = last && *last;
    l->key = key && *key ? mem_strdup(key) : NULL;
    l->arena = arena_new(0, ARENA_LIMIT);
    http_reply_header(r, "Cache-Control", "no-store");
    http_reply_header(r, "X-Accel-Buffering", "no");
    l->out = http_reply_stream(r, 200, "text/event-stream", STREAMS_ROOM);
    if (pthread_create(&thread, NULL, listen_on, l))
        abort(); /* out of threads */
    pthread_detach(thread);
    return ERR_OK;
}
