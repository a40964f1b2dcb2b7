/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_argo.c - a definition becomes a Workflow. */
#include "argo.h"
#include "output.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define INPUTS "/modelbus/inputs"
#define OUTPUTS "/modelbus/outputs"

struct export
{
    const json_t *definition;
    const struct argo_options *options;
    json_t *templates, *dag;
};

/* One task while it is written. */
struct part {
    struct export *export;
    const json_t *task;
    size_t at;
    struct argo_scope inner; /* within the container's template */
    struct argo_scope outer; /* in the DAG */
};

static enum err_code
unsupported(const struct part *p, const char *field, const char *why, struct err *err)
{
    return err_set(err, ERR_UNSUPPORTED, "tasks[%zu].%s: %s", p->at, field, why);
}

static enum err_code
said(const struct part *p, const char *field, struct err *err)
{
    return err_wrap(err, "tasks[%zu].%s", p->at, field);
}

static enum err_code
text_of(struct argo_scope *scope, const char *text, json_t **value, struct err *err)
{
    CLEANUP(buf_done) struct buf out = {0};

    buf_reserve(&out, 1);
    if (argo_text(scope, text, &out, err))
        return err->code;
    *value = json_stringn(out.len ? out.data : "", out.len);
    return ERR_OK;
}

/* A Kubernetes name: lower case, digits, '-'. */
static char *
kube_name(const char *a, const char *b)
{
    char *name = mem_printf("%s%s%s", a, *b ? "-" : "", b);

    for (char *c = name; *c; c++)
        *c = isalnum((unsigned char)*c) ? (char)tolower((unsigned char)*c) : '-';
    return name;
}

/* ---- the container ---- */

static void
add_env(json_t *env, const char *name, json_t *value)
{
    json_array_append_new(env, json_pack("{s:s,s:o}", "name", name, "value", value));
}

static enum err_code
environment(struct part *p, json_t *env, struct err *err)
{
    const char *name;
    json_t *text;

    add_env(env, "MODELBUS_INPUTS", json_string(INPUTS));
    add_env(env, "MODELBUS_OUTPUTS", json_string(OUTPUTS));
    add_env(env, "MODELBUS_RUN", json_string("{{workflow.uid}}"));
    add_env(env, "MODELBUS_TASK", json_string(json_text_at(p->task, "name")));
    json_object_foreach(json_object_get(p->task, "env"), name, text)
    {
        json_t *value;
        if (text_of(&p->inner, json_string_value(text), &value, err))
            return said(p, "env", err);
        add_env(env, name, value);
    }
    json_object_foreach(json_object_get(p->task, "secrets"), name, text)
        json_array_append_new(env, json_pack("{s:s,s:{s:{s:O,s:s}}}", "name", name, "valueFrom",
                                             "secretKeyRef", "name", text, "key", "value"));
    return ERR_OK;
}

static json_t *
resources(const json_t *task)
{
    const json_t *given = json_object_get(task, "resources");
    double cpu = json_number_value(json_object_get(given, "cpu"));
    int64_t memory = json_int_at(given, "memory_mb"), gpu = json_int_at(given, "gpu");
    CLEANUP(mem_free) char *cores = mem_printf("%g", cpu > 0 ? cpu : 1.0);
    CLEANUP(mem_free) char *bytes = mem_printf("%lldMi", (long long)(memory ? memory : 256));
    json_t *all = json_pack("{s:{s:s,s:s},s:{s:s}}", "requests", "cpu", cores, "memory", bytes,
                            "limits", "memory", bytes);

    if (gpu)
        json_object_set_new(json_object_get(all, "limits"), "nvidia.com/gpu",
                            json_sprintf("%lld", (long long)gpu));
    return all;
}

static enum err_code
container(struct part *p, json_t *template, struct err *err)
{
    json_t *command = json_array(), *env = json_array(), *word;
    size_t i;

    json_t *made =
        json_pack("{s:s,s:s,s:o,s:o,s:o,s:[{s:s,s:s}]}", "name", "main", "image",
                  p->export->options->image, "command", command, "env", env, "resources",
                  resources(p->task), "volumeMounts", "name", "outputs", "mountPath", OUTPUTS);
    json_object_set_new(template, "container", made);
    json_object_set_new(template, "volumes",
                        json_pack("[{s:s,s:{}}]", "name", "outputs", "emptyDir"));
    json_array_foreach(json_object_get(p->task, "run"), i, word)
    {
        json_t *value;
        if (text_of(&p->inner, json_string_value(word), &value, err))
            return said(p, "run", err);
        json_array_append_new(command, value);
    }
    return environment(p, env, err);
}

