/* SPDX-License-Identifier: Apache-2.0 */
/* test_registry_promotion.c - challengers and champions on a real database, also when they race. */
#include "../fixture.h"
#include "changes.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define URI "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OK(call) cr_assert_eq(call, ERR_OK, "%s: %s", #call, f.err.message)
#define FAILS(code, call) cr_assert_eq(call, code, "%s: %s", #call, f.err.message)

typedef Modelbus__Registry__V1__AliasMoved AliasMoved;
typedef Modelbus__Registry__V1__ChallengeAliasResponse Challenged;

static struct fixture f;

static void
set_up(void)
{
    static const struct service_spec spec = {
        .name = "registry",
        .schema = registry_schema,
        .subscriptions = registry_events,
        .interface = &modelbus__registry__v1__registry__descriptor,
        .methods = registry_queries,
    };
    fixture_open(&f, &spec);
}

static void
tear_down(void)
{
    fixture_close(&f);
}

TestSuite(registry_promotion, .init = set_up, .fini = tear_down, .timeout = 120);

/* ---- what callers ask ---- */

static void
versions(int count)
{
    for (int i = 0; i < count; i++) {
        Modelbus__Registry__V1__CreateModelVersionRequest request =
            MODELBUS__REGISTRY__V1__CREATE_MODEL_VERSION_REQUEST__INIT;
        Modelbus__Registry__V1__CreateModelVersionResponse reply;
        Artifact artifact = MODELBUS__COMMON__V1__ARTIFACT__INIT;

        artifact.uri = URI;
        request.name = "iris";
        request.artifact = &artifact;
        OK(fixture_call(&f, "CreateModelVersion", &request, &reply));
    }
}

static enum err_code
set_policy(const char *alias, const char *metric, const char *direction, double min_margin,
           bool any_window)
{
    Modelbus__Registry__V1__SetPromotionPolicyRequest request =
        MODELBUS__REGISTRY__V1__SET_PROMOTION_POLICY_REQUEST__INIT;
    Modelbus__Registry__V1__SetPromotionPolicyResponse reply;

    request.name = "iris";
    request.alias = (char *)alias;
    request.metric = (char *)metric;
    request.direction = (char *)direction;
    request.min_margin = min_margin;
    request.any_window = any_window;
    return fixture_call(&f, "SetPromotionPolicy", &request, &reply);
}

static enum err_code
evaluate(int64_t version, const char *window, const char *metric, double value)
{
    Modelbus__Registry__V1__AddEvaluationRequest request =
        MODELBUS__REGISTRY__V1__ADD_EVALUATION_REQUEST__INIT;
    Modelbus__Registry__V1__AddEvaluationResponse reply;
    Metric point = MODELBUS__COMMON__V1__METRIC__INIT;
    Metric *points[] = {&point};

    point.key = (char *)metric;
    point.value = value;
    request.name = "iris";
    request.version = version;
    request.window = (char *)window;
    request.rows = 100;
    request.metrics = points;
    request.n_metrics = 1;
    return fixture_call(&f, "AddEvaluation", &request, &reply);
}

static enum err_code
challenge_in(struct arena *arena, int64_t version, const char *window, Challenged *reply,
             struct err *err)
{
    Modelbus__Registry__V1__ChallengeAliasRequest request =
        MODELBUS__REGISTRY__V1__CHALLENGE_ALIAS_REQUEST__INIT;

    request.name = "iris";
    request.version = version;
    request.window = (char *)window;
    return fixture_call_in(&f, arena, "ChallengeAlias", &request, reply, err);
}

static enum err_code
challenge(int64_t version, const char *window, Challenged *reply)
{
    return challenge_in(f.arena, version, window, reply, &f.err);
}

static enum err_code
set_alias_in(struct arena *arena, int64_t version, struct err *err)
{
    Modelbus__Registry__V1__SetAliasRequest request =
        MODELBUS__REGISTRY__V1__SET_ALIAS_REQUEST__INIT;
    Modelbus__Registry__V1__SetAliasResponse reply;

    request.name = "iris";
    request.alias = "champion";
    request.version = version;
    return fixture_call_in(&f, arena, "SetAlias", &request, &reply, err);
}

static const ModelVersion *
version_of(int64_t number, const char *alias)
{
    Modelbus__Registry__V1__GetModelVersionRequest request =
        MODELBUS__REGISTRY__V1__GET_MODEL_VERSION_REQUEST__INIT;
    Modelbus__Registry__V1__GetModelVersionResponse reply;

    request.name = "iris";
    request.version = number;
    request.alias = (char *)alias;
    OK(fixture_call(&f, "GetModelVersion", &request, &reply));
    return reply.version;
}

