/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_alert.c - `modelbus alert`: alerts, silences, and what is configured for them. */
#include "api.h"
#include "output.h"
#include "settings.h"

#include <stdlib.h>
#include <string.h>

#define BODY_MAX (256u << 10)
#define SILENCE_S 7200

/* ---- formats ---- */

/* The labels that are not columns of their own: "endpoint=churn, model=m". */
static char *
format_labels(const json_t *labels)
{
    char *text = mem_strdup("");
    const json_t *label;
    size_t i;

    json_array_foreach(labels, i, label)
    {
        const char *key = json_text_at(label, "key");
        if (strcmp(key, "alertname") == 0 || strcmp(key, "severity") == 0 ||
            strcmp(key, "workspace") == 0)
            continue;
        char *longer =
            mem_printf("%s%s%s=%s", text, *text ? ", " : "", key, json_text_at(label, "value"));
        free(text);
        text = longer;
    }
    return text;
}

/* One annotation a line. */
static char *
format_notes(const json_t *notes)
{
    char *text = mem_strdup("");
    const json_t *note;
    size_t i;

    json_array_foreach(notes, i, note)
    {
        char *longer = mem_printf("%s%s%s: %s", text, *text ? "; " : "", json_text_at(note, "key"),
                                  json_text_at(note, "value"));
        free(text);
        text = longer;
    }
    return text;
}

static const struct column alert_columns[] = {
    {"ID", "id", NULL},
    {"ALERT", "name", NULL},
    {"SEVERITY", "severity", NULL},
    {"STATE", "state", NULL},
    {"LABELS", "labels", format_labels},
    {"SINCE", "started_at_ms", format_time},
    {"ACKNOWLEDGED", "acknowledged_by", NULL},
    {NULL, NULL, NULL},
};
static const struct column alert_fields[] = {
    {"id", "id", NULL},
    {"alert", "name", NULL},
    {"severity", "severity", NULL},
    {"state", "state", NULL},
    {"labels", "labels", format_labels},
    {"annotations", "annotations", format_notes},
    {"since", "started_at_ms", format_time},
    {"events", "events", NULL},
    {"last event", "last_event_at_ms", format_time},
    {"event", "event_type", NULL},
    {"event id", "event_id", NULL},
    {"acknowledged", "acknowledged_by", NULL},
    {"comment", "comment", NULL},
    {"resolved", "resolved_at_ms", format_time},
    {"resolved by", "resolved_by", NULL},
    {"fingerprint", "fingerprint", NULL},
    {NULL, NULL, NULL},
};
static const struct column notification_columns[] = {
    {"RECEIVER", "receiver", NULL},
    {"SAYS", "status", NULL},
    {"KIND", "kind", NULL},
    {"STATE", "state", NULL},
    {"ATTEMPTS", "attempts", NULL},
    {"DUE", "due_at_ms", format_time},
    {"DELIVERED", "delivered_at_ms", format_time},
    {"ERROR", "error", NULL},
    {NULL, NULL, NULL},
};
static const struct column silence_columns[] = {
    {"ID", "id", NULL},         {"MATCH", "match", NULL},     {"ENDS", "ends_at_ms", format_time},
    {"BY", "created_by", NULL}, {"COMMENT", "comment", NULL}, {NULL, NULL, NULL},
};
static const struct column rule_columns[] = {
    {"NAME", "name", NULL},
    {"EVENT", "event", NULL},
    {"WHEN", "when", NULL},
    {"SEVERITY", "severity", NULL},
    {"LABELS", "labels", format_labels},
    {"RESOLVED BY", "resolve_on", NULL},
    {"AFTER s", "resolve_after_s", NULL},
    {"DISABLED", "disabled", NULL},
    {"ORIGIN", "origin", NULL},
    {NULL, NULL, NULL},
};
static const struct column receiver_columns[] = {
    {"NAME", "name", NULL}, {"TYPE", "type", NULL},     {"URL", "url", NULL},
    {"TO", "to", NULL},     {"ORIGIN", "origin", NULL}, {NULL, NULL, NULL},
};
static const struct column route_columns[] = {
    {"NAME", "name", NULL},
    {"MATCH", "match", NULL},
    {"RECEIVERS", "receivers", NULL},
    {"GROUP BY", "group_by", NULL},
    {"WAIT s", "group_wait_s", NULL},
    {"REPEAT s", "repeat_interval_s", NULL},
    {"ESCALATE s", "escalate_after_s", NULL},
    {"TO", "escalate_to", NULL},
    {"ORIGIN", "origin", NULL},
    {NULL, NULL, NULL},
};
static const struct column inhibition_columns[] = {
    {"NAME", "name", NULL},   {"SOURCE", "source", NULL}, {"TARGET", "target", NULL},
    {"EQUAL", "equal", NULL}, {"ORIGIN", "origin", NULL}, {NULL, NULL, NULL},
};

/* ---- alerts ---- */

