/* SPDX-License-Identifier: Apache-2.0 */
/* streams_cursor.c - what a listener may hear, and where it stands, as text. */
#include "streams.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whose scope a topic needs. What is not here is not for people to follow: mass data, desired states. */
static const struct {
    const char *topic, *scope;
} scopes[] = {
    {"experiment", "experiment:read"}, {"registry", "registry:read"},
    {"deployment", "deployment:read"}, {"serving", "deployment:read"},
    {"monitoring", "monitoring:read"}, {"governance", "governance:read"},
    {"pipeline", "pipeline:read"},     {"alert", "alert:read"},
};

static const char *
scope_of(const char *topic)
{
    for (size_t i = 0; i < ARRAY_LEN(scopes); i++)
        if (strcmp(scopes[i].topic, topic) == 0)
            return scopes[i].scope;
    return NULL;
}

static void
add_topic(struct hearing *h, const struct event_topic *topic)
{
    for (size_t i = 0; i < h->topic_count; i++)
        if (h->topics[i] == topic)
            return;
    if (h->topic_count < STREAMS_TOPICS_MAX)
        h->topics[h->topic_count++] = topic;
}

static const struct event_topic *
topic_named(const char *suffix)
{
    const struct event_topic *topic = event_topics;

    while (topic->suffix && strcmp(topic->suffix, suffix) != 0)
        topic++;
    return topic->suffix ? topic : NULL;
}

static MUST_CHECK enum err_code
add_type(struct hearing *h, const struct auth_caller *caller, const char *name, struct err *err)
{
    const struct event_type *type = event_type_named(name);
    const char *scope = type ? scope_of(type->topic) : NULL;

    if (!type)
        return err_set(err, ERR_INVALID, "type '%.80s': there is no such event; see docs/events.md",
                       name);
    if (!scope)
        return err_set(err, ERR_INVALID, "type '%.80s': events of its topic are not streamed",
                       name);
    if (auth_require(caller, scope, err))
        return err->code;
    if (h->type_count == STREAMS_TYPES_MAX)
        return err_set(err, ERR_INVALID, "type: at most %d events", STREAMS_TYPES_MAX);
    h->types[h->type_count++] = type;
    add_topic(h, topic_named(type->topic));
    return ERR_OK;
}

enum err_code
hearing_choose(struct hearing *h, const struct auth_caller *caller, const char *types,
               struct err *err)
{
    memset(h, 0, sizeof(*h));
    for (const char *p = types; p && *p; p += *p == ',') {
        char name[256];
        size_t len = strcspn(p, ",");
        snprintf(name, sizeof(name), "%.*s", (int)(len < 255 ? len : 255), p);
        p += len;
        if (add_type(h, caller, name, err))
            return err->code;
    }
    if (h->type_count)
        return ERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(scopes); i++)
        if (auth_allows(caller, scopes[i].scope))
            add_topic(h, topic_named(scopes[i].topic));
    return ERR_OK;
}

/* "cluster;registry=12.0.3.7;alert=1.0.0.0" */
void
cursor_write(const struct cursor *c, char text[CURSOR_TEXT_MAX])
{
    size_t at = (size_t)snprintf(text, CURSOR_TEXT_MAX, "%s", c->cluster);

    for (size_t i = 0; i < c->topic_count; i++) {
        at += (size_t)snprintf(text + at, CURSOR_TEXT_MAX - at, ";%s", c->topics[i].topic);
        for (size_t p = 0; p < c->topics[i].partitions && at < CURSOR_TEXT_MAX - 32; p++)
            at += (size_t)snprintf(text + at, CURSOR_TEXT_MAX - at, "%c%" PRId64, p ? '.' : '=',
                                   c->topics[i].next[p]);
    }
}

static bool
read_offsets(const char **p, int64_t *next, size_t *count)
{
    do {
        char *end;
        (*p)++; /* '=' or '.' */
        if (**p < '0' || **p > '9' || *count == CURSOR_PARTITIONS_MAX)
            return false;
        long long n = strtoll(*p, &end, 10);
        if (n < 0 || end - *p > 18)
            return false;
        next[(*count)++] = n;
        *p = end;
    } while (**p == '.');
    return **p == ';' || **p == '\0';
}

enum err_code
cursor_read(struct cursor *c, const char *text, struct err *err)
{
    const char *p = text + strspn(text, "0123456789abcdef");
    bool good = p - text == 16 && strlen(text) < CURSOR_TEXT_MAX;

    memset(c, 0, sizeof(*c));
    memcpy(c->cluster, text, good ? 16 : 0);
    while (good && *p == ';' && c->topic_count < STREAMS_TOPICS_MAX) {
        size_t len = strcspn(++p, "=;.");
        good = len > 0 && len < sizeof(c->topics[0].topic) && p[len] == '=';
        if (!good)
            break;
        memcpy(c->topics[c->topic_count].topic, p, len);
        p += len;
        good =
            read_offsets(&p, c->topics[c->topic_count].next, &c->topics[c->topic_count].partitions);
        c->topic_count++;
    }
    if (!good || *p)
        return err_set(err, ERR_INVALID, "Last-Event-ID: not an id of this stream");
    return ERR_OK;
}
