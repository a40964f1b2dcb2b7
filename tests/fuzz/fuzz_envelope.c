/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_envelope.c - a message of the bus into an event, and the event into a message again.
 *
 * The input reads like an HTTP message: the topic, a line "name: value" a header, an empty line,
 * the value. Without the empty line there is no value (a tombstone).
 */
#include "envelope.h"

#include "pbjson/pbjson.h"

#include <stdlib.h>
#include <string.h>

#define TIME_MAX 253402300799999 /* the year 9999 */

static struct bus_header headers[BUS_HEADERS_MAX];

static void
check(bool good)
{
    if (!good)
        abort();
}

/* text is changed: lines become strings; a value keeps its length, NULs included. */
static void
parse(char *text, size_t size, struct bus_message *m)
{
    char *end = text + size;
    char *line = text;

    *m = (struct bus_message){.topic = "", .headers = headers, .timestamp_ms = 1};
    for (bool first = true; line < end; first = false) {
        char *next = memchr(line, '\n', (size_t)(end - line));
        if (!next)
            return;
        *next++ = '\0';
        if (next - line == 1) {
            m->value = next;
            m->value_len = (size_t)(end - next);
            return;
        }
        char *colon = strstr(line, ": ");
        if (first) {
            m->topic = line;
        } else if (colon && m->header_count < BUS_HEADERS_MAX) {
            *colon = '\0';
            headers[m->header_count++] = (struct bus_header){
                .name = line, .value = colon + 2, .len = (size_t)(next - 1 - (colon + 2))};
        }
        line = next;
    }
}

/* What was decoded and is sent again arrives as it was. */
static void
round_trip(const struct event_envelope *envelope, const struct event_type *type,
           const ProtobufCMessage *event, struct arena *arena)
{
    struct event_envelope first = *envelope, second;
    const struct event_type *again;
    struct bus_message message;
    ProtobufCMessage *copy;
    struct err err;

    if (first.time_ms <= 0 || first.time_ms > TIME_MAX)
        first.time_ms = 1;
    enum err_code code = event_encode("p", &first, event, arena, &message, &err);
    if (!*event_key(type, event)) {
        check(code == ERR_INVALID);
        return;
    }
    check(code == ERR_OK);
    check(event_decode("p", &message, arena, &second, &again, &copy, &err) == ERR_OK);
    check(again == type);
    check(strcmp(first.id, second.id) == 0 && strcmp(first.source, second.source) == 0 &&
          strcmp(first.type, second.type) == 0 && strcmp(first.subject, second.subject) == 0 &&
          strcmp(first.workspace, second.workspace) == 0 && first.time_ms == second.time_ms &&
          strcmp(first.traceparent, second.traceparent) == 0);
    size_t n = protobuf_c_message_get_packed_size(event);
    check(n == protobuf_c_message_get_packed_size(copy));
    uint8_t *bytes = arena_alloc(arena, n);
    protobuf_c_message_pack(copy, bytes);
    check(n == message.value_len && memcmp(bytes, message.value, n) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 1 << 20);
    CLEANUP(arena_free) struct arena *unbounded = arena_new(0, 0);
    CLEANUP(buf_done) struct buf json = {0};
    char *text = mem_alloc(size); /* exact: reads past the end show */
    struct event_envelope envelope;
    const struct event_type *type;
    struct bus_message message;
    ProtobufCMessage *event;
    struct err err = {0};

    memcpy(text, data, size);
    parse(text, size, &message);
    if (event_decode("p", &message, arena, &envelope, &type, &event, &err)) {
        check(err.code == ERR_INVALID && err.message[0] != '\0');
    } else if (event) {
        pbjson_write(event, PBJSON_DEFAULTS, &json);
        round_trip(&envelope, type, event, unbounded);
    }
    free(text);
    return 0;
}
