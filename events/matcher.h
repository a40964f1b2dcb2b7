/* SPDX-License-Identifier: Apache-2.0 */
/*
 * matcher.h - one condition as one text, the same wherever users write conditions: routes, silences
 * and rules of alerts, triggers and tasks of pipelines.
 *
 *     endpoint = churn      equal             endpoint != churn     not equal
 *     endpoint ~ churn-*|x  pattern           endpoint !~ test-*    not that pattern
 *     drifted >= 3          numbers: < <= > >=
 *
 * A pattern is alternatives separated by | in which * stands for any text: matching takes time in
 * proportion to pattern times text, whatever a user writes, which regular expressions do not.
 * Blanks around the operator and at both ends do not count. What the name means is up to the user of
 * this header. Any thread.
 */
#pragma once

#include "err/err.h"

#define MATCHER_NAME_MAX 100
#define MATCHER_MAX 500 /* bytes of the text */

enum match_op {
    MATCH_EQ,
    MATCH_NE,
    MATCH_LIKE,
    MATCH_UNLIKE,
    MATCH_LT, /* from here on: numbers */
    MATCH_LE,
    MATCH_GT,
    MATCH_GE
};
struct matcher {
    char name[MATCHER_NAME_MAX + 1]; /* letters, digits, '_', '-' and '.': "target.version" */
    enum match_op op;
    const char *value; /* within the text, without blanks in front */
    size_t len;
};
/* Borrows text. ERR_INVALID. */
MUST_CHECK enum err_code matcher_parse(const char *text, struct matcher *matcher, struct err *err);
/* Compare with what the name stands for; numbers: value that is no number holds never. */
bool matcher_holds(const struct matcher *matcher, const char *value);
