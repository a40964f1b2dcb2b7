/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_pipeline.c - `modelbus pipeline`: definitions. */
#include "api.h"
#include "output.h"
#include "pipeline.h"
#include "settings.h"

#include <string.h>

#define TEXT_MAX (1u << 20)

static const struct column pipeline_columns[] = {
    {"PIPELINE", "name", NULL},      {"VERSION", "version", NULL},
    {"ACTIVE", "active_runs", NULL}, {"NEXT", "next_due_ms", format_time},
    {"PAUSED", "paused", NULL},      {"APPLIED", "applied_at_ms", format_time},
    {"BY", "applied_by", NULL},      {NULL, NULL, NULL},
};
static const struct column pipeline_fields[] = {
    {"pipeline", "name", NULL},
    {"version", "version", NULL},
    {"description", "definition.description", NULL},
    {"owner", "definition.owner", NULL},
    {"concurrency", "definition.concurrency", NULL},
    {"paused", "paused", NULL},
    {"active runs", "active_runs", NULL},
    {"next due", "next_due_ms", format_time},
    {"applied", "applied_at_ms", format_time},
    {"by", "applied_by", NULL},
    {NULL, NULL, NULL},
};
static const struct column task_columns[] = {
    {"TASK", "name", NULL},   {"NEEDS", "needs", NULL}, {"RUN ON", "run_on", NULL},
    {"COMMAND", "run", NULL}, {NULL, NULL, NULL},
};
static const struct column trigger_columns[] = {
    {"TRIGGER", "name", NULL},      {"CRON", "cron", NULL},   {"ZONE", "time_zone", NULL},
    {"EVENT", "event", NULL},       {"WHERE", "where", NULL}, {"PIPELINE", "pipeline", NULL},
    {"DISABLED", "disabled", NULL}, {NULL, NULL, NULL},
};
static enum err_code
apply_file(struct cli *cli, const char *path, json_t **said, struct err *err)
{
    CLEANUP(mem_free) char *text = NULL;
    CLEANUP(mem_free)
    char *from = strcmp(path, "-") == 0 ? mem_strdup(path) : mem_printf("@%s", path);
    json_t *answer = NULL;
    size_t len;

    if (read_argument(from, TEXT_MAX, &text, &len, err))
        return err->code;
    json_t *body =
        json_pack("{s:s%,s:b}", "text", text, len, "dry_run", cli_option(cli, "check") != NULL);
    if (!body)
        return err_set(err, ERR_INVALID, "%s: not UTF-8", path);
    enum err_code code = api_call(cli, "PUT", body, &answer, err, "pipelines");
    json_decref(body);
    if (code)
        return err_wrap(err, "%s", path);
    *said = answer;
    return ERR_OK;
}

static enum err_code
run_apply(struct cli *cli, struct err *err)
{
    json_t *all = json_array();
    enum err_code code = ERR_OK;

    for (size_t i = 0; i < cli->word_count && !code; i++) {
        json_t *said = NULL;
        code = apply_file(cli, cli_word(cli, i), &said, err);
        if (code)
            break;
        if (!cli->json)
            printf("%s version %lld: %s\n", json_text_at(said, "pipeline.name"),
                   (long long)json_int_at(said, "pipeline.version"),
                   cli_option(cli, "check") ? "is right" : json_text_at(said, "outcome"));
        json_array_append_new(all, said);
    }
    if (!code)
        output_json(cli, all);
    json_decref(all);
    return code;
}

static enum err_code
run_list(struct cli *cli, struct err *err)
{
    json_t *pipelines = NULL;

    if (api_list(cli, "pipelines", 0, &pipelines, err, "pipelines"))
        return err->code;
    if (!output_json(cli, pipelines))
        output_table(cli, pipelines, pipeline_columns,
                     "no pipelines yet; see modelbus pipeline apply --help");
    json_decref(pipelines);
    return ERR_OK;
}

enum err_code
pipeline_get(struct cli *cli, json_t **pipeline, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    json_t *answer = NULL;
    int64_t version;

    if (cli_number(cli, "version", 1, INT64_MAX, 0, &version, err) ||
        api_call(cli, "GET", NULL, &answer, err, "pipelines/%s?version=%lld", name,
                 (long long)version))
        return err->code;
    *pipeline = json_incref(json_object_get(answer, "pipeline"));
    json_decref(answer);
    return ERR_OK;
}

