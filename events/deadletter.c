/* SPDX-License-Identifier: Apache-2.0 */
/* deadletter.c - the dead_letter table and its event. */
#include "deadletter.h"

#include "auth/auth.h"
#include "crypto/crypto.h"
#include "db/db_page.h"
#include "headers.h"
#include "life/life.h"

#include "modelbus/bus/v1/events.pb-c.h"

#include <stdio.h>
#include <string.h>

typedef Modelbus__Bus__V1__DeadLetter DeadLetter;
typedef Modelbus__Bus__V1__Header Header;

#define EVENT_ROOM 8192 /* of the event's message, for its other fields and its own headers */

#define COLUMNS                                                                                    \
    "id, topic, partition, \"offset\", event_type, error_code, error_message,"                     \
    " (extract(epoch FROM failed_at) * 1000)::bigint,"                                             \
    " (extract(epoch FROM replayed_at) * 1000)::bigint"

static const struct db_stmt insert_letter = {
    "INSERT INTO dead_letter (id, workspace, topic, partition, \"offset\", key, value, headers,"
    " event_type, error_code, error_message) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    " ON CONFLICT (id) DO NOTHING"};
static const struct db_stmt list_letters = {
    "SELECT " COLUMNS ", (extract(epoch FROM failed_at) * 1000000)::bigint FROM dead_letter"
    " WHERE workspace = $1 AND ($2 OR replayed_at IS NULL)"
    " AND ($3::bigint IS NULL OR (failed_at, id) <"
    " ('epoch'::timestamptz + $3::bigint * interval '1 microsecond', $4::text))"
    " ORDER BY failed_at DESC, id DESC LIMIT $5"};
static const struct db_stmt get_letter = {
    "SELECT " COLUMNS ", key, value, headers FROM dead_letter WHERE workspace = $1 AND id = $2"};
static const struct db_stmt lock_letter = {
    "SELECT " COLUMNS ", key, value, headers FROM dead_letter WHERE workspace = $1 AND id = $2"
    " FOR UPDATE"};
static const struct db_stmt mark_replayed = {
    "UPDATE dead_letter SET replayed_at = now() WHERE id = $1"
    " RETURNING (extract(epoch FROM replayed_at) * 1000)::bigint"};

static void
letter_id(const struct dead_letter *l, char id[EVENT_ID_MAX + 1])
{
    char text[600];
    const struct bus_message *m = l->message;

    int n = snprintf(text, sizeof(text), "%s/%s/%s/%d/%lld", l->service, l->cluster, m->topic,
                     (int)m->partition, (long long)m->offset);
    if (n <= EVENT_ID_MAX) {
        memcpy(id, text, (size_t)n + 1);
        return;
    }
    /* Only names near Kafka's limit of 249 characters come here. */
    char hex[SHA256_HEX + 1];
    crypto_sha256_hex(text, strlen(text), hex);
    snprintf(id, EVENT_ID_MAX + 1, "%.100s/%s", l->service, hex);
}

/* Text that came from a broken message, made safe for PostgreSQL and protobuf. */
static const char *
plain(struct arena *arena, const char *text)
{
    char *copy = arena_strdup(arena, text);

    for (char *p = copy; *p; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
            *p = '?';
    return copy;
}

static enum err_code
announce(struct db_conn *conn, struct outbox *outbox, const struct dead_letter *l, const char *id,
         const char *workspace, struct arena *arena, struct err *err)
{
    struct event_envelope envelope = {0};
    const struct bus_message *m = l->message;
    DeadLetter event = MODELBUS__BUS__V1__DEAD_LETTER__INIT;
    size_t bytes = m->key_len + m->value_len;

    event.id = (char *)id;
    event.consumer = (char *)l->service;
    event.topic = (char *)m->topic;
    event.partition = m->partition;
    event.offset = m->offset;
    event.error_code = (char *)err_name(l->why->code);
    event.error_message = (char *)plain(arena, l->why->message);
    event.event_type = (char *)plain(arena, l->envelope->type);
    event.failed_at_ms = life_now_ms();
    for (size_t i = 0; i < m->header_count; i++)
        bytes += strlen(m->headers[i].name) + m->headers[i].len + 16;
    if (bytes + EVENT_ROOM <= OUTBOX_MESSAGE_MAX) {
        event.key = (ProtobufCBinaryData){m->key_len, (uint8_t *)m->key};
        event.value = (ProtobufCBinaryData){m->value_len, (uint8_t *)m->value};
        event.headers = arena_alloc(arena, m->header_count * sizeof(*event.headers));
        for (size_t i = 0; i < m->header_count; i++) {
            Header *h = arena_alloc(arena, sizeof(*h));
            modelbus__bus__v1__header__init(h);
            h->name = (char *)plain(arena, m->headers[i].name);
            h->value = (ProtobufCBinaryData){m->headers[i].value ? m->headers[i].len : 0,
                                             (uint8_t *)m->headers[i].value};
            event.headers[event.n_headers++] = h;
        }
    }
    snprintf(envelope.id, sizeof(envelope.id), "%s", id);
    snprintf(envelope.workspace, sizeof(envelope.workspace), "%s", workspace);
    return outbox_publish_as(outbox, conn, &envelope, &event.base, err);
}

enum err_code
dead_letter_write(struct db_conn *conn, struct outbox *outbox, const struct dead_letter *l,
                  struct arena *arena, struct err *err)
{
    const struct bus_message *m = l->message;
    const char *workspace = l->envelope->workspace;
    char id[EVENT_ID_MAX + 1];
    const uint8_t *headers;
    size_t headers_len;
    struct err ignored;

    if (auth_workspace_check(workspace, &ignored))
        workspace = "default";
    letter_id(l, id);
    headers_pack(m->headers, m->header_count, arena, &headers, &headers_len);
    if (db_queue(conn, &insert_letter,
                 DB_PARAMS(db_text(id), db_text(workspace), db_text(m->topic), db_int(m->partition),
                           db_int(m->offset), m->key ? db_bytes(m->key, m->key_len) : db_null(),
                           m->value ? db_bytes(m->value, m->value_len) : db_null(),
                           db_bytes(headers, headers_len), db_text(plain(arena, l->envelope->type)),
                           db_text(err_name(l->why->code)), db_text(plain(arena, l->why->message))),
                 err))
        return err_wrap(err, "dead letter");
    return announce(conn, outbox, l, id, workspace, arena, err);
}

/* ---- queries ---- */

static void
read_row(const struct db_result *r, size_t i, struct arena *arena, struct dead_letter_row *row)
{
    *row = (struct dead_letter_row){
        .id = db_copy(r, i, 0, arena),
        .topic = db_copy(r, i, 1, arena),
        .partition = (int32_t)db_i64(r, i, 2),
        .offset = db_i64(r, i, 3),
        .event_type = db_copy(r, i, 4, arena),
        .error_code = db_copy(r, i, 5, arena),
        .error_message = db_copy(r, i, 6, arena),
        .failed_at_ms = db_i64(r, i, 7),
        .replayed_at_ms = db_i64(r, i, 8),
    };
}

enum err_code
dead_letter_list(struct db_conn *conn, const char *workspace, uint32_t page_size,
                 const char *page_token, bool include_replayed, struct arena *arena,
                 struct dead_letter_row **rows, size_t *count, const char **next_token,
                 struct err *err)
{
    CLEANUP(db_result_free) struct db_result *r = NULL;
    const char *list = include_replayed ? "ListDeadLetters/all" : "ListDeadLetters";
    const char *after[2] = {NULL, ""};
    int64_t limit, after_us = 0;
    bool more;

    if (db_page_limit(page_size, &limit, err) ||
        db_page_decode(arena, page_token, list, after, 2, &more, err) ||
        (more && db_page_int(after[0], &after_us, err)) ||
        db_exec(conn, &list_letters,
                DB_PARAMS(db_text(workspace), db_bool(include_replayed),
                          more ? db_int(after_us) : db_null(), db_text(more ? after[1] : ""),
                          db_int(limit + 1)),
                &r, err))
        return err_wrap(err, "dead letters");
    size_t n = db_rows(r) > (size_t)limit ? (size_t)limit : db_rows(r);
    *rows = arena_alloc(arena, n * sizeof(**rows));
    for (size_t i = 0; i < n; i++)
        read_row(r, i, arena, &(*rows)[i]);
    *count = n;
    *next_token = "";
    if (n < db_rows(r)) {
        const char *last[2] = {db_str(r, n - 1, 9), db_str(r, n - 1, 0)};
        *next_token = db_page_encode(arena, list, last, 2);
    }
    return ERR_OK;
}

enum err_code
dead_letter_get(struct db_conn *conn, const char *workspace, const char *id, bool lock,
                struct arena *arena, struct dead_letter_row *row, struct err *err)
{
    CLEANUP(db_result_free) struct db_result *r = NULL;
    const uint8_t *packed;
    size_t packed_len;

    if (db_exec(conn, lock ? &lock_letter : &get_letter, DB_PARAMS(db_text(workspace), db_text(id)),
                &r, err))
        return err_wrap(err, "dead letter '%.200s'", id);
    if (db_rows(r) == 0)
        return err_set(err, ERR_NOT_FOUND, "dead letter '%.200s'", id);
    read_row(r, 0, arena, row);
    struct bus_message *m = &row->message;
    *m = (struct bus_message){.topic = row->topic, .partition = -1};
    if (!db_is_null(r, 0, 9))
        db_bin(r, 0, 9, arena, (const uint8_t **)&m->key, &m->key_len);
    if (!db_is_null(r, 0, 10))
        db_bin(r, 0, 10, arena, (const uint8_t **)&m->value, &m->value_len);
    db_bin(r, 0, 11, arena, &packed, &packed_len);
    return headers_unpack(packed, packed_len, arena, &m->headers, &m->header_count, err);
}

enum err_code
dead_letter_mark_replayed(struct db_conn *conn, const char *id, int64_t *replayed_at_ms,
                          struct err *err)
{
    CLEANUP(db_result_free) struct db_result *r = NULL;

    if (db_exec(conn, &mark_replayed, DB_PARAMS(db_text(id)), &r, err))
        return err_wrap(err, "dead letter '%.200s'", id);
    *replayed_at_ms = db_rows(r) > 0 ? db_i64(r, 0, 0) : 0;
    return ERR_OK;
}
