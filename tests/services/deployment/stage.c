/* SPDX-License-Identifier: Apache-2.0 */
/* stage.c - the service opened and closed, events heard, methods called. */
#include "stage.h"

#include "life/life.h"
#include "modelbus/serving/v1/events.pb-c.h"

struct fixture stage;

static struct deployment_settings settings;

void
stage_open(void)
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
    fixture_open(&stage, &spec);
}

void
stage_close(void)
{
    fixture_close(&stage);
}

/* ---- what others say ---- */

enum err_code
stage_registered(int64_t version)
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
    return fixture_hear(&stage, "r", &event);
}

enum err_code
stage_alias_moved(int64_t version, int64_t revision)
{
    Modelbus__Registry__V1__AliasMoved event = MODELBUS__REGISTRY__V1__ALIAS_MOVED__INIT;
    Artifact artifact = MODELBUS__COMMON__V1__ARTIFACT__INIT;

    artifact.uri = URI;
    event.model_name = "iris";
    event.alias = "champion";
    event.version = version;
    event.revision = revision;
    event.artifact = version ? &artifact : NULL;
    return fixture_hear(&stage, "a", &event);
}

enum err_code
stage_loaded(const char *pod, int64_t generation, int64_t version)
{
    Modelbus__Serving__V1__ModelLoaded event = MODELBUS__SERVING__V1__MODEL_LOADED__INIT;

    event.endpoint = "iris";
    event.generation = generation;
    event.pod = (char *)pod;
    event.model_name = "iris";
    event.version = version;
    event.loaded_at_ms = life_now_ms();
    return fixture_hear(&stage, "l", &event);
}

enum err_code
stage_load_failed(const char *pod, int64_t generation, int64_t version, int64_t serving)
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
    return fixture_hear(&stage, "f", &event);
}

/* ---- what callers ask ---- */

enum err_code
stage_create(const char *name, const char *alias, int64_t version, Endpoint **endpoint)
{
    Modelbus__Deployment__V1__CreateEndpointRequest request =
        MODELBUS__DEPLOYMENT__V1__CREATE_ENDPOINT_REQUEST__INIT;
    Modelbus__Deployment__V1__CreateEndpointResponse reply;

    request.name = (char *)name;
    request.model_name = "iris";
    request.alias = (char *)alias;
    request.version = version;
    enum err_code code = fixture_call(&stage, "CreateEndpoint", &request, &reply);
    if (endpoint)
        *endpoint = reply.endpoint;
    return code;
}

Endpoint *
stage_get(void)
{
    Modelbus__Deployment__V1__GetEndpointRequest request =
        MODELBUS__DEPLOYMENT__V1__GET_ENDPOINT_REQUEST__INIT;
    Modelbus__Deployment__V1__GetEndpointResponse reply;

    request.name = "iris";
    OK(fixture_call(&stage, "GetEndpoint", &request, &reply));
    return reply.endpoint;
}

enum err_code
stage_rollback(int64_t to_version)
{
    Modelbus__Deployment__V1__RollbackEndpointRequest request =
        MODELBUS__DEPLOYMENT__V1__ROLLBACK_ENDPOINT_REQUEST__INIT;
    Modelbus__Deployment__V1__RollbackEndpointResponse reply;

    request.name = "iris";
    request.to_version = to_version;
    request.reason = "worse than before";
    return fixture_call(&stage, "RollbackEndpoint", &request, &reply);
}

EndpointState *
stage_last_state(void)
{
    return fixture_last(&stage, &modelbus__deployment__v1__endpoint_state__descriptor);
}

void
stage_serving_first_of(int64_t versions)
{
    for (int64_t version = 1; version <= versions; version++)
        OK(stage_registered(version));
    OK(stage_alias_moved(1, 1));
    OK(stage_create("iris", "", 0, NULL));
    OK(stage_loaded("pod-a", 1, 1));
}
