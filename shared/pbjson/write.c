/* SPDX-License-Identifier: Apache-2.0 */
/* write.c - a message as JSON text, straight into a buffer. */
#include "pbjson/internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct writer {
    struct buf *out;
    unsigned flags;
    int depth;
};

static void write_message(struct writer *w, const ProtobufCMessage *message);

static void
new_line(struct writer *w)
{
    if (!(w->flags & PBJSON_PRETTY))
        return;
    buf_char(w->out, '\n');
    for (int i = 0; i < w->depth; i++)
        buf_str(w->out, "  ");
}

static void
open_level(struct writer *w, char bracket)
{
    buf_char(w->out, bracket);
    w->depth++;
}

/* empty: nothing was written since open_level(). */
static void
close_level(struct writer *w, char bracket, bool empty)
{
    w->depth--;
    if (!empty)
        new_line(w);
    buf_char(w->out, bracket);
}

static void
begin_item(struct writer *w, bool first)
{
    if (!first)
        buf_char(w->out, ',');
    new_line(w);
}

static void
end_name(struct writer *w)
{
    buf_add(w->out, ": ", w->flags & PBJSON_PRETTY ? 2 : 1);
}

static void
write_double(struct buf *out, double x)
{
    if (x == 0 && signbit(x)) { /* many readers take "-0" for the integer 0 */
        buf_str(out, "-0.0");
        return;
    }
    if (isfinite(x)) {
        buf_double(out, x);
        return;
    }
    buf_char(out, '"');
    buf_double(out, x);
    buf_char(out, '"');
}

static void
write_float(struct buf *out, float x)
{
    char text[32];

    if (!isfinite(x) || (x == truncf(x) && fabsf(x) < 1e7f)) {
        write_double(out, (double)x);
        return;
    }
    for (int digits = isnormal(x) ? 6 : 1; digits <= 9; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, (double)x);
        if (strtof(text, NULL) == x)
            break;
    }
    buf_str(out, text);
}

/* Past INT64_MAX as a string: most readers' numbers, ours among them, end there. */
static void
write_unsigned(struct buf *out, uint64_t n)
{
    if (n <= INT64_MAX)
        buf_int(out, (int64_t)n);
    else
        buf_printf(out, "\"%" PRIu64 "\"", n);
}

static void
write_base64(struct buf *out, const ProtobufCBinaryData *bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    buf_reserve(out, bytes->len / 3 * 4 + 6);
    buf_char(out, '"');
    for (size_t i = 0; i < bytes->len; i += 3) {
        size_t left = bytes->len - i;
        uint32_t bits = (uint32_t)bytes->data[i] << 16 |
                        (left > 1 ? (uint32_t)bytes->data[i + 1] << 8 : 0) |
                        (left > 2 ? bytes->data[i + 2] : 0u);
        const char four[4] = {digits[bits >> 18], digits[bits >> 12 & 63],
                              left > 1 ? digits[bits >> 6 & 63] : '=',
                              left > 2 ? digits[bits & 63] : '='};
        buf_add(out, four, sizeof(four));
    }
    buf_char(out, '"');
}

static void
write_enum(struct buf *out, const ProtobufCEnumDescriptor *type, int32_t n)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, n);

    if (!value) {
        buf_int(out, n);
        return;
    }
    buf_char(out, '"');
    buf_str(out, value->name);
    buf_char(out, '"');
}

static void
write_value(struct writer *w, const ProtobufCFieldDescriptor *field, const void *member)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        buf_int(w->out, *(const int32_t *)member);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        buf_int(w->out, *(const uint32_t *)member);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        buf_int(w->out, *(const int64_t *)member);
        break;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        write_unsigned(w->out, *(const uint64_t *)member);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        write_float(w->out, *(const float *)member);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        write_double(w->out, *(const double *)member);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        buf_str(w->out, *(const protobuf_c_boolean *)member ? "true" : "false");
        break;
    case PROTOBUF_C_TYPE_ENUM:
        write_enum(w->out, field->descriptor, *(const int32_t *)member);
        break;
    case PROTOBUF_C_TYPE_STRING: {
        const char *s = *(char *const *)member;
        buf_json_str(w->out, s ? s : "", s ? strlen(s) : 0);
        break;
    }
    case PROTOBUF_C_TYPE_BYTES:
        write_base64(w->out, member);
        break;
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessage *message = *(ProtobufCMessage *const *)member;
        if (message)
            write_message(w, message);
        else
            buf_str(w->out, "{}");
        break;
    }
    }
}