static enum err_code
retries(const struct part *p, json_t *template, struct err *err)
{
    const json_t *given = json_object_get(p->task, "retries");
    double base = json_number_value(json_object_get(given, "base_s"));
    double factor = json_number_value(json_object_get(given, "factor"));
    double cap = json_number_value(json_object_get(given, "cap_s"));

    if (json_int_at(given, "count") == 0)
        return ERR_OK;
    if (json_number_value(json_object_get(given, "jitter")) > 0)
        return unsupported(p, "retries.jitter", "Argo has no jitter", err);
    factor = factor > 0 ? factor : 2;
    if (factor != (double)(int)factor)
        return unsupported(p, "retries.factor", "Argo takes whole factors only", err);
    json_object_set_new(template, "retryStrategy",
                        json_pack("{s:o,s:s,s:{s:o,s:o,s:o}}", "limit",
                                  json_sprintf("%lld", (long long)json_int_at(given, "count")),
                                  "retryPolicy", "Always", "backoff", "duration",
                                  json_sprintf("%gs", base > 0 ? base : 1.0), "factor",
                                  json_sprintf("%d", (int)factor), "cap",
                                  json_sprintf("%gs", cap > 0 ? cap : 300.0)));
    return ERR_OK;
}

static enum err_code
memoize(struct part *p, json_t *template, struct err *err)
{
    const json_t *cache = json_object_get(p->task, "cache");
    CLEANUP(buf_done) struct buf key = {0};
    CLEANUP(mem_free) char *map = kube_name(json_text_at(p->export->definition, "name"), "cache");
    int64_t age = json_int_at(cache, "max_age_s");
    json_t *text;
    size_t i;

    if (!json_is_object(cache))
        return ERR_OK;
    buf_str(&key, json_text_at(p->task, "name"));
    json_array_foreach(json_object_get(cache, "key"), i, text)
    {
        buf_char(&key, '-');
        if (argo_text(&p->inner, json_string_value(text), &key, err))
            return said(p, "cache.key", err);
    }
    json_object_set_new(template, "memoize",
                        json_pack("{s:s%,s:o,s:{s:{s:s}}}", "key", key.data, key.len, "maxAge",
                                  json_sprintf("%llds", (long long)(age ? age : 86400)), "cache",
                                  "configMap", "name", map));
    return ERR_OK;
}

/* ---- what goes in and out ---- */

static void
outputs(const struct part *p, json_t *template)
{
    json_t *names = json_object_get(p->task, "outputs"), *name;
    json_t *parameters = json_array(), *artifacts = json_array();
    size_t i;

    json_array_foreach(names, i, name)
    {
        json_t *path = json_sprintf(OUTPUTS "/%s", json_string_value(name));
        json_array_append_new(parameters,
                              json_pack("{s:O,s:{s:O}}", "name", name, "valueFrom", "path", path));
        json_array_append_new(artifacts, json_pack("{s:O,s:o}", "name", name, "path", path));
    }
    if (i)
        json_object_set_new(
            template, "outputs",
            json_pack("{s:O,s:O}", "parameters", parameters, "artifacts", artifacts));
    json_decref(parameters);
    json_decref(artifacts);
}

