/* SPDX-License-Identifier: Apache-2.0 */
/* definition_rules.c - the table of a definition's fields: what each may be. */
#include "definition_parts.h"

#include "artifact/artifact.h"
#include "cron.h"
#include "matcher.h"
#include "values.h"

#include <string.h>

#define DAY_S 86400
#define YEAR_S (366 * DAY_S)
#define NAMES_MAX 100 /* entries of a mapping */

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
#define WORD LETTERS "0123456789"

/* ---- texts ---- */

/* As they are in ${...} and conditions, where a point separates. */
static const struct text_rule name = {
    .first = WORD,
    .rest = WORD "-",
    .max = 64,
    .pattern = "^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$",
    .says = "1 to 64 letters, digits, '_' and '-', not beginning with '-'",
};
static const struct text_rule file_name = {
    .first = WORD,
    .rest = WORD ".-",
    .max = 100,
    .pattern = "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$",
    .says = "1 to 100 letters, digits, '_', '.' and '-', beginning with a letter, digit or '_'",
};
static const struct text_rule variable = {
    .first = LETTERS,
    .rest = WORD,
    .max = 100,
    .pattern = "^[A-Za-z_][A-Za-z0-9_]{0,99}$",
    .says = "1 to 100 letters, digits and '_', not beginning with a digit",
};
static const struct text_rule artifact = {
    .artifact = true,
    .max = ARTIFACT_URI_LEN,
    .pattern = "^sha256:[0-9a-f]{64}$",
    .says = "an artifact, sha256: and 64 hex digits",
};
static const struct text_rule line = {.max = VALUE_NAME_MAX};
static const struct text_rule text = {.max = VALUE_TEXT_MAX, .lines = true};
static const struct text_rule value = {.max = DEFINITION_VALUE_MAX, .lines = true};
static const struct text_rule plain_line = {.max = VALUE_NAME_MAX, .literal = true};
static const struct text_rule plain_value = {
    .max = DEFINITION_VALUE_MAX, .lines = true, .literal = true};
static const struct text_rule condition = {.max = MATCHER_MAX};
static const struct text_rule expression = {.max = CRON_TEXT_MAX};

static const char *const types[] = {"string", "int", "float", "bool", "list", NULL};
static const char *const ends[] = {"success", "failure", "always", NULL};
static const char *const catch_ups[] = {"skip", "last", "all", NULL};
static const char *const concurrencies[] = {"allow", "forbid", "replace", NULL};

/* ---- fields ---- */

#define DEFINITION &modelbus__pipeline__v1__definition__descriptor
#define PARAMETER &modelbus__pipeline__v1__parameter__descriptor
#define TASK &modelbus__pipeline__v1__task__descriptor
#define RETRIES &modelbus__pipeline__v1__retries__descriptor
#define RESOURCES &modelbus__pipeline__v1__resources__descriptor
#define MAP &modelbus__pipeline__v1__map__descriptor
#define CACHE &modelbus__pipeline__v1__cache__descriptor
#define TRIGGER &modelbus__pipeline__v1__trigger__descriptor

