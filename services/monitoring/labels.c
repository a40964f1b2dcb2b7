/* SPDX-License-Identifier: Apache-2.0 */
/* labels.c - predictions and labels find each other. */
#include "labels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- predictions ---- */

/* The version that the endpoint serves: windows of it count from now on. */
static void
serve(struct labelling *l, const PredictionsLogged *rows)
{
    Performance *p = l->state->performance;

    if (rows->generation < p->generation)
        return;
    if (rows->version != p->version || strcmp(rows->model_name, p->model_name) != 0)
        l->state->degraded = l->state->good = 0;
    p->generation = rows->generation;
    p->version = rows->version;
    p->model_name = rows->model_name;
}

static const Modelbus__Serving__V1__Column *
output_column(struct labelling *l, const PredictionsLogged *rows)
{
    Performance *p = l->state->performance;
    const char *wanted = l->rules.output;

    for (size_t i = 0; i < rows->n_outputs; i++)
        if (!*wanted || strcmp(rows->outputs[i]->name, wanted) == 0) {
            p->problem = rows->outputs[i]->n_strings
                             ? arena_printf(l->change->store.arena,
                                            "output '%s' of version %lld is text, not a number",
                                            rows->outputs[i]->name, (long long)rows->version)
                             : "";
            return rows->outputs[i];
        }
    p->problem = arena_printf(l->change->store.arena,
                              "version %lld has no output '%s' (the first of %zu: '%s')",
                              (long long)rows->version, wanted, rows->n_outputs,
                              rows->n_outputs ? rows->outputs[0]->name : "");
    return NULL;
}

/* NaN: there is none, or it is text. */
static double
output_at(const Modelbus__Serving__V1__Column *column, size_t row)
{
    if (!column)
        return NAN;
    return row < column->n_floats    ? (double)column->floats[row]
           : row < column->n_doubles ? column->doubles[row]
           : row < column->n_ints    ? (double)column->ints[row]
                                     : NAN;
}

/* The rows that wait for labels. */
static size_t
choose(struct labelling *l, const PredictionsLogged *rows, struct prediction *chosen)
{
    const Modelbus__Serving__V1__Column *column = output_column(l, rows);
    int64_t now_ms = l->change->now_ms;
    size_t count = 0;

    for (size_t i = 0; i < rows->n_prediction_ids; i++) {
        int64_t at_ms = rows->n_timestamps_ms ? rows->timestamps_ms[i] : now_ms;
        double output = output_at(column, i);
        if (!label_sampled(&l->rules, rows->prediction_ids[i]))
            continue;
        if (!isfinite(output))
            l->counts[PREDICTION_UNUSABLE]++;
        else if (at_ms < now_ms - l->rules.horizon_ms)
            l->counts[PREDICTION_UNLABELLED]++;
        else
            chosen[count++] = (struct prediction){
                .id = rows->prediction_ids[i], .at_ms = at_ms, .output = output};
    }
    return count;
}

/* Labels that came before these predictions. */
static MUST_CHECK enum err_code
join_waiting(struct labelling *l, const struct prediction *rows, size_t count, struct err *err)
{
    const struct store *store = &l->change->store;
    const char **ids = arena_alloc(store->arena, (count + 1) * sizeof(*ids));
    struct prediction *joined;
    struct waiting *taken;
    size_t taken_count, joined_count = 0;

    if (l->state->performance->waiting == 0 || count == 0)
        return ERR_OK;
    for (size_t i = 0; i < count; i++)
        ids[i] = rows[i].id;
    if (store_take_waiting(store, l->endpoint, ids, count, &taken, &taken_count, err))
        return err->code;
    l->state->performance->waiting -= taken_count;
    joined = arena_alloc(store->arena, (taken_count + 1) * sizeof(*joined));
    for (size_t i = 0; i < taken_count; i++) {
        double label;
        if (!label_read(&l->rules, taken[i].value, &label))
            l->counts[LABEL_INVALID]++;
        else
            joined[joined_count++] = (struct prediction){.id = taken[i].id, .label = label};
    }
    return labelling_join(l, joined, joined_count, err);
}

