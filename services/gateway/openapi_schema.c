/* SPDX-License-Identifier: Apache-2.0 */
/* openapi_schema.c - messages as JSON schemas: replies as pbjson writes them, requests as it
 * reads them. */
#include "openapi.h"

#include "pbjson/pbjson.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER "-?[0-9]{1,15}(\\.[0-9]{1,15})?([eE][+-]?[0-9]{1,2})?"

enum use { REPLY, REQUEST, PARAM };

static json_t *message_ref(json_t *schemas, const ProtobufCMessageDescriptor *type, enum use use);

static void
set(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) != 0)
        abort(); /* out of memory, or a text that is not UTF-8 */
}

static void
set_string(json_t *object, const char *name, const char *text)
{
    set(object, name, json_string(text));
}

/* "type": one, or for requests a list of all that are read. */
static void
set_types(json_t *schema, enum use use, bool required, const char *type, bool text)
{
    if (use != REQUEST || (required && !text)) {
        set_string(schema, "type", type);
        return;
    }
    json_t *types = json_array();
    json_array_append_new(types, json_string(type));
    if (text)
        json_array_append_new(types, json_string("string"));
    if (!required)
        json_array_append_new(types, json_string("null"));
    set(schema, "type", types);
}

static void
integer(json_t *schema, enum use use, const struct openapi_bound *b, const char *format,
        int64_t min, int64_t max)
{
    static const struct openapi_bound none;

    if (!b)
        b = &none;
    set_types(schema, use, b->required, "integer", use == REQUEST);
    set_string(schema, "format", format);
    if (use == REPLY)
        return;
    if (b->positive || b->not_negative)
        min = b->positive;
    if (b->max)
        max = b->max;
    set(schema, "minimum", json_integer(min));
    set(schema, "maximum", json_integer(max));
    /* As a string: as many digits as are in range for certain. */
    if (use == REQUEST) {
        int digits = snprintf(NULL, 0, "%lld", (long long)max) - 1;
        char pattern[64];
        snprintf(pattern, sizeof(pattern), "^%s%s[1-9][0-9]{0,%d}%s$", min < 0 ? "-?" : "",
                 min > 0 ? "" : "(0|", digits - 1, min > 0 ? "" : ")");
        set_string(schema, "pattern", pattern);
    }
}

static void
number(json_t *schema, enum use use, const struct openapi_bound *b, bool is_float)
{
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};

    if (use == REPLY) {
        json_t *names = json_array();
        for (size_t i = 0; i < ARRAY_LEN(words); i++)
            json_array_append_new(names, json_string(words[i]));
        set(schema, "anyOf",
            json_pack("[{s:s,s:s},{s:o}]", "type", "number", "format",
                      is_float ? "float" : "double", "enum", names));
        return;
    }
    set_types(schema, use, false, "number", true);
    if (!b || !b->max) {
        set_string(schema, "pattern", "^(NaN|-?Infinity|" NUMBER ")$");
        return;
    }
    /* From 0 to a bound; as a string: as many digits as are in range for certain. */
    char pattern[64];
    int digits = snprintf(NULL, 0, "%lld", (long long)b->max) - 1;
    if (digits)
        snprintf(pattern, sizeof(pattern), "^(0|[1-9][0-9]{0,%d})(\\.[0-9]+)?$", digits - 1);
    else
        snprintf(pattern, sizeof(pattern), "^0(\\.[0-9]+)?$");
    set_string(schema, "pattern", pattern);
    set(schema, "minimum", json_integer(0));
    set(schema, "maximum", json_integer(b->max));
}

static void
enumeration(json_t *schema, enum use use, const ProtobufCEnumDescriptor *type,
            const struct openapi_bound *b)
{
    json_t *values = json_array();

    for (unsigned i = 0; i < type->n_values; i++)
        if (!b || !b->without || strcmp(b->without, type->values[i].name) != 0)
            json_array_append_new(values, json_string(type->values[i].name));
    for (unsigned i = 0; use == REQUEST && i < type->n_values; i++)
        if (!b || !b->without || strcmp(b->without, type->values[i].name) != 0)
            json_array_append_new(values, json_integer(type->values[i].value));
    if (use == REQUEST && (!b || !b->required))
        json_array_append_new(values, json_null());
    if (use != REQUEST)
        set_string(schema, "type", "string");
    set(schema, "enum", values);
}

static void
string(json_t *schema, enum use use, const struct openapi_bound *b)
{
    set_types(schema, use, b && b->required, "string", false);
    if (!b || use == REPLY)
        return;
    if (b->pattern)
        set_string(schema, "pattern", b->pattern);
    if (b->max_length) {
        set(schema, "maxLength", json_integer(b->max_length));
        set_string(schema, "description", "maxLength counts UTF-8 bytes.");
    }
    if (b->format)
        set_string(schema, "format", b->format);
}

