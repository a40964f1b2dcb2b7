/* SPDX-License-Identifier: Apache-2.0 */
/* label_state.c - what is known of an endpoint's labels between two transactions: loaded, pruned, stored. */
#include "labels.h"

#include <string.h>

static const char *const names[LABEL_REASONS] = {
    [LABEL_RECEIVED] = "received",
    [LABEL_JOINED] = "joined",
    [LABEL_DUPLICATE] = "duplicate",
    [LABEL_CONFLICTING] = "conflicting",
    [LABEL_UNKNOWN] = "unknown",
    [LABEL_LATE] = "late",
    [LABEL_OUTSIDE_SAMPLE] = "outside_sample",
    [LABEL_INVALID] = "invalid",
    [LABEL_OFF] = "off",
    [LABEL_DROPPED] = "dropped",
    [PREDICTION_STORED] = "prediction_stored",
    [PREDICTION_REPEATED] = "prediction_repeated",
    [PREDICTION_UNLABELLED] = "prediction_unlabelled",
    [PREDICTION_UNUSABLE] = "prediction_unusable",
    [PREDICTION_DROPPED] = "prediction_dropped",
};

const char *
label_reason_name(enum label_reason reason)
{
    return names[reason];
}

void
labels_metrics(struct monitoring *m)
{
    for (enum label_reason r = 0; r < LABEL_REASONS; r++)
        m->labels[r] = metrics_counter("modelbus_monitoring_labels_total",
                                       "Labels and predictions, by what became of them.", "result",
                                       names[r], NULL);
}

static LabelState *
state_new(struct arena *arena)
{
    LabelState *state = arena_alloc(arena, sizeof(*state));
    Performance *p = arena_alloc(arena, sizeof(*p));

    *state = (LabelState)MODELBUS__MONITORING__V1__LABEL_STATE__INIT;
    *p = (Performance)MODELBUS__MONITORING__V1__PERFORMANCE__INIT;
    p->state = "unknown";
    state->performance = p;
    return state;
}

enum err_code
labelling_begin(struct labelling *l, struct err *err)
{
    const struct store *store = &l->change->store;

    if (store_find_labels(store, l->endpoint, &l->state, err))
        return err->code;
    if (!l->state || !l->state->performance)
        l->state = state_new(store->arena);
    memset(l->counts, 0, sizeof(l->counts));
    return ERR_OK;
}

enum err_code
labelling_end(struct labelling *l, struct err *err)
{
    LabelState *state = l->state;
    uint64_t *counts = arena_zalloc(l->change->store.arena, sizeof(l->counts));

    for (size_t i = 0; i < LABEL_REASONS; i++) {
        counts[i] = l->counts[i] + (i < state->n_counts ? state->counts[i] : 0);
        if (l->monitoring)
            metric_add(l->monitoring->labels[i], (double)l->counts[i]);
    }
    state->counts = counts;
    state->n_counts = LABEL_REASONS;
    return store_set_labels(&l->change->store, l->endpoint, state, err);
}

static MUST_CHECK enum err_code
prune_labelled(struct labelling *l, int64_t before_ms, struct err *err)
{
    const Performance *p = l->state->performance;
    struct share *gone;
    size_t count;

    if (store_prune_labelled(&l->change->store, l->endpoint, before_ms, &gone, &count, err))
        return err->code;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < p->n_versions; k++)
            if (p->versions[k]->version == gone[i].version &&
                strcmp(p->versions[k]->model_name, gone[i].model_name) == 0 &&
                (int64_t)gone[i].rows > p->versions[k]->judged)
                p->versions[k]->rows--;
    return ERR_OK;
}

static MUST_CHECK enum err_code
prune_old(struct labelling *l, struct err *err)
{
    const struct store *store = &l->change->store;
    Performance *p = l->state->performance;
    int64_t horizon_ms = l->rules.horizon_ms, since_ms = l->change->now_ms - horizon_ms;
    int64_t late_ms = horizon_ms < LABEL_LATE_MS ? horizon_ms : LABEL_LATE_MS;
    uint64_t gone, unlabelled;

    if (l->change->now_ms < l->state->pruned_at_ms + LABEL_PRUNE_MS)
        return ERR_OK;
    l->state->pruned_at_ms = l->change->now_ms;
    if (store_prune_predictions(store, l->endpoint, since_ms - late_ms, 0, &gone, &unlabelled, err))
        return err->code;
    p->predictions -= gone;
    l->counts[PREDICTION_UNLABELLED] += unlabelled;
    if (store_prune_waiting(store, l->endpoint, since_ms, 0, &gone, err))
        return err->code;
    p->waiting -= gone;
    l->counts[LABEL_UNKNOWN] += gone;
    return prune_labelled(l, since_ms - late_ms, err);
}

enum err_code
labelling_prune(struct labelling *l, struct err *err)
{
    const struct store *store = &l->change->store;
    Performance *p = l->state->performance;
    uint64_t kept = (uint64_t)l->monitoring->settings->predictions_kept, gone, unlabelled;

    if (prune_old(l, err))
        return err->code;
    if (p->predictions > kept) {
        if (store_prune_predictions(store, l->endpoint, 0, p->predictions - kept, &gone,
                                    &unlabelled, err))
            return err->code;
        p->predictions -= gone;
        l->counts[PREDICTION_DROPPED] += unlabelled;
    }
    if (p->waiting > kept) {
        if (store_prune_waiting(store, l->endpoint, 0, p->waiting - kept, &gone, err))
            return err->code;
        p->waiting -= gone;
        l->counts[LABEL_DROPPED] += gone;
    }
    return ERR_OK;
}