static enum err_code
run_list(struct cli *cli, struct err *err)
{
    json_t *alerts = NULL;

    if (api_list(cli, "alerts", 0, &alerts, err, "alerts?include_resolved=%s",
                 cli_option(cli, "all") ? "true" : "false"))
        return err->code;
    if (!output_json(cli, alerts))
        output_table(cli, alerts, alert_columns,
                     cli_option(cli, "all") ? "no alerts" : "nothing fires");
    json_decref(alerts);
    return ERR_OK;
}

static enum err_code
run_show(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *id = api_encode(cli_word(cli, 0));
    json_t *answer = NULL;

    if (api_call(cli, "GET", NULL, &answer, err, "alerts/%s", id))
        return err->code;
    if (!output_json(cli, answer)) {
        output_fields(cli, json_object_get(answer, "alert"), alert_fields);
        putchar('\n');
        output_table(cli, json_object_get(answer, "notifications"), notification_columns,
                     "nobody is told of it");
    }
    json_decref(answer);
    return ERR_OK;
}

/* POST to a part of an alert, and print the alert. */
static enum err_code
change_alert(struct cli *cli, const char *what, json_t *body, struct err *err)
{
    CLEANUP(mem_free) char *id = api_encode(cli_word(cli, 0));
    json_t *answer = NULL;

    enum err_code code = api_call(cli, "POST", body, &answer, err, "alerts/%s/%s", id, what);
    json_decref(body);
    if (code)
        return code;
    const json_t *alert = json_object_get(answer, "alert");
    if (!output_json(cli, alert))
        output_fields(cli, alert, alert_fields);
    json_decref(answer);
    return ERR_OK;
}

static enum err_code
run_ack(struct cli *cli, struct err *err)
{
    const char *comment = cli_option(cli, "comment");

    return change_alert(cli, "acknowledge", json_pack("{ss}", "comment", comment ? comment : ""),
                        err);
}

static enum err_code
run_resolve(struct cli *cli, struct err *err)
{
    return change_alert(cli, "resolve", json_object(), err);
}

/* ---- silences ---- */

static enum err_code
run_silence(struct cli *cli, struct err *err)
{
    const char *comment = cli_option(cli, "comment");
    json_t *answer = NULL, *match = json_array();
    int64_t seconds;

    if (cli_duration(cli, "for", SILENCE_S, &seconds, err)) {
        json_decref(match);
        return err->code;
    }
    for (size_t i = 0; i < cli->word_count; i++)
        json_array_append_new(match, json_string(cli_word(cli, i)));
    json_t *body = json_pack("{so sI ss}", "match", match, "duration_s", (json_int_t)seconds,
                             "comment", comment ? comment : "");
    enum err_code code = api_call(cli, "POST", body, &answer, err, "silences");
    json_decref(body);
    if (code)
        return code;
    const json_t *silence = json_object_get(answer, "silence");
    if (!output_json(cli, silence))
        printf("silence %s\nend it with `modelbus alert unsilence %s`\n",
               json_text_at(silence, "id"), json_text_at(silence, "id"));
    json_decref(answer);
    return ERR_OK;
}

static enum err_code
run_silences(struct cli *cli, struct err *err)
{
    json_t *silences = NULL;

    if (api_list(cli, "silences", 0, &silences, err, "silences?include_expired=%s",
                 cli_option(cli, "all") ? "true" : "false"))
        return err->code;
    if (!output_json(cli, silences))
        output_table(cli, silences, silence_columns, "nothing is silenced");
    json_decref(silences);
    return ERR_OK;
}

static enum err_code
run_unsilence(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *id = api_encode(cli_word(cli, 0));

    if (api_call(cli, "DELETE", NULL, NULL, err, "silences/%s", id))
        return err->code;
    puts(cli->json ? "{}" : "the silence has ended");
    return ERR_OK;
}

/* ---- what is configured ---- */

static enum err_code
list(struct cli *cli, const char *what, const struct column *columns, struct err *err)
{
    json_t *answer = NULL;

    if (api_call(cli, "GET", NULL, &answer, err, "alert-%s", what))
        return err->code;
    const json_t *entries = json_object_get(answer, what);
    if (!output_json(cli, entries))
        output_table(cli, entries, columns, "none");
    json_decref(answer);
    return ERR_OK;
}

static enum err_code
run_rules(struct cli *cli, struct err *err)
{
    return list(cli, "rules", rule_columns, err);
}

static enum err_code
run_receivers(struct cli *cli, struct err *err)
{
    return list(cli, "receivers", receiver_columns, err);
}

static enum err_code
run_routes(struct cli *cli, struct err *err)
{
    return list(cli, "routes", route_columns, err);
}

static enum err_code
run_inhibitions(struct cli *cli, struct err *err)
{
    return list(cli, "inhibitions", inhibition_columns, err);
}

#define KINDS "inhibition receiver route rule"

static enum err_code
check_kind(const char *kind, struct err *err)
{
    static const char *const kinds[] = {"inhibition", "receiver", "route", "rule"};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(kind, kinds[i]) == 0)
            return ERR_OK;
    return err_set(err, ERR_INVALID, "'%s' is not one of: " KINDS, kind);
}

