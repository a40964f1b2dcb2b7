/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - durable state of experiments and runs (PostgreSQL schema "experiment").
 *
 * store.c is the only file of this service that contains SQL. Every call works on the
 * caller's connection, and in its transaction when it has one; every statement is bound to
 * the workspace. Messages that are filled live in the arena. Nothing here logs. Errors
 * are those of db.h, and ERR_NOT_FOUND with a sentence where it says so.
 * [queue]: sent without waiting in handlers of events (struct store, change.h).
 */
#pragma once

#include "change.h"
#include "experiment.h"

/* ---- experiments ---- */

/* Add unless it is there. [queue] */
MUST_CHECK enum err_code store_ensure_experiment(const struct store *store, const char *name,
                                                 int64_t now_ms, struct err *err);
/* ERR_EXISTS. */
MUST_CHECK enum err_code store_add_experiment(const struct store *store,
                                              const Experiment *experiment, struct err *err);
/* ERR_NOT_FOUND. */
MUST_CHECK enum err_code store_get_experiment(const struct store *store, const char *name,
                                              Experiment **found, struct err *err);
/* By name, those after `after`; at most limit, fewer when they are large. */
MUST_CHECK enum err_code store_list_experiments(const struct store *store, const char *after,
                                                int64_t limit, Experiment ***experiments,
                                                size_t *count, bool *more, struct err *err);

/* ---- runs ---- */

/* The row (run_id, experiment, run_name, status, started_*, finished_at_ms), without what it logs.
 * ERR_EXISTS. */
MUST_CHECK enum err_code store_add_run(const struct store *store, const Run *run, struct err *err);
/* Add unless it is there, and lock it like store_lock_run(). [queue] */
MUST_CHECK enum err_code store_ensure_run(const struct store *store, const Run *run,
                                          struct err *err);
/* Lock the row until the transaction ends: whoever changes a run or logs to it does this first. ERR_NOT_FOUND. */
MUST_CHECK enum err_code store_lock_run(const struct store *store, const char *run_id,
                                        RunStatus *status, int64_t *revision, struct err *err);
/* With params, tags, latest metrics and models. ERR_NOT_FOUND. */
MUST_CHECK enum err_code store_get_run(const struct store *store, const char *run_id, Run **found,
                                       struct err *err);
/* Newest first, those started before (before_ms, before_id); experiment empty: of all. At
 * most limit, fewer when they are large. */
MUST_CHECK enum err_code store_list_runs(const struct store *store, const char *experiment,
                                         int64_t before_ms, const char *before_id, int64_t limit,
                                         Run ***runs, size_t *count, bool *more, struct err *err);
/* Status and time of the end; counts the revision up. */
MUST_CHECK enum err_code store_finish_run(const struct store *store, const char *run_id,
                                          RunStatus status, int64_t now_ms, struct err *err);

/* ---- what runs log ---- */

/* ERR_PRECONDITION when one of the params is set to another value. */
MUST_CHECK enum err_code store_check_params(const struct store *store, const char *run_id,
                                            Tag *const *params, size_t count, struct err *err);
/* Those that are set keep their value. [queue] */
MUST_CHECK enum err_code store_add_params(const struct store *store, const char *run_id,
                                          Tag *const *params, size_t count, struct err *err);
/* [queue] */
MUST_CHECK enum err_code store_set_tags(const struct store *store, const char *run_id,
                                        Tag *const *tags, size_t count, struct err *err);
/* Points into the history, and the latest of each key. Time 0 becomes now_ms. [queue] */
MUST_CHECK enum err_code store_add_metrics(const struct store *store, const char *run_id,
                                           Metric *const *metrics, size_t count, int64_t now_ms,
                                           struct err *err);
/* Attach, or replace the one of the same name. [queue] */
MUST_CHECK enum err_code store_put_model(const struct store *store, const char *run_id,
                                         const AttachedModel *model, struct err *err);
/* Add up what the run has after logging to it, and count its revision up by one when changed.
 * ERR_PRECONDITION: more than EXPERIMENT_RUN_MAX. [queue] */
MUST_CHECK enum err_code store_measure_run(const struct store *store, const char *run_id,
                                           bool changed, struct err *err);
/* In the order of arrival, those after seq; *last_seq: of the last one. */
MUST_CHECK enum err_code store_metric_history(const struct store *store, const char *run_id,
                                              const char *key, int64_t after_seq, int64_t limit,
                                              Metric ***metrics, size_t *count, int64_t *last_seq,
                                              bool *more, struct err *err);
