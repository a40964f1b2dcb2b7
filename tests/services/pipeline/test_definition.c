/* SPDX-License-Identifier: Apache-2.0 */
/* test_definition.c - a pipeline's file: form, names, needs, triggers, and files meant to hurt. */
#include "buf/buf.h"
#include "refusals.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define OK(call) cr_assert_eq(call, ERR_OK, "%s: %s", #call, err.message)
#define REFUSED(...)                                                                               \
    do {                                                                                           \
        static const struct refusal rows[] = {__VA_ARGS__};                                        \
        refusals_hold(rows, ARRAY_LEN(rows));                                                      \
    } while (0)

static struct err err;
static struct arena *arena;

static void
set_up(void)
{
    arena = arena_new(0, 0);
}

static void
tear_down(void)
{
    arena_free(arena);
}

TestSuite(definition, .init = set_up, .fini = tear_down);

static Definition *
parse(const char *text)
{
    Definition *definition = NULL;

    OK(definition_parse(text, strlen(text), arena, &definition, &err));
    return definition;
}

/* A pipeline of one task whose fields follow. */
#define TASK "name: p\ntasks:\n- name: t\n  run: [x]\n"
#define TRIGGER TASK "triggers:\n- name: g\n"

/* ---- files that are right ---- */

Test(definition, every_field)
{
    Definition *d =
        parse("name: retrain\n"
              "description: |\n  two\n  lines\n"
              "owner: ml-team\n"
              "tags: {stage: prod}\n"
              "parameters:\n"
              "- {name: depth, type: int, default: 007}\n"
              "- {name: grid, type: list, default_list: [0.10, no]}\n"
              "- {name: endpoint, required: true}\n"
              "tasks:\n"
              "- name: prepare-data\n"
              "  run: [python3, prepare.py, --since, '${run.logical_date}']\n"
              "  env: {ENDPOINT: '${params.endpoint}'}\n"
              "  secrets: {DB_PASSWORD: warehouse}\n"
              "  outputs: [data.csv]\n"
              "- name: train\n"
              "  run: [python3, train.py, --rate, '${item}']\n"
              "  inputs: {data: '${tasks.prepare-data.outputs.data.csv}'}\n"
              "  outputs: [auc]\n"
              "  needs: [prepare-data]\n"
              "  map: {over: '${params.grid}', parallelism: 2}\n"
              "  retries: {count: 3, base_s: 0.5, factor: 1.5, cap_s: 60, jitter: 0.2}\n"
              "  timeout_s: 3600\n"
              "  resources: {cpu: 2, memory_mb: 2048, gpu: 1}\n"
              "  cache: {key: ['${params.depth}'], max_age_s: 3600}\n"
              "- name: tell\n"
              "  run: [./tell]\n"
              "  needs: [train]\n"
              "  run_on: always\n"
              "  when: ['params.depth >= 3', 'tasks.prepare-data.status = succeeded']\n"
              "  labels: {zone: eu}\n"
              "triggers:\n"
              "- name: night\n"
              "  cron: 0 3 * * 1-5\n"
              "  time_zone: Europe/Berlin\n"
              "  catch_up: all\n"
              "  catch_up_max: 5\n"
              "  parameters: {endpoint: churn}\n"
              "- name: drift\n"
              "  event: DriftDetected\n"
              "  where: ['endpoint = churn', 'drifted >= 2']\n"
              "  parameters: {endpoint: '{endpoint}'}\n"
              "- {name: after, pipeline: other, on: failure, disabled: true,\n"
              "   parameters: {endpoint: x}}\n"
              "concurrency: replace\n"
              "timeout_s: 7200\n");

    cr_expect_str_eq(d->name, "retrain");
    cr_expect_str_eq(d->description, "two\nlines\n");
    cr_expect_str_eq(d->parameters[0]->default_, "007");
    cr_expect_str_eq(d->parameters[1]->default_list[1], "no");
    cr_assert_eq(d->n_tasks, 3);
    cr_expect_str_eq(d->tasks[1]->inputs[0]->value, "${tasks.prepare-data.outputs.data.csv}");
    cr_expect_float_eq(d->tasks[1]->retries->factor, 1.5, 0);
    cr_expect_eq(d->tasks[1]->resources->gpu, 1);
    cr_expect_eq(d->triggers[2]->disabled, 1);
    cr_expect_eq(definition_task(d, "tell"), 2);
    cr_expect_eq(definition_task(d, "nobody"), SIZE_MAX);
}

