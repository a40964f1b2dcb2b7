/* SPDX-License-Identifier: Apache-2.0 */
/*
 * experiment.h - the rules of experiments and training runs, on plain values.
 *
 * A run belongs to an experiment, is running until it is finished, failed or killed, and
 * collects params (set once), tags (may change), metrics (a history and the latest point of each
 * key) and models. A run that finishes well says of each model that it was trained. Nothing
 * here does I/O; any thread.
 */
#pragma once

#include "values.h"

#include "modelbus/experiment/v1/events.pb-c.h"
#include "modelbus/experiment/v1/queries.pb-c.h"

typedef Modelbus__Experiment__V1__Experiment Experiment;
typedef Modelbus__Experiment__V1__Run Run;
typedef Modelbus__Experiment__V1__RunStatus RunStatus;
typedef Modelbus__Experiment__V1__AttachedModel AttachedModel;
typedef Modelbus__Experiment__V1__ModelTrained ModelTrained;

#define RUN_STATUS(name) MODELBUS__EXPERIMENT__V1__RUN_STATUS__RUN_STATUS_##name

#define EXPERIMENT_DEFAULT "default"
/* Bytes of a run's params, tags, latest metrics and models together (schema/001: the same
 * number): ModelTrained carries them in one event. */
#define EXPERIMENT_RUN_MAX (768u << 10)

const char *experiment_status_name(RunStatus status); /* "finished"; "unspecified" when unknown */

/* experiment, run_name (may be empty), run_id (may be empty), params, tags. ERR_INVALID. */
MUST_CHECK enum err_code experiment_check_run(const Run *run, struct err *err);
/* What a run logs in one batch. ERR_INVALID. */
MUST_CHECK enum err_code experiment_check_batch(Metric *const *metrics, size_t metric_count,
                                                Tag *const *params, size_t param_count,
                                                Tag *const *tags, size_t tag_count,
                                                struct err *err);
MUST_CHECK enum err_code experiment_check_model(const AttachedModel *model, struct err *err);
/* A ModelTrained of a pipeline. run_id and experiment may be empty. ERR_INVALID. */
MUST_CHECK enum err_code experiment_check_trained(const ModelTrained *event, struct err *err);

/* May the run (now in status, at revision) end as *end? UNSPECIFIED becomes FINISHED. ERR_INVALID: not an
 * end; ERR_CONFLICT: another revision is expected; ERR_PRECONDITION: it has ended. */
MUST_CHECK enum err_code experiment_check_finish(RunStatus now, int64_t revision,
                                                 int64_t expected_revision, RunStatus *end,
                                                 struct err *err);

/* The run id for an event that names none: a UUID (version 8, RFC 9562) made of the event's
 * source and id, the same each time. */
void experiment_run_id_of_event(const char *source, const char *event_id, char run_id[37]);
