/* SPDX-License-Identifier: Apache-2.0 */
/* triggers.c - events that start runs. */
#include "triggers.h"

#include "counters.h"
#include "fields.h"
#include "log/log.h"
#include "trace/trace.h"

#include <stdlib.h>
#include <string.h>

struct triggers {
    struct arena *arena; /* of what follows; NULL: nothing was read yet */
    int64_t revision;
    struct listening *listening;
    size_t count;
};

struct triggers *
triggers_new(void)
{
    return mem_zalloc(sizeof(struct triggers));
}

void
triggers_free(struct triggers *triggers)
{
    if (!triggers)
        return;
    arena_free(triggers->arena);
    free(triggers);
}

static MUST_CHECK enum err_code
refresh(struct triggers *triggers, const struct change *change, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = NULL;
    struct store store = change->store;
    int64_t revision;

    if (store_revision(&store, &revision, err))
        return err->code;
    if (triggers->arena && revision == triggers->revision)
        return ERR_OK;
    arena = arena_new(0, SIZE_MAX);
    store.arena = arena;
    if (store_list_listening(&store, &triggers->listening, &triggers->count, err)) {
        triggers->count = 0;
        return err->code;
    }
    arena_free(triggers->arena);
    triggers->arena = TAKE_PTR(arena);
    triggers->revision = revision;
    return ERR_OK;
}

struct parameter_given *
trigger_given(const Trigger *trigger, const ProtobufCMessage *event, struct arena *arena)
{
    struct parameter_given *given = arena_alloc(arena, trigger->n_parameters * sizeof(*given));

    for (size_t i = 0; i < trigger->n_parameters; i++) {
        given[i].name = trigger->parameters[i]->key;
        given[i].value = event ? template_expand(event, trigger->parameters[i]->value,
                                                 DEFINITION_VALUE_MAX, arena)
                               : trigger->parameters[i]->value;
    }
    return given;
}

static void
passed_over(const struct start *start, const char *why)
{
    counters_trigger("passed_over");
    log_warn("a trigger starts no run", LOG_STR("pipeline", start->definition->name),
             LOG_STR("trigger", start->cause->name), LOG_STR("why", why));
}

enum err_code
trigger_start(const struct change *change, const struct start *start, const char **run,
              enum started *outcome, struct err *err)
{
    struct err failure = {0};

    *run = NULL;
    *outcome = START_FORBIDDEN;
    if (start->depth >= CHANGE_DEPTH_MAX) {
        passed_over(start, "the chain of runs that trigger each other is too long");
        return ERR_OK;
    }
    enum err_code code = change_start(change, start, run, outcome, &failure);
    if (code == ERR_INVALID) {
        passed_over(start, failure.message);
        return ERR_OK;
    }
    if (code)
        return err_set(err, code, "%s", failure.message);
    if (*outcome == START_FORBIDDEN) {
        passed_over(start, "a run is active, and concurrency is 'forbid'");
    } else if (*outcome == STARTED || *outcome == STARTED_TO_WAIT) {
        counters_trigger("started");
        return ERR_OK;
    }
    *run = NULL;
    return ERR_OK;
}

/* ---- events ---- */

static bool
of_pipeline(const Trigger *trigger, const ProtobufCMessage *message)
{
    const Modelbus__Pipeline__V1__PipelineFinished *event =
        (const Modelbus__Pipeline__V1__PipelineFinished *)message;

    if (message->descriptor != &modelbus__pipeline__v1__pipeline_finished__descriptor ||
        strcmp(event->pipeline, trigger->pipeline) != 0)
        return false;
    bool succeeded = strcmp(event->status, "succeeded") == 0;
    if (strcmp(trigger->on, "always") == 0)
        return true;
    return strcmp(trigger->on, "failure") == 0 ? strcmp(event->status, "failed") == 0 : succeeded;
}

static bool
matches(const Trigger *trigger, const ProtobufCMessage *event)
{
    if (trigger->disabled)
        return false;
    if (*trigger->pipeline)
        return of_pipeline(trigger, event);
    if (!*trigger->event || (strcmp(trigger->event, event->descriptor->short_name) != 0 &&
                             strcmp(trigger->event, event->descriptor->name) != 0))
        return false;
    for (size_t i = 0; i < trigger->n_where; i++)
        if (!condition_holds(event, trigger->where[i]))
            return false;
    return true;
}

