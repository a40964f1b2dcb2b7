/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_model.c - `modelbus model`: models, versions, aliases, stages. */
#include "api.h"
#include "output.h"
#include "push.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static const struct column model_columns[] = {
    {"NAME", "name", NULL},
    {"LATEST", "latest_version", NULL},
    {"ALIASES", "aliases", format_aliases},
    {"CREATED", "created_at_ms", format_time},
    {"DESCRIPTION", "description", NULL},
    {NULL, NULL, NULL},
};
static const struct column version_columns[] = {
    {"VERSION", "version", NULL},
    {"STAGE", "stage", format_enum},
    {"ALIASES", "aliases", NULL},
    {"FORMAT", "artifact.format", NULL},
    {"SIZE", "artifact.size_bytes", format_bytes},
    {"METRICS", "metrics", format_metrics},
    {"CREATED", "created_at_ms", format_time},
    {"BY", "created_by", NULL},
    {NULL, NULL, NULL},
};
static const struct column version_fields[] = {
    {"model", "name", NULL},
    {"version", "version", NULL},
    {"stage", "stage", format_enum},
    {"aliases", "aliases", NULL},
    {"artifact", "artifact.uri", NULL},
    {"file", "artifact.file_name", NULL},
    {"format", "artifact.format", NULL},
    {"size", "artifact.size_bytes", format_bytes},
    {"metrics", "metrics", format_metrics},
    {"tags", "tags", format_tags},
    {"features", "feature_names", NULL},
    {"reference", "reference_sample.uri", NULL},
    {"run", "run_id", NULL},
    {"created", "created_at_ms", format_time},
    {"by", "created_by", NULL},
    {"description", "description", NULL},
    {NULL, NULL, NULL},
};
static const struct column model_fields[] = {
    {"name", "name", NULL},
    {"latest", "latest_version", NULL},
    {"aliases", "aliases", format_aliases},
    {"tags", "tags", format_tags},
    {"created", "created_at_ms", format_time},
    {"description", "description", NULL},
    {NULL, NULL, NULL},
};

static enum err_code
run_list(struct cli *cli, struct err *err)
{
    const char *prefix = cli_option(cli, "prefix");
    CLEANUP(mem_free) char *encoded = api_encode(prefix ? prefix : "");
    json_t *models = NULL;

    if (api_list(cli, "models", 0, &models, err, "models?name_prefix=%s", encoded))
        return err->code;
    if (!output_json(cli, models))
        output_table(cli, models, model_columns,
                     "no models yet; `modelbus deploy NAME PATH --wait` makes one");
    json_decref(models);
    return ERR_OK;
}

static enum err_code
run_versions(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    json_t *versions = NULL;

    if (api_list(cli, "versions", 0, &versions, err, "models/%s/versions", name))
        return err->code;
    if (!output_json(cli, versions))
        output_table(cli, versions, version_columns, "no versions");
    json_decref(versions);
    return ERR_OK;
}

static enum err_code
show_version(struct cli *cli, const char *name, struct err *err)
{
    json_t *answer = NULL;
    int64_t version;

    if (cli_word_number(cli, 1, "VERSION", &version, err) ||
        api_call(cli, "GET", NULL, &answer, err, "models/%s/versions/%lld", name,
                 (long long)version))
        return err->code;
    const json_t *found = json_object_get(answer, "version");
    if (!output_json(cli, found))
        output_fields(cli, found, version_fields);
    json_decref(answer);
    return ERR_OK;
}

static enum err_code
run_show(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    json_t *answer = NULL, *versions = NULL;

    if (cli_word(cli, 1))
        return show_version(cli, name, err);
    if (api_call(cli, "GET", NULL, &answer, err, "models/%s", name))
        return err->code;
    json_t *model = json_object_get(answer, "model");
    enum err_code code = api_list(cli, "versions", 10, &versions, err, "models/%s/versions", name);
    if (!code) {
        json_object_set_new(model, "versions", versions);
        if (!output_json(cli, model)) {
            output_fields(cli, model, model_fields);
            putchar('\n');
            output_table(cli, versions, version_columns, "no versions");
        }
    }
    json_decref(answer);
    return code;
}

static enum err_code
run_push(struct cli *cli, struct err *err)
{
    json_t *version = NULL;

    if (push_version(cli, cli_word(cli, 0), cli_word(cli, 1), &version, err))
        return err->code;
    if (!output_json(cli, version))
        printf("%s version %lld\n", json_text_at(version, "name"),
               (long long)json_int_at(version, "version"));
    json_decref(version);
    return ERR_OK;
}