/* inputs of the template, and the arguments that the DAG's task gives it. */
static enum err_code
inputs(struct part *p, json_t *template, json_t *arguments, struct err *err)
{
    json_t *parameters = json_array(), *artifacts = json_array(), *use;
    json_t *given = json_object_get(arguments, "parameters");
    json_t *files = json_object_get(arguments, "artifacts");
    const char *name;
    json_t *from;
    size_t i;

    json_object_set_new(template, "inputs",
                        json_pack("{s:o,s:o}", "parameters", parameters, "artifacts", artifacts));
    if (json_is_object(json_object_get(p->task, "map"))) {
        json_array_append_new(parameters, json_pack("{s:s}", "name", "item"));
        json_array_append_new(given, json_pack("{s:s,s:s}", "name", "item", "value", "{{item}}"));
    }
    json_array_foreach(p->inner.uses, i, use)
    {
        const char *task = json_text_at(use, "task"), *output = json_text_at(use, "output");
        json_t *as = json_sprintf("%s-%s", task, output);
        json_array_append_new(parameters, json_pack("{s:O}", "name", as));
        json_array_append_new(
            given, json_pack("{s:o,s:o}", "name", as, "value",
                             json_sprintf("{{tasks.%s.outputs.parameters.%s}}", task, output)));
    }
    json_object_foreach(json_object_get(p->task, "inputs"), name, from)
    {
        const char *text = json_string_value(from), *point;
        if (strncmp(text, "${tasks.", 8) != 0 || !(point = strstr(text, ".outputs.")))
            return unsupported(p, "inputs", "Argo does not read artifacts of modelbus", err);
        json_array_append_new(artifacts, json_pack("{s:s,s:o}", "name", name, "path",
                                                   json_sprintf(INPUTS "/%s", name)));
        json_array_append_new(
            files,
            json_pack("{s:s,s:o}", "name", name, "from",
                      json_sprintf("{{tasks.%.*s.outputs.artifacts.%.*s}}", (int)(point - text - 8),
                                   text + 8, (int)strcspn(point + 9, "}"), point + 9)));
    }
    return ERR_OK;
}

/* ---- the DAG ---- */

static void
depends(const struct part *p, json_t *node)
{
    const char *on = json_text_at(p->task, "run_on");
    bool failure = strcmp(on, "failure") == 0, always = strcmp(on, "always") == 0;
    CLEANUP(buf_done) struct buf out = {0};
    json_t *need;
    size_t i;

    json_array_foreach(json_object_get(p->task, "needs"), i, need)
    {
        const char *name = json_string_value(need);
        buf_str(&out, i == 0 ? "" : failure ? " || " : " && ");
        if (always)
            buf_printf(&out,
                       "(%s.Succeeded || %s.Failed || %s.Errored || %s.Skipped || %s.Omitted)",
                       name, name, name, name, name);
        else if (failure)
            buf_printf(&out, "%s.Failed || %s.Errored", name, name);
        else
            buf_printf(&out, "%s.Succeeded", name);
    }
    if (i)
        json_object_set_new(node, "depends", json_stringn(out.data, out.len));
}

static enum err_code
when(struct part *p, json_t *node, struct err *err)
{
    CLEANUP(buf_done) struct buf out = {0};
    json_t *condition;
    size_t i;

    json_array_foreach(json_object_get(p->task, "when"), i, condition)
    {
        buf_str(&out, i ? " && " : "");
        if (argo_condition(&p->outer, json_string_value(condition), &out, err))
            return said(p, "when", err);
    }
    if (i)
        json_object_set_new(node, "when", json_stringn(out.data, out.len));
    return ERR_OK;
}

/* withItems or withParam, on the task that has the template itself. */
static enum err_code
items(struct part *p, json_t *node, struct err *err)
{
    const json_t *map = json_object_get(p->task, "map");
    const char *over = json_text_at(map, "over");
    json_t *value;

    if (!*over) {
        json_object_set(node, "withItems", json_object_get(map, "items"));
        return ERR_OK;
    }
    if (text_of(&p->outer, over, &value, err))
        return said(p, "map.over", err);
    json_object_set_new(node, "withParam", value);
    return ERR_OK;
}

/*
 * A map with a bound becomes a DAG of its own, because Argo bounds templates. Everything that the
 * container's template takes goes through it.
 */
