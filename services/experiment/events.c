/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - what the experiment service hears. */
#include "changes.h"

#include <string.h>

/* A pipeline has published by itself. What we said ourselves is in the tables already. */
static enum err_code
on_model_trained(void *arg, const ModelTrained *event, struct event_context *context,
                 struct err *err)
{
    const struct event_envelope *envelope = context->envelope;
    struct change change = change_of_event(arg, context);
    char run_id[37];

    change.store.queue = true;
    if (strcmp(envelope->source, EXPERIMENT_SOURCE) == 0)
        return ERR_OK;
    experiment_run_id_of_event(envelope->source, envelope->id, run_id);
    return change_record(&change, *event->run_id ? event->run_id : run_id, event, err);
}

const struct event_subscription experiment_events[] = {
    EVENT_ON(modelbus__experiment__v1__model_trained, on_model_trained),
    {.type = NULL},
};
