/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event.h - the event bus as the commands use it: which one, which topic, events as JSON.
 */
#pragma once

#include "command.h"

#include "catalog.h"
#include "envelope.h"

/* Strings are borrowed for the life of *cli. */
MUST_CHECK enum err_code cli_bus(struct cli *cli, struct bus_options *bus, const char **prefix,
                                 struct err *err);
/* "registry", "modelbus.registry.v1.AliasMoved" or "AliasMoved" as a topic and, for a type, that
 * type. ERR_INVALID suggests. */
MUST_CHECK enum err_code cli_topic(const char *word, const struct event_topic **topic,
                                   const struct event_type **type, struct err *err);

/*
 * Each message that the topics hold at this moment, in the order of each partition; visit says false
 * to end. On a terminal the progress is a line on standard error. ERR_UNAVAILABLE.
 */
MUST_CHECK enum err_code event_scan(struct cli *cli, const struct event_topic *const *topics,
                                    size_t count,
                                    bool (*visit)(void *arg, const struct bus_message *message),
                                    void *arg, struct err *err);

/* What the event says in a line of at most max bytes, in arena. */
char *event_line(const ProtobufCMessage *event, size_t max, struct arena *arena);
json_t *event_json(const ProtobufCMessage *event); /* its fields */
int event_color(const char *type);                 /* of its name, on a terminal */

enum err_code event_tail(struct cli *cli, struct err *err);
enum err_code event_trace(struct cli *cli, struct err *err);
