/* SPDX-License-Identifier: Apache-2.0 */
/*
 * streams.h - live events for REST: GET /api/v1/events/stream as Server-Sent Events
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html).
 *
 * Each listener has a reader of the bus and a thread of its own, so a slow one holds up nobody. It
 * gets events of its caller's workspace, of topics whose service the caller may read, narrowed by
 * type and by aggregate (the event's key). An event's id says where every partition stands, so that a
 * client that comes back with Last-Event-ID misses nothing and gets nothing twice; when another
 * cluster answers (the embedded bus came back empty), it gets that one's from the beginning.
 *
 *     id: 5f3a...;registry=12.0.3.7
 *     event: AliasMoved
 *     data: {"type":"modelbus.registry.v1.AliasMoved","id":...,"subject":...,"time_ms":...,"data":{...}}
 *
 * A client that has not taken anything for STREAMS_SLOW_MS while STREAMS_ROOM bytes wait is told so
 * ("event: dropped") and dropped. Every STREAMS_QUIET_MS without an event a comment is sent.
 */
#pragma once

#include "catalog.h"
#include "http/http.h"

#include "auth/auth.h"

#define STREAMS_ROOM ((size_t)1 << 20)
#define STREAMS_SLOW_MS 10000
#define STREAMS_QUIET_MS 15000
#define STREAMS_TOPICS_MAX 16
#define STREAMS_TYPES_MAX 32

/* Where a listener stands: of each topic that it hears the next offset of each partition. */
#define CURSOR_PARTITIONS_MAX 64
#define CURSOR_TEXT_MAX 4096
struct cursor {
    char cluster[17]; /* 16 digits that tell clusters apart; "": none */
    size_t topic_count;
    struct {
        char topic[64]; /* suffix */
        size_t partitions;
        int64_t next[CURSOR_PARTITIONS_MAX];
    } topics[STREAMS_TOPICS_MAX];
};
void cursor_write(const struct cursor *cursor, char text[CURSOR_TEXT_MAX]);
/* ERR_INVALID: not a text of cursor_write(). */
MUST_CHECK enum err_code cursor_read(struct cursor *cursor, const char *text, struct err *err);

/* The topics that a caller hears, of the types asked for (comma-separated names, NULL or empty: all). */
struct hearing {
    const struct event_topic *topics[STREAMS_TOPICS_MAX];
    size_t topic_count;
    const struct event_type *types[STREAMS_TYPES_MAX];
    size_t type_count; /* 0: all of the topics */
};
/* ERR_INVALID: no such event; ERR_FORBIDDEN: not for this caller. */
MUST_CHECK enum err_code hearing_choose(struct hearing *hearing, const struct auth_caller *caller,
                                        const char *types, struct err *err);

struct streams;
/* bus and prefix are borrowed. */
struct streams *streams_new(const struct bus_options *bus, const char *prefix, int64_t most);
/* The route's handler answers with this. ERR_RATE_LIMITED: there are `most` listeners already. Takes the
 * request only when it succeeds. */
MUST_CHECK enum err_code streams_listen(struct streams *streams, struct http_request *request,
                                        const struct auth_caller *caller, struct err *err);
/* Ends all listeners; before the HTTP server stops. */
void streams_free(struct streams *streams);
