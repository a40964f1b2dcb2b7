/* SPDX-License-Identifier: Apache-2.0 */
/* cron.c - cron expressions read. */
#include "cron.h"

#include <string.h>
#include <strings.h>

#define BLANKS " \t"

struct field {
    const char *name;
    int min, max;
    const char *const *words; /* of three letters, from min on */
};

static const char *const month_words[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                          "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekday_words[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

enum { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };
static const struct field fields[FIELDS] = {
    [SECOND] = {"second", 0, 59, NULL},      [MINUTE] = {"minute", 0, 59, NULL},
    [HOUR] = {"hour", 0, 23, NULL},          [DAY] = {"day of the month", 1, 31, NULL},
    [MONTH] = {"month", 1, 12, month_words}, [WEEKDAY] = {"day of the week", 0, 7, weekday_words},
};

static const struct {
    const char *name, *text;
} shorthands[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
    {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
    {"@hourly", "0 * * * *"},
};

/* One element of a field's list. */
struct range {
    int low, high, step;
    bool any;
};

/* A number or the word of one; NULL with the error set. */
static const char *
read_value(const struct field *field, const char *p, int *value, struct err *err)
{
    size_t len = strcspn(p, "-/"), digits = strspn(p, "0123456789");
    int words = field->words == month_words ? 12 : field->words ? 7 : 0, n = 0;

    for (int i = 0; i < words; i++)
        if (len == 3 && strncasecmp(p, field->words[i], 3) == 0) {
            *value = field->min + i;
            return p + 3;
        }
    if (len == 0 || digits != len) {
        err_set(err, ERR_INVALID, "%s: '%.*s' is neither a number%s nor *", field->name, (int)len,
                p, words ? ", a name of three letters" : "");
        return NULL;
    }
    for (size_t i = 0; i < digits && n < 10000; i++)
        n = n * 10 + (p[i] - '0');
    if (n < field->min || n > field->max) {
        err_set(err, ERR_INVALID, "%s: %.*s is not in %d-%d", field->name, (int)len, p, field->min,
                field->max);
        return NULL;
    }
    *value = n;
    return p + len;
}

static enum err_code
read_step(const struct field *field, const char *text, bool ranged, int *step, struct err *err)
{
    int n = 0;

    if (!ranged)
        return err_set(err, ERR_INVALID, "%s: a step follows * or a range, as in %d-%d/%.10s",
                       field->name, field->min, field->max, text);
    if (!*text || strspn(text, "0123456789") != strlen(text))
        return err_set(err, ERR_INVALID, "%s: '%.20s' is no step", field->name, text);
    for (const char *p = text; *p && n < 10000; p++)
        n = n * 10 + (*p - '0');
    if (n < 1 || n > field->max)
        return err_set(err, ERR_INVALID, "%s: the step %.20s is not in 1-%d", field->name, text,
                       field->max);
    *step = n;
    return ERR_OK;
}

static enum err_code
read_range(const struct field *field, const char *text, struct range *range, struct err *err)
{
    const char *p = text;
    bool ranged = true;

    *range = (struct range){field->min, field->max, 1, text[0] == '*'};
    if (range->any) {
        p++;
    } else {
        p = read_value(field, p, &range->low, err);
        if (!p)
            return err->code;
        ranged = *p == '-';
        range->high = range->low;
        if (ranged && !(p = read_value(field, p + 1, &range->high, err)))
            return err->code;
    }
    if (field->max == 7 && range->high == 0 && range->low > 0)
        range->high = 7; /* fri-sun */
    if (range->low > range->high)
        return err_set(err, ERR_INVALID, "%s: %.20s goes backwards", field->name, text);
    if (*p == '/')
        return read_step(field, p + 1, ranged, &range->step, err);
    if (*p)
        return err_set(err, ERR_INVALID, "%s: '%.20s' is not understood", field->name, text);
    return ERR_OK;
}

/* text is cut up. */
static enum err_code
read_field(const struct field *field, char *text, uint64_t *bits, bool *any, struct err *err)
{
    struct range range;

    *bits = 0;
    *any = false;
    for (char *next = text; (text = next);) {
        next = strchr(text, ',');
        if (next)
            *next++ = '\0';
        if (read_range(field, text, &range, err))
            return err->code;
        *any |= range.any;
        for (int i = range.low; i <= range.high; i += range.step)
            *bits |= UINT64_C(1) << i;
    }
    return ERR_OK;
}

static enum err_code
expand(const char *text, const char **expanded, struct err *err)
{
    *expanded = text;
    if (*text != '@')
        return ERR_OK;
    for (size_t i = 0; i < sizeof(shorthands) / sizeof(shorthands[0]); i++)
        if (strcasecmp(text, shorthands[i].name) == 0) {
            *expanded = shorthands[i].text;
            return ERR_OK;
        }
    return err_set(err, ERR_INVALID,
                   "'%.40s' is none of @hourly, @daily, @weekly, @monthly, @yearly", text);
}

enum err_code
cron_parse(const char *text, struct cron *cron, struct err *err)
{
    char copy[CRON_TEXT_MAX + 1], *parts[FIELDS], *save = NULL;
    uint64_t bits[FIELDS] = {1};
    bool any[FIELDS];
    size_t count = 0;

    if (strnlen(text, sizeof(copy)) > CRON_TEXT_MAX)
        return err_set(err, ERR_INVALID, "longer than %d bytes", CRON_TEXT_MAX);
    if (expand(text, &text, err))
        return err->code;
    strcpy(copy, text);
    for (char *p = strtok_r(copy, BLANKS, &save); p; p = strtok_r(NULL, BLANKS, &save)) {
        if (count < FIELDS)
            parts[count] = p;
        count++;
    }
    if (count != FIELDS && count != FIELDS - 1)
        return err_set(err, ERR_INVALID,
                       "five fields are expected (minute hour day month weekday), or six with "
                       "seconds in front; these are %zu",
                       count);
    for (size_t i = FIELDS - count; i < FIELDS; i++)
        if (read_field(&fields[i], parts[i - (FIELDS - count)], &bits[i], &any[i], err))
            return err->code;
    *cron = (struct cron){
        .seconds = bits[SECOND],
        .minutes = bits[MINUTE],
        .hours = (uint32_t)bits[HOUR],
        .days = (uint32_t)bits[DAY],
        .months = (uint32_t)bits[MONTH],
        .weekdays = (uint32_t)((bits[WEEKDAY] | bits[WEEKDAY] >> 7) & 0x7f),
        .any_hour = any[HOUR],
        .any_day = any[DAY],
        .any_weekday = any[WEEKDAY],
    };
    return ERR_OK;
}
