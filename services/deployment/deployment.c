/* SPDX-License-Identifier: Apache-2.0 */
/* deployment.c - the rules of endpoints. */
#include "deployment.h"
#include <inttypes.h>
#include <string.h>

enum err_code
deployment_check_name(const char *name, struct err *err)
{
    size_t len = strnlen(name, 64);

    if (len == 0 || len > 63 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != len ||
        name[0] == '-' || name[len - 1] == '-')
        return err_set(
            err, ERR_INVALID,
            "endpoint name: 1 to 63 lower-case letters, digits and '-', which is neither "
            "first nor last");
    return ERR_OK;
}

enum err_code
deployment_check_binding(const char *model_name, const char **alias, int64_t version,
                         struct err *err)
{
    if (value_check_model_name(model_name, err))
        return err->code;
    if (version < 0 || (version && **alias))
        return err_set(err, ERR_INVALID, "an alias, or a version, or neither");
    if (version)
        return ERR_OK;
    if (!**alias)
        *alias = DEPLOYMENT_CHAMPION;
    return value_check_alias(*alias, err);
}

enum err_code
deployment_check_generation(const struct endpoint *endpoint, int64_t expected, struct err *err)
{
    if (expected && expected != endpoint->generation)
        return err_set(err, ERR_CONFLICT,
                       "endpoint '%s' is at generation %" PRId64 ", not at the expected %" PRId64,
                       endpoint->name, endpoint->generation, expected);
    return ERR_OK;
}

bool
deployment_same_version(const Target *a, const Target *b)
{
    return a && b && a->version == b->version && strcmp(a->model_name, b->model_name) == 0;
}

enum deployment_reaction
deployment_on_alias(const struct endpoint *endpoint, int64_t version)
{
    const Target *target = endpoint->target;

    if (version == 0)
        return DEPLOYMENT_KEEP;
    if (target && target->version == version &&
        strcmp(target->model_name, endpoint->model_name) == 0)
        return endpoint->held ? DEPLOYMENT_RELEASE : DEPLOYMENT_STAY;
    return DEPLOYMENT_DEPLOY_IT;
}

Target *
deployment_fallback(const struct endpoint *endpoint, const Target *target)
{
    return deployment_same_version(endpoint->good, target) ? NULL : endpoint->good;
}

const char *
deployment_outcome(PodState *const *pods, size_t count, int64_t generation, const char **detail)
{
    const char *outcome = DEPLOYMENT_PENDING;

    *detail = "";
    for (size_t i = 0; i < count; i++) {
        if (pods[i]->generation != generation)
            continue;
        if (!pods[i]->loaded) {
            *detail = pods[i]->error;
            return DEPLOYMENT_FAILED;
        }
        outcome = DEPLOYMENT_SERVED;
    }
    return outcome;
}

EndpointStatus
deployment_status(const struct endpoint *endpoint, PodState *const *pods, size_t count,
                  const char **detail)
{
    *detail = "";
    if (!endpoint->target) {
        *detail = *endpoint->alias ? "waits for the alias" : "waits for the version";
        return ENDPOINT_STATUS(PENDING);
    }
    const char *outcome = deployment_outcome(pods, count, endpoint->generation, detail);
    if (strcmp(outcome, DEPLOYMENT_FAILED) == 0)
        return ENDPOINT_STATUS(FAILED);
    if (strcmp(outcome, DEPLOYMENT_PENDING) == 0) {
        *detail = "no pod has reported yet";
        return ENDPOINT_STATUS(DEPLOYING);
    }
    for (size_t i = 0; i < count; i++)
        if (pods[i]->generation < endpoint->generation) {
            *detail = "some pods have not reported yet";
            return ENDPOINT_STATUS(DEPLOYING);
        }
    return ENDPOINT_STATUS(SERVING);
}

/* Entries of this life of the endpoint: up to and with the one that created it. */
static size_t
this_life(const struct history_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(entries[i].change->reason, DEPLOYMENT_CREATED) == 0)
            return i + 1;
    return count;
}

static bool
served(const struct history_entry *entry)
{
    return strcmp(entry->change->outcome, DEPLOYMENT_SERVED) == 0;
}

const struct history_entry *
deployment_rollback(const struct history_entry *entries, size_t count, int64_t to_version,
                    int64_t *before)
{
    const struct history_entry *now = NULL;

    count = this_life(entries, count);
    if (count == 0)
        return NULL;
    /* Pods go on with what they had when a target failed: that is what serves now. */
    for (size_t i = 0; i < count && !now; i++)
        if (strcmp(entries[i].change->outcome, DEPLOYMENT_FAILED) != 0)
            now = &entries[i];
    *before = now ? now->rollback_before : entries[0].change->generation;
    for (size_t i = 0; i < count; i++) {
        const Target *target = entries[i].change->target;
        if (!served(&entries[i]))
            continue;
        if (to_version ? target->version != to_version ||
                             strcmp(target->model_name, entries[0].change->target->model_name) != 0
                       : entries[i].change->generation >= *before ||
                             deployment_same_version(target, entries[0].change->target) ||
                             (now && deployment_same_version(target, now->change->target)))
            continue;
        *before = entries[i].rollback_before;
        return &entries[i];
    }
    return NULL;
}

