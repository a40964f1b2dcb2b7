/* SPDX-License-Identifier: Apache-2.0 */
/* matcher.c - conditions: parsed and held against a value. */
#include "matcher.h"

#include "values.h"

#include <stdlib.h>
#include <string.h>

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

static const struct {
    const char *text;
    enum match_op op;
} operators[] = {
    /* longer ones first */
    {"!=", MATCH_NE}, {"!~", MATCH_UNLIKE}, {"<=", MATCH_LE}, {">=", MATCH_GE},
    {"=", MATCH_EQ},  {"~", MATCH_LIKE},    {"<", MATCH_LT},  {">", MATCH_GT},
};

static const char *
skip_blanks(const char *p)
{
    return p + strspn(p, " ");
}

static const char *
read_operator(const char *p, enum match_op *op)
{
    for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
        size_t len = strlen(operators[i].text);
        if (strncmp(p, operators[i].text, len) == 0) {
            *op = operators[i].op;
            return p + len;
        }
    }
    return NULL;
}

enum err_code
matcher_parse(const char *text, struct matcher *matcher, struct err *err)
{
    const char *name = skip_blanks(text), *rest;
    size_t len = strspn(name, NAME_CHARS);
    char *end;

    if (value_check_text("matcher", text, MATCHER_MAX, err))
        return err->code;
    if (len == 0 || len > MATCHER_NAME_MAX || strchr("0123456789.-", name[0]) ||
        name[len - 1] == '.')
        return err_set(err, ERR_INVALID, "'%.100s' does not begin with a name", text);
    rest = read_operator(skip_blanks(name + len), &matcher->op);
    if (!rest)
        return err_set(err, ERR_INVALID, "'%.100s': after the name = != ~ !~ < <= > >= is expected",
                       text);
    if (matcher->op == MATCH_EQ && *rest == '~')
        return err_set(err, ERR_INVALID,
                       "'%.100s': =~ takes regular expressions elsewhere; here ~ takes "
                       "alternatives separated by | in which * stands for any text",
                       text);
    memcpy(matcher->name, name, len);
    matcher->name[len] = '\0';
    matcher->value = skip_blanks(rest);
    matcher->len = strlen(matcher->value);
    while (matcher->len && matcher->value[matcher->len - 1] == ' ')
        matcher->len--;
    if (matcher->op >= MATCH_LT) {
        (void)strtod(matcher->value, &end);
        if (matcher->len == 0 || end != matcher->value + matcher->len)
            return err_set(err, ERR_INVALID, "'%.100s': a number is expected", text);
    }
    return ERR_OK;
}

/* One alternative, in which * stands for any text. Going back to the last * only is enough. */
static bool
fits(const char *pattern, size_t len, const char *text)
{
    const char *end = pattern + len, *star = NULL, *again = NULL;

    while (*text) {
        if (pattern < end && *pattern == '*') {
            star = pattern++;
            again = text;
        } else if (pattern < end && *pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++again;
        } else {
            return false;
        }
    }
    while (pattern < end && *pattern == '*')
        pattern++;
    return pattern == end;
}

static bool
fits_any(const struct matcher *m, const char *text)
{
    const char *p = m->value, *end = m->value + m->len;

    for (;;) {
        const char *bar = memchr(p, '|', (size_t)(end - p));
        if (fits(p, (size_t)((bar ? bar : end) - p), text))
            return true;
        if (!bar)
            return false;
        p = bar + 1;
    }
}

static bool
number_holds(const struct matcher *m, const char *value)
{
    char *end;
    double a = strtod(value, &end), b = strtod(m->value, NULL);

    if (end == value || *end)
        return false;
    switch (m->op) {
    case MATCH_LT:
        return a < b;
    case MATCH_LE:
        return a <= b;
    case MATCH_GT:
        return a > b;
    case MATCH_GE:
        return a >= b;
    default:
        return false;
    }
}

bool
matcher_holds(const struct matcher *m, const char *value)
{
    bool equal = strlen(value) == m->len && memcmp(value, m->value, m->len) == 0;

    switch (m->op) {
    case MATCH_EQ:
        return equal;
    case MATCH_NE:
        return !equal;
    case MATCH_LIKE:
        return fits_any(m, value);
    case MATCH_UNLIKE:
        return !fits_any(m, value);
    case MATCH_LT:
    case MATCH_LE:
    case MATCH_GT:
    case MATCH_GE:
        break;
    }
    return number_holds(m, value);
}