/* One value of the field. */
static json_t *
value_schema(json_t *schemas, const ProtobufCFieldDescriptor *field, enum use use,
             const struct openapi_bound *b)
{
    json_t *schema = json_object();

    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        integer(schema, use, b, "int32", INT32_MIN, INT32_MAX);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        integer(schema, use, b, "uint32", 0, UINT32_MAX);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        integer(schema, use, b, "int64", INT64_MIN, INT64_MAX);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        integer(schema, use, b, "uint64", 0, INT64_MAX);
        if (use == REPLY) /* past INT64_MAX a string */
            set(schema, "type", json_pack("[s,s]", "integer", "string"));
        break;
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        number(schema, use, b, field->type == PROTOBUF_C_TYPE_FLOAT);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        set_types(schema, use, b && b->required, "boolean", false);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        enumeration(schema, use, field->descriptor, b);
        break;
    case PROTOBUF_C_TYPE_STRING:
        string(schema, use, b);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        string(schema, use, b);
        set_string(schema, "contentEncoding", "base64");
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        json_decref(schema);
        return message_ref(schemas, field->descriptor, use);
    }
    return schema;
}

/* Elements of lists and maps: null is no value there. */
static json_t *
element_schema(json_t *schemas, const ProtobufCFieldDescriptor *field, enum use use,
               const struct openapi_bound *b)
{
    struct openapi_bound element = b ? *b : (struct openapi_bound){0};

    element.required = true;
    return value_schema(schemas, field, use, &element);
}

static bool
is_map(const ProtobufCFieldDescriptor *field)
{
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    size_t len = field->type == PROTOBUF_C_TYPE_MESSAGE ? strlen(entry->short_name) : 0;

    return field->label == PROTOBUF_C_LABEL_REPEATED && len > 5 &&
           strcmp(entry->short_name + len - 5, "Entry") == 0 && entry->n_fields == 2;
}

static json_t *
field_schema(json_t *schemas, const ProtobufCFieldDescriptor *field, enum use use,
             const struct openapi_bound *b)
{
    bool required = b && b->required;
    json_t *schema;

    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        schema = value_schema(schemas, field, use, b);
        if (field->type == PROTOBUF_C_TYPE_MESSAGE && use == REQUEST && !required)
            schema = json_pack("{s:[o,{s:s}]}", "anyOf", schema, "type", "null");
        return schema;
    }
    schema = json_object();
    if (is_map(field)) {
        const ProtobufCMessageDescriptor *entry = field->descriptor;
        set_types(schema, use, required, "object", false);
        set(schema, "additionalProperties", element_schema(schemas, &entry->fields[1], use, NULL));
        return schema;
    }
    set_types(schema, use, required, "array", false);
    set(schema, "items", element_schema(schemas, field, use, b));
    if (use != REPLY && b && b->max_items)
        set(schema, "maxItems", json_integer(b->max_items));
    if (use != REPLY && b && b->unique)
        set(schema, "uniqueItems", json_true());
    if (use != REPLY && required)
        set(schema, "minItems", json_integer(1));
    return schema;
}

/* Does pbjson write the field always? */
static bool
always_written(const ProtobufCFieldDescriptor *field)
{
    return field->label == PROTOBUF_C_LABEL_REPEATED ||
           (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
            field->type != PROTOBUF_C_TYPE_MESSAGE && field->label != PROTOBUF_C_LABEL_OPTIONAL);
}

static json_t *
object_schema(json_t *schemas, const ProtobufCMessageDescriptor *type, enum use use,
              bool (*skip)(void *arg, const char *field), void *arg)
{
    json_t *properties = json_object(), *required = json_array();
    json_t *schema =
        json_pack("{s:s,s:s,s:o}", "title", type->name, "type", "object", "properties", properties);

    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        const struct openapi_bound *b = use == REPLY ? NULL : openapi_bound(type, field);
        if (skip && skip(arg, field->name))
            continue;
        set(properties, field->name, field_schema(schemas, field, use, b));
        if (use == REPLY ? always_written(field) : b && b->required)
            json_array_append_new(required, json_string(field->name));
    }
    if (json_array_size(required))
        set(schema, "required", required);
    else
        json_decref(required);
    if (use != REPLY) /* a reply may get more fields in later versions */
        set(schema, "additionalProperties", json_false());
    return schema;
}

static json_t *
ref_to(const char *name)
{
    char ref[256];

    snprintf(ref, sizeof(ref), "#/components/schemas/%s", name);
    return json_pack("{s:s}", "$ref", ref);
}

static json_t *
message_ref(json_t *schemas, const ProtobufCMessageDescriptor *type, enum use use)
{
    char name[200];

    snprintf(name, sizeof(name), "%s%s", type->short_name, use == REQUEST ? "Input" : "");
    const json_t *there = json_object_get(schemas, name);
    if (there && strcmp(json_string_value(json_object_get(there, "title")), type->name) != 0) {
        fprintf(stderr, "two messages would be the schema %s\n", name);
        abort();
    }
    if (!there)
        set(schemas, name, object_schema(schemas, type, use, NULL, NULL));
    return ref_to(name);
}

json_t *
openapi_reply(json_t *schemas, const ProtobufCMessageDescriptor *type)
{
    return message_ref(schemas, type, REPLY);
}

json_t *
openapi_body(json_t *schemas, const ProtobufCMessageDescriptor *type,
             bool (*skip)(void *arg, const char *field), void *arg, bool *required)
{
    json_t *schema = object_schema(schemas, type, REQUEST, skip, arg);

    if (json_object_size(json_object_get(schema, "properties")) == 0) {
        json_decref(schema);
        return NULL;
    }
    *required = json_object_get(schema, "required") != NULL;
    set(schemas, type->short_name, schema);
    return ref_to(type->short_name);
}

json_t *
openapi_param(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field)
{
    return field_schema(NULL, field, PARAM, openapi_bound(type, field));
}
