/* SPDX-License-Identifier: Apache-2.0 */
/* test_envelope.c - events out and in, and what becomes of a message that is no good event. */
#include "origin.h"

#include "modelbus/registry/v1/events.pb-c.h"
#include "trace/trace.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "test"

typedef Modelbus__Registry__V1__AliasMoved AliasMoved;

static struct arena *arena;
static struct err err;
static struct event_envelope sent, got;
static const struct event_type *type;
static ProtobufCMessage *event;
static struct bus_message message;
static struct bus_header headers[BUS_HEADERS_MAX];

/* message: a good AliasMoved with headers that a test may change. */
static void
setup(void)
{
    AliasMoved moved = MODELBUS__REGISTRY__V1__ALIAS_MOVED__INIT;

    arena = arena_new(0, 1 << 20);
    moved.model_name = (char[]){"fraud"};
    moved.alias = (char[]){"champion"};
    moved.version = 7;
    snprintf(sent.source, sizeof(sent.source), "/modelbus/registry");
    cr_assert_eq(event_encode(PREFIX, &sent, &moved.base, arena, &message, &err), ERR_OK, "%s",
                 err.message);
    memcpy(headers, message.headers, message.header_count * sizeof(headers[0]));
    message.headers = headers;
}

static void
teardown(void)
{
    arena_free(arena);
}

TestSuite(envelope, .init = setup, .fini = teardown);

static enum err_code
decode(void)
{
    return event_decode(PREFIX, &message, arena, &got, &type, &event, &err);
}

static struct bus_header *
find(const char *name)
{
    for (size_t i = 0; i < message.header_count; i++)
        if (strcmp(headers[i].name, name) == 0)
            return &headers[i];
    return NULL;
}

static void
set(const char *name, const char *value)
{
    struct bus_header *h = find(name);

    if (!h)
        h = &headers[message.header_count++];
    *h = (struct bus_header){name, value, strlen(value)};
}

static void
drop(const char *name)
{
    struct bus_header *h = find(name);

    cr_assert_not_null(h, "%s", name);
    *h = headers[--message.header_count];
}

static void
expect_good(void)
{
    cr_assert_eq(decode(), ERR_OK, "%s", err.message);
    cr_assert_eq(type, event_type_named("AliasMoved"));
    cr_assert_not_null(event);
    cr_assert_str_eq(((AliasMoved *)event)->model_name, "fraud");
}

/* A dead letter whose reason names what was wrong. */
static void
expect_bad(const char *reason)
{
    err.message[0] = '\0';
    cr_assert_eq(decode(), ERR_INVALID, "expected a refusal about %s", reason);
    cr_assert_not_null(strstr(err.message, reason), "'%s' does not name %s", err.message, reason);
}

static void
expect_header(const char *name, const char *value)
{
    const struct bus_header *h = find(name);

    cr_assert_not_null(h, "%s", name);
    cr_assert_eq(h->len, strlen(value), "%s", name);
    cr_assert_arr_eq(h->value, value, h->len, "%s", name);
}

Test(envelope, comes_back_as_it_was)
{
    expect_good();
    cr_assert_str_eq(got.id, sent.id);
    cr_assert_eq(strlen(got.id), 36);
    cr_assert_str_eq(got.source, "/modelbus/registry");
    cr_assert_str_eq(got.type, "modelbus.registry.v1.AliasMoved");
    cr_assert_str_eq(got.subject, "fraud");
    cr_assert_str_eq(got.workspace, "default");
    cr_assert_eq(got.time_ms, sent.time_ms);
    cr_assert_eq(((AliasMoved *)event)->version, 7);
}

Test(envelope, is_cloudevents_in_binary_mode)
{
    cr_assert_str_eq(message.topic, "test.registry");
    cr_assert_eq(message.partition, -1);
    cr_assert_eq(message.key_len, 5);
    cr_assert_arr_eq(message.key, "fraud", 5);
    expect_header("ce_specversion", "1.0");
    expect_header("ce_id", sent.id);
    expect_header("ce_source", "/modelbus/registry");
    expect_header("ce_type", "modelbus.registry.v1.AliasMoved");
    expect_header("ce_subject", "fraud");
    expect_header("ce_dataschema", "urn:modelbus.registry.v1.AliasMoved");
    expect_header("ce_workspace", "default");
    expect_header("content-type", "application/protobuf");
    cr_assert_null(find("traceparent"));
}

