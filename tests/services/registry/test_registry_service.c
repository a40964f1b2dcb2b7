/* SPDX-License-Identifier: Apache-2.0 */
/* test_registry_service.c - the registry's handlers on a real database. */
#include "../fixture.h"
#include "changes.h"

#include "modelbus/experiment/v1/events.pb-c.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define URI "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OK(call) cr_assert_eq(call, ERR_OK, "%s: %s", #call, f.err.message)
#define FAILS(code, call) cr_assert_eq(call, code, "%s: %s", #call, f.err.message)

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

TestSuite(registry_service, .init = set_up, .fini = tear_down);

static enum err_code
trained(const char *model, const char *event_id)
{
    Modelbus__Experiment__V1__ModelTrained event = MODELBUS__EXPERIMENT__V1__MODEL_TRAINED__INIT;
    Artifact artifact = MODELBUS__COMMON__V1__ARTIFACT__INIT;
    Metric auc = MODELBUS__COMMON__V1__METRIC__INIT;
    Metric *metrics[] = {&auc};
    Tag team = MODELBUS__COMMON__V1__TAG__INIT;
    Tag *tags[] = {&team};
    char *features[] = {"a", "b"};

    artifact.uri = URI;
    artifact.format = "xgboost-json";
    auc.key = "auc";
    auc.value = 0.875;
    team.key = "team";
    team.value = "fraud";
    event.model_name = (char *)model;
    event.run_id = "run-1";
    event.artifact = &artifact;
    event.metrics = metrics;
    event.n_metrics = 1;
    event.tags = tags;
    event.n_tags = 1;
    event.feature_names = features;
    event.n_feature_names = 2;
    return fixture_hear(&f, event_id, &event);
}

static enum err_code
set_alias(const char *alias, int64_t version, int64_t expected_revision)
{
    Modelbus__Registry__V1__SetAliasRequest request =
        MODELBUS__REGISTRY__V1__SET_ALIAS_REQUEST__INIT;
    Modelbus__Registry__V1__SetAliasResponse reply;

    request.name = "iris";
    request.alias = (char *)alias;
    request.version = version;
    request.expected_revision = expected_revision;
    return fixture_call(&f, "SetAlias", &request, &reply);
}

static enum err_code
get_version(int64_t number, const char *alias, ModelVersion **version)
{
    Modelbus__Registry__V1__GetModelVersionRequest request =
        MODELBUS__REGISTRY__V1__GET_MODEL_VERSION_REQUEST__INIT;
    Modelbus__Registry__V1__GetModelVersionResponse reply;

    request.name = "iris";
    request.version = number;
    request.alias = (char *)alias;
    enum err_code code = fixture_call(&f, "GetModelVersion", &request, &reply);
    *version = reply.version;
    return code;
}

static Stage
stage_of(int64_t number)
{
    ModelVersion *version;

    OK(get_version(number, "", &version));
    return version->stage;
}

Test(registry_service, a_trained_model_becomes_a_version)
{
    Modelbus__Registry__V1__ModelRegistered *said;
    ModelVersion *version;

    OK(trained("iris", "e1"));
    OK(get_version(0, "", &version));
    cr_expect_eq(version->version, 1);
    cr_expect_eq(version->stage, STAGE(NONE));
    cr_expect_str_eq(version->run_id, "run-1");
    cr_expect_str_eq(version->artifact->uri, URI);
    cr_expect_str_eq(version->created_by, "/pipeline/a");
    cr_assert_eq(version->n_metrics, 1);
    cr_expect_eq(version->metrics[0]->value, 0.875);
    cr_assert_eq(version->n_tags, 1);
    cr_expect_str_eq(version->tags[0]->value, "fraud");
    cr_assert_eq(version->n_feature_names, 2);
    cr_expect_str_eq(version->feature_names[1], "b");
    said = fixture_last(&f, &modelbus__registry__v1__model_registered__descriptor);
    cr_expect_eq(said->version, 1);
    cr_expect_str_eq(said->registered_by, "/pipeline/a");
    cr_expect_str_eq(said->artifact->uri, URI);
}

