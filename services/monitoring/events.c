/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - what monitoring hears. */
#include "labels.h"

#include "service.h"
#include "values.h"

#include "modelbus/deployment/v1/events.pb-c.h"

#include <string.h>

static struct monitoring *
monitoring_of(const void *arg)
{
    const struct service *service = arg;

    return service->state;
}

static MUST_CHECK enum err_code
check_place(const char *endpoint, const char *model_name, int64_t version, struct err *err)
{
    if (value_check_name("endpoint", endpoint, err) || value_check_model_name(model_name, err))
        return err->code;
    if (version <= 0)
        return err_set(err, ERR_INVALID, "version: not positive");
    return ERR_OK;
}

static enum err_code
on_model_registered(void *arg, const ModelRegistered *event, struct event_context *context,
                    struct err *err)
{
    struct change change = change_of_event(arg, context);
    ModelRegistered known = *event;

    if (check_place("-", event->model_name, event->version, err) ||
        value_check_artifact("reference_sample", event->reference_sample, false, err) ||
        value_check_features(event->feature_names, event->n_feature_names, err))
        return err->code;
    known.n_metrics = known.n_tags = 0;
    return store_learn_version(&change.store, &known, err);
}

static enum err_code
on_model_deployed(void *arg, const Modelbus__Deployment__V1__ModelDeployed *event,
                  struct event_context *context, struct err *err)
{
    struct change change = change_of_event(arg, context);

    if (!event->target)
        return err_set(err, ERR_INVALID, "target: missing");
    if (check_place(event->endpoint, event->target->model_name, event->target->version, err))
        return err->code;
    return change_deployed(&change, event->endpoint, event->target->model_name,
                           event->target->version, err);
}

static enum err_code
on_endpoint_deleted(void *arg, const Modelbus__Deployment__V1__EndpointDeleted *event,
                    struct event_context *context, struct err *err)
{
    struct change change = change_of_event(arg, context);

    if (value_check_name("endpoint", event->endpoint, err))
        return err->code;
    return change_endpoint_gone(&change, event->endpoint, err);
}

static enum err_code
on_predictions_logged(void *arg, const PredictionsLogged *event, struct event_context *context,
                      struct err *err)
{
    struct change change = change_of_event(arg, context);

    if (check_place(event->endpoint, event->model_name, event->version, err))
        return err->code;
    if (event->generation <= 0)
        return err_set(err, ERR_INVALID, "generation: not positive");
    return change_rows(&change, monitoring_of(arg), event, err);
}

static enum err_code
on_labels_received(void *arg, const LabelsReceived *event, struct event_context *context,
                   struct err *err)
{
    struct change change = change_of_event(arg, context);

    return labels_received(&change, monitoring_of(arg), event, err);
}

const struct event_subscription monitoring_events[] = {
    EVENT_ON(modelbus__deployment__v1__endpoint_deleted, on_endpoint_deleted),
    EVENT_ON(modelbus__deployment__v1__model_deployed, on_model_deployed),
    EVENT_ON(modelbus__monitoring__v1__labels_received, on_labels_received),
    EVENT_ON(modelbus__registry__v1__model_registered, on_model_registered),
    EVENT_ON(modelbus__serving__v1__predictions_logged, on_predictions_logged),
    {.type = NULL},
};
