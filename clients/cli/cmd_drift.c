/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_drift.c - `modelbus drift check`: two files, column by column. Asks no service. */
#include "drift_check.h"
#include "output.h"

#include "buf/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void
names_free(char **names)
{
    for (char **name = names; name && *name; name++)
        free(*name);
    free(names);
}

/* "a,b": NULL-ended; NULL when the option was not given. */
static char **
names_of(const struct cli *cli, const char *option)
{
    const char *p = cli_option(cli, option);
    size_t count = 0;
    char **names;

    if (!p)
        return NULL;
    names = mem_calloc(strlen(p) + 2, sizeof(*names));
    for (; *p; p += strcspn(p, ","), p += *p == ',') {
        size_t len = strcspn(p, ",");
        if (len)
            names[count++] = mem_strndup(p, len);
    }
    return names;
}

static enum err_code
read_plan(const struct cli *cli, struct check *check, struct err *err)
{
    const char *profile = cli_option(cli, "profile"), *method = cli_option(cli, "method");
    const char *correction = cli_option(cli, "correction"),
               *threshold = cli_option(cli, "threshold");
    struct drift_plan *plan = &check->plan;

    plan->threshold = NAN;
    if (profile && !drift_profile_from_name(profile, &plan->profile))
        return err_set(err, ERR_INVALID, "--profile: native, evidently or scipy, not '%s'",
                       profile);
    if (method && !drift_method_from_name(method, plan->profile, &plan->method))
        return err_set(
            err, ERR_INVALID,
            "--method: auto, ks, chi2, chi2_contingency, chisquare, z, psi, wasserstein, "
            "jensenshannon or hellinger, not '%s'",
            method);
    if (!drift_offers(plan->profile, plan->method))
        return err_set(err, ERR_INVALID, "the profile %s has no %s",
                       drift_profile_name(plan->profile), drift_method_name(plan->method));
    check->correction = plan->profile == DRIFT_NATIVE ? DRIFT_HOLM : DRIFT_CORRECT_NONE;
    if (correction && !drift_correction_from_name(correction, &check->correction))
        return err_set(err, ERR_INVALID, "--correction: holm, bh or none, not '%s'", correction);
    if (threshold) {
        char *end;
        plan->threshold = strtod(threshold, &end);
        if (!*threshold || *end || !(plan->threshold >= 0) || isinf(plan->threshold))
            return err_set(err, ERR_INVALID, "--threshold: '%s' is not a number from 0 on",
                           threshold);
    }
    return ERR_OK;
}

static enum err_code
read_rules(const struct cli *cli, struct check *check, struct err *err)
{
    enum drift_profile profile = check->plan.profile;

    if (column_rules_read(cli, &check->rules, err))
        return err->code;
    for (size_t i = 0; i < check->rules.count; i++) {
        const struct column_rule *rule = &check->rules.items[i];
        enum drift_method method;
        if (rule->method && drift_method_from_name(rule->method, profile, &method) &&
            !drift_offers(profile, method))
            return err_set(err, ERR_INVALID, "--column: '%s': the profile %s has no %s", rule->name,
                           drift_profile_name(profile), rule->method);
    }
    return ERR_OK;
}

