/* SPDX-License-Identifier: Apache-2.0 */
/* event_tail.c - `modelbus event tail`: one reader over all partitions of the topics asked for. */
#include "event.h"
#include "output.h"

#include "pbjson/pbjson.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ASK_MS 5000
#define POLL_MS 200
#define TOPICS_MAX 64
#define PARTITIONS_MAX 1024
#define ARENA_LIMIT (64u << 20)
/* How often a topic that nobody has written to yet is looked for. */
#define MISSING_CHECK_S 1

struct tail {
    struct cli *cli;
    struct bus_reader *reader;
    const char *prefix;
    const struct event_topic *topics[TOPICS_MAX];
    bool whole[TOPICS_MAX]; /* the topic itself was named, not only a type of it */
    size_t topic_count;
    const struct event_type *types[TOPICS_MAX]; /* shown of the other topics */
    size_t type_count;
    struct bus_position positions[PARTITIONS_MAX];
    size_t position_count, missing;
    bool from_start;
    int64_t left; /* events still to print; -1: no bound */
    struct arena *arena;
};

static volatile sig_atomic_t interrupted;

static void
on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/*
 * Assign all partitions of the topics that exist. A partition that is known keeps its
 * position; one that appears later is read from its beginning, so that nothing of it is missed.
 */
static enum err_code
assign(struct tail *t, bool again, struct err *err)
{
    size_t known = t->position_count;

    t->missing = 0;
    for (size_t i = 0; i < t->topic_count; i++) {
        char name[256];
        int32_t count;
        event_topic_name(t->prefix, t->topics[i]->suffix, name);
        enum err_code code = bus_reader_partitions(t->reader, name, ASK_MS, &count, err);
        if (code == ERR_NOT_FOUND) {
            t->missing++;
            continue;
        }
        if (code)
            return code;
        for (int32_t p = 0; p < count && t->position_count < PARTITIONS_MAX; p++) {
            bool have = false;
            for (size_t k = 0; k < known && !have; k++)
                have = t->positions[k].partition == p && strcmp(t->positions[k].topic, name) == 0;
            if (have)
                continue;
            struct bus_position *position = &t->positions[t->position_count++];
            *position = (struct bus_position){
                .partition = p,
                .offset = t->from_start || again ? BUS_OFFSET_BEGINNING : BUS_OFFSET_END};
            memcpy(position->topic, name, sizeof(name));
        }
    }
    if (t->position_count == known)
        return ERR_OK;
    return bus_reader_assign(t->reader, t->positions, t->position_count, err);
}

json_t *
event_json(const ProtobufCMessage *event)
{
    CLEANUP(buf_done) struct buf text = {0};

    pbjson_write(event, 0, &text);
    return json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
}

int
event_color(const char *type)
{
    static const struct {
        const char *part;
        int color;
    } colors[] = {{"Failed", COLOR_RED},   {"Dead", COLOR_RED},      {"RolledBack", COLOR_YELLOW},
                  {"Loaded", COLOR_GREEN}, {"Deployed", COLOR_CYAN}, {"", 0}};
    size_t i = 0;

    while (!strstr(type, colors[i].part))
        i++;
    return colors[i].color;
}

static void
print_line(const struct tail *t, const struct event_envelope *envelope, const char *type,
           const ProtobufCMessage *event)
{
    CLEANUP(buf_done) struct buf text = {0};
    time_t seconds = (time_t)(envelope->time_ms / 1000);
    char at[16], name[256];
    struct tm parts;

    localtime_r(&seconds, &parts);
    strftime(at, sizeof(at), "%H:%M:%S", &parts);
    snprintf(name, sizeof(name), "%-18.200s", type);
    printf("%s.%03d  ", at, (int)(envelope->time_ms % 1000));
    output_color(t->cli, event_color(type), name, stdout);
    printf("  %s", envelope->subject);
    if (event) {
        pbjson_write(event, 0, &text);
        fputs("  ", stdout);
        output_color(t->cli, COLOR_DIM, text.data, stdout);
    }
    putchar('\n');
}

static void
print_json(const struct event_envelope *envelope, const struct bus_message *message,
           const ProtobufCMessage *event)
{
    json_t *line = json_pack("{ss ss ss ss ss sI ss si sI}", "type", envelope->type, "id",
                             envelope->id, "source", envelope->source, "subject", envelope->subject,
                             "workspace", envelope->workspace, "time_ms",
                             (json_int_t)envelope->time_ms, "topic", message->topic, "partition",
                             (int)message->partition, "offset", (json_int_t)message->offset);

    if (*envelope->traceparent)
        json_object_set_new(line, "traceparent", json_string(envelope->traceparent));
    if (*envelope->cause)
        json_object_set_new(line, "cause", json_string(envelope->cause));
    if (event)
        json_object_set_new(line, "data", event_json(event));
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(line);
}

