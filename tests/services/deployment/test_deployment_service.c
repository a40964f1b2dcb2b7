/* SPDX-License-Identifier: Apache-2.0 */
/* test_deployment_service.c - endpoints, what they serve and who serves it, on a real database. */
#include "stage.h"

#include "life/life.h"
#include "modelbus/serving/v1/events.pb-c.h"

TestSuite(deployment_service, .init = stage_open, .fini = stage_close);

Test(deployment_service, a_new_endpoint_deploys_what_its_alias_names)
{
    Endpoint *endpoint;

    OK(stage_registered(1));
    OK(stage_alias_moved(1, 1));
    OK(stage_create("iris", "", 0, &endpoint));
    cr_expect_str_eq(endpoint->alias, "champion");
    cr_expect_eq(endpoint->generation, 1);
    cr_expect_eq(endpoint->status, ENDPOINT_STATUS(DEPLOYING));
    cr_expect_eq(endpoint->target->version, 1);
    cr_expect_str_eq(endpoint->target->artifact->uri, URI);
    cr_expect_eq(endpoint->target->n_feature_names, 2);
    EndpointState *state = stage_last_state();
    cr_expect_eq(state->generation, 1);
    cr_expect_str_eq(state->workspace, "default");
    cr_expect_eq(state->target->version, 1);
    cr_expect_null(state->fallback);
    Modelbus__Deployment__V1__ModelDeployed *said =
        fixture_last(&stage, &modelbus__deployment__v1__model_deployed__descriptor);
    cr_expect_str_eq(said->reason, "created");
    cr_expect_str_eq(said->deployed_by, "user:ann");
    FAILS(ERR_EXISTS, stage_create("iris", "", 0, NULL));
}

Test(deployment_service, an_endpoint_waits_for_its_alias)
{
    Endpoint *endpoint;

    OK(stage_create("iris", "", 0, &endpoint));
    cr_expect_eq(endpoint->status, ENDPOINT_STATUS(PENDING));
    cr_expect_eq(fixture_said(&stage, "EndpointState"), 0);
    OK(stage_registered(1));
    cr_expect_eq(stage_get()->status, ENDPOINT_STATUS(PENDING));
    OK(stage_alias_moved(1, 1));
    cr_expect_eq(stage_get()->status, ENDPOINT_STATUS(DEPLOYING));
    cr_expect_eq(stage_last_state()->target->version, 1);
}

Test(deployment_service, an_endpoint_waits_for_its_version)
{
    OK(stage_create("iris", "", 2, NULL));
    OK(stage_registered(1));
    cr_expect_eq(stage_get()->status, ENDPOINT_STATUS(PENDING));
    OK(stage_registered(2));
    cr_expect_eq(stage_last_state()->target->version, 2);
    OK(stage_registered(2));
    cr_expect_eq(stage_get()->generation, 1, "heard twice, deployed once");
}

Test(deployment_service, a_moved_alias_deploys_and_names_the_fallback)
{
    stage_serving_first_of(2);
    cr_expect_eq(stage_get()->status, ENDPOINT_STATUS(SERVING));
    OK(stage_alias_moved(2, 2));
    EndpointState *state = stage_last_state();
    cr_expect_eq(state->generation, 2);
    cr_expect_eq(state->target->version, 2);
    cr_assert(state->fallback);
    cr_expect_eq(state->fallback->version, 1);
    cr_expect_eq(stage_get()->status, ENDPOINT_STATUS(DEPLOYING));
    OK(stage_loaded("pod-a", 2, 2));
    cr_expect_eq(stage_get()->status, ENDPOINT_STATUS(SERVING));
    OK(stage_alias_moved(2, 2));
    OK(stage_alias_moved(1, 1));
    cr_expect_eq(stage_get()->generation, 2, "what is known already changes nothing");
}

