/* SPDX-License-Identifier: Apache-2.0 */
/* event_line.c - what an event says, in a line: a template a type (events/fields.h). */
#include "event.h"

#include "fields.h"
#include "pbjson/pbjson.h"

#include <string.h>

static const struct {
    const char *type, *text;
} lines[] = {
    {"AlertFired", "{severity} alert {name}"},
    {"AlertResolved", "alert {name} is over: {reason}"},
    {"AliasMoved", "{alias} from version {previous_version} to {version}: {reason}"},
    {"DeadLetter", "{consumer} could not handle {event_type}: {error_message}"},
    {"DriftCleared", "version {version}, episode {episode}"},
    {"DriftDetected", "version {version}: {drifted} of {checked} columns: {columns.column}"},
    {"EndpointDeleted", "by {deleted_by}"},
    {"EndpointState", "generation {generation}: version {target.version} of {target.model_name}"},
    {"LabelsReceived", "labels of {labels.prediction_id}"},
    {"ModelDeployed", "generation {generation}: version {target.version}: {reason}"},
    {"ModelLoadFailed", "{endpoint}: version {version}: {error_message}"},
    {"ModelLoaded", "{endpoint}: version {version} in {load_ms} ms"},
    {"ModelRegistered", "version {version} of run {run_id} by {registered_by}"},
    {"ModelTrained", "run {run_id} by {trained_by}"},
    {"PerformanceDegraded", "version {version}: {metric} is {value}, the bound {bound}"},
    {"PerformanceRecovered", "version {version}: {metric} is {value}, the bound {bound}"},
    {"PipelineFinished", "{pipeline} version {version}: {status} {reason}"},
    {"PipelineStarted", "{pipeline} version {version}: {cause.kind} {cause.name}"},
    {"PromotionDecided", "version {challenger} for {alias}: {reason}"},
    {"RetrainRequested", "pipeline {pipeline} for version {version}: {reason}"},
    {"RolledBack", "from version {from.version} to {to.version}: {reason}"},
    {"RunFinished", "ended: {status}"},
    {"RunStarted", "{run_name} in {experiment} by {started_by}"},
    {"StageChanged", "version {version} from {from_stage} to {to_stage}"},
    {"TaskFinished", "{pipeline}: {task}: {status} {reason}"},
    {"TaskStarted", "{pipeline}: {task} on {worker}"},
    {"VersionDeleted", "version {version} by {deleted_by}"},
};

char *
event_line(const ProtobufCMessage *event, size_t max, struct arena *arena)
{
    CLEANUP(buf_done) struct buf text = {0};
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        if (strcmp(lines[i].type, event->descriptor->short_name) == 0 &&
            !template_check(event->descriptor, lines[i].text, false, &err))
            return template_expand(event, lines[i].text, max, arena);
    /* Of a type without a line: its JSON, cut. */
    pbjson_write(event, 0, &text);
    return text.len <= max ? arena_strdup(arena, text.data)
                           : arena_printf(arena, "%.*s...", (int)(max - 3), text.data);
}
