/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_pipeline_definition.c - a pipeline's file: one that is right, whose order respects needs and
 * whose cron triggers are due, or an error; and its text as an expression, a template, a list. */
#include "cron.h"
#include "definition.h"
#include "template.h"

#include <stdlib.h>
#include <string.h>

static void
must(bool holds)
{
    if (!holds)
        abort();
}

static void
use_order(const Definition *definition, struct arena *arena)
{
    const size_t *order = definition_order(definition, arena);
    bool *done = arena_zalloc(arena, definition->n_tasks);

    for (size_t i = 0; i < definition->n_tasks; i++) {
        const Task *task = definition->tasks[order[i]];
        for (size_t k = 0; k < task->n_needs; k++)
            must(done[definition_task(definition, task->needs[k])]);
        must(!done[order[i]]);
        done[order[i]] = true;
    }
}

static void
use_triggers(const Definition *definition)
{
    struct err err;

    for (size_t i = 0; i < definition->n_triggers; i++) {
        CLEANUP(cron_zone_free) struct cron_zone *zone = NULL;
        const Trigger *trigger = definition->triggers[i];
        struct cron cron;
        if (!*trigger->cron)
            continue;
        must(cron_parse(trigger->cron, &cron, &err) == ERR_OK);
        must(cron_zone_open(trigger->time_zone, &zone, &err) == ERR_OK);
        must(cron_next(&cron, zone, INT64_C(1790000000000)) > INT64_C(1790000000000));
    }
}

/* A file that is right has values for a run, but for those that are required. */
static void
use_parameters(const Definition *definition, struct arena *arena)
{
    const char **values = arena_zalloc(arena, (definition->n_parameters + 1) * sizeof(*values));
    bool required = false;
    struct err err;

    for (size_t i = 0; i < definition->n_parameters; i++)
        required |= definition->parameters[i]->required;
    must((parameters_resolve(definition, NULL, 0, values, arena, &err) != ERR_OK) == required);
}

static const char *
find(void *arg, const char *name, struct err *err)
{
    (void)arg;
    (void)err;
    return name;
}

static void
use_text(const char *text, struct arena *arena)
{
    Parameter parameter = MODELBUS__PIPELINE__V1__PARAMETER__INIT, *parameters[] = {&parameter};
    Definition definition = MODELBUS__PIPELINE__V1__DEFINITION__INIT;
    struct parameter_given given = {"p", text};
    const char *filled, *value;
    struct cron cron;
    struct err err;

    parameter.name = (char *)"p";
    parameter.type = (char *)"list";
    definition.parameters = parameters;
    definition.n_parameters = 1;
    if (!cron_parse(text, &cron, &err))
        must(cron_next(&cron, NULL, 0) > 0);
    if (!template_fill(text, find, NULL, 1000, arena, &filled, &err))
        must(strlen(filled) <= 1000);
    if (!parameters_resolve(&definition, &given, 1, &value, arena, &err)) {
        given.value = value; /* what comes out goes in again */
        must(parameters_resolve(&definition, &given, 1, &value, arena, &err) == ERR_OK);
        must(strcmp(given.value, value) == 0);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    struct err err = {0};
    Definition *definition = NULL;

    use_text(arena_strndup(arena, (const char *)data, size), arena);
    if (definition_parse((const char *)data, size, arena, &definition, &err)) {
        must(err.message[0] && !definition);
        return 0;
    }
    use_order(definition, arena);
    use_triggers(definition);
    use_parameters(definition, arena);
    return 0;
}
