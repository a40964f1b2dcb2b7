/* SPDX-License-Identifier: Apache-2.0 */
/* definition_texts.c - what ${...} and conditions of a task may name. */
#include "definition_parts.h"

#include "artifact/artifact.h"
#include "buf/text.h"
#include "matcher.h"
#include "template.h"

#include <stdio.h>
#include <string.h>

/* What a name stands for. */
enum kind { KIND_TEXT, KIND_NUMBER, KIND_LIST, KIND_OUTPUT, KIND_STATUS };

/* Where a text stands. */
struct scope {
    const struct graph *graph;
    size_t at;
    const Task *task;
    bool attempt;   /* ${task...}, ${item} and ${index} are known */
    enum kind kind; /* of the last name that was found */
};

static const char *const run_names[] = {"id",         "pipeline",     "version",
                                        "logical_ms", "logical_date", NULL};
static const char *const task_names[] = {"name", "index", "attempt", NULL};
static const char *const heads[] = {"params", "run", "task", "tasks", "item", "index", NULL};
static const char *const statuses[] = {"succeeded", "failed", "skipped", "cancelled", NULL};

/* ---- names ---- */

static enum err_code
find_parameter(struct scope *scope, const char *name, struct err *err)
{
    const Parameter *parameter = parameter_named(scope->graph->definition, name);

    if (!parameter)
        return parameter_unknown(scope->graph->definition, name, err);
    bool number = strcmp(parameter->type, "int") == 0 || strcmp(parameter->type, "float") == 0;
    scope->kind = number                                 ? KIND_NUMBER
                  : strcmp(parameter->type, "list") == 0 ? KIND_LIST
                                                         : KIND_TEXT;
    return ERR_OK;
}

static enum err_code
find_output(struct scope *scope, const Task *task, const char *name, struct err *err)
{
    const char *near = NULL;

    for (size_t i = 0; i < task->n_outputs; i++) {
        if (strcmp(task->outputs[i], name) == 0) {
            scope->kind = task->map ? KIND_LIST : KIND_OUTPUT;
            return ERR_OK;
        }
        near = text_nearer(name, near, task->outputs[i]);
    }
    if (task->n_outputs == 0)
        return err_set(err, ERR_INVALID, "'%s' has no outputs", task->name);
    return unknown_name(err, "output", name, near);
}

/* rest: "NAME.outputs.NAME" or "NAME.status". */
static enum err_code
find_task(struct scope *scope, const char *rest, struct err *err)
{
    const Definition *definition = scope->graph->definition;
    char name[TEXT_NAME_MAX];
    size_t len = strcspn(rest, ".");
    const char *near = NULL;

    snprintf(name, sizeof(name), "%.*s", (int)(len < sizeof(name) ? len : sizeof(name) - 1), rest);
    size_t other = graph_task(scope->graph, name);
    if (other == SIZE_MAX) {
        for (size_t i = 0; i < definition->n_tasks; i++)
            near = text_nearer(name, near, definition->tasks[i]->name);
        return unknown_name(err, "task", name, near);
    }
    if (other == scope->at)
        return err_set(err, ERR_INVALID, "a task cannot wait for itself");
    if (!graph_needs(scope->graph, scope->at, other))
        return err_set(err, ERR_INVALID,
                       "'%s' does not need '%s', which may not have ended by then: add it to needs",
                       scope->task->name, name);
    if (strcmp(rest + len, ".status") == 0) {
        scope->kind = KIND_STATUS;
        return ERR_OK;
    }
    if (strncmp(rest + len, ".outputs.", 9) == 0)
        return find_output(scope, definition->tasks[other], rest + len + 9, err);
    return err_set(err, ERR_INVALID, "tasks.%s.outputs.NAME or tasks.%s.status is expected", name,
                   name);
}

static enum err_code
find_attempt(const struct scope *scope, const char *name, struct err *err)
{
    if (!scope->attempt)
        return err_set(err, ERR_INVALID, "it is known only when the task is run");
    if ((strcmp(name, "item") == 0 || strcmp(name, "index") == 0) && !scope->task->map)
        return err_set(err, ERR_INVALID, "'%s' has no map", scope->task->name);
    return ERR_OK;
}