Test(definition, json_is_taken)
{
    Definition *d = parse("{\"name\": \"p\", \"tasks\": [{\"name\": \"t\", \"run\": [\"x\", \"\"],"
                          " \"timeout_s\": 5}], \"triggers\": []}");

    cr_expect_eq(d->tasks[0]->timeout_s, 5);
}

/* The manual's examples: blocks of YAML that begin with a name. */
Test(definition, the_manual_is_right)
{
    static char manual[64 << 10];
    FILE *file = fopen("docs/pipelines.md", "r");
    int found = 0;

    cr_assert_not_null(file);
    manual[fread(manual, 1, sizeof(manual) - 1, file)] = '\0';
    fclose(file);
    for (char *at = manual; (at = strstr(at, "\n```yaml\nname: "));) {
        at += strlen("\n```yaml\n");
        char *end = strstr(at, "\n```\n");
        cr_assert_not_null(end);
        *end = '\0';
        parse(at);
        at = end + 1;
        found++;
    }
    cr_expect_geq(found, 3);
}

Test(definition, tasks_in_an_order_that_needs_allow)
{
    Definition *d = parse("name: p\ntasks:\n"
                          "- {name: d, run: [x], needs: [b, c]}\n"
                          "- {name: b, run: [x], needs: [a]}\n"
                          "- {name: e, run: [x]}\n"
                          "- {name: c, run: [x], needs: [a]}\n"
                          "- {name: a, run: [x]}\n");
    const size_t *order = definition_order(d, arena), expected[] = {4, 1, 3, 0, 2};

    cr_expect_arr_eq(order, expected, sizeof(expected));
}

/* ---- form ---- */

Test(definition, what_is_missing_and_what_is_not_known)
{
    REFUSED({"", "name: it is missing"},
            {"name: p\n", "line 1, column 1: tasks: at least one is expected"},
            {"name: p\ntasks: []\n", "line 2, column 8: tasks: at least one is expected"},
            {"name: p\ntasks:\n- {name: t}\n",
             "line 3, column 3: tasks[0]: run: at least one is expected"},
            {"name: p\ntasks:\n- {run: [x]}\n", "line 3, column 3: tasks[0]: name: it is missing"},
            {TASK "  need: [a]\n", "line 5, column 9: tasks[0].need: no such field in Task (did "
                                   "you mean needs?)"},
            {TASK "trigers: []\n", "line 5, column 10: trigers: no such field in Definition (did "
                                   "you mean triggers?)"});
}

Test(definition, wrong_types)
{
    REFUSED(
        {"- a\n", "line 1, column 1: name:, tasks: … is expected"},
        {"name: p\ntasks: {a: 1}\n", "line 2, column 8: tasks: expected an array, got an object"},
        {"name: [p]\ntasks: []\n", "line 1, column 7: name: expected a string, got an array"},
        {"name: p\ntasks: [a]\n", "line 2, column 9: tasks[0]: expected an object, got a string"},
        {"name: p\ntasks:\n- {name: t, run: python x.py}\n",
         "line 3, column 18: tasks[0].run: expected an array, got a string"},
        {TASK "  timeout_s: soon\n",
         "line 5, column 14: tasks[0].timeout_s: expected a whole number, got 'soon'"},
        {TASK "  timeout_s: -1\n", "line 5, column 14: tasks[0].timeout_s: number out of range"},
        {TASK "  needs: [~]\n",
         "line 5, column 11: tasks[0].needs[0]: expected a string, got null"},
        {TRIGGER "  disabled: yes\n",
         "line 7, column 13: triggers[0].disabled: expected true or false, got 'yes'"});
}

Test(definition, words_that_are_not_on_the_list)
{
    REFUSED({TASK "  run_on: sucess\n", "line 5, column 11: tasks[0]: run_on: 'sucess' is none of "
                                        "success, failure, always; did you mean success?"},
            {TASK "concurrency: no\n",
             "line 5, column 14: concurrency: 'no' is none of allow, forbid, replace"},
            {TASK "parameters:\n- {name: a, type: integer}\n",
             "line 6, column 19: parameters[0]: type: 'integer' is none of string, int, float, "
             "bool, list"},
            {TRIGGER "  cron: '@daily'\n  catch_up: yes\n",
             "line 8, column 13: triggers[0]: catch_up: 'yes' is none of skip, last, all"},
            {TRIGGER "  pipeline: q\n  on: failed\n",
             "line 8, column 7: triggers[0]: on: 'failed' is none of success, failure, always"});
}