Test(envelope, key_of_another_workspace_says_which)
{
    AliasMoved moved = MODELBUS__REGISTRY__V1__ALIAS_MOVED__INIT;
    struct event_envelope other = {.source = "/t", .workspace = "team-a"};

    moved.model_name = (char[]){"fraud"};
    cr_assert_eq(event_encode(PREFIX, &other, &moved.base, arena, &message, &err), ERR_OK);
    cr_assert_eq(message.key_len, strlen("team-a/fraud"));
    cr_assert_arr_eq(message.key, "team-a/fraud", message.key_len);
    cr_assert_str_eq(other.subject, "fraud");
    cr_assert_eq(decode(), ERR_OK, "%s", err.message);
    cr_assert_str_eq(got.workspace, "team-a");
}

Test(envelope, given_id_and_time_are_kept)
{
    AliasMoved moved = MODELBUS__REGISTRY__V1__ALIAS_MOVED__INIT;
    struct event_envelope other = {.source = "/t", .id = "mine", .time_ms = 1700000000123};

    moved.model_name = (char[]){"fraud"};
    cr_assert_eq(event_encode(PREFIX, &other, &moved.base, arena, &message, &err), ERR_OK);
    memcpy(headers, message.headers, message.header_count * sizeof(headers[0]));
    expect_header("ce_time", "2023-11-14T22:13:20.123Z");
    cr_assert_eq(decode(), ERR_OK, "%s", err.message);
    cr_assert_str_eq(got.id, "mine");
    cr_assert_eq(got.time_ms, 1700000000123);
}

Test(envelope, time_before_1970_comes_back)
{
    AliasMoved moved = MODELBUS__REGISTRY__V1__ALIAS_MOVED__INIT;
    struct event_envelope other = {.source = "/t", .time_ms = -1};

    moved.model_name = (char[]){"fraud"};
    cr_assert_eq(event_encode(PREFIX, &other, &moved.base, arena, &message, &err), ERR_OK);
    memcpy(headers, message.headers, message.header_count * sizeof(headers[0]));
    expect_header("ce_time", "1969-12-31T23:59:59.999Z");
    cr_assert_eq(decode(), ERR_OK, "%s", err.message);
    cr_assert_eq(got.time_ms, -1);
}

Test(envelope, carries_the_threads_trace_in_a_new_span)
{
    AliasMoved moved = MODELBUS__REGISTRY__V1__ALIAS_MOVED__INIT;
    struct event_envelope other = {.source = "/t"};
    struct trace here, there;

    trace_start(&here);
    trace_set_current(&here);
    moved.model_name = (char[]){"fraud"};
    cr_assert_eq(event_encode(PREFIX, &other, &moved.base, arena, &message, &err), ERR_OK);
    trace_set_current(NULL);
    cr_assert_eq(decode(), ERR_OK, "%s", err.message);
    cr_assert(trace_parse(got.traceparent, &there));
    cr_assert_str_eq(there.trace_id, here.trace_id);
    cr_assert_str_neq(there.span_id, here.span_id);
}

static void
encode_moved(struct event_envelope *envelope)
{
    AliasMoved moved = MODELBUS__REGISTRY__V1__ALIAS_MOVED__INIT;

    moved.model_name = (char[]){"fraud"};
    cr_assert_eq(event_encode(PREFIX, envelope, &moved.base, arena, &message, &err), ERR_OK);
    cr_assert_eq(decode(), ERR_OK, "%s", err.message);
}