Test(registry_service, versions_are_numbered_per_model_without_gaps)
{
    ModelVersion *version;
    char id[16];

    for (int i = 0; i < 5; i++) {
        snprintf(id, sizeof(id), "a%d", i);
        OK(trained("iris", id));
        snprintf(id, sizeof(id), "b%d", i);
        OK(trained("other", id));
    }
    OK(get_version(0, "", &version));
    cr_expect_eq(version->version, 5);
}

Test(registry_service, a_bad_trained_model_is_poison_and_changes_nothing)
{
    Modelbus__Experiment__V1__ModelTrained event = MODELBUS__EXPERIMENT__V1__MODEL_TRAINED__INIT;
    static const struct db_stmt models = {"SELECT count(*) FROM model"};

    event.model_name = "iris";
    FAILS(ERR_INVALID, fixture_hear(&f, "e1", &event));
    FAILS(ERR_INVALID, trained("a/b", "e2"));
    FAILS(ERR_INVALID, trained("", "e3"));
    cr_expect_eq(fixture_number(&f, &models), 0);
    cr_expect_eq(fixture_said(&f, "ModelRegistered"), 0);
}

Test(registry_service, promotion_archives_the_old_champion)
{
    ModelVersion *version;

    OK(trained("iris", "e1"));
    OK(trained("iris", "e2"));
    OK(set_alias("champion", 1, 0));
    cr_expect_eq(stage_of(1), STAGE(PRODUCTION));
    OK(set_alias("champion", 2, 1));
    cr_expect_eq(stage_of(1), STAGE(ARCHIVED));
    cr_expect_eq(stage_of(2), STAGE(PRODUCTION));
    OK(get_version(0, "champion", &version));
    cr_expect_eq(version->version, 2);
    cr_assert_eq(version->n_aliases, 1);
    cr_expect_str_eq(version->aliases[0], "champion");
    cr_expect_eq(fixture_said(&f, "AliasMoved"), 2);
    cr_expect_eq(fixture_said(&f, "StageChanged"), 3);
    Modelbus__Registry__V1__AliasMoved *moved =
        fixture_last(&f, &modelbus__registry__v1__alias_moved__descriptor);
    cr_expect_eq(moved->version, 2);
    cr_expect_eq(moved->previous_version, 1);
    cr_expect_eq(moved->revision, 2);
    cr_expect_str_eq(moved->moved_by, "user:ann");
    cr_expect_str_eq(moved->artifact->uri, URI);
}

Test(registry_service, the_stage_production_moves_the_champion)
{
    Modelbus__Registry__V1__SetStageRequest request =
        MODELBUS__REGISTRY__V1__SET_STAGE_REQUEST__INIT;
    Modelbus__Registry__V1__SetStageResponse reply;
    ModelVersion *version;

    OK(trained("iris", "e1"));
    OK(trained("iris", "e2"));
    OK(set_alias("champion", 1, 0));
    request.name = "iris";
    request.version = 2;
    request.stage = STAGE(PRODUCTION);
    OK(fixture_call(&f, "SetStage", &request, &reply));
    cr_expect_eq(reply.version->stage, STAGE(PRODUCTION));
    OK(get_version(0, "champion", &version));
    cr_expect_eq(version->version, 2);
    cr_expect_eq(stage_of(1), STAGE(ARCHIVED));
    request.stage = STAGE(STAGING);
    FAILS(ERR_PRECONDITION, fixture_call(&f, "SetStage", &request, &reply));
    request.version = 1;
    OK(fixture_call(&f, "SetStage", &request, &reply));
    cr_expect_eq(stage_of(1), STAGE(STAGING));
}

