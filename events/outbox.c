/* SPDX-License-Identifier: Apache-2.0 */
/* outbox.c - events into the table, within the caller's transaction. */
#include "outbox.h"

#include "auth/auth.h"
#include "headers.h"
#include "life/life.h"
#include "relay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENCODE_BLOCK 4096 /* most events fit one block */

struct outbox {
    struct outbox_options options;
    char source[EVENT_SOURCE_MAX + 1];
    struct relay *relay; /* NULL until started; publishing works without */
};

static const struct db_stmt insert_row = {
    "INSERT INTO outbox (topic, key, value, headers) VALUES ($1, $2, $3, $4)"};
static const struct db_stmt count_pending = {
    "SELECT count(*) FROM outbox WHERE published_at IS NULL"};

enum err_code
outbox_open(struct outbox **outbox, const struct outbox_options *options, struct err *err)
{
    if (options->retention_ms >= INBOX_RETENTION_S * 1000LL)
        return err_set(err, ERR_INVALID, "outbox retention must be below the inbox's %d s",
                       INBOX_RETENTION_S);
    struct outbox *o = mem_zalloc(sizeof(*o));
    o->options = *options;
    snprintf(o->source, sizeof(o->source), "/modelbus/%s", options->service);
    *outbox = o;
    return ERR_OK;
}

enum err_code
outbox_start(struct outbox *o, struct err *err)
{
    return relay_start(&o->relay, o, &o->options, err);
}

bool
outbox_stop(struct outbox *o, int64_t deadline_ms)
{
    return !o->relay || relay_stop(TAKE_PTR(o->relay), deadline_ms);
}

void
outbox_free(struct outbox *o)
{
    if (!o)
        return;
    outbox_stop(o, 0);
    free(o);
}

static void
wake(void *arg)
{
    struct outbox *o = arg;

    if (o->relay)
        relay_wake(o->relay);
}

enum err_code
outbox_publish_raw(struct outbox *o, struct db_conn *conn, const struct bus_message *m,
                   struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(ENCODE_BLOCK, 0);
    const uint8_t *headers;
    size_t headers_len;

    headers_pack(m->headers, m->header_count, arena, &headers, &headers_len);
    if (m->key_len + m->value_len + headers_len > OUTBOX_MESSAGE_MAX)
        return err_set(err, ERR_TOO_LARGE, "event of %zu bytes, at most %u",
                       m->key_len + m->value_len + headers_len, OUTBOX_MESSAGE_MAX);
    if (db_queue(conn, &insert_row,
                 DB_PARAMS(db_text(m->topic), m->key ? db_bytes(m->key, m->key_len) : db_null(),
                           m->value ? db_bytes(m->value, m->value_len) : db_null(),
                           db_bytes(headers, headers_len)),
                 err))
        return err_wrap(err, "outbox");
    db_after_commit(conn, wake, o);
    return ERR_OK;
}

enum err_code
outbox_publish_as(struct outbox *o, struct db_conn *conn, struct event_envelope *envelope,
                  const ProtobufCMessage *event, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(ENCODE_BLOCK, 0);
    struct bus_message message;

    memcpy(envelope->source, o->source, sizeof(envelope->source));
    if (envelope->time_ms == 0)
        envelope->time_ms = life_now_ms();
    if (event_encode(o->options.prefix, envelope, event, arena, &message, err))
        return err->code;
    return outbox_publish_raw(o, conn, &message, err);
}

enum err_code
outbox_publish(struct outbox *o, struct db_conn *conn, const char *workspace,
               const ProtobufCMessage *event, struct err *err)
{
    struct event_envelope envelope = {0};

    if (auth_workspace_check(workspace, err))
        return err->code;
    snprintf(envelope.workspace, sizeof(envelope.workspace), "%s", workspace);
    return outbox_publish_as(o, conn, &envelope, event, err);
}

int64_t
outbox_beat_ms(const struct outbox *o)
{
    return o->relay ? relay_beat_ms(o->relay) : life_monotonic_ms();
}

enum err_code
outbox_status(struct outbox *o, struct db_conn *conn, struct outbox_status *status, struct err *err)
{
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(conn, &count_pending, DB_NO_PARAMS, &result, err))
        return err_wrap(err, "outbox");
    *status = (struct outbox_status){.pending = db_i64(result, 0, 0)};
    if (o->relay) {
        status->relay = relay_holds(o->relay);
        relay_cluster(o->relay, status->cluster);
    }
    return ERR_OK;
}