Test(definition, names)
{
    REFUSED(
        {"name: a/b\ntasks: [{name: t, run: [x]}]\n", "line 1, column 7: name: 'a/b' is not 1 "},
        {"name: p\ntasks: [{name: a.b, run: [x]}]\n", "line 2, column 16: tasks[0]: name: 'a.b' "},
        {"name: p\ntasks: [{name: -a, run: [x]}]\n", "line 2, column 16: tasks[0]: name: '-a' "},
        {TASK "  outputs: [../x]\n", "line 5, column 13: tasks[0]: outputs[0]: '../x' is not"},
        {TASK "  outputs: ['']\n", "line 5, column 13: tasks[0]: outputs[0]: '' is not"},
        {TASK "  outputs: [a, a]\n", "line 5, column 16: tasks[0]: outputs[1]: 'a' is given twice"},
        {TASK "  inputs: {.a: x}\n", "line 5, column 11: tasks[0]: inputs: the name: '.a' is"},
        {TASK "  env: {A-B: x}\n", "line 5, column 8: tasks[0]: env: the name: 'A-B' is not"},
        {TASK "  env: {A: 1, A: 2}\n", "line 5, column 15: the name is given twice"},
        {TASK "  env: {A: x}\n  secrets: {A: y}\n",
         "line 6, column 16: tasks[0]: secrets.A: env gives it too"},
        {TASK "  secrets: {A: a/b}\n", "line 5, column 16: tasks[0]: secrets: A: 'a/b' is not"},
        {TASK "  archive: http://x\n",
         "line 5, column 12: tasks[0]: archive: 'http://x' is not an artifact"},
        {TASK "- {name: t, run: [x]}\n",
         "line 5, column 10: tasks[1].name: there is a task 't' already"},
        {TASK "parameters: [{name: a}, {name: a}]\n",
         "line 5, column 32: parameters[1].name: there is a parameter 'a' already"},
        {TRIGGER "  cron: '@daily'\n- {name: g, cron: '@daily'}\n",
         "line 8, column 10: triggers[1].name: there is a trigger 'g' already"},
        {TASK "owner: \"a\\nb\"\n", "line 5, column 8: owner: one line is expected"},
        {TASK "owner: \"a\\x01b\"\n", "line 5, column 8: owner: not UTF-8 text"},
        {TASK "  run: [a]\n", "line 5, column 3: the name is given twice"});
}

Test(definition, numbers_out_of_range)
{
    REFUSED(
        {TASK "  timeout_s: 2592001\n",
         "line 5, column 14: tasks[0]: timeout_s: 2592001 is not in 0 to 2592000"},
        {TASK "  retries: {count: 101}\n", "line 5, column 20: tasks[0]: retries: count: 101 is"},
        {TASK "  retries: {factor: 0.5}\n",
         "line 5, column 21: tasks[0]: retries: factor: 0.5 is not in 1 to 100"},
        {TASK "  retries: {base_s: -1}\n", "line 5, column 21: tasks[0]: retries: base_s: -1 is"},
        {TASK "  retries: {jitter: 1.5}\n", "line 5, column 21: tasks[0]: retries: jitter: 1.5 is"},
        {TASK "  retries: {cap_s: NaN}\n", "line 5, column 20: tasks[0]: retries: cap_s: nan is"},
        {TASK "  resources: {cpu: Infinity}\n",
         "line 5, column 20: tasks[0]: resources: cpu: inf is not in 0 to 4096"},
        {TASK "  resources: {memory_mb: 99999999999}\n",
         "line 5, column 26: tasks[0].resources.memory_mb: number out of range"});
}

/* ---- needs ---- */

Test(definition, needs)
{
    REFUSED({"name: p\ntasks:\n- {name: train, run: [x]}\n- {name: b, run: [x], needs: [trian]}\n",
             "line 4, column 31: tasks[1].needs[0]: there is no task 'trian'; did you mean train?"},
            {TASK "  needs: [t]\n", "line 5, column 11: tasks[0].needs[0]: a cycle: t -> t"},
            {"name: p\ntasks:\n- {name: a, run: [x], needs: [b]}\n- {name: b, run: [x], needs: "
             "[a]}\n",
             "line 4, column 31: tasks[1].needs[0]: a cycle: a -> b -> a"},
            {"name: p\ntasks:\n- {name: s, run: [x]}\n- {name: z, run: [x], needs: [s, a]}\n"
             "- {name: a, run: [x], needs: [b]}\n- {name: b, run: [x], needs: [s, c]}\n"
             "- {name: c, run: [x], needs: [a]}\n",
             "line 7, column 31: tasks[4].needs[0]: a cycle: a -> b -> c -> a"},
            {"name: p\ntasks:\n- {name: a, run: [x]}\n- {name: b, run: [x], needs: [a, a]}\n",
             "line 4, column 34: tasks[1].needs[1]: 'a' is given twice"},
            {TASK "  run_on: failure\n",
             "line 5, column 11: tasks[0]: run_on: nothing that the task needs could fail"});
}

