/* SPDX-License-Identifier: Apache-2.0 */
/* schema.c - the form of a definition as a JSON Schema, for editors. */
#include "definition_parts.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
set(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) != 0)
        abort(); /* out of memory, or a text that is not UTF-8 */
}

/* A text of the file may be written without quotes where YAML makes a number or a boolean of it. */
static json_t *
text_schema(const struct text_rule *rule)
{
    json_t *schema = json_object();

    set(schema, "type",
        rule->pattern ? json_string("string")
                      : json_pack("[s,s,s]", "string", "number", "boolean"));
    if (rule->pattern)
        set(schema, "pattern", json_string(rule->pattern));
    else
        set(schema, "maxLength", json_integer((json_int_t)rule->max));
    return schema;
}

static json_t *
words_schema(const char *const *words)
{
    json_t *list = json_array();

    for (; *words; words++)
        json_array_append_new(list, json_string(*words));
    return json_pack("{s:o}", "enum", list);
}

static json_t *
number_schema(const struct field_rule *rule, bool whole)
{
    json_t *schema = json_pack("{s:s,s:i}", "type", whole ? "integer" : "number", "minimum", 0);

    set(schema, "maximum", json_integer((json_int_t)rule->max));
    if (rule->min > 0)
        set(schema, "not",
            json_pack("{s:i,s:f}", "exclusiveMinimum", 0, "exclusiveMaximum", rule->min));
    return schema;
}

static json_t *
ref(const ProtobufCMessageDescriptor *type)
{
    char at[100];

    snprintf(at, sizeof(at), "#/$defs/%s", type->short_name);
    return json_pack("{s:s}", "$ref", at);
}

/* One value: of the field, or of its list. */
static json_t *
value_schema(const struct field_rule *rule, const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return ref(field->descriptor);
    case PROTOBUF_C_TYPE_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case PROTOBUF_C_TYPE_UINT32:
        return number_schema(rule, true);
    case PROTOBUF_C_TYPE_DOUBLE:
        return number_schema(rule, false);
    default:
        return rule->words ? words_schema(rule->words) : text_schema(rule->text);
    }
}

static json_t *
field_schema(const struct field_rule *rule, const ProtobufCFieldDescriptor *field)
{
    json_t *schema;

    if (form_is_map(field)) {
        schema = json_pack("{s:s,s:o,s:o}", "type", "object", "additionalProperties",
                           text_schema(rule->text), "propertyNames", text_schema(rule->key));
        set(schema, "maxProperties", json_integer((json_int_t)rule->items));
    } else if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        schema = json_pack("{s:s,s:o}", "type", "array", "items", value_schema(rule, field));
        set(schema, "maxItems", json_integer((json_int_t)rule->items));
        if (rule->required)
            set(schema, "minItems", json_integer(1));
    } else {
        schema = value_schema(rule, field);
    }
    set(schema, "description", json_string(rule->doc));
    return schema;
}

static void message_schema(json_t *defs, const ProtobufCMessageDescriptor *type, json_t *schema);

static void
add_type(json_t *defs, const ProtobufCMessageDescriptor *type)
{
    if (json_object_get(defs, type->short_name))
        return;
    json_t *schema = json_object();
    set(defs, type->short_name, schema);
    message_schema(defs, type, schema);
}

static void
message_schema(json_t *defs, const ProtobufCMessageDescriptor *type, json_t *schema)
{
    json_t *properties = json_object(), *required = json_array();

    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        const struct field_rule *rule = form_rule(type, field->name);
        set(properties, field->name, field_schema(rule, field));
        if (rule->required)
            json_array_append_new(required, json_string(field->name));
        if (field->type == PROTOBUF_C_TYPE_MESSAGE && !form_is_map(field))
            add_type(defs, field->descriptor);
    }
    set(schema, "type", json_string("object"));
    set(schema, "properties", properties);
    if (json_array_size(required))
        set(schema, "required", required);
    else
        json_decref(required);
    set(schema, "additionalProperties", json_false());
}

/* Exactly one of these fields. */
static void
set_choice(json_t *defs, const char *type, const char *const *fields)
{
    json_t *choices = json_array();

    for (; *fields; fields++)
        json_array_append_new(choices, json_pack("{s:[s]}", "required", *fields));
    set(json_object_get(defs, type), "oneOf", choices);
}

void
definition_schema(struct buf *out)
{
    static const char *const map[] = {"items", "over", NULL};
    static const char *const trigger[] = {"cron", "event", "pipeline", NULL};
    json_t *defs = json_object();
    json_t *schema =
        json_pack("{s:s,s:s,s:s}", "$schema", "https://json-schema.org/draft/2020-12/schema",
                  "title", "modelbus pipeline", "description", "Manual: docs/pipelines.md.");

    message_schema(defs, &modelbus__pipeline__v1__definition__descriptor, schema);
    set_choice(defs, "Map", map);
    set_choice(defs, "Trigger", trigger);
    set(schema, "$defs", defs);
    char *text = json_dumps(schema, JSON_INDENT(2));
    buf_str(out, text);
    buf_char(out, '\n');
    free(text);
    json_decref(schema);
}