/* ---- tests ---- */

Test(registry_promotion, a_better_challenger_takes_the_alias_and_production)
{
    Challenged reply;

    versions(2);
    OK(set_policy("", "auc", "maximize", 0.01, false));
    OK(set_alias_in(f.arena, 1, &f.err));
    OK(evaluate(1, "may", "auc", 0.90));
    OK(evaluate(2, "may", "auc", 0.93));
    OK(challenge(2, "may", &reply));
    cr_expect(reply.decision->promoted);
    cr_expect(!reply.decided_before);
    const PromotionDecided *said =
        fixture_last(&f, &modelbus__registry__v1__promotion_decided__descriptor);
    cr_expect_str_eq(said->model_name, "iris");
    cr_expect_str_eq(said->alias, "champion");
    cr_expect(said->promoted);
    cr_expect_eq(said->challenger, 2);
    cr_expect_eq(said->champion, 1);
    cr_expect_str_eq(said->metric, "auc");
    cr_expect_eq(said->challenger_value, 0.93);
    cr_expect_eq(said->champion_value, 0.90);
    cr_expect_float_eq(said->margin, 0.03, 1e-9);
    cr_expect_eq(said->min_margin, 0.01);
    cr_expect_str_eq(said->window, "may");
    cr_expect_str_eq(said->decided_by, "user:ann");
    cr_expect_eq(version_of(0, "champion")->version, 2);
    cr_expect_eq(version_of(2, "")->stage, STAGE(PRODUCTION));
    cr_expect_eq(version_of(1, "")->stage, STAGE(ARCHIVED));
    const AliasMoved *moved = fixture_last(&f, &modelbus__registry__v1__alias_moved__descriptor);
    cr_expect_eq(moved->version, 2);
    cr_expect_eq(moved->previous_version, 1);
    cr_expect(strstr(moved->reason, "auc 0.93 is better than 0.9"), "%s", moved->reason);
}

Test(registry_promotion, a_challenger_that_loses_moves_nothing)
{
    Challenged reply;

    versions(3);
    OK(set_policy("", "loss", "minimize", 0.1, false));
    OK(set_alias_in(f.arena, 1, &f.err));
    OK(evaluate(1, "may", "loss", 0.5));
    OK(evaluate(2, "may", "loss", 0.45));
    OK(evaluate(3, "may", "loss", NAN));
    OK(challenge(2, "may", &reply));
    cr_expect(!reply.decision->promoted);
    cr_expect(strstr(reply.decision->reason, "is not better"));
    OK(challenge(3, "may", &reply));
    cr_expect(!reply.decision->promoted, "NaN loses");
    cr_expect_eq(fixture_said(&f, "PromotionDecided"), 2);
    cr_expect_eq(fixture_said(&f, "AliasMoved"), 1);
    cr_expect_eq(version_of(0, "champion")->version, 1);
    cr_expect_eq(version_of(2, "")->stage, STAGE(NONE));
}

Test(registry_promotion, a_challenger_is_judged_once_on_a_window)
{
    Challenged reply;

    versions(2);
    OK(set_policy("", "auc", "maximize", 0, false));
    OK(set_alias_in(f.arena, 1, &f.err));
    OK(evaluate(1, "may", "auc", 0.90));
    OK(evaluate(2, "may", "auc", 0.93));
    OK(challenge(2, "may", &reply));
    OK(evaluate(2, "may", "auc", 0.1));
    OK(set_policy("", "auc", "minimize", 0, false));
    OK(challenge(2, "may", &reply));
    cr_expect(reply.decided_before);
    cr_expect(reply.decision->promoted);
    cr_expect_eq(reply.decision->challenger_value, 0.93);
    cr_expect_eq(reply.decision->champion, 1);
    cr_expect_eq(fixture_said(&f, "PromotionDecided"), 1);
    cr_expect_eq(fixture_said(&f, "AliasMoved"), 2);
    OK(set_alias_in(f.arena, 1, &f.err));
    OK(challenge(2, "may", &reply));
    cr_expect(reply.decided_before, "an answer, not another promotion");
    cr_expect_eq(version_of(0, "champion")->version, 1);
}

