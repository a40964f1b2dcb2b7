/* SPDX-License-Identifier: Apache-2.0 */
/* watch.c - rows into panes, panes into windows. */
#include "watch.h"

#include <stdlib.h>
#include <string.h>

_Static_assert((RESERVOIR_ROOM_MAX + WATCH_LEARN_ROOM + WATCH_ROOM) * sizeof(uint64_t) +
                       2 * RESERVOIR_TEXTS * sizeof(struct reservoir_text) <=
                   64 << 10,
               "a column costs 64 KiB at most");

/* ---- life ---- */

static void
copy_id(char id[37], const char *text)
{
    strncpy(id, text, 36);
    id[36] = '\0';
}

static struct pane
restore_pane(struct watch *w, const Modelbus__Monitoring__V1__Pane *p)
{
    if (p->number > w->panes_opened)
        w->panes_opened = p->number;
    return (struct pane){.number = p->number,
                         .start_ms = p->start_ms,
                         .end_ms = p->end_ms,
                         .opened_ms = p->opened_at_ms,
                         .rows = p->rows,
                         .parts = p->parts};
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
    for (size_t i = 0; i < state->n_panes && i < RULES_PANES_MAX; i++)
        w->panes[w->pane_count++] = restore_pane(w, state->panes[i]);
    if (state->learning)
        w->learning = restore_pane(w, state->learning);
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
    watch_drop_learning(w);
}

void
watch_drop_learning(struct watch *w)
{
    pane_done(&w->learning);
}

void
watch_drop_reference(struct watch *w)
{
    reservoir_free(TAKE_PTR(w->sample));
    reservoir_free(TAKE_PTR(w->learned));
    w->sample_rows = w->learned_rows = 0;
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

static size_t
bytes_of(const struct reservoir *r)
{
    return r ? reservoir_bytes(r) : 0;
}

size_t
watch_bytes(const struct watch *w)
{
    size_t bytes = sizeof(*w) + arena_used(w->arena) + bytes_of(w->sample) + bytes_of(w->learned) +
                   bytes_of(w->learning.sample);

    for (size_t i = 0; i < w->pane_count; i++)
        bytes += bytes_of(w->panes[i].sample);
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

/* ---- rows ---- */

bool
watch_has_reference(const struct watch *w)
{
    return w->sample || w->learned;
}

size_t
watch_room(const struct watch *w)
{
    size_t room = WATCH_ROOM / w->rules.panes;

    return room < w->rules.pane_rows ? room : w->rules.pane_rows;
}

static struct pane
open_pane(struct watch *w, size_t room)
{
    return (struct pane){.number = ++w->panes_opened, .sample = reservoir_new(room)};
}

static int64_t
time_of(const PredictionsLogged *rows, size_t row, int64_t now_ms)
{
    int64_t at = rows->n_timestamps_ms ? rows->timestamps_ms[row] : 0;

    /* A pod's clock may be wrong; ours bounds it. */
    return at > 0 && at < now_ms ? at : now_ms;
}

/* At most so many rows as the pane still needs to have `wanted`. */
static void
fill(struct pane *pane, uint32_t wanted, const PredictionsLogged *rows, int64_t now_ms,
     size_t *first)
{
    size_t left = rows->row_count - *first;
    uint64_t room = wanted > pane->rows ? wanted - pane->rows : 0;
    size_t count = left < room ? left : (size_t)room;

    if (count == 0)
        return;
    reservoir_feed(pane->sample, rows, *first, count);
    if (pane->rows == 0) {
        pane->start_ms = time_of(rows, *first, now_ms);
        pane->opened_ms = now_ms;
    }
    int64_t end = time_of(rows, *first + count - 1, now_ms);
    pane->end_ms = end > pane->end_ms ? end : pane->end_ms;
    pane->rows += count;
    *first += count;
}

void
watch_feed(struct watch *w, const PredictionsLogged *rows, int64_t now_ms, size_t *first)
{
    if (w->pane_count == 0)
        w->panes[w->pane_count++] = open_pane(w, watch_room(w));
    fill(&w->panes[w->pane_count - 1], w->rules.pane_rows, rows, now_ms, first);
}

bool
watch_pane_full(const struct watch *w, int64_t next_ms)
{
    const struct pane *pane = w->pane_count ? &w->panes[w->pane_count - 1] : NULL;

    if (!pane)
        return false;
    if (pane->rows >= w->rules.pane_rows)
        return true;
    return w->rules.pane_ms && next_ms && pane->rows >= w->rules.pane_min_rows &&
           next_ms - pane->start_ms >= w->rules.pane_ms;
}

int64_t
watch_due_ms(const struct watch *w)
{
    const struct pane *pane = w->pane_count ? &w->panes[w->pane_count - 1] : NULL;

    return pane && w->rules.pane_ms && pane->rows >= w->rules.pane_min_rows
               ? pane->opened_ms + w->rules.pane_ms
               : 0;
}

/* ---- learning ---- */

/* guess: where the sample has the first of them, most likely. */
static bool
lacks(const struct reservoir *r, Modelbus__Serving__V1__Column *const *columns, size_t count,
      size_t guess)
{
    for (size_t i = 0; i < count; i++, guess++) {
        const char *name = columns[i]->name;
        if (guess < r->column_count && strcmp(r->columns[guess].name, name) == 0)
            continue;
        /* What is an output is not known of a sample. */
        if (!reservoir_find(r, name, false) && !reservoir_find(r, name, true))
            return true;
    }
    return false;
}

bool
watch_learns(const struct watch *w, const PredictionsLogged *rows)
{
    if (w->learned || (w->sample && w->episode.open))
        return false;
    return !w->sample || w->learning.number ||
           lacks(w->sample, rows->features, rows->n_features, 0) ||
           lacks(w->sample, rows->outputs, rows->n_outputs, rows->n_features);
}

size_t
watch_learn(struct watch *w, const PredictionsLogged *rows, int64_t now_ms)
{
    uint32_t wanted = w->rules.reference_rows;
    size_t count = 0;

    if (!w->learning.number) {
        w->learning = open_pane(w, wanted < WATCH_LEARN_ROOM ? wanted : WATCH_LEARN_ROOM);
        w->learning.sample->texts = true;
    }
    fill(&w->learning, wanted, rows, now_ms, &count);
    return count;
}

bool
watch_learned(const struct watch *w)
{
    return w->learning.number && w->learning.rows >= w->rules.reference_rows;
}

void
watch_end_learning(struct watch *w)
{
    w->learned_rows = w->learning.rows;
    w->learned = TAKE_PTR(w->learning.sample);
    pane_done(&w->learning);
}

/* ---- windows ---- */

bool
watch_window_full(const struct watch *w)
{
    return w->pane_count == w->rules.panes;
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
    w->panes[w->pane_count++] = open_pane(w, watch_room(w));
}
