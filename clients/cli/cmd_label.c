/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_label.c - `modelbus label push|status|reports|rules`: what turned out to be true of predictions. */
#include "api.h"
#include "label_file.h"
#include "output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of one request; well below what a message may hold. */
#define BATCH_LABELS 5000
#define BATCH_BYTES (400 * 1024)

/* ---- push ---- */

static enum err_code
send_batch(struct cli *cli, const char *endpoint, json_t *labels, int64_t *taken, struct err *err)
{
    json_t *body = json_pack("{sO}", "labels", labels), *answer = NULL;
    enum err_code code = api_call(cli, "POST", body, &answer, err, "endpoints/%s/labels", endpoint);

    if (!code)
        *taken += json_int_at(answer, "taken");
    json_decref(body);
    json_decref(answer);
    json_array_clear(labels);
    return code;
}

static void
show_progress(const struct cli *cli, int64_t taken)
{
    if (!cli->json && isatty(STDERR_FILENO))
        fprintf(stderr, "\r%lld labels", (long long)taken);
}

static enum err_code
push_file(struct cli *cli, struct label_file *file, const char *endpoint, json_t *labels,
          int64_t *taken, struct err *err)
{
    size_t bytes = 0;
    json_t *label;

    do {
        if (label_file_next(file, &label, err))
            return err->code;
        if (label) {
            bytes += strlen(json_text_at(label, "prediction_id")) +
                     strlen(json_text_at(label, "value")) + 16;
            json_array_append_new(labels, label);
        }
        size_t count = json_array_size(labels);
        if (count && (!label || count == BATCH_LABELS || bytes >= BATCH_BYTES)) {
            bytes = 0;
            if (send_batch(cli, endpoint, labels, taken, err))
                return err->code;
            show_progress(cli, *taken);
        }
    } while (label);
    return ERR_OK;
}

static enum err_code
run_push(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    CLEANUP(label_file_free) struct label_file *file = NULL;
    const char *id = cli_option(cli, "id"), *value = cli_option(cli, "label");
    int64_t taken = 0;

    if (label_file_open(cli_word(cli, 1) ? cli_word(cli, 1) : "-", id ? id : "prediction_id",
                        value ? value : "label", &file, err))
        return err->code;
    json_t *labels = json_array();
    enum err_code code = push_file(cli, file, name, labels, &taken, err);
    json_decref(labels);
    if (taken && !cli->json && isatty(STDERR_FILENO))
        fputc('\n', stderr);
    if (code)
        return taken ? err_wrap(err, "after %lld labels (pushing them again is harmless)",
                                (long long)taken)
                     : code;
    json_t *answer = json_pack("{sI}", "taken", (json_int_t)taken);
    if (!output_json(cli, answer))
        printf("%lld labels pushed; `modelbus label status %s` says what became of them\n",
               (long long)taken, cli_word(cli, 0));
    json_decref(answer);
    return ERR_OK;
}

/* ---- status ---- */

static const struct column fields[] = {
    {"endpoint", "endpoint", NULL},      {"state", "state", NULL},
    {"since", "since_ms", format_time},  {"episode", "episode", NULL},
    {"model", "model_name", NULL},       {"version", "version", NULL},
    {"problem", "problem", NULL},        {"predictions", "predictions", NULL},
    {"labels waiting", "waiting", NULL}, {NULL, NULL, NULL},
};

/* "auc 0.94, f1 0.9". */
static char *
format_measures(const json_t *metrics)
{
    char *text = mem_strdup("");
    const json_t *metric;
    size_t i;

    json_array_foreach(metrics, i, metric)
    {
        const json_t *value = json_object_get(metric, "value");
        if (!json_is_number(value))
            continue; /* NaN comes as a word */
        char *longer = mem_printf("%s%s%s %.4g", text, *text ? ", " : "",
                                  json_text_at(metric, "name"), json_number_value(value));
        free(text);
        text = longer;
    }
    return text;
}

/* Of a number; a word is NaN. */
static char *
format_measure(const json_t *value)
{
    return json_is_number(value) ? mem_printf("%.4g", json_number_value(value)) : mem_strdup("");
}