Test(envelope, what_is_said_while_an_event_is_handled_names_it_as_its_cause)
{
    struct event_envelope heard = {.id = "the-cause",
                                   .traceparent =
                                       "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"};

    cr_assert_null(find("ce_causationid"), "nothing was handled");
    event_origin_enter(&heard);
    encode_moved(&(struct event_envelope){.source = "/t"});
    cr_expect_str_eq(got.cause, "the-cause");
    cr_expect_eq(strncmp(got.traceparent, heard.traceparent, 36), 0, "the trace goes on");
    cr_expect_str_neq(got.traceparent, heard.traceparent);
    encode_moved(&(struct event_envelope){.source = "/t", .cause = "another"});
    cr_expect_str_eq(got.cause, "another", "the producer knows better");

    struct event_origin taken = event_origin();
    event_origin_set(NULL);
    encode_moved(&(struct event_envelope){.source = "/t"});
    cr_expect_str_empty(got.cause);
    cr_expect_str_empty(got.traceparent);
    event_origin_set(&taken);
    encode_moved(&(struct event_envelope){.source = "/t"});
    cr_expect_str_eq(got.cause, "the-cause");
    cr_expect_eq(strncmp(got.traceparent, heard.traceparent, 36), 0);
    event_origin_set(NULL);
}

Test(envelope, an_event_without_trace_begins_one)
{
    struct event_envelope heard = {.id = "the-cause"};

    event_origin_enter(&heard);
    encode_moved(&(struct event_envelope){.source = "/t"});
    event_origin_set(NULL);
    cr_expect_str_eq(got.cause, "the-cause");
    cr_expect(*got.traceparent);
}

Test(envelope, a_broken_cause_never_costs_the_event)
{
    char longest[EVENT_ID_MAX + 2];

    memset(longest, 'x', sizeof(longest));
    longest[EVENT_ID_MAX] = '\0';
    set("ce_causationid", longest);
    expect_good();
    cr_assert_str_eq(got.cause, longest);
    longest[EVENT_ID_MAX] = 'x';
    longest[EVENT_ID_MAX + 1] = '\0';
    set("ce_causationid", longest);
    expect_good();
    cr_assert_str_eq(got.cause, "");
    set("ce_causationid", "\xff");
    expect_good();
    cr_assert_str_eq(got.cause, "");
}

Test(envelope, an_event_without_its_key_is_not_sent)
{
    AliasMoved moved = MODELBUS__REGISTRY__V1__ALIAS_MOVED__INIT;
    struct event_envelope other = {.source = "/t"};

    cr_assert_eq(event_encode(PREFIX, &other, &moved.base, arena, &message, &err), ERR_INVALID);
    cr_assert_not_null(strstr(err.message, "model_name"));
}

Test(envelope, a_message_that_is_no_event_is_not_sent)
{
    Modelbus__Common__V1__Tag tag = MODELBUS__COMMON__V1__TAG__INIT;
    struct event_envelope other = {.source = "/t"};

    cr_assert_eq(event_encode(PREFIX, &other, &tag.base, arena, &message, &err), ERR_INVALID);
}

Test(envelope, an_event_over_the_limit_is_not_sent)
{
    AliasMoved moved = MODELBUS__REGISTRY__V1__ALIAS_MOVED__INIT;
    struct event_envelope other = {.source = "/t"};
    CLEANUP(mem_free) char *reason = mem_zalloc(BUS_MESSAGE_MAX + 1);

    memset(reason, 'x', BUS_MESSAGE_MAX);
    moved.model_name = (char[]){"fraud"};
    moved.reason = reason;
    cr_assert_eq(event_encode(PREFIX, &other, &moved.base, arena, &message, &err), ERR_TOO_LARGE);
}

Test(envelope, a_subject_is_cut_between_characters)
{
    AliasMoved moved = MODELBUS__REGISTRY__V1__ALIAS_MOVED__INIT;
    struct event_envelope other = {.source = "/t"};
    char name[402] = "x"; /* then 200 letters of two bytes: byte 255 is within one */

    for (size_t i = 1; i < 401; i += 2)
        memcpy(name + i, "\xc3\xa9", 2);
    name[401] = '\0';
    moved.model_name = name;
    cr_assert_eq(event_encode(PREFIX, &other, &moved.base, arena, &message, &err), ERR_OK);
    cr_assert_eq(message.key_len, 401);
    cr_assert_eq(decode(), ERR_OK, "%s", err.message);
    cr_assert_str_eq(got.subject, other.subject);
    cr_assert_geq(strlen(got.subject), 252);
}

