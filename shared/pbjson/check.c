/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - one field from text, and what protobuf-c does not check after unpacking. */
#include "pbjson/internal.h"

#include "buf/text.h"

#include <string.h>

/* Room for one more element. Copies: nobody knows who allocated the array, and how large. */
static void *
append_slot(struct reader *r, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    size_t n = *(size_t *)field_quantifier(message, field);
    char **items = field_at(message, field);
    size_t size = pbjson_field_size(field);
    char *more = pbjson_alloc(r->arena, (n + 1) * size);

    if (!more)
        return NULL;
    if (n)
        memcpy(more, *items, n * size);
    *items = more;
    return more + n * size;
}

enum err_code
pbjson_set(ProtobufCMessage *message, const char *field, const char *text, struct arena *arena,
           struct err *err)
{
    const ProtobufCFieldDescriptor *f = pbjson_field_find(message->descriptor, field);
    const struct path path = {NULL, field, 0};
    struct reader r = {arena, 0, err};

    if (!f) {
        const char *near = pbjson_field_nearest(message->descriptor, field);
        return pbjson_path_error(err, ERR_NOT_FOUND, &path, "no such field in %s%s%s%s",
                                 message->descriptor->short_name, near ? " (did you mean " : "",
                                 near ? near : "", near ? "?)" : "");
    }
    if (f->type == PROTOBUF_C_TYPE_MESSAGE)
        return pbjson_path_error(err, ERR_INVALID, &path, "cannot be given as text");
    if (f->label != PROTOBUF_C_LABEL_REPEATED) {
        if (pbjson_scalar_from_text(&r, f, text, strlen(text), true, &path, field_at(message, f)))
            return err->code;
        pbjson_field_set_present(message, f);
        return ERR_OK;
    }
    void *slot = append_slot(&r, message, f);
    if (!slot)
        return pbjson_path_error(err, ERR_TOO_LARGE, &path, "the message is too large");
    if (pbjson_scalar_from_text(&r, f, text, strlen(text), true, &path, slot))
        return err->code;
    ++*(size_t *)field_quantifier(message, f);
    return ERR_OK;
}

static enum err_code check_message(const ProtobufCMessage *message, const struct path *path,
                                   struct err *err);

static enum err_code
check_value(const ProtobufCFieldDescriptor *field, const void *member, const struct path *path,
            struct err *err)
{
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        const char *s = *(char *const *)member;
        if (s && !text_utf8_valid(s, strlen(s)))
            return pbjson_path_error(err, ERR_INVALID, path, "not UTF-8");
    } else if (field->type == PROTOBUF_C_TYPE_ENUM) {
        int32_t n = *(const int32_t *)member;
        if (n != 0 && !protobuf_c_enum_descriptor_get_value(field->descriptor, n))
            return pbjson_path_error(err, ERR_INVALID, path, "no enum value has the number %d",
                                     (int)n);
    } else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        const ProtobufCMessage *message = *(ProtobufCMessage *const *)member;
        if (message)
            return check_message(message, path, err);
    }
    return ERR_OK;
}

static enum err_code
check_message(const ProtobufCMessage *message, const struct path *path, struct err *err)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;

    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        const struct path here = {path, field->name, 0};
        if (field->label != PROTOBUF_C_LABEL_REPEATED) {
            bool given = !(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) ||
                         *(uint32_t *)field_quantifier(message, field) == field->id;
            if (given && check_value(field, field_at(message, field), &here, err))
                return err->code;
            continue;
        }
        size_t n = *(size_t *)field_quantifier(message, field);
        const char *items = *(char *const *)field_at(message, field);
        for (size_t k = 0; k < n; k++) {
            const struct path item = {&here, NULL, k};
            if (check_value(field, items + k * pbjson_field_size(field), &item, err))
                return err->code;
        }
    }
    return ERR_OK;
}

enum err_code
pbjson_check(const ProtobufCMessage *message, struct err *err)
{
    return check_message(message, NULL, err);
}