static enum err_code
remove_alias(struct cli *cli, const char *name, const char *alias, struct err *err)
{
    if (api_call(cli, "DELETE", NULL, NULL, err, "models/%s/aliases/%s", name, alias))
        return err->code;
    if (cli->json)
        puts("{}");
    else
        printf("%s@%s removed\n", cli_word(cli, 0), cli_word(cli, 1));
    return ERR_OK;
}

static enum err_code
run_alias(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    CLEANUP(mem_free) char *alias = api_encode(cli_word(cli, 1));
    const char *reason = cli_option(cli, "reason");
    json_t *answer = NULL;
    int64_t version, expected;

    if (cli_option(cli, "remove"))
        return remove_alias(cli, name, alias, err);
    if (!cli_word(cli, 2))
        return err_set(err, ERR_INVALID,
                       "say which version, or --remove: modelbus model alias "
                       "NAME ALIAS VERSION");
    if (cli_word_number(cli, 2, "VERSION", &version, err) ||
        cli_number(cli, "expect", -1, INT64_MAX, 0, &expected, err))
        return err->code;
    json_t *body = json_pack("{sI sI ss}", "version", (json_int_t)version, "expected_version",
                             (json_int_t)expected, "reason", reason ? reason : "");
    enum err_code code =
        api_call(cli, "PUT", body, &answer, err, "models/%s/aliases/%s", name, alias);
    json_decref(body);
    if (code)
        return code;
    int64_t previous = json_int_at(answer, "previous_version");
    if (!output_json(cli, answer)) {
        printf("%s@%s is version %lld", cli_word(cli, 0), cli_word(cli, 1), (long long)version);
        if (previous)
            printf(" (was %lld)", (long long)previous);
        putchar('\n');
    }
    json_decref(answer);
    return ERR_OK;
}

static enum err_code
run_stage(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    CLEANUP(mem_free) char *stage = mem_printf("STAGE_%s", cli_word(cli, 2));
    json_t *answer = NULL;
    int64_t version;

    for (char *p = stage; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    if (cli_word_number(cli, 1, "VERSION", &version, err))
        return err->code;
    json_t *body = json_pack("{ss}", "stage", stage);
    enum err_code code = api_call(cli, "PUT", body, &answer, err, "models/%s/versions/%lld/stage",
                                  name, (long long)version);
    json_decref(body);
    if (code)
        return code;
    if (!output_json(cli, json_object_get(answer, "version")))
        printf("%s version %lld is %s\n", cli_word(cli, 0), (long long)version, cli_word(cli, 2));
    json_decref(answer);
    return ERR_OK;
}

static const struct option_row list_options[] = {
    {"prefix", "TEXT", "only names that begin with TEXT", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};
static const struct option_row alias_options[] = {
    {"expect", "VERSION", "only if the alias points there now (-1: does not exist)", NULL, 0},
    {"reason", "TEXT", "kept in the event", NULL, 0},
    {"remove", NULL, "remove the alias", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};

const struct command model_commands[] = {
    {.path = "model list",
     .args = "",
     .doc = "List models",
     .run = run_list,
     .options = list_options},
    {.path = "model show",
     .args = "NAME [VERSION]",
     .doc = "Show a model with its latest versions, or one version",
     .run = run_show},
    {.path = "model versions",
     .args = "NAME",
     .doc = "List all versions of a model, newest first",
     .run = run_versions},
    {.path = "model push",
     .args = "NAME PATH",
     .doc = "Store a model file or folder as a new version",
     .run = run_push,
     .options = push_options,
     .complete = COMPLETE_FILE},
    {.path = "model alias",
     .args = "NAME ALIAS [VERSION]",
     .doc = "Move an alias to a version; 'champion' is what endpoints follow",
     .run = run_alias,
     .options = alias_options,
     .examples = "  modelbus model alias churn champion 7\n"
                 "  modelbus model alias churn champion 8 --expect 7   # only if it is 7 now\n"},
    {.path = "model stage",
     .args = "NAME VERSION STAGE",
     .doc = "Set a version's stage: none, staging, production or archived",
     .run = run_stage,
     .complete = "none staging production archived"},
    {.path = NULL},
};
