/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_event.c - `modelbus event publish|types`; event_tail.c follows, event_trace.c walks. */
#include "event.h"
#include "output.h"
#include "settings.h"

#include "pbjson/pbjson.h"

#include <stdlib.h>
#include <string.h>

#define PUBLISH_MS 15000
#define FETCH_WAIT_MS 50
#define ARENA_LIMIT (64u << 20)

enum err_code
cli_bus(struct cli *cli, struct bus_options *bus, const char **prefix, struct err *err)
{
    const char *given = setting(cli, NULL, "MODELBUS_BUS_PREFIX");

    *bus = (struct bus_options){.client_id = "modelbus-cli", .fetch_wait_ms = FETCH_WAIT_MS};
    bus->properties = setting(cli, NULL, "MODELBUS_BUS_PROPERTIES");
    *prefix = given ? given : "modelbus";
    return setting_need(cli, "brokers", "MODELBUS_BROKERS", &bus->brokers, err);
}

static const char *
event_word(void *arg, size_t i)
{
    (void)arg;
    for (const struct event_type *t = event_types; t->descriptor; t++)
        if (i-- == 0)
            return t->descriptor->short_name;
    for (const struct event_topic *t = event_topics; t->suffix; t++)
        if (i-- == 0)
            return t->suffix;
    return NULL;
}

enum err_code
cli_topic(const char *word, const struct event_topic **topic, const struct event_type **type,
          struct err *err)
{
    const struct event_type *named = event_type_named(word);
    const char *suffix = named ? named->topic : word;

    for (const struct event_topic *t = event_topics; t->suffix; t++) {
        if (strcmp(t->suffix, suffix) != 0)
            continue;
        *topic = t;
        *type = named;
        return ERR_OK;
    }
    const char *near = nearest_word(word, event_word, NULL);
    return err_set(err, ERR_INVALID, "no event type or topic '%s'%s%s; see modelbus event types",
                   word, near ? "; did you mean " : "", near ? near : "");
}

struct delivery {
    bool done;
    struct err err;
    enum err_code code;
};

static void
delivered(void *arg, void *opaque, const struct err *err)
{
    struct delivery *delivery = opaque;

    (void)arg;
    delivery->done = true;
    if (err) {
        delivery->code = err->code;
        delivery->err = *err;
    }
}

static enum err_code
send_message(const struct bus_options *bus, const struct bus_message *message, struct err *err)
{
    CLEANUP(bus_producer_free) struct bus_producer *producer = NULL;
    struct delivery delivery = {0};

    if (bus_producer_open(&producer, bus, delivered, NULL, err) ||
        bus_produce(producer, message, &delivery, err))
        return err->code;
    if (!bus_producer_flush(producer, PUBLISH_MS) || !delivery.done)
        return err_set(err, ERR_UNAVAILABLE, "no broker of '%s' took the event within %d s",
                       bus->brokers, PUBLISH_MS / 1000);
    if (delivery.code)
        return err_set(err, delivery.code, "%s", delivery.err.message);
    return ERR_OK;
}

static enum err_code
run_publish(struct cli *cli, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, ARENA_LIMIT);
    CLEANUP(mem_free) char *text = NULL;
    const char *source = cli_option(cli, "source"), *workspace = cli_option(cli, "workspace");
    const char *id = cli_option(cli, "id"), *cause = cli_option(cli, "cause"), *prefix;
    const struct event_topic *topic;
    const struct event_type *type = NULL;
    struct event_envelope envelope = {0};
    ProtobufCMessage *event;
    struct bus_message message;
    struct bus_options bus;
    size_t len;

    if (cli_topic(cli_word(cli, 0), &topic, &type, err))
        return err->code;
    if (!type)
        return err_set(err, ERR_INVALID, "'%s' is a topic; say which type of event",
                       cli_word(cli, 0));
    if ((id && strlen(id) > EVENT_ID_MAX) || (cause && strlen(cause) > EVENT_ID_MAX))
        return err_set(err, ERR_INVALID, "--id, --cause: at most %d bytes", EVENT_ID_MAX);
    snprintf(envelope.cause, sizeof(envelope.cause), "%s", cause ? cause : "");
    snprintf(envelope.id, sizeof(envelope.id), "%s", id ? id : "");
    snprintf(envelope.source, sizeof(envelope.source), "%s", source ? source : "/modelbus/cli");
    snprintf(envelope.workspace, sizeof(envelope.workspace), "%s",
             workspace ? workspace : "default");
    if (read_argument(cli_word(cli, 1) ? cli_word(cli, 1) : "-", BUS_MESSAGE_MAX * 8, &text, &len,
                      err) ||
        pbjson_read(type->descriptor, text, len, 0, arena, &event, err) ||
        cli_bus(cli, &bus, &prefix, err) ||
        event_encode(prefix, &envelope, event, arena, &message, err) ||
        send_message(&bus, &message, err))
        return err->code;
    json_t *said = json_pack("{ss ss ss ss}", "id", envelope.id, "type", type->descriptor->name,
                             "topic", message.topic, "workspace", envelope.workspace);
    if (!output_json(cli, said))
        printf("%s %s to %s\n", type->descriptor->short_name, envelope.id, message.topic);
    json_decref(said);
    return ERR_OK;
}

