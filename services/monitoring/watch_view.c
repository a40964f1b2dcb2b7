/* SPDX-License-Identifier: Apache-2.0 */
/* watch_view.c - what others see of a watch, and what is kept of it. */
#include "watch.h"

#include <string.h>

/* Columns of what was learned that the sample lacks: the others are compared with the sample. */
static uint32_t
columns_learned(const struct watch *w)
{
    uint32_t count = 0;

    for (size_t i = 0; w->learned && i < w->learned->column_count; i++) {
        const char *name = w->learned->columns[i].name;
        count += !reservoir_find(w->sample, name, false) && !reservoir_find(w->sample, name, true);
    }
    return count;
}

Reference *
watch_reference(const struct watch *w, struct arena *arena)
{
    Reference *r = arena_alloc(arena, sizeof(*r));
    const struct reservoir *main = w->sample ? w->sample : w->learned;

    modelbus__monitoring__v1__reference__init(r);
    r->kind = (char *)(w->sample ? "sample" : w->learned ? "rows" : "none");
    r->model_name = w->model_name;
    r->version = w->version;
    r->uri = w->uri;
    r->problem = w->problem;
    if (main) {
        r->rows = w->sample ? w->sample_rows : w->learned_rows;
        r->compared = reservoir_rows(main);
        r->columns = (uint32_t)main->column_count;
    }
    if (w->sample) {
        r->learned_columns = columns_learned(w);
        r->learned_rows = r->learned_columns ? w->learned_rows : w->learning.rows;
    }
    return r;
}

static void
add_pane(Window *window, const struct pane *pane)
{
    if (window->rows == 0)
        window->start_ms = pane->start_ms;
    window->end_ms = pane->end_ms > window->end_ms ? pane->end_ms : window->end_ms;
    window->rows += pane->rows;
    window->compared += pane->sample ? reservoir_rows(pane->sample) : 0;
}

void
watch_window(const struct watch *w, Window *window)
{
    window->number = w->windows + 1;
    if (!watch_has_reference(w))
        add_pane(window, &w->learning);
    for (size_t i = 0; i < w->pane_count; i++)
        add_pane(window, &w->panes[i]);
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

static Modelbus__Monitoring__V1__Pane *
pane_message(const struct pane *pane, struct arena *arena)
{
    Modelbus__Monitoring__V1__Pane *p = arena_alloc(arena, sizeof(*p));

    modelbus__monitoring__v1__pane__init(p);
    p->number = pane->number;
    p->start_ms = pane->start_ms;
    p->end_ms = pane->end_ms;
    p->rows = pane->rows;
    p->parts = pane->parts;
    p->opened_at_ms = pane->opened_ms;
    return p;
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
    s->panes = arena_alloc(arena, (w->pane_count + 1) * sizeof(*s->panes));
    for (size_t i = 0; i < w->pane_count; i++)
        s->panes[s->n_panes++] = pane_message(&w->panes[i], arena);
    if (w->learning.number)
        s->learning = pane_message(&w->learning, arena);
    return s;
}
