/* SPDX-License-Identifier: Apache-2.0 */
/* scalar.c - text and numbers into the members of a message, within their ranges. */
#include "pbjson/internal.h"

#include "buf/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TWO_63 9223372036854775808.0
#define FLOAT_OVERFLOW 0x1.ffffffp127 /* from here on a double rounds to an infinite float */

static enum err_code
out_of_range(struct reader *r, const struct path *path)
{
    return pbjson_path_error(r->err, ERR_INVALID, path, "number out of range");
}

static enum err_code
too_large(struct reader *r, const struct path *path)
{
    return pbjson_path_error(r->err, ERR_TOO_LARGE, path, "the message is too large");
}

enum err_code
pbjson_scalar_from_integer(struct reader *r, const ProtobufCFieldDescriptor *field, bool negative,
                           uint64_t magnitude, const struct path *path, void *member)
{
    /* In two's complement; meaningful for the checks below only when it fits. */
    int64_t n = (int64_t)(negative ? 0 - magnitude : magnitude);
    bool fits_64 = magnitude <= (uint64_t)INT64_MAX + negative;

    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        if (!fits_64 || n < INT32_MIN || n > INT32_MAX)
            return out_of_range(r, path);
        *(int32_t *)member = (int32_t)n;
        return ERR_OK;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        if ((negative && magnitude) || magnitude > UINT32_MAX)
            return out_of_range(r, path);
        *(uint32_t *)member = (uint32_t)magnitude;
        return ERR_OK;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        if (!fits_64)
            return out_of_range(r, path);
        *(int64_t *)member = n;
        return ERR_OK;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        if (negative && magnitude)
            return out_of_range(r, path);
        *(uint64_t *)member = magnitude;
        return ERR_OK;
    case PROTOBUF_C_TYPE_ENUM:
        if (!fits_64 || n < INT32_MIN || n > INT32_MAX ||
            !protobuf_c_enum_descriptor_get_value(field->descriptor, (int)n))
            return pbjson_path_error(r->err, ERR_INVALID, path, "no enum value has this number");
        *(int32_t *)member = (int32_t)n;
        return ERR_OK;
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        return pbjson_scalar_from_double(
            r, field, negative ? -(double)magnitude : (double)magnitude, path, member);
    default:
        return pbjson_path_error(r->err, ERR_INVALID, path, "expected %s, got a number",
                                 pbjson_field_expects(field));
    }
}

enum err_code
pbjson_scalar_from_double(struct reader *r, const ProtobufCFieldDescriptor *field, double x,
                          const struct path *path, void *member)
{
    if (field->type == PROTOBUF_C_TYPE_DOUBLE) {
        *(double *)member = x;
        return ERR_OK;
    }
    if (field->type == PROTOBUF_C_TYPE_FLOAT) {
        if (isfinite(x) && fabs(x) >= FLOAT_OVERFLOW)
            return out_of_range(r, path);
        *(float *)member = (float)x;
        return ERR_OK;
    }
    /* 1.0 and 1e3 are whole numbers (ProtoJSON). */
    if (!isfinite(x) || x != trunc(x))
        return pbjson_path_error(r->err, ERR_INVALID, path, "expected %s, got a number",
                                 pbjson_field_expects(field));
    if (fabs(x) >= 2 * TWO_63)
        return out_of_range(r, path);
    return pbjson_scalar_from_integer(r, field, x < 0, (uint64_t)fabs(x), path, member);
}

