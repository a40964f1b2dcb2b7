/* SPDX-License-Identifier: Apache-2.0 */
/* read.c - a parsed JSON value into a message within an arena. */
#include "pbjson/internal.h"

#include <string.h>

#define DEPTH_MAX 64

static enum err_code read_message(struct reader *r, const ProtobufCMessageDescriptor *type,
                                  const json_t *value, const struct path *path, int depth,
                                  ProtobufCMessage **out);

static const char *
json_kind(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        break;
    }
    return "null";
}

static enum err_code
wrong_type(struct reader *r, const struct path *path, const char *expected, const json_t *got)
{
    return pbjson_path_error(r->err, ERR_INVALID, path, "expected %s, got %s", expected,
                             json_kind(got));
}

/* One value of the field's type, repeated or not. */
static enum err_code
read_value(struct reader *r, const ProtobufCFieldDescriptor *field, const json_t *value,
           const struct path *path, int depth, void *member)
{
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return read_message(r, field->descriptor, value, path, depth + 1, member);
    switch (json_typeof(value)) {
    case JSON_STRING:
        if (field->type == PROTOBUF_C_TYPE_BOOL && !(r->flags & PBJSON_TEXT))
            break;
        return pbjson_scalar_from_text(r, field, json_string_value(value),
                                       json_string_length(value), (r->flags & PBJSON_TEXT) != 0,
                                       path, member);
    case JSON_INTEGER: {
        json_int_t n = json_integer_value(value);
        return pbjson_scalar_from_integer(r, field, n < 0, n < 0 ? 0 - (uint64_t)n : (uint64_t)n,
                                          path, member);
    }
    case JSON_REAL:
        return pbjson_scalar_from_double(r, field, json_real_value(value), path, member);
    case JSON_TRUE:
    case JSON_FALSE:
        if (field->type != PROTOBUF_C_TYPE_BOOL)
            break;
        *(protobuf_c_boolean *)member = json_is_true(value);
        return ERR_OK;
    default:
        break;
    }
    return wrong_type(r, path, pbjson_field_expects(field), value);
}

static enum err_code
too_large(struct reader *r, const struct path *path)
{
    return pbjson_path_error(r->err, ERR_TOO_LARGE, path, "the message is too large");
}

static enum err_code
read_repeated(struct reader *r, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
              const json_t *value, const struct path *path, int depth)
{
    if (!json_is_array(value))
        return wrong_type(r, path, "an array", value);
    size_t n = json_array_size(value);
    size_t size = pbjson_field_size(field);
    char *items = pbjson_alloc(r->arena, n * size); /* n is below the size of the text */
    if (!items)
        return too_large(r, path);
    for (size_t i = 0; i < n; i++) {
        const struct path here = {path, NULL, i};
        if (read_value(r, field, json_array_get(value, i), &here, depth, items + i * size))
            return r->err->code;
    }
    *(size_t *)field_quantifier(message, field) = n;
    *(void **)field_at(message, field) = n ? items : NULL;
    return ERR_OK;
}

/* NULL with the error set past the arena's limit. */
static ProtobufCMessage *
new_message(struct reader *r, const ProtobufCMessageDescriptor *type, const struct path *path)
{
    ProtobufCMessage *message = pbjson_alloc(r->arena, type->sizeof_message);

    if (message)
        protobuf_c_message_init(type, message);
    else
        too_large(r, path);
    return message;
}

static enum err_code
read_map(struct reader *r, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
         const json_t *value, const struct path *path, int depth)
{
    const ProtobufCMessageDescriptor *type = field->descriptor;
    const char *key;
    json_t *item;
    size_t n = 0;

    if (!json_is_object(value))
        return wrong_type(r, path, "an object", value);
    size_t count = json_object_size(value);
    ProtobufCMessage **entries = pbjson_alloc(r->arena, count * sizeof(*entries));
    if (!entries)
        return too_large(r, path);
    json_object_foreach((json_t *)value, key, item)
    {
        const struct path here = {path, key, 0};
        ProtobufCMessage *entry = new_message(r, type, &here);
        if (!entry ||
            pbjson_scalar_from_text(r, &type->fields[0], key, strlen(key), true, &here,
                                    field_at(entry, &type->fields[0])) ||
            read_value(r, &type->fields[1], item, &here, depth + 1,
                       field_at(entry, &type->fields[1])))
            return r->err->code;
        entries[n++] = entry;
    }
    *(size_t *)field_quantifier(message, field) = n;
    *(void **)field_at(message, field) = n ? entries : NULL;
    return ERR_OK;
}

