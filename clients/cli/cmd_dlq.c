/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_dlq.c - `modelbus dlq`: events that could not be handled. */
#include "api.h"
#include "output.h"

#include <stdlib.h>
#include <string.h>

static const struct column columns[] = {
    {"ID", "letter.id", NULL},
    {"TYPE", "letter.event_type", NULL},
    {"FAILED", "letter.failed_at_ms", format_time},
    {"REPLAYED", "replayed_at_ms", format_time},
    {"ERROR", "letter.error_code", NULL},
    {"WHY", "letter.error_message", NULL},
    {NULL, NULL, NULL},
};

/* Base64 as libc has no reader for; only the length and the start are shown. */
static char *
format_value(const json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = text ? strlen(text) : 0;
    size_t bytes = len / 4 * 3;

    while (len && text[len - 1] == '=') {
        len--;
        bytes--;
    }
    return mem_printf("%zu bytes: %.60s%s (base64; all with --json)", bytes, text ? text : "",
                      len > 60 ? "..." : "");
}

static const struct column fields[] = {
    {"id", "letter.id", NULL},
    {"consumer", "letter.consumer", NULL},
    {"type", "letter.event_type", NULL},
    {"topic", "letter.topic", NULL},
    {"partition", "letter.partition", NULL},
    {"offset", "letter.offset", NULL},
    {"failed", "letter.failed_at_ms", format_time},
    {"replayed", "replayed_at_ms", format_time},
    {"error", "letter.error_code", NULL},
    {"why", "letter.error_message", NULL},
    {"value", "letter.value", format_value},
    {NULL, NULL, NULL},
};

/* An id begins with the service that keeps the letter. */
static enum err_code
split(const char *id, char **service, char **encoded, struct err *err)
{
    size_t len = strcspn(id, "/");

    if (!id[len] || !len)
        return err_set(err, ERR_INVALID,
                       "'%s' is not a dead letter's id (service/cluster/topic/partition/offset)",
                       id);
    *service = mem_strndup(id, len);
    *encoded = api_encode(id);
    return ERR_OK;
}

static enum err_code
run_list(struct cli *cli, struct err *err)
{
    const char *service = cli_option(cli, "service");
    CLEANUP(mem_free) char *encoded = api_encode(service ? service : "");
    json_t *letters = NULL;

    if (api_list(cli, "letters", 0, &letters, err, "dead-letters?include_replayed=%s%s%s",
                 cli_option(cli, "all") ? "true" : "false", service ? "&service=" : "", encoded))
        return err->code;
    if (!output_json(cli, letters))
        output_table(cli, letters, columns, "no dead letters");
    json_decref(letters);
    return ERR_OK;
}

static enum err_code
one(struct cli *cli, const char *verb, const char *action, json_t **letter, struct err *err)
{
    CLEANUP(mem_free) char *service = NULL;
    CLEANUP(mem_free) char *id = NULL;
    json_t *answer = NULL;

    if (split(cli_word(cli, 0), &service, &id, err) ||
        api_call(cli, verb, NULL, &answer, err, "dead-letters/%s/%s%s", service, id, action))
        return err->code;
    *letter = json_incref(json_object_get(answer, "letter"));
    json_decref(answer);
    return ERR_OK;
}

static enum err_code
run_show(struct cli *cli, struct err *err)
{
    json_t *letter = NULL;

    if (one(cli, "GET", "", &letter, err))
        return err->code;
    if (!output_json(cli, letter))
        output_fields(cli, letter, fields);
    json_decref(letter);
    return ERR_OK;
}

static enum err_code
run_replay(struct cli *cli, struct err *err)
{
    json_t *letter = NULL;

    if (one(cli, "POST", "/replay", &letter, err))
        return err->code;
    if (!output_json(cli, letter))
        printf("published again to %s; a consumer that has handled it does nothing\n",
               json_text_at(letter, "letter.topic"));
    json_decref(letter);
    return ERR_OK;
}

static const struct option_row list_options[] = {
    {"service", "NAME", "only of this service", COMPLETE_SERVICE, 0},
    {"all", NULL, "also those that were replayed", NULL, 'a'},
    {NULL, NULL, NULL, NULL, 0},
};

const struct command dlq_commands[] = {
    {.path = "dlq list",
     .args = "",
     .doc = "List events that could not be handled, and why",
     .run = run_list,
     .options = list_options},
    {.path = "dlq show", .args = "ID", .doc = "Show a dead letter", .run = run_show},
    {.path = "dlq replay",
     .args = "ID",
     .doc = "Publish a dead letter's message to its topic again",
     .run = run_replay},
    {.path = NULL},
};