/* -?(0|[1-9][0-9]*), at most 64 bits. */
static bool
parse_integer(const char *s, size_t len, bool *negative, uint64_t *magnitude)
{
    uint64_t n = 0;

    *negative = len > 0 && *s == '-';
    s += *negative;
    len -= *negative;
    if (len == 0 || (len > 1 && *s == '0'))
        return false;
    for (; len > 0; len--, s++)
        if (*s < '0' || *s > '9' || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
            return false;
    *magnitude = n;
    return true;
}

static bool
parse_double(const char *s, size_t len, double *x)
{
    char copy[64];
    char *end;

    if (strcmp(s, "NaN") == 0)
        *x = NAN;
    else if (strcmp(s, "Infinity") == 0 || strcmp(s, "-Infinity") == 0)
        *x = *s == '-' ? -INFINITY : INFINITY;
    else {
        if (len == 0 || len >= sizeof(copy) || *s == '+' || strspn(s, "+-.0123456789eE") != len)
            return false;
        memcpy(copy, s, len + 1);
        *x = strtod(copy, &end);
        return *end == '\0' && isfinite(*x);
    }
    return true;
}

static enum err_code
read_string(struct reader *r, const char *text, size_t len, const struct path *path, char **out)
{
    if (memchr(text, '\0', len) || !text_utf8_valid(text, len))
        return pbjson_path_error(r->err, ERR_INVALID, path, "not UTF-8, or with a NUL");
    char *copy = pbjson_alloc(r->arena, len + 1);
    if (!copy)
        return too_large(r, path);
    memcpy(copy, text, len);
    copy[len] = '\0';
    *out = copy;
    return ERR_OK;
}

static int
base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

/* Either alphabet, with or without padding. */
static enum err_code
read_bytes(struct reader *r, const char *text, size_t len, const struct path *path,
           ProtobufCBinaryData *out)
{
    uint32_t bits = 0;
    int have = 0;
    size_t n = 0;

    if (len % 4 == 0)
        for (int pad = 0; pad < 2 && len > 0 && text[len - 1] == '='; pad++)
            len--;
    uint8_t *bytes = pbjson_alloc(r->arena, len / 4 * 3 + 3);
    if (!bytes)
        return too_large(r, path);
    for (size_t i = 0; i < len; i++) {
        int digit = base64_digit(text[i]);
        if (digit < 0 || len % 4 == 1)
            return pbjson_path_error(r->err, ERR_INVALID, path, "not base64");
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            bytes[n++] = (uint8_t)(bits >> have);
        }
    }
    out->data = bytes;
    out->len = n;
    return ERR_OK;
}

static enum err_code
read_enum(struct reader *r, const ProtobufCFieldDescriptor *field, const char *text,
          const struct path *path, int32_t *out)
{
    const ProtobufCEnumDescriptor *type = field->descriptor;
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value_by_name(type, text);
    const char *best = NULL;

    if (value) {
        *out = value->value;
        return ERR_OK;
    }
    for (unsigned i = 0; i < type->n_value_names; i++)
        best = text_nearer(text, best, type->values_by_name[i].name);
    return pbjson_path_error(r->err, ERR_INVALID, path, "'%.100s' is not a value of %s%s%s%s", text,
                             type->short_name, best ? " (did you mean " : "", best ? best : "",
                             best ? "?)" : "");
}

enum err_code
pbjson_scalar_from_text(struct reader *r, const ProtobufCFieldDescriptor *field, const char *text,
                        size_t len, bool loose, const struct path *path, void *member)
{
    bool negative;
    uint64_t magnitude;
    double x;

    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return read_string(r, text, len, path, member);
    case PROTOBUF_C_TYPE_BYTES:
        return read_bytes(r, text, len, path, member);
    case PROTOBUF_C_TYPE_ENUM:
        if (loose && parse_integer(text, len, &negative, &magnitude))
            return pbjson_scalar_from_integer(r, field, negative, magnitude, path, member);
        return read_enum(r, field, text, path, member);
    case PROTOBUF_C_TYPE_BOOL:
        if (!loose || (strcmp(text, "true") != 0 && strcmp(text, "false") != 0))
            break;
        *(protobuf_c_boolean *)member = *text == 't';
        return ERR_OK;
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        if (!parse_double(text, len, &x))
            break;
        return pbjson_scalar_from_double(r, field, x, path, member);
    case PROTOBUF_C_TYPE_MESSAGE:
        break;
    default:
        if (!parse_integer(text, len, &negative, &magnitude))
            break;
        return pbjson_scalar_from_integer(r, field, negative, magnitude, path, member);
    }
    return pbjson_path_error(r->err, ERR_INVALID, path, "expected %s, got '%.100s'",
                             pbjson_field_expects(field), text);
}
