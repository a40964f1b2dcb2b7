/* SPDX-License-Identifier: Apache-2.0 */
/* test_deployment_service.c - the deployment service's handlers on a real database. */
#include "../fixture.h"
#include "changes.h"
#include "life/life.h"

#include "modelbus/serving/v1/events.pb-c.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define URI "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OK(call) cr_assert_eq(call, ERR_OK, "%s: %s", #call, f.err.message)
#define FAILS(code, call) cr_assert_eq(call, code, "%s: %s", #call, f.err.message)

typedef Modelbus__Deployment__V1__EndpointState EndpointState;

static struct fixture f;
static struct deployment_settings settings;

static void
set_up(void)
{
    static const struct service_spec spec = {
        .name = "deployment",
        .config_target = &settings,
        .schema = deployment_schema,
        .subscriptions = deployment_events,
        .interface = &modelbus__deployment__v1__deployment__descriptor,
        .methods = deployment_queries,
    };
    settings.pod_timeout_s = 60;
    fixture_open(&f, &spec);
}

static void
tear_down(void)
{
    fixture_close(&f);
}

TestSuite(deployment_service, .init = set_up, .fini = tear_down);

/* ---- what others say ---- */

static enum err_code
registered(int64_t version)
{
    Modelbus__Registry__V1__ModelRegistered event = MODELBUS__REGISTRY__V1__MODEL_REGISTERED__INIT;
    Artifact artifact = MODELBUS__COMMON__V1__ARTIFACT__INIT;
    char *features[] = {"a", "b"};

    artifact.uri = URI;
    event.model_name = "iris";
    event.version = version;
    event.artifact = &artifact;
    event.feature_names = features;
    event.n_feature_names = 2;
    return fixture_hear(&f, "r", &event);
}

static enum err_code
alias_moved(int64_t version, int64_t revision)
{
    Modelbus__Registry__V1__AliasMoved event = MODELBUS__REGISTRY__V1__ALIAS_MOVED__INIT;
    Artifact artifact = MODELBUS__COMMON__V1__ARTIFACT__INIT;

    artifact.uri = URI;
    event.model_name = "iris";
    event.alias = "champion";
    event.version = version;
    event.revision = revision;
    event.artifact = version ? &artifact : NULL;
    return fixture_hear(&f, "a", &event);
}

static enum err_code
loaded(const char *pod, int64_t generation, int64_t version)
{
    Modelbus__Serving__V1__ModelLoaded event = MODELBUS__SERVING__V1__MODEL_LOADED__INIT;

    event.endpoint = "iris";
    event.generation = generation;
    event.pod = (char *)pod;
    event.model_name = "iris";
    event.version = version;
    event.loaded_at_ms = life_now_ms();
    return fixture_hear(&f, "l", &event);
}

static enum err_code
load_failed(const char *pod, int64_t generation, int64_t version, int64_t serving)
{
    Modelbus__Serving__V1__ModelLoadFailed event = MODELBUS__SERVING__V1__MODEL_LOAD_FAILED__INIT;

    event.endpoint = "iris";
    event.generation = generation;
    event.pod = (char *)pod;
    event.model_name = "iris";
    event.version = version;
    event.error_code = "INVALID";
    event.error_message = "no such tree";
    event.serving_version = serving;
    event.failed_at_ms = life_now_ms();
    return fixture_hear(&f, "f", &event);
}

/* ---- what callers ask ---- */

static enum err_code
create(const char *name, const char *alias, int64_t version, Endpoint **endpoint)
{
    Modelbus__Deployment__V1__CreateEndpointRequest request =
        MODELBUS__DEPLOYMENT__V1__CREATE_ENDPOINT_REQUEST__INIT;
    Modelbus__Deployment__V1__CreateEndpointResponse reply;

    request.name = (char *)name;
    request.model_name = "iris";
    request.alias = (char *)alias;
    request.version = version;
    enum err_code code = fixture_call(&f, "CreateEndpoint", &request, &reply);
    if (endpoint)
        *endpoint = reply.endpoint;
    return code;
}