/* ---- drift ---- */

struct answer {
    const char *on_drift;
    unsigned answers;
};

static const struct answer *
find_answer(const DriftPolicy *policy)
{
    static const struct answer rows[] = {
        {"", 0},
        {"none", 0},
        {"rollback", DEPLOYMENT_ROLL_BACK},
        {"retrain", DEPLOYMENT_RETRAIN},
        {"rollback_and_retrain", DEPLOYMENT_ROLL_BACK | DEPLOYMENT_RETRAIN},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(policy->on_drift, rows[i].on_drift) == 0)
            return &rows[i];
    return NULL;
}

unsigned
deployment_answers(const DriftPolicy *policy)
{
    const struct answer *answer = find_answer(policy);

    return answer ? answer->answers : 0;
}

enum err_code
deployment_check_policy(const DriftPolicy *policy, struct err *err)
{
    if (!policy)
        return ERR_OK;
    if (!find_answer(policy))
        return err_set(err, ERR_INVALID,
                       "policy.on_drift '%.40s': must be none, rollback, retrain or "
                       "rollback_and_retrain",
                       policy->on_drift);
    if (policy->cool_down_s > DEPLOYMENT_POLICY_MAX_S ||
        policy->avoid_s > DEPLOYMENT_POLICY_MAX_S ||
        policy->retrain_cool_down_s > DEPLOYMENT_POLICY_MAX_S)
        return err_set(err, ERR_INVALID,
                       "policy: cool_down_s, avoid_s and retrain_cool_down_s are at most %u",
                       DEPLOYMENT_POLICY_MAX_S);
    if (policy->retrains_per_day > DEPLOYMENT_RETRAINS_MAX)
        return err_set(err, ERR_INVALID, "policy.retrains_per_day: at most %d",
                       DEPLOYMENT_RETRAINS_MAX);
    if (*policy->pipeline && value_check_name("policy.pipeline", policy->pipeline, err))
        return err->code;
    if (deployment_answers(policy) & DEPLOYMENT_RETRAIN && !*policy->pipeline)
        return err_set(err, ERR_INVALID,
                       "policy.pipeline: name the pipeline that trains the model anew");
    return ERR_OK;
}

const char *
deployment_objection(const struct endpoint *e, const char *model_name, int64_t version,
                     struct arena *arena)
{
    if (!deployment_answers(e->policy))
        return "the policy is to do nothing";
    if (!e->target || e->target->version != version ||
        strcmp(e->target->model_name, model_name) != 0)
        return arena_printf(arena, "version %" PRId64 " is no longer the target", version);
    return NULL;
}

/* cool_down_s 0: the usual one. NULL: it has passed. */
static const char *
cools_down(int64_t acted_ms, uint32_t cool_down_s, uint32_t usual_s, int64_t now_ms,
           struct arena *arena)
{
    int64_t left_ms = acted_ms + (int64_t)(cool_down_s ? cool_down_s : usual_s) * 1000 - now_ms;

    if (!acted_ms || left_ms <= 0)
        return NULL;
    return arena_printf(arena, "cools down for another %" PRId64 " s", (left_ms + 999) / 1000);
}

const char *
deployment_rollback_objection(const DriftPolicy *policy, const struct deployment_past *past,
                              int64_t now_ms, struct arena *arena)
{
    return cools_down(past->rolled_back_ms, policy->cool_down_s, DEPLOYMENT_COOL_DOWN_S, now_ms,
                      arena);
}

const char *
deployment_retrain_objection(const DriftPolicy *policy, const struct deployment_past *past,
                             int64_t now_ms, struct arena *arena)
{
    uint32_t cap = policy->retrains_per_day ? policy->retrains_per_day : DEPLOYMENT_RETRAINS_A_DAY;

    if (past->retrains >= cap)
        return arena_printf(arena, "the cap of %u in 24 hours is reached", cap);
    return cools_down(past->retrained_ms, policy->retrain_cool_down_s,
                      DEPLOYMENT_RETRAIN_COOL_DOWN_S, now_ms, arena);
}

const struct history_entry *
deployment_avoid(const struct history_entry *entries, size_t count, const char *model_name,
                 const int64_t *versions, size_t version_count, struct arena *arena)
{
    struct history_entry *copy =
        arena_memdup(arena, entries, (count ? count : 1) * sizeof(*entries));

    for (size_t i = 0; i < count; i++) {
        const Target *target = entries[i].change->target;
        for (size_t k = 0; k < version_count; k++) {
            if (target->version != versions[k] || strcmp(target->model_name, model_name) != 0)
                continue;
            EndpointChange *change = arena_memdup(arena, entries[i].change, sizeof(*change));
            change->outcome = DEPLOYMENT_PENDING; /* not one that was served well */
            copy[i].change = change;
            break;
        }
    }
    return copy;
}
