/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_endpoint.c - `modelbus endpoint`: what serves which model version. */
#include "api.h"
#include "output.h"

#include <string.h>

static const struct column columns[] = {
    {"NAME", "name", NULL},
    {"MODEL", "model_name", NULL},
    {"FOLLOWS", "alias", NULL},
    {"VERSION", "target.version", NULL},
    {"STATUS", "status", format_enum},
    {"GENERATION", "generation", NULL},
    {"UPDATED", "updated_at_ms", format_time},
    {NULL, NULL, NULL},
};
static const struct column fields[] = {
    {"endpoint", "name", NULL},
    {"model", "model_name", NULL},
    {"follows", "alias", NULL},
    {"fixed", "fixed_version", NULL},
    {"version", "target.version", NULL},
    {"status", "status", format_enum},
    {"detail", "status_detail", NULL},
    {"held", "held", NULL},
    {"on drift", "drift_policy.on_drift", NULL},
    {"retrains by", "drift_policy.pipeline", NULL},
    {"generation", "generation", NULL},
    {"artifact", "target.artifact.uri", NULL},
    {"updated", "updated_at_ms", format_time},
    {NULL, NULL, NULL},
};
static const struct column pod_columns[] = {
    {"POD", "pod", NULL},         {"VERSION", "version", NULL},
    {"LOADED", "loaded", NULL},   {"LOAD ms", "load_ms", NULL},
    {"SWAP us", "swap_us", NULL}, {"REPORTED", "reported_at_ms", format_time},
    {"ERROR", "error", NULL},     {NULL, NULL, NULL},
};
static const struct column change_columns[] = {
    {"GENERATION", "generation", NULL},
    {"MODEL", "target.model_name", NULL},
    {"VERSION", "target.version", NULL},
    {"REASON", "reason", NULL},
    {"OUTCOME", "outcome", NULL},
    {"AT", "changed_at_ms", format_time},
    {"BY", "changed_by", NULL},
    {"DETAIL", "detail", NULL},
    {NULL, NULL, NULL},
};

static void
print_endpoint(struct cli *cli, json_t *answer)
{
    const json_t *endpoint = json_object_get(answer, "endpoint");

    if (!output_json(cli, endpoint)) {
        output_fields(cli, endpoint, fields);
        putchar('\n');
        output_table(cli, json_object_get(endpoint, "pods"), pod_columns,
                     "no pod has reported yet");
    }
    json_decref(answer);
}

/* Send body, which is taken, and show the endpoint as it is then. path is encoded. */
static enum err_code
change(struct cli *cli, const char *verb, json_t *body, const char *path, struct err *err)
{
    json_t *answer = NULL;
    enum err_code code = api_call(cli, verb, body, &answer, err, "%s", path);

    json_decref(body);
    if (!code)
        print_endpoint(cli, answer);
    return code;
}

static enum err_code
run_create(struct cli *cli, struct err *err)
{
    const char *model = cli_option(cli, "model");
    const char *alias = cli_option(cli, "alias");
    int64_t version;

    if (!model)
        return err_set(err, ERR_INVALID, "say which model: --model NAME");
    if (cli_number(cli, "version", 1, INT64_MAX, 0, &version, err))
        return err->code;
    if (alias && version)
        return err_set(err, ERR_INVALID,
                       "--alias follows an alias, --version stays at a version: "
                       "give one of the two");
    json_t *body = json_pack("{ss ss ss* sI}", "name", cli_word(cli, 0), "model_name", model,
                             "alias", alias, "version", (json_int_t)version);
    return change(cli, "POST", body, "endpoints", err);
}

static enum err_code
run_list(struct cli *cli, struct err *err)
{
    json_t *endpoints = NULL;

    if (api_list(cli, "endpoints", 0, &endpoints, err, "endpoints"))
        return err->code;
    if (!output_json(cli, endpoints))
        output_table(cli, endpoints, columns,
                     "no endpoints yet; `modelbus endpoint create NAME --model MODEL` makes one");
    json_decref(endpoints);
    return ERR_OK;
}

static enum err_code
run_show(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    json_t *answer = NULL;

    if (api_call(cli, "GET", NULL, &answer, err, "endpoints/%s", name))
        return err->code;
    print_endpoint(cli, answer);
    return ERR_OK;
}

static enum err_code
run_rollback(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    const char *reason = cli_option(cli, "reason");
    int64_t to;

    if (cli_number(cli, "to", 1, INT64_MAX, 0, &to, err))
        return err->code;
    json_t *body =
        json_pack("{sI ss}", "to_version", (json_int_t)to, "reason", reason ? reason : "");
    CLEANUP(mem_free) char *path = mem_printf("endpoints/%s/rollback", name);
    return change(cli, "POST", body, path, err);
}

static enum err_code
run_history(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    json_t *changes = NULL;

    if (api_list(cli, "changes", 0, &changes, err, "endpoints/%s/history", name))
        return err->code;
    if (!output_json(cli, changes))
        output_table(cli, changes, change_columns, "no changes");
    json_decref(changes);
    return ERR_OK;
}

