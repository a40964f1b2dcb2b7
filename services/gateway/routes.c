/* SPDX-License-Identifier: Apache-2.0 */
/* routes.c - the REST interface. */
#include "routes.h"

#include "parts.h"

#include "modelbus/deployment/v1/queries.pb-c.h"
#include "modelbus/experiment/v1/queries.pb-c.h"
#include "modelbus/gateway/v1/queries.pb-c.h"
#include "modelbus/registry/v1/queries.pb-c.h"

#include <string.h>

#define V1 "/api/v1/"
#define VERSION V1 "models/{name}/versions/{version}"
#define ALIAS V1 "models/{name}/aliases/{alias}"
#define LETTER V1 "dead-letters/{service}/{id}"

#define ROUTE(v, p, pe, m, s, ...)                                                                 \
    {                                                                                              \
        .verb = v, .path = p, .peer = PEER_##pe, .method = m, .scope = s, __VA_ARGS__              \
    }
#define OWN(v, p, h, s, ...)                                                                       \
    {                                                                                              \
        .verb = v, .path = p, .handler = h, .scope = s, __VA_ARGS__                                \
    }
#define ER "experiment:read"
#define EW "experiment:write"
#define RR "registry:read"
#define RW "registry:write"
#define DR "deployment:read"
#define DW "deployment:write"
#define ETAG(e) .etag = e
#define IF_MATCH(m) .match = m
#define QUERY(q) .queries = q
#define CREATED .status = 201