Test(registry_service, an_alias_that_points_there_does_not_move)
{
    OK(trained("iris", "e1"));
    OK(set_alias("best", 1, 0));
    OK(set_alias("best", 1, 1));
    cr_expect_eq(fixture_said(&f, "AliasMoved"), 1);
    FAILS(ERR_NOT_FOUND, set_alias("best", 2, 0));
    FAILS(ERR_INVALID, set_alias("latest", 1, 0));
    FAILS(ERR_INVALID, set_alias("best", 0, 0));
    FAILS(ERR_CONFLICT, set_alias("best", 1, 7));
}

Test(registry_service, a_removed_alias_counts_on_and_frees_its_version)
{
    Modelbus__Registry__V1__DeleteAliasRequest removal =
        MODELBUS__REGISTRY__V1__DELETE_ALIAS_REQUEST__INIT;
    Modelbus__Registry__V1__DeleteAliasResponse removed;
    Modelbus__Registry__V1__DeleteModelVersionRequest deletion =
        MODELBUS__REGISTRY__V1__DELETE_MODEL_VERSION_REQUEST__INIT;
    Modelbus__Registry__V1__DeleteModelVersionResponse deleted;
    ModelVersion *version;

    OK(trained("iris", "e1"));
    OK(trained("iris", "e2"));
    OK(set_alias("champion", 2, 0));
    deletion.name = "iris";
    deletion.version = 2;
    FAILS(ERR_PRECONDITION, fixture_call(&f, "DeleteModelVersion", &deletion, &deleted));
    removal.name = "iris";
    removal.alias = "champion";
    removal.expected_revision = 9;
    FAILS(ERR_CONFLICT, fixture_call(&f, "DeleteAlias", &removal, &removed));
    removal.expected_revision = 1;
    OK(fixture_call(&f, "DeleteAlias", &removal, &removed));
    cr_expect_eq(stage_of(2), STAGE(ARCHIVED));
    removal.expected_revision = 0;
    FAILS(ERR_NOT_FOUND, fixture_call(&f, "DeleteAlias", &removal, &removed));
    OK(fixture_call(&f, "DeleteModelVersion", &deletion, &deleted));
    FAILS(ERR_NOT_FOUND, set_alias("champion", 2, 0));
    OK(set_alias("champion", 1, 2));
    OK(trained("iris", "e3"));
    OK(get_version(0, "", &version));
    cr_expect_eq(version->version, 3, "a number is never given twice");
    cr_expect_eq(fixture_said(&f, "VersionDeleted"), 1);
}

/* ---- races ---- */

#define RACERS 16
#define ROUNDS 20

struct racer {
    pthread_t thread;
    int number, wins;
};
static pthread_barrier_t barrier;

static void *
race(void *arg)
{
    struct racer *racer = arg;
    struct arena *arena = arena_new(0, 0);
    struct err err;

    for (int64_t round = 1; round <= ROUNDS; round++) {
        Modelbus__Registry__V1__SetAliasRequest request =
            MODELBUS__REGISTRY__V1__SET_ALIAS_REQUEST__INIT;
        Modelbus__Registry__V1__SetAliasResponse reply;
        request.name = "iris";
        request.alias = "champion";
        /* Never where it points now, so that a win is a move. */
        request.version = 1 + (round % 2) * RACERS + racer->number;
        request.expected_revision = round;
        pthread_barrier_wait(&barrier);
        enum err_code code = fixture_call_in(&f, arena, "SetAlias", &request, &reply, &err);
        cr_assert(code == ERR_OK || code == ERR_CONFLICT, "%s", err.message);
        if (code == ERR_OK) {
            cr_assert_eq(reply.alias->revision, round + 1);
            racer->wins++;
        }
        arena_reset(arena);
    }
    arena_free(arena);
    return NULL;
}

