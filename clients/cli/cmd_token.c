/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_token.c - `modelbus token`: API tokens of the gateway. */
#include "api.h"
#include "output.h"

#include <string.h>

static const struct column columns[] = {
    {"ID", "id", NULL},
    {"SUBJECT", "subject", NULL},
    {"ROLES", "roles", NULL},
    {"SCOPES", "scopes", NULL},
    {"CREATED", "created_at_ms", format_time},
    {"EXPIRES", "expires_at_ms", format_time},
    {"REVOKED", "revoked_at_ms", format_time},
    {NULL, NULL, NULL},
};

/* "a,b" as a list. */
static json_t *
split(const char *text)
{
    json_t *list = json_array();

    for (const char *p = text ? text : ""; *p;) {
        size_t len = strcspn(p, ",");
        if (len)
            json_array_append_new(list, json_stringn(p, len));
        p += len + (p[len] == ',');
    }
    return list;
}

static enum err_code
run_create(struct cli *cli, struct err *err)
{
    const char *roles = cli_option(cli, "role");
    json_t *answer = NULL;
    int64_t seconds;

    if (cli_duration(cli, "expires", 0, &seconds, err))
        return err->code;
    json_t *body = json_pack("{ss so so sI}", "subject", cli_word(cli, 0), "roles",
                             split(roles ? roles : "viewer"), "scopes",
                             split(cli_option(cli, "scopes")), "lifetime_s", (json_int_t)seconds);
    enum err_code code = api_call(cli, "POST", body, &answer, err, "tokens");
    json_decref(body);
    if (code)
        return code;
    if (!output_json(cli, answer)) {
        puts(json_text_at(answer, "secret"));
        fprintf(stderr,
                "This is the only time it is shown. Its id is %s; revoke it with "
                "`modelbus token revoke %s`.\n",
                json_text_at(answer, "token.id"), json_text_at(answer, "token.id"));
    }
    json_decref(answer);
    return ERR_OK;
}

static enum err_code
run_list(struct cli *cli, struct err *err)
{
    json_t *tokens = NULL;

    if (api_list(cli, "tokens", 0, &tokens, err, "tokens"))
        return err->code;
    if (!output_json(cli, tokens))
        output_table(cli, tokens, columns, "no tokens");
    json_decref(tokens);
    return ERR_OK;
}

static enum err_code
run_revoke(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *id = api_encode(cli_word(cli, 0));
    json_t *answer = NULL;

    if (api_call(cli, "DELETE", NULL, &answer, err, "tokens/%s", id))
        return err->code;
    if (!output_json(cli, answer))
        printf("token %s revoked\n", cli_word(cli, 0));
    json_decref(answer);
    return ERR_OK;
}

static const struct option_row create_options[] = {
    {"role", "LIST", "viewer, editor, approver, admin; several with commas (viewer)",
     "viewer editor approver admin", 0},
    {"scopes", "LIST", "narrow to these scopes, e.g. registry:read,endpoint:read", NULL, 0},
    {"expires", "TIME", "lifetime, e.g. 90d (does not expire)", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};

const struct command token_commands[] = {
    {.path = "token create",
     .args = "SUBJECT",
     .doc = "Create an API token and print its secret once",
     .run = run_create,
     .options = create_options,
     .examples = "  modelbus token create ci --role editor --expires 90d\n"},
    {.path = "token list", .args = "", .doc = "List API tokens", .run = run_list},
    {.path = "token revoke", .args = "ID", .doc = "Revoke an API token", .run = run_revoke},
    {.path = NULL},
};
