/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_promotion.c - `modelbus model promotion-policy|evaluate|evaluations|challenge`. */
#include "api.h"
#include "output.h"
#include "push.h"

#include <stdlib.h>
#include <string.h>

#define EXIT_LOST 9

static const struct column policy_fields[] = {
    {"model", "name", NULL},
    {"alias", "alias", NULL},
    {"metric", "metric", NULL},
    {"direction", "direction", NULL},
    {"min margin", "min_margin", NULL},
    {"any window", "any_window", NULL},
    {"updated", "updated_at_ms", format_time},
    {"by", "updated_by", NULL},
    {NULL, NULL, NULL},
};
static const struct column evaluation_columns[] = {
    {"WINDOW", "window", NULL},
    {"ROWS", "rows", NULL},
    {"METRICS", "metrics", format_metrics},
    {"EVALUATED", "evaluated_at_ms", format_time},
    {"BY", "evaluated_by", NULL},
    {NULL, NULL, NULL},
};

/* Print the field of the answer, which is taken. */
static void
print_policy(struct cli *cli, json_t *answer)
{
    const json_t *policy = json_object_get(answer, "policy");

    if (!output_json(cli, policy))
        output_fields(cli, policy, policy_fields);
    json_decref(answer);
}

static enum err_code
read_margin(const struct cli *cli, double *margin, struct err *err)
{
    const char *text = cli_option(cli, "min-margin");
    char *end = NULL;

    *margin = text ? strtod(text, &end) : 0;
    if (text && (end == text || *end || !(*margin >= 0 && *margin <= 1e6)))
        return err_set(err, ERR_INVALID, "--min-margin: '%s' is not a number from 0 to 1000000",
                       text);
    return ERR_OK;
}

static enum err_code
set_policy(struct cli *cli, const char *name, const char *metric, struct err *err)
{
    bool higher = cli_option(cli, "higher-is-better") != NULL;
    bool lower = cli_option(cli, "lower-is-better") != NULL;
    json_t *answer = NULL;
    double margin;

    if (higher == lower)
        return err_set(err, ERR_INVALID, "say one: --higher-is-better or --lower-is-better");
    if (read_margin(cli, &margin, err))
        return err->code;
    json_t *body = json_pack("{ss* ss ss sf sb}", "alias", cli_option(cli, "alias"), "metric",
                             metric, "direction", higher ? "maximize" : "minimize", "min_margin",
                             margin, "any_window", cli_option(cli, "any-window") != NULL);
    enum err_code code =
        api_call(cli, "PUT", body, &answer, err, "models/%s/promotion-policy", name);
    json_decref(body);
    if (!code)
        print_policy(cli, answer);
    return code;
}

static enum err_code
run_policy(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    const char *alias = cli_option(cli, "alias"), *metric = cli_option(cli, "metric");
    CLEANUP(mem_free) char *encoded = api_encode(alias ? alias : "");
    json_t *answer = NULL;

    if (metric)
        return set_policy(cli, name, metric, err);
    bool remove = cli_option(cli, "remove") != NULL;
    if (api_call(cli, remove ? "DELETE" : "GET", NULL, &answer, err,
                 "models/%s/promotion-policy%s%s", name, alias ? "?alias=" : "", encoded))
        return err->code;
    if (!remove) {
        print_policy(cli, answer);
        return ERR_OK;
    }
    json_decref(answer);
    puts(cli->json ? "{}" : "removed: no challenge moves the alias");
    return ERR_OK;
}

static enum err_code
need_window(const struct cli *cli, const char **window, struct err *err)
{
    *window = cli_option(cli, "window");
    return *window ? ERR_OK
                   : err_set(err, ERR_INVALID,
                             "say on which data: --window NAME (a digest, a name, a date)");
}

static enum err_code
run_evaluate(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    json_t *metrics = json_array(), *answer = NULL;
    const char *window = NULL;
    int64_t version = 0, rows = 0;
    enum err_code code;

    if ((code = cli_word_number(cli, 1, "VERSION", &version, err)) == ERR_OK &&
        (code = need_window(cli, &window, err)) == ERR_OK &&
        (code = cli_number(cli, "rows", 0, INT64_MAX, 0, &rows, err)) == ERR_OK)
        code = push_metrics(cli, metrics, err);
    json_t *body =
        json_pack("{ss* sI so}", "window", window, "rows", (json_int_t)rows, "metrics", metrics);
    if (!code)
        code = api_call(cli, "POST", body, &answer, err, "models/%s/versions/%lld/evaluations",
                        name, (long long)version);
    json_decref(body);
    if (code)
        return code;
    const json_t *evaluation = json_object_get(answer, "evaluation");
    if (!output_json(cli, evaluation)) {
        CLEANUP(mem_free) char *text = format_metrics(json_object_get(evaluation, "metrics"));
        printf("%s version %lld on %s: %s\n", cli_word(cli, 0), (long long)version, window, text);
    }
    json_decref(answer);
    return ERR_OK;
}

