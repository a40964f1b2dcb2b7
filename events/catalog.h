/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog.h - every event of modelbus, once: type, topic, key, who says it, what it means.
 *
 * The one source for publishing, for decoding, for the topics to create, and for
 * docs/events.md. A new event is a message in proto/ and a row in catalog.c.
 */
#pragma once

#include "arena/arena.h"
#include "bus/bus.h"
#include "err/err.h"

#include <protobuf-c/protobuf-c.h>

struct event_topic {
    const char *suffix; /* "registry": the topic is <prefix>.registry; NULL ends the table */
    const char *doc;
    int partitions; /* when modelbus creates it */
    bool compacted; /* a state topic: the newest value of a key is the truth */
};
extern const struct event_topic event_topics[];

struct event_type {
    const ProtobufCMessageDescriptor
        *descriptor;   /* its full name is the CloudEvents type; NULL ends the table */
    const char *topic; /* suffix */
    const char
        *key_field; /* string field whose value is the Kafka key; messages of a key stay in order */
    const char *producer; /* service */
    const char *doc;
};
extern const struct event_type event_types[];

const struct event_type *
event_type_of(const ProtobufCMessageDescriptor *descriptor); /* NULL: not an event */
const struct event_type *
event_type_named(const char *type); /* "modelbus.registry.v1.ModelRegistered", or its last part */
/* "<prefix>.<suffix>" in a caller's buffer of 256. */
void event_topic_name(const char *prefix, const char *suffix, char name[256]);

/* Create what is missing, by the table; partitions 0: each row's own number. */
MUST_CHECK enum err_code event_topics_create(const struct bus_options *bus, const char *prefix,
                                             int partitions, int timeout_ms, struct err *err);
