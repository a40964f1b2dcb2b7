/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - what the pipeline service hears: every event that a trigger may name. */
#include "pipeline.h"
#include "triggers.h"

#include <stdlib.h>

#define EVENTS_MAX 200

struct event_subscription pipeline_events[EVENTS_MAX];

static enum err_code
on_event(void *arg, const ProtobufCMessage *event, struct event_context *context, struct err *err)
{
    struct change change = pipeline_event(arg, context);
    const struct pipeline_settings *settings = change.service->spec->config_target;
    int64_t time_ms = context->envelope->time_ms;

    if (time_ms > 0 && change.now_ms - time_ms > settings->max_event_age_s * 1000)
        return ERR_OK;
    if (event->descriptor == &modelbus__deployment__v1__retrain_requested__descriptor &&
        triggers_retrain(&change, context->envelope, (const RetrainRequested *)event, err))
        return err->code;
    return triggers_hear(&change, context->envelope, event, err);
}

void
pipeline_subscribe(void)
{
    size_t count = 0;

    for (const struct event_type *t = event_types; t->descriptor; t++) {
        if (!event_can_trigger(t))
            continue;
        if (count == EVENTS_MAX - 1)
            abort(); /* the catalogue has outgrown the table */
        pipeline_events[count++] =
            (struct event_subscription){.type = t->descriptor, .handler = on_event};
    }
    pipeline_events[count] = (struct event_subscription){.type = NULL};
}
