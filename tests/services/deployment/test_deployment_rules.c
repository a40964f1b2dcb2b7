/* SPDX-License-Identifier: Apache-2.0 */
/* test_deployment_rules.c - the rules of endpoints. */
#include "deployment.h"

#include <criterion/criterion.h>
#include <string.h>

static struct err err;

/* ---- a history, written as "version outcome" oldest first, turned newest first ---- */

struct step {
    int64_t version;
    const char *outcome;
    int64_t before; /* 0: its own generation */
    const char *reason;
};

static struct history_entry entries[8];
static EndpointChange changes[8];
static Target targets[8];

static size_t
history(const struct step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct step *step = &steps[count - 1 - i];
        int64_t generation = (int64_t)(count - i);
        targets[i] = (Target)MODELBUS__DEPLOYMENT__V1__TARGET__INIT;
        targets[i].model_name = "iris";
        targets[i].version = step->version;
        changes[i] = (EndpointChange)MODELBUS__DEPLOYMENT__V1__ENDPOINT_CHANGE__INIT;
        changes[i].generation = generation;
        changes[i].target = &targets[i];
        changes[i].outcome = (char *)step->outcome;
        changes[i].reason = (char *)(step->reason ? step->reason : "alias moved");
        entries[i] = (struct history_entry){&changes[i], step->before ? step->before : generation};
    }
    return count;
}

/* The version that a rollback goes to, 0 none. */
#define ROLLBACK(...)                                                                              \
    rollback((const struct step[]){__VA_ARGS__},                                                   \
             sizeof((const struct step[]){__VA_ARGS__}) / sizeof(struct step))
static int64_t before;

static int64_t
rollback(const struct step *steps, size_t count)
{
    const struct history_entry *entry =
        deployment_rollback(entries, history(steps, count), 0, &before);
    return entry ? entry->change->target->version : 0;
}

#define SERVED(v, ...)                                                                             \
    {                                                                                              \
        .version = v, .outcome = DEPLOYMENT_SERVED __VA_OPT__(, ) __VA_ARGS__                      \
    }
#define FAILED(v, ...)                                                                             \
    {                                                                                              \
        .version = v, .outcome = DEPLOYMENT_FAILED __VA_OPT__(, ) __VA_ARGS__                      \
    }
#define PENDING(v)                                                                                 \
    {                                                                                              \
        .version = v, .outcome = DEPLOYMENT_PENDING                                                \
    }

Test(rollback, goes_to_the_one_before)
{
    cr_expect_eq(ROLLBACK(SERVED(1), SERVED(2)), 1);
    cr_expect_eq(before, 1);
}

Test(rollback, after_a_failed_load_leaves_what_the_pods_serve)
{
    cr_expect_eq(ROLLBACK(SERVED(1), SERVED(2), FAILED(3)), 1);
}

Test(rollback, of_a_change_that_no_pod_has_answered_goes_to_what_serves)
{
    cr_expect_eq(ROLLBACK(SERVED(1), SERVED(2), PENDING(3)), 2);
}

Test(rollback, needs_an_earlier_one_that_was_served)
{
    cr_expect_eq(ROLLBACK(SERVED(1)), 0);
    cr_expect_eq(ROLLBACK(FAILED(1), SERVED(2)), 0);
    cr_expect_eq(ROLLBACK(SERVED(1), FAILED(2)), 0);
    cr_expect_eq(ROLLBACK(FAILED(1)), 0);
    cr_expect_null(deployment_rollback(entries, 0, 0, &before));
}

Test(rollback, again_goes_further_back_and_never_to_what_was_left)
{
    cr_expect_eq(ROLLBACK(SERVED(1), SERVED(2), SERVED(3), SERVED(2, .before = 2)), 1);
    cr_expect_eq(ROLLBACK(SERVED(1), SERVED(2), SERVED(1, .before = 1)), 0);
    /* A new version after a rollback goes back to what the rollback restored. */
    cr_expect_eq(ROLLBACK(SERVED(1), SERVED(2), SERVED(1, .before = 1), SERVED(3)), 1);
    cr_expect_eq(before, 1);
}

Test(rollback, does_not_repeat_one_that_failed)
{
    cr_expect_eq(ROLLBACK(SERVED(1), SERVED(2), FAILED(1, .before = 1)), 0);
}

Test(rollback, ends_where_the_endpoint_was_created)
{
    cr_expect_eq(ROLLBACK(SERVED(1), SERVED(2, .reason = DEPLOYMENT_CREATED)), 0);
}

Test(rollback, to_a_version_takes_its_place_in_the_history)
{
    const struct step steps[] = {SERVED(1), SERVED(2), SERVED(3), SERVED(4)};
    size_t count = history(steps, 4);
    const struct history_entry *entry = deployment_rollback(entries, count, 2, &before);

    cr_assert(entry);
    cr_expect_eq(entry->change->target->version, 2);
    cr_expect_eq(before, 2);
    cr_expect_null(deployment_rollback(entries, count, 9, &before));
    cr_expect_eq(before, 4, "never to the version just left");
}

/* ---- status ---- */