/* ---- triggers ---- */

Test(definition, triggers)
{
    REFUSED(
        {TRIGGER, "line 6, column 9: triggers[0]: name: one of cron, event and pipeline"},
        {TRIGGER "  cron: '@daily'\n  event: DriftDetected\n",
         "line 8, column 10: triggers[0]: event: one of cron, event and pipeline is expected"},
        {TRIGGER "  cron: 0 25 * * *\n",
         "line 7, column 9: triggers[0]: cron: hour: 25 is not in 0-23"},
        {TRIGGER "  cron: 0 0 31 2 *\n", "line 7, column 9: triggers[0]: cron: '0 0 31 2 *' is "
                                         "never due"},
        {TRIGGER "  cron: '@daily'\n  time_zone: Europe/Berln\n",
         "line 8, column 14: triggers[0]: time_zone: there is no time zone 'Europe/Berln'"},
        {TRIGGER "  event: DriftDetected\n  time_zone: UTC\n",
         "line 8, column 14: triggers[0]: time_zone: only of a trigger with cron"},
        {TRIGGER "  cron: '@daily'\n  catch_up_max: 3\n",
         "line 8, column 17: triggers[0]: catch_up_max: only of a trigger with catch_up: all"},
        {TRIGGER "  event: DriftDetectd\n", "line 7, column 10: triggers[0]: event: there is no "
                                            "event 'DriftDetectd'; did you mean DriftDetected?"},
        {TRIGGER "  event: PredictionsLogged\n",
         "line 7, column 10: triggers[0]: event: PredictionsLogged comes too often to"},
        {TRIGGER "  event: DriftDetected\n  where: [endpont = x]\n",
         "line 8, column 11: triggers[0]: where[0]: DriftDetected has no field 'endpont'; did "
         "you mean endpoint"},
        {TRIGGER "  event: DriftDetected\n  where: [endpoint > 3]\n",
         "line 8, column 11: triggers[0]: where[0]: 'endpoint > 3': 'endpoint' is not a number"},
        {TRIGGER "  cron: '@daily'\n  where: [a = b]\n",
         "line 8, column 10: triggers[0]: where: only of a trigger with event"},
        {TRIGGER "  cron: '@daily'\n  on: always\n",
         "line 8, column 7: triggers[0]: on: only of a trigger with pipeline"},
        {TRIGGER "  pipeline: p\n",
         "line 7, column 13: triggers[0]: pipeline: 'p' would start itself for ever"});
}

Test(definition, parameters_of_triggers)
{
    REFUSED({TRIGGER "  cron: '@daily'\n  parameters: {dept: 3}\nparameters: [{name: depth}]\n",
             "line 8, column 22: triggers[0]: parameters.dept: there is no parameter 'dept'; did "
             "you mean depth?"},
            {TRIGGER "  cron: '@daily'\n  parameters: {n: x}\nparameters: [{name: n, type: int, "
                     "default: 1}]\n",
             "line 8, column 19: triggers[0]: parameters.n: n: 'x' is not a whole number"},
            {TRIGGER "  cron: '@daily'\n  parameters: {n: '${run.id}'}\nparameters: [{name: n}]\n",
             "line 8, column 19: triggers[0]: parameters: n: '${run.id}': ${...} is not filled in "
             "here"},
            {TRIGGER "  event: DriftDetected\n  parameters: {n: '{endpont}'}\nparameters: [{name: "
                     "n}]\n",
             "line 8, column 19: triggers[0]: parameters.n: DriftDetected has no field 'endpont'"},
            {TRIGGER "  cron: '@daily'\nparameters: [{name: n, required: true}]\n",
             "line 6, column 3: triggers[0]: parameters: 'n' is required"});
}

/* ---- files meant to hurt ---- */

