/* SPDX-License-Identifier: Apache-2.0 */
/* label_rules.c - defaults and bounds of PerformanceRules; what a label means. */
#include "label_rules.h"

#include "values.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HORIZON_S (7 * 86400)
#define WINDOW_ROWS 500
#define RAISE_AFTER 3
#define CLEAR_AFTER 2
#define STREAK_MAX 1000

/* ---- rules ---- */

static MUST_CHECK enum err_code
check_count(const char *field, uint32_t value, uint32_t min, uint32_t max, struct err *err)
{
    if (value && (value < min || value > max))
        return err_set(err, ERR_INVALID, "rules.performance.%s is %u: must be %u to %u", field,
                       value, min, max);
    return ERR_OK;
}

static MUST_CHECK enum err_code
check_number(const char *field, double value, double min, double max, struct err *err)
{
    if (!(value >= min && value <= max))
        return err_set(err, ERR_INVALID, "rules.performance.%s is %g: must be %g to %g", field,
                       value, min, max);
    return ERR_OK;
}

static MUST_CHECK enum err_code
check_task(const PerformanceRules *m, struct err *err)
{
    bool classes = strcmp(m->task, "classification") == 0;
    enum performance_metric metric;

    if (!classes && strcmp(m->task, "regression") != 0)
        return err_set(err, ERR_INVALID,
                       "rules.performance.task '%.40s': must be classification or regression",
                       m->task);
    if (*m->metric && !performance_from_name(m->metric, &metric))
        return err_set(err, ERR_INVALID,
                       "rules.performance.metric '%.40s': must be accuracy, precision, recall, f1,"
                       " auc or log_loss, or of a regression rmse or mae",
                       m->metric);
    if (*m->metric && performance_of_classes(metric) != classes)
        return err_set(err, ERR_INVALID, "rules.performance.metric '%s': not of a %s", m->metric,
                       m->task);
    if (!classes && *m->positive)
        return err_set(err, ERR_INVALID,
                       "rules.performance.positive: a regression has no positive class");
    return ERR_OK;
}

enum err_code
label_rules_check(const PerformanceRules *m, struct err *err)
{
    if (!m || !*m->task)
        return ERR_OK;
    if (check_task(m, err) ||
        value_check_text("rules.performance.output", m->output, VALUE_NAME_MAX, err) ||
        value_check_text("rules.performance.positive", m->positive, VALUE_NAME_MAX, err) ||
        check_number("decision_threshold", m->decision_threshold, -1e300, 1e300, err) ||
        check_count("horizon_s", m->horizon_s, 1, LABELS_HORIZON_MAX, err) ||
        check_count("window_rows", m->window_rows, 10, LABELS_WINDOW_MAX, err) ||
        check_number("sample", m->sample, 0, 1, err) ||
        check_number("limit", m->limit, 0, LABELS_BOUND_MAX, err) ||
        check_number("max_drop", m->max_drop, 0, LABELS_BOUND_MAX, err) ||
        check_count("raise_after", m->raise_after, 1, STREAK_MAX, err) ||
        check_count("clear_after", m->clear_after, 1, STREAK_MAX, err))
        return err->code;
    return ERR_OK;
}

static uint32_t
or_default(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

struct label_rules
label_rules_of(const PerformanceRules *m)
{
    if (!m || !*m->task)
        return (struct label_rules){.on = false};
    bool classes = strcmp(m->task, "classification") == 0;
    struct label_rules r = {
        .on = true,
        .classes = classes,
        .output = m->output,
        .positive = m->positive,
        .threshold = m->decision_threshold != 0 ? m->decision_threshold : 0.5,
        .horizon_ms = (int64_t)or_default(m->horizon_s, HORIZON_S) * 1000,
        .window_rows = or_default(m->window_rows, WINDOW_ROWS),
        .sample = m->sample > 0 ? m->sample : 1,
        .bounds = {.metric = classes ? PERFORMANCE_AUC : PERFORMANCE_RMSE,
                   .limit = m->limit,
                   .max_drop = m->max_drop},
        .streaks = {.raise_after = or_default(m->raise_after, RAISE_AFTER),
                    .clear_after = or_default(m->clear_after, CLEAR_AFTER)},
        .message = m,
    };

    (void)performance_from_name(m->metric, &r.bounds.metric); /* an empty one changes nothing */
    return r;
}

bool
label_rules_differ(const PerformanceRules *a, const PerformanceRules *b)
{
    struct label_rules x = label_rules_of(a), y = label_rules_of(b);

    if (!x.on || !y.on)
        return x.on != y.on;
    return x.classes != y.classes || strcmp(x.output, y.output) != 0 ||
           strcmp(x.positive, y.positive) != 0;
}

/* ---- labels ---- */

enum err_code
labels_check(const char *endpoint, Label *const *labels, size_t count, struct err *err)
{
    if (value_check_name("endpoint", endpoint, err))
        return err->code;
    if (count == 0 || count > LABELS_MAX)
        return err_set(err, ERR_INVALID, "labels: %zu, must be 1 to %u a message", count,
                       LABELS_MAX);
    for (size_t i = 0; i < count; i++) {
        const Label *label = labels[i];
        if (value_check_name("prediction_id", label->prediction_id, err) ||
            value_check_name("value", label->value, err))
            return err_wrap(err, "labels[%zu]", i);
        if (label->labelled_at_ms < 0)
            return err_set(err, ERR_INVALID, "labels[%zu]: labelled_at_ms is negative", i);
    }
    return ERR_OK;
}

static bool
read_number(const char *text, double *value)
{
    char *end;

    *value = strtod(text, &end);
    return end != text && !*end && isfinite(*value);
}

static bool
read_class(const char *positive, const char *text, double *value)
{
    double number, of_class;
    bool is_number = read_number(text, &number);

    if (*positive) {
        *value = strcmp(text, positive) == 0 ||
                 (is_number && read_number(positive, &of_class) && number == of_class);
        return *text != '\0';
    }
    if (strcmp(text, "true") == 0 || strcmp(text, "True") == 0)
        *value = 1;
    else if (strcmp(text, "false") == 0 || strcmp(text, "False") == 0)
        *value = 0;
    else if (is_number && (number == 0 || number == 1))
        *value = number;
    else
        return false;
    return true;
}

bool
label_read(const struct label_rules *rules, const char *text, double *value)
{
    double read;

    if (!(rules->classes ? read_class(rules->positive, text, &read) : read_number(text, &read)))
        return false;
    *value = read;
    return true;
}

bool
label_sampled(const struct label_rules *rules, const char *id)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */

    for (const unsigned char *p = (const unsigned char *)id; *p; p++)
        hash = (hash ^ *p) * 1099511628211u;
    /* Its upper bits hardly depend on the last bytes, where ids differ: mixed as MurmurHash3 ends. */
    hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccdu;
    hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53u;
    hash ^= hash >> 33;
    return (double)(hash >> 11) * 0x1p-53 < rules->sample;
}
