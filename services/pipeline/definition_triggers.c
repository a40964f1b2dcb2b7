/* SPDX-License-Identifier: Apache-2.0 */
/* definition_triggers.c - whether triggers are right. */
#include "definition_parts.h"

#include "buf/text.h"
#include "cron.h"
#include "fields.h"

#include "modelbus/pipeline/v1/events.pb-c.h"

#include <string.h>

/* ---- what it is of ---- */

static enum err_code
only_of(const char *field, const char *what, bool given, bool right, struct err *err)
{
    return given && !right ? err_set(err, ERR_INVALID, "%s: only of a trigger with %s", field, what)
                           : ERR_OK;
}

static enum err_code
check_kind(const Trigger *trigger, struct err *err)
{
    bool cron = *trigger->cron, event = *trigger->event, pipeline = *trigger->pipeline;
    bool all = strcmp(trigger->catch_up, "all") == 0;

    if (cron + event + pipeline != 1)
        return err_set(err, ERR_INVALID, "%s: one of cron, event and pipeline is expected",
                       cron && event ? "event"
                       : pipeline    ? "pipeline"
                                     : "name");
    if (only_of("time_zone", "cron", *trigger->time_zone, cron, err) ||
        only_of("catch_up", "cron", *trigger->catch_up, cron, err) ||
        only_of("catch_up_max", "catch_up: all", trigger->catch_up_max, cron && all, err) ||
        only_of("where", "event", trigger->n_where, event, err) ||
        only_of("on", "pipeline", *trigger->on, pipeline, err))
        return err->code;
    return ERR_OK;
}

static enum err_code
check_cron(const Trigger *trigger, struct err *err)
{
    CLEANUP(cron_zone_free) struct cron_zone *zone = NULL;
    struct cron cron;

    if (cron_parse(trigger->cron, &cron, err))
        return err_wrap(err, "cron");
    if (cron_zone_open(trigger->time_zone, &zone, err))
        return err_wrap(err, "time_zone");
    if (cron_next(&cron, zone, 0) == INT64_MAX)
        return err_set(err, ERR_INVALID, "cron: '%.60s' is never due", trigger->cron);
    return ERR_OK;
}

bool
event_can_trigger(const struct event_type *type)
{
    static const char *const refused[] = {"predictions", "features", "labels", "endpoint-state",
                                          "dlq"};

    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (strcmp(type->topic, refused[i]) == 0)
            return false;
    return type->descriptor != &modelbus__pipeline__v1__task_started__descriptor &&
           type->descriptor != &modelbus__pipeline__v1__task_finished__descriptor;
}

static enum err_code
check_event(const Trigger *trigger, const struct event_type **type, struct err *err)
{
    const char *near = NULL;

    *type = event_type_named(trigger->event);
    if (!*type) {
        for (const struct event_type *t = event_types; t->descriptor; t++)
            near = text_nearer(trigger->event, near, t->descriptor->short_name);
        unknown_name(err, "event", trigger->event, near);
        return err_wrap(err, "event");
    }
    if (!event_can_trigger(*type))
        return err_set(err, ERR_INVALID, "event: %s comes too often to start runs",
                       (*type)->descriptor->short_name);
    for (size_t i = 0; i < trigger->n_where; i++)
        if (condition_check((*type)->descriptor, trigger->where[i], err))
            return err_wrap(err, "where[%zu]", i);
    return ERR_OK;
}

/* ---- parameters ---- */

static enum err_code
check_value(const Parameter *parameter, const char *value, const struct event_type *event,
            struct arena *arena, struct err *err)
{
    const char *checked;

    if (event && strchr(value, '{'))
        return template_check(event->descriptor, value, false, err);
    return parameter_value(parameter, value, arena, &checked, err);
}

static enum err_code
check_parameters(const Definition *definition, const Trigger *trigger,
                 const struct event_type *event, struct arena *arena, struct err *err)
{
    for (size_t i = 0; i < trigger->n_parameters; i++) {
        const char *name = trigger->parameters[i]->key;
        const Parameter *parameter = parameter_named(definition, name);
        enum err_code code =
            !parameter ? parameter_unknown(definition, name, err)
                       : check_value(parameter, trigger->parameters[i]->value, event, arena, err);
        if (code)
            return err_wrap(err, "parameters.%s", name);
    }
    for (size_t i = 0; i < definition->n_parameters; i++) {
        const Parameter *parameter = definition->parameters[i];
        bool given = !parameter->required;
        for (size_t k = 0; k < trigger->n_parameters && !given; k++)
            given = strcmp(trigger->parameters[k]->key, parameter->name) == 0;
        if (!given)
            return err_set(err, ERR_INVALID, "parameters: '%s' is required", parameter->name);
    }
    return ERR_OK;
}

static enum err_code
check_trigger(const Definition *definition, const Trigger *trigger, struct arena *arena,
              struct err *err)
{
    const struct event_type *event = NULL;

    if (check_kind(trigger, err) || (*trigger->cron && check_cron(trigger, err)) ||
        (*trigger->event && check_event(trigger, &event, err)))
        return err->code;
    if (strcmp(trigger->pipeline, definition->name) == 0)
        return err_set(err, ERR_INVALID, "pipeline: '%s' would start itself for ever",
                       definition->name);
    return check_parameters(definition, trigger, event, arena, err);
}

enum err_code
triggers_check(const Definition *definition, struct arena *arena, struct err *err)
{
    for (size_t i = 0; i < definition->n_triggers; i++) {
        const Trigger *trigger = definition->triggers[i];
        for (size_t k = 0; k < i; k++)
            if (strcmp(definition->triggers[k]->name, trigger->name) == 0)
                return err_set(err, ERR_INVALID,
                               "triggers[%zu].name: there is a trigger '%s' already", i,
                               trigger->name);
        if (check_trigger(definition, trigger, arena, err))
            return err_wrap(err, "triggers[%zu]", i);
    }
    return ERR_OK;
}