static PodState
pod(int64_t generation, bool loaded)
{
    PodState state = MODELBUS__DEPLOYMENT__V1__POD_STATE__INIT;

    state.generation = generation;
    state.loaded = loaded;
    state.error = loaded ? "" : "no such tree";
    return state;
}

Test(status, comes_from_the_pods)
{
    Target target = MODELBUS__DEPLOYMENT__V1__TARGET__INIT;
    struct endpoint endpoint = {.alias = "champion", .generation = 5};
    PodState old = pod(4, true), good = pod(5, true), bad = pod(5, false), old_bad = pod(4, false);
    const char *detail;

    cr_expect_eq(deployment_status(&endpoint, NULL, 0, &detail), ENDPOINT_STATUS(PENDING));
    endpoint.target = &target;
    cr_expect_eq(deployment_status(&endpoint, NULL, 0, &detail), ENDPOINT_STATUS(DEPLOYING));
    PodState *waiting[] = {&old, &good};
    cr_expect_eq(deployment_status(&endpoint, waiting, 2, &detail), ENDPOINT_STATUS(DEPLOYING));
    PodState *all[] = {&good, &good};
    cr_expect_eq(deployment_status(&endpoint, all, 2, &detail), ENDPOINT_STATUS(SERVING));
    PodState *one_bad[] = {&good, &bad};
    cr_expect_eq(deployment_status(&endpoint, one_bad, 2, &detail), ENDPOINT_STATUS(FAILED));
    cr_expect_str_eq(detail, "no such tree");
    PodState *bad_before[] = {&old_bad};
    cr_expect_eq(deployment_status(&endpoint, bad_before, 1, &detail), ENDPOINT_STATUS(DEPLOYING));
}

/* ---- aliases, names, bindings ---- */

Test(alias, moves_what_follows_it)
{
    Target target = MODELBUS__DEPLOYMENT__V1__TARGET__INIT;
    struct endpoint endpoint = {.model_name = "iris"};

    target.model_name = "iris";
    target.version = 2;
    cr_expect_eq(deployment_on_alias(&endpoint, 2), DEPLOYMENT_DEPLOY_IT);
    cr_expect_eq(deployment_on_alias(&endpoint, 0), DEPLOYMENT_KEEP);
    endpoint.target = &target;
    cr_expect_eq(deployment_on_alias(&endpoint, 2), DEPLOYMENT_STAY);
    cr_expect_eq(deployment_on_alias(&endpoint, 3), DEPLOYMENT_DEPLOY_IT);
    endpoint.held = true;
    cr_expect_eq(deployment_on_alias(&endpoint, 2), DEPLOYMENT_RELEASE);
}

Test(names, of_endpoints)
{
    static const char *const good[] = {"a", "iris", "iris-2", "0"};
    static const char *const bad[] = {
        "",    "-a",  "a-",  "A",
        "a_b", "a.b", "a/b", "a234567890123456789012345678901234567890123456789012345678901234"};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_expect_eq(deployment_check_name(good[i], &err), ERR_OK, "'%s'", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(deployment_check_name(bad[i], &err), ERR_INVALID, "'%s'", bad[i]);
}

Test(binding, is_an_alias_or_a_version)
{
    const char *alias = "";

    cr_expect_eq(deployment_check_binding("iris", &alias, 3, &err), ERR_OK);
    cr_expect_str_eq(alias, "");
    cr_expect_eq(deployment_check_binding("iris", &alias, 0, &err), ERR_OK);
    cr_expect_str_eq(alias, "champion");
    cr_expect_eq(deployment_check_binding("iris", &alias, 3, &err), ERR_INVALID);
    cr_expect_eq(deployment_check_binding("", &alias, 0, &err), ERR_INVALID);
    cr_expect_eq(deployment_check_binding("iris", &alias, -1, &err), ERR_INVALID);
}

/* ---- drift ---- */

Test(drift_policy, is_known_and_bounded)
{
    DriftPolicy policy = MODELBUS__DEPLOYMENT__V1__DRIFT_POLICY__INIT;

    cr_expect_eq(deployment_check_policy(NULL, &err), ERR_OK);
    cr_expect_eq(deployment_check_policy(&policy, &err), ERR_OK);
    policy.on_drift = "rollback";
    cr_expect_eq(deployment_check_policy(&policy, &err), ERR_OK);
    policy.cool_down_s = DEPLOYMENT_POLICY_MAX_S + 1;
    cr_expect_eq(deployment_check_policy(&policy, &err), ERR_INVALID);
    policy.cool_down_s = 0;
    policy.on_drift = "panic";
    cr_expect_eq(deployment_check_policy(&policy, &err), ERR_INVALID);
}

Test(drift_policy, retraining_needs_a_pipeline_and_is_bounded)
{
    DriftPolicy policy = MODELBUS__DEPLOYMENT__V1__DRIFT_POLICY__INIT;

    cr_expect_eq(deployment_answers(&policy), 0);
    policy.on_drift = "rollback";
    cr_expect_eq(deployment_answers(&policy), DEPLOYMENT_ROLL_BACK);
    policy.on_drift = "retrain";
    cr_expect_eq(deployment_answers(&policy), DEPLOYMENT_RETRAIN);
    cr_expect_eq(deployment_check_policy(&policy, &err), ERR_INVALID);
    cr_expect(strstr(err.message, "policy.pipeline"), "%s", err.message);
    policy.pipeline = "retrain-iris";
    cr_expect_eq(deployment_check_policy(&policy, &err), ERR_OK);
    policy.on_drift = "rollback_and_retrain";
    cr_expect_eq(deployment_answers(&policy), DEPLOYMENT_ROLL_BACK | DEPLOYMENT_RETRAIN);
    cr_expect_eq(deployment_check_policy(&policy, &err), ERR_OK);
    policy.retrains_per_day = DEPLOYMENT_RETRAINS_MAX + 1;
    cr_expect_eq(deployment_check_policy(&policy, &err), ERR_INVALID);
    policy.retrains_per_day = 0;
    policy.retrain_cool_down_s = DEPLOYMENT_POLICY_MAX_S + 1;
    cr_expect_eq(deployment_check_policy(&policy, &err), ERR_INVALID);
    policy.retrain_cool_down_s = 0;
    policy.pipeline = "two\nlines";
    cr_expect_eq(deployment_check_policy(&policy, &err), ERR_INVALID);
}

Test(drift_policy, answers_only_for_what_is_served)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    DriftPolicy policy = MODELBUS__DEPLOYMENT__V1__DRIFT_POLICY__INIT;
    Target target = MODELBUS__DEPLOYMENT__V1__TARGET__INIT;
    struct endpoint endpoint = {.model_name = "iris", .policy = &policy};

    cr_expect(strstr(deployment_objection(&endpoint, "iris", 2, arena), "do nothing"));
    policy.on_drift = "retrain";
    cr_expect(strstr(deployment_objection(&endpoint, "iris", 2, arena), "no longer the target"));
    target.model_name = "iris";
    target.version = 2;
    endpoint.target = &target;
    cr_expect_null(deployment_objection(&endpoint, "iris", 2, arena));
    cr_expect(strstr(deployment_objection(&endpoint, "iris", 1, arena), "no longer the target"));
    cr_expect(strstr(deployment_objection(&endpoint, "rose", 2, arena), "no longer the target"));
}

