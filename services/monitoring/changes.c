/* SPDX-License-Identifier: Apache-2.0 */
/* changes.c - rows into windows, windows into reports, reports into episodes. */
#include "changes.h"

#include "labels.h"
#include "watches.h"

#include "crypto/crypto.h"
#include "modelbus/monitoring/v1/events.pb-c.h"

#include <stdlib.h>
#include <string.h>

/* ---- windows ---- */

static MUST_CHECK enum err_code
say_cleared(const struct change *change, const struct watch *w, const Window *window,
            struct err *err)
{
    Modelbus__Monitoring__V1__DriftCleared event = MODELBUS__MONITORING__V1__DRIFT_CLEARED__INIT;

    event.endpoint = w->endpoint;
    event.model_name = w->model_name;
    event.version = w->version;
    event.generation = w->generation;
    event.episode = (char *)(uintptr_t)w->episode_id;
    event.report_id = (char *)(uintptr_t)(window ? w->report_id : "");
    event.window = (Window *)(uintptr_t)window;
    event.detected_at_ms = w->since_ms;
    event.cleared_at_ms = change->now_ms;
    return change_say(change, &event.base, err);
}

static MUST_CHECK enum err_code
say_detected(const struct change *change, const struct watch *w, const Window *window,
             const struct judgement *judgement, struct err *err)
{
    Modelbus__Monitoring__V1__DriftDetected event = MODELBUS__MONITORING__V1__DRIFT_DETECTED__INIT;
    ColumnVerdict *worst[JUDGE_WORST];

    event.endpoint = w->endpoint;
    event.model_name = w->model_name;
    event.version = w->version;
    event.generation = w->generation;
    event.episode = (char *)(uintptr_t)w->episode_id;
    event.report_id = (char *)(uintptr_t)w->report_id;
    event.window = (Window *)(uintptr_t)window;
    event.checked = (uint32_t)judgement->checked;
    event.drifted = (uint32_t)judgement->drifted;
    event.n_columns = judge_worst(judgement, worst);
    event.columns = worst;
    event.detected_at_ms = change->now_ms;
    return change_say(change, &event.base, err);
}

static MUST_CHECK enum err_code
report(const struct change *change, const struct monitoring *m, const struct watch *w,
       Window *window, const struct judgement *judgement, struct err *err)
{
    Report r = MODELBUS__MONITORING__V1__REPORT__INIT;

    r.id = (char *)(uintptr_t)w->report_id;
    r.endpoint = w->endpoint;
    r.model_name = w->model_name;
    r.version = w->version;
    r.generation = w->generation;
    r.window = window;
    r.outcome = (char *)(uintptr_t)drift_outcome_name(judgement->outcome);
    r.checked = (uint32_t)judgement->checked;
    r.drifted = (uint32_t)judgement->drifted;
    r.episode = (char *)(uintptr_t)w->episode_id;
    r.created_at_ms = change->now_ms;
    r.reference = watch_reference(w, change->store.arena);
    r.rules = (MonitorRules *)(uintptr_t)w->rules.message;
    r.columns = judgement->columns;
    r.n_columns = judgement->column_count;
    r.histograms = judgement->histograms;
    r.n_histograms = judgement->histogram_count;
    r.segments = judgement->segments;
    r.n_segments = judgement->segment_count;
    return store_add_report(&change->store, &r, m->settings->reports_kept, err);
}

static void
count_window(const struct monitoring *m, enum drift_outcome outcome)
{
    metric_add(outcome == DRIFT_FOUND    ? m->windows_drift
               : outcome == DRIFT_ABSENT ? m->windows_calm
                                         : m->windows_undecided,
               1);
}

