/* SPDX-License-Identifier: Apache-2.0 */
/*
 * promotion.c - challengers and champions. The model's row is locked first, as for every move of an
 * alias, so a decision is about the version that holds the alias when it commits.
 */
#include "changes.h"

#include <inttypes.h>

#define LATEST_EVALUATIONS 100 /* of a champion, among which the metric is looked for */

enum err_code
change_set_policy(const struct change *change, PromotionPolicy *policy, struct err *err)
{
    if (registry_check_policy(policy, err) || store_lock_model(&change->store, policy->name, err))
        return err->code;
    policy->updated_at_ms = change->now_ms;
    policy->updated_by = (char *)change->by;
    return store_set_policy(&change->store, policy, err);
}

enum err_code
change_delete_policy(const struct change *change, const char *name, const char *alias,
                     struct err *err)
{
    if (store_lock_model(&change->store, name, err))
        return err->code;
    return store_delete_policy(&change->store, name, alias, err);
}

enum err_code
change_evaluate(const struct change *change, Evaluation *evaluation, struct err *err)
{
    ModelVersion *version;

    evaluation->evaluated_at_ms = change->now_ms;
    evaluation->evaluated_by = (char *)change->by;
    if (registry_check_evaluation(evaluation, err) ||
        store_lock_model(&change->store, evaluation->name, err) ||
        store_get_version(&change->store, evaluation->name, evaluation->version, "", &version, err))
        return err->code;
    return store_put_evaluation(&change->store, evaluation, err);
}

static enum err_code
not_evaluated(const char *who, const char *name, int64_t version, const char *metric,
              const char *window, struct err *err)
{
    return err_set(err, ERR_PRECONDITION,
                   "%s, version %" PRId64 ", has no %.80s on window '%.80s'; evaluate it there: "
                   "`modelbus model evaluate %.80s %" PRId64 " --window %.80s --metric %.80s=...`",
                   who, version, metric, window, name, version, window, metric);
}

/* What a version reached by the policy's metric, on the window or, when the policy lets it, on the latest. */
static MUST_CHECK enum err_code
evaluation_of(const struct change *change, const PromotionPolicy *policy, const char *who,
              int64_t version, const char *window, bool any_window, Evaluation **found,
              struct err *err)
{
    Evaluation **latest, *there;
    size_t count = 0;

    if (store_find_evaluation(&change->store, policy->name, version, window, &there, err))
        return err->code;
    if (there && registry_metric(there, policy->metric)) {
        *found = there;
        return ERR_OK;
    }
    if (any_window && store_latest_evaluations(&change->store, policy->name, version,
                                               LATEST_EVALUATIONS, &latest, &count, err))
        return err->code;
    for (size_t i = 0; i < count; i++)
        if (registry_metric(latest[i], policy->metric)) {
            *found = latest[i];
            return ERR_OK;
        }
    return not_evaluated(who, policy->name, version, policy->metric, window, err);
}

/* Of a locked model. alias is where it points now. */
static MUST_CHECK enum err_code
judge(const struct change *change, const PromotionPolicy *policy, const Alias *now,
      const char *window, PromotionDecided *decision, struct err *err)
{
    Evaluation *challenger = NULL, *champion = NULL;

    if (evaluation_of(change, policy, "the challenger", decision->challenger, window, false,
                      &challenger, err) ||
        (now->version && evaluation_of(change, policy, "the champion", now->version, window,
                                       policy->any_window, &champion, err)))
        return err->code;
    decision->champion = now->version;
    decision->decided_by = (char *)change->by;
    decision->decided_at_ms = change->now_ms;
    registry_judge(policy, challenger, champion, change->store.arena, decision);
    if (change_say(change, &decision->base, err))
        return err->code;
    return store_add_decision(&change->store, decision, err);
}

static MUST_CHECK enum err_code
promote(const struct change *change, const PromotionDecided *decision, struct err *err)
{
    struct alias_move move = {
        .name = decision->model_name,
        .alias = decision->alias,
        .version = decision->challenger,
        .reason = arena_printf(change->store.arena, "challenge: %s", decision->reason),
    };
    Alias moved = MODELBUS__REGISTRY__V1__ALIAS__INIT;
    int64_t previous;

    return change_alias(change, &move, &moved, &previous, err);
}

enum err_code
change_challenge(const struct change *change, const char *name, int64_t version, const char *alias,
                 const char *window, PromotionDecided **decision, bool *before, struct err *err)
{
    PromotionDecided *decided = arena_alloc(change->store.arena, sizeof(*decided)), *old;
    Alias now = MODELBUS__REGISTRY__V1__ALIAS__INIT;
    ModelVersion *challenger;
    PromotionPolicy *policy;

    if (store_lock_model(&change->store, name, err) ||
        store_get_version(&change->store, name, version, "", &challenger, err) ||
        store_find_decision(&change->store, name, alias, version, window, &old, err) ||
        store_find_policy(&change->store, name, alias, &policy, err) ||
        store_get_alias(&change->store, name, alias, &now, err))
        return err->code;
    *before = old != NULL;
    if (old) {
        *decision = old;
        return ERR_OK;
    }
    if (!policy)
        return err_set(err, ERR_PRECONDITION,
                       "model '%.200s' has no promotion policy for '%.80s'; set one: `modelbus "
                       "model promotion-policy %.80s --metric NAME --higher-is-better`",
                       name, alias, name);
    if (now.version == version)
        return err_set(err, ERR_PRECONDITION, "version %" PRId64 " holds the alias '%s' already",
                       version, alias);
    modelbus__registry__v1__promotion_decided__init(decided);
    decided->model_name = (char *)name;
    decided->alias = (char *)alias;
    decided->challenger = version;
    if (judge(change, policy, &now, window, decided, err) ||
        (decided->promoted && promote(change, decided, err)))
        return err->code;
    *decision = decided;
    return ERR_OK;
}