static Endpoint *
get(void)
{
    Modelbus__Deployment__V1__GetEndpointRequest request =
        MODELBUS__DEPLOYMENT__V1__GET_ENDPOINT_REQUEST__INIT;
    Modelbus__Deployment__V1__GetEndpointResponse reply;

    request.name = "iris";
    OK(fixture_call(&f, "GetEndpoint", &request, &reply));
    return reply.endpoint;
}

static enum err_code
rollback(int64_t to_version)
{
    Modelbus__Deployment__V1__RollbackEndpointRequest request =
        MODELBUS__DEPLOYMENT__V1__ROLLBACK_ENDPOINT_REQUEST__INIT;
    Modelbus__Deployment__V1__RollbackEndpointResponse reply;

    request.name = "iris";
    request.to_version = to_version;
    request.reason = "worse than before";
    return fixture_call(&f, "RollbackEndpoint", &request, &reply);
}

static EndpointState *
last_state(void)
{
    return fixture_last(&f, &modelbus__deployment__v1__endpoint_state__descriptor);
}

/* Versions 1..n are registered, the champion is 1 and served by pod-a as generation 1. */
static void
serving_first_of(int64_t versions)
{
    for (int64_t version = 1; version <= versions; version++)
        OK(registered(version));
    OK(alias_moved(1, 1));
    OK(create("iris", "", 0, NULL));
    OK(loaded("pod-a", 1, 1));
}

/* ---- tests ---- */

Test(deployment_service, a_new_endpoint_deploys_what_its_alias_names)
{
    Endpoint *endpoint;

    OK(registered(1));
    OK(alias_moved(1, 1));
    OK(create("iris", "", 0, &endpoint));
    cr_expect_str_eq(endpoint->alias, "champion");
    cr_expect_eq(endpoint->generation, 1);
    cr_expect_eq(endpoint->status, ENDPOINT_STATUS(DEPLOYING));
    cr_expect_eq(endpoint->target->version, 1);
    cr_expect_str_eq(endpoint->target->artifact->uri, URI);
    cr_expect_eq(endpoint->target->n_feature_names, 2);
    EndpointState *state = last_state();
    cr_expect_eq(state->generation, 1);
    cr_expect_str_eq(state->workspace, "default");
    cr_expect_eq(state->target->version, 1);
    cr_expect_null(state->fallback);
    Modelbus__Deployment__V1__ModelDeployed *said =
        fixture_last(&f, &modelbus__deployment__v1__model_deployed__descriptor);
    cr_expect_str_eq(said->reason, "created");
    cr_expect_str_eq(said->deployed_by, "user:ann");
    FAILS(ERR_EXISTS, create("iris", "", 0, NULL));
}

Test(deployment_service, an_endpoint_waits_for_its_alias)
{
    Endpoint *endpoint;

    OK(create("iris", "", 0, &endpoint));
    cr_expect_eq(endpoint->status, ENDPOINT_STATUS(PENDING));
    cr_expect_eq(fixture_said(&f, "EndpointState"), 0);
    OK(registered(1));
    cr_expect_eq(get()->status, ENDPOINT_STATUS(PENDING));
    OK(alias_moved(1, 1));
    cr_expect_eq(get()->status, ENDPOINT_STATUS(DEPLOYING));
    cr_expect_eq(last_state()->target->version, 1);
}

Test(deployment_service, an_endpoint_waits_for_its_version)
{
    OK(create("iris", "", 2, NULL));
    OK(registered(1));
    cr_expect_eq(get()->status, ENDPOINT_STATUS(PENDING));
    OK(registered(2));
    cr_expect_eq(last_state()->target->version, 2);
    OK(registered(2));
    cr_expect_eq(get()->generation, 1, "heard twice, deployed once");
}