enum err_code
labels_predicted(const struct change *change, const struct monitoring *m,
                 const PerformanceRules *rules, const PredictionsLogged *rows, struct err *err)
{
    struct labelling l = {.change = change,
                          .monitoring = m,
                          .endpoint = rows->endpoint,
                          .rules = label_rules_of(rules)};
    size_t added = 0;

    if (!l.rules.on)
        return ERR_OK;
    if (rows->n_prediction_ids != rows->row_count)
        return err_set(err, ERR_INVALID, "prediction_ids: %zu for %u rows", rows->n_prediction_ids,
                       rows->row_count);
    if (labelling_begin(&l, err))
        return err->code;
    serve(&l, rows);
    struct prediction *chosen =
        arena_alloc(change->store.arena, (rows->row_count + 1) * sizeof(*chosen));
    size_t count = choose(&l, rows, chosen);
    if (count && store_add_predictions(&change->store, l.endpoint, rows->model_name, rows->version,
                                       chosen, count, &added, err))
        return err->code;
    l.state->performance->predictions += added;
    l.counts[PREDICTION_STORED] += added;
    l.counts[PREDICTION_REPEATED] += count - added;
    if (join_waiting(&l, chosen, count, err) || labelling_prune(&l, err))
        return err->code;
    return labelling_end(&l, err);
}

/* ---- labels ---- */

struct arrival {
    const Label *label;
    size_t at; /* in the message */
};

static int
by_id(const void *a, const void *b)
{
    const struct arrival *x = a, *y = b;
    int order = strcmp(x->label->prediction_id, y->label->prediction_id);

    return order ? order : (x->at > y->at) - (x->at < y->at);
}

static int
by_place(const void *a, const void *b)
{
    const struct prediction *x = a, *y = b;

    return (x->at_ms > y->at_ms) - (x->at_ms < y->at_ms);
}

/* What one message's labels do; rows of all lists are ordered by id. */
struct sorting {
    struct labelling *l;
    struct prediction *known, *known_end, *joined;
    struct waiting *held, *held_end, *wait;
    size_t joined_count, wait_count;
};

/* Its prediction is there. */
static void
meet(struct sorting *s, const struct arrival *arrival, struct prediction *known)
{
    struct labelling *l = s->l;
    double value;

    if (!label_read(&l->rules, arrival->label->value, &value))
        l->counts[LABEL_INVALID]++;
    else if (known->labelled)
        l->counts[value == known->label ? LABEL_DUPLICATE : LABEL_CONFLICTING]++;
    else if (known->at_ms < l->change->now_ms - l->rules.horizon_ms)
        l->counts[LABEL_LATE]++;
    else {
        known->labelled = true;
        known->label = value;
        /* at_ms: its place, until it is sorted by it */
        s->joined[s->joined_count++] =
            (struct prediction){.id = known->id, .label = value, .at_ms = (int64_t)arrival->at};
    }
}

/* It is not; held: a label that waits for it already, or NULL. */
static void
hold(struct sorting *s, const struct arrival *arrival, const struct waiting *held)
{
    struct labelling *l = s->l;
    const Label *label = arrival->label;
    double value, before;

    if (!label_read(&l->rules, label->value, &value))
        l->counts[LABEL_INVALID]++;
    else if (!label_sampled(&l->rules, label->prediction_id))
        l->counts[LABEL_OUTSIDE_SAMPLE]++;
    else if (held)
        l->counts[label_read(&l->rules, held->value, &before) && before == value
                      ? LABEL_DUPLICATE
                      : LABEL_CONFLICTING]++;
    else
        s->wait[s->wait_count++] =
            (struct waiting){.id = label->prediction_id, .value = label->value};
}

static void
sort_out(struct sorting *s, const struct arrival *arrivals, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *id = arrivals[i].label->prediction_id;
        while (s->known < s->known_end && strcmp(s->known->id, id) < 0)
            s->known++;
        while (s->held < s->held_end && strcmp(s->held->id, id) < 0)
            s->held++;
        if (s->known < s->known_end && strcmp(s->known->id, id) == 0)
            meet(s, &arrivals[i], s->known);
        else if (s->held < s->held_end && strcmp(s->held->id, id) == 0)
            hold(s, &arrivals[i], s->held);
        else if (s->wait_count && strcmp(s->wait[s->wait_count - 1].id, id) == 0)
            hold(s, &arrivals[i], &s->wait[s->wait_count - 1]);
        else
            hold(s, &arrivals[i], NULL);
    }
}