static const struct column rule_fields[] = {
    {"task", "task", NULL},
    {"output", "output", NULL},
    {"positive class", "positive", NULL},
    {"positive from", "decision_threshold", NULL},
    {"metric", "metric", NULL},
    {"limit", "limit", NULL},
    {"max drop", "max_drop", NULL},
    {"window rows", "window_rows", NULL},
    {"horizon s", "horizon_s", NULL},
    {"sample", "sample", NULL},
    {"raise after", "raise_after", NULL},
    {"clear after", "clear_after", NULL},
    {NULL, NULL, NULL},
};
static const struct column version_columns[] = {
    {"VERSION", "version", NULL},
    {"WINDOWS", "windows", NULL},
    {"ROWS SO FAR", "rows", NULL},
    {"LAST WINDOW", "last", format_measures},
    {NULL, NULL, NULL},
};
static const struct column count_columns[] = {
    {"REASON", "reason", NULL},
    {"COUNT", "count", NULL},
    {"MEANING", "meaning", NULL},
    {NULL, NULL, NULL},
};
static const struct column report_columns[] = {
    {"WINDOW", "window.number", NULL},
    {"VERSION", "version", NULL},
    {"ROWS", "window.rows", NULL},
    {"OUTCOME", "outcome", NULL},
    {"METRIC", "metric", NULL},
    {"VALUE", "value", format_measure},
    {"BOUND", "bound", format_measure},
    {"METRICS", "metrics", format_measures},
    {"WHY", "reason", NULL},
    {"UNTIL", "window.end_ms", format_time},
    {"REPORT", "id", NULL},
    {NULL, NULL, NULL},
};

/* What happened at least once. */
static json_t *
met_counts(const json_t *counts)
{
    json_t *met = json_array();
    const json_t *count;
    size_t i;

    json_array_foreach(counts, i, count)
    {
        const json_t *n = json_object_get(count, "count");
        if (json_is_string(n) ? strcmp(json_string_value(n), "0") != 0 : json_number_value(n) != 0)
            json_array_append(met, (json_t *)(uintptr_t)count);
    }
    return met;
}

static enum err_code
run_status(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    json_t *answer = NULL;

    if (api_call(cli, "GET", NULL, &answer, err, "endpoints/%s/performance", name))
        return err->code;
    const json_t *performance = json_object_get(answer, "performance");
    if (!output_json(cli, performance)) {
        json_t *met = met_counts(json_object_get(performance, "counts"));
        output_fields(cli, performance, fields);
        if (strcmp(json_text_at(performance, "state"), "off") != 0) {
            puts("\nrules");
            output_set_fields(cli, json_object_get(performance, "rules"), rule_fields);
        }
        putchar('\n');
        output_table(cli, json_object_get(performance, "versions"), version_columns,
                     "no window yet");
        putchar('\n');
        output_table(cli, met, count_columns, "no labels came yet");
        json_decref(met);
    }
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
        api_list(cli, "reports", (size_t)limit, &reports, err, "endpoints/%s/performance/reports%s",
                 name, cli_option(cli, "degraded") ? "?degraded=true" : ""))
        return err->code;
    if (!output_json(cli, reports))
        output_table(cli, reports, report_columns,
                     "no window is full yet; `modelbus label status` shows its rows");
    json_decref(reports);
    return ERR_OK;
}

/* ---- rules ---- */

/* An option, the field that it sets, and as what. */
static const struct setting {
    const char *option, *field;
    enum { WORD, COUNT, NUMBER } kind;
} settings[] = {
    {"clear-after", "clear_after", COUNT},
    {"horizon", "horizon_s", COUNT},
    {"limit", "limit", NUMBER},
    {"max-drop", "max_drop", NUMBER},
    {"metric", "metric", WORD},
    {"output", "output", WORD},
    {"positive", "positive", WORD},
    {"raise-after", "raise_after", COUNT},
    {"sample", "sample", NUMBER},
    {"task", "task", WORD},
    {"threshold", "decision_threshold", NUMBER},
    {"window", "window_rows", COUNT},
};

static enum err_code
set_rule(const struct cli *cli, const struct setting *setting, json_t *rules, struct err *err)
{
    const char *text = cli_option(cli, setting->option);
    int64_t count;
    char *end;

    if (setting->kind == WORD) {
        json_object_set_new(rules, setting->field, json_string(text));
    } else if (setting->kind == COUNT) {
        enum err_code code = strcmp(setting->option, "horizon") == 0
                                 ? cli_duration(cli, setting->option, 0, &count, err)
                                 : cli_number(cli, setting->option, 0, 100000, 0, &count, err);
        if (code)
            return code;
        json_object_set_new(rules, setting->field, json_integer(count));
    } else {
        double number = strtod(text, &end);
        if (!*text || *end || !isfinite(number))
            return err_set(err, ERR_INVALID, "--%s: '%s' is not a number", setting->option, text);
        json_object_set_new(rules, setting->field, json_real(number));
    }
    return ERR_OK;
}

