/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_pipeline_run.c - `modelbus pipeline`: runs. */
#include "api.h"
#include "output.h"
#include "pipeline.h"

#include "buf/buf.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static char *
format_cause(const json_t *cause)
{
    const char *name = json_text_at(cause, "name");

    return mem_printf("%s%s%s", json_text_at(cause, "kind"), *name ? " " : "", name);
}

static char *
format_parameters(const json_t *array)
{
    CLEANUP(buf_done) struct buf out = {0};
    size_t i;
    json_t *item;

    json_array_foreach((json_t *)array, i, item) buf_printf(
        &out, "%s%s=%s", i ? ", " : "", json_text_at(item, "name"), json_text_at(item, "value"));
    return mem_strdup(out.len ? out.data : "");
}

static const struct column run_columns[] = {
    {"RUN", "run", NULL},
    {"PIPELINE", "pipeline", NULL},
    {"VERSION", "version", NULL},
    {"STATUS", "status", NULL},
    {"CAUSE", "cause", format_cause},
    {"STARTED", "created_at_ms", format_time},
    {"FINISHED", "finished_at_ms", format_time},
    {"REASON", "reason", NULL},
    {NULL, NULL, NULL},
};
static const struct column run_fields[] = {
    {"run", "run", NULL},
    {"pipeline", "pipeline", NULL},
    {"version", "version", NULL},
    {"status", "status", NULL},
    {"reason", "reason", NULL},
    {"cause", "cause", format_cause},
    {"parameters", "parameters", format_parameters},
    {"started", "created_at_ms", format_time},
    {"finished", "finished_at_ms", format_time},
    {"by", "started_by", NULL},
    {NULL, NULL, NULL},
};
static const struct column state_columns[] = {
    {"TASK", "task", NULL},
    {"STATUS", "status", NULL},
    {"ITEMS", "items", NULL},
    {"WELL", "succeeded", NULL},
    {"BADLY", "failed", NULL},
    {"STARTED", "started_at_ms", format_time},
    {"FINISHED", "finished_at_ms", format_time},
    {"REASON", "reason", NULL},
    {NULL, NULL, NULL},
};
static const struct column attempt_columns[] = {
    {"TASK", "task", NULL},
    {"INDEX", "index", NULL},
    {"ATTEMPT", "attempt", NULL},
    {"STATUS", "status", NULL},
    {"EXIT", "exit_code", NULL},
    {"WORKER", "worker", NULL},
    {"STARTED", "started_at_ms", format_time},
    {"FINISHED", "finished_at_ms", format_time},
    {"REASON", "reason", NULL},
    {NULL, NULL, NULL},
};

/* --param NAME=VALUE, as often as given, into body's "parameters". */
static enum err_code
read_parameters(const struct cli *cli, json_t *body, struct err *err)
{
    json_t *parameters = json_object();
    const char *given;

    json_object_set_new(body, "parameters", parameters);
    for (size_t i = 0; (given = cli_option_at(cli, "param", i)); i++) {
        const char *equals = strchr(given, '=');
        CLEANUP(mem_free)
        char *name = mem_strndup(given, equals ? (size_t)(equals - given) : strlen(given));
        if (!equals || equals == given)
            return err_set(err, ERR_INVALID, "--param: NAME=VALUE is expected, not '%s'", given);
        if (json_object_get(parameters, name))
            return err_set(err, ERR_INVALID, "--param: '%s' is given twice", name);
        if (json_object_set_new(parameters, name, json_string(equals + 1)) != 0)
            return err_set(err, ERR_INVALID, "--param %s: not UTF-8", name);
    }
    return ERR_OK;
}

static enum err_code
run_run(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    CLEANUP(mem_free) char *run = NULL;
    json_t *body = json_object(), *answer = NULL;
    int64_t version;

    enum err_code code = read_parameters(cli, body, err);
    if (!code)
        code = cli_number(cli, "version", 1, INT64_MAX, 0, &version, err);
    if (!code) {
        json_object_set_new(body, "version", json_integer(version));
        code = api_call(cli, "POST", body, &answer, err, "pipelines/%s/runs", name);
    }
    json_decref(body);
    if (code)
        return code;
    run = mem_strdup(json_text_at(answer, "run.run"));
    if (cli_option(cli, "watch")) {
        code = pipeline_watch(cli, run, err);
    } else if (!output_json(cli, json_object_get(answer, "run"))) {
        bool waits = strcmp(json_text_at(answer, "run.status"), "waiting") == 0;
        printf("run %s of %s %s; modelbus pipeline watch %s follows it\n", run, cli_word(cli, 0),
               waits ? "begins when the run that it replaces has ended" : "has started", run);
    }
    json_decref(answer);
    return code;
}

