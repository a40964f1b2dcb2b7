/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_run.c - `modelbus run`: training runs. */
#include "api.h"
#include "output.h"

static const struct column columns[] = {
    {"RUN", "run_id", NULL},
    {"EXPERIMENT", "experiment", NULL},
    {"NAME", "run_name", NULL},
    {"STATUS", "status", format_enum},
    {"STARTED", "started_at_ms", format_time},
    {"METRICS", "metrics", format_metrics},
    {NULL, NULL, NULL},
};
static const struct column fields[] = {
    {"run", "run_id", NULL},
    {"experiment", "experiment", NULL},
    {"name", "run_name", NULL},
    {"status", "status", format_enum},
    {"started", "started_at_ms", format_time},
    {"finished", "finished_at_ms", format_time},
    {"by", "started_by", NULL},
    {"params", "params", format_tags},
    {"tags", "tags", format_tags},
    {"metrics", "metrics", format_metrics},
    {NULL, NULL, NULL},
};
static const struct column model_columns[] = {
    {"MODEL", "model_name", NULL},
    {"ARTIFACT", "artifact.uri", format_uri},
    {"FORMAT", "artifact.format", NULL},
    {"SIZE", "artifact.size_bytes", format_bytes},
    {NULL, NULL, NULL},
};

static enum err_code
run_list(struct cli *cli, struct err *err)
{
    const char *experiment = cli_option(cli, "experiment");
    CLEANUP(mem_free) char *encoded = api_encode(experiment ? experiment : "");
    json_t *runs = NULL;
    int64_t limit;

    if (cli_number(cli, "limit", 1, 100000, 50, &limit, err) ||
        api_list(cli, "runs", (size_t)limit, &runs, err, "runs%s%s",
                 experiment ? "?experiment=" : "", encoded))
        return err->code;
    if (!output_json(cli, runs))
        output_table(cli, runs, columns, "no runs yet");
    json_decref(runs);
    return ERR_OK;
}

static enum err_code
run_show(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *id = api_encode(cli_word(cli, 0));
    json_t *answer = NULL;

    if (api_call(cli, "GET", NULL, &answer, err, "runs/%s", id))
        return err->code;
    const json_t *run = json_object_get(answer, "run");
    if (!output_json(cli, run)) {
        output_fields(cli, run, fields);
        if (json_array_size(json_object_get(run, "models"))) {
            putchar('\n');
            output_table(cli, json_object_get(run, "models"), model_columns, "");
        }
    }
    json_decref(answer);
    return ERR_OK;
}

static const struct option_row list_options[] = {
    {"experiment", "NAME", "only of this experiment", NULL, 0},
    {"limit", "N", "at most N runs (50)", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};

const struct command run_commands[] = {
    {.path = "run list",
     .args = "",
     .doc = "List training runs, newest first",
     .run = run_list,
     .options = list_options},
    {.path = "run show", .args = "RUN", .doc = "Show a training run", .run = run_show},
    {.path = NULL},
};