static const struct column type_columns[] = {
    {"TYPE", "type", NULL},         {"TOPIC", "topic", NULL}, {"KEY", "key", NULL},
    {"PRODUCER", "producer", NULL}, {"MEANING", "doc", NULL}, {NULL, NULL, NULL},
};

static enum err_code
run_types(struct cli *cli, struct err *err)
{
    (void)err;
    if (cli_option(cli, "markdown")) {
        CLEANUP(buf_done) struct buf page = {0};
        event_catalog_markdown(&page);
        fputs(page.data, stdout);
        return ERR_OK;
    }
    if (cli_option(cli, "asyncapi")) {
        CLEANUP(buf_done) struct buf page = {0};
        event_catalog_asyncapi(&page);
        fputs(page.data, stdout);
        return ERR_OK;
    }
    json_t *types = json_array();
    for (const struct event_type *t = event_types; t->descriptor; t++)
        json_array_append_new(types,
                              json_pack("{ss ss ss* ss* ss*}", "type",
                                        cli->json ? t->descriptor->name : t->descriptor->short_name,
                                        "topic", t->topic, "key", t->key_field, "producer",
                                        t->producer, "doc", t->doc));
    if (!output_json(cli, types))
        output_table(cli, types, type_columns, "no types");
    json_decref(types);
    return ERR_OK;
}

static const struct option_row publish_options[] = {
    {"cause", "ID", "the event that caused it", NULL, 0},
    {"id", "ID", "the event's id (a new UUID); consumers handle an id once", NULL, 0},
    {"source", "SOURCE", "who says it (/modelbus/cli)", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};
static const struct option_row tail_options[] = {
    {"from-start", NULL, "everything that the topics hold, then what comes", NULL, 0},
    {"count", "N", "stop after N events", NULL, 'n'},
    {"type", "TYPE", "only this type", COMPLETE_EVENT, 0},
    {NULL, NULL, NULL, NULL, 0},
};
static const struct option_row trace_options[] = {
    {"last", "TYPE", "the newest event of this type instead of an ID", COMPLETE_EVENT, 0},
    {"key", "KEY", "of this key: an endpoint, a model", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};
static const struct option_row types_options[] = {
    {"asyncapi", NULL, "as docs/asyncapi.json (AsyncAPI 3.0)", NULL, 0},
    {"markdown", NULL, "as docs/events.md", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};

const struct command event_commands[] = {
    {.path = "event tail",
     .args = "[TOPIC ...]",
     .doc = "Follow events of topics or types (all topics but predictions), one a line",
     .run = event_tail,
     .options = tail_options,
     .complete = COMPLETE_TOPIC,
     .examples = "  modelbus event tail\n"
                 "  modelbus event tail registry deployment --from-start --json | jq .data\n"
                 "  modelbus event tail ModelLoadFailed\n"},
    {.path = "event trace",
     .args = "[ID] [TOPIC ...]",
     .doc = "Show an event with what caused it and all that it caused, and others of its trace",
     .run = event_trace,
     .options = trace_options,
     .complete = COMPLETE_TOPIC,
     .examples = "  modelbus event trace --last DriftDetected --key churn\n"
                 "  modelbus event trace 0192e2c3-5b1e-7cc5-b0d6-4f1f0f3b5a01\n"
                 "  modelbus event trace ID --json | jq -r '.events[].type'\n"
                 "  modelbus event trace ID predictions monitoring   # only these topics\n"},
    {.path = "event publish",
     .args = "TYPE [JSON]",
     .doc = "Publish an event; JSON may be @FILE or - (standard input, the default)",
     .run = run_publish,
     .options = publish_options,
     .complete = COMPLETE_EVENT,
     .examples = "  modelbus event publish RunStarted '{\"run_id\": \"r1\", \"experiment\": "
                 "\"x\"}'\n"},
    {.path = "event types",
     .args = "",
     .doc = "List the catalogue of events",
     .run = run_types,
     .options = types_options},
    {.path = NULL},
};
