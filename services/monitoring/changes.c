/* SPDX-License-Identifier: Apache-2.0 */
/* changes.c - rows into windows, windows into reports, reports into episodes. */
#include "changes.h"

#include "reference.h"

#include "crypto/crypto.h"
#include "life/life.h"
#include "log/log.h"
#include "modelbus/monitoring/v1/events.pb-c.h"

#include <stdlib.h>
#include <string.h>

static const char *const outcome_names[] = {
    [DRIFT_ABSENT] = "no drift", [DRIFT_FOUND] = "drift", [DRIFT_UNDECIDED] = "undecided"};

/* ---- the cache ---- */

struct monitoring *
monitoring_new(const struct monitoring_settings *settings, struct source *source)
{
    static const char rows[] = "Logged rows, by what became of them.";
    static const char windows[] = "Windows that were judged.";
    struct monitoring *m = mem_zalloc(sizeof(*m));

    m->settings = settings;
    m->source = source;
    m->watched = metrics_counter("modelbus_monitoring_rows_total", rows, "result", "watched", NULL);
    m->other = metrics_counter("modelbus_monitoring_rows_total", rows, "result", "other", NULL);
    m->windows_drift =
        metrics_counter("modelbus_monitoring_windows_total", windows, "outcome", "drift", NULL);
    m->windows_calm =
        metrics_counter("modelbus_monitoring_windows_total", windows, "outcome", "no_drift", NULL);
    m->windows_undecided =
        metrics_counter("modelbus_monitoring_windows_total", windows, "outcome", "undecided", NULL);
    m->episodes = metrics_counter("modelbus_monitoring_episodes_total",
                                  "Episodes of drift that began.", NULL);
    return m;
}

void
monitoring_free(struct monitoring *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->watch_count; i++)
        watch_free(m->watches[i]);
    free(m->watches);
    source_free(m->source);
    free(m);
}

static void
forget(struct monitoring *m, size_t at)
{
    watch_free(m->watches[at]);
    m->watches[at] = m->watches[--m->watch_count];
}

static struct watch *
remembered(struct monitoring *m, const struct store *store, const char *endpoint, int64_t revision)
{
    for (size_t i = 0; i < m->watch_count; i++) {
        struct watch *w = m->watches[i];
        if (strcmp(w->endpoint, endpoint) != 0 || strcmp(w->workspace, store->workspace) != 0)
            continue;
        if (w->revision == revision)
            return w;
        forget(m, i);
        break;
    }
    return NULL;
}

/* Those not used for longest go, but never the one that was just loaded (the last). */
static void
remember(struct monitoring *m, struct watch *watch)
{
    if (m->watch_count == m->watch_room) {
        m->watch_room = m->watch_room ? m->watch_room * 2 : 16;
        m->watches = mem_realloc(m->watches, m->watch_room * sizeof(*m->watches));
    }
    size_t bytes = watch_bytes(watch);
    for (size_t i = 0; i < m->watch_count; i++)
        bytes += watch_bytes(m->watches[i]);
    while (m->watch_count > 0 && bytes > (size_t)m->settings->cache_bytes) {
        size_t oldest = 0;
        for (size_t i = 1; i < m->watch_count; i++)
            if (m->watches[i]->used_ms < m->watches[oldest]->used_ms)
                oldest = i;
        bytes -= watch_bytes(m->watches[oldest]);
        forget(m, oldest);
    }
    m->watches[m->watch_count++] = watch;
}

/* ---- references ---- */

static void
adopt(struct watch *w, const Reference *head, enum reference_kind kind, struct reservoir *reservoir)
{
    watch_drop_reference(w);
    free(w->uri);
    free(w->problem);
    w->uri = mem_strdup(head->uri);
    w->problem = mem_strdup(head->problem);
    if (!reservoir)
        return;
    w->kind = kind;
    w->reference_rows = head->rows;
    w->reference = reservoir;
}

static MUST_CHECK enum err_code
stored_reference(const struct store *store, struct watch *w, const char *endpoint, bool *found,
                 struct err *err)
{
    CLEANUP(reservoir_free) struct reservoir *r = NULL;
    const uint8_t *rows;
    Reference *head;
    size_t len;

    if (store_find_reference(store, w->model_name, w->version, endpoint, &head, &rows, &len, err))
        return err->code;
    *found = head != NULL;
    if (!head)
        return ERR_OK;
    if (len) {
        r = reservoir_new(RESERVOIR_ROOM_MAX);
        if (reservoir_apply(r, rows, len, err))
            return err_wrap(err, "reference of '%s' version %lld", w->model_name,
                            (long long)w->version);
    }
    adopt(w, head, *endpoint ? REFERENCE_ROWS_SEEN : REFERENCE_SAMPLE, TAKE_PTR(r));
    return ERR_OK;
}

