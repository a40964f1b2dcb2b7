/* SPDX-License-Identifier: Apache-2.0 */
/*
 * labels.h - predictions meet their labels, in either order, and windows of them are judged.
 *
 * Of an endpoint whose rules have a task, predictions are stored (id, version, time, output), for
 * the horizon. A label finds its prediction by id, or waits for it as long. Every label ends in
 * one of enum label_reason, which are counted, so that none is lost without a word. The first
 * label of a prediction stays: another value for it is a contradiction, which is counted and not
 * settled here.
 *
 * Joined rows fill windows, one version each, in the order in which they were joined. A full
 * window is a PerformanceReport. Windows of the version that is served begin and end
 * episodes (PerformanceDegraded, PerformanceRecovered); late labels of a version that was replaced are
 * reported only. An episode belongs to the endpoint: it goes on when another version is served.
 *
 * All of it happens in the transaction of the event that brought it, with the endpoint's row of
 * monitor locked, so instances take turns and a kill -9 loses and repeats nothing. Nothing is
 * kept in memory between two calls.
 */
#pragma once

#include "changes.h"
#include "store_labels.h"

#include "rpc/rpc.h"

typedef Modelbus__Monitoring__V1__LabelsReceived LabelsReceived;

#define LABEL_VERSIONS_MAX 20u
#define LABEL_PRUNE_MS 60000 /* what is too old is looked for this often, when messages come */
/* A prediction is kept longer than the horizon by the horizon, and by this at most, so that a label
 * that is late is known to be. */
#define LABEL_LATE_MS (86400 * INT64_C(1000))

/* Labels and predictions of an endpoint in one transaction. */
struct labelling {
    const struct change *change;
    const struct monitoring *monitoring;
    const char *endpoint;
    struct label_rules rules;
    LabelState *state;
    uint64_t counts[LABEL_REASONS];
};

/* Rows that a pod predicted; the endpoint's row is locked. rules NULL or off: does nothing. */
MUST_CHECK enum err_code labels_predicted(const struct change *change,
                                          const struct monitoring *monitoring,
                                          const PerformanceRules *rules,
                                          const PredictionsLogged *rows, struct err *err);
/* ERR_INVALID; ERR_NOT_FOUND: the endpoint is not watched. */
MUST_CHECK enum err_code labels_received(const struct change *change,
                                         const struct monitoring *monitoring,
                                         const LabelsReceived *event, struct err *err);
/* What was stored for other rules goes, and an episode that it began ends; the row is locked. */
MUST_CHECK enum err_code labels_rules_changed(const struct change *change, const char *endpoint,
                                              const PerformanceRules *before,
                                              const PerformanceRules *after, struct err *err);
/* An open episode ends, everything is forgotten. */
MUST_CHECK enum err_code labels_endpoint_gone(const struct change *change, const char *endpoint,
                                              struct err *err);
/* What GetPerformance answers. ERR_NOT_FOUND. (label_queries.c) */
MUST_CHECK enum err_code labels_view(const struct change *change, const char *endpoint,
                                     Performance **performance, struct err *err);

/* ---- label_state.c, label_windows.c: for labels.c ---- */

MUST_CHECK enum err_code labelling_begin(struct labelling *l, struct err *err);
/* Not waited for. */
MUST_CHECK enum err_code labelling_end(struct labelling *l, struct err *err);
/* Forget what is too old, or too much. */
MUST_CHECK enum err_code labelling_prune(struct labelling *l, struct err *err);
/* rows: id and label, of predictions that had none. Windows that are full are judged. */
MUST_CHECK enum err_code labelling_join(struct labelling *l, const struct prediction *rows,
                                        size_t count, struct err *err);
/* An episode that is open ends without a window. */
MUST_CHECK enum err_code labelling_recover(const struct labelling *l, struct err *err);

/* ---- what queries.c and monitoring_new() wire ---- */
void labels_metrics(struct monitoring *monitoring);
enum err_code push_labels(void *arg, const Modelbus__Monitoring__V1__PushLabelsRequest *request,
                          Modelbus__Monitoring__V1__PushLabelsResponse *response,
                          struct rpc_call *call, struct err *err);
enum err_code get_performance(void *arg,
                              const Modelbus__Monitoring__V1__GetPerformanceRequest *request,
                              Modelbus__Monitoring__V1__GetPerformanceResponse *response,
                              struct rpc_call *call, struct err *err);
enum err_code
get_performance_report(void *arg,
                       const Modelbus__Monitoring__V1__GetPerformanceReportRequest *request,
                       Modelbus__Monitoring__V1__GetPerformanceReportResponse *response,
                       struct rpc_call *call, struct err *err);
enum err_code
list_performance_reports(void *arg,
                         const Modelbus__Monitoring__V1__ListPerformanceReportsRequest *request,
                         Modelbus__Monitoring__V1__ListPerformanceReportsResponse *response,
                         struct rpc_call *call, struct err *err);