static enum err_code
run_put(struct cli *cli, struct err *err)
{
    const char *kind = cli_word(cli, 0);
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 1));
    CLEANUP(mem_free) char *text = NULL;
    json_t *answer = NULL;
    json_error_t where;
    size_t len;

    if (check_kind(kind, err) || read_argument(cli_word(cli, 2), BODY_MAX, &text, &len, err))
        return err->code;
    json_t *body = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
    if (!body)
        return err_set(err, ERR_INVALID, "line %d, column %d: %s", where.line, where.column,
                       where.text);
    enum err_code code = api_call(cli, "PUT", body, &answer, err, "alert-%ss/%s", kind, name);
    json_decref(body);
    if (code)
        return code;
    if (!output_json(cli, json_object_get(answer, kind)))
        printf("%s %s is set\n", kind, cli_word(cli, 1));
    json_decref(answer);
    return ERR_OK;
}

static enum err_code
run_delete(struct cli *cli, struct err *err)
{
    const char *kind = cli_word(cli, 0);
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 1));

    if (check_kind(kind, err) ||
        api_call(cli, "DELETE", NULL, NULL, err, "alert-%ss/%s", kind, name))
        return err->code;
    if (cli->json)
        puts("{}");
    else
        printf("%s %s is deleted\n", kind, cli_word(cli, 1));
    return ERR_OK;
}

static enum err_code
run_test(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    json_t *body = json_object(), *answer = NULL;

    enum err_code code = api_call(cli, "POST", body, &answer, err, "alert-receivers/%s/test", name);
    json_decref(body);
    if (code)
        return code;
    bool delivered = json_is_true(json_object_get(answer, "delivered"));
    if (!output_json(cli, answer)) {
        if (delivered)
            printf("%s took the test message\n", cli_word(cli, 0));
        else
            printf("%s did not take it: %s\n", cli_word(cli, 0), json_text_at(answer, "error"));
    }
    json_decref(answer);
    if (!delivered)
        cli->exit_code = cli_exit_code(ERR_UNAVAILABLE);
    return ERR_OK;
}

static const struct option_row list_options[] = {
    {"all", NULL, "those that are over, too", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};
static const struct option_row ack_options[] = {
    {"comment", "TEXT", "kept with the alert", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};
static const struct option_row silence_options[] = {
    {"for", "TIME", "how long: 30m, 2h, 7d (2h)", NULL, 0},
    {"comment", "TEXT", "kept with the silence", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};

const struct command alert_commands[] = {
    {.path = "alert list",
     .args = "",
     .doc = "List the alerts that fire, newest first",
     .run = run_list,
     .options = list_options},
    {.path = "alert show",
     .args = "ID",
     .doc = "Show an alert, and who was told of it",
     .run = run_show},
    {.path = "alert ack",
     .args = "ID",
     .doc = "Say that somebody looks at it: it is not repeated and not escalated",
     .run = run_ack,
     .options = ack_options},
    {.path = "alert resolve", .args = "ID", .doc = "Resolve an alert by hand", .run = run_resolve},
    {.path = "alert silence",
     .args = "MATCHER ...",
     .doc = "Tell nobody of alerts whose labels match, for a time",
     .run = run_silence,
     .options = silence_options,
     .examples = "  modelbus alert silence endpoint=churn --for 2h --comment 'new sensor'\n"
                 "  modelbus alert silence 'severity != critical' 'endpoint ~ test-*|demo'\n"},
    {.path = "alert silences",
     .args = "",
     .doc = "List the silences",
     .run = run_silences,
     .options = list_options},
    {.path = "alert unsilence", .args = "ID", .doc = "End a silence", .run = run_unsilence},
    {.path = "alert rules", .args = "", .doc = "List the rules", .run = run_rules},
    {.path = "alert receivers", .args = "", .doc = "List the receivers", .run = run_receivers},
    {.path = "alert routes", .args = "", .doc = "List the routes", .run = run_routes},
    {.path = "alert inhibitions",
     .args = "",
     .doc = "List the inhibitions",
     .run = run_inhibitions},
    {.path = "alert put",
     .args = "KIND NAME JSON",
     .doc = "Set a rule, receiver, route or inhibition; JSON may be @FILE or - (standard input)",
     .run = run_put,
     .complete = KINDS,
     .examples =
         "  modelbus alert put receiver hook '{\"type\": \"webhook\", \"url\": "
         "\"https://example.com/hook\"}'\n"
         "  modelbus alert put route all '{\"receivers\": [\"hook\"]}'\n"
         "  modelbus alert put rule DriftDetected '{\"event\": \"DriftDetected\", \"disabled\": "
         "true}'\n"},
    {.path = "alert delete",
     .args = "KIND NAME",
     .doc = "Delete a rule, receiver, route or inhibition of the workspace",
     .run = run_delete,
     .complete = KINDS},
    {.path = "alert test",
     .args = "RECEIVER",
     .doc = "Send a receiver a test message (exit code 5: it did not take it)",
     .run = run_test},
    {.path = NULL},
};