static enum err_code
run_runs(struct cli *cli, struct err *err)
{
    const char *status = cli_option(cli, "status"), *of = cli_word(cli, 0);
    CLEANUP(mem_free) char *pipeline = api_encode(of ? of : "");
    CLEANUP(mem_free) char *wanted = api_encode(status ? status : "");
    json_t *runs = NULL;
    int64_t limit;

    if (cli_number(cli, "limit", 1, 100000, 50, &limit, err) ||
        api_list(cli, "runs", (size_t)limit, &runs, err, "pipeline-runs?pipeline=%s&status=%s",
                 pipeline, wanted))
        return err->code;
    if (!output_json(cli, runs))
        output_table(cli, runs, run_columns, "no runs");
    json_decref(runs);
    return ERR_OK;
}

static enum err_code
print_run(struct cli *cli, const json_t *run)
{
    if (output_json(cli, run))
        return ERR_OK;
    output_fields(cli, run, run_fields);
    putchar('\n');
    output_table(cli, json_object_get(run, "tasks"), state_columns, "no tasks");
    if (json_array_size(json_object_get(run, "attempts"))) {
        putchar('\n');
        output_table(cli, json_object_get(run, "attempts"), attempt_columns, "");
    }
    return ERR_OK;
}

static enum err_code
run_status(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *id = api_encode(cli_word(cli, 0));
    json_t *answer = NULL;

    if (api_call(cli, "GET", NULL, &answer, err, "pipeline-runs/%s", id))
        return err->code;
    enum err_code code = print_run(cli, json_object_get(answer, "run"));
    json_decref(answer);
    return code;
}

/* POST to a run, and say how it is now. */
static enum err_code
change_run(struct cli *cli, const char *verb, json_t *body, struct err *err)
{
    CLEANUP(mem_free) char *id = api_encode(cli_word(cli, 0));
    json_t *answer = NULL;
    enum err_code code = api_call(cli, "POST", body, &answer, err, "pipeline-runs/%s/%s", id, verb);

    json_decref(body);
    if (code)
        return code;
    if (!output_json(cli, json_object_get(answer, "run")))
        printf("run %s is %s\n", cli_word(cli, 0), json_text_at(answer, "run.status"));
    json_decref(answer);
    return ERR_OK;
}

static enum err_code
run_cancel(struct cli *cli, struct err *err)
{
    const char *reason = cli_option(cli, "reason");

    return change_run(cli, "cancel", json_pack("{s:s}", "reason", reason ? reason : ""), err);
}

static enum err_code
run_resume(struct cli *cli, struct err *err)
{
    return change_run(cli, "resume", json_object(), err);
}

static enum err_code
run_retry(struct cli *cli, struct err *err)
{
    return change_run(cli, "resume", json_pack("{s:s}", "task", cli_word(cli, 1)), err);
}

/* "2026-11-01", "2026-11-01T06:30", "2026-11-01T06:30:00", in UTC. */
static enum err_code
read_time(const struct cli *cli, const char *option, int64_t *ms, struct err *err)
{
    static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"};
    const char *text = cli_option(cli, option);

    if (!text)
        return err_set(err, ERR_INVALID, "--%s is needed", option);
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct tm parts = {0};
        const char *end = strptime(text, forms[i], &parts);
        if (end && (!*end || strcmp(end, "Z") == 0)) {
            *ms = (int64_t)timegm(&parts) * 1000;
            return ERR_OK;
        }
    }
    return err_set(err, ERR_INVALID, "--%s: 2026-11-01 or 2026-11-01T06:30 (UTC), not '%s'", option,
                   text);
}

