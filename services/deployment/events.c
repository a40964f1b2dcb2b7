/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - what the deployment service hears, and the state topic written again. */
#include "changes.h"

#include "modelbus/serving/v1/events.pb-c.h"

#include <inttypes.h>
#include <stdio.h>

#define REPUBLISH_PAGE 200

/* ---- the registry ---- */

static enum err_code
on_model_registered(void *arg, const Modelbus__Registry__V1__ModelRegistered *event,
                    struct event_context *context, struct err *err)
{
    struct change change = change_of_event(arg, context);
    Target target = MODELBUS__DEPLOYMENT__V1__TARGET__INIT;

    if (value_check_model_name(event->model_name, err) ||
        value_check_artifact("artifact", event->artifact, true, err) ||
        value_check_features(event->feature_names, event->n_feature_names, err))
        return err->code;
    if (event->version <= 0)
        return err_set(err, ERR_INVALID, "version: not positive");
    target.model_name = event->model_name;
    target.version = event->version;
    target.artifact = event->artifact;
    target.feature_names = event->feature_names;
    target.n_feature_names = event->n_feature_names;
    return change_version_known(&change, &target, err);
}

static enum err_code
on_alias_moved(void *arg, const Modelbus__Registry__V1__AliasMoved *event,
               struct event_context *context, struct err *err)
{
    struct change change = change_of_event(arg, context);

    if (value_check_model_name(event->model_name, err) || value_check_alias(event->alias, err) ||
        value_check_artifact("artifact", event->artifact, event->version != 0, err))
        return err->code;
    if (event->version < 0 || event->revision <= 0)
        return err_set(err, ERR_INVALID, "version or revision: out of range");
    return change_alias_moved(&change, event, err);
}

/* ---- pods ---- */

/* When the pod spoke: by its clock, as far as that is not ahead of ours. */
static int64_t
spoken_at(const struct change *change, int64_t at_ms)
{
    return at_ms > 0 && at_ms < change->now_ms ? at_ms : change->now_ms;
}

static MUST_CHECK enum err_code
check_pod(const char *endpoint, const char *pod, struct err *err)
{
    if (deployment_check_name(endpoint, err) || value_check_name("pod", pod, err))
        return err->code;
    return ERR_OK;
}

static enum err_code
on_model_loaded(void *arg, const Modelbus__Serving__V1__ModelLoaded *event,
                struct event_context *context, struct err *err)
{
    struct change change = change_of_event(arg, context);
    PodState pod = MODELBUS__DEPLOYMENT__V1__POD_STATE__INIT;

    if (check_pod(event->endpoint, event->pod, err) ||
        value_check_model_name(event->model_name, err))
        return err->code;
    pod.pod = event->pod;
    pod.generation = event->generation;
    pod.model_name = event->model_name;
    pod.version = event->version;
    pod.loaded = !event->fallback;
    pod.load_ms = event->load_ms;
    pod.swap_us = event->swap_us;
    pod.reported_at_ms = spoken_at(&change, event->loaded_at_ms);
    return change_pod_report(&change, event->endpoint, &pod, err);
}

static enum err_code
on_model_load_failed(void *arg, const Modelbus__Serving__V1__ModelLoadFailed *event,
                     struct event_context *context, struct err *err)
{
    struct change change = change_of_event(arg, context);
    PodState pod = MODELBUS__DEPLOYMENT__V1__POD_STATE__INIT;

    if (check_pod(event->endpoint, event->pod, err) ||
        value_check_model_name(event->model_name, err) ||
        value_check_text("error_code", event->error_code, VALUE_NAME_MAX, err) ||
        value_check_text("error_message", event->error_message, VALUE_TEXT_MAX, err))
        return err->code;
    pod.pod = event->pod;
    pod.generation = event->generation;
    pod.model_name = event->model_name;
    pod.version = event->serving_version;
    pod.error =
        arena_printf(context->arena, "version %" PRId64 ": %s: %s", event->version,
                     *event->error_code ? event->error_code : "INTERNAL", event->error_message);
    pod.reported_at_ms = spoken_at(&change, event->failed_at_ms);
    return change_pod_report(&change, event->endpoint, &pod, err);
}

/* A sign of life; the numbers are for others. */
static enum err_code
on_serving_stats(void *arg, const Modelbus__Serving__V1__ServingStats *event,
                 struct event_context *context, struct err *err)
{
    struct change change = change_of_event(arg, context);

    if (check_pod(event->endpoint, event->pod, err))
        return err->code;
    return store_touch_pod(&change.store, event->endpoint, event->pod,
                           spoken_at(&change, event->window_end_ms), err);
}

static enum err_code
on_pod_stopped(void *arg, const Modelbus__Serving__V1__PodStopped *event,
               struct event_context *context, struct err *err)
{
    struct change change = change_of_event(arg, context);

    if (value_check_name("pod", event->pod, err))
        return err->code;
    return store_remove_pod(&change.store, event->pod, spoken_at(&change, event->stopped_at_ms),
                            err);
}

/* ---- monitoring ---- */

static enum err_code
on_drift_detected(void *arg, const Modelbus__Monitoring__V1__DriftDetected *event,
                  struct event_context *context, struct err *err)
{
    struct change change = change_of_event(arg, context);

    if (deployment_check_name(event->endpoint, err) ||
        value_check_model_name(event->model_name, err) ||
        value_check_name("episode", event->episode, err) ||
        value_check_text("report_id", event->report_id, VALUE_NAME_MAX, err))
        return err->code;
    return change_drift_detected(&change, event, err);
}

const struct event_subscription deployment_events[] = {
    EVENT_ON(modelbus__monitoring__v1__drift_detected, on_drift_detected),
    EVENT_ON(modelbus__registry__v1__alias_moved, on_alias_moved),
    EVENT_ON(modelbus__registry__v1__model_registered, on_model_registered),
    EVENT_ON(modelbus__serving__v1__model_load_failed, on_model_load_failed),
    EVENT_ON(modelbus__serving__v1__model_loaded, on_model_loaded),
    EVENT_ON(modelbus__serving__v1__pod_stopped, on_pod_stopped),
    EVENT_ON(modelbus__serving__v1__serving_stats, on_serving_stats),
    {.type = NULL},
};

/* ---- the state topic ---- */

enum err_code
deployment_republish(void *arg, struct outbox *outbox, struct db_conn *conn, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    struct store store = {.db = conn, .workspace = "", .arena = arena};
    char workspace[64] = "", name[64] = "";
    size_t count;

    (void)arg;
    do {
        const char **workspaces;
        struct endpoint **endpoints;
        if (store_list_states(&store, workspace, name, REPUBLISH_PAGE, &workspaces, &endpoints,
                              &count, err))
            return err->code;
        for (size_t i = 0; i < count; i++)
            if (change_say_state(outbox, conn, workspaces[i], endpoints[i], err))
                return err_wrap(err, "endpoint '%s'", endpoints[i]->name);
        if (count) {
            snprintf(workspace, sizeof(workspace), "%s", workspaces[count - 1]);
            snprintf(name, sizeof(name), "%s", endpoints[count - 1]->name);
        }
        arena_reset(arena);
    } while (count == REPUBLISH_PAGE);
    return ERR_OK;
}