static enum err_code
read_field(struct reader *r, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
           const json_t *value, const struct path *path, int depth)
{
    if (pbjson_field_is_map(field))
        return read_map(r, message, field, value, path, depth);
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return read_repeated(r, message, field, value, path, depth);
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
        *(uint32_t *)field_quantifier(message, field) != 0)
        return pbjson_path_error(r->err, ERR_INVALID, path,
                                 "another field of this choice is given too");
    if (read_value(r, field, value, path, depth, field_at(message, field)))
        return r->err->code;
    pbjson_field_set_present(message, field);
    return ERR_OK;
}

static enum err_code
read_message(struct reader *r, const ProtobufCMessageDescriptor *type, const json_t *value,
             const struct path *path, int depth, ProtobufCMessage **out)
{
    const char *key;
    json_t *item;

    if (depth > DEPTH_MAX)
        return pbjson_path_error(r->err, ERR_TOO_LARGE, path, "nested more than %d deep",
                                 DEPTH_MAX);
    if (!json_is_object(value))
        return wrong_type(r, path, "an object", value);
    ProtobufCMessage *message = new_message(r, type, path);
    if (!message)
        return r->err->code;
    bool *seen = pbjson_alloc(r->arena, type->n_fields);
    if (!seen)
        return too_large(r, path);
    memset(seen, 0, type->n_fields);
    json_object_foreach((json_t *)value, key, item)
    {
        const struct path here = {path, key, 0};
        const ProtobufCFieldDescriptor *field = pbjson_field_find(type, key);
        if (!field && (r->flags & PBJSON_IGNORE_UNKNOWN))
            continue;
        if (!field) {
            const char *near = pbjson_field_nearest(type, key);
            return pbjson_path_error(r->err, ERR_INVALID, &here, "no such field in %s%s%s%s",
                                     type->short_name, near ? " (did you mean " : "",
                                     near ? near : "", near ? "?)" : "");
        }
        if (seen[field - type->fields])
            return pbjson_path_error(r->err, ERR_INVALID, &here, "given twice");
        seen[field - type->fields] = true;
        if (!json_is_null(item) && read_field(r, message, field, item, &here, depth))
            return r->err->code;
    }
    *out = message;
    return ERR_OK;
}

enum err_code
pbjson_from(const ProtobufCMessageDescriptor *type, const json_t *value, unsigned flags,
            struct arena *arena, ProtobufCMessage **message, struct err *err)
{
    struct reader r = {arena, flags, err};

    return read_message(&r, type, value, NULL, 1, message);
}

/* Jansson recurses up to 2048 deep; our stacks are small. */
static bool
too_deep(const char *text, size_t len)
{
    int depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > DEPTH_MAX)
                return true;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return false;
}

static void
free_json(json_t **value)
{
    json_decref(*value);
}

enum err_code
pbjson_read(const ProtobufCMessageDescriptor *type, const char *text, size_t len, unsigned flags,
            struct arena *arena, ProtobufCMessage **message, struct err *err)
{
    json_error_t why;

    if (too_deep(text, len))
        return err_set(err, ERR_TOO_LARGE, "JSON nested more than %d deep", DEPTH_MAX);
    __attribute__((cleanup(free_json))) json_t *value =
        json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
    if (!value)
        return err_set(err, ERR_INVALID, "JSON, line %d column %d: %.200s", why.line, why.column,
                       why.text);
    return pbjson_from(type, value, flags, arena, message, err);
}