static MUST_CHECK enum err_code
close_window(const struct change *change, struct monitoring *m, struct watch *w, struct err *err)
{
    Window window = MODELBUS__MONITORING__V1__WINDOW__INIT;
    const struct reservoir *panes[RULES_PANES_MAX];
    struct judgement judgement;

    for (size_t i = 0; i < w->pane_count; i++)
        panes[i] = w->panes[i].sample;
    const struct judge_rows rows = {.sample = w->sample,
                                    .learned = w->learned,
                                    .panes = panes,
                                    .pane_count = w->pane_count,
                                    .features = w->features,
                                    .feature_count = w->feature_count};
    judge(&w->rules, &rows, change->store.arena, &judgement);
    watch_window(w, &window);
    w->windows++;
    crypto_uuid7(w->report_id);
    enum episode_turn turn = episode_window(&w->episode, &w->rules, judgement.outcome);
    if (turn == EPISODE_BEGINS) {
        crypto_uuid7(w->episode_id);
        w->since_ms = change->now_ms;
        metric_add(m->episodes, 1);
        if (watches_forget_learning(&change->store, w, err))
            return err->code;
    }
    if (!w->judged) {
        w->judged = true;
        w->since_ms = change->now_ms;
    }
    count_window(m, judgement.outcome);
    if (report(change, m, w, &window, &judgement, err) ||
        (turn == EPISODE_BEGINS && say_detected(change, w, &window, &judgement, err)) ||
        (turn == EPISODE_ENDS && say_cleared(change, w, &window, err)))
        return err->code;
    if (turn == EPISODE_ENDS) {
        w->episode_id[0] = '\0';
        w->since_ms = change->now_ms;
    }
    return ERR_OK;
}

/* ---- rows ---- */

static MUST_CHECK enum err_code
switch_version(const struct change *change, struct monitoring *m, struct watch *w,
               const PredictionsLogged *rows, struct err *err)
{
    bool same = w->version == rows->version && strcmp(w->model_name, rows->model_name) == 0;

    w->generation = rows->generation;
    if (same && (watch_has_reference(w) || w->learning.number))
        return ERR_OK;
    if ((w->pane_count || w->learning.number) && watches_drop_parts(&change->store, w, err))
        return err->code;
    watch_drop_panes(w);
    w->version = rows->version;
    free(w->model_name);
    w->model_name = mem_strdup(rows->model_name);
    return watches_load_reference(&change->store, m, w, err);
}

static MUST_CHECK enum err_code
end_pane(const struct change *change, struct monitoring *m, struct watch *w, struct err *err)
{
    int64_t gone;

    if (watch_window_full(w) && close_window(change, m, w, err))
        return err->code;
    watch_next_pane(w, &gone);
    return gone ? store_drop_parts(&change->store, w->endpoint, gone, gone, err) : ERR_OK;
}

/* *first: the first row that is not for the reference alone. */
static MUST_CHECK enum err_code
learn(const struct change *change, struct watch *w, const PredictionsLogged *rows, size_t *first,
      struct err *err)
{
    if (!watch_learns(w, rows))
        return ERR_OK;
    size_t learned = watch_learn(w, rows, change->now_ms);
    if (!watch_has_reference(w))
        *first = learned;
    return watch_learned(w) ? watches_keep_learned(&change->store, w, err) : ERR_OK;
}

static MUST_CHECK enum err_code
feed(const struct change *change, struct monitoring *m, struct watch *w,
     const PredictionsLogged *rows, struct err *err)
{
    int64_t next = rows->n_timestamps_ms ? rows->timestamps_ms[0] : change->now_ms;
    size_t first = 0;

    if (learn(change, w, rows, &first, err))
        return err->code;
    if (watch_pane_full(w, next) && end_pane(change, m, w, err))
        return err->code;
    while (first < rows->row_count) {
        watch_feed(w, rows, change->now_ms, &first);
        if (watch_pane_full(w, 0) && end_pane(change, m, w, err))
            return err->code;
    }
    return ERR_OK;
}

enum err_code
change_rows(const struct change *change, struct monitoring *m, const PredictionsLogged *rows,
            struct err *err)
{
    struct watch *w;