static void
write_repeated(struct writer *w, const ProtobufCFieldDescriptor *field, const char *items, size_t n)
{
    size_t size = pbjson_field_size(field);

    open_level(w, '[');
    for (size_t i = 0; i < n; i++) {
        begin_item(w, i == 0);
        write_value(w, field, items + i * size);
    }
    close_level(w, ']', n == 0);
}

static void
write_map(struct writer *w, const ProtobufCFieldDescriptor *field, ProtobufCMessage *const *entries,
          size_t n)
{
    const ProtobufCFieldDescriptor *fields =
        ((const ProtobufCMessageDescriptor *)field->descriptor)->fields;

    open_level(w, '{');
    for (size_t i = 0; i < n; i++) {
        bool quote = fields[0].type != PROTOBUF_C_TYPE_STRING;
        begin_item(w, i == 0);
        if (quote)
            buf_char(w->out, '"');
        write_value(w, &fields[0], field_at(entries[i], &fields[0]));
        if (quote)
            buf_char(w->out, '"');
        end_name(w);
        write_value(w, &fields[1], field_at(entries[i], &fields[1]));
    }
    close_level(w, '}', n == 0);
}

/* The proto3 default: all bits zero (so -0.0 is a value), or empty. */
static bool
is_default(const ProtobufCFieldDescriptor *field, const void *member)
{
    static const char zeros[8];

    if (field->type == PROTOBUF_C_TYPE_STRING) {
        const char *s = *(char *const *)member;
        return !s || !*s;
    }
    if (field->type == PROTOBUF_C_TYPE_BYTES)
        return ((const ProtobufCBinaryData *)member)->len == 0;
    return memcmp(member, zeros, pbjson_field_size(field)) == 0;
}

static bool
is_written(const struct writer *w, const ProtobufCMessage *message,
           const ProtobufCFieldDescriptor *field)
{
    const void *member = field_at(message, field);

    if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
        return *(const uint32_t *)field_quantifier(message, field) == field->id;
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return (w->flags & PBJSON_DEFAULTS) ||
               *(const size_t *)field_quantifier(message, field) > 0;
    if (field->type == PROTOBUF_C_TYPE_MESSAGE)
        return *(void *const *)member != NULL;
    if (field->label == PROTOBUF_C_LABEL_OPTIONAL)
        return field->quantifier_offset
                   ? *(const protobuf_c_boolean *)field_quantifier(message, field)
                   : *(void *const *)member != NULL;
    return (w->flags & PBJSON_DEFAULTS) || !is_default(field, member);
}

static void
write_message(struct writer *w, const ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;
    bool first = true;

    open_level(w, '{');
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        if (!is_written(w, message, field))
            continue;
        begin_item(w, first);
        first = false;
        buf_char(w->out, '"');
        buf_str(w->out, field->name);
        buf_char(w->out, '"');
        end_name(w);
        if (field->label != PROTOBUF_C_LABEL_REPEATED) {
            write_value(w, field, field_at(message, field));
            continue;
        }
        size_t n = *(const size_t *)field_quantifier(message, field);
        const void *items = *(void *const *)field_at(message, field);
        if (pbjson_field_is_map(field))
            write_map(w, field, items, n);
        else
            write_repeated(w, field, items, n);
    }
    close_level(w, '}', first);
}

void
pbjson_write(const ProtobufCMessage *message, unsigned flags, struct buf *out)
{
    struct writer w = {out, flags, 0};

    write_message(&w, message);
}
