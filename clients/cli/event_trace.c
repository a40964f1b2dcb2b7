/* SPDX-License-Identifier: Apache-2.0 */
/* event_trace.c - `modelbus event trace`: an event, what caused it and all that it caused. */
#include "event.h"
#include "event_chain.h"
#include "output.h"

#include "trace/trace.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_LIMIT (64u << 20)
#define LINE_MAX_BYTES 160
#define TOPICS_MAX 64

struct tracing {
    const char *prefix;
    struct chain *chain;
    struct arena *arena; /* reset after each message */
    bool full;
};

static bool
take(void *arg, const struct bus_message *message)
{
    struct tracing *t = arg;
    struct event_envelope envelope;
    const struct event_type *type;
    ProtobufCMessage *event;
    struct err err;

    arena_reset(t->arena);
    /* What is no good event has a dead letter, which is one. */
    if (event_decode(t->prefix, message, t->arena, &envelope, &type, &event, &err))
        return true;
    t->full = !chain_add(t->chain, &envelope, message);
    return !t->full;
}

/* Topics are the words after the ID, of which there is none with --last. */
static enum err_code
choose(const struct cli *cli, const struct event_topic **topics, size_t *count, struct err *err)
{
    size_t first = cli_option(cli, "last") ? 0 : 1;

    *count = 0;
    for (size_t i = first; i < cli->word_count; i++) {
        const struct event_type *type;
        if (cli_topic(cli->words[i], &topics[*count], &type, err))
            return err->code;
        ++*count;
    }
    /* Predictions are many and cause nothing but windows: only when they are named. */
    for (const struct event_topic *t = event_topics; cli->word_count == first && t->suffix; t++)
        if (strcmp(t->suffix, "predictions") != 0)
            topics[(*count)++] = t;
    return ERR_OK;
}

/* The event of a link, in arena; NULL: its type is not known, or it has no value. */
static ProtobufCMessage *
event_of(const struct link *link, struct arena *arena)
{
    const struct event_type *type = event_type_named(link->type);

    return type && link->value ? ARENA_UNPACK(arena, type->descriptor, link->value_len, link->value)
                               : NULL;
}

static json_t *
link_json(const struct link *link, const char *asked, int64_t start_ms, struct arena *arena)
{
    const ProtobufCMessage *event = event_of(link, arena);
    json_t *json = json_pack(
        "{si sI sb ss ss ss ss ss sI ss si sI}", "depth", (int)link->depth, "after_ms",
        (json_int_t)(link->time_ms - start_ms), "asked", strcmp(link->id, asked) == 0, "type",
        link->type, "id", link->id, "source", link->source, "subject", link->subject, "workspace",
        link->workspace, "time_ms", (json_int_t)link->time_ms, "topic", link->topic, "partition",
        (int)link->partition, "offset", (json_int_t)link->offset);

    if (*link->cause)
        json_object_set_new(json, "cause", json_string(link->cause));
    if (*link->traceparent)
        json_object_set_new(json, "traceparent", json_string(link->traceparent));
    if (event) {
        json_object_set_new(json, "text", json_string(event_line(event, LINE_MAX_BYTES, arena)));
        json_object_set_new(json, "data", event_json(event));
    }
    return json;
}

/* "+1.234 s" */
static void
format_after(int64_t ms, char text[32])
{
    snprintf(text, 32, "%+.3f s", (double)ms / 1000);
}

static void
print_link(const struct cli *cli, const struct link *link, const char *asked, int64_t start_ms,
           struct arena *arena)
{
    const ProtobufCMessage *event = event_of(link, arena);
    const struct event_type *type = event_type_named(link->type);
    const char *name = type ? type->descriptor->short_name : link->type;
    char after[32];

    format_after(link->time_ms - start_ms, after);
    printf("%12s %c %*s", after, strcmp(link->id, asked) == 0 ? '*' : ' ', (int)link->depth * 2,
           "");
    output_color(cli, event_color(name), name, stdout);
    printf("  %s", link->subject);
    if (event) {
        fputs("  ", stdout);
        output_color(cli, COLOR_DIM, event_line(event, LINE_MAX_BYTES, arena), stdout);
    }
    if (*link->cause && !link->parent)
        printf("  (caused by %s, which is not in these topics)", link->cause);
    putchar('\n');
}