static enum err_code
run_backfill(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    const char *trigger = cli_option(cli, "trigger");
    json_t *body = json_object(), *answer = NULL;
    int64_t from, to, max;

    enum err_code code = read_parameters(cli, body, err);
    if (!code && !read_time(cli, "from", &from, err) && !read_time(cli, "to", &to, err) &&
        !cli_number(cli, "max", 1, 10000, 100, &max, err)) {
        json_object_set_new(body, "from_ms", json_integer(from));
        json_object_set_new(body, "to_ms", json_integer(to));
        json_object_set_new(body, "max_runs", json_integer(max));
        if (trigger)
            json_object_set_new(body, "trigger", json_string(trigger));
        code = api_call(cli, "POST", body, &answer, err, "pipelines/%s/backfill", name);
    } else {
        code = err->code;
    }
    json_decref(body);
    if (code)
        return code;
    if (!output_json(cli, answer))
        printf("%zu runs have been started, %lld times had one already\n",
               json_array_size(json_object_get(answer, "runs")),
               (long long)json_int_at(answer, "skipped"));
    json_decref(answer);
    return ERR_OK;
}

#define PARAM_ROW                                                                                  \
    {                                                                                              \
        "param", "NAME=VALUE", "value of a parameter; may be repeated", NULL, 'p'                  \
    }

static const struct option_row run_options[] = {PARAM_ROW,
                                                PIPELINE_VERSION_ROW,
                                                {"watch", NULL, "follow it to its end", NULL, 'w'},
                                                {NULL, NULL, NULL, NULL, 0}};
static const struct option_row runs_options[] = {
    {"status", "STATUS", "only these", "waiting running cancelling succeeded failed cancelled", 0},
    {"limit", "N", "at most N runs (50)", NULL, 0},
    {NULL, NULL, NULL, NULL, 0}};
static const struct option_row logs_options[] = {
    {"follow", NULL, "go on until the task has ended", NULL, 'f'},
    {"index", "N", "of this item of a map, from 0", NULL, 0},
    {"attempt", "N", "of this attempt (the latest)", NULL, 0},
    {NULL, NULL, NULL, NULL, 0}};
static const struct option_row cancel_options[] = {
    {"reason", "TEXT", "why, for those who look at it later", NULL, 0},
    {NULL, NULL, NULL, NULL, 0}};
static const struct option_row backfill_options[] = {
    {"from", "TIME", "first time, UTC: 2026-11-01 or 2026-11-01T06:30", NULL, 0},
    {"to", "TIME", "last time", NULL, 0},
    {"trigger", "NAME", "of this cron trigger (the only one)", NULL, 0},
    {"max", "N", "at most N runs (100)", NULL, 0},
    PARAM_ROW,
    {NULL, NULL, NULL, NULL, 0}};

const struct command pipeline_run_commands[] = {
    {.path = "pipeline run",
     .args = "PIPELINE",
     .doc = "Start a run",
     .run = run_run,
     .options = run_options,
     .examples = "  modelbus pipeline run retrain --param depth=4 --watch\n"
                 "\nExit codes with --watch: 0 succeeded, 9 not; others as in modelbus --help.\n"},
    {.path = "pipeline runs",
     .args = "[PIPELINE]",
     .doc = "List runs, newest first",
     .run = run_runs,
     .options = runs_options},
    {.path = "pipeline status",
     .args = "RUN",
     .doc = "Show a run and its tasks",
     .run = run_status},
    {.path = "pipeline watch",
     .args = "RUN",
     .doc = "Follow a run to its end, one line a task",
     .run = pipeline_run_watch,
     .examples = "  modelbus pipeline watch 0197...\n"
                 "\nExit codes: 0 succeeded, 9 not; others as in modelbus --help.\n"},
    {.path = "pipeline logs",
     .args = "RUN TASK",
     .doc = "Print what a task wrote",
     .run = pipeline_run_logs,
     .options = logs_options,
     .examples = "  modelbus pipeline logs 0197... train -f\n"},
    {.path = "pipeline cancel",
     .args = "RUN",
     .doc = "Cancel a run: its tasks are asked to end, then made to",
     .run = run_cancel,
     .options = cancel_options},
    {.path = "pipeline resume",
     .args = "RUN",
     .doc = "Go on with a run that failed or was cancelled; what succeeded stays",
     .run = run_resume},
    {.path = "pipeline retry",
     .args = "RUN TASK",
     .doc = "Run one task of a run again, and what needs it",
     .run = run_retry},
    {.path = "pipeline backfill",
     .args = "PIPELINE",
     .doc = "Start the runs of a cron trigger for times that are past",
     .run = run_backfill,
     .options = backfill_options,
     .examples = "  modelbus pipeline backfill nightly --from 2026-11-01 --to 2026-11-07\n"},
    {.path = NULL},
};
