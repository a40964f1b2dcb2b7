/* SPDX-License-Identifier: Apache-2.0 */
/* catalog_asyncapi.c - the catalogue as an AsyncAPI 3.0 document. */
#include "catalog.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
set(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) != 0)
        abort(); /* out of memory */
}

static json_t *ref(const char *format, ...) PRINTF_LIKE(1, 2);

static json_t *
ref(const char *format, ...)
{
    char text[300];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return json_pack("{s:s}", "$ref", text);
}

static json_t *message_ref(json_t *schemas, const ProtobufCMessageDescriptor *type);

static json_t *
enum_schema(const ProtobufCEnumDescriptor *type)
{
    json_t *names = json_array();

    for (unsigned i = 0; i < type->n_values; i++)
        json_array_append_new(names, json_string(type->values[i].name));
    return json_pack("{s:s,s:s,s:o}", "title", type->name, "type", "string", "enum", names);
}

static json_t *
value_schema(json_t *schemas, const ProtobufCFieldDescriptor *f)
{
    const char *type = "integer", *format = NULL;

    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        format = "int32";
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        format = "int64";
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        format = "uint32";
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        format = "uint64";
        break;
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        type = "number";
        format = f->type == PROTOBUF_C_TYPE_FLOAT ? "float" : "double";
        break;
    case PROTOBUF_C_TYPE_BOOL:
        type = "boolean";
        break;
    case PROTOBUF_C_TYPE_STRING:
        type = "string";
        break;
    case PROTOBUF_C_TYPE_BYTES:
        type = "string";
        format = "binary";
        break;
    case PROTOBUF_C_TYPE_ENUM:
        return enum_schema(f->descriptor);
    case PROTOBUF_C_TYPE_MESSAGE:
        return message_ref(schemas, f->descriptor);
    }
    return json_pack("{s:s,s:s*}", "type", type, "format", format);
}

static json_t *
message_ref(json_t *schemas, const ProtobufCMessageDescriptor *type)
{
    json_t *properties, *numbers;

    if (json_object_get(schemas, type->name))
        return ref("#/components/schemas/%s", type->name);
    properties = json_object();
    numbers = json_object();
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &type->fields[i];
        json_t *value = value_schema(schemas, f);
        if (f->label == PROTOBUF_C_LABEL_REPEATED)
            value = json_pack("{s:s,s:o}", "type", "array", "items", value);
        set(properties, f->name, value);
        set(numbers, f->name, json_integer(f->id));
    }
    set(schemas, type->name,
        json_pack("{s:s,s:o,s:o}", "type", "object", "properties", properties, "x-protobuf-numbers",
                  numbers));
    return ref("#/components/schemas/%s", type->name);
}

/* Of every message: the envelope (envelope.h); required is what others have to send. */
static json_t *
headers_schema(void)
{
    static const struct {
        const char *name, *doc;
        bool required;
    } headers[] = {
        {"ce_specversion", "1.0", false},
        {"ce_id", "A consumer handles an id once.", true},
        {"ce_source", "Who says it: /modelbus/registry.", true},
        {"ce_type", "The message's full name.", true},
        {"ce_time", "RFC 3339.", false},
        {"ce_subject", "The key without the workspace.", false},
        {"ce_dataschema", "urn:<the message's full name>", false},
        {"ce_workspace", "Left out: default.", false},
        {"ce_causationid", "Id of the event whose handling said this one; none: a command.", false},
        {"content-type", "application/protobuf", false},
        {"traceparent", "W3C trace context.", false},
    };
    json_t *properties = json_object(), *required = json_array();

    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        set(properties, headers[i].name,
            json_pack("{s:s,s:s}", "type", "string", "description", headers[i].doc));
        if (headers[i].required)
            json_array_append_new(required, json_string(headers[i].name));
    }
    return json_pack("{s:s,s:o,s:o}", "type", "object", "required", required, "properties",
                     properties);
}

static json_t *
channel(const struct event_topic *topic)
{
    char address[256];
    json_t *messages = json_object();
    json_t *kafka =
        json_pack("{s:i,s:s}", "partitions", topic->partitions, "bindingVersion", "0.5.0");

    event_topic_name("{prefix}", topic->suffix, address);
    for (const struct event_type *e = event_types; e->descriptor; e++)
        if (strcmp(e->topic, topic->suffix) == 0)
            set(messages, e->descriptor->short_name,
                ref("#/components/messages/%s", e->descriptor->short_name));
    if (topic->compacted)
        set(kafka, "topicConfiguration", json_pack("{s:[s]}", "cleanup.policy", "compact"));
    return json_pack("{s:s,s:s,s:o,s:{s:o},s:{s:o}}", "address", address, "description", topic->doc,
                     "messages", messages, "parameters", "prefix",
                     ref("#/components/parameters/prefix"), "bindings", "kafka", kafka);
}

static void
add_event(json_t *document, const struct event_type *e)
{
    json_t *components = json_object_get(document, "components");
    const char *name = e->descriptor->short_name;
    char operation[128], key[200];

    snprintf(operation, sizeof(operation), "say%s", name);
    snprintf(key, sizeof(key), "%s; in workspaces other than default <workspace>/<%s>",
             e->key_field, e->key_field);
    set(json_object_get(components, "messages"), name,
        json_pack("{s:s,s:s,s:s,s:o,s:o,s:{s:{s:{s:s,s:s},s:s}}}", "name", e->descriptor->name,
                  "summary", e->doc, "contentType", "application/protobuf", "headers",
                  ref("#/components/schemas/headers"), "payload",
                  message_ref(json_object_get(components, "schemas"), e->descriptor), "bindings",
                  "kafka", "key", "type", "string", "description", key, "bindingVersion", "0.5.0"));
    set(json_object_get(document, "operations"), operation,
        json_pack("{s:s,s:o,s:s,s:[{s:s}],s:[o]}", "action", "send", "channel",
                  ref("#/channels/%s", e->topic), "summary", e->doc, "tags", "name", e->producer,
                  "messages", ref("#/channels/%s/messages/%s", e->topic, name)));
}

void
event_catalog_asyncapi(struct buf *out)
{
    json_t *document = json_pack(
        "{s:s,s:{s:s,s:s,s:s,s:{s:s}},s:s,s:{},s:{},s:{s:{s:{s:s,s:s}},s:{},s:{s:o}}}", "asyncapi",
        "3.0.0", "info", "title", "modelbus", "version", MODELBUS_VERSION, "description",
        "The events of modelbus: CloudEvents 1.0 in Kafka's binary mode. The value is the plain "
        "protobuf message of proto/; its schema here shows the fields.",
        "license", "name", "Apache-2.0", "defaultContentType", "application/protobuf", "channels",
        "operations", "components", "parameters", "prefix", "default", "modelbus", "description",
        "Prefix of all topics.", "messages", "schemas", "headers", headers_schema());

    if (!document)
        abort(); /* out of memory */
    for (const struct event_topic *t = event_topics; t->suffix; t++)
        set(json_object_get(document, "channels"), t->suffix, channel(t));
    for (const struct event_type *e = event_types; e->descriptor; e++)
        add_event(document, e);
    char *text = json_dumps(document, JSON_INDENT(2));
    if (!text)
        abort();
    buf_printf(out, "%s\n", text);
    free(text);
    json_decref(document);
}