Test(registry_promotion, the_first_version_needs_no_champion)
{
    Challenged reply;

    versions(1);
    OK(set_policy("", "auc", "maximize", 0.5, false));
    OK(evaluate(1, "may", "auc", 0.2));
    OK(challenge(1, "may", &reply));
    cr_expect(reply.decision->promoted);
    cr_expect_eq(reply.decision->champion, 0);
    cr_expect(strstr(reply.decision->reason, "no version held the alias"));
    cr_expect_eq(version_of(0, "champion")->version, 1);
}

Test(registry_promotion, what_is_missing_is_refused_with_what_to_do)
{
    Challenged reply;

    versions(2);
    OK(set_alias_in(f.arena, 1, &f.err));
    FAILS(ERR_PRECONDITION, challenge(2, "may", &reply));
    cr_expect(strstr(f.err.message, "modelbus model promotion-policy iris"), "%s", f.err.message);
    OK(set_policy("", "auc", "maximize", 0, false));
    FAILS(ERR_PRECONDITION, challenge(2, "may", &reply));
    cr_expect(strstr(f.err.message, "the challenger, version 2"), "%s", f.err.message);
    OK(evaluate(2, "may", "loss", 1));
    FAILS(ERR_PRECONDITION, challenge(2, "may", &reply));
    OK(evaluate(2, "may", "auc", 1));
    OK(evaluate(1, "april", "auc", 0.5));
    FAILS(ERR_PRECONDITION, challenge(2, "may", &reply));
    cr_expect(strstr(f.err.message, "the champion, version 1"), "%s", f.err.message);
    cr_expect(strstr(f.err.message, "model evaluate iris 1 --window may --metric auc="), "%s",
              f.err.message);
    FAILS(ERR_PRECONDITION, challenge(1, "april", &reply));
    cr_expect(strstr(f.err.message, "holds the alias 'champion' already"), "%s", f.err.message);
    FAILS(ERR_NOT_FOUND, challenge(3, "may", &reply));
    FAILS(ERR_INVALID, challenge(2, "", &reply));
    FAILS(ERR_NOT_FOUND, evaluate(3, "may", "auc", 1));
    cr_expect_eq(fixture_said(&f, "PromotionDecided"), 0, "a refusal is no decision");
    OK(evaluate(1, "may", "auc", 0.5));
    OK(challenge(2, "may", &reply));
    cr_expect(reply.decision->promoted);
}

Test(registry_promotion, a_policy_may_take_the_champions_value_from_any_window)
{
    Challenged reply;

    versions(2);
    OK(set_policy("", "auc", "maximize", 0, true));
    OK(set_alias_in(f.arena, 1, &f.err));
    OK(evaluate(2, "may", "auc", 0.9));
    FAILS(ERR_PRECONDITION, challenge(2, "may", &reply));
    OK(evaluate(1, "march", "auc", 0.95));
    OK(evaluate(1, "april", "auc", 0.85));
    OK(evaluate(1, "other", "loss", 3));
    OK(challenge(2, "may", &reply));
    cr_expect(reply.decision->promoted, "%s", reply.decision->reason);
    cr_expect_eq(reply.decision->champion_value, 0.85);
    cr_expect_str_eq(reply.decision->champion_window, "april");
}

Test(registry_promotion, a_policy_is_of_one_alias)
{
    Modelbus__Registry__V1__GetPromotionPolicyRequest get =
        MODELBUS__REGISTRY__V1__GET_PROMOTION_POLICY_REQUEST__INIT;
    Modelbus__Registry__V1__GetPromotionPolicyResponse got;
    Modelbus__Registry__V1__DeletePromotionPolicyRequest remove =
        MODELBUS__REGISTRY__V1__DELETE_PROMOTION_POLICY_REQUEST__INIT;
    Modelbus__Registry__V1__DeletePromotionPolicyResponse removed;

    FAILS(ERR_NOT_FOUND, set_policy("", "auc", "maximize", 0, false));
    versions(1);
    FAILS(ERR_INVALID, set_policy("latest", "auc", "maximize", 0, false));
    FAILS(ERR_INVALID, set_policy("", "auc", "", 0, false));
    OK(set_policy("", "auc", "maximize", 0.25, true));
    get.name = "iris";
    OK(fixture_call(&f, "GetPromotionPolicy", &get, &got));
    cr_expect_str_eq(got.policy->alias, "champion");
    cr_expect_str_eq(got.policy->metric, "auc");
    cr_expect_eq(got.policy->min_margin, 0.25);
    cr_expect(got.policy->any_window);
    cr_expect_str_eq(got.policy->updated_by, "user:ann");
    get.alias = "shadow";
    FAILS(ERR_NOT_FOUND, fixture_call(&f, "GetPromotionPolicy", &get, &got));
    OK(set_policy("shadow", "loss", "minimize", 0, false));
    OK(fixture_call(&f, "GetPromotionPolicy", &get, &got));
    cr_expect_str_eq(got.policy->metric, "loss");
    remove.name = "iris";
    remove.alias = "shadow";
    OK(fixture_call(&f, "DeletePromotionPolicy", &remove, &removed));
    FAILS(ERR_NOT_FOUND, fixture_call(&f, "DeletePromotionPolicy", &remove, &removed));
    f.workspace = "other";
    get.alias = "";
    FAILS(ERR_NOT_FOUND, fixture_call(&f, "GetPromotionPolicy", &get, &got));
}

