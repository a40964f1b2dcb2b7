/* SPDX-License-Identifier: Apache-2.0 */
/* envelope.c - CloudEvents headers out and in. */
#include "envelope.h"

#include "origin.h"

#include "auth/auth.h"
#include "buf/text.h"
#include "crypto/crypto.h"
#include "life/life.h"
#include "pbjson/pbjson.h"
#include "trace/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define CONTENT_TYPE "application/protobuf"
#define DEFAULT_WORKSPACE "default"
#define HEADERS 11 /* that event_encode() writes */

static char *
format_time(struct arena *arena, int64_t ms)
{
    int millis = (int)(ms % 1000);
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;

    if (millis < 0) { /* before 1970 */
        millis += 1000;
        seconds--;
    }
    gmtime_r(&seconds, &utc);
    return arena_printf(arena, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900,
                        utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, millis);
}

/* A number of so many digits, not over max, and one of the characters after it ("": any). */
static bool
take_number(const char **text, int digits, int max, const char *after, int *value)
{
    *value = 0;
    for (; digits; digits--, ++*text) {
        if (**text < '0' || **text > '9')
            return false;
        *value = 10 * *value + (**text - '0');
    }
    if (*value > max)
        return false;
    return !*after || (**text && strchr(after, *(*text)++));
}

/* RFC 3339, with a leap second. False when it is none. */
static bool
parse_time(const char *text, int64_t *ms)
{
    struct tm utc = {0};
    int millis = 0;
    int hours = 0;
    int minutes = 0;

    if (!take_number(&text, 4, 9999, "-", &utc.tm_year) ||
        !take_number(&text, 2, 12, "-", &utc.tm_mon) ||
        !take_number(&text, 2, 31, "Tt", &utc.tm_mday) ||
        !take_number(&text, 2, 23, ":", &utc.tm_hour) ||
        !take_number(&text, 2, 59, ":", &utc.tm_min) ||
        !take_number(&text, 2, 60, "", &utc.tm_sec) || !utc.tm_mon || !utc.tm_mday)
        return false;
    if (*text == '.') {
        if (text[1] < '0' || text[1] > '9')
            return false;
        int scale = 100;
        for (text++; *text >= '0' && *text <= '9'; text++, scale /= 10)
            millis += (*text - '0') * scale;
    }
    int sign = *text == '+' ? 1 : -1;
    if (*text == '+' || *text == '-') {
        text++;
        if (!take_number(&text, 2, 23, ":", &hours) || !take_number(&text, 2, 59, "", &minutes))
            return false;
    } else if (*text == 'Z' || *text == 'z') {
        text++;
    } else {
        return false;
    }
    utc.tm_year -= 1900;
    utc.tm_mon -= 1;
    *ms = ((int64_t)timegm(&utc) - sign * (hours * 60 + minutes) * 60) * 1000 + millis;
    return !*text;
}

struct header_list {
    struct bus_header *rows;
    size_t count;
};

static void
add_header(struct header_list *list, const char *name, const char *value)
{
    list->rows[list->count++] =
        (struct bus_header){.name = name, .value = value, .len = strlen(value)};
}

static const char *
traceparent(struct event_envelope *envelope)
{
    const struct trace *current = trace_current();
    struct trace span;

    if (envelope->traceparent[0] || !current)
        return envelope->traceparent;
    trace_child(current, &span);
    trace_format(&span, envelope->traceparent);
    return envelope->traceparent;
}

enum err_code
event_encode(const char *prefix, struct event_envelope *envelope, const ProtobufCMessage *event,
             struct arena *arena, struct bus_message *message, struct err *err)
{
    const struct event_type *type = event_type_of(event->descriptor);
    struct header_list headers = {.rows = arena_alloc(arena, HEADERS * sizeof(struct bus_header))};
    size_t size = protobuf_c_message_get_packed_size(event);
    char topic[256];