/* head, then count times one (printed with its number), then tail. */
static void
refused_large(const char *head, const char *one, size_t count, const char *tail,
              const char *message)
{
    CLEANUP(buf_done) struct buf text = {0};
    Definition *definition = NULL;
    struct timespec begin, end;

    buf_str(&text, head);
    for (size_t i = 0; i < count; i++) {
        const char *hash = strchr(one, '#');
        buf_add(&text, one, hash ? (size_t)(hash - one) : strlen(one));
        if (hash) {
            buf_int(&text, (int64_t)i);
            buf_str(&text, hash + 1);
        }
    }
    buf_str(&text, tail);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    enum err_code code = definition_parse(text.data, text.len, arena, &definition, &err);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    cr_expect(code == ERR_INVALID || code == ERR_TOO_LARGE, "%s", one);
    cr_expect_not_null(strstr(err.message, message), "%s: %s", one, err.message);
    cr_expect_lt(end.tv_sec - begin.tv_sec, 10, "%s takes long", one);
    arena_reset(arena);
}

Test(definition, what_is_too_large)
{
    refused_large("name: p\ntasks:\n", "- {name: t#, run: [x]}\n", 100000, "",
                  "more than 1048576 bytes");
    refused_large("name: p\ntasks:\n", "- {name: t#, run: [x]}\n", 30000, "",
                  "more than 100000 values");
    refused_large("name: p\ntasks:\n", "- {name: t#, run: [x]}\n", 20000, "",
                  "line 3, column 1: tasks: 20000, at most 1000");
    refused_large(TASK "  map: {items: [", "1,", 1000000, "]}\n", "more than 1048576 bytes");
    refused_large(TASK "  map: {items: [", "1,", 90000, "]}\n", "items: 90000, at most 10000");
    refused_large(TASK "  env:\n", "    A#: x\n", 40000, "", "env: 40000, at most 100");
    refused_large(TASK "owner: ", "a", 300, "\n", "owner: longer than 250 bytes");
    refused_large(TASK "  description: ", "a", 900000, "\n", "description: longer than 8000 bytes");
    refused_large("name: p\ntasks:\n- {name: a, run: [x]}\n- {name: b, run: [x], needs: [", "a, ",
                  50000, "]}\n", "needs: 50000, at most 1000");
    refused_large(TASK "  x: ", "[", 500000, "\n", "too deep");
    refused_large(TASK "  x: ", "{a: ", 200000, "\n", "too deep");
    refused_large("", "#", 1, "", "name:, tasks: … is expected");
}

Test(definition, billion_laughs)
{
    REFUSED({"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
             "line 2, column 8: anchors and aliases are not taken"},
            {"name: &n p\ntasks: [{name: *n, run: [x]}]\n",
             "line 2, column 16: anchors and aliases are not taken"},
            {TASK "  <<: {env: {A: b}}\n", "line 3, column 3: tasks[0].<<: no such field in Task"});
}

/* The largest that is allowed, each task needing ten before it and naming the first. */
Test(definition, the_largest_is_quick)
{
    CLEANUP(buf_done) struct buf text = {0};
    struct timespec begin, end;

    buf_str(&text, "name: p\ntasks:\n");
    for (int i = 0; i < DEFINITION_TASKS_MAX; i++) {
        buf_printf(&text, "- {name: t%d, run: [x%s], outputs: [o], needs: [", i,
                   i ? ", '${tasks.t0.outputs.o}'" : "");
        for (int k = i < 10 ? 0 : i - 10; k < i; k++)
            buf_printf(&text, "t%d, ", k);
        buf_str(&text, "]}\n");
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    Definition *d = parse(text.data);
    const size_t *order = definition_order(d, arena);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    cr_expect_eq(order[DEFINITION_TASKS_MAX - 1], DEFINITION_TASKS_MAX - 1);
    cr_expect_lt(end.tv_sec - begin.tv_sec, 10);
}

Test(definition, a_chain_as_long_as_is_allowed_may_end_in_a_cycle)
{
    CLEANUP(buf_done) struct buf text = {0};
    Definition *definition = NULL;

    buf_str(&text, "name: p\ntasks:\n");
    for (int i = 0; i < DEFINITION_TASKS_MAX; i++)
        buf_printf(&text, "- {name: t%d, run: [x], needs: [t%d]}\n", i,
                   (i + 1) % DEFINITION_TASKS_MAX);
    cr_expect_eq(definition_parse(text.data, text.len, arena, &definition, &err), ERR_INVALID);
    cr_expect_str_eq(err.message, "line 1002, column 34: tasks[999].needs[0]: a cycle: t0 -> t1 -> "
                                  "t2 -> t3 -> t4 -> t5 -> ... -> t999 -> t0");
}
