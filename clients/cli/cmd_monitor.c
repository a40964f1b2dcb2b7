/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_monitor.c - `modelbus drift status|reports|show|rules`: what the monitoring service found. */
#include "api.h"
#include "column_rule.h"
#include "output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BARS_MAX 64

static const struct column columns[] = {
    {"ENDPOINT", "endpoint", NULL},
    {"MODEL", "model_name", NULL},
    {"VERSION", "version", NULL},
    {"STATE", "state", NULL},
    {"SINCE", "since_ms", format_time},
    {"WINDOW", "window.number", NULL},
    {"ROWS", "window.rows", NULL},
    {"REFERENCE", "reference.kind", NULL},
    {"LAST REPORT", "last_report_id", NULL},
    {NULL, NULL, NULL},
};
static const struct column fields[] = {
    {"endpoint", "endpoint", NULL},
    {"model", "model_name", NULL},
    {"version", "version", NULL},
    {"state", "state", NULL},
    {"since", "since_ms", format_time},
    {"episode", "episode", NULL},
    {"window", "window.number", NULL},
    {"rows so far", "window.rows", NULL},
    {"reference", "reference.kind", NULL},
    {"reference rows", "reference.rows", NULL},
    {"rows learned", "reference.learned_rows", NULL},
    {"problem", "reference.problem", NULL},
    {"last report", "last_report_id", NULL},
    {"rows dropped", "rows_dropped", NULL},
    {"rows passed by", "rows_other", NULL},
    {NULL, NULL, NULL},
};
static const struct column rule_fields[] = {
    {"disabled", "disabled", NULL},
    {"window rows", "window_rows", NULL},
    {"window seconds", "window_seconds", NULL},
    {"slide rows", "slide_rows", NULL},
    {"min rows", "min_rows", NULL},
    {"reference rows", "reference_rows", NULL},
    {"profile", "profile", NULL},
    {"method", "method", NULL},
    {"threshold", "threshold", NULL},
    {"correction", "correction", NULL},
    {"min columns", "min_columns", NULL},
    {"raise after", "raise_after", NULL},
    {"clear after", "clear_after", NULL},
    {NULL, NULL, NULL},
};
static const struct column column_rule_columns[] = {
    {"COLUMN", "column", NULL},  {"METHOD", "method", NULL}, {"THRESHOLD", "threshold", NULL},
    {"IGNORED", "ignore", NULL}, {NULL, NULL, NULL},
};
static const struct column report_columns[] = {
    {"WINDOW", "window.number", NULL},
    {"VERSION", "version", NULL},
    {"ROWS", "window.rows", NULL},
    {"OUTCOME", "outcome", NULL},
    {"DRIFTED", "drifted", NULL},
    {"CHECKED", "checked", NULL},
    {"UNTIL", "window.end_ms", format_time},
    {"REPORT", "id", NULL},
    {NULL, NULL, NULL},
};
static const struct column report_fields[] = {
    {"report", "id", NULL},
    {"endpoint", "endpoint", NULL},
    {"model", "model_name", NULL},
    {"version", "version", NULL},
    {"window", "window.number", NULL},
    {"rows", "window.rows", NULL},
    {"compared", "window.compared", NULL},
    {"from", "window.start_ms", format_time},
    {"until", "window.end_ms", format_time},
    {"reference", "reference.kind", NULL},
    {"outcome", "outcome", NULL},
    {"episode", "episode", NULL},
    {NULL, NULL, NULL},
};
static const struct column segment_columns[] = {
    {"SEGMENT", "name", NULL},
    {"ROWS", "current_rows", NULL},
    {"REFERENCE", "reference_rows", NULL},
    {"OUTCOME", "outcome", NULL},
    {"DRIFTED", "drifted", NULL},
    {"CHECKED", "checked", NULL},
    {"WHY", "reason", NULL},
    {NULL, NULL, NULL},
};
static const struct column verdict_columns[] = {
    {"COLUMN", "column", NULL},
    {"FINDING", "finding", NULL},
    {"METHOD", "method", NULL},
    {"STATISTIC", "statistic", NULL},
    {"P", "p", NULL},
    {"DRIFT WHEN", "threshold", NULL},
    {"REFERENCE", "ref", NULL},
    {"CURRENT", "cur", NULL},
    {"VERDICT", "verdict", NULL},
    {"WHY", "reason", NULL},
    {NULL, NULL, NULL},
};