Test(deployment_service, a_moved_alias_deploys_and_names_the_fallback)
{
    serving_first_of(2);
    cr_expect_eq(get()->status, ENDPOINT_STATUS(SERVING));
    OK(alias_moved(2, 2));
    EndpointState *state = last_state();
    cr_expect_eq(state->generation, 2);
    cr_expect_eq(state->target->version, 2);
    cr_assert(state->fallback);
    cr_expect_eq(state->fallback->version, 1);
    cr_expect_eq(get()->status, ENDPOINT_STATUS(DEPLOYING));
    OK(loaded("pod-a", 2, 2));
    cr_expect_eq(get()->status, ENDPOINT_STATUS(SERVING));
    OK(alias_moved(2, 2));
    OK(alias_moved(1, 1));
    cr_expect_eq(get()->generation, 2, "what is known already changes nothing");
}

Test(deployment_service, an_alias_says_enough_when_its_version_is_not_known)
{
    OK(create("iris", "", 0, NULL));
    OK(alias_moved(7, 3));
    cr_expect_eq(last_state()->target->version, 7);
    cr_expect_str_eq(last_state()->target->artifact->uri, URI);
}

Test(deployment_service, a_removed_alias_keeps_serving)
{
    serving_first_of(1);
    OK(alias_moved(0, 2));
    Endpoint *endpoint = get();
    cr_expect_eq(endpoint->generation, 1);
    cr_expect_eq(endpoint->target->version, 1);
    cr_expect(strstr(endpoint->status_detail, "removed"), "%s", endpoint->status_detail);
    OK(alias_moved(1, 3));
    cr_expect_str_empty(get()->status_detail);
    cr_expect_eq(get()->generation, 1);
}

Test(deployment_service, the_first_serves_again_after_a_broken_third)
{
    serving_first_of(3);
    OK(alias_moved(2, 2));
    OK(loaded("pod-a", 2, 2));
    OK(alias_moved(3, 3));
    OK(load_failed("pod-a", 3, 3, 2));
    Endpoint *endpoint = get();
    cr_expect_eq(endpoint->status, ENDPOINT_STATUS(FAILED));
    cr_expect(strstr(endpoint->status_detail, "no such tree"), "%s", endpoint->status_detail);
    cr_expect_eq(endpoint->pods[0]->version, 2);
    OK(rollback(0));
    EndpointState *state = last_state();
    cr_expect_eq(state->generation, 4);
    cr_expect_eq(state->target->version, 1);
    cr_expect_eq(state->fallback->version, 2);
    Modelbus__Deployment__V1__RolledBack *said =
        fixture_last(&f, &modelbus__deployment__v1__rolled_back__descriptor);
    cr_expect_eq(said->from->version, 3);
    cr_expect_eq(said->to->version, 1);
    cr_expect_str_eq(said->reason, "worse than before");
    cr_expect(get()->held);
    FAILS(ERR_PRECONDITION, rollback(0));
    OK(loaded("pod-a", 4, 1));
    FAILS(ERR_PRECONDITION, rollback(0));
    FAILS(ERR_PRECONDITION, rollback(1));
    FAILS(ERR_NOT_FOUND, rollback(9));
    OK(rollback(2));
    cr_expect_eq(last_state()->target->version, 2);
}

Test(deployment_service, a_held_endpoint_follows_the_next_move)
{
    serving_first_of(3);
    OK(alias_moved(2, 2));
    OK(loaded("pod-a", 2, 2));
    OK(rollback(0));
    OK(alias_moved(2, 2));
    cr_expect(get()->held, "an old move does not release it");
    OK(alias_moved(1, 3));
    cr_expect(!get()->held);
    cr_expect_eq(get()->generation, 3, "it is at that version already");
    OK(alias_moved(3, 4));
    cr_expect_eq(get()->target->version, 3);
}

