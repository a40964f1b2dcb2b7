/* SPDX-License-Identifier: Apache-2.0 */
/* label_windows.c - labelled rows into windows, windows into reports, reports into episodes. */
#include "labels.h"

#include "crypto/crypto.h"

#include <math.h>
#include <string.h>

typedef Modelbus__Monitoring__V1__PerformanceDegraded PerformanceDegraded;
typedef Modelbus__Monitoring__V1__PerformanceMetric PerformanceMetric;
typedef Modelbus__Monitoring__V1__PerformanceRecovered PerformanceRecovered;
typedef Modelbus__Monitoring__V1__PerformanceWindow PerformanceWindow;

/* A window that has been judged. */
struct judged {
    PerformanceReport report;
    PerformanceWindow window;
    enum drift_outcome outcome;
};

/* ---- versions ---- */

/* The version's entry, made when there is none; it becomes the last one, and the first goes when
 * there are too many. */
static VersionPerformance *
version_of(const struct labelling *l, const struct share *share)
{
    struct arena *arena = l->change->store.arena;
    Performance *p = l->state->performance;
    VersionPerformance **all = arena_alloc(arena, (p->n_versions + 1) * sizeof(*all));
    VersionPerformance *found = NULL;
    size_t count = 0;

    for (size_t i = 0; i < p->n_versions; i++)
        if (p->versions[i]->version == share->version &&
            strcmp(p->versions[i]->model_name, share->model_name) == 0)
            found = p->versions[i];
        else
            all[count++] = p->versions[i];
    if (!found) {
        found = arena_alloc(arena, sizeof(*found));
        *found = (VersionPerformance)MODELBUS__MONITORING__V1__VERSION_PERFORMANCE__INIT;
        found->model_name = (char *)(uintptr_t)share->model_name;
        found->version = share->version;
        found->judged = l->state->joined;
    }
    all[count++] = found;
    p->versions = count > LABEL_VERSIONS_MAX ? all + 1 : all;
    p->n_versions = count > LABEL_VERSIONS_MAX ? LABEL_VERSIONS_MAX : count;
    return found;
}

static double
baseline_of(const VersionPerformance *version, enum performance_metric metric)
{
    for (size_t i = 0; i < version->n_baseline; i++)
        if (strcmp(version->baseline[i]->name, performance_name(metric)) == 0)
            return version->baseline[i]->value;
    return NAN;
}

/* Those of the task, those without a value as well. */
static PerformanceMetric **
metrics_of(const struct labelling *l, const struct performance *performance, size_t *count)
{
    struct arena *arena = l->change->store.arena;
    PerformanceMetric **list =
        arena_alloc(arena, PERFORMANCE_METRICS * sizeof(PerformanceMetric *));

    *count = 0;
    for (enum performance_metric m = 0; m < PERFORMANCE_METRICS; m++) {
        if (performance_of_classes(m) != l->rules.classes)
            continue;
        PerformanceMetric *metric = list[(*count)++] = arena_alloc(arena, sizeof(*metric));
        *metric = (PerformanceMetric)MODELBUS__MONITORING__V1__PERFORMANCE_METRIC__INIT;
        metric->name = (char *)(uintptr_t)performance_name(m);
        metric->value = performance->value[m];
        if (performance->reason[m])
            metric->reason = (char *)(uintptr_t)performance->reason[m];
    }
    return list;
}

/* ---- episodes ---- */

static MUST_CHECK enum err_code
say_degraded(const struct labelling *l, const struct judged *j, struct err *err)
{
    PerformanceDegraded event = MODELBUS__MONITORING__V1__PERFORMANCE_DEGRADED__INIT;
    const PerformanceReport *r = &j->report;

    event.endpoint = r->endpoint;
    event.model_name = r->model_name;
    event.version = r->version;
    event.generation = l->state->performance->generation;
    event.episode = l->state->performance->episode;
    event.report_id = r->id;
    event.window = r->window;
    event.metric = r->metric;
    event.value = r->value;
    event.bound = r->bound;
    event.baseline = r->baseline;
    event.metrics = r->metrics;
    event.n_metrics = r->n_metrics;
    event.detected_at_ms = l->change->now_ms;
    return change_say(l->change, &event.base, err);
}

/* j NULL: nothing is judged any more. */
static MUST_CHECK enum err_code
say_recovered(const struct labelling *l, const struct judged *j, struct err *err)
{
    PerformanceRecovered event = MODELBUS__MONITORING__V1__PERFORMANCE_RECOVERED__INIT;
    const Performance *p = l->state->performance;

    event.endpoint = (char *)(uintptr_t)l->endpoint;
    event.model_name = p->model_name;
    event.version = p->version;
    event.generation = p->generation;
    event.episode = p->episode;
    event.value = event.bound = event.baseline = NAN;
    if (j) {
        event.report_id = j->report.id;
        event.window = j->report.window;
        event.metric = j->report.metric;
        event.value = j->report.value;
        event.bound = j->report.bound;
        event.baseline = j->report.baseline;
        event.metrics = j->report.metrics;
        event.n_metrics = j->report.n_metrics;
    }
    event.detected_at_ms = p->since_ms;
    event.recovered_at_ms = l->change->now_ms;
    return change_say(l->change, &event.base, err);
}

