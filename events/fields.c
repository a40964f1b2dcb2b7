/* SPDX-License-Identifier: Apache-2.0 */
/* fields.c - fields of events by name, templates, conditions. */
#include "fields.h"

#include "buf/text.h"

#include <stdlib.h>
#include <string.h>

/* ---- paths ---- */

static bool
is_floating(const ProtobufCFieldDescriptor *field)
{
    return field->type == PROTOBUF_C_TYPE_FLOAT || field->type == PROTOBUF_C_TYPE_DOUBLE;
}

static bool
is_number(const ProtobufCFieldDescriptor *field)
{
    return field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_ENUM &&
           field->type != PROTOBUF_C_TYPE_BOOL;
}

static const ProtobufCFieldDescriptor *
field_named(const ProtobufCMessageDescriptor *type, const char *name, size_t len)
{
    for (unsigned i = 0; i < type->n_fields; i++)
        if (strlen(type->fields[i].name) == len && memcmp(type->fields[i].name, name, len) == 0)
            return &type->fields[i];
    return NULL;
}

static enum err_code
unknown(const ProtobufCMessageDescriptor *type, const char *name, size_t len, struct err *err)
{
    char given[TEXT_NAME_MAX + 1];
    const char *near = NULL;

    if (len > TEXT_NAME_MAX)
        len = TEXT_NAME_MAX;
    memcpy(given, name, len);
    given[len] = '\0';
    for (unsigned i = 0; i < type->n_fields; i++)
        near = text_nearer(given, near, type->fields[i].name);
    return err_set(err, ERR_INVALID, "%s has no field '%s'%s%s", type->short_name, given,
                   near ? "; did you mean " : "", near ? near : "");
}

enum err_code
field_find(const ProtobufCMessageDescriptor *type, const char *path, size_t len,
           const ProtobufCFieldDescriptor **found, bool *many, struct err *err)
{
    const char *p = path, *end = path + len;
    bool repeated = false;

    for (int depth = 0; depth < FIELDS_DEPTH_MAX; depth++) {
        const char *point = memchr(p, '.', (size_t)(end - p));
        size_t n = (size_t)((point ? point : end) - p);
        const ProtobufCFieldDescriptor *field = field_named(type, p, n);
        if (!field)
            return unknown(type, p, n, err);
        repeated |= field->label == PROTOBUF_C_LABEL_REPEATED;
        if (!point) {
            if (field->type == PROTOBUF_C_TYPE_MESSAGE || field->type == PROTOBUF_C_TYPE_BYTES)
                return err_set(err, ERR_INVALID, "'%.*s' is a %s, not a value", (int)len, path,
                               field->type == PROTOBUF_C_TYPE_BYTES ? "field of bytes" : "message");
            *found = field;
            if (many)
                *many = repeated;
            return ERR_OK;
        }
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            return err_set(err, ERR_INVALID, "'%s' of %s has no fields", field->name,
                           type->short_name);
        type = field->descriptor;
        p = point + 1;
    }
    return err_set(err, ERR_INVALID, "'%.*s' is more than %d deep", (int)len, path,
                   FIELDS_DEPTH_MAX);
}

static size_t
element_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    default:
        return 4;
    }
}

static void
add_value(const ProtobufCFieldDescriptor *field, const void *at, struct buf *out)
{
    const ProtobufCEnumValue *value;

    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        buf_int(out, *(const int32_t *)at);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        buf_int(out, *(const uint32_t *)at);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        buf_int(out, *(const int64_t *)at);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        buf_printf(out, "%llu", (unsigned long long)*(const uint64_t *)at);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        buf_double(out, (double)*(const float *)at);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        buf_double(out, *(const double *)at);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        buf_str(out, *(const protobuf_c_boolean *)at ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_ENUM:
        value = protobuf_c_enum_descriptor_get_value(field->descriptor, *(const int *)at);
        if (value)
            buf_str(out, value->name);
        else
            buf_int(out, *(const int *)at);
        break;
    case PROTOBUF_C_TYPE_STRING:
        buf_str(out, *(const char *const *)at ? *(const char *const *)at : "");
        break;
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    }
}

struct values {
    struct buf *out;
    size_t count;
};

static void
add_values(const ProtobufCMessage *message, const char *path, const char *end,
           struct values *values)
{
    const char *point = memchr(path, '.', (size_t)(end - path));
    const ProtobufCFieldDescriptor *field =
        field_named(message->descriptor, path, (size_t)((point ? point : end) - path));
    const char *at = field ? (const char *)message + field->offset : NULL;
    size_t count = 1;

