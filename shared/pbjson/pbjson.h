/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pbjson.h - JSON <-> protobuf, driven by protobuf-c's descriptors.
 *
 * Follows the ProtoJSON mapping (https://protobuf.dev/programming-guides/json/) with
 * modelbus' choices: names in snake_case as in the .proto (lowerCamelCase is accepted on
 * reading), enums by full value name and by number, 64-bit integers as JSON numbers on writing
 * (strings are accepted on reading), bytes as standard base64, maps as objects (a map is
 * a repeated message with fields key and value), NaN and infinities as the strings
 * "NaN", "Infinity", "-Infinity", default values left out unless PBJSON_DEFAULTS.
 * Field names ending in _ms stay integers; nothing is renamed.
 *
 * Reading rejects unknown fields (with the nearest name), wrong types, numbers out of
 * range, duplicates, invalid UTF-8 and embedded NULs; the error has the path
 * ("metrics[3].value: expected a number, got a string").
 */
#pragma once

#include "arena/arena.h"
#include "buf/buf.h"
#include "err/err.h"

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

enum { PBJSON_DEFAULTS = 1, PBJSON_PRETTY = 2, PBJSON_IGNORE_UNKNOWN = 4 };

/* message from JSON text (an object). */
MUST_CHECK enum err_code pbjson_read(const ProtobufCMessageDescriptor *type, const char *text,
                                     size_t len, unsigned flags, struct arena *arena,
                                     ProtobufCMessage **message, struct err *err);
/* The same from a parsed value (borrowed). */
MUST_CHECK enum err_code pbjson_from(const ProtobufCMessageDescriptor *type, const json_t *value,
                                     unsigned flags, struct arena *arena,
                                     ProtobufCMessage **message, struct err *err);
void pbjson_write(const ProtobufCMessage *message, unsigned flags, struct buf *out);

/* Set one field of *message from text ("42", "true", "EXPERIMENT_ACTIVE"), as for path segments and
 * query parameters; a repeated field is appended to. ERR_NOT_FOUND: no such field. */
MUST_CHECK enum err_code pbjson_set(ProtobufCMessage *message, const char *field, const char *text,
                                    struct arena *arena, struct err *err);

/* All strings valid UTF-8 without NUL, enums known or zero: what protobuf-c does not check. */
MUST_CHECK enum err_code pbjson_check(const ProtobufCMessage *message, struct err *err);
