/* SPDX-License-Identifier: Apache-2.0 */
/* field.c - fields as protobuf-c lays them out, and paths to them. */
#include "pbjson/internal.h"

#include "buf/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void
add_path(struct buf *out, const struct path *path)
{
    if (!path)
        return;
    add_path(out, path->up);
    if (!path->name)
        buf_printf(out, "[%zu]", path->index);
    else
        buf_printf(out, "%s%.100s", out->len ? "." : "", path->name);
}

enum err_code
pbjson_path_error(struct err *err, enum err_code code, const struct path *path, const char *format,
                  ...)
{
    CLEANUP(buf_done) struct buf place = {0};
    char what[ERR_MESSAGE_MAX / 2];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    add_path(&place, path);
    if (place.len == 0)
        return err_set(err, code, "%s", what);
    return err_set(err, code, "%.250s: %s", place.data, what);
}

void *
pbjson_alloc(struct arena *arena, size_t bytes)
{
    ProtobufCAllocator *allocator = arena_protobuf(arena);

    return allocator->alloc(allocator->allocator_data, bytes);
}

size_t
pbjson_field_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_ENUM:
        return 4;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
    return sizeof(void *);
}

bool
pbjson_field_is_map(const ProtobufCFieldDescriptor *field)
{
    if (field->label != PROTOBUF_C_LABEL_REPEATED || field->type != PROTOBUF_C_TYPE_MESSAGE)
        return false;
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    size_t len = strlen(entry->short_name);
    return len > 5 && strcmp(entry->short_name + len - 5, "Entry") == 0 && entry->n_fields == 2 &&
           strcmp(entry->fields[0].name, "key") == 0 &&
           strcmp(entry->fields[1].name, "value") == 0 &&
           entry->fields[0].type != PROTOBUF_C_TYPE_MESSAGE &&
           entry->fields[1].label != PROTOBUF_C_LABEL_REPEATED;
}

/* camel is the lowerCamelCase of snake. */
static bool
is_camel_of(const char *camel, const char *snake)
{
    for (; *snake; snake++, camel++) {
        bool up = *snake == '_';
        if (up)
            snake++;
        if (*camel != (up ? (char)toupper((unsigned char)*snake) : *snake) || !*snake)
            return false;
    }
    return *camel == '\0';
}

const ProtobufCFieldDescriptor *
pbjson_field_find(const ProtobufCMessageDescriptor *type, const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(type, name);

    for (unsigned i = 0; i < type->n_fields && !field; i++)
        if (is_camel_of(name, type->fields[i].name))
            field = &type->fields[i];
    return field;
}

const char *
pbjson_field_nearest(const ProtobufCMessageDescriptor *type, const char *name)
{
    const char *best = NULL;

    for (unsigned i = 0; i < type->n_fields; i++)
        best = text_nearer(name, best, type->fields[i].name);
    return best;
}

void
pbjson_field_set_present(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        *(uint32_t *)field_quantifier(message, field) = field->id;
    else if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->quantifier_offset)
        *(protobuf_c_boolean *)field_quantifier(message, field) = 1;
}

const char *
pbjson_field_expects(const ProtobufCFieldDescriptor *field)
{
    if (pbjson_field_is_map(field))
        return "an object";
    switch (field->type) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        return "a number";
    case PROTOBUF_C_TYPE_BOOL:
        return "true or false";
    case PROTOBUF_C_TYPE_STRING:
        return "a string";
    case PROTOBUF_C_TYPE_BYTES:
        return "a base64 string";
    case PROTOBUF_C_TYPE_ENUM:
        return "the name of an enum value";
    case PROTOBUF_C_TYPE_MESSAGE:
        return "an object";
    default:
        return "a whole number";
    }
}
