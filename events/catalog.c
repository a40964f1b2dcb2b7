/* SPDX-License-Identifier: Apache-2.0 */
/* catalog.c - the table of topics and events. */
#include "catalog.h"

#include "modelbus/alert/v1/events.pb-c.h"
#include "modelbus/bus/v1/events.pb-c.h"
#include "modelbus/deployment/v1/events.pb-c.h"
#include "modelbus/experiment/v1/events.pb-c.h"
#include "modelbus/monitoring/v1/events.pb-c.h"
#include "modelbus/pipeline/v1/events.pb-c.h"
#include "modelbus/registry/v1/events.pb-c.h"
#include "modelbus/serving/v1/events.pb-c.h"

#include <stdio.h>
#include <string.h>

const struct event_topic event_topics[] = {
    {"experiment", "Training runs and the models that they made.", 4, false},
    {"registry", "Models, versions, aliases and stages.", 4, false},
    {"deployment", "What was deployed to endpoints, and why.", 4, false},
    {"endpoint-state", "The desired state of every endpoint, which pods follow.", 1, true},
    {"serving", "What inference pods loaded and how they serve.", 4, false},
    {"predictions", "Logged predictions.", 4, false},
    {"labels", "Ground truth that arrived for predictions.", 4, false},
    {"monitoring", "Drift and performance verdicts.", 4, false},
    {"features", "Feature rows.", 4, false},
    {"governance", "Approvals and policy decisions.", 4, false},
    {"pipeline", "Pipeline runs and their tasks.", 4, false},
    {"alert", "Alerts that fired or were resolved.", 4, false},
    {"dlq", "Events that a consumer could not handle.", 1, false},
    {0},
};

#define EVENT(package, message, topic, key, producer, doc)                                         \
    {                                                                                              \
        &modelbus__##package##__v1__##message##__descriptor, topic, key, producer, doc             \
    }

const struct event_type event_types[] = {
    EVENT(experiment, run_started, "experiment", "run_id", "experiment",
          "A training run has begun."),
    EVENT(experiment, run_finished, "experiment", "run_id", "experiment",
          "A training run has ended."),
    EVENT(experiment, model_trained, "experiment", "model_name", "experiment",
          "A run has produced a model; pipelines may say this by themselves."),
    EVENT(registry, model_registered, "registry", "model_name", "registry",
          "A model has a new version."),
    EVENT(registry, alias_moved, "registry", "model_name", "registry",
          "An alias was set to a version, or removed."),
    EVENT(registry, promotion_decided, "registry", "model_name", "registry",
          "A version was judged against the one that holds an alias: it got the alias, or not."),
    EVENT(registry, stage_changed, "registry", "model_name", "registry",
          "A version went to another stage."),
    EVENT(registry, version_deleted, "registry", "model_name", "registry",
          "A version was deleted."),
    EVENT(deployment, model_deployed, "deployment", "endpoint", "deployment",
          "An endpoint's desired state has changed."),
    EVENT(deployment, rolled_back, "deployment", "endpoint", "deployment",
          "An endpoint went back to an earlier version."),
    EVENT(deployment, retrain_requested, "deployment", "endpoint", "deployment",
          "An endpoint's drift policy asks for another model: its pipeline is to be started."),
    EVENT(deployment, endpoint_deleted, "deployment", "endpoint", "deployment",
          "An endpoint was deleted."),
    EVENT(deployment, endpoint_state, "endpoint-state", "endpoint", "deployment",
          "The whole desired state of an endpoint; the newest generation counts."),
    EVENT(serving, model_loaded, "serving", "pod", "inference",
          "A pod has loaded a model and serves it."),
    EVENT(serving, model_load_failed, "serving", "pod", "inference",
          "A pod could not load a model and says why."),
    EVENT(serving, pod_stopped, "serving", "pod", "inference",
          "A pod was stopped in order and serves nothing any more."),
    EVENT(serving, serving_stats, "serving", "pod", "inference",
          "What a pod served in a time window."),
    EVENT(serving, predictions_logged, "predictions", "endpoint", "inference",
          "Rows that a pod predicted, column by column."),
    EVENT(monitoring, drift_detected, "monitoring", "endpoint", "monitoring",
          "What an endpoint predicts on, or what it answers, has changed: an episode begins."),
    EVENT(monitoring, drift_cleared, "monitoring", "endpoint", "monitoring",
          "An episode of drift is over."),
    EVENT(monitoring, labels_received, "labels", "endpoint", "monitoring",
          "What turned out to be true of predicted rows; anybody may say this."),
    EVENT(monitoring, performance_degraded, "monitoring", "endpoint", "monitoring",
          "A version predicts worse than allowed, as labels show: an episode begins."),
    EVENT(monitoring, performance_recovered, "monitoring", "endpoint", "monitoring",
          "An episode of degraded performance is over."),
    EVENT(alert, alert_fired, "alert", "fingerprint", "alert",
          "An alert fires that did not; who is told of it is decided by routes."),
    EVENT(alert, alert_resolved, "alert", "fingerprint", "alert", "An alert fires no longer."),
    EVENT(pipeline, pipeline_started, "pipeline", "run", "pipeline",
          "A run of a pipeline has begun."),
    EVENT(pipeline, task_started, "pipeline", "run", "pipeline",
          "A worker has begun an attempt at a task."),
    EVENT(pipeline, task_finished, "pipeline", "run", "pipeline",
          "An attempt at a task has ended, or a task without one."),
    EVENT(pipeline, pipeline_finished, "pipeline", "run", "pipeline",
          "A run of a pipeline has ended."),
    EVENT(bus, dead_letter, "dlq", "id", "every service",
          "An event that a consumer could not handle, with where it came from and why."),
    {0},
};

const struct event_type *
event_type_of(const ProtobufCMessageDescriptor *descriptor)
{
    for (const struct event_type *t = event_types; t->descriptor; t++)
        if (t->descriptor == descriptor)
            return t;
    return NULL;
}

const struct event_type *
event_type_named(const char *type)
{
    for (const struct event_type *t = event_types; t->descriptor; t++)
        if (strcmp(t->descriptor->name, type) == 0 || strcmp(t->descriptor->short_name, type) == 0)
            return t;
    return NULL;
}

void
event_topic_name(const char *prefix, const char *suffix, char name[256])
{
    snprintf(name, 256, "%s.%s", prefix, suffix);
}

const char *
event_key(const struct event_type *type, const ProtobufCMessage *event)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(type->descriptor, type->key_field);

    return *(const char *const *)((const char *)event + field->offset);
}

enum err_code
event_topics_create(const struct bus_options *bus, const char *prefix, int partitions,
                    int timeout_ms, struct err *err)
{
    enum { COUNT = ARRAY_LEN(event_topics) - 1 };
    struct bus_topic topics[COUNT];
    char names[COUNT][256];

    for (int i = 0; i < COUNT; i++) {
        event_topic_name(prefix, event_topics[i].suffix, names[i]);
        topics[i] = (struct bus_topic){
            .name = names[i],
            .partitions = partitions ? partitions : event_topics[i].partitions,
            .replication = -1,
            .compacted = event_topics[i].compacted,
        };
    }
    return bus_create_topics(bus, topics, COUNT, timeout_ms, err);
}
