/* SPDX-License-Identifier: Apache-2.0 */
/* rules.c - defaults, bounds, hysteresis. */
#include "rules.h"

#include "label_rules.h"
#include "values.h"

#include <math.h>
#include <string.h>

#define WINDOW_ROWS 500
#define MIN_ROWS 100
#define REFERENCE_ROWS 1000
#define RAISE_AFTER 3
#define CLEAR_AFTER 2
#define STREAK_MAX 1000
#define WINDOW_SECONDS_MAX (30 * 86400)

static uint32_t
or_default(uint32_t value, uint32_t fallback)
{
    return value ? value : fallback;
}

static MUST_CHECK enum err_code
check_bound(const char *field, uint32_t value, uint32_t max, struct err *err)
{
    if (value > max)
        return err_set(err, ERR_INVALID, "rules.%s is %u: at most %u", field, value, max);
    return ERR_OK;
}

static MUST_CHECK enum err_code
check_method(const char *field, const char *name, enum drift_profile profile, struct err *err)
{
    enum drift_method method;

    if (*name && !drift_method_from_name(name, profile, &method))
        return err_set(err, ERR_INVALID, "%s '%.40s': unknown; see docs/monitoring.md", field,
                       name);
    if (*name && method != DRIFT_AUTO && !drift_offers(profile, method))
        return err_set(err, ERR_INVALID, "%s '%.40s': the profile %s does not have it", field, name,
                       drift_profile_name(profile));
    return ERR_OK;
}

static MUST_CHECK enum err_code
check_threshold(const char *field, double value, struct err *err)
{
    if (!(value >= 0 && value <= 1e6))
        return err_set(err, ERR_INVALID, "%s is %g: must be from 0 to 1e6", field, value);
    return ERR_OK;
}

static MUST_CHECK enum err_code
check_columns(const MonitorRules *m, enum drift_profile profile, struct err *err)
{
    if (m->n_columns > RULES_COLUMNS_MAX)
        return err_set(err, ERR_INVALID, "rules.columns: %zu, at most %u", m->n_columns,
                       RULES_COLUMNS_MAX);
    for (size_t i = 0; i < m->n_columns; i++) {
        const ColumnRule *c = m->columns[i];
        if (value_check_name("rules.columns.column", c->column, err) ||
            check_method("rules.columns.method", c->method, profile, err) ||
            check_threshold("rules.columns.threshold", c->threshold, err))
            return err->code;
        for (size_t k = 0; k < i; k++)
            if (strcmp(m->columns[k]->column, c->column) == 0)
                return err_set(err, ERR_INVALID, "rules.columns: '%.80s' is there twice",
                               c->column);
    }
    return ERR_OK;
}

static MUST_CHECK enum err_code
check_segments(const MonitorRules *m, struct err *err)
{
    if (m->n_segments > RULES_SEGMENTS_MAX)
        return err_set(err, ERR_INVALID, "rules.segments: %zu columns, at most %u", m->n_segments,
                       RULES_SEGMENTS_MAX);
    for (size_t i = 0; i < m->n_segments; i++) {
        if (value_check_name("rules.segments", m->segments[i], err))
            return err->code;
        for (size_t k = 0; k < i; k++)
            if (strcmp(m->segments[k], m->segments[i]) == 0)
                return err_set(err, ERR_INVALID, "rules.segments: '%.80s' is there twice",
                               m->segments[i]);
    }
    return ERR_OK;
}