static enum err_code
find_name(struct scope *scope, const char *name, struct err *err)
{
    scope->kind = KIND_TEXT;
    if (strncmp(name, "params.", 7) == 0)
        return find_parameter(scope, name + 7, err);
    if (strncmp(name, "tasks.", 6) == 0)
        return find_task(scope, name + 6, err);
    if (strncmp(name, "run.", 4) == 0)
        return form_words(name + 4, run_names, err);
    if (strncmp(name, "task.", 5) == 0)
        return form_words(name + 5, task_names, err) ? err->code : find_attempt(scope, name, err);
    if (strcmp(name, "item") == 0 || strcmp(name, "index") == 0)
        return find_attempt(scope, name, err);
    char head[TEXT_NAME_MAX];
    snprintf(head, sizeof(head), "%.*s", (int)strcspn(name, "."), name);
    if (form_words(head, heads, err))
        return err->code;
    return err_set(err, ERR_INVALID, "a name follows '%s.'", head);
}

static const char *
find(void *scope, const char *name, struct err *err)
{
    return find_name(scope, name, err) ? NULL : "";
}

static enum err_code
check_text(struct scope *scope, const char *text, struct arena *arena, struct err *err)
{
    const char *filled;

    return template_fill(text, find, scope, DEFINITION_VALUE_MAX, arena, &filled, err);
}

/* Is the text one ${...} and nothing else? */
static bool
is_reference(const char *text)
{
    size_t len = strlen(text);

    return strncmp(text, "${", 2) == 0 && strchr(text, '}') == text + len - 1;
}

/* ---- fields ---- */

static enum err_code
check_list(struct scope *scope, const char *what, char *const *texts, size_t count,
           struct arena *arena, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (check_text(scope, texts[i], arena, err))
            return err_wrap(err, "%s[%zu]", what, i);
    return ERR_OK;
}

static bool
is_own(const char *variable)
{
    static const char *const own[] = {"MODELBUS_INPUTS",     "MODELBUS_OUTPUTS", "MODELBUS_RUN",
                                      "MODELBUS_TASK",       "MODELBUS_INDEX",   "MODELBUS_ATTEMPT",
                                      "MODELBUS_GATEWAY_URL"};

    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (strcmp(own[i], variable) == 0)
            return true;
    return false;
}

static enum err_code
check_secret(const Task *task, const char *variable, struct err *err)
{
    if (is_own(variable))
        return err_set(err, ERR_INVALID, "secrets.%s: the worker sets this variable", variable);
    for (size_t i = 0; i < task->n_env; i++)
        if (strcmp(task->env[i]->key, variable) == 0)
            return err_set(err, ERR_INVALID, "secrets.%s: env gives it too", variable);
    return ERR_OK;
}

static enum err_code
check_environment(struct scope *scope, struct arena *arena, struct err *err)
{
    const Task *task = scope->task;

    for (size_t i = 0; i < task->n_env; i++) {
        const char *variable = task->env[i]->key;
        if (is_own(variable))
            return err_set(err, ERR_INVALID, "env.%s: the worker sets this variable", variable);
        if (check_text(scope, task->env[i]->value, arena, err))
            return err_wrap(err, "env.%s", variable);
    }
    for (size_t i = 0; i < task->n_secrets; i++)
        if (check_secret(task, task->secrets[i]->key, err))
            return err->code;
    return ERR_OK;
}

static enum err_code
check_input(struct scope *scope, const char *text, struct arena *arena, struct err *err)
{
    if (artifact_uri_valid(text))
        return ERR_OK;
    if (!is_reference(text))
        return err_set(err, ERR_INVALID,
                       "'%.60s': an artifact (sha256: and 64 hex digits) or one ${...} is expected",
                       text);
    if (check_text(scope, text, arena, err))
        return err->code;
    if (scope->kind == KIND_LIST)
        return err_set(err, ERR_INVALID, "'%.60s' is a list; an input is one file", text);
    return ERR_OK;
}