Test(registry_service, of_racing_compare_and_sets_exactly_one_wins_each_revision)
{
    static const struct db_stmt production = {
        "SELECT count(*) FROM version WHERE stage = 3 AND version = (SELECT version FROM alias)"};
    struct racer racers[RACERS] = {0};
    char id[16];
    int wins = 0;

    for (int i = 0; i <= 2 * RACERS; i++) {
        snprintf(id, sizeof(id), "e%d", i);
        OK(trained("iris", id));
    }
    OK(set_alias("champion", 2 * RACERS + 1, 0));
    pthread_barrier_init(&barrier, NULL, RACERS);
    for (int i = 0; i < RACERS; i++) {
        racers[i].number = i;
        cr_assert_eq(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < RACERS; i++) {
        pthread_join(racers[i].thread, NULL);
        wins += racers[i].wins;
    }
    cr_expect_eq(wins, ROUNDS);
    cr_expect_eq(fixture_said(&f, "AliasMoved"), ROUNDS + 1);
    cr_expect_eq(fixture_number(&f, &production), 1);
}

static void *
register_many(void *arg)
{
    struct arena *arena = arena_new(0, 0);
    struct err err;

    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        Modelbus__Registry__V1__CreateModelVersionRequest request =
            MODELBUS__REGISTRY__V1__CREATE_MODEL_VERSION_REQUEST__INIT;
        Modelbus__Registry__V1__CreateModelVersionResponse reply;
        Artifact artifact = MODELBUS__COMMON__V1__ARTIFACT__INIT;
        artifact.uri = URI;
        request.name = "iris";
        request.artifact = &artifact;
        cr_assert_eq(fixture_call_in(&f, arena, "CreateModelVersion", &request, &reply, &err),
                     ERR_OK, "%s", err.message);
        arena_reset(arena);
    }
    arena_free(arena);
    return NULL;
}

Test(registry_service, racing_registrations_leave_no_gap)
{
    static const struct db_stmt count = {"SELECT count(*) FROM version"};
    static const struct db_stmt highest = {"SELECT max(version) FROM version"};
    pthread_t threads[8];

    for (int i = 0; i < 8; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, register_many, NULL), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    cr_expect_eq(fixture_number(&f, &count), 8 * ROUNDS);
    cr_expect_eq(fixture_number(&f, &highest), 8 * ROUNDS);
}

/* ---- models, pages, workspaces ---- */

static enum err_code
create_model(const char *name)
{
    Modelbus__Registry__V1__CreateModelRequest request =
        MODELBUS__REGISTRY__V1__CREATE_MODEL_REQUEST__INIT;
    Modelbus__Registry__V1__CreateModelResponse reply;

    request.name = (char *)name;
    request.description = "d";
    return fixture_call(&f, "CreateModel", &request, &reply);
}

Test(registry_service, a_model_is_created_once_and_updated_by_revision)
{
    Modelbus__Registry__V1__UpdateModelRequest request =
        MODELBUS__REGISTRY__V1__UPDATE_MODEL_REQUEST__INIT;
    Modelbus__Registry__V1__UpdateModelResponse reply;

    OK(create_model("iris"));
    FAILS(ERR_EXISTS, create_model("iris"));
    FAILS(ERR_INVALID, create_model("../etc"));
    request.name = "iris";
    request.description = "flowers";
    request.expected_revision = 1;
    OK(fixture_call(&f, "UpdateModel", &request, &reply));
    cr_expect_str_eq(reply.model->description, "flowers");
    cr_expect_eq(reply.model->revision, 2);
    FAILS(ERR_CONFLICT, fixture_call(&f, "UpdateModel", &request, &reply));
    request.name = "rose";
    FAILS(ERR_NOT_FOUND, fixture_call(&f, "UpdateModel", &request, &reply));
}

Test(registry_service, a_version_is_updated_by_revision)
{
    Modelbus__Registry__V1__UpdateModelVersionRequest request =
        MODELBUS__REGISTRY__V1__UPDATE_MODEL_VERSION_REQUEST__INIT;
    Modelbus__Registry__V1__UpdateModelVersionResponse reply;

    OK(trained("iris", "e1"));
    request.name = "iris";
    request.version = 1;
    request.description = "good";
    request.expected_revision = 1;
    OK(fixture_call(&f, "UpdateModelVersion", &request, &reply));
    cr_expect_str_eq(reply.version->description, "good");
    cr_expect_eq(reply.version->n_tags, 0);
    cr_expect_str_eq(reply.version->artifact->uri, URI);
    FAILS(ERR_CONFLICT, fixture_call(&f, "UpdateModelVersion", &request, &reply));
}