Test(deployment_service, a_rollback_needs_somewhere_to_go)
{
    FAILS(ERR_NOT_FOUND, rollback(0));
    OK(create("iris", "", 0, NULL));
    FAILS(ERR_PRECONDITION, rollback(0));
    OK(registered(1));
    OK(alias_moved(1, 1));
    FAILS(ERR_PRECONDITION, rollback(0));
    cr_expect_eq(fixture_said(&f, "RolledBack"), 0);
}

Test(deployment_service, reports_of_old_generations_are_ignored)
{
    serving_first_of(2);
    OK(alias_moved(2, 2));
    OK(loaded("pod-a", 2, 2));
    OK(load_failed("pod-a", 1, 1, 0));
    OK(loaded("pod-a", 9, 2));
    Endpoint *endpoint = get();
    cr_expect_eq(endpoint->status, ENDPOINT_STATUS(SERVING));
    cr_assert_eq(endpoint->n_pods, 1);
    cr_expect_eq(endpoint->pods[0]->generation, 2);
}

Test(deployment_service, a_fallback_is_not_the_target)
{
    Modelbus__Serving__V1__ModelLoaded event = MODELBUS__SERVING__V1__MODEL_LOADED__INIT;

    serving_first_of(2);
    OK(alias_moved(2, 2));
    OK(load_failed("pod-b", 2, 2, 0));
    event.endpoint = "iris";
    event.generation = 2;
    event.pod = "pod-b";
    event.model_name = "iris";
    event.version = 1;
    event.fallback = true;
    OK(fixture_hear(&f, "l", &event));
    OK(loaded("pod-a", 2, 2));
    Endpoint *endpoint = get();
    cr_expect_eq(endpoint->status, ENDPOINT_STATUS(FAILED));
    cr_assert_eq(endpoint->n_pods, 2);
    cr_expect_eq(endpoint->pods[1]->version, 1);
    cr_expect(!endpoint->pods[1]->loaded);
    cr_expect(strstr(endpoint->pods[1]->error, "no such tree"));
    OK(loaded("pod-b", 2, 2));
    cr_expect_eq(get()->status, ENDPOINT_STATUS(SERVING), "a later load mends it");
}

Test(deployment_service, a_silent_pod_is_left_out_and_statistics_are_a_sign_of_life)
{
    Modelbus__Serving__V1__ModelLoaded event = MODELBUS__SERVING__V1__MODEL_LOADED__INIT;
    Modelbus__Serving__V1__ServingStats stats = MODELBUS__SERVING__V1__SERVING_STATS__INIT;

    serving_first_of(1);
    event.endpoint = "iris";
    event.generation = 1;
    event.pod = "pod-b";
    event.model_name = "iris";
    event.version = 1;
    event.loaded_at_ms = life_now_ms() - 61 * 1000;
    OK(fixture_hear(&f, "l", &event));
    cr_expect_eq(get()->n_pods, 1);
    stats.pod = "pod-b";
    stats.endpoint = "iris";
    stats.window_end_ms = life_now_ms();
    OK(fixture_hear(&f, "s", &stats));
    cr_expect_eq(get()->n_pods, 2);
}

Test(deployment_service, a_pod_that_was_stopped_no_longer_counts)
{
    Modelbus__Serving__V1__PodStopped stopped = MODELBUS__SERVING__V1__POD_STOPPED__INIT;

    serving_first_of(1);
    OK(loaded("pod-b", 1, 1));
    cr_expect_eq(get()->n_pods, 2);
    stopped.pod = "pod-b";
    stopped.stopped_at_ms = life_now_ms() - 60 * 1000;
    OK(fixture_hear(&f, "old", &stopped));
    cr_expect_eq(get()->n_pods, 2, "it has reported since");
    stopped.stopped_at_ms = life_now_ms();
    OK(fixture_hear(&f, "new", &stopped));
    cr_expect_eq(get()->n_pods, 1);
    cr_expect_str_eq(get()->pods[0]->pod, "pod-a");
    stopped.pod = "";
    FAILS(ERR_INVALID, fixture_hear(&f, "nobody", &stopped));
}