Test(deployment_service, an_alias_says_enough_when_its_version_is_not_known)
{
    OK(stage_create("iris", "", 0, NULL));
    OK(stage_alias_moved(7, 3));
    cr_expect_eq(stage_last_state()->target->version, 7);
    cr_expect_str_eq(stage_last_state()->target->artifact->uri, URI);
}

Test(deployment_service, a_removed_alias_keeps_serving)
{
    stage_serving_first_of(1);
    OK(stage_alias_moved(0, 2));
    Endpoint *endpoint = stage_get();
    cr_expect_eq(endpoint->generation, 1);
    cr_expect_eq(endpoint->target->version, 1);
    cr_expect(strstr(endpoint->status_detail, "removed"), "%s", endpoint->status_detail);
    OK(stage_alias_moved(1, 3));
    cr_expect_str_empty(stage_get()->status_detail);
    cr_expect_eq(stage_get()->generation, 1);
}

Test(deployment_service, the_first_serves_again_after_a_broken_third)
{
    stage_serving_first_of(3);
    OK(stage_alias_moved(2, 2));
    OK(stage_loaded("pod-a", 2, 2));
    OK(stage_alias_moved(3, 3));
    OK(stage_load_failed("pod-a", 3, 3, 2));
    Endpoint *endpoint = stage_get();
    cr_expect_eq(endpoint->status, ENDPOINT_STATUS(FAILED));
    cr_expect(strstr(endpoint->status_detail, "no such tree"), "%s", endpoint->status_detail);
    cr_expect_eq(endpoint->pods[0]->version, 2);
    OK(stage_rollback(0));
    EndpointState *state = stage_last_state();
    cr_expect_eq(state->generation, 4);
    cr_expect_eq(state->target->version, 1);
    cr_expect_eq(state->fallback->version, 2);
    Modelbus__Deployment__V1__RolledBack *said =
        fixture_last(&stage, &modelbus__deployment__v1__rolled_back__descriptor);
    cr_expect_eq(said->from->version, 3);
    cr_expect_eq(said->to->version, 1);
    cr_expect_str_eq(said->reason, "worse than before");
    cr_expect(stage_get()->held);
    FAILS(ERR_PRECONDITION, stage_rollback(0));
    OK(stage_loaded("pod-a", 4, 1));
    FAILS(ERR_PRECONDITION, stage_rollback(0));
    FAILS(ERR_PRECONDITION, stage_rollback(1));
    FAILS(ERR_NOT_FOUND, stage_rollback(9));
    OK(stage_rollback(2));
    cr_expect_eq(stage_last_state()->target->version, 2);
}

Test(deployment_service, a_held_endpoint_follows_the_next_move)
{
    stage_serving_first_of(3);
    OK(stage_alias_moved(2, 2));
    OK(stage_loaded("pod-a", 2, 2));
    OK(stage_rollback(0));
    OK(stage_alias_moved(2, 2));
    cr_expect(stage_get()->held, "an old move does not release it");
    OK(stage_alias_moved(1, 3));
    cr_expect(!stage_get()->held);
    cr_expect_eq(stage_get()->generation, 3, "it is at that version already");
    OK(stage_alias_moved(3, 4));
    cr_expect_eq(stage_get()->target->version, 3);
}

Test(deployment_service, a_rollback_needs_somewhere_to_go)
{
    FAILS(ERR_NOT_FOUND, stage_rollback(0));
    OK(stage_create("iris", "", 0, NULL));
    FAILS(ERR_PRECONDITION, stage_rollback(0));
    OK(stage_registered(1));
    OK(stage_alias_moved(1, 1));
    FAILS(ERR_PRECONDITION, stage_rollback(0));
    cr_expect_eq(fixture_said(&stage, "RolledBack"), 0);
}