static Modelbus__Registry__V1__ListModelsResponse
list_models(const char *prefix, uint32_t size, char *token, enum err_code expected)
{
    Modelbus__Registry__V1__ListModelsRequest request =
        MODELBUS__REGISTRY__V1__LIST_MODELS_REQUEST__INIT;
    Modelbus__Registry__V1__ListModelsResponse reply;
    PageRequest page = MODELBUS__COMMON__V1__PAGE_REQUEST__INIT;

    page.page_size = size;
    page.page_token = token;
    request.page = &page;
    request.name_prefix = (char *)prefix;
    FAILS(expected, fixture_call(&f, "ListModels", &request, &reply));
    return reply;
}

Test(registry_service, lists_go_by_pages)
{
    Modelbus__Registry__V1__ListModelsResponse page;

    OK(create_model("a1"));
    OK(create_model("a2"));
    OK(create_model("a3"));
    OK(create_model("b1"));
    page = list_models("", 3, "", ERR_OK);
    cr_assert_eq(page.n_models, 3);
    cr_expect_str_eq(page.models[2]->name, "a3");
    char *token = page.next_page_token;
    cr_assert(*token);
    page = list_models("", 3, token, ERR_OK);
    cr_assert_eq(page.n_models, 1);
    cr_expect_str_eq(page.models[0]->name, "b1");
    cr_expect_str_empty(page.next_page_token);
    page = list_models("a", 0, "", ERR_OK);
    cr_expect_eq(page.n_models, 3);
    list_models("a", 3, token, ERR_INVALID); /* of another filter */
    list_models("", 3, "zz", ERR_INVALID);
    list_models("", 3, "00", ERR_INVALID);
    list_models("", 1001, "", ERR_INVALID);
}

Test(registry_service, versions_are_listed_newest_first)
{
    Modelbus__Registry__V1__ListModelVersionsRequest request =
        MODELBUS__REGISTRY__V1__LIST_MODEL_VERSIONS_REQUEST__INIT;
    Modelbus__Registry__V1__ListModelVersionsResponse reply;
    PageRequest page = MODELBUS__COMMON__V1__PAGE_REQUEST__INIT;
    char id[16];

    request.name = "iris";
    request.page = &page;
    FAILS(ERR_NOT_FOUND, fixture_call(&f, "ListModelVersions", &request, &reply));
    for (int i = 0; i < 5; i++) {
        snprintf(id, sizeof(id), "e%d", i);
        OK(trained("iris", id));
    }
    page.page_size = 2;
    for (int64_t next = 5; next > 0;) {
        OK(fixture_call(&f, "ListModelVersions", &request, &reply));
        for (size_t i = 0; i < reply.n_versions; i++)
            cr_expect_eq(reply.versions[i]->version, next--);
        cr_expect_eq(*reply.next_page_token != '\0', next > 0);
        page.page_token = reply.next_page_token;
    }
}

Test(registry_service, workspaces_do_not_see_each_other)
{
    Modelbus__Registry__V1__ListModelsResponse page;
    ModelVersion *version;

    OK(trained("iris", "e1"));
    OK(set_alias("champion", 1, 0));
    f.workspace = "other";
    page = list_models("", 0, "", ERR_OK);
    cr_expect_eq(page.n_models, 0);
    FAILS(ERR_NOT_FOUND, get_version(1, "", &version));
    FAILS(ERR_NOT_FOUND, get_version(0, "champion", &version));
    FAILS(ERR_NOT_FOUND, set_alias("champion", 1, 0));
    OK(trained("iris", "e1"));
    OK(get_version(0, "", &version));
    cr_expect_eq(version->version, 1, "numbers are counted in each workspace");
    FAILS(ERR_NOT_FOUND, get_version(0, "champion", &version));
}