Test(registry_promotion, evaluations_are_listed_by_pages_and_go_with_their_version)
{
    static const struct db_stmt left = {"SELECT count(*) FROM evaluation"};
    Modelbus__Registry__V1__ListEvaluationsRequest request =
        MODELBUS__REGISTRY__V1__LIST_EVALUATIONS_REQUEST__INIT;
    Modelbus__Registry__V1__ListEvaluationsResponse reply;
    Modelbus__Registry__V1__DeleteModelVersionRequest remove =
        MODELBUS__REGISTRY__V1__DELETE_MODEL_VERSION_REQUEST__INIT;
    Modelbus__Registry__V1__DeleteModelVersionResponse removed;
    PageRequest page = MODELBUS__COMMON__V1__PAGE_REQUEST__INIT;

    versions(1);
    OK(evaluate(1, "a", "auc", 0.1));
    OK(evaluate(1, "b", "auc", 0.2));
    OK(evaluate(1, "c", "auc", 0.3));
    OK(evaluate(1, "b", "auc", 0.4));
    request.name = remove.name = "iris";
    request.version = remove.version = 1;
    request.page = &page;
    page.page_size = 2;
    OK(fixture_call(&f, "ListEvaluations", &request, &reply));
    cr_assert_eq(reply.n_evaluations, 2);
    cr_expect_str_eq(reply.evaluations[1]->window, "b");
    cr_expect_eq(reply.evaluations[1]->metrics[0]->value, 0.4);
    cr_expect_eq(reply.evaluations[1]->rows, 100);
    page.page_token = reply.next_page_token;
    OK(fixture_call(&f, "ListEvaluations", &request, &reply));
    cr_assert_eq(reply.n_evaluations, 1);
    cr_expect_str_empty(reply.next_page_token);
    OK(fixture_call(&f, "DeleteModelVersion", &remove, &removed));
    cr_expect_eq(fixture_number(&f, &left), 0);
    page.page_token = "";
    FAILS(ERR_NOT_FOUND, fixture_call(&f, "ListEvaluations", &request, &reply));
}

/* ---- races ---- */

/* What was said, in the order of commits: every decision is about the version that held the alias then, and
 * who won has it next. Returns the last holder; *promoted: how many won. */
static int64_t
check_history(int *promoted)
{
    static const struct db_stmt stmt = {
        "SELECT value, position(convert_to('PromotionDecided', 'UTF8') IN headers) > 0 FROM outbox"
        " WHERE position(convert_to('PromotionDecided', 'UTF8') IN headers) > 0"
        " OR position(convert_to('AliasMoved', 'UTF8') IN headers) > 0 ORDER BY id"};
    struct db_result *result = NULL;
    struct db_conn *db;
    int64_t holder = 0, winner = 0;

    *promoted = 0;
    OK(db_borrow(f.service.db, &db, &f.err));
    OK(db_exec(db, &stmt, DB_NO_PARAMS, &result, &f.err));
    for (size_t i = 0; i < db_rows(result); i++) {
        const uint8_t *bytes;
        size_t len;
        db_bin(result, i, 0, f.arena, &bytes, &len);
        if (db_boolean(result, i, 1)) {
            const PromotionDecided *d = (void *)ARENA_UNPACK(
                f.arena, &modelbus__registry__v1__promotion_decided__descriptor, len, bytes);
            cr_assert_eq(d->champion, holder, "decided against %lld, but %lld held the alias",
                         (long long)d->champion, (long long)holder);
            cr_assert_eq(d->promoted, d->challenger_value > d->champion_value);
            winner = d->promoted ? d->challenger : 0;
            *promoted += d->promoted;
        } else {
            const AliasMoved *m = (void *)ARENA_UNPACK(
                f.arena, &modelbus__registry__v1__alias_moved__descriptor, len, bytes);
            cr_assert_eq(m->previous_version, holder);
            cr_assert(!winner || m->version == winner, "somebody came between");
            holder = m->version;
            winner = 0;
        }
    }
    db_result_free(result);
    db_return(db);
    return holder;
}