    if (!field)
        return;
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        count = *(const size_t *)((const char *)message + field->quantifier_offset);
        at = *(const char *const *)at;
    } else if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
               *(const uint32_t *)((const char *)message + field->quantifier_offset) != field->id) {
        return; /* another member of the union is set */
    }
    for (size_t i = 0; i < count && values->count <= FIELDS_VALUES_MAX; i++) {
        const char *element = at + i * element_size(field);
        if (point) {
            const ProtobufCMessage *inner = *(const ProtobufCMessage *const *)element;
            if (inner)
                add_values(inner, point + 1, end, values);
            continue;
        }
        if (values->count++)
            buf_str(values->out, ", ");
        if (values->count > FIELDS_VALUES_MAX)
            buf_str(values->out, "...");
        else
            add_value(field, element, values->out);
    }
}

void
field_text(const ProtobufCMessage *message, const char *path, size_t len, struct buf *out)
{
    struct values values = {.out = out};

    add_values(message, path, path + len, &values);
}

/* ---- templates ---- */

/* The next path of a template; text before it is handed to out (may be NULL). False: the end, or
 * *bad: a brace that is not closed. */
static bool
next_path(const char **text, const char **path, size_t *len, struct buf *out, bool *bad)
{
    const char *p = *text;

    *bad = false;
    while (*p) {
        size_t plain = strcspn(p, "{");
        if (out)
            buf_add(out, p, plain);
        p += plain;
        if (!*p)
            break;
        if (p[1] == '{') {
            if (out)
                buf_char(out, '{');
            p += 2;
            continue;
        }
        *path = p + 1;
        *len = strcspn(p + 1, "}");
        *bad = p[1 + *len] == '\0' || *len == 0;
        *text = p + *len + 2;
        return !*bad;
    }
    *text = p;
    return false;
}

enum err_code
template_check(const ProtobufCMessageDescriptor *type, const char *text, bool identity,
               struct err *err)
{
    const ProtobufCFieldDescriptor *field = NULL;
    const char *p = text, *path;
    bool bad, many = false;
    size_t len;

    while (next_path(&p, &path, &len, NULL, &bad)) {
        if (field_find(type, path, len, &field, &many, err))
            return err->code;
        if (identity && (many || is_floating(field)))
            return err_set(err, ERR_INVALID,
                           "'{%.*s}' is %s: it belongs into the annotations, since the labels say "
                           "which alert it is",
                           (int)len, path, many ? "a list" : "a measured number");
    }
    if (bad)
        return err_set(err, ERR_INVALID, "'%.100s': {field} is expected; write {{ for a brace",
                       text);
    return ERR_OK;
}

char *
template_expand(const ProtobufCMessage *message, const char *text, size_t max, struct arena *arena)
{
    CLEANUP(buf_done) struct buf out = {0};
    const char *path;
    size_t len, kept = 0;
    bool bad;

    buf_reserve(&out, strlen(text));
    while (next_path(&text, &path, &len, &out, &bad))
        field_text(message, path, len, &out);
    while (kept < out.len) {
        size_t n = text_utf8_sequence(out.data + kept, out.len - kept);
        if (n == 0 || kept + n > max)
            break;
        kept += n;
    }
    return arena_strndup(arena, out.len ? out.data : "", kept);
}

/* ---- conditions ---- */

enum err_code
condition_check(const ProtobufCMessageDescriptor *type, const char *text, struct err *err)
{
    const ProtobufCFieldDescriptor *field;
    struct matcher m;
    bool many;

    if (matcher_parse(text, &m, err) ||
        field_find(type, m.name, strlen(m.name), &field, &many, err))
        return err->code;
    if (many)
        return err_set(err, ERR_INVALID, "'%s' is a list; a condition is on one value", m.name);
    if (m.op >= MATCH_LT && !is_number(field))
        return err_set(err, ERR_INVALID, "'%.100s': '%s' is not a number", text, m.name);
    return ERR_OK;
}

bool
condition_holds(const ProtobufCMessage *message, const char *text)
{
    CLEANUP(buf_done) struct buf value = {0};
    struct matcher m;
    struct err err;

    if (matcher_parse(text, &m, &err))
        return false;
    buf_reserve(&value, 1);
    field_text(message, m.name, strlen(m.name), &value);
    return matcher_holds(&m, value.len ? value.data : "");
}
