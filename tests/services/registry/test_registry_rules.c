/* SPDX-License-Identifier: Apache-2.0 */
/* test_registry_rules.c - the rules of the registry, and the bounds of shared values. */
#include "registry.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define URI "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct err err;

Test(values, model_names)
{
    static const char *const good[] = {"a", "iris", "Iris 2.1-b", "_x", "9"};
    static const char *const bad[] = {"", " a", "a ", "-a", ".a", "a/b", "a:b", "a\nb", "\xc3\xa9"};
    char longest[202];

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_expect_eq(value_check_model_name(good[i], &err), ERR_OK, "'%s'", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(value_check_model_name(bad[i], &err), ERR_INVALID, "'%s'", bad[i]);
    memset(longest, 'x', sizeof(longest));
    longest[200] = '\0';
    cr_expect_eq(value_check_model_name(longest, &err), ERR_OK);
    longest[200] = 'x';
    longest[201] = '\0';
    cr_expect_eq(value_check_model_name(longest, &err), ERR_INVALID);
}

Test(values, alias_names)
{
    static const char *const good[] = {"champion", "v", "v1a", "_", "a-b", "V12"};
    static const char *const bad[] = {"", "latest", "v1", "v12", "1a", "-a", "a b", "a,b", "a.b"};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_expect_eq(value_check_alias(good[i], &err), ERR_OK, "'%s'", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(value_check_alias(bad[i], &err), ERR_INVALID, "'%s'", bad[i]);
}

Test(values, texts_are_utf8_without_control_characters)
{
    static const char *const bad[] = {"\xff",     "\xc3",  "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                      "\xc0\xaf", "a\x01", "\x7f"};

    cr_expect_eq(value_check_text("t", "caf\xc3\xa9 \xf0\x9f\x98\x80\n\t", 100, &err), ERR_OK);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(value_check_text("t", bad[i], 100, &err), ERR_INVALID, "%zu", i);
    cr_expect_eq(value_check_text("t", "12345", 4, &err), ERR_INVALID);
    cr_expect_eq(value_check_name("t", "a\nb", &err), ERR_INVALID);
}

Test(values, tags_have_bounded_unique_keys)
{
    Tag a = MODELBUS__COMMON__V1__TAG__INIT, b = MODELBUS__COMMON__V1__TAG__INIT;
    Tag *tags[VALUE_TAGS_MAX + 1] = {&a, &b};

    a.key = "x";
    b.key = "y";
    cr_expect_eq(value_check_tags("tags", tags, 2, &err), ERR_OK);
    b.key = "x";
    cr_expect_eq(value_check_tags("tags", tags, 2, &err), ERR_INVALID);
    b.key = "";
    cr_expect_eq(value_check_tags("tags", tags, 2, &err), ERR_INVALID);
    cr_expect_eq(value_check_tags("tags", tags, VALUE_TAGS_MAX + 1, &err), ERR_INVALID);
}

Test(registry, a_version_needs_an_artifact_by_digest)
{
    Artifact artifact = MODELBUS__COMMON__V1__ARTIFACT__INIT;
    ModelVersion version = MODELBUS__REGISTRY__V1__MODEL_VERSION__INIT;

    version.name = "iris";
    cr_expect_eq(registry_check_version(&version, &err), ERR_INVALID);
    version.artifact = &artifact;
    cr_expect_eq(registry_check_version(&version, &err), ERR_INVALID);
    artifact.uri = "s3://bucket/model";
    cr_expect_eq(registry_check_version(&version, &err), ERR_INVALID);
    artifact.uri = URI;
    cr_expect_eq(registry_check_version(&version, &err), ERR_OK, "%s", err.message);
}

Test(registry, a_version_must_fit_one_event)
{
    enum { VALUE = 7000 };
    Artifact artifact = MODELBUS__COMMON__V1__ARTIFACT__INIT;
    ModelVersion version = MODELBUS__REGISTRY__V1__MODEL_VERSION__INIT;
    static char text[VALUE + 1], keys[VALUE_TAGS_MAX][8];
    static Tag tags[VALUE_TAGS_MAX];
    Tag *list[VALUE_TAGS_MAX];

    memset(text, 'x', VALUE);
    artifact.uri = URI;
    version.name = "iris";
    version.artifact = &artifact;
    version.tags = list;
    for (size_t i = 0; i < VALUE_TAGS_MAX; i++) {
        tags[i] = (Tag)MODELBUS__COMMON__V1__TAG__INIT;
        snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
        tags[i].key = keys[i];
        tags[i].value = text;
        list[i] = &tags[i];
    }
    version.n_tags = 70;
    cr_expect_eq(registry_check_version(&version, &err), ERR_OK);
    version.n_tags = VALUE_TAGS_MAX;
    cr_expect_eq(registry_check_version(&version, &err), ERR_TOO_LARGE);
}

Test(registry, compare_and_set_names_both_values)
{
    Alias now = MODELBUS__REGISTRY__V1__ALIAS__INIT;

    now.alias = "champion";
    now.version = 7;
    now.revision = 42;
    cr_expect_eq(registry_check_alias(&now, 0, 0, &err), ERR_OK);
    cr_expect_eq(registry_check_alias(&now, 42, 7, &err), ERR_OK);
    cr_expect_eq(registry_check_alias(&now, 41, 0, &err), ERR_CONFLICT);
    cr_expect(strstr(err.message, "42") && strstr(err.message, "41"), "%s", err.message);
    cr_expect_eq(registry_check_alias(&now, 0, 6, &err), ERR_CONFLICT);
    cr_expect(strstr(err.message, "7") && strstr(err.message, "6"), "%s", err.message);
    cr_expect_eq(registry_check_alias(&now, 0, -1, &err), ERR_CONFLICT);
    now.version = 0;
    cr_expect_eq(registry_check_alias(&now, 0, -1, &err), ERR_OK);
}

Test(registry, the_champion_stays_in_production)
{
    cr_expect_eq(registry_check_stage_change(STAGE(PRODUCTION), STAGE(ARCHIVED), &err),
                 ERR_PRECONDITION);
    cr_expect_eq(registry_check_stage_change(STAGE(PRODUCTION), STAGE(PRODUCTION), &err), ERR_OK);
    cr_expect_eq(registry_check_stage_change(STAGE(NONE), STAGE(STAGING), &err), ERR_OK);
    cr_expect_eq(registry_check_stage(STAGE(UNSPECIFIED), &err), ERR_INVALID);
    cr_expect_eq(registry_check_stage((Stage)9, &err), ERR_INVALID);
}

/* ---- promotion ---- */

static Metric point[4];
static Metric *points[4] = {&point[0], &point[1], &point[2], &point[3]};

/* An evaluation with auc, on the i-th of the points. */
static Evaluation
reached(size_t i, double auc, const char *window)
{
    Evaluation evaluation = MODELBUS__REGISTRY__V1__EVALUATION__INIT;

    modelbus__common__v1__metric__init(&point[i]);
    point[i].key = "auc";
    point[i].value = auc;
    evaluation.window = (char *)window;
    evaluation.metrics = &points[i];
    evaluation.n_metrics = 1;
    return evaluation;
}

static PromotionDecided
judged(const char *direction, double min_margin, double challenger, double champion)
{
    static struct arena *arena;
    PromotionPolicy policy = MODELBUS__REGISTRY__V1__PROMOTION_POLICY__INIT;
    PromotionDecided decision = MODELBUS__REGISTRY__V1__PROMOTION_DECIDED__INIT;
    Evaluation one = reached(0, challenger, "w1"), other = reached(1, champion, "w2");

    if (!arena)
        arena = arena_new(0, 0);
    policy.alias = "champion";
    policy.metric = "auc";
    policy.direction = (char *)direction;
    policy.min_margin = min_margin;
    registry_judge(&policy, &one, &other, arena, &decision);
    return decision;
}

Test(promotion, the_better_one_wins_by_the_margin)
{
    static const struct {
        const char *direction;
        double margin, challenger, champion;
        bool promoted;
    } rows[] = {
        {"maximize", 0, 0.93, 0.92, true},
        {"maximize", 0, 0.92, 0.92, false}, /* better by nothing is not better */
        {"maximize", 0, 0.91, 0.92, false},
        {"maximize", 0.01, 0.93, 0.92, true},
        {"maximize", 0.01, 0.9299, 0.92, false},
        {"maximize", 0.1, 0.3, 0.2, true}, /* 0.3 - 0.2 < 0.1 in doubles */
        {"maximize", 0.1, 0.3 - 1e-9, 0.2, false},
        {"minimize", 0, 0.91, 0.92, true},
        {"minimize", 0, 0.92, 0.92, false},
        {"minimize", 0.1, 0.2, 0.3, true},
        {"minimize", 0.01, 0.919, 0.92, false},
        {"minimize", 0, 0.93, 0.92, false},
        {"maximize", 0, NAN, 0.1, false},
        {"minimize", 0, NAN, 0.1, false},
        {"maximize", 5, 0.1, NAN, true},
        {"maximize", 0, NAN, NAN, false},
        {"maximize", 1, INFINITY, 0.1, true},
        {"maximize", 0, INFINITY, INFINITY, false},
        {"maximize", 0, 1, INFINITY, false},
        {"minimize", 0, -INFINITY, INFINITY, true},
        {"maximize", 0, 0, -INFINITY, true},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        PromotionDecided d =
            judged(rows[i].direction, rows[i].margin, rows[i].challenger, rows[i].champion);
        cr_expect_eq(d.promoted, rows[i].promoted, "%zu: %s", i, d.reason);
        cr_expect_eq(d.min_margin, rows[i].margin);
    }
}

Test(promotion, a_decision_has_both_figures)
{
    PromotionDecided d = judged("minimize", 0.25, 0.5, 2);

    cr_expect(d.promoted);
    cr_expect_str_eq(d.metric, "auc");
    cr_expect_str_eq(d.direction, "minimize");
    cr_expect_eq(d.challenger_value, 0.5);
    cr_expect_eq(d.champion_value, 2);
    cr_expect_eq(d.margin, 1.5);
    cr_expect_str_eq(d.window, "w1");
    cr_expect_str_eq(d.champion_window, "w2");
    cr_expect_str_eq(d.reason, "auc 0.5 is better than 2 (minimize, by at least 0.25)");
    cr_expect_str_eq(judged("maximize", 0, 0.5, 2).reason,
                     "auc 0.5 is not better than 2 (maximize, by at least 0)");
}

Test(promotion, the_first_one_needs_only_a_value)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    PromotionPolicy policy = MODELBUS__REGISTRY__V1__PROMOTION_POLICY__INIT;
    PromotionDecided d = MODELBUS__REGISTRY__V1__PROMOTION_DECIDED__INIT;
    Evaluation evaluation = reached(0, 0.1, "w");

    policy.alias = "champion";
    policy.metric = "auc";
    policy.direction = "maximize";
    policy.min_margin = 5;
    registry_judge(&policy, &evaluation, NULL, arena, &d);
    cr_expect(d.promoted);
    cr_expect(strstr(d.reason, "no version held the alias 'champion'"));
    point[0].value = NAN;
    registry_judge(&policy, &evaluation, NULL, arena, &d);
    cr_expect(!d.promoted);
}

Test(promotion, policies_and_evaluations_are_bounded)
{
    PromotionPolicy policy = MODELBUS__REGISTRY__V1__PROMOTION_POLICY__INIT;
    Evaluation evaluation = reached(0, NAN, "w");

    policy.metric = "auc";
    policy.direction = "maximize";
    cr_expect_eq(registry_check_policy(&policy, &err), ERR_OK);
    policy.direction = "";
    cr_expect_eq(registry_check_policy(&policy, &err), ERR_INVALID, "nobody guesses which way");
    policy.direction = "up";
    cr_expect_eq(registry_check_policy(&policy, &err), ERR_INVALID);
    policy.direction = "minimize";
    policy.metric = "";
    cr_expect_eq(registry_check_policy(&policy, &err), ERR_INVALID);
    policy.metric = "auc";
    for (size_t i = 0; i < 4; i++) {
        policy.min_margin = (double[]){-1, NAN, INFINITY, 2e6}[i];
        cr_expect_eq(registry_check_policy(&policy, &err), ERR_INVALID);
    }
    cr_expect_eq(registry_check_evaluation(&evaluation, &err), ERR_OK, "%s", err.message);
    cr_expect_not_null(registry_metric(&evaluation, "auc"));
    cr_expect_null(registry_metric(&evaluation, "loss"));
    evaluation.rows = -1;
    cr_expect_eq(registry_check_evaluation(&evaluation, &err), ERR_INVALID);
    evaluation.rows = 0;
    evaluation.window = "";
    cr_expect_eq(registry_check_evaluation(&evaluation, &err), ERR_INVALID);
    evaluation.window = "w";
    evaluation.n_metrics = 0;
    cr_expect_eq(registry_check_evaluation(&evaluation, &err), ERR_INVALID);
}

Test(promotion, of_several_points_the_last_counts)
{
    Evaluation evaluation = reached(0, 0.1, "w");

    reached(1, 0.2, "w");
    evaluation.n_metrics = 2;
    cr_expect_eq(registry_metric(&evaluation, "auc")->value, 0.2);
}