    if (!type)
        return err_set(err, ERR_INVALID, "'%s' is not an event", event->descriptor->name);
    if (size > BUS_MESSAGE_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s of %zu bytes: at most %u",
                       event->descriptor->short_name, size, BUS_MESSAGE_MAX);
    const char *key = event_key(type, event);
    if (!*key)
        return err_set(err, ERR_INVALID, "%s without %s, its key", event->descriptor->short_name,
                       type->key_field);
    if (!envelope->workspace[0])
        snprintf(envelope->workspace, sizeof(envelope->workspace), DEFAULT_WORKSPACE);
    if (!envelope->id[0])
        crypto_uuid7(envelope->id);
    if (!envelope->time_ms)
        envelope->time_ms = life_now_ms();
    snprintf(envelope->type, sizeof(envelope->type), "%s", event->descriptor->name);
    /* A key may be longer than a subject; only the key has to be whole. */
    size_t cut = strnlen(key, sizeof(envelope->subject) - 1);
    while (cut && !text_utf8_valid(key, cut))
        cut--;
    snprintf(envelope->subject, sizeof(envelope->subject), "%.*s", (int)cut, key);

    add_header(&headers, "ce_specversion", "1.0");
    add_header(&headers, "ce_id", arena_strdup(arena, envelope->id));
    add_header(&headers, "ce_source", arena_strdup(arena, envelope->source));
    add_header(&headers, "ce_type", event->descriptor->name);
    add_header(&headers, "ce_time", format_time(arena, envelope->time_ms));
    add_header(&headers, "ce_subject", arena_strdup(arena, envelope->subject));
    add_header(&headers, "ce_dataschema", arena_printf(arena, "urn:%s", event->descriptor->name));
    add_header(&headers, "ce_workspace", arena_strdup(arena, envelope->workspace));
    add_header(&headers, "content-type", CONTENT_TYPE);
    if (!envelope->cause[0])
        snprintf(envelope->cause, sizeof(envelope->cause), "%s", event_origin_cause());
    if (*envelope->cause)
        add_header(&headers, "ce_causationid", arena_strdup(arena, envelope->cause));
    if (*traceparent(envelope))
        add_header(&headers, "traceparent", arena_strdup(arena, envelope->traceparent));

    uint8_t *value = arena_alloc(arena, size);
    protobuf_c_message_pack(event, value);
    event_topic_name(prefix, type->topic, topic);
    bool plain = strcmp(envelope->workspace, DEFAULT_WORKSPACE) == 0;
    key = plain ? arena_strdup(arena, key) : arena_printf(arena, "%s/%s", envelope->workspace, key);
    *message = (struct bus_message){
        .topic = arena_strdup(arena, topic),
        .partition = -1,
        .timestamp_ms = envelope->time_ms,
        .key = key,
        .key_len = strlen(key),
        .value = value,
        .value_len = size,
        .headers = headers.rows,
        .header_count = headers.count,
    };
    return ERR_OK;
}

/* Copy an attribute; absent leaves out empty. */
static enum err_code
attribute(const struct bus_message *m, const char *name, bool required, char *out, size_t size,
          struct err *err)
{
    size_t len = 0;
    const char *value = bus_header(m, name, &len);

    out[0] = '\0';
    if (!value || len == 0)
        return required ? err_set(err, ERR_INVALID, "header %s is missing", name) : ERR_OK;
    if (len >= size)
        return err_set(err, ERR_INVALID, "header %s has %zu bytes: at most %zu", name, len,
                       size - 1);
    if (memchr(value, '\0', len) || !text_utf8_valid(value, len))
        return err_set(err, ERR_INVALID, "header %s is not UTF-8 text", name);
    memcpy(out, value, len);
    out[len] = '\0';
    return ERR_OK;
}