static enum err_code
change_rules(struct cli *cli, json_t *rules, bool *changed, struct err *err)
{
    if (cli_option(cli, "off")) {
        json_object_clear(rules);
        *changed = true;
    }
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (!cli_option(cli, settings[i].option))
            continue;
        *changed = true;
        if (set_rule(cli, &settings[i], rules, err))
            return err->code;
    }
    return ERR_OK;
}

static enum err_code
run_rules(struct cli *cli, struct err *err)
{
    CLEANUP(mem_free) char *name = api_encode(cli_word(cli, 0));
    json_t *answer = NULL;
    bool changed = false;

    if (api_call(cli, "GET", NULL, &answer, err, "monitors/%s", name))
        return err->code;
    json_t *all = json_deep_copy(json_at(answer, "monitor.rules"));
    json_decref(answer);
    answer = NULL;
    if (!json_is_object(json_object_get(all, "performance")))
        json_object_set_new(all, "performance", json_object());
    enum err_code code = change_rules(cli, json_object_get(all, "performance"), &changed, err);
    if (!code && changed) {
        json_t *body = json_pack("{sO}", "rules", all);
        code = api_call(cli, "PUT", body, &answer, err, "monitors/%s", name);
        json_decref(body);
    }
    json_decref(all);
    json_decref(answer);
    return code ? code : run_status(cli, err);
}

static const struct option_row push_labels_options[] = {
    {"id", "COLUMN", "that has the prediction's id (prediction_id)", NULL, 0},
    {"label", "COLUMN", "that has the label (label)", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};
static const struct option_row report_options[] = {
    {"degraded", NULL, "only degraded windows", NULL, 0},
    {"limit", "N", "the newest N (20)", NULL, 'n'},
    {NULL, NULL, NULL, NULL, 0},
};
static const struct option_row rule_options[] = {
    {"task", "TASK", "classification or regression", "classification regression", 0},
    {"output", "COLUMN", "output that is compared (the first one)", NULL, 0},
    {"positive", "LABEL", "the positive class (1, true)", NULL, 0},
    {"threshold", "X", "a row is positive when its output is greater (0.5)", NULL, 0},
    {"horizon", "TIME", "a label counts for predictions of so long ago (7d)", NULL, 0},
    {"window", "ROWS", "labelled rows of a window (500)", NULL, 0},
    {"sample", "SHARE", "share of predictions that wait for labels (1)", NULL, 0},
    {"metric", "NAME", "that is judged (auc, rmse)",
     "accuracy precision recall f1 auc log_loss rmse mae", 0},
    {"limit", "X", "a window that is worse is degraded", NULL, 0},
    {"max-drop", "X", "... or worse by more than in the first window of the version", NULL, 0},
    {"raise-after", "N", "windows in a row that begin an episode (3)", NULL, 0},
    {"clear-after", "N", "windows in a row that end it (2)", NULL, 0},
    {"off", NULL, "compare nothing; stored predictions go", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};

const struct command label_commands[] = {
    {.path = "label push",
     .args = "ENDPOINT [FILE]",
     .doc =
         "Say what turned out to be true of predictions: CSV or NDJSON, - or nothing is standard "
         "input",
     .run = run_push,
     .options = push_labels_options,
     .complete = COMPLETE_FILE,
     .examples = "  modelbus label push churn labels.csv       # prediction_id,label\n"
                 "  psql -c \"COPY (...) TO STDOUT CSV HEADER\" | modelbus label push churn "
                 "--id request_id --label churned\n"},
    {.path = "label status",
     .args = "ENDPOINT",
     .doc = "Show how well an endpoint predicts, and what became of its labels",
     .run = run_status},
    {.path = "label reports",
     .args = "ENDPOINT",
     .doc = "List windows of labelled rows that were judged, newest first",
     .run = run_reports,
     .options = report_options},
    {.path = "label rules",
     .args = "ENDPOINT",
     .doc = "Show or change how predictions are compared with labels",
     .run = run_rules,
     .options = rule_options,
     .examples = "  modelbus label rules churn --task classification --max-drop 0.05\n"
                 "  modelbus label rules price --task regression --metric mae --limit 12.5\n"},
    {.path = NULL},
};