enum err_code
labelling_recover(const struct labelling *l, struct err *err)
{
    return *l->state->performance->episode ? say_recovered(l, NULL, err) : ERR_OK;
}

static void
advance(struct labelling *l, struct judged *j, enum episode_turn *turn)
{
    Performance *p = l->state->performance;
    struct episode episode = {
        .open = *p->episode != '\0', .drifted = l->state->degraded, .calm = l->state->good};

    *turn = episode_window(&episode, &l->rules.streaks, j->outcome);
    l->state->degraded = episode.drifted;
    l->state->good = episode.calm;
    if (*turn == EPISODE_BEGINS) {
        p->episode = arena_alloc(l->change->store.arena, 37);
        crypto_uuid7(p->episode);
        metric_add(l->monitoring->performance_episodes, 1);
    }
    j->report.episode = p->episode;
}

static MUST_CHECK enum err_code
move_episode(struct labelling *l, struct judged *j, struct err *err)
{
    Performance *p = l->state->performance;
    enum episode_turn turn;

    advance(l, j, &turn);
    if ((turn == EPISODE_BEGINS && say_degraded(l, j, err)) ||
        (turn == EPISODE_ENDS && say_recovered(l, j, err)))
        return err->code;
    if (turn == EPISODE_ENDS)
        p->episode = "";
    const char *state = *p->episode ? "degraded" : "ok";
    if (strcmp(p->state, state) != 0)
        p->since_ms = l->change->now_ms;
    p->state = (char *)(uintptr_t)state;
    return ERR_OK;
}

/* ---- windows ---- */

static void
measure(struct labelling *l, VersionPerformance *version, const struct performance *performance,
        struct judged *j)
{
    static const char *const outcomes[] = {
        [DRIFT_ABSENT] = "ok", [DRIFT_FOUND] = "degraded", [DRIFT_UNDECIDED] = "undecided"};
    PerformanceReport *r = &j->report;
    const char *reason;

    r->metrics = metrics_of(l, performance, &r->n_metrics);
    r->metric = (char *)(uintptr_t)performance_name(l->rules.bounds.metric);
    r->value = performance->value[l->rules.bounds.metric];
    r->baseline = baseline_of(version, l->rules.bounds.metric);
    j->outcome = performance_judge(&l->rules.bounds, performance, r->baseline, &r->bound, &reason);
    r->outcome = (char *)(uintptr_t)outcomes[j->outcome];
    if (reason)
        r->reason = (char *)(uintptr_t)reason;
    if (isnan(r->baseline) && !isnan(r->value)) {
        version->baseline = r->metrics;
        version->n_baseline = r->n_metrics;
    }
    version->last = r->metrics;
    version->n_last = r->n_metrics;
    version->last_report_id = r->id;
    version->windows++;
}

static MUST_CHECK enum err_code
close_window(struct labelling *l, VersionPerformance *version, struct err *err)
{
    const struct store *store = &l->change->store;
    const Performance *p = l->state->performance;
    struct judged j = {.report = MODELBUS__MONITORING__V1__PERFORMANCE_REPORT__INIT,
                       .window = MODELBUS__MONITORING__V1__PERFORMANCE_WINDOW__INIT};
    uint32_t count = l->rules.window_rows;
    struct performance_row *rows;

    if (store_take_window(store, l->endpoint, version->model_name, version->version, count,
                          &version->judged, &rows, &j.window.start_ms, &j.window.end_ms, err))
        return err->code;
    version->rows -= count;
    struct performance performance = l->rules.classes
                                         ? performance_classes(rows, count, l->rules.threshold)
                                         : performance_numbers(rows, count);
    j.window.number = ++l->state->windows;
    j.window.rows = count;
    j.window.positives = performance.positives;
    j.report.id = arena_alloc(store->arena, 37);
    crypto_uuid7(j.report.id);
    j.report.endpoint = (char *)(uintptr_t)l->endpoint;
    j.report.model_name = version->model_name;
    j.report.version = version->version;
    j.report.window = &j.window;
    j.report.created_at_ms = l->change->now_ms;
    j.report.rules = (PerformanceRules *)(uintptr_t)l->rules.message;
    measure(l, version, &performance, &j);
    if (version->version == p->version && strcmp(version->model_name, p->model_name) == 0 &&
        move_episode(l, &j, err))
        return err->code;
    return store_add_performance(store, &j.report, l->monitoring->settings->reports_kept, err);
}

enum err_code
labelling_join(struct labelling *l, const struct prediction *rows, size_t count, struct err *err)
{
    struct share *shares;
    size_t share_count;

    l->counts[LABEL_JOINED] += count;
    if (count == 0)
        return ERR_OK;
    if (store_join(&l->change->store, l->endpoint, rows, count, l->state->joined + 1, &shares,
                   &share_count, err))
        return err->code;
    for (size_t i = 0; i < share_count; i++) {
        VersionPerformance *version = version_of(l, &shares[i]);
        version->rows += shares[i].rows;
        while (version->rows >= l->rules.window_rows)
            if (close_window(l, version, err))
                return err->code;
    }
    l->state->joined += (int64_t)count;
    return ERR_OK;
}