Test(deployment_service, a_deleted_endpoint_comes_back_with_a_higher_generation)
{
    Modelbus__Deployment__V1__DeleteEndpointRequest request =
        MODELBUS__DEPLOYMENT__V1__DELETE_ENDPOINT_REQUEST__INIT;
    Modelbus__Deployment__V1__DeleteEndpointResponse reply;
    struct db_conn *db;

    serving_first_of(2);
    OK(alias_moved(2, 2));
    OK(loaded("pod-a", 2, 2));
    request.name = "iris";
    OK(fixture_call(&f, "DeleteEndpoint", &request, &reply));
    cr_expect(last_state()->deleted);
    cr_expect_eq(last_state()->generation, 3);
    cr_expect_null(last_state()->target);
    cr_expect_eq(fixture_said(&f, "EndpointDeleted"), 1);
    FAILS(ERR_NOT_FOUND, fixture_call(&f, "DeleteEndpoint", &request, &reply));
    OK(loaded("pod-a", 2, 2));
    int64_t states = fixture_said(&f, "EndpointState");
    OK(db_borrow(f.service.db, &db, &f.err));
    OK(db_begin(db, &f.err));
    OK(deployment_republish(&f.service, f.service.outbox, db, &f.err));
    OK(db_commit(db, &f.err));
    db_return(db);
    cr_expect_eq(fixture_said(&f, "EndpointState"), states + 1);
    cr_expect(last_state()->deleted);
    OK(create("iris", "", 0, NULL));
    cr_expect_eq(get()->generation, 4);
    cr_expect_eq(get()->n_pods, 0);
    OK(loaded("pod-a", 4, 2));
    FAILS(ERR_PRECONDITION, rollback(0));
}

Test(deployment_service, an_update_binds_anew)
{
    Modelbus__Deployment__V1__UpdateEndpointRequest request =
        MODELBUS__DEPLOYMENT__V1__UPDATE_ENDPOINT_REQUEST__INIT;
    Modelbus__Deployment__V1__UpdateEndpointResponse reply;

    serving_first_of(2);
    request.name = "iris";
    request.version = 2;
    request.expected_generation = 7;
    FAILS(ERR_CONFLICT, fixture_call(&f, "UpdateEndpoint", &request, &reply));
    request.expected_generation = 1;
    OK(fixture_call(&f, "UpdateEndpoint", &request, &reply));
    cr_expect_eq(reply.endpoint->generation, 2);
    cr_expect_eq(reply.endpoint->fixed_version, 2);
    OK(alias_moved(2, 2));
    OK(alias_moved(1, 3));
    cr_expect_eq(get()->target->version, 2, "a fixed version follows no alias");
    request.expected_generation = 0;
    request.version = 5;
    OK(fixture_call(&f, "UpdateEndpoint", &request, &reply));
    cr_expect_eq(reply.endpoint->target->version, 2, "keeps serving while it waits");
    OK(registered(5));
    cr_expect_eq(get()->target->version, 5);
}

