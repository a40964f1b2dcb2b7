/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope.h - CloudEvents 1.0, Kafka protocol binding, binary content mode
 * (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md).
 *
 * Headers: ce_specversion, ce_id, ce_source, ce_type, ce_time, ce_subject, ce_dataschema,
 * ce_workspace and ce_causationid (extensions), content-type: application/protobuf, traceparent. The value is the
 * plain message. Required of others' events: ce_id, ce_source and ce_type. ce_workspace missing means "default";
 * ce_causationid is the id of the event during whose handling this one was said (origin.h), and is
 * not there when it was no event (a command, a clock) or its producer does not say it;
 * ce_specversion, when given, must be 1.x; another content-type is refused.
 *
 * What a consumer does with a message that is not a good event:
 *   no ce_type/ce_id/ce_source, wrong specversion or content-type,
 *   over-long or non-UTF-8 attributes, bad workspace            dead letter (ERR_INVALID)
 *   type of ours on a topic that is not its own                 dead letter (ERR_INVALID)
 *   value that does not decode, invalid UTF-8 in strings        dead letter (ERR_INVALID)
 *   a type the catalogue does not know (a newer minor version, others' events)   skipped, counted
 *   a type that this service has no handler for                 skipped
 *   unknown fields in a known type                              ignored
 *   no value (tombstone)                                        skipped
 */
#pragma once

#include "catalog.h"

#define EVENT_ID_MAX 200
#define EVENT_SOURCE_MAX 200

struct event_envelope {
    char id[EVENT_ID_MAX + 1];
    char source[EVENT_SOURCE_MAX + 1]; /* "/modelbus/registry" */
    char type[200];
    char subject[256];
    char workspace[64];
    int64_t time_ms;
    char traceparent[56];         /* empty: none */
    char cause[EVENT_ID_MAX + 1]; /* ce_causationid; empty: none */
};

/* Headers and value of an event in arena; envelope.id empty: a new UUIDv7; trace and
 * cause, when empty, are those of the thread (origin.h). topic gets the full name. */
MUST_CHECK enum err_code event_encode(const char *prefix, struct event_envelope *envelope,
                                      const ProtobufCMessage *event, struct arena *arena,
                                      struct bus_message *message, struct err *err);

/* *type NULL (and ERR_OK): a good envelope of a type that is not in the catalogue. *event NULL with
 * *type set: no value (tombstone). A tombstone without headers is ERR_INVALID like any message
 * without ce_type: look at message->value first. Otherwise *event is
 * unpacked into arena; the arena's limit bounds amplification. */
MUST_CHECK enum err_code event_decode(const char *prefix, const struct bus_message *message,
                                      struct arena *arena, struct event_envelope *envelope,
                                      const struct event_type **type, ProtobufCMessage **event,
                                      struct err *err);