#define RACERS 12
#define WINDOWS 5

struct racer {
    pthread_t thread;
    int number;
    bool moves; /* by hand, SetAlias */
};

static pthread_barrier_t barrier;

static void *
race(void *arg)
{
    const struct racer *racer = arg;
    struct arena *arena = arena_new(0, 0);
    Challenged reply;
    struct err err;
    char window[16];

    for (int i = 0; i < WINDOWS; i++) {
        snprintf(window, sizeof(window), "w%d", i);
        pthread_barrier_wait(&barrier);
        enum err_code code = racer->moves
                                 ? set_alias_in(arena, 1 + (racer->number + i) % RACERS, &err)
                                 : challenge_in(arena, 2 + racer->number, window, &reply, &err);
        /* Who holds the alias by now challenges nobody. */
        cr_assert(code == ERR_OK || (code == ERR_PRECONDITION && strstr(err.message, "already")),
                  "%s", err.message);
        arena_reset(arena);
    }
    arena_free(arena);
    return NULL;
}

/* RACERS + 1 versions, of which a later one is better on every window. */
static void
run_race(int movers)
{
    struct racer racers[RACERS] = {0};
    char window[16];

    versions(RACERS + 1);
    OK(set_policy("", "auc", "maximize", 0, false));
    OK(set_alias_in(f.arena, 1, &f.err));
    for (int w = 0; w < WINDOWS; w++)
        for (int v = 1; v <= RACERS + 1; v++) {
            snprintf(window, sizeof(window), "w%d", w);
            OK(evaluate(v, window, "auc", v));
        }
    pthread_barrier_init(&barrier, NULL, RACERS);
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){.number = i, .moves = i < movers};
        cr_assert_eq(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < RACERS; i++)
        pthread_join(racers[i].thread, NULL);
    pthread_barrier_destroy(&barrier);
}

static void
check_stages(int64_t holder)
{
    static const struct db_stmt production = {
        "SELECT coalesce(sum(version), 0) FROM version WHERE stage = 3"};

    cr_expect_eq(version_of(0, "champion")->version, holder);
    cr_expect_eq(fixture_number(&f, &production), holder);
}

Test(registry_promotion, of_racing_challengers_the_best_one_wins)
{
    int promoted;

    run_race(0);
    int64_t holder = check_history(&promoted);
    cr_expect_eq(holder, RACERS + 1);
    cr_expect_geq(promoted, 1);
    cr_expect_eq(fixture_said(&f, "AliasMoved"), promoted + 1);
    check_stages(holder);
}

Test(registry_promotion, a_challenge_that_races_with_moves_is_about_who_holds_the_alias)
{
    int promoted;

    run_race(RACERS / 2);
    int64_t holder = check_history(&promoted);
    cr_expect_geq(promoted, 1);
    check_stages(holder);
}

static void *
ask_again(void *arg)
{
    struct arena *arena = arena_new(0, 0);
    int *first = arg;
    Challenged reply;
    struct err err;

    pthread_barrier_wait(&barrier);
    cr_assert_eq(challenge_in(arena, 2, "w", &reply, &err), ERR_OK, "%s", err.message);
    cr_assert(reply.decision->promoted);
    if (!reply.decided_before)
        __atomic_add_fetch(first, 1, __ATOMIC_SEQ_CST);
    arena_free(arena);
    return NULL;
}

Test(registry_promotion, one_challenge_asked_many_times_at_once_is_one_decision)
{
    pthread_t threads[RACERS];
    int first = 0;

    versions(2);
    OK(set_policy("", "auc", "maximize", 0, false));
    OK(set_alias_in(f.arena, 1, &f.err));
    OK(evaluate(1, "w", "auc", 1));
    OK(evaluate(2, "w", "auc", 2));
    pthread_barrier_init(&barrier, NULL, RACERS);
    for (int i = 0; i < RACERS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, ask_again, &first), 0);
    for (int i = 0; i < RACERS; i++)
        pthread_join(threads[i], NULL);
    cr_expect_eq(first, 1);
    cr_expect_eq(fixture_said(&f, "PromotionDecided"), 1);
    cr_expect_eq(fixture_said(&f, "AliasMoved"), 2);
}
