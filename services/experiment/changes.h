/* SPDX-License-Identifier: Apache-2.0 */
/*
 * changes.h - changes of runs with the events that they cause, in one transaction.
 *
 * What handlers of events and of queries do beyond asking the store. Each call reads what it
 * needs, asks the rules (experiment.h), writes through the store and publishes to the outbox, all
 * on change->store.db, whose transaction the caller commits.
 */
#pragma once

#include "store.h"

#define EXPERIMENT_SOURCE "/modelbus/experiment" /* of the events that we say */

/* Start a run (experiment, run_name, run_id, params, tags; an empty run_id becomes a new UUID),
 * creating its experiment when it is not there. Says RunStarted. ERR_EXISTS. */
MUST_CHECK enum err_code change_start_run(const struct change *change, Run *run, struct err *err);

/* Log to a run, in any state. ERR_NOT_FOUND, ERR_PRECONDITION (a param has another value),
 * ERR_TOO_LARGE (more than EXPERIMENT_RUN_MAX). Says nothing. */
MUST_CHECK enum err_code change_log(const struct change *change, const char *run_id,
                                    const Modelbus__Experiment__V1__LogBatchRequest *batch,
                                    struct err *err);

/* Attach a model to a running run. ERR_PRECONDITION when it has ended. */
MUST_CHECK enum err_code change_attach(const struct change *change, const char *run_id,
                                       const AttachedModel *model, struct err *err);

/* End a run. Says RunFinished, and ModelTrained of each model when it finished well. */
MUST_CHECK enum err_code change_finish_run(const struct change *change, const char *run_id,
                                           RunStatus status, int64_t expected_revision,
                                           struct err *err);

/* Record what a pipeline said by itself, creating the run as finished when it is not known. run_id: the
 * event's, or experiment_run_id_of_event(). A param that the run has keeps its value. */
MUST_CHECK enum err_code change_record(const struct change *change, const char *run_id,
                                       const ModelTrained *event, struct err *err);

/* ---- what main.c wires ---- */
extern const struct event_subscription experiment_events[]; /* events.c */
extern const struct rpc_method experiment_queries[];        /* queries.c */
extern const struct embed_file experiment_schema[];         /* schema/ */