static const struct field_rule rules[] = {
    {DEFINITION, "name", .text = &file_name, .required = true, .doc = "Name of the pipeline."},
    {DEFINITION, "description", .text = &text, .doc = "What it is for."},
    {DEFINITION, "owner", .text = &line, .doc = "Who looks after it."},
    {DEFINITION, "tags", .text = &line, .key = &file_name, .items = NAMES_MAX,
     .doc = "Names with texts, for finding it."},
    {DEFINITION, "parameters", .items = DEFINITION_PARAMETERS_MAX,
     .doc = "What a run can be given."},
    {DEFINITION, "tasks", .items = DEFINITION_TASKS_MAX, .required = true,
     .doc = "What a run does."},
    {DEFINITION, "triggers", .items = DEFINITION_TRIGGERS_MAX,
     .doc = "What starts runs besides people."},
    {DEFINITION, "concurrency", .text = &line, .words = concurrencies,
     .doc = "When a trigger finds a run active: allow (default) another one, forbid it, or "
            "replace the active one."},
    {DEFINITION, "timeout_s", .max = 30 * DAY_S, .doc = "Of a whole run; none when left out."},

    {PARAMETER, "name", .text = &name, .required = true, .doc = "As in ${params.NAME}."},
    {PARAMETER, "type", .text = &line, .words = types, .doc = "string when left out."},
    {PARAMETER, "default", .text = &plain_value,
     .doc = "When a run is not given it. Types other than string and list need it, or required."},
    {PARAMETER, "default_list", .text = &plain_value, .items = DEFINITION_MAP_MAX,
     .doc = "The default of a list."},
    {PARAMETER, "required", .doc = "There is no default: it must be given."},
    {PARAMETER, "description", .text = &text, .doc = "What it means."},

    {TASK, "name", .text = &name, .required = true, .doc = "As in needs and ${tasks.NAME...}."},
    {TASK, "run", .text = &value, .items = DEFINITION_ARGS_MAX, .required = true,
     .doc = "The command and its arguments; no shell in between. Texts with ${...}."},
    {TASK, "archive", .text = &artifact,
     .doc = "Artifact of a tar file that becomes the working folder."},
    {TASK, "env", .text = &value, .key = &variable, .items = NAMES_MAX,
     .doc = "Environment. Texts with ${...}."},
    {TASK, "secrets", .text = &file_name, .key = &variable, .items = NAMES_MAX,
     .doc = "Environment from secrets: variable, and name of the secret that the worker knows."},
    {TASK, "inputs", .text = &value, .key = &file_name, .items = DEFINITION_OUTPUTS_MAX,
     .doc = "Files at $MODELBUS_INPUTS/NAME: \"${tasks.NAME.outputs.NAME}\", a parameter, or an "
            "artifact."},
    {TASK, "outputs", .text = &file_name, .items = DEFINITION_OUTPUTS_MAX,
     .doc = "Files that the command leaves in $MODELBUS_OUTPUTS; each must be there."},
    {TASK, "needs", .text = &name, .items = DEFINITION_TASKS_MAX,
     .doc = "Tasks that must have ended before."},
    {TASK, "when", .text = &condition, .items = NAMES_MAX,
     .doc = "Conditions that must all hold, else the task is skipped: \"params.mode = full\"."},
    {TASK, "map", .doc = "The task once for each item."},
    {TASK, "retries", .doc = "Attempts after one that failed."},
    {TASK, "timeout_s", .max = 30 * DAY_S, .doc = "Of one attempt; 86400 when left out."},
    {TASK, "resources", .doc = "What a worker must have free."},
    {TASK, "cache", .doc = "Take the outputs of an earlier run of the same."},
    {TASK, "run_on", .text = &line, .words = ends,
     .doc = "success (default): all that it needs succeeded; failure: one of them failed; always."},
    {TASK, "labels", .text = &plain_line, .key = &file_name, .items = NAMES_MAX,
     .doc = "A worker must have these."},
    {TASK, "description", .text = &text, .doc = "What it does."},

    {RETRIES, "count", .max = 100, .doc = "How many attempts may follow the first."},
    {RETRIES, "base_s", .max = DAY_S, .doc = "Wait before the second attempt; 1 when left out."},
    {RETRIES, "factor", .min = 1, .max = 100,
     .doc = "Each wait is so many times the one before; 2 when left out."},
    {RETRIES, "cap_s", .max = 7 * DAY_S, .doc = "The longest wait; 300 when left out."},
    {RETRIES, "jitter", .max = 1, .doc = "Up to this share of a wait is left out by chance."},

    {RESOURCES, "cpu", .max = 4096, .doc = "Cores; 1 when left out."},
    {RESOURCES, "memory_mb", .max = 64 << 20, .doc = "MiB; 256 when left out."},
    {RESOURCES, "gpu", .max = 1024, .doc = "GPUs; none when left out."},

    {MAP, "items", .text = &plain_value, .items = DEFINITION_MAP_MAX,
     .doc = "The items as they are."},
    {MAP, "over", .text = &value,
     .doc = "\"${params.NAME}\" of type list, or an output that holds a JSON list."},
    {MAP, "parallelism", .max = DEFINITION_MAP_MAX, .doc = "At most so many at once; all when 0."},

    {CACHE, "key", .text = &value, .items = NAMES_MAX,
     .doc = "Texts with ${...}; command, archive and inputs count by themselves."},
    {CACHE, "max_age_s", .max = 10.0 * YEAR_S,
     .doc = "Older outputs are not taken; a day when left out."},

    {TRIGGER, "name", .text = &name, .required = true, .doc = "As in the cause of a run."},
    {TRIGGER, "cron", .text = &expression,
     .doc = "Minute, hour, day, month, day of the week; seconds in front when there are six; or "
            "@hourly, @daily, @weekly, @monthly, @yearly."},
    {TRIGGER, "time_zone", .text = &line, .doc = "Of cron: \"Europe/Berlin\"; UTC when left out."},
    {TRIGGER, "catch_up", .text = &line, .words = catch_ups,
     .doc = "Of cron, times that were missed: skip (default), the last, or all."},
    {TRIGGER, "catch_up_max", .max = 10000, .doc = "Of catch_up: all, at most so many."},
    {TRIGGER, "event", .text = &line, .doc = "Type of an event: DriftDetected."},
    {TRIGGER, "where", .text = &condition, .items = NAMES_MAX,
     .doc = "Conditions on the event's fields that must all hold: \"endpoint = churn\"."},
    {TRIGGER, "pipeline", .text = &file_name, .doc = "A pipeline whose runs' ends trigger."},
    {TRIGGER, "on", .text = &line, .words = ends,
     .doc = "Of pipeline: success (default), failure or always."},
    {TRIGGER, "parameters", .text = &plain_value, .key = &name, .items = DEFINITION_PARAMETERS_MAX,
     .doc = "Values of parameters; of an event with its fields in braces: \"{endpoint}\"."},
    {TRIGGER, "disabled", .doc = "It does nothing."},
};

const struct field_rule *
form_rule(const ProtobufCMessageDescriptor *type, const char *field)
{
    static const struct field_rule none = {.doc = NULL};

    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (rules[i].type == type && strcmp(rules[i].name, field) == 0)
            return &rules[i];
    return &none;
}