static bool
wanted(const struct tail *t, const struct event_type *type)
{
    for (size_t i = 0; i < t->type_count; i++)
        if (t->types[i] == type)
            return true;
    for (size_t i = 0; type && i < t->topic_count; i++)
        if (strcmp(t->topics[i]->suffix, type->topic) == 0)
            return t->whole[i];
    /* Not in the catalogue: others' events are shown when nothing was narrowed. */
    return !type && !t->type_count;
}

static void
show(struct tail *t, const struct bus_message *message)
{
    struct event_envelope envelope = {0};
    const struct event_type *type = NULL;
    ProtobufCMessage *event = NULL;
    struct err err;

    arena_reset(t->arena);
    if (event_decode(t->prefix, message, t->arena, &envelope, &type, &event, &err)) {
        fprintf(stderr, "%s/%d@%lld is not a good event: %s\n", message->topic,
                (int)message->partition, (long long)message->offset, err.message);
        return;
    }
    if (!wanted(t, type) || !*envelope.type)
        return;
    if (t->cli->json || !isatty(STDOUT_FILENO))
        print_json(&envelope, message, event);
    else
        print_line(t, &envelope, type ? type->descriptor->short_name : envelope.type, event);
    fflush(stdout);
    if (t->left > 0)
        t->left--;
}

/* Where a restart of the assignment would go on. */
static void
remember(struct tail *t, const struct bus_message *message)
{
    for (size_t i = 0; i < t->position_count; i++)
        if (t->positions[i].partition == message->partition &&
            strcmp(t->positions[i].topic, message->topic) == 0)
            t->positions[i].offset = message->offset + 1;
}

static enum err_code
follow(struct tail *t, struct err *err)
{
    time_t checked = time(NULL);

    while (!interrupted && t->left != 0 && !ferror(stdout)) {
        struct bus_message message;
        struct err failure;
        void *handle = NULL;
        switch (bus_reader_poll(t->reader, POLL_MS, &message, &handle, &failure)) {
        case BUS_MESSAGE:
            remember(t, &message);
            show(t, &message);
            bus_message_done(handle);
            break;
        case BUS_CLUSTER_CHANGED:
        case BUS_OFFSET_LOST:
            /* An empty bus came back, or retention passed us by: all that is there is new. */
            t->position_count = 0;
            if (assign(t, true, err))
                return err->code;
            break;
        case BUS_ERROR:
            fprintf(stderr, "waiting for the bus: %s\n", failure.message);
            break;
        case BUS_NOTHING:
            break;
        }
        if (t->missing && time(NULL) - checked >= MISSING_CHECK_S) {
            checked = time(NULL);
            if (assign(t, true, err))
                return err->code;
        }
    }
    return ERR_OK;
}

static void
add_topic(struct tail *t, const struct event_topic *topic, bool whole)
{
    for (size_t i = 0; i < t->topic_count; i++) {
        if (t->topics[i] == topic) {
            t->whole[i] = t->whole[i] || whole;
            return;
        }
    }
    if (t->topic_count == TOPICS_MAX)
        return;
    t->whole[t->topic_count] = whole;
    t->topics[t->topic_count++] = topic;
}

static enum err_code
choose(struct tail *t, struct err *err)
{
    const char *only = cli_option(t->cli, "type");

    for (size_t i = 0; i < t->cli->word_count + (only != NULL); i++) {
        const struct event_topic *topic;
        const struct event_type *type;
        if (cli_topic(i < t->cli->word_count ? t->cli->words[i] : only, &topic, &type, err))
            return err->code;
        if (type && t->type_count < TOPICS_MAX)
            t->types[t->type_count++] = type;
        add_topic(t, topic, !type && !only);
    }
    /* Without a name: everything that people can follow with their eyes. */
    for (const struct event_topic *topic = event_topics;
         !t->cli->word_count && !only && topic->suffix; topic++)
        if (strcmp(topic->suffix, "predictions") != 0)
            add_topic(t, topic, true);
    return ERR_OK;
}

enum err_code
event_tail(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) struct tail *t = mem_zalloc(sizeof(*t));
    CLEANUP(arena_free) struct arena *arena = arena_new(0, ARENA_LIMIT);
    CLEANUP(bus_reader_free) struct bus_reader *reader = NULL;
    struct sigaction stop = {.sa_handler = on_signal};
    struct bus_options bus;

    t->cli = cli;
    t->arena = arena;
    t->from_start = cli_option(cli, "from-start") != NULL;
    if (cli_number(cli, "count", 1, INT64_MAX, -1, &t->left, err) || choose(t, err) ||
        cli_bus(cli, &bus, &t->prefix, err) || bus_reader_open(&reader, &bus, NULL, err))
        return err->code;
    t->reader = reader;
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    if (assign(t, false, err))
        return err->code;
    return follow(t, err);
}