static MUST_CHECK enum err_code
take(struct labelling *l, const LabelsReceived *event, struct err *err)
{
    const struct store *store = &l->change->store;
    size_t count = event->n_labels, id_count = 0, known_count, held_count = 0;
    struct arrival *arrivals = arena_alloc(store->arena, count * sizeof(*arrivals));
    const char **ids = arena_alloc(store->arena, count * sizeof(*ids));
    struct sorting s = {.l = l,
                        .joined = arena_alloc(store->arena, count * sizeof(*s.joined)),
                        .wait = arena_alloc(store->arena, count * sizeof(*s.wait))};

    for (size_t i = 0; i < count; i++)
        arrivals[i] = (struct arrival){.label = event->labels[i], .at = i};
    qsort(arrivals, count, sizeof(*arrivals), by_id);
    for (size_t i = 0; i < count; i++)
        if (!id_count || strcmp(ids[id_count - 1], arrivals[i].label->prediction_id) != 0)
            ids[id_count++] = arrivals[i].label->prediction_id;
    if (store_find_predictions(store, l->endpoint, ids, id_count, &s.known, &known_count, err))
        return err->code;
    if (l->state->performance->waiting &&
        store_find_waiting(store, l->endpoint, ids, id_count, &s.held, &held_count, err))
        return err->code;
    s.known_end = s.known + known_count;
    s.held_end = s.held ? s.held + held_count : NULL;
    sort_out(&s, arrivals, count);
    if (s.wait_count &&
        store_add_waiting(store, l->endpoint, s.wait, s.wait_count, l->change->now_ms, err))
        return err->code;
    l->state->performance->waiting += s.wait_count;
    qsort(s.joined, s.joined_count, sizeof(*s.joined), by_place);
    return labelling_join(l, s.joined, s.joined_count, err);
}

enum err_code
labels_received(const struct change *change, const struct monitoring *m,
                const LabelsReceived *event, struct err *err)
{
    struct labelling l = {.change = change, .monitoring = m, .endpoint = event->endpoint};
    struct monitor_row row;

    if (labels_check(event->endpoint, event->labels, event->n_labels, err) ||
        store_get_monitor(&change->store, event->endpoint, true, &row, err))
        return err->code;
    l.rules = label_rules_of(row.rules->performance);
    if (labelling_begin(&l, err))
        return err->code;
    l.counts[LABEL_RECEIVED] += event->n_labels;
    if (!l.rules.on)
        l.counts[LABEL_OFF] += event->n_labels;
    else if (take(&l, event, err) || labelling_prune(&l, err))
        return err->code;
    return labelling_end(&l, err);
}

/* ---- endpoints ---- */

enum err_code
labels_rules_changed(const struct change *change, const char *endpoint,
                     const PerformanceRules *before, const PerformanceRules *after, struct err *err)
{
    struct labelling l = {.change = change, .endpoint = endpoint, .rules = label_rules_of(before)};

    if (!l.rules.on && !label_rules_of(after).on)
        return ERR_OK;
    if (labelling_begin(&l, err))
        return err->code;
    l.state->degraded = l.state->good = 0;
    if (label_rules_differ(before, after)) {
        Performance *p = l.state->performance;
        if (labelling_recover(&l, err) || store_drop_labels(&change->store, endpoint, false, err))
            return err->code;
        l.counts[LABEL_DROPPED] += p->waiting;
        l.counts[PREDICTION_DROPPED] += p->predictions;
        p->waiting = p->predictions = 0;
        p->n_versions = 0;
        p->state = "unknown";
        p->episode = "";
        p->problem = "";
        p->since_ms = change->now_ms;
    }
    return labelling_end(&l, err);
}

enum err_code
labels_endpoint_gone(const struct change *change, const char *endpoint, struct err *err)
{
    struct labelling l = {.change = change, .endpoint = endpoint};

    if (labelling_begin(&l, err) || labelling_recover(&l, err))
        return err->code;
    return store_drop_labels(&change->store, endpoint, true, err);
}