/* ---- what others send ---- */

Test(envelope, id_source_and_type_are_enough)
{
    for (size_t i = message.header_count; i-- > 0;)
        if (strcmp(headers[i].name, "ce_id") != 0 && strcmp(headers[i].name, "ce_source") != 0 &&
            strcmp(headers[i].name, "ce_type") != 0)
            drop(headers[i].name);
    cr_assert_eq(message.header_count, 3);
    message.timestamp_ms = 42;
    expect_good();
    cr_assert_str_eq(got.workspace, "default");
    cr_assert_str_eq(got.subject, "");
    cr_assert_eq(got.time_ms, 42, "the broker's time stands in");
}

Test(envelope, missing_required_attributes_are_dead_letters)
{
    const char *required[] = {"ce_id", "ce_source", "ce_type"};

    for (size_t i = 0; i < ARRAY_LEN(required); i++) {
        struct bus_header was = *find(required[i]);

        drop(required[i]);
        expect_bad(required[i]);
        set(required[i], "");
        expect_bad(required[i]);
        *find(required[i]) = was;
    }
    expect_good();
}

Test(envelope, any_1_x_is_read_and_no_other_version)
{
    set("ce_specversion", "1.7");
    expect_good();
    set("ce_specversion", "0.3");
    expect_bad("ce_specversion");
    set("ce_specversion", "10");
    expect_bad("ce_specversion");
}

Test(envelope, only_protobuf_is_read)
{
    set("content-type", "Application/Protobuf; proto=x");
    expect_good();
    set("content-type", "application/json");
    expect_bad("content-type");
    set("content-type", "application/protobufs");
    expect_bad("content-type");
}

Test(envelope, over_long_attributes_are_dead_letters)
{
    const char *names[] = {"ce_id", "ce_source", "ce_type", "ce_subject", "ce_workspace"};
    char big[1001];

    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct bus_header was = *find(names[i]);

        set(names[i], big);
        expect_bad(names[i]);
        *find(names[i]) = was;
    }
    expect_good();
}

Test(envelope, attributes_that_are_no_text_are_dead_letters)
{
    const char *names[] = {"ce_id", "ce_source", "ce_type", "ce_subject", "ce_workspace"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct bus_header was = *find(names[i]);

        set(names[i], "a\xff");
        expect_bad(names[i]);
        *find(names[i]) = (struct bus_header){names[i], "a\0b", 3};
        expect_bad(names[i]);
        *find(names[i]) = was;
    }
    expect_good();
}

Test(envelope, a_bad_workspace_is_a_dead_letter)
{
    set("ce_workspace", "Team A");
    expect_bad("ce_workspace");
}

Test(envelope, a_type_of_ours_elsewhere_is_a_dead_letter)
{
    message.topic = "test.deployment";
    expect_bad("test.registry");
    message.topic = "other.registry";
    expect_bad("test.registry");
}

Test(envelope, a_value_that_does_not_decode_is_a_dead_letter)
{
    message.value_len--; /* the last field's number is missing */
    expect_bad("AliasMoved");
    message.value = "\xff\xff\xff\xff\xff\xff";
    message.value_len = 6;
    expect_bad("AliasMoved");
}

Test(envelope, strings_that_are_not_utf8_are_dead_letters)
{
    message.value = "\x0a\x02\xc3\x28";
    message.value_len = 4;
    expect_bad("model_name");
}

Test(envelope, a_value_over_the_limit_is_a_dead_letter)
{
    message.value = mem_zalloc(BUS_MESSAGE_MAX + 1);
    message.value_len = BUS_MESSAGE_MAX + 1;
    expect_bad("at most");
    free((void *)(uintptr_t)message.value);
}