    if (reservoir_check(rows, err) || watches_take(change, m, rows, &w, err))
        return err->code;
    w->revision = 0; /* whatever fails from here on, it is loaded again */
    w->rows_dropped += rows->dropped;
    if (w->rules.disabled || rows->generation < w->generation) {
        w->rows_other += rows->row_count;
        metric_add(m->other, rows->row_count);
    } else {
        if (rows->generation > w->generation && switch_version(change, m, w, rows, err))
            return err->code;
        if (watches_look_again(&change->store, m, w, err) || feed(change, m, w, rows, err))
            return err->code;
        metric_add(m->watched, rows->row_count);
    }
    if (labels_predicted(change, m, w->rules.message->performance, rows, err))
        return err->code;
    return watches_save(&change->store, w, err);
}

enum err_code
change_due(const struct change *change, struct monitoring *m, const char *endpoint, struct err *err)
{
    struct watch *w;
    int64_t revision;

    if (store_lock_monitor(&change->store, endpoint, &revision, err) ||
        watches_get(change, m, endpoint, revision, &w, err))
        return err->code;
    w->revision = 0;
    int64_t due_ms = watch_due_ms(w);
    if (due_ms && due_ms <= change->now_ms && end_pane(change, m, w, err))
        return err->code;
    return watches_save(&change->store, w, err);
}

/* ---- endpoints ---- */

enum err_code
change_deployed(const struct change *change, const char *endpoint, const char *model_name,
                int64_t version, struct err *err)
{
    WatchState state = MODELBUS__MONITORING__V1__WATCH_STATE__INIT;
    Monitor monitor = MODELBUS__MONITORING__V1__MONITOR__INIT;
    Reference none = MODELBUS__MONITORING__V1__REFERENCE__INIT;

    none.kind = "none";
    monitor.reference = &none;
    monitor.model_name = (char *)(uintptr_t)model_name;
    monitor.version = version;
    monitor.state = "unknown";
    state.monitor = &monitor;
    return store_add_monitor(&change->store, endpoint, &state, err);
}

enum err_code
change_endpoint_gone(const struct change *change, const char *endpoint, struct err *err)
{
    CLEANUP(watch_free) struct watch *w = NULL;
    struct monitor_row row;

    if (store_get_monitor(&change->store, endpoint, true, &row, err))
        return err->code == ERR_NOT_FOUND ? ERR_OK : err->code;
    w = watch_new(change->store.workspace, endpoint, row.rules, row.state);
    if ((w->episode.open && say_cleared(change, w, NULL, err)) ||
        labels_endpoint_gone(change, endpoint, err))
        return err->code;
    return store_delete_monitor(&change->store, endpoint, err);
}

enum err_code
change_rules(const struct change *change, const char *endpoint, const MonitorRules *rules,
             struct err *err)
{
    CLEANUP(watch_free) struct watch *w = NULL;
    struct monitor_row row;

    if (store_get_monitor(&change->store, endpoint, true, &row, err) ||
        labels_rules_changed(change, endpoint, row.rules->performance, rules->performance, err))
        return err->code;
    w = watch_new(change->store.workspace, endpoint, rules, row.state);
    w->episode.drifted = w->episode.calm = 0;
    if (watches_drop_parts(&change->store, w, err))
        return err->code;
    watch_drop_panes(w);
    if (rules->disabled && w->episode.open) {
        if (say_cleared(change, w, NULL, err))
            return err->code;
        w->episode.open = false;
        w->episode_id[0] = '\0';
        w->since_ms = change->now_ms;
    }
    WatchState *state = watch_state(w, change->store.arena);
    state->monitor->reference = row.state->monitor->reference;
    if (state->monitor->reference && !state->monitor->reference->learned_columns)
        state->monitor->reference->learned_rows = 0; /* learning begins anew, too */
    return store_set_monitor(&change->store, endpoint, watches_revision(), rules, state, 0, err);
}