static enum err_code
run_evaluations(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    json_t *evaluations = NULL;
    int64_t version;

    if (cli_word_number(cli, 1, "VERSION", &version, err) ||
        api_list(cli, "evaluations", 0, &evaluations, err, "models/%s/versions/%lld/evaluations",
                 name, (long long)version))
        return err->code;
    if (!output_json(cli, evaluations))
        output_table(cli, evaluations, evaluation_columns, "not evaluated yet");
    json_decref(evaluations);
    return ERR_OK;
}

static void
print_decision(struct cli *cli, const json_t *answer)
{
    const json_t *decision = json_object_get(answer, "decision");
    bool promoted = json_is_true(json_at(decision, "promoted"));

    cli->exit_code = promoted ? 0 : EXIT_LOST;
    if (output_json(cli, answer))
        return;
    output_color(cli, promoted ? COLOR_GREEN : COLOR_YELLOW, promoted ? "promoted" : "lost",
                 stdout);
    printf(": %s version %lld", cli_word(cli, 0), (long long)json_int_at(decision, "challenger"));
    if (json_int_at(decision, "champion"))
        printf(" against %lld", (long long)json_int_at(decision, "champion"));
    printf(" on %s: %s%s\n", json_text_at(decision, "window"), json_text_at(decision, "reason"),
           json_is_true(json_at(answer, "decided_before")) ? " (decided before)" : "");
}

static enum err_code
run_challenge(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    json_t *answer = NULL;
    const char *window;
    int64_t version;

    if (cli_word_number(cli, 1, "VERSION", &version, err) || need_window(cli, &window, err))
        return err->code;
    json_t *body = json_pack("{ss ss*}", "window", window, "alias", cli_option(cli, "alias"));
    enum err_code code = api_call(cli, "POST", body, &answer, err,
                                  "models/%s/versions/%lld/challenge", name, (long long)version);
    json_decref(body);
    if (code)
        return code;
    print_decision(cli, answer);
    json_decref(answer);
    return ERR_OK;
}

#define ALIAS_OPTION                                                                               \
    {                                                                                              \
        "alias", "ALIAS", "not champion but this one", NULL, 0                                     \
    }
#define WINDOW_OPTION                                                                              \
    {                                                                                              \
        "window", "NAME", "the data: a digest, a name, a date", NULL, 0                            \
    }

static const struct option_row policy_options[] = {
    ALIAS_OPTION,
    {"metric", "NAME", "set the policy: the metric that decides", NULL, 0},
    {"higher-is-better", NULL, "of the metric", NULL, 0},
    {"lower-is-better", NULL, "of the metric", NULL, 0},
    {"min-margin", "X", "the challenger must be better by so much (0: by anything)", NULL, 0},
    {"any-window", NULL, "the champion's value may be of another window", NULL, 0},
    {"remove", NULL, "remove the policy", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};
static const struct option_row evaluate_options[] = {
    WINDOW_OPTION,
    {"metric", "KEY=NUMBER", "what it reached; may be repeated", NULL, 0},
    {"rows", "N", "of the window", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};
static const struct option_row challenge_options[] = {
    WINDOW_OPTION,
    ALIAS_OPTION,
    {NULL, NULL, NULL, NULL, 0},
};

const struct command promotion_commands[] = {
    {.path = "model promotion-policy",
     .args = "NAME",
     .doc = "Show or set when a challenger takes the alias champion",
     .run = run_policy,
     .options = policy_options,
     .examples = "  modelbus model promotion-policy churn --metric auc --higher-is-better "
                 "--min-margin 0.005\n"
                 "  modelbus model promotion-policy churn\n"},
    {.path = "model evaluate",
     .args = "NAME VERSION",
     .doc = "Keep what a version reached on an evaluation window",
     .run = run_evaluate,
     .options = evaluate_options,
     .examples = "  modelbus model evaluate churn 8 --window 2026-05 --metric auc=0.93 "
                 "--rows 12000\n"},
    {.path = "model evaluations",
     .args = "NAME VERSION",
     .doc = "List what a version reached on evaluation windows",
     .run = run_evaluations},
    {.path = "model challenge",
     .args = "NAME VERSION",
     .doc = "Judge a version against the champion on a window; the better one is champion",
     .run = run_challenge,
     .options = challenge_options,
     .examples = "  modelbus model challenge churn 8 --window 2026-05   # 0: promoted, 9: lost\n"},
    {.path = NULL},
};