static enum err_code
bounded(struct part *p, json_t *node, json_t *template, const json_t *arguments, struct err *err)
{
    const char *name = json_text_at(p->task, "name");
    json_t *parameters = json_array(), *artifacts = json_array(), *row;
    json_t *inner = json_pack("{s:s,s:s,s:{s:o,s:o}}", "name", "item", "template", name,
                              "arguments", "parameters", parameters, "artifacts", artifacts);
    json_t *outer = json_deep_copy(json_object_get(template, "inputs")), *passed;
    size_t i;

    json_array_remove(json_object_get(outer, "parameters"), 0); /* the item is made inside */
    json_t *around =
        json_pack("{s:o,s:o,s:o,s:{s:[o]}}", "name", json_sprintf("%s-map", name), "inputs", outer,
                  "parallelism", json_integer(json_int_at(p->task, "map.parallelism")), "dag",
                  "tasks", inner);
    json_array_append_new(p->export->templates, around);
    if (items(p, inner, err))
        return err->code;
    passed = json_array();
    json_array_foreach(json_object_get(arguments, "parameters"), i, row)
    {
        const char *as = json_text_at(row, "name");
        if (strcmp(as, "item") == 0) {
            json_array_append(parameters, row);
            continue;
        }
        json_array_append(passed, row);
        json_array_append_new(parameters, json_pack("{s:s,s:o}", "name", as, "value",
                                                    json_sprintf("{{inputs.parameters.%s}}", as)));
    }
    json_array_foreach(json_object_get(arguments, "artifacts"), i, row) json_array_append_new(
        artifacts, json_pack("{s:O,s:o}", "name", json_object_get(row, "name"), "from",
                             json_sprintf("{{inputs.artifacts.%s}}", json_text_at(row, "name"))));
    json_t *outside = json_pack("{s:o,s:O}", "parameters", passed, "artifacts",
                                json_object_get(arguments, "artifacts"));
    json_object_set_new(node, "template", json_sprintf("%s-map", name));
    json_object_set_new(node, "arguments", outside);
    return ERR_OK;
}

static enum err_code
check_task(const struct part *p, struct err *err)
{
    if (*json_text_at(p->task, "archive") && !p->export->options->code_in_image)
        return unsupported(p, "archive",
                           "Argo runs images: build one with the archive's files and say "
                           "--code-in-image",
                           err);
    return ERR_OK;
}

static enum err_code
add_task(struct part *p, struct err *err)
{
    const char *name = json_text_at(p->task, "name");
    json_t *template = json_pack("{s:s}", "name", name), *labels, *node;
    json_t *arguments = json_pack("{s:[],s:[]}", "parameters", "artifacts");
    int64_t timeout = json_int_at(p->task, "timeout_s");
    bool map = json_is_object(json_object_get(p->task, "map"));

    json_array_append_new(p->export->templates, template);
    node = json_pack("{s:s,s:s,s:o}", "name", name, "template", name, "arguments", arguments);
    json_array_append_new(p->export->dag, node);
    json_object_set_new(template, "activeDeadlineSeconds", json_integer(timeout ? timeout : 86400));
    labels = json_object_get(p->task, "labels");
    if (json_object_size(labels))
        json_object_set(template, "nodeSelector", labels);
    if (check_task(p, err) || container(p, template, err) || retries(p, template, err) ||
        memoize(p, template, err) || inputs(p, template, arguments, err) || when(p, node, err))
        return err->code;
    outputs(p, template);
    depends(p, node);
    if (map && json_int_at(p->task, "map.parallelism"))
        return bounded(p, node, template, arguments, err);
    return map ? items(p, node, err) : ERR_OK;
}

/* ---- the whole ---- */

static json_t *
parameters_of(const json_t *definition, const json_t *values)
{
    json_t *all = json_array(), *row;
    size_t i;

    json_array_foreach(json_object_get(definition, "parameters"), i, row)
    {
        const char *name = json_text_at(row, "name");
        const json_t *given = json_object_get(values, name);
        json_t *made = json_pack("{s:s}", "name", name);
        if (given)
            json_object_set(made, "value", (json_t *)given);
        else if (strcmp(json_text_at(row, "type"), "list") == 0) {
            char *list = json_dumps(json_object_get(row, "default_list"), JSON_COMPACT);
            json_object_set_new(made, "value", json_string(list));
            free(list);
        } else if (!json_is_true(json_object_get(row, "required")))
            json_object_set(made, "value", json_object_get(row, "default"));
        json_array_append_new(all, made);
    }
    return all;
}

static enum err_code
spec_of(const json_t *definition, const struct argo_options *options, json_t **spec,
        struct err *err)
{
    struct export export = {definition, options, json_array(), json_array()};
    int64_t timeout = json_int_at(definition, "timeout_s");
    json_t *task;
    size_t i;