/* Two bytes on the wire become a Metric of 48: the arena's limit ends it. */
Test(envelope, a_value_that_unpacks_to_too_much_is_a_dead_letter)
{
    enum { PAIRS = 400000 };
    char *value = mem_alloc(2 * PAIRS);

    for (size_t i = 0; i < PAIRS; i++)
        memcpy(value + 2 * i, "\x22\0", 2); /* metrics: an empty one */
    set("ce_type", "modelbus.experiment.v1.ModelTrained");
    message.topic = "test.experiment";
    message.value = value;
    message.value_len = 2 * PAIRS;
    expect_bad("unpacks to too much");
    free(value);
}

Test(envelope, unknown_types_are_skipped)
{
    set("ce_type", "com.example.Something");
    cr_assert_eq(decode(), ERR_OK, "%s", err.message);
    cr_assert_null(type);
    cr_assert_null(event);
    cr_assert_str_eq(got.type, "com.example.Something");
}

Test(envelope, a_short_name_is_not_a_type_on_the_wire)
{
    set("ce_type", "AliasMoved");
    cr_assert_eq(decode(), ERR_OK, "%s", err.message);
    cr_assert_null(type);
}

Test(envelope, unknown_fields_are_ignored)
{
    char *value = arena_alloc(arena, message.value_len + 4);

    memcpy(value, message.value, message.value_len);
    memcpy(value + message.value_len, "\xfa\x3f\x01x", 4); /* field 1023 */
    message.value = value;
    message.value_len += 4;
    expect_good();
}

Test(envelope, tombstones_have_a_type_and_no_event)
{
    message.value = NULL;
    message.value_len = 0;
    cr_assert_eq(decode(), ERR_OK, "%s", err.message);
    cr_assert_eq(type, event_type_named("AliasMoved"));
    cr_assert_null(event);
}

Test(envelope, an_empty_value_is_a_message_of_defaults)
{
    message.value = "";
    message.value_len = 0;
    cr_assert_eq(decode(), ERR_OK, "%s", err.message);
    cr_assert_not_null(event);
    cr_assert_str_eq(((AliasMoved *)event)->model_name, "");
}

Test(envelope, times_are_rfc_3339)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: none */
    } rows[] = {
        {"2023-11-14T22:13:20Z", 1700000000000},
        {"2023-11-14t22:13:20.5z", 1700000000500},
        {"2023-11-14T22:13:20.123456789Z", 1700000000123},
        {"2023-11-15T00:13:20+02:00", 1700000000000},
        {"2023-11-14T16:43:20-05:30", 1700000000000},
        {"2016-12-31T23:59:60Z", 1483228800000},
        {"2023-11-14T22:13:20", -1},
        {"2023-11-14 22:13:20Z", -1},
        {"2023-11-14T22:13:20.Z", -1},
        {"2023-11-14T22:13:20Zx", -1},
        {"2023-11-14T22:13:20+02:00x", -1},
        {"2023-13-14T22:13:20Z", -1},
        {"2023-11-32T22:13:20Z", -1},
        {"2023-11-14T24:13:20Z", -1},
        {"2023-11-14T22:60:20Z", -1},
        {"2023-11-14T22:13:20+24:00", -1},
        {"-023-11-14T22:13:20Z", -1},
        {"23-11-14T22:13:20Z", -1},
        {"2023-1-14T22:13:20Z", -1},
        {"2023-11-14T22:13: 2Z", -1},
        {"yesterday", -1},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        set("ce_time", rows[i].text);
        if (rows[i].ms < 0) {
            expect_bad("ce_time");
        } else {
            expect_good();
            cr_assert_eq(got.time_ms, rows[i].ms, "%s: %lld", rows[i].text, (long long)got.time_ms);
        }
    }
}

Test(envelope, a_broken_trace_never_costs_the_event)
{
    const char *good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    set("traceparent", good);
    expect_good();
    cr_assert_str_eq(got.traceparent, good);
    set("traceparent", "00-zz");
    expect_good();
    cr_assert_str_eq(got.traceparent, "");
    set("traceparent", "\xff");
    expect_good();
    cr_assert_str_eq(got.traceparent, "");
}
