/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog.h - every event of modelbus, once: type, topic, key, who says it, what it means.
 *
 * The one source for publishing, for decoding, for the topics to create, and for
 * docs/events.md. A new event is a message in proto/ and a row in catalog.c.
 *
 * The Kafka key of an event is the value of its key field in workspace "default", and
 * "<workspace>/<value>" in any other, because names are unique only within a workspace and a
 * compacted topic keeps one value a key. The envelope's subject is the bare value.
 *
 * Topics have 4 partitions, which is how many instances of a service can share the work;
 * endpoint-state and dlq have 1: every pod reads all of the former anyway, and the latter is read by
 * people. A topic with another number, made by an operator, works as well.
 */
#pragma once

#include "arena/arena.h"
#include "buf/buf.h"
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
/* The key field's value; never NULL, may be empty. Lives as long as event. */
const char *event_key(const struct event_type *type, const ProtobufCMessage *event);
/* "<prefix>.<suffix>" in a caller's buffer of 256. */
void event_topic_name(const char *prefix, const char *suffix, char name[256]);

/* Create what is missing, by the table; partitions 0: each row's own number. */
MUST_CHECK enum err_code event_topics_create(const struct bus_options *bus, const char *prefix,
                                             int partitions, int timeout_ms, struct err *err);

/* docs/events.md: topics, and of each event its key, who says it, what it means and its fields. */
void event_catalog_markdown(struct buf *out);
/* docs/asyncapi.json: the same as an AsyncAPI 3.0 document. */
void event_catalog_asyncapi(struct buf *out);