/* clang-format off */
const struct rest_route rest_routes[] = {
    OWN("GET",  V1 "whoami", whoami, "registry:read", .queries = NULL),
    OWN("GET",  V1 "version", version, "registry:read", .queries = NULL),
    OWN("POST", V1 "artifacts", artifact_end, "artifact:write", .stream = artifact_data),
    OWN("GET",  V1 "artifacts/{uri}", artifact_get, "artifact:read", .queries = NULL),

    ROUTE("GET",  V1 "experiments", EXPERIMENT, "ListExperiments", ER, QUERY("page")),
    ROUTE("POST", V1 "experiments", EXPERIMENT, "CreateExperiment", EW, CREATED),
    ROUTE("GET",  V1 "experiments/{name}", EXPERIMENT, "GetExperiment", ER, .queries = NULL),
    ROUTE("GET",  V1 "runs", EXPERIMENT, "ListRuns", ER, QUERY("page experiment")),
    ROUTE("POST", V1 "runs", EXPERIMENT, "CreateRun", EW, CREATED, ETAG("run.revision")),
    ROUTE("GET",  V1 "runs/{run_id}", EXPERIMENT, "GetRun", ER, ETAG("run.revision")),
    ROUTE("POST", V1 "runs/{run_id}/batch", EXPERIMENT, "LogBatch", EW, .queries = NULL),
    ROUTE("GET",  V1 "runs/{run_id}/metrics/{key}", EXPERIMENT, "GetMetricHistory", ER, QUERY("page")),
    ROUTE("POST", V1 "runs/{run_id}/models", EXPERIMENT, "AttachModel", EW, ETAG("run.revision")),
    ROUTE("POST", V1 "runs/{run_id}/finish", EXPERIMENT, "FinishRun", EW, ETAG("run.revision"), IF_MATCH("expected_revision")),

    ROUTE("GET",    V1 "models", REGISTRY, "ListModels", RR, QUERY("page name_prefix")),
    ROUTE("POST",   V1 "models", REGISTRY, "CreateModel", RW, CREATED, ETAG("model.revision")),
    ROUTE("GET",    V1 "models/{name}", REGISTRY, "GetModel", RR, ETAG("model.revision")),
    ROUTE("PATCH",  V1 "models/{name}", REGISTRY, "UpdateModel", RW, ETAG("model.revision"), IF_MATCH("expected_revision")),
    ROUTE("GET",    V1 "models/{name}/versions", REGISTRY, "ListModelVersions", RR, QUERY("page")),
    ROUTE("POST",   V1 "models/{name}/versions", REGISTRY, "CreateModelVersion", RW, CREATED, ETAG("version.revision")),
    ROUTE("GET",    VERSION, REGISTRY, "GetModelVersion", RR, ETAG("version.revision")),
    ROUTE("PATCH",  VERSION, REGISTRY, "UpdateModelVersion", RW, ETAG("version.revision"), IF_MATCH("expected_revision")),
    ROUTE("DELETE", VERSION, REGISTRY, "DeleteModelVersion", RW, .queries = NULL),
    ROUTE("PUT",    VERSION "/stage", REGISTRY, "SetStage", RW, ETAG("version.revision"), IF_MATCH("expected_revision")),
    /* No ETag on the read: the alias' revision is in the model, not in the version. */
    ROUTE("GET",    ALIAS, REGISTRY, "GetModelVersion", RR, .queries = NULL),
    ROUTE("PUT",    ALIAS, REGISTRY, "SetAlias", RW, ETAG("alias.revision"), IF_MATCH("expected_revision")),
    ROUTE("DELETE", ALIAS, REGISTRY, "DeleteAlias", RW, IF_MATCH("expected_revision")),

    ROUTE("GET",    V1 "endpoints", DEPLOYMENT, "ListEndpoints", DR, QUERY("page")),
    ROUTE("POST",   V1 "endpoints", DEPLOYMENT, "CreateEndpoint", DW, CREATED, ETAG("endpoint.generation")),
    ROUTE("GET",    V1 "endpoints/{name}", DEPLOYMENT, "GetEndpoint", DR, .queries = NULL),
    ROUTE("PATCH",  V1 "endpoints/{name}", DEPLOYMENT, "UpdateEndpoint", DW, ETAG("endpoint.generation"), IF_MATCH("expected_generation")),
    ROUTE("DELETE", V1 "endpoints/{name}", DEPLOYMENT, "DeleteEndpoint", DW, .queries = NULL),
    ROUTE("POST",   V1 "endpoints/{name}/rollback", DEPLOYMENT, "RollbackEndpoint", DW, ETAG("endpoint.generation"), IF_MATCH("expected_generation")),
    ROUTE("GET",    V1 "endpoints/{name}/history", DEPLOYMENT, "ListEndpointHistory", DR, QUERY("page")),

    ROUTE("GET",    V1 "dead-letters", NONE, "ListDeadLetters", "bus:read", .bus = true, QUERY("page service include_replayed")),
    ROUTE("GET",    LETTER, NONE, "GetDeadLetter", "bus:read", .bus = true),
    ROUTE("POST",   LETTER "/replay", NONE, "ReplayDeadLetter", "bus:admin", .bus = true),

    ROUTE("GET",    V1 "tokens", GATEWAY, "ListTokens", "token:admin", QUERY("page")),
    ROUTE("POST",   V1 "tokens", GATEWAY, "CreateToken", "token:admin", CREATED),
    ROUTE("DELETE", V1 "tokens/{id}", GATEWAY, "RevokeToken", "token:admin", .queries = NULL),
    {.verb = NULL},
};
/* clang-format on */

static const struct {
    const char *name;
    const ProtobufCServiceDescriptor *interface;
} peers[PEER_COUNT] = {
    [PEER_EXPERIMENT] = {"experiment", &modelbus__experiment__v1__experiments__descriptor},
    [PEER_REGISTRY] = {"registry", &modelbus__registry__v1__registry__descriptor},
    [PEER_DEPLOYMENT] = {"deployment", &modelbus__deployment__v1__deployment__descriptor},
    [PEER_GATEWAY] = {"gateway", &modelbus__gateway__v1__gateway__descriptor},
};

const char *
peer_name(enum peer peer)
{
    return peers[peer].name;
}

enum peer
peer_find(const char *name)
{
    for (int i = 1; i < PEER_COUNT; i++)
        if (strcmp(peers[i].name, name) == 0)
            return (enum peer)i;
    return PEER_NONE;
}

const ProtobufCServiceDescriptor *
peer_interface(enum peer peer)
{
    return peers[peer].interface;
}
