/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column_rule.h - what `--column NAME=THRESHOLD[,METHOD]` says of single columns.
 *
 * Of `drift check` and `drift rules`; may be given many times. NAME=METHOD leaves the threshold to
 * the method. A name may hold = signs: the last one counts. One thread.
 */
#pragma once

#include "command.h"

#define COLUMN_RULE_DOC "for one column: threshold, method or both; repeat for others"

struct column_rule {
    char *name;
    double threshold;   /* above 0; NaN: none given */
    const char *method; /* a name that drift/ knows; NULL: none given */
};

struct column_rules {
    struct column_rule *items;
    size_t count;
};

/* Fills *rules, which the caller column_rules_done()s whatever is returned. ERR_INVALID says what is wrong. */
MUST_CHECK enum err_code column_rules_read(const struct cli *cli, struct column_rules *rules,
                                           struct err *err);
/* NULL: there is none for this column. */
const struct column_rule *column_rules_find(const struct column_rules *rules, const char *name);
void column_rules_done(struct column_rules *rules);
