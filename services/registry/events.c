/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - what the registry hears. */
#include "changes.h"

#include "modelbus/experiment/v1/events.pb-c.h"

/* Exactly once by the inbox; one statement waits for its answer (the number). */
static enum err_code
on_model_trained(void *arg, const Modelbus__Experiment__V1__ModelTrained *event,
                 struct event_context *context, struct err *err)
{
    struct change change = change_of_event(arg, context);
    ModelVersion version = MODELBUS__REGISTRY__V1__MODEL_VERSION__INIT;

    version.name = event->model_name;
    version.run_id = event->run_id;
    version.description = event->description;
    version.artifact = event->artifact;
    version.reference_sample = event->reference_sample;
    version.metrics = event->metrics;
    version.n_metrics = event->n_metrics;
    version.tags = event->tags;
    version.n_tags = event->n_tags;
    version.feature_names = event->feature_names;
    version.n_feature_names = event->n_feature_names;
    return change_register(&change, &version, err);
}

const struct event_subscription registry_events[] = {
    EVENT_ON(modelbus__experiment__v1__model_trained, on_model_trained),
    {.type = NULL},
};