static void
print_monitor(struct cli *cli, json_t *answer)
{
    const json_t *monitor = json_object_get(answer, "monitor");

    if (!output_json(cli, monitor)) {
        const json_t *special = json_at(monitor, "rules.columns"), *segment;
        size_t i;
        output_fields(cli, monitor, fields);
        puts("\nrules");
        output_set_fields(cli, json_object_get(monitor, "rules"), rule_fields);
        json_array_foreach(json_at(monitor, "rules.segments"), i, segment)
            printf("%s %s", i ? "," : "segments    ", json_string_value(segment));
        if (json_array_size(json_at(monitor, "rules.segments")))
            putchar('\n');
        if (json_array_size(special)) {
            putchar('\n');
            output_table(cli, special, column_rule_columns, "");
        }
    }
    json_decref(answer);
}

static enum err_code
run_status(struct cli *cli, struct err *err)
{
    json_t *answer = NULL;

    if (cli_word(cli, 0)) {
        CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
        if (api_call(cli, "GET", NULL, &answer, err, "monitors/%s", name))
            return err->code;
        print_monitor(cli, answer);
        return ERR_OK;
    }
    if (api_list(cli, "monitors", 0, &answer, err, "monitors"))
        return err->code;
    if (!output_json(cli, answer))
        output_table(cli, answer, columns,
                     "nothing is watched yet; `modelbus deploy NAME PATH` begins it");
    json_decref(answer);
    return ERR_OK;
}

static enum err_code
run_reports(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    json_t *reports = NULL;
    int64_t limit;

    if (cli_number(cli, "limit", 1, 100000, 20, &limit, err) ||
        api_list(cli, "reports", (size_t)limit, &reports, err, "monitors/%s/reports%s", name,
                 cli_option(cli, "drifted") ? "?drifted=true" : ""))
        return err->code;
    if (!output_json(cli, reports))
        output_table(cli, reports, report_columns,
                     "no window has been judged yet; `modelbus drift status` shows its rows");
    json_decref(reports);
    return ERR_OK;
}

/* ---- one report ---- */

static char *
bars_of(const json_t *counts)
{
    uint64_t values[BARS_MAX];
    size_t n = json_array_size(counts) < BARS_MAX ? json_array_size(counts) : BARS_MAX;

    for (size_t i = 0; i < n; i++) {
        const json_t *count = json_array_get(counts, i);
        values[i] = json_is_string(count) ? strtoull(json_string_value(count), NULL, 10)
                                          : (uint64_t)json_number_value(count);
    }
    return format_bars(values, n);
}

static void
set_number(json_t *row, const char *key, const json_t *value)
{
    /* NaN comes as a word. */
    if (json_is_number(value))
        json_object_set_new(row, key, json_sprintf("%.4g", json_number_value(value)));
}

static json_t *
verdict_row(const json_t *verdict, const json_t *histograms, bool drawn)
{
    const char *name = json_text_at(verdict, "column"), *finding = json_text_at(verdict, "finding");
    const char *segment = json_text_at(verdict, "segment");
    CLEANUP(mem_free)
    char *shown = *segment ? mem_printf("%s: %s", segment, name) : mem_strdup(name);
    json_t *row =
        json_pack("{ss ss ss ss ss}", "column", shown, "finding", finding, "method",
                  json_text_at(verdict, "method"), "verdict", json_text_at(verdict, "outcome"),
                  "reason", json_text_at(verdict, "reason"));
    const json_t *threshold = json_object_get(verdict, "threshold"), *histogram;
    size_t i;

    set_number(row, "statistic", json_object_get(verdict, "statistic"));
    set_number(row, "p", json_object_get(verdict, "p_adjusted"));
    if (json_is_number(threshold) && *json_text_at(verdict, "comparator"))
        json_object_set_new(row, "threshold",
                            json_sprintf("%s %.4g", json_text_at(verdict, "comparator"),
                                         json_number_value(threshold)));
    json_array_foreach(histograms, i, histogram)
    {
        if (!drawn || *segment || strcmp(finding, "distribution") != 0 ||
            strcmp(json_text_at(histogram, "column"), name) != 0)
            continue;
        CLEANUP(mem_free) char *ref = bars_of(json_object_get(histogram, "reference"));
        CLEANUP(mem_free) char *cur = bars_of(json_object_get(histogram, "current"));
        json_object_set_new(row, "ref", json_string(ref));
        json_object_set_new(row, "cur", json_string(cur));
        break;
    }
    return row;
}

