/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_worker.c - `modelbus worker`: who runs the tasks of pipelines. */
#include "api.h"
#include "output.h"

#include "buf/buf.h"

#include <stdlib.h>

static char *
format_labels(const json_t *labels)
{
    CLEANUP(buf_done) struct buf out = {0};
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)labels, key, value)
        buf_printf(&out, "%s%s=%s", out.len ? "," : "", key, json_string_value(value));
    return mem_strdup(out.len ? out.data : "");
}

static const struct column columns[] = {
    {"WORKER", "worker", NULL},
    {"HOST", "host", NULL},
    {"RUNNING", "running", NULL},
    {"CPU", "capacity.cpu", NULL},
    {"MEMORY MB", "capacity.memory_mb", NULL},
    {"GPU", "capacity.gpu", NULL},
    {"LABELS", "labels", format_labels},
    {"DRAINING", "draining", NULL},
    {"SEEN", "seen_at_ms", format_time},
    {NULL, NULL, NULL},
};

static enum err_code
run_list(struct cli *cli, struct err *err)
{
    json_t *workers = NULL;

    if (api_list(cli, "workers", 0, &workers, err, "workers"))
        return err->code;
    if (!output_json(cli, workers))
        output_table(cli, workers, columns,
                     "no workers; modelbus-worker --help says how to start one");
    json_decref(workers);
    return ERR_OK;
}

static enum err_code
run_drain(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    bool draining = !cli_option(cli, "off");
    json_t *body = json_pack("{s:b}", "draining", draining), *answer = NULL;
    enum err_code code = api_call(cli, "PUT", body, &answer, err, "workers/%s/drain", name);

    json_decref(body);
    if (code)
        return code;
    if (!output_json(cli, json_object_get(answer, "worker")))
        printf("%s %s\n", cli_word(cli, 0),
               draining ? "gets no more tasks; what it runs goes on" : "gets tasks again");
    json_decref(answer);
    return ERR_OK;
}

static const struct option_row drain_options[] = {
    {"off", NULL, "give it tasks again", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};

const struct command worker_commands[] = {
    {.path = "worker list",
     .args = "",
     .doc = "List workers and what they can take",
     .run = run_list},
    {.path = "worker drain",
     .args = "WORKER",
     .doc = "Give a worker no more tasks",
     .run = run_drain,
     .options = drain_options,
     .examples = "  modelbus worker drain gpu-1\n  modelbus worker drain gpu-1 --off\n"},
    {.path = NULL},
};