/* A sample that cannot be used is noted, once, and rows become the reference instead. */
static MUST_CHECK enum err_code
fetch_reference(const struct store *store, struct monitoring *m, struct watch *w, const char *uri,
                struct err *err)
{
    CLEANUP(reservoir_free) struct reservoir *r = NULL;
    CLEANUP(buf_done) struct buf bytes = {0};
    CLEANUP(buf_done) struct buf rows = {0};
    Reference head = MODELBUS__MONITORING__V1__REFERENCE__INIT;
    struct err why;

    head.kind = "sample";
    head.model_name = w->model_name;
    head.version = w->version;
    head.uri = (char *)(uintptr_t)uri;
    if (!m->settings->artifact_url || !*m->settings->artifact_url) {
        head.problem = "MONITORING_ARTIFACT_URL is not set: samples cannot be fetched";
    } else if (source_fetch(m->source, uri, &bytes, &why) ||
               reference_read("reference sample", bytes.data ? bytes.data : "", bytes.len, &r,
                              &head.rows, &why)) {
        if (err_retriable(why.code) || why.code == ERR_INTERNAL) {
            *err = why;
            return err->code;
        }
        head.problem = why.message;
        log_warn("a reference sample cannot be used", LOG_STR("endpoint", w->endpoint),
                 LOG_ERR(&why));
    } else {
        reservoir_pack(r, true, &rows);
    }
    if (store_put_reference(store, &head, "", &rows, err))
        return err->code;
    adopt(w, &head, REFERENCE_SAMPLE, TAKE_PTR(r));
    return ERR_OK;
}

/* Of the version that w is at. */
static MUST_CHECK enum err_code
load_reference(const struct store *store, struct monitoring *m, struct watch *w, struct err *err)
{
    ModelRegistered *registered;
    bool found;

    if (store_find_version(store, w->model_name, w->version, &registered, err))
        return err->code;
    watch_set_features(w, registered ? registered->feature_names : NULL,
                       registered ? registered->n_feature_names : 0);
    watch_drop_reference(w);
    if (stored_reference(store, w, "", &found, err))
        return err->code;
    if (!found && registered && registered->reference_sample &&
        *registered->reference_sample->uri &&
        fetch_reference(store, m, w, registered->reference_sample->uri, err))
        return err->code;
    if (!w->reference) {
        CLEANUP(mem_free) char *problem = mem_strdup(w->problem);
        if (stored_reference(store, w, w->endpoint, &found, err))
            return err->code;
        free(w->problem);
        w->problem = TAKE_PTR(problem);
    }
    return ERR_OK;
}

static MUST_CHECK enum err_code
keep_learned(const struct store *store, struct watch *w, struct err *err)
{
    CLEANUP(buf_done) struct buf rows = {0};

    watch_learn(w);
    reservoir_pack(w->reference, true, &rows);
    return store_put_reference(store, watch_reference(w, store->arena), w->endpoint, &rows, err);
}

/* ---- loading ---- */

static MUST_CHECK enum err_code
load(const struct store *store, struct monitoring *m, const char *endpoint, struct watch **watch,
     struct err *err)
{
    CLEANUP(watch_free) struct watch *w = NULL;
    struct monitor_row row;

    if (store_get_monitor(store, endpoint, true, &row, err))
        return err->code;
    w = watch_new(store->workspace, endpoint, row.rules, row.state);
    w->revision = row.revision;
    if (w->generation && load_reference(store, m, w, err))
        return err->code;
    for (size_t i = 0; i < w->pane_count; i++) {
        w->panes[i].sample = reservoir_new(watch_room(w));
        if (store_read_parts(store, endpoint, w->panes[i].number, w->panes[i].sample, err))
            return err->code;
    }
    *watch = TAKE_PTR(w);
    return ERR_OK;
}

/* The endpoint's watch, its row locked. */
static MUST_CHECK enum err_code
take(const struct change *change, struct monitoring *m, const PredictionsLogged *rows,
     struct watch **watch, struct err *err)
{
    const struct store *store = &change->store;
    int64_t revision;

    if (store_lock_monitor(store, rows->endpoint, &revision, err))
        return err->code;
    if (revision == 0 &&
        (change_deployed(change, rows->endpoint, rows->model_name, rows->version, err) ||
         store_lock_monitor(store, rows->endpoint, &revision, err)))
        return err->code;
    *watch = remembered(m, store, rows->endpoint, revision);
    if (!*watch) {
        if (load(store, m, rows->endpoint, watch, err))
            return err->code;
        remember(m, *watch);
    }
    (*watch)->used_ms = life_monotonic_ms();
    return ERR_OK;
}