Test(deployment_service, reports_of_old_generations_are_ignored)
{
    stage_serving_first_of(2);
    OK(stage_alias_moved(2, 2));
    OK(stage_loaded("pod-a", 2, 2));
    OK(stage_load_failed("pod-a", 1, 1, 0));
    OK(stage_loaded("pod-a", 9, 2));
    Endpoint *endpoint = stage_get();
    cr_expect_eq(endpoint->status, ENDPOINT_STATUS(SERVING));
    cr_assert_eq(endpoint->n_pods, 1);
    cr_expect_eq(endpoint->pods[0]->generation, 2);
}

Test(deployment_service, a_fallback_is_not_the_target)
{
    Modelbus__Serving__V1__ModelLoaded event = MODELBUS__SERVING__V1__MODEL_LOADED__INIT;

    stage_serving_first_of(2);
    OK(stage_alias_moved(2, 2));
    OK(stage_load_failed("pod-b", 2, 2, 0));
    event.endpoint = "iris";
    event.generation = 2;
    event.pod = "pod-b";
    event.model_name = "iris";
    event.version = 1;
    event.fallback = true;
    OK(fixture_hear(&stage, "l", &event));
    OK(stage_loaded("pod-a", 2, 2));
    Endpoint *endpoint = stage_get();
    cr_expect_eq(endpoint->status, ENDPOINT_STATUS(FAILED));
    cr_assert_eq(endpoint->n_pods, 2);
    cr_expect_eq(endpoint->pods[1]->version, 1);
    cr_expect(!endpoint->pods[1]->loaded);
    cr_expect(strstr(endpoint->pods[1]->error, "no such tree"));
    OK(stage_loaded("pod-b", 2, 2));
    cr_expect_eq(stage_get()->status, ENDPOINT_STATUS(SERVING), "a later load mends it");
}

Test(deployment_service, a_silent_pod_is_left_out_and_statistics_are_a_sign_of_life)
{
    Modelbus__Serving__V1__ModelLoaded event = MODELBUS__SERVING__V1__MODEL_LOADED__INIT;
    Modelbus__Serving__V1__ServingStats stats = MODELBUS__SERVING__V1__SERVING_STATS__INIT;

    stage_serving_first_of(1);
    event.endpoint = "iris";
    event.generation = 1;
    event.pod = "pod-b";
    event.model_name = "iris";
    event.version = 1;
    event.loaded_at_ms = life_now_ms() - 61 * 1000;
    OK(fixture_hear(&stage, "l", &event));
    cr_expect_eq(stage_get()->n_pods, 1);
    stats.pod = "pod-b";
    stats.endpoint = "iris";
    stats.window_end_ms = life_now_ms();
    OK(fixture_hear(&stage, "s", &stats));
    cr_expect_eq(stage_get()->n_pods, 2);
}

Test(deployment_service, a_pod_that_was_stopped_no_longer_counts)
{
    Modelbus__Serving__V1__PodStopped stopped = MODELBUS__SERVING__V1__POD_STOPPED__INIT;

    stage_serving_first_of(1);
    OK(stage_loaded("pod-b", 1, 1));
    cr_expect_eq(stage_get()->n_pods, 2);
    stopped.pod = "pod-b";
    stopped.stopped_at_ms = life_now_ms() - 60 * 1000;
    OK(fixture_hear(&stage, "old", &stopped));
    cr_expect_eq(stage_get()->n_pods, 2, "it has reported since");
    stopped.stopped_at_ms = life_now_ms();
    OK(fixture_hear(&stage, "new", &stopped));
    cr_expect_eq(stage_get()->n_pods, 1);
    cr_expect_str_eq(stage_get()->pods[0]->pod, "pod-a");
    stopped.pod = "";
    FAILS(ERR_INVALID, fixture_hear(&stage, "nobody", &stopped));
}

