/* SPDX-License-Identifier: Apache-2.0 */
/* routes.c - the REST interface. */
#include "routes.h"

#include "parts.h"

#include "modelbus/alert/v1/queries.pb-c.h"
#include "modelbus/deployment/v1/queries.pb-c.h"
#include "modelbus/experiment/v1/queries.pb-c.h"
#include "modelbus/gateway/v1/queries.pb-c.h"
#include "modelbus/monitoring/v1/queries.pb-c.h"
#include "modelbus/pipeline/v1/queries.pb-c.h"
#include "modelbus/registry/v1/queries.pb-c.h"

#include <string.h>

#define V1 "/api/v1/"
#define VERSION V1 "models/{name}/versions/{version}"
#define ALIAS V1 "models/{name}/aliases/{alias}"
#define POLICY V1 "models/{name}/promotion-policy"
#define LETTER V1 "dead-letters/{service}/{id}"

#define ROUTE(v, p, pe, m, s, d, ...)                                                              \
    {                                                                                              \
        .verb = v, .path = p, .peer = PEER_##pe, .method = m, .scope = s, .doc = d, __VA_ARGS__    \
    }
#define OWN(v, p, h, s, d, ...)                                                                    \
    {                                                                                              \
        .verb = v, .path = p, .handler = h, .scope = s, .doc = d, __VA_ARGS__                      \
    }
#define ER "experiment:read"
#define EW "experiment:write"
#define RR "registry:read"
#define RW "registry:write"
#define DR "deployment:read"
#define DW "deployment:write"
#define MR "monitoring:read"
#define MW "monitoring:write"
#define AR "alert:read"
#define AW "alert:write"
#define PR "pipeline:read"
#define PW "pipeline:write"
#define WORK "worker:run"
#define LONG_POLL .deadline_ms = 32000 /* a wait_ms of 30 s, and time to answer */
#define ETAG(e) .etag = e
#define IF_MATCH(m) .match = m
#define QUERY(q) .queries = q
#define CREATED .status = 201
#define FAILS(f) .fails = f
#define OPERATION(o) .operation = o