static int64_t
fresh_revision(void)
{
    int64_t revision;

    crypto_random(&revision, sizeof(revision));
    return revision ? revision : 1;
}

/* What changed in memory goes to the database. */
static MUST_CHECK enum err_code
save(const struct store *store, struct watch *w, struct err *err)
{
    w->revision = fresh_revision();
    for (size_t i = 0; i < w->pane_count; i++) {
        struct pane *pane = &w->panes[i];
        CLEANUP(buf_done) struct buf rows = {0};
        if (!pane->sample || !pane->sample->changed)
            continue;
        bool whole = pane->parts >= WATCH_PARTS;
        reservoir_pack(pane->sample, whole, &rows);
        if (whole) {
            pane->parts = 0;
            if (store_drop_parts(store, w->endpoint, pane->number, pane->number, err))
                return err->code;
        }
        if (store_add_part(store, w->endpoint, pane->number, ++pane->parts, &rows, err))
            return err->code;
    }
    return store_set_monitor(store, w->endpoint, w->revision, NULL, watch_state(w, store->arena),
                             err);
}

static MUST_CHECK enum err_code
drop_all_parts(const struct store *store, const struct watch *w, struct err *err)
{
    return store_drop_parts(store, w->endpoint, 0, w->panes_opened, err);
}

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
    r.outcome = (char *)(uintptr_t)outcome_names[judgement->outcome];
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
    judge(&w->rules, w->reference, panes, w->pane_count, w->features, w->feature_count,
          change->store.arena, &judgement);
    watch_window(w, &window);
    w->windows++;
    crypto_uuid7(w->report_id);
    enum episode_turn turn = episode_window(&w->episode, &w->rules, judgement.outcome);
    if (turn == EPISODE_BEGINS) {
        crypto_uuid7(w->episode_id);
        w->since_ms = change->now_ms;
        metric_add(m->episodes, 1);
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
    if (same && (w->reference || w->pane_count))
        return ERR_OK;
    if (w->pane_count && drop_all_parts(&change->store, w, err))
        return err->code;
    watch_drop_panes(w);
    w->version = rows->version;
    free(w->model_name);
    w->model_name = mem_strdup(rows->model_name);
    return load_reference(&change->store, m, w, err);
}

static MUST_CHECK enum err_code
end_pane(const struct change *change, struct monitoring *m, struct watch *w, struct err *err)
{
    int64_t gone;

    if (!w->reference) {
        if (drop_all_parts(&change->store, w, err))
            return err->code;
        return keep_learned(&change->store, w, err);
    }
    if (watch_window_full(w) && close_window(change, m, w, err))
        return err->code;
    watch_next_pane(w, &gone);
    return gone ? store_drop_parts(&change->store, w->endpoint, gone, gone, err) : ERR_OK;
}

static MUST_CHECK enum err_code
feed(const struct change *change, struct monitoring *m, struct watch *w,
     const PredictionsLogged *rows, struct err *err)
{
    int64_t next = rows->n_timestamps_ms ? rows->timestamps_ms[0] : change->now_ms;
    size_t first = 0;

    if (watch_pane_full(w, next) && end_pane(change, m, w, err))
        return err->code;
    while (first < rows->row_count) {
        if (watch_feed(w, rows, change->now_ms, &first, err))
            return err->code;
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

    if (reservoir_check(rows, err) || take(change, m, rows, &w, err))
        return err->code;
    w->revision = 0; /* whatever fails from here on, it is loaded again */
    w->rows_dropped += rows->dropped;
    if (w->rules.disabled || rows->generation < w->generation) {
        w->rows_other += rows->row_count;
        metric_add(m->other, rows->row_count);
    } else {
        if (rows->generation > w->generation && switch_version(change, m, w, rows, err))
            return err->code;
        if (feed(change, m, w, rows, err))
            return err->code;
        metric_add(m->watched, rows->row_count);
    }
    return save(&change->store, w, err);
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
    if (w->episode.open && say_cleared(change, w, NULL, err))
        return err->code;
    return store_delete_monitor(&change->store, endpoint, err);
}

enum err_code
change_rules(const struct change *change, const char *endpoint, const MonitorRules *rules,
             struct err *err)
{
    CLEANUP(watch_free) struct watch *w = NULL;
    struct monitor_row row;

    if (store_get_monitor(&change->store, endpoint, true, &row, err))
        return err->code;
    w = watch_new(change->store.workspace, endpoint, rules, row.state);
    w->episode.drifted = w->episode.calm = 0;
    if (drop_all_parts(&change->store, w, err))
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
    return store_set_monitor(&change->store, endpoint, fresh_revision(), rules, state, err);
}
