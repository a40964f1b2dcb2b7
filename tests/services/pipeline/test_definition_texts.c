/* SPDX-License-Identifier: Apache-2.0 */
/* test_definition_texts.c - what ${...} and conditions in a pipeline's file may name. */
#include "refusals.h"

#include <string.h>

/* Task b needs a; c needs nothing; m, which a precedes, has a map. What is told apart follows b. */
#define HEAD                                                                                       \
    "name: p\n"                                                                                    \
    "parameters: [{name: mode}, {name: n, type: int, default: 1}, {name: grid, type: list}]\n"     \
    "tasks:\n"                                                                                     \
    "- {name: c, run: [x], outputs: [z]}\n"                                                        \
    "- {name: a, run: [x], outputs: [data, auc]}\n"                                                \
    "- {name: m, run: [x], needs: [a], outputs: [score], map: {items: [1, 2]}}\n"                  \
    "- {name: between, run: [x], needs: [m]}\n"                                                    \
    "- name: b\n"                                                                                  \
    "  needs: [between]\n"
#define ARG(text) HEAD "  run: ['" text "']\n"
#define WHEN(text) HEAD "  run: [x]\n  when: ['" text "']\n"
#define INPUT(text) HEAD "  run: [x]\n  inputs: {i: '" text "'}\n"
#define OVER(text) HEAD "  run: [x]\n  map: {over: '" text "'}\n"
#define AT_ARG "line 10, column 9: tasks[4]: run[0]: "
#define AT_WHEN "line 11, column 10: tasks[4]: when[0]: "
#define AT_INPUT "line 11, column 15: tasks[4]: inputs.i: "
#define AT_OVER "line 11, column 15: tasks[4]: map.over: "

#define REFUSED(...)                                                                               \
    do {                                                                                           \
        static const struct refusal rows[] = {__VA_ARGS__};                                        \
        refusals_hold(rows, ARRAY_LEN(rows));                                                      \
    } while (0)
#define TAKEN(...)                                                                                 \
    do {                                                                                           \
        static const char *const texts[] = {__VA_ARGS__};                                          \
        taken(texts, ARRAY_LEN(texts));                                                            \
    } while (0)

static void
taken(const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
        struct err err = {0};
        Definition *definition = NULL;
        cr_expect_eq(definition_parse(texts[i], strlen(texts[i]), arena, &definition, &err), ERR_OK,
                     "%s\n%s", texts[i], err.message);
    }
}

Test(definition_texts, names_that_are_known)
{
    TAKEN(ARG("${params.mode} ${params.n} ${params.grid}"),
          ARG("${run.id} ${run.pipeline} ${run.version} ${run.logical_ms} ${run.logical_date}"),
          ARG("${task.name} ${task.index} ${task.attempt}"),
          ARG("${tasks.a.outputs.data} ${tasks.m.outputs.score} ${tasks.between.status}"),
          ARG("$${item} $PATH ${tasks.a.status}"),
          ARG("x") "  map: {items: [1]}\n  env: {I: '${item} ${index}'}\n  cache: {key: "
                   "['${item}']}\n");
}

Test(definition_texts, names_that_are_not)
{
    REFUSED(
        {ARG("${params.mod}"), AT_ARG "${params.mod}: there is no parameter 'mod'; did you "
                                      "mean mode?"},
        {ARG("${parms.mode}"),
         AT_ARG "${parms.mode}: 'parms' is none of params, run, task, tasks, item, "
                "index; did you mean params?"},
        {ARG("${mode}"), AT_ARG "${mode}: 'mode' is none of params, run, task, tasks, item, index"},
        {ARG("${params}"), AT_ARG "${params}: a name follows 'params.'"},
        {ARG("${run.ids}"),
         AT_ARG "${run.ids}: 'ids' is none of id, pipeline, version, logical_ms, "
                "logical_date; did you mean id?"},
        {ARG("${task.nam}"),
         AT_ARG "${task.nam}: 'nam' is none of name, index, attempt; did you mean "
                "name?"},
        {ARG("${tasks.betwen.status}"), AT_ARG "${tasks.betwen.status}: there is no task "
                                               "'betwen'; did you mean between?"},
        {ARG("${tasks.a.outputs.dat}"), AT_ARG "${tasks.a.outputs.dat}: there is no output 'dat'; "
                                               "did you mean data?"},
        {ARG("${tasks.between.outputs.x}"),
         AT_ARG "${tasks.between.outputs.x}: 'between' has no outputs"},
        {ARG("${tasks.a.output.data}"),
         AT_ARG "${tasks.a.output.data}: tasks.a.outputs.NAME or tasks.a.status is expected"},
        {ARG("${tasks.a}"), AT_ARG "${tasks.a}: tasks.a.outputs.NAME or tasks.a.status"},
        {ARG("${item}"), AT_ARG "${item}: 'b' has no map"},
        {ARG("${index}"), AT_ARG "${index}: 'b' has no map"},
        {ARG("${params.mode"), AT_ARG "'${params.mode': a name and } are expected"},
        {ARG("x") "  env: {A: '${params.x}'}\n",
         "line 11, column 12: tasks[4]: env.A: ${params.x}: there is no parameter 'x'"},
        {ARG("x") "  cache: {key: ['${params.x}']}\n",
         "line 11, column 17: tasks[4]: cache: key[0]: ${params.x}: there is no parameter"});
}