Test(deployment_service, a_deleted_endpoint_comes_back_with_a_higher_generation)
{
    Modelbus__Deployment__V1__DeleteEndpointRequest request =
        MODELBUS__DEPLOYMENT__V1__DELETE_ENDPOINT_REQUEST__INIT;
    Modelbus__Deployment__V1__DeleteEndpointResponse reply;
    struct db_conn *db;

    stage_serving_first_of(2);
    OK(stage_alias_moved(2, 2));
    OK(stage_loaded("pod-a", 2, 2));
    request.name = "iris";
    OK(fixture_call(&stage, "DeleteEndpoint", &request, &reply));
    cr_expect(stage_last_state()->deleted);
    cr_expect_eq(stage_last_state()->generation, 3);
    cr_expect_null(stage_last_state()->target);
    cr_expect_eq(fixture_said(&stage, "EndpointDeleted"), 1);
    FAILS(ERR_NOT_FOUND, fixture_call(&stage, "DeleteEndpoint", &request, &reply));
    OK(stage_loaded("pod-a", 2, 2));
    int64_t states = fixture_said(&stage, "EndpointState");
    OK(db_borrow(stage.service.db, &db, &stage.err));
    OK(db_begin(db, &stage.err));
    OK(deployment_republish(&stage.service, stage.service.outbox, db, &stage.err));
    OK(db_commit(db, &stage.err));
    db_return(db);
    cr_expect_eq(fixture_said(&stage, "EndpointState"), states + 1);
    cr_expect(stage_last_state()->deleted);
    OK(stage_create("iris", "", 0, NULL));
    cr_expect_eq(stage_get()->generation, 4);
    cr_expect_eq(stage_get()->n_pods, 0);
    OK(stage_loaded("pod-a", 4, 2));
    FAILS(ERR_PRECONDITION, stage_rollback(0));
}

Test(deployment_service, an_update_binds_anew)
{
    Modelbus__Deployment__V1__UpdateEndpointRequest request =
        MODELBUS__DEPLOYMENT__V1__UPDATE_ENDPOINT_REQUEST__INIT;
    Modelbus__Deployment__V1__UpdateEndpointResponse reply;

    stage_serving_first_of(2);
    request.name = "iris";
    request.version = 2;
    request.expected_generation = 7;
    FAILS(ERR_CONFLICT, fixture_call(&stage, "UpdateEndpoint", &request, &reply));
    request.expected_generation = 1;
    OK(fixture_call(&stage, "UpdateEndpoint", &request, &reply));
    cr_expect_eq(reply.endpoint->generation, 2);
    cr_expect_eq(reply.endpoint->fixed_version, 2);
    OK(stage_alias_moved(2, 2));
    OK(stage_alias_moved(1, 3));
    cr_expect_eq(stage_get()->target->version, 2, "a fixed version follows no alias");
    request.expected_generation = 0;
    request.version = 5;
    OK(fixture_call(&stage, "UpdateEndpoint", &request, &reply));
    cr_expect_eq(reply.endpoint->target->version, 2, "keeps serving while it waits");
    OK(stage_registered(5));
    cr_expect_eq(stage_get()->target->version, 5);
}

Test(deployment_service, history_is_listed_newest_first_by_pages)
{
    Modelbus__Deployment__V1__ListEndpointHistoryRequest request =
        MODELBUS__DEPLOYMENT__V1__LIST_ENDPOINT_HISTORY_REQUEST__INIT;
    Modelbus__Deployment__V1__ListEndpointHistoryResponse reply;
    PageRequest page = MODELBUS__COMMON__V1__PAGE_REQUEST__INIT;

    stage_serving_first_of(3);
    OK(stage_alias_moved(2, 2));
    OK(stage_load_failed("pod-a", 2, 2, 1));
    OK(stage_alias_moved(3, 3));
    request.name = "iris";
    request.page = &page;
    page.page_size = 2;
    OK(fixture_call(&stage, "ListEndpointHistory", &request, &reply));
    cr_assert_eq(reply.n_changes, 2);
    cr_expect_str_eq(reply.changes[0]->outcome, "pending");
    cr_expect_str_eq(reply.changes[1]->outcome, "failed");
    cr_expect(strstr(reply.changes[1]->detail, "no such tree"));
    page.page_token = reply.next_page_token;
    OK(fixture_call(&stage, "ListEndpointHistory", &request, &reply));
    cr_assert_eq(reply.n_changes, 1);
    cr_expect_str_eq(reply.changes[0]->outcome, "served");
    cr_expect_str_eq(reply.changes[0]->reason, "created");
    cr_expect_str_empty(reply.next_page_token);
    page.page_token = "abcd";
    FAILS(ERR_INVALID, fixture_call(&stage, "ListEndpointHistory", &request, &reply));
    request.name = "rose";
    page.page_token = "";
    FAILS(ERR_NOT_FOUND, fixture_call(&stage, "ListEndpointHistory", &request, &reply));
}