Test(deployment_service, history_is_listed_newest_first_by_pages)
{
    Modelbus__Deployment__V1__ListEndpointHistoryRequest request =
        MODELBUS__DEPLOYMENT__V1__LIST_ENDPOINT_HISTORY_REQUEST__INIT;
    Modelbus__Deployment__V1__ListEndpointHistoryResponse reply;
    PageRequest page = MODELBUS__COMMON__V1__PAGE_REQUEST__INIT;

    serving_first_of(3);
    OK(alias_moved(2, 2));
    OK(load_failed("pod-a", 2, 2, 1));
    OK(alias_moved(3, 3));
    request.name = "iris";
    request.page = &page;
    page.page_size = 2;
    OK(fixture_call(&f, "ListEndpointHistory", &request, &reply));
    cr_assert_eq(reply.n_changes, 2);
    cr_expect_str_eq(reply.changes[0]->outcome, "pending");
    cr_expect_str_eq(reply.changes[1]->outcome, "failed");
    cr_expect(strstr(reply.changes[1]->detail, "no such tree"));
    page.page_token = reply.next_page_token;
    OK(fixture_call(&f, "ListEndpointHistory", &request, &reply));
    cr_assert_eq(reply.n_changes, 1);
    cr_expect_str_eq(reply.changes[0]->outcome, "served");
    cr_expect_str_eq(reply.changes[0]->reason, "created");
    cr_expect_str_empty(reply.next_page_token);
    page.page_token = "abcd";
    FAILS(ERR_INVALID, fixture_call(&f, "ListEndpointHistory", &request, &reply));
    request.name = "rose";
    page.page_token = "";
    FAILS(ERR_NOT_FOUND, fixture_call(&f, "ListEndpointHistory", &request, &reply));
}

Test(deployment_service, endpoints_are_listed_by_pages)
{
    Modelbus__Deployment__V1__ListEndpointsRequest request =
        MODELBUS__DEPLOYMENT__V1__LIST_ENDPOINTS_REQUEST__INIT;
    Modelbus__Deployment__V1__ListEndpointsResponse reply;
    PageRequest page = MODELBUS__COMMON__V1__PAGE_REQUEST__INIT;

    OK(create("a", "", 0, NULL));
    OK(create("b", "", 0, NULL));
    OK(create("c", "", 0, NULL));
    request.page = &page;
    page.page_size = 2;
    OK(fixture_call(&f, "ListEndpoints", &request, &reply));
    cr_assert_eq(reply.n_endpoints, 2);
    page.page_token = reply.next_page_token;
    OK(fixture_call(&f, "ListEndpoints", &request, &reply));
    cr_assert_eq(reply.n_endpoints, 1);
    cr_expect_str_eq(reply.endpoints[0]->name, "c");
    cr_expect_str_empty(reply.next_page_token);
}

Test(deployment_service, malformed_events_are_poison)
{
    Modelbus__Registry__V1__ModelRegistered event = MODELBUS__REGISTRY__V1__MODEL_REGISTERED__INIT;
    Modelbus__Serving__V1__ServingStats stats = MODELBUS__SERVING__V1__SERVING_STATS__INIT;

    FAILS(ERR_INVALID, fixture_hear(&f, "e", &event));
    FAILS(ERR_INVALID, fixture_hear(&f, "e", &stats));
    FAILS(ERR_INVALID, registered(0));
    FAILS(ERR_INVALID, alias_moved(-1, 1));
    FAILS(ERR_INVALID, alias_moved(1, 0));
    FAILS(ERR_INVALID, create("Iris", "", 0, NULL));
    FAILS(ERR_INVALID, create("iris", "latest", 0, NULL));
    OK(loaded("pod-a", 1, 1)); /* of an endpoint that is not known: nothing to do */
}

Test(deployment_service, workspaces_do_not_see_each_other)
{
    Modelbus__Deployment__V1__ListEndpointsRequest request =
        MODELBUS__DEPLOYMENT__V1__LIST_ENDPOINTS_REQUEST__INIT;
    Modelbus__Deployment__V1__ListEndpointsResponse reply;

    serving_first_of(2);
    f.workspace = "other";
    OK(fixture_call(&f, "ListEndpoints", &request, &reply));
    cr_expect_eq(reply.n_endpoints, 0);
    FAILS(ERR_NOT_FOUND, rollback(0));
    OK(create("iris", "", 0, NULL));
    cr_expect_eq(get()->status, ENDPOINT_STATUS(PENDING), "its alias is not the other's");
    OK(registered(1));
    OK(alias_moved(2, 1));
    OK(loaded("pod-a", 1, 2));
    f.workspace = "default";
    cr_expect_eq(get()->target->version, 1);
    cr_expect_eq(get()->pods[0]->version, 1);
}
