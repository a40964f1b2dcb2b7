/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fields.h - any field of any event by its name, through the messages' descriptors.
 *
 * A path is names separated by points: "endpoint", "target.version", "columns.column". Through a
 * repeated field it means all elements. A template is text with paths in braces: "{endpoint}:
 * {drifted} columns ({columns.column})"; several values are joined by ", ", at most
 * FIELDS_VALUES_MAX; "{{" is a brace. Bytes cannot be named. Nothing here does I/O; any thread.
 */
#pragma once

#include "arena/arena.h"
#include "buf/buf.h"
#include "matcher.h"

#include <protobuf-c/protobuf-c.h>

#define FIELDS_VALUES_MAX 20
#define FIELDS_DEPTH_MAX 8

/* The last field of a path. *many (may be NULL): it goes through a repeated field. ERR_INVALID
 * names the nearest. */
MUST_CHECK enum err_code field_find(const ProtobufCMessageDescriptor *type, const char *path,
                                    size_t len, const ProtobufCFieldDescriptor **field, bool *many,
                                    struct err *err);
/* Append the value of a path that was found, as text. */
void field_text(const ProtobufCMessage *message, const char *path, size_t len, struct buf *out);

/* identity: for a label, so neither repeated nor floating-point. */
MUST_CHECK enum err_code template_check(const ProtobufCMessageDescriptor *type, const char *text,
                                        bool identity, struct err *err);
/* Of a template that was checked; cut to max bytes of valid UTF-8. In arena. */
char *template_expand(const ProtobufCMessage *message, const char *text, size_t max,
                      struct arena *arena);

/* A matcher on a field of the event; comparisons of numbers need a numeric field. */
MUST_CHECK enum err_code condition_check(const ProtobufCMessageDescriptor *type, const char *text,
                                         struct err *err);
bool condition_holds(const ProtobufCMessage *message, const char *text);
