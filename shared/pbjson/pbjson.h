/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pbjson.h - JSON <-> protobuf, driven by protobuf-c's descriptors.
 *
 * Follows the ProtoJSON mapping (https://protobuf.dev/programming-guides/json/) with
 * modelbus' choices: names in snake_case as in the .proto (lowerCamelCase is accepted on
 * reading), enums by full value name and by number, 64-bit integers as JSON numbers on writing
 * (a uint64 past INT64_MAX as a string; strings are accepted on reading), bytes as standard
 * base64 (reading takes the URL-safe alphabet and missing padding too), maps as objects (a
 * map is a repeated message named …Entry with exactly the fields key and value), NaN and
 * infinities as the strings "NaN", "Infinity", "-Infinity", default values left out unless
 * PBJSON_DEFAULTS. Field names ending in _ms stay integers; nothing is renamed.
 *
 * Reading rejects unknown fields (with the nearest name), wrong types, numbers out of
 * range, duplicates, two fields of one oneof, invalid UTF-8 and embedded NULs, and more
 * than 64 levels; null is the same as leaving a field out. The error has the path
 * ("metrics[3].value: expected a number, got a string"). ERR_INVALID, or ERR_TOO_LARGE when
 * the message would pass the arena's limit. Any thread, one at a time for each arena.
 */
#pragma once

#include "arena/arena.h"
#include "buf/buf.h"
#include "err/err.h"

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

enum {
    PBJSON_DEFAULTS = 1,       /* write default values and empty lists too */
    PBJSON_PRETTY = 2,         /* write with line breaks, two blanks a level */
    PBJSON_IGNORE_UNKNOWN = 4, /* read past fields that the message does not have */
    PBJSON_TEXT = 8 /* booleans may be given as text: of sources whose scalars have no types */
};

/* Message from JSON text (an object); it lives in the arena and borrows nothing of text. */
MUST_CHECK enum err_code pbjson_read(const ProtobufCMessageDescriptor *type, const char *text,
                                     size_t len, unsigned flags, struct arena *arena,
                                     ProtobufCMessage **message, struct err *err);
/* The same from a parsed value (borrowed). */
MUST_CHECK enum err_code pbjson_from(const ProtobufCMessageDescriptor *type, const json_t *value,
                                     unsigned flags, struct arena *arena,
                                     ProtobufCMessage **message, struct err *err);
/* Append message as a JSON object; PBJSON_DEFAULTS and PBJSON_PRETTY apply. Bytes of strings that
 * are not UTF-8 become U+FFFD. */
void pbjson_write(const ProtobufCMessage *message, unsigned flags, struct buf *out);

/* Set one field of *message from text ("42", "true", "EXPERIMENT_ACTIVE"), as for path segments and
 * query parameters; a repeated field is appended to. ERR_NOT_FOUND: no such field. */
MUST_CHECK enum err_code pbjson_set(ProtobufCMessage *message, const char *field, const char *text,
                                    struct arena *arena, struct err *err);

/* All strings valid UTF-8, enums known or zero: what protobuf-c does not check when it unpacks.
 * (A NUL within a string cuts it there; protobuf-c does not keep what followed.) */
MUST_CHECK enum err_code pbjson_check(const ProtobufCMessage *message, struct err *err);