enum err_code
rules_check(const MonitorRules *m, struct err *err)
{
    enum drift_profile profile = DRIFT_NATIVE;
    enum drift_correction correction;
    uint32_t window = or_default(m->window_rows, WINDOW_ROWS);

    if (*m->profile && !drift_profile_from_name(m->profile, &profile))
        return err_set(err, ERR_INVALID,
                       "rules.profile '%.40s': must be native, evidently or scipy", m->profile);
    if (*m->correction && !drift_correction_from_name(m->correction, &correction))
        return err_set(err, ERR_INVALID,
                       "rules.correction '%.40s': must be holm, benjamini-hochberg or none",
                       m->correction);
    if (check_bound("window_rows", m->window_rows, RULES_WINDOW_MAX, err) ||
        check_bound("window_seconds", m->window_seconds, WINDOW_SECONDS_MAX, err) ||
        check_bound("min_rows", m->min_rows, window, err) ||
        check_bound("min_columns", m->min_columns, 8192, err) ||
        check_bound("raise_after", m->raise_after, STREAK_MAX, err) ||
        check_bound("clear_after", m->clear_after, STREAK_MAX, err) ||
        check_bound("reference_rows", m->reference_rows, RULES_WINDOW_MAX, err) ||
        check_method("rules.method", m->method, profile, err) ||
        check_threshold("rules.threshold", m->threshold, err) || check_columns(m, profile, err) ||
        check_segments(m, err) || label_rules_check(m->performance, err))
        return err->code;
    if (window < 10)
        return err_set(err, ERR_INVALID, "rules.window_rows is %u: at least 10", window);
    if (m->slide_rows && (m->slide_rows > window || window % m->slide_rows ||
                          window / m->slide_rows > RULES_PANES_MAX))
        return err_set(err, ERR_INVALID,
                       "rules.slide_rows is %u: window_rows (%u) must be 1 to %u times as many",
                       m->slide_rows, window, RULES_PANES_MAX);
    return ERR_OK;
}

struct rules
rules_of(const MonitorRules *m)
{
    uint32_t window = or_default(m->window_rows, WINDOW_ROWS);
    uint32_t slide = or_default(m->slide_rows, window);
    uint32_t panes = window / slide;
    uint32_t min = or_default(m->min_rows, window < MIN_ROWS ? window : MIN_ROWS);
    struct rules r = {
        .disabled = m->disabled,
        .pane_rows = slide,
        .pane_ms = (int64_t)m->window_seconds * 1000 / panes,
        .min_rows = min,
        .pane_min_rows = (min + panes - 1) / panes,
        .panes = panes,
        .reference_rows = or_default(m->reference_rows, REFERENCE_ROWS),
        .plan = {.profile = DRIFT_NATIVE,
                 .method = DRIFT_AUTO,
                 .threshold = m->threshold > 0 ? m->threshold : NAN},
        .correction = DRIFT_HOLM,
        .min_columns = or_default(m->min_columns, 1),
        .raise_after = or_default(m->raise_after, RAISE_AFTER),
        .clear_after = or_default(m->clear_after, CLEAR_AFTER),
        .message = m,
    };

    /* rules_check() knows the names; an empty one changes nothing. */
    (void)drift_profile_from_name(m->profile, &r.plan.profile);
    (void)drift_method_from_name(m->method, r.plan.profile, &r.plan.method);
    (void)drift_correction_from_name(m->correction, &r.correction);
    return r;
}

struct drift_plan
rules_plan(const struct rules *rules, const char *column, bool *ignore)
{
    struct drift_plan plan = rules->plan;

    *ignore = false;
    for (size_t i = 0; i < rules->message->n_columns; i++) {
        const ColumnRule *c = rules->message->columns[i];
        if (strcmp(c->column, column) != 0)
            continue;
        *ignore = c->ignore;
        (void)drift_method_from_name(c->method, plan.profile, &plan.method);
        if (*c->method)
            plan.threshold = NAN; /* of another method it means something else */
        if (c->threshold > 0)
            plan.threshold = c->threshold;
    }
    return plan;
}

enum episode_turn
episode_window(struct episode *e, const struct rules *rules, enum drift_outcome outcome)
{
    if (outcome == DRIFT_UNDECIDED)
        return EPISODE_GOES_ON;
    e->drifted = outcome == DRIFT_FOUND ? e->drifted + (e->drifted < STREAK_MAX) : 0;
    e->calm = outcome == DRIFT_ABSENT ? e->calm + (e->calm < STREAK_MAX) : 0;
    if (!e->open && e->drifted >= rules->raise_after) {
        e->open = true;
        return EPISODE_BEGINS;
    }
    if (e->open && e->calm >= rules->clear_after) {
        e->open = false;
        return EPISODE_ENDS;
    }
    return EPISODE_GOES_ON;
}
