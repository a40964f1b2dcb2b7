/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drift_check.h - `modelbus drift check`: what is known of a column once both files are read.
 *
 * cmd_drift.c takes the words of the command and goes over the columns, drift_columns.c turns cells
 * into columns that drift/ compares (drift_codes.c those of categories), drift_report.c prints.
 */
#pragma once

#include "column_rule.h"
#include "command.h"

#include "drift/drift.h"
#include "table/table.h"

#define DRIFT_BARS 12

/* Exit codes of the command beside those of every command. */
enum { EXIT_DRIFT = 7, EXIT_UNDECIDED = 8 };

struct checked {
    const char *name; /* the table's */
    enum drift_kind kind;
    enum drift_outcome outcome;
    const char *finding; /* static, for programs: "type_changed"; NULL: nothing but the verdict */
    char *text;          /* the same for people; owned */
    bool compared;       /* verdict is filled */
    struct drift_verdict verdict;
    struct drift_verdict *missing; /* native, where a value is missing; owned */
    uint64_t digest;               /* of the reference's values */
    uint64_t ref_bars[DRIFT_BARS], cur_bars[DRIFT_BARS];
    size_t bars;              /* 0: nothing to draw */
    double low, high;         /* of the bars of numbers */
    char *labels[DRIFT_BARS]; /* of the bars of categories; owned; NULL: numbers */
};

struct check {
    const char *paths[TABLE_SIDES];
    struct table *table;
    struct drift_plan plan;
    enum drift_correction correction;
    struct column_rules rules;
    char **columns, **ignored, **categorical, **numeric; /* names given; NULL-ended, or NULL */
    struct checked *checked;                             /* but the ignored */
    size_t count;
    size_t found, undecided;
    uint32_t *codes; /* drift_columns.c: of each word in the column at hand */
};

/* A side of the column at hand. */
struct drift_side {
    struct table_info info;
    struct table_cells cells;
    struct drift_column column;
    uint32_t *codes; /* owned; NULL: numbers */
};

/* Numbers first, by value; then words, by their bytes. Fills codes, column and the labels of checked.
 * False: too many categories. */
MUST_CHECK bool drift_to_codes(struct check *check, struct checked *checked,
                               struct drift_side *sides);

bool drift_named(char *const *names, const char *name);
/* Compare a column. ERR_INTERNAL: the disk. */
MUST_CHECK enum err_code drift_check_column(struct check *check, size_t column,
                                            struct checked *checked, struct err *err);
/* The column's outcome from its verdicts and findings, after correction. */
void drift_settle(struct checked *checked);

void drift_print_json(const struct check *check);
void drift_print_table(const struct cli *cli, const struct check *check);
