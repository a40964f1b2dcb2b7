/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what reading, writing and checking share: layout, paths, scalars. */
#pragma once

#include "pbjson/pbjson.h"

/* Where a value is, for messages: a list from the innermost name outwards. */
struct path {
    const struct path *up;
    const char *name; /* NULL: an index */
    size_t index;
};

struct reader {
    struct arena *arena;
    unsigned flags;
    struct err *err;
};

/* err_set() with "path: " in front. */
enum err_code pbjson_path_error(struct err *err, enum err_code code, const struct path *path,
                                const char *format, ...) PRINTF_LIKE(4, 5);

/* NULL past the arena's limit: what comes from outside must not abort. */
void *pbjson_alloc(struct arena *arena, size_t bytes);

/* Bytes of one element as protobuf-c lays it out. */
size_t pbjson_field_size(const ProtobufCFieldDescriptor *field);
bool pbjson_field_is_map(const ProtobufCFieldDescriptor *field);
const ProtobufCFieldDescriptor *pbjson_field_find(const ProtobufCMessageDescriptor *type,
                                                  const char *name);
const char *pbjson_field_nearest(const ProtobufCMessageDescriptor *type, const char *name);
/* Mark a singular field as given: its has_ flag or its oneof's case. */
void pbjson_field_set_present(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);

/* One scalar from text. loose: booleans and enum numbers too, as in map keys, paths and
 * query parameters. */
MUST_CHECK enum err_code pbjson_scalar_from_text(struct reader *r,
                                                 const ProtobufCFieldDescriptor *field,
                                                 const char *text, size_t len, bool loose,
                                                 const struct path *path, void *member);
/* A whole number into a field of an integer, enum or floating type. */
MUST_CHECK enum err_code pbjson_scalar_from_integer(struct reader *r,
                                                    const ProtobufCFieldDescriptor *field,
                                                    bool negative, uint64_t magnitude,
                                                    const struct path *path, void *member);
MUST_CHECK enum err_code pbjson_scalar_from_double(struct reader *r,
                                                   const ProtobufCFieldDescriptor *field, double x,
                                                   const struct path *path, void *member);
/* "a number", "a string", … */
const char *pbjson_field_expects(const ProtobufCFieldDescriptor *field);

static inline void *
field_at(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (char *)message + field->offset;
}

static inline void *
field_quantifier(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (char *)message + field->quantifier_offset;
}