static enum err_code
run_show(struct cli *cli, struct err *err)
{
    static const char *const order[] = {"drift", "undecided", "no drift"};
    CLEANUP(mem_free) char *id = api_encode(cli_word(cli, 0));
    json_t *answer = NULL;

    if (api_call(cli, "GET", NULL, &answer, err, "reports/%s", id))
        return err->code;
    const json_t *report = json_object_get(answer, "report");
    if (!output_json(cli, report)) {
        json_t *rows = json_array();
        const json_t *verdict;
        size_t i;
        for (size_t o = 0; o < ARRAY_LEN(order); o++)
            json_array_foreach(json_object_get(report, "columns"), i, verdict)
            {
                if (strcmp(json_text_at(verdict, "outcome"), order[o]) == 0)
                    json_array_append_new(rows, verdict_row(verdict,
                                                            json_object_get(report, "histograms"),
                                                            isatty(STDOUT_FILENO) != 0));
            }
        output_fields(cli, report, report_fields);
        putchar('\n');
        output_table(cli, rows, verdict_columns, "no columns");
        json_decref(rows);
        if (json_array_size(json_object_get(report, "segments"))) {
            putchar('\n');
            output_table(cli, json_object_get(report, "segments"), segment_columns, "");
        }
        printf("\n%lld of %lld columns drifted\n", (long long)json_int_at(report, "drifted"),
               (long long)json_int_at(report, "checked"));
    }
    json_decref(answer);
    return ERR_OK;
}

/* ---- rules ---- */

static enum err_code
set_count(const struct cli *cli, json_t *rules, const char *option, const char *field, int64_t max,
          bool *changed, struct err *err)
{
    int64_t value;

    if (!cli_option(cli, option))
        return ERR_OK;
    if (cli_number(cli, option, 0, max, 0, &value, err))
        return err->code;
    json_object_set_new(rules, field, json_integer(value));
    *changed = true;
    return ERR_OK;
}

static enum err_code
set_words(const struct cli *cli, json_t *rules, bool *changed, struct err *err)
{
    static const char *const words[] = {"profile", "method", "correction"};
    const char *threshold = cli_option(cli, "threshold");

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        const char *value = cli_option(cli, words[i]);
        if (!value)
            continue;
        json_object_set_new(rules, words[i], json_string(value));
        *changed = true;
    }
    if (threshold) {
        char *end;
        double value = strtod(threshold, &end);
        if (!*threshold || *end || !(value >= 0) || isinf(value))
            return err_set(err, ERR_INVALID, "--threshold: '%s' is not a number from 0 on",
                           threshold);
        json_object_set_new(rules, "threshold", json_real(value));
        *changed = true;
    }
    if (cli_option(cli, "off") && cli_option(cli, "on"))
        return err_set(err, ERR_INVALID, "--on or --off: give one of the two");
    if (cli_option(cli, "off") || cli_option(cli, "on")) {
        json_object_set_new(rules, "disabled", json_boolean(cli_option(cli, "off") != NULL));
        *changed = true;
    }
    return ERR_OK;
}

/* The rule of a column, made when it is not there. Borrowed. */
static json_t *
column_rule(json_t *rules, const char *name)
{
    json_t *list = json_object_get(rules, "columns"), *rule;
    size_t i;

    if (!json_is_array(list)) {
        list = json_array();
        json_object_set_new(rules, "columns", list);
    }
    json_array_foreach(list, i,
                       rule) if (strcmp(json_text_at(rule, "column"), name) == 0) return rule;
    rule = json_pack("{ss}", "column", name);
    json_array_append_new(list, rule);
    return rule;
}

/* "--ignore a,b": true for these. */
static void
set_ignored(const struct cli *cli, json_t *rules, bool *changed)
{
    const char *p = cli_option(cli, "ignore");

    for (; p && *p; p += strcspn(p, ","), p += *p == ',') {
        CLEANUP(mem_free) char *name = mem_strndup(p, strcspn(p, ","));
        if (*name)
            json_object_set_new(column_rule(rules, name), "ignore", json_true());
        *changed = true;
    }
}

/* "--segment country,plan": these and no others. */
static void
set_segments(const struct cli *cli, json_t *rules, bool *changed)
{
    const char *p = cli_option(cli, "segment");
    json_t *list;

    if (!p)
        return;
    list = json_array();
    for (; *p; p += strcspn(p, ","), p += *p == ',') {
        CLEANUP(mem_free) char *name = mem_strndup(p, strcspn(p, ","));
        if (*name)
            json_array_append_new(list, json_string(name));
    }
    json_object_set_new(rules, "segments", list);
    *changed = true;
}

static enum err_code
set_columns(const struct cli *cli, json_t *rules, bool *changed, struct err *err)
{
    struct column_rules given;
    enum err_code code = column_rules_read(cli, &given, err);

    for (size_t i = 0; i < given.count && !code; i++) {
        const struct column_rule *rule = &given.items[i];
        json_t *kept = column_rule(rules, rule->name);
        if (rule->method) {
            json_object_set_new(kept, "method", json_string(rule->method));
            json_object_del(kept, "threshold"); /* of another method it means something else */
        }
        if (!isnan(rule->threshold))
            json_object_set_new(kept, "threshold", json_real(rule->threshold));
        *changed = true;
    }
    column_rules_done(&given);
    return code;
}