static enum err_code
run_delete(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));

    if (api_call(cli, "DELETE", NULL, NULL, err, "endpoints/%s", name))
        return err->code;
    if (cli->json)
        puts("{}");
    else
        printf("endpoint %s deleted; pods unload it\n", cli_word(cli, 0));
    return ERR_OK;
}

static const struct column action_columns[] = {
    {"DECIDED", "decided_at_ms", format_time},
    {"VERSION", "version", NULL},
    {"ACTION", "action", NULL},
    {"TO", "to_version", NULL},
    {"PIPELINE", "pipeline", NULL},
    {"WHY", "why", NULL},
    {"REPORT", "report_id", NULL},
    {NULL, NULL, NULL},
};

static enum err_code
run_policy(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    const char *on_drift = cli_option(cli, "on-drift"), *pipeline = cli_option(cli, "pipeline");
    int64_t cool_down, avoid, retrain_cool_down, retrains;

    if (cli_number(cli, "cool-down", 1, 31622400, 0, &cool_down, err) ||
        cli_number(cli, "avoid", 1, 31622400, 0, &avoid, err) ||
        cli_number(cli, "retrain-cool-down", 1, 31622400, 0, &retrain_cool_down, err) ||
        cli_number(cli, "retrains-per-day", 1, 1000, 0, &retrains, err))
        return err->code;
    if (!on_drift)
        return err_set(err, ERR_INVALID,
                       "say what to do: --on-drift none, rollback, retrain or "
                       "rollback_and_retrain");
    if (strstr(on_drift, "retrain") && !pipeline)
        return err_set(err, ERR_INVALID,
                       "say which pipeline trains the model anew: --pipeline NAME");
    json_t *body =
        json_pack("{s{ss sI sI ss* sI sI}}", "policy", "on_drift", on_drift, "cool_down_s",
                  (json_int_t)cool_down, "avoid_s", (json_int_t)avoid, "pipeline", pipeline,
                  "retrain_cool_down_s", (json_int_t)retrain_cool_down, "retrains_per_day",
                  (json_int_t)retrains);
    CLEANUP(mem_free) char *path = mem_printf("endpoints/%s/drift-policy", name);
    return change(cli, "PUT", body, path, err);
}

static enum err_code
run_actions(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    json_t *actions = NULL;

    if (api_list(cli, "actions", 0, &actions, err, "endpoints/%s/drift-actions", name))
        return err->code;
    if (!output_json(cli, actions))
        output_table(cli, actions, action_columns, "no drift was detected yet");
    json_decref(actions);
    return ERR_OK;
}

static const struct option_row policy_options[] = {
    {"on-drift", "ACTION", "none, rollback, retrain or rollback_and_retrain",
     "none rollback retrain rollback_and_retrain", 0},
    {"cool-down", "S", "after a rollback, do not roll back again for so long (3600)", NULL, 0},
    {"avoid", "S", "do not go back to a version left because of drift (86400)", NULL, 0},
    {"pipeline", "NAME", "the pipeline that trains the model anew", NULL, 0},
    {"retrain-cool-down", "S", "after asking for it, do not ask again for so long (3600)", NULL, 0},
    {"retrains-per-day", "N", "ask at most so often in 24 hours (4)", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};
static const struct option_row create_options[] = {
    {"model", "NAME", "the model it serves", NULL, 0},
    {"alias", "ALIAS", "follow this alias (champion)", NULL, 0},
    {"version", "N", "stay at this version", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};
static const struct option_row rollback_options[] = {
    {"to", "VERSION", "not the last good version but this one", NULL, 0},
    {"reason", "TEXT", "kept in the event and the history", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};

const struct command endpoint_commands[] = {
    {.path = "endpoint create",
     .args = "NAME",
     .doc = "Create an endpoint that serves a model",
     .run = run_create,
     .options = create_options,
     .examples = "  modelbus endpoint create churn --model churn\n"
                 "  modelbus endpoint create churn-old --model churn --version 3\n"},
    {.path = "endpoint list", .args = "", .doc = "List endpoints", .run = run_list},
    {.path = "endpoint show",
     .args = "NAME",
     .doc = "Show an endpoint and what each pod serves",
     .run = run_show},
    {.path = "endpoint history",
     .args = "NAME",
     .doc = "List the changes of an endpoint, newest first",
     .run = run_history},
    {.path = "endpoint rollback",
     .args = "NAME",
     .doc = "Go back to the last version that served well, until the alias moves again",
     .run = run_rollback,
     .options = rollback_options},
    {.path = "endpoint policy",
     .args = "NAME",
     .doc = "Say what the endpoint does by itself when drift is detected",
     .run = run_policy,
     .options = policy_options,
     .examples = "  modelbus endpoint policy churn --on-drift rollback\n"
                 "  modelbus endpoint policy churn --on-drift rollback --cool-down 600\n"
                 "  modelbus endpoint policy churn --on-drift rollback_and_retrain --pipeline "
                 "retrain-churn --retrains-per-day 3\n"
                 "  modelbus endpoint policy churn --on-drift none\n"},
    {.path = "endpoint actions",
     .args = "NAME",
     .doc = "List what was done about drift, or why nothing, newest first",
     .run = run_actions},
    {.path = "endpoint delete",
     .args = "NAME",
     .doc = "Delete an endpoint; pods unload it",
     .run = run_delete},
    {.path = NULL},
};