    *spec = json_pack("{s:s,s:o}", "entrypoint", "main", "templates", export.templates);
    json_array_append_new(export.templates,
                          json_pack("{s:s,s:{s:o}}", "name", "main", "dag", "tasks", export.dag));
    if (timeout)
        json_object_set_new(*spec, "activeDeadlineSeconds", json_integer(timeout));
    json_array_foreach(json_object_get(definition, "tasks"), i, task)
    {
        struct part part = {.export = &export, .task = task, .at = i};
        part.inner = (struct argo_scope){.definition = definition, .task = task};
        part.inner.uses = json_array();
        part.outer = part.inner;
        part.outer.in_dag = true;
        enum err_code code = add_task(&part, err);
        json_decref(part.inner.uses);
        if (code)
            return code;
    }
    return ERR_OK;
}

static enum err_code
cron_workflow(const json_t *definition, const json_t *trigger, size_t at, const json_t *spec,
              json_t **document, struct err *err)
{
    static const char *const policies[][2] = {
        {"", "Allow"}, {"allow", "Allow"}, {"forbid", "Forbid"}, {"replace", "Replace"}};
    const char *cron = json_text_at(trigger, "cron"), *zone = json_text_at(trigger, "time_zone");
    const char *catch_up = json_text_at(trigger, "catch_up"), *policy = "Allow";
    CLEANUP(mem_free)
    char *name = kube_name(json_text_at(definition, "name"), json_text_at(trigger, "name"));
    size_t fields = 0;

    for (const char *p = cron; *p; p += strcspn(p, " "), p += strspn(p, " "))
        fields++;
    if (fields == 6)
        return err_set(err, ERR_UNSUPPORTED, "triggers[%zu].cron: Argo's have no seconds", at);
    if (*catch_up && strcmp(catch_up, "skip") != 0)
        return err_set(err, ERR_UNSUPPORTED, "triggers[%zu].catch_up: Argo does not catch up", at);
    for (size_t i = 0; i < ARRAY_LEN(policies); i++)
        if (strcmp(json_text_at(definition, "concurrency"), policies[i][0]) == 0)
            policy = policies[i][1];
    json_t *own = json_deep_copy(spec);
    json_object_set_new(
        own, "arguments",
        json_pack("{s:o}", "parameters",
                  parameters_of(definition, json_object_get(trigger, "parameters"))));
    *document = json_pack("{s:s,s:s,s:{s:s},s:{s:[s],s:s,s:s,s:b,s:o}}", "apiVersion",
                          "argoproj.io/v1alpha1", "kind", "CronWorkflow", "metadata", "name", name,
                          "spec", "schedules", cron, "timezone", *zone ? zone : "UTC",
                          "concurrencyPolicy", policy, "suspend",
                          json_is_true(json_object_get(trigger, "disabled")), "workflowSpec", own);
    return ERR_OK;
}

static enum err_code
documents_of(const json_t *definition, const json_t *spec, json_t *documents, struct err *err)
{
    CLEANUP(mem_free) char *name = kube_name(json_text_at(definition, "name"), "");
    const char *concurrency = json_text_at(definition, "concurrency");
    json_t *trigger;
    size_t i;

    json_array_foreach(json_object_get(definition, "triggers"), i, trigger)
    {
        json_t *document = NULL;
        if (!*json_text_at(trigger, "cron"))
            return err_set(err, ERR_UNSUPPORTED,
                           "triggers[%zu]: Argo Workflows has cron only; events need Argo Events",
                           i);
        if (cron_workflow(definition, trigger, i, spec, &document, err))
            return err->code;
        json_array_append_new(documents, document);
    }
    if (json_array_size(documents))
        return ERR_OK;
    if (*concurrency && strcmp(concurrency, "allow") != 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "concurrency: '%s' is there for Argo's CronWorkflow only", concurrency);
    json_t *own = json_deep_copy(spec);
    json_object_set_new(own, "arguments",
                        json_pack("{s:o}", "parameters", parameters_of(definition, NULL)));
    json_array_append_new(documents,
                          json_pack("{s:s,s:s,s:{s:o},s:o}", "apiVersion", "argoproj.io/v1alpha1",
                                    "kind", "Workflow", "metadata", "generateName",
                                    json_sprintf("%s-", name), "spec", own));
    return ERR_OK;
}

enum err_code
argo_export(const json_t *definition, const struct argo_options *options, json_t **documents,
            struct err *err)
{
    json_t *spec = NULL, *all = json_array();
    enum err_code code = spec_of(definition, options, &spec, err);

    if (!code)
        code = documents_of(definition, spec, all, err);
    json_decref(spec);
    if (code)
        json_decref(all);
    else
        *documents = all;
    return code;
}
