/* SPDX-License-Identifier: Apache-2.0 */
/* watches.c - the endpoints in memory: loaded, kept while they are good, written with each change. */
#include "watches.h"

#include "labels.h"
#include "reference.h"

#include "crypto/crypto.h"
#include "life/life.h"
#include "log/log.h"

#include <stdlib.h>
#include <string.h>

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
    m->performance_episodes = metrics_counter("modelbus_monitoring_performance_episodes_total",
                                              "Episodes of degraded performance that began.", NULL);
    labels_metrics(m);
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

/* endpoint "": of the sample. *reservoir NULL: it could not be used. */
static MUST_CHECK enum err_code
stored_reference(const struct store *store, const struct watch *w, const char *endpoint,
                 Reference **head, struct reservoir **reservoir, struct err *err)
{
    CLEANUP(reservoir_free) struct reservoir *r = NULL;
    const uint8_t *rows;
    size_t len;

    if (store_find_reference(store, w->model_name, w->version, endpoint, head, &rows, &len, err))
        return err->code;
    if (*head && len) {
        r = reservoir_new(RESERVOIR_ROOM_MAX);
        if (reservoir_apply(r, rows, len, err))
            return err_wrap(err, "reference of '%s' version %lld", w->model_name,
                            (long long)w->version);
    }
    *reservoir = TAKE_PTR(r);
    return ERR_OK;
}

static void
take_sample(struct watch *w, const Reference *head, struct reservoir *sample)
{
    free(w->uri);
    free(w->problem);
    w->uri = mem_strdup(head->uri);
    w->problem = mem_strdup(head->problem);
    w->sample = sample;
    w->sample_rows = head->rows;
}

/* A sample that cannot be used is noted, once, and rows become the reference instead. */
static MUST_CHECK enum err_code
fetch_sample(const struct store *store, struct monitoring *m, struct watch *w, const char *uri,
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
    take_sample(w, &head, TAKE_PTR(r));
    return ERR_OK;
}

enum err_code
watches_load_reference(const struct store *store, struct monitoring *m, struct watch *w,
                       struct err *err)
{
    struct reservoir *sample, *learned;
    ModelRegistered *registered;
    Reference *head;

    if (store_find_version(store, w->model_name, w->version, &registered, err))
        return err->code;
    w->registered = registered != NULL;
    watch_set_features(w, registered ? registered->feature_names : NULL,
                       registered ? registered->n_feature_names : 0);
    watch_drop_reference(w);
    if (stored_reference(store, w, "", &head, &sample, err))
        return err->code;
    if (head)
        take_sample(w, head, sample);
    else if (registered && registered->reference_sample && *registered->reference_sample->uri &&
             fetch_sample(store, m, w, registered->reference_sample->uri, err))
        return err->code;
    if (stored_reference(store, w, w->endpoint, &head, &learned, err))
        return err->code;
    w->learned = learned;
    w->learned_rows = head ? head->rows : 0;
    return ERR_OK;
}

enum err_code
watches_look_again(const struct store *store, struct monitoring *m, struct watch *w,
                   struct err *err)
{
    ModelRegistered *registered;

    if (w->registered)
        return ERR_OK;
    if (store_find_version(store, w->model_name, w->version, &registered, err))
        return err->code;
    return registered ? watches_load_reference(store, m, w, err) : ERR_OK;
}

enum err_code
watches_keep_learned(const struct store *store, struct watch *w, struct err *err)
{
    CLEANUP(buf_done) struct buf rows = {0};
    Reference head = MODELBUS__MONITORING__V1__REFERENCE__INIT;
    int64_t number = w->learning.number;

    watch_end_learning(w);
    head.kind = "rows";
    head.model_name = w->model_name;
    head.version = w->version;
    head.rows = w->learned_rows;
    reservoir_pack(w->learned, true, &rows);
    if (store_drop_parts(store, w->endpoint, number, number, err))
        return err->code;
    return store_put_reference(store, &head, w->endpoint, &rows, err);
}

enum err_code
watches_forget_learning(const struct store *store, struct watch *w, struct err *err)
{
    int64_t number = w->learning.number;

    watch_drop_learning(w);
    return number ? store_drop_parts(store, w->endpoint, number, number, err) : ERR_OK;
}

/* ---- loading ---- */

static MUST_CHECK enum err_code
load_pane(const struct store *store, const struct watch *w, struct pane *pane, size_t room,
          struct err *err)
{
    pane->sample = reservoir_new(room);
    return store_read_parts(store, w->endpoint, pane->number, pane->sample, err);
}

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
    if (w->generation && watches_load_reference(store, m, w, err))
        return err->code;
    if (w->pane_count && !watch_has_reference(w)) { /* of a window that cannot be judged */
        if (watches_drop_parts(store, w, err))
            return err->code;
        watch_drop_panes(w);
    }
    for (size_t i = 0; i < w->pane_count; i++)
        if (load_pane(store, w, &w->panes[i], watch_room(w), err))
            return err->code;
    if (w->learning.number && load_pane(store, w, &w->learning, RESERVOIR_ROOM_MAX, err))
        return err->code;
    *watch = TAKE_PTR(w);
    return ERR_OK;
}

enum err_code
watches_get(const struct change *change, struct monitoring *m, const char *endpoint,
            int64_t revision, struct watch **watch, struct err *err)
{
    const struct store *store = &change->store;

    *watch = remembered(m, store, endpoint, revision);
    if (!*watch) {
        if (load(store, m, endpoint, watch, err))
            return err->code;
        remember(m, *watch);
    }
    (*watch)->used_ms = life_monotonic_ms();
    return ERR_OK;
}

/* The endpoint's watch, its row locked. */
enum err_code
watches_take(const struct change *change, struct monitoring *m, const PredictionsLogged *rows,
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
    return watches_get(change, m, rows->endpoint, revision, watch, err);
}

int64_t
watches_revision(void)
{
    int64_t revision;

    crypto_random(&revision, sizeof(revision));
    return revision ? revision : 1;
}

static MUST_CHECK enum err_code
save_pane(const struct store *store, const struct watch *w, struct pane *pane, struct err *err)
{
    CLEANUP(buf_done) struct buf rows = {0};
    bool whole = pane->parts >= WATCH_PARTS;

    if (!pane->sample || !pane->sample->changed)
        return ERR_OK;
    reservoir_pack(pane->sample, whole, &rows);
    if (whole) {
        pane->parts = 0;
        if (store_drop_parts(store, w->endpoint, pane->number, pane->number, err))
            return err->code;
    }
    return store_add_part(store, w->endpoint, pane->number, ++pane->parts, &rows, err);
}

enum err_code
watches_save(const struct store *store, struct watch *w, struct err *err)
{
    w->revision = watches_revision();
    for (size_t i = 0; i < w->pane_count; i++)
        if (save_pane(store, w, &w->panes[i], err))
            return err->code;
    if (save_pane(store, w, &w->learning, err))
        return err->code;
    return store_set_monitor(store, w->endpoint, w->revision, NULL, watch_state(w, store->arena),
                             watch_due_ms(w), err);
}

enum err_code
watches_drop_parts(const struct store *store, const struct watch *w, struct err *err)
{
    return store_drop_parts(store, w->endpoint, 0, w->panes_opened, err);
}