Test(definition_texts, what_is_named_must_have_ended)
{
    REFUSED({ARG("${tasks.c.outputs.z}"), AT_ARG
             "${tasks.c.outputs.z}: 'b' does not need 'c', which may not have ended by then: "
             "add it to needs"},
            {ARG("${tasks.b.status}"), AT_ARG "${tasks.b.status}: a task cannot wait for itself"},
            {WHEN("tasks.c.status = failed"), AT_WHEN "tasks.c.status: 'b' does not need 'c'"},
            {INPUT("${tasks.c.outputs.z}"), AT_INPUT "${tasks.c.outputs.z}: 'b' does not need"});
}

Test(definition_texts, conditions)
{
    TAKEN(WHEN("params.mode = full"), WHEN("params.mode ~ f*|quick"), WHEN("params.n >= 3"),
          WHEN("tasks.a.outputs.auc >= 0.9"), WHEN("tasks.between.status = skipped"),
          WHEN("tasks.between.status ~ s*"), WHEN("run.logical_date != 2026-01-01"));
    REFUSED(
        {WHEN("params.mode"), AT_WHEN "'params.mode': after the name = != ~"},
        {WHEN("params.mode > 3"), AT_WHEN "'params.mode > 3': 'params.mode' is not a number"},
        {WHEN("params.n > x"), AT_WHEN "'params.n > x': a number is expected"},
        {WHEN("params.grid = x"), AT_WHEN "'params.grid' is a list; a condition is on one value"},
        {WHEN("tasks.m.outputs.score > 1"), AT_WHEN "'tasks.m.outputs.score' is a list"},
        {WHEN("mode = full"),
         AT_WHEN "mode: 'mode' is none of params, run, task, tasks, item, index"},
        {WHEN("tasks.a.status = success"),
         AT_WHEN "tasks.a.status: 'success' is none of succeeded, failed, skipped, cancelled"},
        {WHEN("tasks.a.status > 3"), AT_WHEN "'tasks.a.status > 3': 'tasks.a.status' is not a"},
        {WHEN("${params.mode} = x"), AT_WHEN "'${params.mode} = x' does not begin with a name"},
        {WHEN("task.attempt = 1"), AT_WHEN "task.attempt: it is known only when the task is run"},
        {WHEN("item = 1") "  map: {items: [1]}\n",
         AT_WHEN "item: it is known only when the task is run"});
}

Test(definition_texts, inputs_are_one_file)
{
    TAKEN(INPUT("${tasks.a.outputs.data}"), INPUT("${params.mode}"),
          INPUT("sha256:0123456789012345678901234567890123456789012345678901234567890123"),
          INPUT("${item}") "  map: {over: '${tasks.m.outputs.score}'}\n");
    REFUSED({INPUT("data.csv"), AT_INPUT "'data.csv': an artifact (sha256: and 64 hex digits) or "
                                         "one ${...} is expected"},
            {INPUT("${params.mode}.csv"), AT_INPUT "'${params.mode}.csv': an artifact"},
            {INPUT("${params.mode}${params.mode}"), AT_INPUT "'${params.mode}${params.mode}': an "},
            {INPUT("${tasks.m.outputs.score}"),
             AT_INPUT "'${tasks.m.outputs.score}' is a list; an input is one file"},
            {INPUT("${params.grid}"), AT_INPUT "'${params.grid}' is a list"});
}

Test(definition_texts, maps)
{
    TAKEN(OVER("${params.grid}"), OVER("${tasks.a.outputs.data}"),
          OVER("${tasks.m.outputs.score}"));
    REFUSED({OVER("${params.mode}"), AT_OVER "'${params.mode}' is not a list: a parameter of type "
                                             "list or an output is expected"},
            {OVER("${tasks.a.status}"), AT_OVER "'${tasks.a.status}' is not a list"},
            {OVER("${item}"), AT_OVER "${item}: it is known only when the task is run"},
            {OVER("grid"), AT_OVER "'grid': one ${...} that stands for a list is expected"},
            {OVER("[1, 2]"), AT_OVER "'[1, 2]': one ${...} that stands"},
            {ARG("x") "  map: {parallelism: 2}\n",
             "line 11, column 8: tasks[4]: map: either items or over is expected"},
            {ARG("x") "  map: {items: [1], over: '${params.grid}'}\n",
             "line 11, column 8: tasks[4]: map: either items or over is expected"},
            {ARG("x") "  map: {items: ['${params.n}']}\n",
             "line 11, column 17: tasks[4]: map: items[0]: '${params.n}': ${...} is not filled in "
             "here"});
}