/* The pipeline is locked; the run begins soon, by the scheduler. */
static MUST_CHECK enum err_code
start_for_event(const struct change *change, struct start *start,
                const struct event_envelope *envelope, struct err *err)
{
    struct trace trace;
    enum started outcome;
    const char *run;

    if (trace_parse(envelope->traceparent, &trace)) {
        start->traceparent = envelope->traceparent;
        if (store_depth(&change->store, trace.trace_id, envelope->time_ms + 1, &start->depth, err))
            return err->code;
    }
    if (trigger_start(change, start, &run, &outcome, err))
        return err->code;
    if (run)
        pipeline_hint(change, "", 0);
    return ERR_OK;
}

static MUST_CHECK enum err_code
start_run(const struct change *change, const struct listening *listening, const Trigger *trigger,
          const struct event_envelope *envelope, const ProtobufCMessage *event, struct err *err)
{
    Cause cause = MODELBUS__PIPELINE__V1__CAUSE__INIT;
    struct start start = {.definition = listening->definition,
                          .version = listening->version,
                          .cause = &cause,
                          .by = change->by};
    int64_t version;

    cause.kind = *trigger->pipeline ? "pipeline" : "event";
    cause.name = trigger->name;
    cause.id = (char *)envelope->id;
    /* The end of another pipeline's run has no fields for parameters. */
    start.given = trigger_given(trigger, *trigger->event ? event : NULL, change->store.arena);
    start.given_count = trigger->n_parameters;
    if (store_lock_pipeline(&change->store, listening->definition->name, &version, NULL, err))
        return err->code;
    if (version != listening->version) /* changed since; its new triggers were not asked */
        return ERR_OK;
    return start_for_event(change, &start, envelope, err);
}

/* Of the event's fields those that the pipeline has as parameters. */
static void
give_fields(const struct change *change, struct start *start, const ProtobufCMessage *event)
{
    const Definition *definition = start->definition;
    struct parameter_given *given =
        arena_alloc(change->store.arena, definition->n_parameters * sizeof(*given));
    struct err unknown;

    start->given = given;
    for (size_t i = 0; i < definition->n_parameters; i++) {
        const char *name = definition->parameters[i]->name;
        const ProtobufCFieldDescriptor *field;
        if (field_find(event->descriptor, name, strlen(name), &field, NULL, &unknown))
            continue;
        given[start->given_count++] = (struct parameter_given){
            name, template_expand(event, arena_printf(change->store.arena, "{%s}", name),
                                  DEFINITION_VALUE_MAX, change->store.arena)};
    }
}

enum err_code
triggers_retrain(const struct change *change, const struct event_envelope *envelope,
                 const RetrainRequested *event, struct err *err)
{
    Cause cause = MODELBUS__PIPELINE__V1__CAUSE__INIT;
    struct start start = {.cause = &cause, .by = change->by};
    Pipeline *pipeline = NULL;
    int64_t version;

    cause.kind = "endpoint";
    cause.name = event->endpoint;
    cause.id = (char *)envelope->id;
    if (store_lock_pipeline(&change->store, event->pipeline, &version, NULL, err) ||
        (version && store_get_pipeline(&change->store, event->pipeline, version, &pipeline, err)))
        return err->code;
    if (!pipeline) {
        counters_trigger("passed_over");
        log_warn("a retraining was asked of a pipeline that is not there",
                 LOG_STR("pipeline", event->pipeline), LOG_STR("endpoint", event->endpoint));
        return ERR_OK;
    }
    start.definition = pipeline->definition;
    start.version = version;
    give_fields(change, &start, &event->base);
    return start_for_event(change, &start, envelope, err);
}

enum err_code
triggers_hear(const struct change *change, const struct event_envelope *envelope,
              const ProtobufCMessage *event, struct err *err)
{
    struct triggers *triggers = pipeline_state(change)->triggers;

    if (refresh(triggers, change, err))
        return err->code;
    for (size_t i = 0; i < triggers->count; i++) {
        const struct listening *l = &triggers->listening[i];
        if (strcmp(l->workspace, change->store.workspace) != 0 ||
            (envelope->time_ms && envelope->time_ms < l->applied_ms))
            continue;
        for (size_t k = 0; k < l->definition->n_triggers; k++)
            if (matches(l->definition->triggers[k], event) &&
                start_run(change, l, l->definition->triggers[k], envelope, event, err))
                return err_wrap(err, "trigger '%s' of '%s'", l->definition->triggers[k]->name,
                                l->definition->name);
    }
    return ERR_OK;
}