Test(deployment_service, endpoints_are_listed_by_pages)
{
    Modelbus__Deployment__V1__ListEndpointsRequest request =
        MODELBUS__DEPLOYMENT__V1__LIST_ENDPOINTS_REQUEST__INIT;
    Modelbus__Deployment__V1__ListEndpointsResponse reply;
    PageRequest page = MODELBUS__COMMON__V1__PAGE_REQUEST__INIT;

    OK(stage_create("a", "", 0, NULL));
    OK(stage_create("b", "", 0, NULL));
    OK(stage_create("c", "", 0, NULL));
    request.page = &page;
    page.page_size = 2;
    OK(fixture_call(&stage, "ListEndpoints", &request, &reply));
    cr_assert_eq(reply.n_endpoints, 2);
    page.page_token = reply.next_page_token;
    OK(fixture_call(&stage, "ListEndpoints", &request, &reply));
    cr_assert_eq(reply.n_endpoints, 1);
    cr_expect_str_eq(reply.endpoints[0]->name, "c");
    cr_expect_str_empty(reply.next_page_token);
}

Test(deployment_service, malformed_events_are_poison)
{
    Modelbus__Registry__V1__ModelRegistered event = MODELBUS__REGISTRY__V1__MODEL_REGISTERED__INIT;
    Modelbus__Serving__V1__ServingStats stats = MODELBUS__SERVING__V1__SERVING_STATS__INIT;

    FAILS(ERR_INVALID, fixture_hear(&stage, "e", &event));
    FAILS(ERR_INVALID, fixture_hear(&stage, "e", &stats));
    FAILS(ERR_INVALID, stage_registered(0));
    FAILS(ERR_INVALID, stage_alias_moved(-1, 1));
    FAILS(ERR_INVALID, stage_alias_moved(1, 0));
    FAILS(ERR_INVALID, stage_create("Iris", "", 0, NULL));
    FAILS(ERR_INVALID, stage_create("iris", "latest", 0, NULL));
    OK(stage_loaded("pod-a", 1, 1)); /* of an endpoint that is not known: nothing to do */
}

Test(deployment_service, workspaces_do_not_see_each_other)
{
    Modelbus__Deployment__V1__ListEndpointsRequest request =
        MODELBUS__DEPLOYMENT__V1__LIST_ENDPOINTS_REQUEST__INIT;
    Modelbus__Deployment__V1__ListEndpointsResponse reply;

    stage_serving_first_of(2);
    stage.workspace = "other";
    OK(fixture_call(&stage, "ListEndpoints", &request, &reply));
    cr_expect_eq(reply.n_endpoints, 0);
    FAILS(ERR_NOT_FOUND, stage_rollback(0));
    OK(stage_create("iris", "", 0, NULL));
    cr_expect_eq(stage_get()->status, ENDPOINT_STATUS(PENDING), "its alias is not the other's");
    OK(stage_registered(1));
    OK(stage_alias_moved(2, 1));
    OK(stage_loaded("pod-a", 1, 2));
    stage.workspace = "default";
    cr_expect_eq(stage_get()->target->version, 1);
    cr_expect_eq(stage_get()->pods[0]->version, 1);
}
