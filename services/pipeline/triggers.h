/* SPDX-License-Identifier: Apache-2.0 */
/*
 * triggers.h - events that start runs.
 *
 * The triggers of all workspaces are kept in memory, and read again when the revision in the
 * database is another one: an event costs one small statement, however many pipelines there are.
 * Only the consumer's thread comes here.
 */
#pragma once

#include "changes.h"

#include "modelbus/deployment/v1/events.pb-c.h"

typedef Modelbus__Deployment__V1__RetrainRequested RetrainRequested;

struct triggers;
struct triggers *triggers_new(void);
void triggers_free(struct triggers *triggers);
CLEANUP_DEFINE(struct triggers, triggers_free)

/* Start the runs that the event triggers. A trigger whose parameters do not fit is logged and passed
 * over: the event is not to blame. */
MUST_CHECK enum err_code triggers_hear(const struct change *change,
                                       const struct event_envelope *envelope,
                                       const ProtobufCMessage *event, struct err *err);

/* An endpoint asks for a run of the pipeline that its drift policy names. The event's fields are
 * given to the parameters of the same names. A pipeline that is not there is logged and counted. */
MUST_CHECK enum err_code triggers_retrain(const struct change *change,
                                          const struct event_envelope *envelope,
                                          const RetrainRequested *event, struct err *err);

/* Its parameters (as many as it has), with the event's fields filled in; event NULL: as they are. */
struct parameter_given *trigger_given(const Trigger *trigger, const ProtobufCMessage *event,
                                      struct arena *arena);
/* change_start() of a trigger: what is forbidden or does not fit is logged and counted. *run NULL: none has
 * started. */
MUST_CHECK enum err_code trigger_start(const struct change *change, const struct start *start,
                                       const char **run, enum started *outcome, struct err *err);