/* clang-format off */
const struct rest_route rest_routes[] = {
    OWN("GET",  V1 "whoami", whoami, "registry:read",
          "Who the caller is, and what they may do.", OPERATION("WhoAmI")),
    OWN("GET",  V1 "version", version, "registry:read",
          "The version of this gateway.", OPERATION("GetVersion")),
    OWN("POST", V1 "artifacts", artifact_end, "artifact:write",
          "Store an artifact: the body's bytes, under the digest of what they are.", .stream = artifact_data, OPERATION("PutArtifact"), FAILS("501")),
    OWN("GET",  V1 "artifacts/{uri}", artifact_get, "artifact:read",
          "An artifact's bytes.", OPERATION("GetArtifact"), FAILS("501")),

    OWN("GET",  V1 "events/stream", event_stream, "event:read",
          "Events as they happen (Server-Sent Events), of the caller's workspace; Last-Event-ID goes on where a client was.",
          QUERY("type key last_event_id"), OPERATION("StreamEvents"), FAILS("429")),

    ROUTE("GET",  V1 "experiments", EXPERIMENT, "ListExperiments", ER,
          "Experiments, by name.", QUERY("page")),
    ROUTE("POST", V1 "experiments", EXPERIMENT, "CreateExperiment", EW,
          "Create an experiment.", CREATED, FAILS("409")),
    ROUTE("GET",  V1 "experiments/{name}", EXPERIMENT, "GetExperiment", ER,
          "One experiment.", .queries = NULL),
    ROUTE("GET",  V1 "runs", EXPERIMENT, "ListRuns", ER,
          "Training runs, newest first; of one experiment or of all.", QUERY("page experiment")),
    ROUTE("POST", V1 "runs", EXPERIMENT, "CreateRun", EW,
          "Start a training run.", CREATED, ETAG("run.revision"), FAILS("409")),
    ROUTE("GET",  V1 "runs/{run_id}", EXPERIMENT, "GetRun", ER,
          "One run: status, params, tags, the latest metrics, models.", ETAG("run.revision")),
    ROUTE("POST", V1 "runs/{run_id}/batch", EXPERIMENT, "LogBatch", EW,
          "Log metrics, params and tags of a run; all or none.", FAILS("412")),
    ROUTE("GET",  V1 "runs/{run_id}/metrics/{key}", EXPERIMENT, "GetMetricHistory", ER,
          "All points of one metric of a run, oldest first.", QUERY("page")),
    ROUTE("POST", V1 "runs/{run_id}/models", EXPERIMENT, "AttachModel", EW,
          "Attach a model that the run has produced.", ETAG("run.revision"), FAILS("412")),
    ROUTE("POST", V1 "runs/{run_id}/finish", EXPERIMENT, "FinishRun", EW,
          "End a run; its models become versions.", ETAG("run.revision"), IF_MATCH("expected_revision")),

    ROUTE("GET",    V1 "models", REGISTRY, "ListModels", RR,
          "Models, by name.", QUERY("page name_prefix")),
    ROUTE("POST",   V1 "models", REGISTRY, "CreateModel", RW,
          "Create a model that has no versions yet.", CREATED, ETAG("model.revision"), FAILS("409")),
    ROUTE("GET",    V1 "models/{name}", REGISTRY, "GetModel", RR,
          "One model and its aliases.", ETAG("model.revision")),
    ROUTE("PATCH",  V1 "models/{name}", REGISTRY, "UpdateModel", RW,
          "Replace a model's description and tags.", ETAG("model.revision"), IF_MATCH("expected_revision")),
    ROUTE("GET",    V1 "models/{name}/versions", REGISTRY, "ListModelVersions", RR,
          "Versions of a model, newest first.", QUERY("page")),
    ROUTE("POST",   V1 "models/{name}/versions", REGISTRY, "CreateModelVersion", RW,
          "Register the next version of a model; the model is created when it is not there.", CREATED, ETAG("version.revision")),
    ROUTE("GET",    VERSION, REGISTRY, "GetModelVersion", RR,
          "One version of a model.", ETAG("version.revision")),
    ROUTE("PATCH",  VERSION, REGISTRY, "UpdateModelVersion", RW,
          "Replace a version's description and tags.", ETAG("version.revision"), IF_MATCH("expected_revision")),
    ROUTE("DELETE", VERSION, REGISTRY, "DeleteModelVersion", RW,
          "Delete a version that no alias points to.", FAILS("412")),
    ROUTE("PUT",    VERSION "/stage", REGISTRY, "SetStage", RW,
          "Put a version into a stage; production moves the alias champion too.", ETAG("version.revision"), IF_MATCH("expected_revision")),
    /* No ETag on the read: the alias' revision is in the model, not in the version. */
    ROUTE("GET",    ALIAS, REGISTRY, "GetModelVersion", RR,
          "The version that an alias points to.", OPERATION("GetModelVersionByAlias")),
    ROUTE("PUT",    ALIAS, REGISTRY, "SetAlias", RW,
          "Point an alias to a version; champion puts it into production too.", ETAG("alias.revision"), IF_MATCH("expected_revision")),
    ROUTE("DELETE", ALIAS, REGISTRY, "DeleteAlias", RW,
          "Remove an alias.", IF_MATCH("expected_revision")),

    ROUTE("GET",    POLICY, REGISTRY, "GetPromotionPolicy", RR,
          "When a challenger may take an alias (champion unless it is named).", QUERY("alias")),
    ROUTE("PUT",    POLICY, REGISTRY, "SetPromotionPolicy", RW,
          "Say by which metric and margin a challenger takes an alias.", .queries = NULL),
    ROUTE("DELETE", POLICY, REGISTRY, "DeletePromotionPolicy", RW,
          "Delete the promotion policy of an alias.", QUERY("alias")),
    ROUTE("GET",    VERSION "/evaluations", REGISTRY, "ListEvaluations", RR,
          "What a version reached on evaluation windows, by window.", QUERY("page")),
    ROUTE("POST",   VERSION "/evaluations", REGISTRY, "AddEvaluation", RW,
          "Keep what a version reached on an evaluation window; replaces an earlier one.", CREATED),
    ROUTE("POST",   VERSION "/challenge", REGISTRY, "ChallengeAlias", RW,
          "Judge a version against the one that holds an alias, on one window; the better one gets it.", FAILS("412")),

    ROUTE("GET",    V1 "endpoints", DEPLOYMENT, "ListEndpoints", DR,
          "Endpoints, by name.", QUERY("page")),
    ROUTE("POST",   V1 "endpoints", DEPLOYMENT, "CreateEndpoint", DW,
          "Create an endpoint that follows an alias or stays at a version.", CREATED, ETAG("endpoint.generation"), FAILS("409")),
    ROUTE("GET",    V1 "endpoints/{name}", DEPLOYMENT, "GetEndpoint", DR,
          "One endpoint: its target and what its pods serve.", .queries = NULL),
    ROUTE("PATCH",  V1 "endpoints/{name}", DEPLOYMENT, "UpdateEndpoint", DW,
          "Bind an endpoint to another alias, version or model.", ETAG("endpoint.generation"), IF_MATCH("expected_generation")),
    ROUTE("DELETE", V1 "endpoints/{name}", DEPLOYMENT, "DeleteEndpoint", DW,
          "Delete an endpoint; pods unload it.", .queries = NULL),
    ROUTE("POST",   V1 "endpoints/{name}/rollback", DEPLOYMENT, "RollbackEndpoint", DW,
          "Go back to the last version that was served well, and stay there.", ETAG("endpoint.generation"), IF_MATCH("expected_generation")),
    ROUTE("GET",    V1 "endpoints/{name}/history", DEPLOYMENT, "ListEndpointHistory", DR,
          "What an endpoint was told to serve, newest first.", QUERY("page")),

    ROUTE("PUT",    V1 "endpoints/{name}/drift-policy", DEPLOYMENT, "SetDriftPolicy", DW,
          "Say what an endpoint does by itself when drift is detected.", ETAG("endpoint.generation")),
    ROUTE("GET",    V1 "endpoints/{name}/drift-actions", DEPLOYMENT, "ListDriftActions", DR,
          "What was done about each episode of drift, or why nothing, newest first.", QUERY("page")),

    ROUTE("GET",    V1 "monitors", MONITORING, "ListMonitors", MR,
          "How each endpoint is watched, and what was found last.", QUERY("page")),
    ROUTE("GET",    V1 "monitors/{endpoint}", MONITORING, "GetMonitor", MR,
          "How an endpoint is watched, the window that is being filled, the state.", .queries = NULL),
    ROUTE("PUT",    V1 "monitors/{endpoint}", MONITORING, "UpdateMonitor", MW,
          "Replace the rules by which an endpoint is watched; its window begins anew.", .queries = NULL),
    ROUTE("GET",    V1 "monitors/{endpoint}/reports", MONITORING, "ListReports", MR,
          "Windows of an endpoint that were judged, newest first.", QUERY("page version drifted")),
    ROUTE("GET",    V1 "reports/{id}", MONITORING, "GetReport", MR,
          "One window: the verdict on every column, and histograms to draw.", .queries = NULL),

    ROUTE("POST",   V1 "endpoints/{endpoint}/labels", MONITORING, "PushLabels", MW,
          "Say what turned out to be true of predicted rows.", .queries = NULL),
    ROUTE("GET",    V1 "endpoints/{endpoint}/performance", MONITORING, "GetPerformance", MR,
          "How well an endpoint predicts, as labels show, and what became of the labels.", .queries = NULL),
    ROUTE("GET",    V1 "endpoints/{endpoint}/performance/reports", MONITORING, "ListPerformanceReports", MR,
          "Windows of labelled rows that were judged, newest first.", QUERY("page version degraded")),
    ROUTE("GET",    V1 "performance-reports/{id}", MONITORING, "GetPerformanceReport", MR,
          "One window of labelled rows: its metrics, and what they were compared with.", .queries = NULL),

    ROUTE("GET",    V1 "alerts", ALERT, "ListAlerts", AR,
          "Alerts that fire, newest first; with include_resolved those that are over too.", QUERY("page include_resolved")),
    ROUTE("GET",    V1 "alerts/{id}", ALERT, "GetAlert", AR,
          "One alert, and who was told of it.", .queries = NULL),
    ROUTE("POST",   V1 "alerts/{id}/acknowledge", ALERT, "AcknowledgeAlert", AW,
          "Say that somebody looks at an alert: it is neither repeated nor escalated.", FAILS("412")),
    ROUTE("POST",   V1 "alerts/{id}/resolve", ALERT, "ResolveAlert", AW,
          "Resolve an alert by hand.", FAILS("412")),
    ROUTE("GET",    V1 "silences", ALERT, "ListSilences", AR,
          "Silences that have not ended, newest first; with include_expired all.", QUERY("page include_expired")),
    ROUTE("POST",   V1 "silences", ALERT, "CreateSilence", AW,
          "Tell nobody of alerts that match, for a time.", CREATED),
    ROUTE("DELETE", V1 "silences/{id}", ALERT, "DeleteSilence", AW,
          "End a silence.", .queries = NULL),
    ROUTE("GET",    V1 "alert-rules", ALERT, "ListAlertRules", AR,
          "Rules that make alerts of events: built in, of the rules file, and the workspace's own.", .queries = NULL),
    ROUTE("PUT",    V1 "alert-rules/{name}", ALERT, "PutAlertRule", AW,
          "Put a rule; it hides one of the same name from the file or built in.", FAILS("412")),
    ROUTE("DELETE", V1 "alert-rules/{name}", ALERT, "DeleteAlertRule", AW,
          "Delete a rule of the workspace; its alerts are resolved.", FAILS("412")),
    ROUTE("GET",    V1 "alert-receivers", ALERT, "ListAlertReceivers", AR,
          "Who can be told of alerts.", .queries = NULL),
    ROUTE("PUT",    V1 "alert-receivers/{name}", ALERT, "PutAlertReceiver", AW,
          "Put a receiver: a webhook, an Alertmanager, Slack, e-mail addresses, the log.", FAILS("412")),
    ROUTE("DELETE", V1 "alert-receivers/{name}", ALERT, "DeleteAlertReceiver", AW,
          "Delete a receiver that no route needs.", FAILS("412")),
    ROUTE("POST",   V1 "alert-receivers/{name}/test", ALERT, "TestAlertReceiver", AW,
          "Send a receiver a test message at once, and say what came of it.", .queries = NULL),
    ROUTE("GET",    V1 "alert-routes", ALERT, "ListAlertRoutes", AR,
          "Which receivers are told of which alerts, in the order in which they are asked.", .queries = NULL),
    ROUTE("PUT",    V1 "alert-routes/{name}", ALERT, "PutAlertRoute", AW,
          "Put a route.", FAILS("412")),
    ROUTE("DELETE", V1 "alert-routes/{name}", ALERT, "DeleteAlertRoute", AW,
          "Delete a route.", FAILS("412")),
    ROUTE("GET",    V1 "alert-inhibitions", ALERT, "ListAlertInhibitions", AR,
          "Which alerts keep which others from being told of.", .queries = NULL),
    ROUTE("PUT",    V1 "alert-inhibitions/{name}", ALERT, "PutAlertInhibition", AW,
          "Put an inhibition.", FAILS("412")),
    ROUTE("DELETE", V1 "alert-inhibitions/{name}", ALERT, "DeleteAlertInhibition", AW,
          "Delete an inhibition.", FAILS("412")),

    ROUTE("GET",    V1 "pipelines", PIPELINE, "ListPipelines", PR,
          "Pipelines, by name; without their definitions.", QUERY("page")),
    ROUTE("PUT",    V1 "pipelines", PIPELINE, "ApplyPipeline", PW,
          "Apply a pipeline's file (YAML or JSON, as text): a changed definition is its next version.", FAILS("413")),
    ROUTE("GET",    V1 "pipelines/{name}", PIPELINE, "GetPipeline", PR,
          "A pipeline with its definition, the newest or of a version.", QUERY("version")),
    ROUTE("PUT",    V1 "pipelines/{name}/pause", PIPELINE, "PausePipeline", PW,
          "Let a pipeline's triggers do nothing, or let them again.", .queries = NULL),
    ROUTE("DELETE", V1 "pipelines/{name}", PIPELINE, "DeletePipeline", PW,
          "Delete a pipeline with its versions and runs; refused while runs are active.", FAILS("412")),
    ROUTE("POST",   V1 "pipelines/{name}/runs", PIPELINE, "StartRun", PW,
          "Start a run.", CREATED, FAILS("412")),
    ROUTE("POST",   V1 "pipelines/{name}/backfill", PIPELINE, "Backfill", PW,
          "Start a run for each time that a cron trigger was due in a range and that has none.", FAILS("412"), LONG_POLL),
    ROUTE("GET",    V1 "pipeline-runs", PIPELINE, "ListPipelineRuns", PR,
          "Runs of pipelines, newest first; of one pipeline, of one status.", QUERY("page pipeline status")),
    ROUTE("GET",    V1 "pipeline-runs/{run}", PIPELINE, "GetPipelineRun", PR,
          "A run with its tasks and attempts; with wait_ms as soon as its revision is another one.", QUERY("wait_ms revision"), LONG_POLL),
    ROUTE("POST",   V1 "pipeline-runs/{run}/cancel", PIPELINE, "CancelRun", PW,
          "Cancel a run: what runs is asked to end.", FAILS("412")),
    ROUTE("POST",   V1 "pipeline-runs/{run}/resume", PIPELINE, "ResumeRun", PW,
          "Let a run that has ended go on: what succeeded stays, the rest, or a task and what needs it, runs again.", FAILS("412")),
    ROUTE("GET",    V1 "pipeline-runs/{run}/tasks/{task}/log", PIPELINE, "ReadTaskLog", PR,
          "What a task has said, from an offset on; with wait_ms as soon as there is more.", QUERY("index attempt offset wait_ms"), LONG_POLL),
    ROUTE("GET",    V1 "workers", PIPELINE, "ListWorkers", PR,
          "Workers, what they can do and what they have.", QUERY("page")),
    ROUTE("PUT",    V1 "workers/{worker}/drain", PIPELINE, "DrainWorker", PW,
          "Give a worker nothing more to do, or give it again.", .queries = NULL),
    ROUTE("POST",   V1 "workers/{worker}/poll", PIPELINE, "PollTasks", WORK,
          "What a worker asks: its heartbeat, and for more to do.", FAILS("412 413"), LONG_POLL),
    ROUTE("POST",   V1 "workers/{worker}/finish", PIPELINE, "FinishTasks", WORK,
          "A worker has ended tasks; refused are those whose lease is lost.", FAILS("413")),
    ROUTE("POST",   V1 "workers/{worker}/log", PIPELINE, "WriteTaskLog", WORK,
          "What a task says while it runs.", FAILS("412 413")),

    ROUTE("GET",    V1 "dead-letters", NONE, "ListDeadLetters", "bus:read",
          "Messages that a service could not handle; of one service or of all.", .bus = true, QUERY("page service include_replayed"), FAILS("404")),
    ROUTE("GET",    LETTER, NONE, "GetDeadLetter", "bus:read",
          "One dead letter with its value and headers.", .bus = true),
    ROUTE("POST",   LETTER "/replay", NONE, "ReplayDeadLetter", "bus:admin",
          "Publish the message of a dead letter again.", .bus = true),

    ROUTE("GET",    V1 "tokens", GATEWAY, "ListTokens", "token:admin",
          "API tokens of the workspace, without their secrets.", QUERY("page")),
    ROUTE("POST",   V1 "tokens", GATEWAY, "CreateToken", "token:admin",
          "Create an API token; its secret is shown this once.", CREATED, FAILS("412")),
    ROUTE("DELETE", V1 "tokens/{id}", GATEWAY, "RevokeToken", "token:admin",
          "Revoke an API token.", .queries = NULL),
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
    [PEER_MONITORING] = {"monitoring", &modelbus__monitoring__v1__monitoring__descriptor},
    [PEER_ALERT] = {"alert", &modelbus__alert__v1__alerts__descriptor},
    [PEER_PIPELINE] = {"pipeline", &modelbus__pipeline__v1__pipelines__descriptor},
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
