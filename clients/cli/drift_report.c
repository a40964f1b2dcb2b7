/* SPDX-License-Identifier: Apache-2.0 */
/* drift_report.c - the verdicts as a table with bars, and as the JSON that can be recomputed. */
#include "drift_check.h"
#include "output.h"

#include "buf/buf.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* JSON has no NaN and no infinities. */
static json_t *
number(double value)
{
    if (isnan(value))
        return json_null();
    if (isinf(value))
        return json_string(value < 0 ? "-Infinity" : "Infinity");
    return json_real(value);
}

static json_t *
size(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *
hex(uint64_t n)
{
    return json_sprintf("%016" PRIx64, n);
}

static json_t *
text(const char *s)
{
    return s && *s ? json_string(s) : json_null();
}

static json_t *
bins_json(const struct drift_verdict *v)
{
    json_t *edges = json_array();

    if (!v->bin_rule) {
        json_decref(edges);
        return json_null();
    }
    for (size_t i = 0; i < v->edge_count; i++)
        json_array_append_new(edges, number(v->edges[i]));
    return json_pack("{ss so so so}", "rule", v->bin_rule, "count", size(v->bins), "edges", edges,
                     "digest", hex(v->digest));
}

static json_t *
verdict_json(const struct drift_verdict *v)
{
    json_t *j = json_object();

    json_object_set_new(j, "outcome", json_string(drift_outcome_name(v->outcome)));
    json_object_set_new(j, "reason", text(v->reason));
    json_object_set_new(j, "profile", json_string(drift_profile_name(v->profile)));
    json_object_set_new(j, "method", json_string(drift_method_name(v->method)));
    json_object_set_new(j, "variant", text(v->variant));
    json_object_set_new(j, "statistic", number(v->statistic));
    json_object_set_new(j, "degrees_of_freedom", v->degrees > 0 ? number(v->degrees) : json_null());
    json_object_set_new(j, "p", number(v->p));
    json_object_set_new(j, "p_adjusted", number(v->p_adjusted));
    json_object_set_new(j, "score", number(v->score));
    json_object_set_new(j, "comparator", json_string(v->comparator));
    json_object_set_new(j, "threshold", number(v->threshold));
    json_object_set_new(j, "correction", json_string(drift_correction_name(v->correction)));
    json_object_set_new(j, "family", size(v->family));
    json_object_set_new(j, "n_ref", size(v->n_ref));
    json_object_set_new(j, "n_cur", size(v->n_cur));
    json_object_set_new(j, "missing_ref", size(v->missing_ref));
    json_object_set_new(j, "missing_cur", size(v->missing_cur));
    json_object_set_new(j, "infinite_ref", size(v->infinite_ref));
    json_object_set_new(j, "infinite_cur", size(v->infinite_cur));
    json_object_set_new(j, "nan_policy", json_string(v->nan_policy));
    json_object_set_new(j, "infinite_policy", json_string(v->infinite_policy));
    json_object_set_new(j, "bins", bins_json(v));
    json_object_set_new(j, "zero_rule", text(v->zero_rule));
    json_object_set_new(j, "log_base", v->log_base > 0 ? number(v->log_base) : json_null());
    json_object_set_new(j, "scale", v->scale > 0 ? number(v->scale) : json_null());
    return j;
}

static json_t *
histogram_json(const struct checked *c)
{
    json_t *ref = json_array(), *cur = json_array(), *labels = json_array(), *h = json_object();

    for (size_t i = 0; i < c->bars; i++) {
        json_array_append_new(ref, size(c->ref_bars[i]));
        json_array_append_new(cur, size(c->cur_bars[i]));
        if (c->labels[i])
            json_array_append_new(labels, json_string(c->labels[i]));
    }
    if (c->labels[0]) {
        json_object_set_new(h, "labels", labels);
    } else {
        json_decref(labels);
        json_object_set_new(h, "low", number(c->low));
        json_object_set_new(h, "high", number(c->high));
    }
    json_object_set_new(h, "reference", ref);
    json_object_set_new(h, "current", cur);
    return h;
}

static json_t *
column_json(const struct checked *c)
{
    json_t *j =
        json_pack("{ss ss so so}", "column", c->name, "outcome", drift_outcome_name(c->outcome),
                  "finding", text(c->finding), "text", text(c->text));

    if (!c->compared)
        return j;
    json_object_set_new(j, "kind",
                        json_string(c->kind == DRIFT_NUMERIC ? "numeric" : "categorical"));
    json_object_set_new(j, "reference_digest", hex(c->digest));
    json_object_set_new(j, "verdict", verdict_json(&c->verdict));
    json_object_set_new(j, "missing", c->missing ? verdict_json(c->missing) : json_null());
    json_object_set_new(j, "histogram", histogram_json(c));
    return j;
}

static json_t *
side_json(const struct check *check, enum table_side side)
{
    return json_pack("{ss so}", "path", check->paths[side], "rows",
                     size(table_rows(check->table, side)));
}

/* A column at a time: the document of 100,000 columns is not held. */
void
drift_print_json(const struct check *check)
{
    json_t *head = json_pack(
        "{so so ss ss ss so so so ss}", "reference", side_json(check, TABLE_REF), "current",
        side_json(check, TABLE_CUR), "profile", drift_profile_name(check->plan.profile), "method",
        drift_method_name(check->plan.method), "correction",
        drift_correction_name(check->correction), "drifted", size(check->found), "undecided",
        size(check->undecided), "drift", json_boolean(check->found > 0), "outcome",
        drift_outcome_name(check->found       ? DRIFT_FOUND
                           : check->undecided ? DRIFT_UNDECIDED
                                              : DRIFT_ABSENT));
    char *open = json_dumps(head, JSON_COMPACT);

    open[strlen(open) - 1] = 0; /* without its brace */
    printf("%s,\n\"columns\":[", open);
    free(open);
    json_decref(head);
    for (size_t i = 0; i < check->count; i++) {
        json_t *column = column_json(&check->checked[i]);
        fputs(i ? ",\n" : "\n", stdout);
        json_dumpf(column, stdout, JSON_COMPACT);
        json_decref(column);
    }
    puts("\n]}");
}

static void
set_number(json_t *row, const char *key, double value)
{
    if (!isnan(value))
        json_object_set_new(row, key, json_sprintf("%.4g", value));
}

static json_t *
table_row(const struct checked *c, bool drawn)
{
    const struct drift_verdict *v = &c->verdict;
    json_t *row = json_pack("{ss ss so}", "column", c->name, "verdict",
                            drift_outcome_name(c->outcome), "text", text(c->text));

    if (!c->compared)
        return row;
    if (v->method != DRIFT_AUTO)
        json_object_set_new(row, "method", json_string(drift_method_name(v->method)));
    set_number(row, "statistic", v->statistic);
    set_number(row, "p", v->p_adjusted);
    json_object_set_new(row, "threshold", json_sprintf("%s %.4g", v->comparator, v->threshold));
    if (drawn && c->bars) {
        CLEANUP(mem_free) char *ref = format_bars(c->ref_bars, c->bars);
        CLEANUP(mem_free) char *cur = format_bars(c->cur_bars, c->bars);
        json_object_set_new(row, "ref", json_string(ref));
        json_object_set_new(row, "cur", json_string(cur));
    }
    return row;
}

static const struct column plain_columns[] = {
    {"COLUMN", "column", NULL},        {"METHOD", "method", NULL},
    {"STATISTIC", "statistic", NULL},  {"P", "p", NULL},
    {"DRIFT WHEN", "threshold", NULL}, {"VERDICT", "verdict", NULL},
    {"FINDING", "text", NULL},         {NULL, NULL, NULL},
};

static const struct column drawn_columns[] = {
    {"COLUMN", "column", NULL}, {"METHOD", "method", NULL},        {"STATISTIC", "statistic", NULL},
    {"P", "p", NULL},           {"DRIFT WHEN", "threshold", NULL}, {"REFERENCE", "ref", NULL},
    {"CURRENT", "cur", NULL},   {"VERDICT", "verdict", NULL},      {"FINDING", "text", NULL},
    {NULL, NULL, NULL},
};

void
drift_print_table(const struct cli *cli, const struct check *check)
{
    static const enum drift_outcome order[] = {DRIFT_FOUND, DRIFT_UNDECIDED, DRIFT_ABSENT};
    bool drawn = isatty(STDOUT_FILENO) != 0;
    json_t *rows = json_array();

    for (size_t o = 0; o < ARRAY_LEN(order); o++)
        for (size_t i = 0; i < check->count; i++)
            if (check->checked[i].outcome == order[o])
                json_array_append_new(rows, table_row(&check->checked[i], drawn));
    output_table(cli, rows, drawn ? drawn_columns : plain_columns, "no columns");
    json_decref(rows);
    printf("\n%zu of %zu columns drifted", check->found, check->count);
    if (check->undecided)
        printf(", %zu undecided", check->undecided);
    printf("; %zu rows against %zu; profile %s, correction %s\n",
           table_rows(check->table, TABLE_REF), table_rows(check->table, TABLE_CUR),
           drift_profile_name(check->plan.profile), drift_correction_name(check->correction));
}
