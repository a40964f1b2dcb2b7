/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c - rows into panes, panes into windows. */
#include "watch.h"

#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {
    [REFERENCE_NONE] = "none", [REFERENCE_SAMPLE] = "sample", [REFERENCE_ROWS_SEEN] = "rows"};

/* ---- life ---- */

static void
copy_id(char id[37], const char *text)
{
    strncpy(id, text, 36);
    id[36] = '\0';
}

static void
restore(struct watch *w, const WatchState *state)
{
    const Monitor *m = state->monitor;

    w->windows = state->windows;
    w->episode = (struct episode){.drifted = state->drifted, .calm = state->calm};
    if (m) {
        free(w->model_name);
        w->model_name = mem_strdup(m->model_name);
        w->version = m->version;
        w->generation = m->generation;
        w->since_ms = m->since_ms;
        w->rows_dropped = m->rows_dropped;
        w->rows_other = m->rows_other;
        w->episode.open = strcmp(m->state, "drift") == 0;
        w->judged = strcmp(m->state, "unknown") != 0;
        copy_id(w->episode_id, m->episode);
        copy_id(w->report_id, m->last_report_id);
    }
    for (size_t i = 0; i < state->n_panes && i < RULES_PANES_MAX; i++) {
        const Modelbus__Monitoring__V1__Pane *p = state->panes[i];
        w->panes[w->pane_count++] = (struct pane){.number = p->number,
                                                  .start_ms = p->start_ms,
                                                  .end_ms = p->end_ms,
                                                  .rows = p->rows,
                                                  .parts = p->parts};
        w->panes_opened = p->number;
    }
}

struct watch *
watch_new(const char *workspace, const char *endpoint, const MonitorRules *rules,
          const WatchState *state)
{
    struct watch *w = mem_zalloc(sizeof(*w));

    w->workspace = mem_strdup(workspace);
    w->endpoint = mem_strdup(endpoint);
    w->model_name = mem_strdup("");
    w->uri = mem_strdup("");
    w->problem = mem_strdup("");
    w->arena = arena_new(4096, 0);
    watch_set_rules(w, rules);
    if (state)
        restore(w, state);
    return w;
}

static void
pane_done(struct pane *pane)
{
    reservoir_free(pane->sample);
    *pane = (struct pane){0};
}

void
watch_drop_panes(struct watch *w)
{
    for (size_t i = 0; i < w->pane_count; i++)
        pane_done(&w->panes[i]);
    w->pane_count = 0;
}

void
watch_drop_reference(struct watch *w)
{
    reservoir_free(TAKE_PTR(w->reference));
    w->kind = REFERENCE_NONE;
    w->reference_rows = 0;
    free(w->uri);
    free(w->problem);
    w->uri = mem_strdup("");
    w->problem = mem_strdup("");
}

void
watch_set_features(struct watch *w, char *const *features, size_t count)
{
    for (size_t i = 0; i < w->feature_count; i++)
        free(w->features[i]);
    free(w->features);
    w->features = mem_calloc(count + 1, sizeof(*w->features));
    w->feature_count = count;
    for (size_t i = 0; i < count; i++)
        w->features[i] = mem_strdup(features[i]);
}

void
watch_free(struct watch *w)
{
    if (!w)
        return;
    watch_drop_panes(w);
    watch_drop_reference(w);
    watch_set_features(w, NULL, 0);
    free(w->features);
    arena_free(w->arena);
    free(w->uri);
    free(w->problem);
    free(w->model_name);
    free(w->workspace);
    free(w->endpoint);
    free(w);
}

size_t
watch_bytes(const struct watch *w)
{
    size_t bytes = sizeof(*w) + arena_used(w->arena);

    if (w->reference)
        bytes += reservoir_bytes(w->reference);
    for (size_t i = 0; i < w->pane_count; i++)
        if (w->panes[i].sample)
            bytes += reservoir_bytes(w->panes[i].sample);
    return bytes;
}

void
watch_set_rules(struct watch *w, const MonitorRules *rules)
{
    size_t size = protobuf_c_message_get_packed_size(&rules->base);
    uint8_t *packed = arena_alloc(w->arena, size + 1);

    protobuf_c_message_pack(&rules->base, packed);
    const MonitorRules *copy = (const MonitorRules *)ARENA_UNPACK(
        w->arena, &modelbus__monitoring__v1__monitor_rules__descriptor, size, packed);
    if (!copy)
        abort(); /* it has just been packed */
    w->rules = rules_of(copy);
}

/* ---- what others see ---- */

Reference *
watch_reference(const struct watch *w, struct arena *arena)
{
    Reference *r = arena_alloc(arena, sizeof(*r));

    modelbus__monitoring__v1__reference__init(r);
    r->kind = (char *)(uintptr_t)kind_names[w->kind];
    r->model_name = w->model_name;
    r->version = w->version;
    r->uri = w->uri;
    r->problem = w->problem;
    r->rows = w->reference_rows;
    if (w->reference) {
        r->compared = reservoir_rows(w->reference);
        r->columns = (uint32_t)w->reference->column_count;
    }
    return r;
}