static int64_t
earliest(struct link *const *links, size_t count)
{
    int64_t ms = INT64_MAX;

    for (size_t i = 0; i < count; i++)
        if (links[i]->time_ms < ms)
            ms = links[i]->time_ms;
    return ms;
}

static void
print_chain(const struct cli *cli, struct link *const *links, size_t count, const char *asked,
            bool more)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, ARENA_LIMIT);
    int64_t start_ms = earliest(links, count);

    if (cli->json) {
        json_t *events = json_array();
        for (size_t i = 0; i < count; i++) {
            json_array_append_new(events, link_json(links[i], asked, start_ms, arena));
            arena_reset(arena);
        }
        json_t *chain = json_pack("{ss sI sb so}", "id", asked, "start_ms", (json_int_t)start_ms,
                                  "more", more, "events", events);
        output_json(cli, chain);
        json_decref(chain);
        return;
    }
    json_t *start = json_integer(start_ms);
    CLEANUP(mem_free) char *at = format_time(start);
    json_decref(start);
    printf("%zu event%s from %s UTC\n", count, count == 1 ? "" : "s", at);
    for (size_t i = 0; i < count; i++) {
        print_link(cli, links[i], asked, start_ms, arena);
        arena_reset(arena);
    }
    if (more)
        printf("... and more: a chain is shown up to %d events\n", CHAIN_LENGTH_MAX);
}

/* What is asked for: the ID, or --last TYPE with --key KEY. */
static enum err_code
find_asked(const struct cli *cli, const struct chain *chain, const struct event_type *last,
           const char **asked, struct err *err)
{
    const char *key = cli_option(cli, "key");

    *asked = last ? chain_newest(chain, last->descriptor->name, key) : cli_word(cli, 0);
    if (!*asked)
        return err_set(err, ERR_NOT_FOUND, "the topics hold no %s%s%.200s",
                       last->descriptor->short_name, key ? " of " : "", key ? key : "");
    return ERR_OK;
}

static enum err_code
check_asked(const struct cli *cli, const struct event_type **last, struct err *err)
{
    const char *type = cli_option(cli, "last");
    const struct event_topic *topic;

    *last = NULL;
    if (!type && !cli->word_count)
        return err_set(err, ERR_INVALID, "say which event: its ID, or --last TYPE");
    if (type && cli_topic(type, &topic, last, err))
        return err->code;
    if (type && !*last)
        return err_set(err, ERR_INVALID, "--last: '%s' is a topic; say which type of event", type);
    return ERR_OK;
}

enum err_code
event_trace(struct cli *cli, struct err *err)
{
    CLEANUP(chain_free) struct chain *chain = chain_new();
    CLEANUP(arena_free) struct arena *arena = arena_new(0, ARENA_LIMIT);
    struct tracing tracing = {.chain = chain, .arena = arena};
    const struct event_topic *topics[TOPICS_MAX + CLI_WORDS_MAX];
    const struct event_type *last;
    struct bus_options bus;
    const char *asked;
    struct link **links;
    size_t count;
    bool more;

    if (check_asked(cli, &last, err) || choose(cli, topics, &count, err) ||
        cli_bus(cli, &bus, &tracing.prefix, err) ||
        event_scan(cli, topics, count, take, &tracing, err))
        return err->code;
    if (tracing.full)
        return err_set(err, ERR_TOO_LARGE,
                       "the topics hold over %zu MiB: name those to look in, as in `modelbus event "
                       "trace ID monitoring deployment`",
                       CHAIN_BYTES_MAX >> 20);
    if (find_asked(cli, chain, last, &asked, err) ||
        chain_of(chain, asked, &links, &count, &more, err))
        return err->code;
    print_chain(cli, links, count, asked, more);
    return ERR_OK;
}