Test(drift_policy, decides_when_to_roll_back)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    DriftPolicy policy = MODELBUS__DEPLOYMENT__V1__DRIFT_POLICY__INIT;
    struct deployment_past past = {.retrained_ms = 900, .retrains = 100};

#define OBJECTION(now) deployment_rollback_objection(&policy, &past, now, arena)
    cr_expect_null(OBJECTION(1000), "retraining does not count");
    past.rolled_back_ms = 1000;
    cr_expect(strstr(OBJECTION(1000), "3600 s"));
    cr_expect_null(OBJECTION(1000 + 3600 * 1000));
    policy.cool_down_s = 10;
    cr_expect(strstr(OBJECTION(10999), "another 1 s"));
    cr_expect_null(OBJECTION(11000));
#undef OBJECTION
}

Test(drift_policy, decides_when_to_ask_for_a_retraining)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    DriftPolicy policy = MODELBUS__DEPLOYMENT__V1__DRIFT_POLICY__INIT;
    struct deployment_past past = {.rolled_back_ms = 900};

#define OBJECTION(now) deployment_retrain_objection(&policy, &past, now, arena)
    cr_expect_null(OBJECTION(1000), "a rollback does not count");
    past.retrained_ms = 1000;
    past.retrains = 1;
    cr_expect(strstr(OBJECTION(1000), "3600 s"));
    policy.retrain_cool_down_s = 10;
    cr_expect(strstr(OBJECTION(10999), "another 1 s"));
    cr_expect_null(OBJECTION(11000));
    past.retrains = DEPLOYMENT_RETRAINS_A_DAY;
    cr_expect(strstr(OBJECTION(11000), "cap of 4"));
    policy.retrains_per_day = DEPLOYMENT_RETRAINS_A_DAY + 1;
    cr_expect_null(OBJECTION(11000));
    policy.retrains_per_day = 2;
    cr_expect(strstr(OBJECTION(11000), "cap of 2"), "the cap was lowered meanwhile");
#undef OBJECTION
}

Test(drift_policy, avoids_what_was_left)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    static const struct step steps[] = {SERVED(1), SERVED(2), SERVED(3)};
    static const int64_t left[] = {2, 1};
    size_t count = history(steps, 3);
    int64_t from;

    const struct history_entry *some = deployment_avoid(entries, count, "iris", left, 1, arena);
    cr_expect_eq(deployment_rollback(some, count, 0, &from)->change->target->version, 1);
    some = deployment_avoid(entries, count, "iris", left, 2, arena);
    cr_expect_null(deployment_rollback(some, count, 0, &from));
    some = deployment_avoid(entries, count, "rose", left, 2, arena);
    cr_expect_eq(deployment_rollback(some, count, 0, &from)->change->target->version, 2);
    cr_expect_str_eq(changes[1].outcome, DEPLOYMENT_SERVED, "the history itself stays");
}