static enum err_code
run_show(struct cli *cli, struct err *err)
{
    json_t *pipeline = NULL;

    if (pipeline_get(cli, &pipeline, err))
        return err->code;
    if (!output_json(cli, pipeline)) {
        output_fields(cli, pipeline, pipeline_fields);
        putchar('\n');
        output_table(cli, json_at(pipeline, "definition.tasks"), task_columns, "");
        if (json_array_size(json_at(pipeline, "definition.triggers"))) {
            putchar('\n');
            output_table(cli, json_at(pipeline, "definition.triggers"), trigger_columns, "");
        }
    }
    json_decref(pipeline);
    return ERR_OK;
}

static enum err_code
set_paused(struct cli *cli, bool paused, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    json_t *body = json_pack("{s:b}", "paused", paused), *answer = NULL;
    enum err_code code = api_call(cli, "PUT", body, &answer, err, "pipelines/%s/pause", name);

    json_decref(body);
    if (code)
        return code;
    if (!output_json(cli, json_object_get(answer, "pipeline")))
        printf("%s %s\n", cli_word(cli, 0),
               paused ? "is paused: its triggers do nothing" : "goes on");
    json_decref(answer);
    return ERR_OK;
}

static enum err_code
run_pause(struct cli *cli, struct err *err)
{
    return set_paused(cli, true, err);
}

static enum err_code
run_unpause(struct cli *cli, struct err *err)
{
    return set_paused(cli, false, err);
}

static enum err_code
run_delete(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));

    if (api_call(cli, "DELETE", NULL, NULL, err, "pipelines/%s", name))
        return err->code;
    if (!cli->json)
        printf("%s is deleted\n", cli_word(cli, 0));
    return ERR_OK;
}

static const struct option_row apply_options[] = {
    {"check", NULL, "only check, change nothing", NULL, 0}, {NULL, NULL, NULL, NULL, 0}};
static const struct option_row version_options[] = {PIPELINE_VERSION_ROW,
                                                    {NULL, NULL, NULL, NULL, 0}};
static const struct option_row graph_options[] = {PIPELINE_VERSION_ROW,
                                                  {"dot", NULL, "for Graphviz", NULL, 0},
                                                  {"mermaid", NULL, "for Markdown", NULL, 0},
                                                  {NULL, NULL, NULL, NULL, 0}};
static const struct option_row export_options[] = {
    {"argo", NULL, "Argo Workflows: a Workflow, or a CronWorkflow for each cron trigger", NULL, 0},
    {"image", "IMAGE", "what the tasks' containers run", NULL, 0},
    {"code-in-image", NULL, "the image has the files of the tasks' archives", NULL, 0},
    PIPELINE_VERSION_ROW,
    {NULL, NULL, NULL, NULL, 0}};

const struct command pipeline_commands[] = {
    {.path = "pipeline apply",
     .args = "FILE [FILE ...]",
     .doc = "Create pipelines from YAML files, or new versions of them",
     .run = run_apply,
     .options = apply_options,
     .complete = COMPLETE_FILE,
     .examples = "  modelbus pipeline apply retrain.yaml\n"
                 "  modelbus pipeline apply --check pipelines/*.yaml\n"
                 "  python3 retrain.py | modelbus pipeline apply -\n"},
    {.path = "pipeline list", .args = "", .doc = "List pipelines", .run = run_list},
    {.path = "pipeline show",
     .args = "PIPELINE",
     .doc = "Show a pipeline: its tasks and triggers",
     .run = run_show,
     .options = version_options},
    {.path = "pipeline graph",
     .args = "PIPELINE",
     .doc = "Draw the tasks of a pipeline and what they need",
     .run = pipeline_run_graph,
     .options = graph_options,
     .examples = "  modelbus pipeline graph retrain\n"
                 "  modelbus pipeline graph retrain --dot | dot -Tsvg > retrain.svg\n"},
    {.path = "pipeline export",
     .args = "PIPELINE",
     .doc = "Write a pipeline for another engine; what that has not is refused by name",
     .run = pipeline_run_export,
     .options = export_options,
     .examples = "  modelbus pipeline export retrain --argo --image registry.example/train:7 "
                 "| kubectl create -f -\n"},
    {.path = "pipeline pause",
     .args = "PIPELINE",
     .doc = "Let the triggers of a pipeline do nothing",
     .run = run_pause},
    {.path = "pipeline unpause",
     .args = "PIPELINE",
     .doc = "Let the triggers of a pipeline work again",
     .run = run_unpause},
    {.path = "pipeline delete",
     .args = "PIPELINE",
     .doc = "Delete a pipeline that has no active runs",
     .run = run_delete},
    {.path = NULL},
};