Monitor *
watch_monitor(const struct watch *w, struct arena *arena)
{
    Monitor *m = arena_alloc(arena, sizeof(*m));

    modelbus__monitoring__v1__monitor__init(m);
    m->endpoint = w->endpoint;
    m->rules = (MonitorRules *)(uintptr_t)w->rules.message;
    m->model_name = w->model_name;
    m->version = w->version;
    m->generation = w->generation;
    m->reference = watch_reference(w, arena);
    m->window = arena_alloc(arena, sizeof(*m->window));
    modelbus__monitoring__v1__window__init(m->window);
    watch_window(w, m->window);
    m->state = (char *)(w->episode.open ? "drift" : w->judged ? "ok" : "unknown");
    m->since_ms = w->since_ms;
    m->episode = (char *)(uintptr_t)w->episode_id;
    m->last_report_id = (char *)(uintptr_t)w->report_id;
    m->rows_dropped = w->rows_dropped;
    m->rows_other = w->rows_other;
    return m;
}

WatchState *
watch_state(const struct watch *w, struct arena *arena)
{
    WatchState *s = arena_alloc(arena, sizeof(*s));

    modelbus__monitoring__v1__watch_state__init(s);
    s->monitor = watch_monitor(w, arena);
    s->monitor->rules = NULL;
    s->monitor->endpoint = (char *)(uintptr_t)protobuf_c_empty_string;
    s->windows = w->windows;
    s->drifted = w->episode.drifted;
    s->calm = w->episode.calm;
    s->n_panes = w->pane_count;
    s->panes = arena_alloc(arena, (w->pane_count + 1) * sizeof(*s->panes));
    for (size_t i = 0; i < w->pane_count; i++) {
        const struct pane *pane = &w->panes[i];
        Modelbus__Monitoring__V1__Pane *p = s->panes[i] = arena_alloc(arena, sizeof(*p));
        modelbus__monitoring__v1__pane__init(p);
        p->number = pane->number;
        p->start_ms = pane->start_ms;
        p->end_ms = pane->end_ms;
        p->rows = pane->rows;
        p->parts = pane->parts;
    }
    return s;
}

/* ---- rows ---- */

struct pane *
watch_filling(struct watch *w)
{
    return w->pane_count ? &w->panes[w->pane_count - 1] : NULL;
}

static uint32_t
rows_wanted(const struct watch *w)
{
    return w->reference ? w->rules.pane_rows : w->rules.reference_rows;
}

size_t
watch_room(const struct watch *w)
{
    size_t room = w->reference ? WATCH_ROOM / w->rules.panes : RESERVOIR_ROOM_MAX;
    uint32_t wanted = rows_wanted(w);

    return room < wanted ? room : wanted;
}

static void
open_pane(struct watch *w)
{
    struct pane *pane = &w->panes[w->pane_count++];

    *pane = (struct pane){.number = ++w->panes_opened, .sample = reservoir_new(watch_room(w))};
}

static int64_t
time_of(const PredictionsLogged *rows, size_t row, int64_t now_ms)
{
    int64_t at = rows->n_timestamps_ms ? rows->timestamps_ms[row] : 0;

    /* A pod's clock may be wrong; ours bounds it. */
    return at > 0 && at < now_ms ? at : now_ms;
}

enum err_code
watch_feed(struct watch *w, const PredictionsLogged *rows, int64_t now_ms, size_t *first,
           struct err *err)
{
    size_t left = rows->row_count - *first;

    if (w->pane_count == 0)
        open_pane(w);
    struct pane *pane = watch_filling(w);
    uint64_t room = rows_wanted(w) > pane->rows ? rows_wanted(w) - pane->rows : 0;
    size_t count = left < room ? left : (size_t)room;
    if (count == 0)
        return ERR_OK;
    if (reservoir_feed(pane->sample, rows, *first, count, err))
        return err->code;
    if (pane->rows == 0)
        pane->start_ms = time_of(rows, *first, now_ms);
    int64_t end = time_of(rows, *first + count - 1, now_ms);
    pane->end_ms = end > pane->end_ms ? end : pane->end_ms;
    pane->rows += count;
    *first += count;
    return ERR_OK;
}

bool
watch_pane_full(const struct watch *w, int64_t next_ms)
{
    const struct pane *pane = w->pane_count ? &w->panes[w->pane_count - 1] : NULL;

    if (!pane)
        return false;
    if (pane->rows >= rows_wanted(w))
        return true;
    return w->reference && w->rules.pane_ms && next_ms && pane->rows >= w->rules.pane_min_rows &&
           next_ms - pane->start_ms >= w->rules.pane_ms;
}

void
watch_learn(struct watch *w)
{
    struct pane *pane = watch_filling(w);

    w->kind = REFERENCE_ROWS_SEEN;
    w->reference_rows = pane->rows;
    w->reference = TAKE_PTR(pane->sample);
    watch_drop_panes(w);
}

bool
watch_window_full(const struct watch *w)
{
    return w->reference && w->pane_count == w->rules.panes;
}

void
watch_window(const struct watch *w, Window *window)
{
    window->number = w->windows + 1;
    for (size_t i = 0; i < w->pane_count; i++) {
        const struct pane *pane = &w->panes[i];
        if (i == 0)
            window->start_ms = pane->start_ms;
        window->end_ms = pane->end_ms > window->end_ms ? pane->end_ms : window->end_ms;
        window->rows += pane->rows;
        window->compared += pane->sample ? reservoir_rows(pane->sample) : 0;
    }
}

void
watch_next_pane(struct watch *w, int64_t *gone)
{
    *gone = 0;
    if (w->pane_count == w->rules.panes) {
        *gone = w->panes[0].number;
        pane_done(&w->panes[0]);
        memmove(&w->panes[0], &w->panes[1], (w->pane_count - 1) * sizeof(w->panes[0]));
        w->pane_count--;
    }
    open_pane(w);
}