static enum err_code
check_inputs(struct scope *scope, struct arena *arena, struct err *err)
{
    const Task *task = scope->task;

    for (size_t i = 0; i < task->n_inputs; i++)
        if (check_input(scope, task->inputs[i]->value, arena, err))
            return err_wrap(err, "inputs.%s", task->inputs[i]->key);
    return ERR_OK;
}

static enum err_code
check_map(struct scope *scope, struct arena *arena, struct err *err)
{
    const Modelbus__Pipeline__V1__Map *map = scope->task->map;

    if (!map)
        return ERR_OK;
    if ((map->n_items > 0) == (*map->over != '\0'))
        return err_set(err, ERR_INVALID, "map: either items or over is expected");
    if (!*map->over)
        return ERR_OK;
    struct scope before = *scope;
    before.attempt = false;
    if (!is_reference(map->over))
        return err_set(err, ERR_INVALID,
                       "map.over: '%.60s': one ${...} that stands for a list is expected",
                       map->over);
    if (check_text(&before, map->over, arena, err))
        return err_wrap(err, "map.over");
    if (before.kind != KIND_LIST && before.kind != KIND_OUTPUT)
        return err_set(err, ERR_INVALID,
                       "map.over: '%.60s' is not a list: a parameter of type list or an output is "
                       "expected",
                       map->over);
    return ERR_OK;
}

static enum err_code
check_condition(struct scope *scope, const char *text, struct err *err)
{
    char value[MATCHER_MAX + 1];
    struct matcher m;

    if (matcher_parse(text, &m, err))
        return err->code;
    if (find_name(scope, m.name, err))
        return err_wrap(err, "%s", m.name);
    if (scope->kind == KIND_LIST)
        return err_set(err, ERR_INVALID, "'%s' is a list; a condition is on one value", m.name);
    bool number = m.op >= MATCH_LT;
    if (number && scope->kind != KIND_NUMBER && scope->kind != KIND_OUTPUT)
        return err_set(err, ERR_INVALID, "'%.100s': '%s' is not a number", text, m.name);
    if (scope->kind != KIND_STATUS || (m.op != MATCH_EQ && m.op != MATCH_NE))
        return ERR_OK;
    snprintf(value, sizeof(value), "%.*s", (int)m.len, m.value);
    return form_words(value, statuses, err) ? err_wrap(err, "%s", m.name) : ERR_OK;
}

static enum err_code
check_conditions(struct scope *scope, struct err *err)
{
    struct scope before = *scope;

    before.attempt = false;
    for (size_t i = 0; i < scope->task->n_when; i++)
        if (check_condition(&before, scope->task->when[i], err))
            return err_wrap(err, "when[%zu]", i);
    return ERR_OK;
}

static enum err_code
check_outputs(const Task *task, struct err *err)
{
    for (size_t i = 0; i < task->n_outputs; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(task->outputs[i], task->outputs[k]) == 0)
                return err_set(err, ERR_INVALID, "outputs[%zu]: '%s' is given twice", i,
                               task->outputs[i]);
    if (strcmp(task->run_on, "failure") == 0 && task->n_needs == 0)
        return err_set(err, ERR_INVALID, "run_on: nothing that the task needs could fail");
    if (!*task->run[0])
        return err_set(err, ERR_INVALID, "run[0]: a command is expected");
    return ERR_OK;
}

enum err_code
task_texts_check(const struct graph *graph, size_t at, struct arena *arena, struct err *err)
{
    const Task *task = graph->definition->tasks[at];
    struct scope scope = {.graph = graph, .at = at, .task = task, .attempt = true};

    if (check_outputs(task, err) || check_list(&scope, "run", task->run, task->n_run, arena, err) ||
        check_environment(&scope, arena, err) || check_inputs(&scope, arena, err) ||
        check_map(&scope, arena, err) || check_conditions(&scope, err))
        return err->code;
    if (task->cache && check_list(&scope, "key", task->cache->key, task->cache->n_key, arena, err))
        return err_wrap(err, "cache");
    return ERR_OK;
}