/* A name that neither file has is a mistake, not a column without drift. */
static enum err_code
check_name(const struct check *check, const char *name, const char *option, struct err *err)
{
    const char *near = NULL;

    for (size_t i = 0; i < table_columns(check->table); i++) {
        const char *column = table_column_name(check->table, i);
        if (strcmp(column, name) == 0)
            return ERR_OK;
        near = text_nearer(name, near, column);
    }
    return err_set(err, ERR_INVALID, "--%s: neither file has a column '%s'%s%s%s", option, name,
                   near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static enum err_code
check_names(const struct check *check, struct err *err)
{
    const struct {
        const char *option;
        char *const *names;
    } lists[] = {{"columns", check->columns},
                 {"ignore", check->ignored},
                 {"categorical", check->categorical},
                 {"numeric", check->numeric}};

    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        for (char *const *name = lists[i].names; name && *name; name++)
            if (check_name(check, *name, lists[i].option, err))
                return err->code;
    for (size_t i = 0; i < check->rules.count; i++)
        if (check_name(check, check->rules.items[i].name, "column", err))
            return err->code;
    return ERR_OK;
}

static enum err_code
read_files(const struct cli *cli, struct check *check, struct err *err)
{
    struct table_options options = {.columns = (const char *const *)check->columns};

    for (char **name = check->columns; name && *name; name++)
        options.column_count++;
    if (check->columns && !options.column_count)
        return err_set(err, ERR_INVALID, "--columns names no column");
    check->paths[TABLE_REF] = cli_word(cli, 0);
    check->paths[TABLE_CUR] = cli_word(cli, 1);
    if (strcmp(check->paths[0], "-") == 0 && strcmp(check->paths[1], "-") == 0)
        return err_set(err, ERR_INVALID, "only one of the two can be standard input");
    table_open(&check->table, &options);
    for (size_t s = 0; s < TABLE_SIDES; s++)
        if (table_read(check->table, (enum table_side)s, check->paths[s], err))
            return err->code;
    for (size_t s = 0; s < TABLE_SIDES; s++)
        if (!table_rows(check->table, (enum table_side)s))
            return err_set(err, ERR_INVALID, "%s: there are no rows", check->paths[s]);
    return check_names(check, err);
}

static enum err_code
compare(struct check *check, struct err *err)
{
    size_t words = table_words(check->table), tests = 0;

    check->checked = mem_calloc(table_columns(check->table) + 1, sizeof(*check->checked));
    check->codes = mem_alloc((words + 1) * sizeof(*check->codes));
    memset(check->codes, 0xFF, words * sizeof(*check->codes)); /* DRIFT_MISSING */
    for (size_t i = 0; i < table_columns(check->table); i++) {
        if (drift_named(check->ignored, table_column_name(check->table, i)))
            continue;
        if (drift_check_column(check, i, &check->checked[check->count++], err))
            return err->code;
    }
    if (check->ignored && !check->count)
        return err_set(err, ERR_INVALID, "--ignore leaves no column");
    struct drift_verdict **verdicts =
        mem_calloc(2 * check->count + 1, sizeof(struct drift_verdict *));
    for (size_t i = 0; i < check->count; i++) {
        struct checked *c = &check->checked[i];
        if (c->compared)
            verdicts[tests++] = &c->verdict;
        if (c->missing)
            verdicts[tests++] = c->missing;
    }
    drift_correct(verdicts, tests, check->correction);
    free(verdicts);
    for (size_t i = 0; i < check->count; i++) {
        drift_settle(&check->checked[i]);
        check->found += check->checked[i].outcome == DRIFT_FOUND;
        check->undecided += check->checked[i].outcome == DRIFT_UNDECIDED;
    }
    return ERR_OK;
}

static void
check_done(struct check *check)
{
    for (size_t i = 0; i < check->count; i++) {
        struct checked *c = &check->checked[i];
        free(c->text);
        free(c->missing);
        for (size_t bar = 0; bar < DRIFT_BARS; bar++)
            free(c->labels[bar]);
    }
    free(check->checked);
    free(check->codes);
    column_rules_done(&check->rules);
    names_free(check->columns);
    names_free(check->ignored);
    names_free(check->categorical);
    names_free(check->numeric);
    table_free(check->table);
}

static enum err_code
run_check(struct cli *cli, struct err *err)
{
    struct check check = {.columns = names_of(cli, "columns"),
                          .ignored = names_of(cli, "ignore"),
                          .categorical = names_of(cli, "categorical"),
                          .numeric = names_of(cli, "numeric")};
    enum err_code code = read_plan(cli, &check, err);

    drift_keep_memory();
    if (!code)
        code = read_rules(cli, &check, err);
    if (!code)
        code = read_files(cli, &check, err);
    if (!code)
        code = compare(&check, err);
    if (!code) {
        if (cli->json)
            drift_print_json(&check);
        else
            drift_print_table(cli, &check);
        cli->exit_code = check.found ? EXIT_DRIFT : check.undecided ? EXIT_UNDECIDED : 0;
    }
    check_done(&check);
    return code;
}

static const struct option_row check_options[] = {
    {"profile", "NAME", "native, or as evidently or scipy decide", "native evidently scipy", 0},
    {"method", "NAME", "for all columns (default: by column)",
     "auto ks chi2 chi2_contingency chisquare z psi wasserstein jensenshannon hellinger", 'm'},
    {"threshold", "X", "of the p-value or the distance (default: by method)", NULL, 't'},
    {"correction", "NAME", "holm, bh, none (default: holm in the profile native)", "holm bh none",
     0},
    {"column", "NAME=X[,METHOD]", COLUMN_RULE_DOC, NULL, 0},
    {"columns", "A,B", "only these", NULL, 'c'},
    {"ignore", "A,B", "not these", NULL, 0},
    {"categorical", "A,B", "take these for categories", NULL, 0},
    {"numeric", "A,B", "take these for numbers", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};

const struct command drift_commands[] = {
    {.path = "drift check",
     .args = "REFERENCE CURRENT",
     .doc = "Compare two CSV or NDJSON files column by column",
     .run = run_check,
     .options = check_options,
     .complete = COMPLETE_FILE,
     .examples =
         "  modelbus drift check train.csv today.csv\n"
         "  modelbus drift check train.csv today.ndjson --method psi --threshold 0.25\n"
         "  modelbus drift check train.csv today.csv --column age=0.001 --column income=0.25,psi\n"
         "  modelbus drift check train.csv today.csv --profile evidently --json | jq .drifted\n"
         "  zcat today.csv.gz | modelbus drift check train.csv - --columns age,income\n"
         "\nExit codes: 0 no drift, 7 drift found, 8 no drift found but a column could not be "
         "decided;\n2 a file that cannot be read as a table, or wrong usage; others as in modelbus "
         "--help.\n"},
    {.path = NULL},
};