static enum err_code
run_rules(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    json_t *answer = NULL, *rules;
    bool changed = false;

    if (api_call(cli, "GET", NULL, &answer, err, "monitors/%s", name))
        return err->code;
    const json_t *now = json_at(answer, "monitor.rules");
    rules = now && !cli_option(cli, "reset") ? json_deep_copy(now) : json_object();
    if (json_is_object(json_at(now, "performance"))) /* `label rules` sets them */
        json_object_set(rules, "performance", json_object_get(now, "performance"));
    changed = cli_option(cli, "reset") != NULL;
    enum err_code code = ERR_OK;
    if (set_count(cli, rules, "window", "window_rows", 10000000, &changed, err) ||
        set_count(cli, rules, "seconds", "window_seconds", 2592000, &changed, err) ||
        set_count(cli, rules, "slide", "slide_rows", 10000000, &changed, err) ||
        set_count(cli, rules, "min-rows", "min_rows", 10000000, &changed, err) ||
        set_count(cli, rules, "reference-rows", "reference_rows", 10000000, &changed, err) ||
        set_count(cli, rules, "min-columns", "min_columns", 8192, &changed, err) ||
        set_count(cli, rules, "raise-after", "raise_after", 1000, &changed, err) ||
        set_count(cli, rules, "clear-after", "clear_after", 1000, &changed, err) ||
        set_words(cli, rules, &changed, err) || set_columns(cli, rules, &changed, err))
        code = err->code;
    set_ignored(cli, rules, &changed);
    set_segments(cli, rules, &changed);
    if (!code && changed) {
        json_t *body = json_pack("{sO}", "rules", rules);
        json_decref(answer);
        answer = NULL;
        code = api_call(cli, "PUT", body, &answer, err, "monitors/%s", name);
        json_decref(body);
    }
    json_decref(rules);
    if (code) {
        json_decref(answer);
        return code;
    }
    print_monitor(cli, answer);
    return ERR_OK;
}

static const struct option_row report_options[] = {
    {"drifted", NULL, "only windows with drift", NULL, 0},
    {"limit", "N", "the newest N (20)", NULL, 'n'},
    {NULL, NULL, NULL, NULL, 0},
};
static const struct option_row rule_options[] = {
    {"window", "ROWS", "a window ends with so many rows (500)", NULL, 0},
    {"seconds", "S", "... or so long after its first row", NULL, 0},
    {"slide", "ROWS", "a new window begins every so many rows", NULL, 0},
    {"min-rows", "ROWS", "a window with fewer says nothing (100)", NULL, 0},
    {"reference-rows", "ROWS", "rows to learn from what no sample has (1000)", NULL, 0},
    {"profile", "NAME", "native, or as evidently or scipy decide", "native evidently scipy", 0},
    {"method", "NAME", "for all columns (by column)",
     "auto ks chi2 chi2_contingency chisquare z psi wasserstein jensenshannon hellinger", 'm'},
    {"threshold", "X", "of the p-value or the distance (by method)", NULL, 't'},
    {"correction", "NAME", "holm (default), bh, none", "holm bh none", 0},
    {"column", "NAME=X[,METHOD]", COLUMN_RULE_DOC, NULL, 'c'},
    {"ignore", "A,B", "do not judge these columns", NULL, 0},
    {"segment", "A,B", "judge the rows by the values of these columns, too", NULL, 0},
    {"min-columns", "N", "a window drifts with so many columns (1)", NULL, 0},
    {"raise-after", "N", "windows in a row that begin an episode (3)", NULL, 0},
    {"clear-after", "N", "windows in a row that end it (2)", NULL, 0},
    {"off", NULL, "judge nothing", NULL, 0},
    {"on", NULL, "judge again", NULL, 0},
    {"reset", NULL, "forget what was set before", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};

const struct command monitor_commands[] = {
    {.path = "drift status",
     .args = "[ENDPOINT]",
     .doc = "Show how endpoints are watched and what was found last",
     .run = run_status},
    {.path = "drift reports",
     .args = "ENDPOINT",
     .doc = "List the windows that were judged, newest first",
     .run = run_reports,
     .options = report_options},
    {.path = "drift show",
     .args = "REPORT",
     .doc = "Show the verdict on every column of a window",
     .run = run_show},
    {.path = "drift rules",
     .args = "ENDPOINT",
     .doc = "Show or change how an endpoint is watched",
     .run = run_rules,
     .options = rule_options,
     .examples = "  modelbus drift rules churn\n"
                 "  modelbus drift rules churn --window 2000 --method psi --threshold 0.25\n"
                 "  modelbus drift rules churn --ignore request_id,hour --column age=0.001\n"
                 "  modelbus drift rules churn --segment country\n"
                 "  modelbus drift rules churn --off\n"},
    {.path = NULL},
};
