/* SPDX-License-Identifier: Apache-2.0 */
/*
 * definition.h - a pipeline's file: read, checked, described.
 *
 * The form is modelbus.pipeline.v1.Definition; the file is YAML (or JSON, which is YAML). Everything
 * that can be wrong is found here, before anything runs: unknown fields and names (with the nearest
 * right one), names twice, cycles, needs that are not there, ${...} that stand for nothing, cron
 * expressions and time zones, conditions, numbers out of range. An error begins with the place:
 * "line 12, column 5: tasks[2].needs[0]: there is no task 'trian'; did you mean train?"
 *
 * Nothing here does I/O except the reading of time zones (zone.h); any thread.
 */
#pragma once

#include "arena/arena.h"
#include "buf/buf.h"
#include "catalog.h"
#include "err/err.h"

#include "modelbus/pipeline/v1/definition.pb-c.h"

typedef Modelbus__Pipeline__V1__Definition Definition;
typedef Modelbus__Pipeline__V1__Task Task;
typedef Modelbus__Pipeline__V1__Trigger Trigger;
typedef Modelbus__Pipeline__V1__Parameter Parameter;

#define DEFINITION_TEXT_MAX (1u << 20)
#define DEFINITION_TASKS_MAX 1000
#define DEFINITION_NEEDS_MAX 10000 /* of all tasks together */
#define DEFINITION_PARAMETERS_MAX 100
#define DEFINITION_TRIGGERS_MAX 20
#define DEFINITION_MAP_MAX 10000 /* items of one map */
#define DEFINITION_ARGS_MAX 200
#define DEFINITION_VALUE_MAX 8192 /* bytes of one text */
#define DEFINITION_OUTPUTS_MAX 50

/* Read and check; in arena. ERR_INVALID, ERR_TOO_LARGE. */
MUST_CHECK enum err_code definition_parse(const char *text, size_t len, struct arena *arena,
                                          Definition **definition, struct err *err);
/* What definition_parse() checks beside the form; errors begin with the path of the field. */
MUST_CHECK enum err_code definition_check(const Definition *definition, struct err *err);

/* Whether a trigger may name it: not what comes in masses, nor what tells of one task only. */
bool event_can_trigger(const struct event_type *type);

/* Tasks in an order in which each comes after what it needs: places in definition->tasks, in arena.
 * Of a definition that was checked. */
const size_t *definition_order(const Definition *definition, struct arena *arena);
/* Place of a task; SIZE_MAX: there is none of that name. */
size_t definition_task(const Definition *definition, const char *name);
/* At most one run of it may be active: its concurrency is not "allow". */
bool definition_is_exclusive(const Definition *definition);

/* Of each parameter its value: the given one or the default, checked against its type, in the order of the
 * definition; lists as JSON arrays of texts ("[\"a\",\"b\"]"). values has room for n_parameters; in
 * arena. ERR_INVALID: an unknown name (with the nearest), a value of another type, one that is
 * required and missing. */
struct parameter_given {
    const char *name, *value;
};
MUST_CHECK enum err_code parameters_resolve(const Definition *definition,
                                            const struct parameter_given *given, size_t count,
                                            const char **values, struct arena *arena,
                                            struct err *err);

/* JSON Schema (2020-12) of the file, for editors; docs/pipeline.schema.json. */
void definition_schema(struct buf *out);