static enum err_code
check_format(const struct bus_message *m, struct err *err)
{
    char version[16];
    char content[128];

    if (attribute(m, "ce_specversion", false, version, sizeof(version), err) ||
        attribute(m, "content-type", false, content, sizeof(content), err))
        return err->code;
    if (version[0] && strncmp(version, "1.", 2) != 0)
        return err_set(err, ERR_INVALID, "ce_specversion '%s': expected 1.x", version);
    size_t bare = strcspn(content, "; ");
    if (content[0] &&
        (bare != strlen(CONTENT_TYPE) || strncasecmp(content, CONTENT_TYPE, bare) != 0))
        return err_set(err, ERR_INVALID, "content-type '%s': expected " CONTENT_TYPE, content);
    return ERR_OK;
}

static enum err_code
read_envelope(const struct bus_message *m, struct event_envelope *e, struct err *err)
{
    char time[64];
    char parent[sizeof(e->traceparent)];
    struct err ignored;
    struct trace trace;

    memset(e, 0, sizeof(*e));
    if (attribute(m, "ce_type", true, e->type, sizeof(e->type), err) ||
        attribute(m, "ce_id", true, e->id, sizeof(e->id), err) ||
        attribute(m, "ce_source", true, e->source, sizeof(e->source), err) ||
        attribute(m, "ce_subject", false, e->subject, sizeof(e->subject), err) ||
        attribute(m, "ce_workspace", false, e->workspace, sizeof(e->workspace), err) ||
        attribute(m, "ce_time", false, time, sizeof(time), err) || check_format(m, err))
        return err->code;
    if (!e->workspace[0])
        snprintf(e->workspace, sizeof(e->workspace), DEFAULT_WORKSPACE);
    if (auth_workspace_check(e->workspace, err))
        return err_wrap(err, "header ce_workspace");
    e->time_ms = m->timestamp_ms;
    if (time[0] && !parse_time(time, &e->time_ms))
        return err_set(err, ERR_INVALID, "ce_time '%s': expected RFC 3339", time);
    /* A broken trace context starts a new trace (W3C, 3.2); it never costs the event. */
    if (!attribute(m, "traceparent", false, parent, sizeof(parent), &ignored) &&
        trace_parse(parent, &trace))
        memcpy(e->traceparent, parent, sizeof(parent));
    /* Nor does a broken cause. */
    if (attribute(m, "ce_causationid", false, e->cause, sizeof(e->cause), &ignored))
        e->cause[0] = '\0';
    return ERR_OK;
}

enum err_code
event_decode(const char *prefix, const struct bus_message *m, struct arena *arena,
             struct event_envelope *envelope, const struct event_type **type,
             ProtobufCMessage **event, struct err *err)
{
    char topic[256];

    if (read_envelope(m, envelope, err))
        return err->code;
    const struct event_type *known = event_type_named(envelope->type);
    /* Short names are for people; on the wire the type is whole. */
    if (known && strcmp(known->descriptor->name, envelope->type) != 0)
        known = NULL;
    if (!known || !m->value) {
        *type = known;
        *event = NULL;
        return ERR_OK;
    }
    event_topic_name(prefix, known->topic, topic);
    if (strcmp(topic, m->topic) != 0)
        return err_set(err, ERR_INVALID, "%s on topic '%s': belongs to '%s'", envelope->type,
                       m->topic, topic);
    if (m->value_len > BUS_MESSAGE_MAX)
        return err_set(err, ERR_INVALID, "value of %zu bytes: at most %u", m->value_len,
                       BUS_MESSAGE_MAX);
    ProtobufCMessage *message = ARENA_UNPACK(arena, known->descriptor, m->value_len, m->value);
    if (!message)
        return err_set(err, ERR_INVALID, "value is not a %s, or unpacks to too much",
                       envelope->type);
    if (pbjson_check(message, err)) {
        err_wrap(err, "%s", envelope->type);
        return err->code = ERR_INVALID;
    }
    *type = known;
    *event = message;
    return ERR_OK;
}
