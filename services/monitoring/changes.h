/* SPDX-License-Identifier: Apache-2.0 */
/*
 * changes.h - what happens to a watched endpoint in one transaction.
 *
 * What handlers of events and of queries do, and the timer. Rows are fed into the endpoint's watch,
 * which lives in the consumer thread's cache (the timer has its own); what they change goes to the database with the offset of the
 * event that brought them, so that no row counts twice or is lost, wherever a process ends.
 */
#pragma once

#include "label_rules.h"
#include "store.h"

#include "artifact/source.h"
#include "metrics/metrics.h"

struct monitoring_settings {
    char *artifact_url;
    char *artifact_token;     /* secret */
    int64_t cache_bytes;      /* of watches in memory; others are loaded when they are needed */
    int64_t predictions_kept; /* of each endpoint, until they are labelled */
    int64_t reports_kept;     /* of each endpoint */
};

/* What a thread that feeds or judges windows works with: the consumer's, and the timer's. */
struct monitoring {
    const struct monitoring_settings *settings;
    struct source *source;
    struct watch **watches;
    size_t watch_count, watch_room;
    struct metric *watched, *other, *windows_drift, *windows_calm, *windows_undecided, *episodes;
    struct metric *labels[LABEL_REASONS], *performance_episodes;
};

struct monitoring *monitoring_new(const struct monitoring_settings *settings,
                                  struct source *source);
void monitoring_free(struct monitoring *monitoring);
CLEANUP_DEFINE(struct monitoring, monitoring_free)

/* Logged predictions. ERR_INVALID, ERR_TOO_LARGE: the message is malformed; ERR_UNAVAILABLE: the
 * version's sample cannot be fetched now. */
MUST_CHECK enum err_code change_rows(const struct change *change, struct monitoring *monitoring,
                                     const PredictionsLogged *rows, struct err *err);
/* A window that may be due by the clock; the endpoint's row is locked. */
MUST_CHECK enum err_code change_due(const struct change *change, struct monitoring *monitoring,
                                    const char *endpoint, struct err *err);
/* From now on the endpoint has a monitor. */
MUST_CHECK enum err_code change_deployed(const struct change *change, const char *endpoint,
                                         const char *model_name, int64_t version, struct err *err);
/* An episode that is open ends; what was known is forgotten. */
MUST_CHECK enum err_code change_endpoint_gone(const struct change *change, const char *endpoint,
                                              struct err *err);
/* The window that is being filled begins anew; when nothing is judged any more, an open episode
 * ends. ERR_NOT_FOUND. */
MUST_CHECK enum err_code change_rules(const struct change *change, const char *endpoint,
                                      const MonitorRules *rules, struct err *err);

/* ---- what main.c wires ---- */
extern const struct event_subscription monitoring_events[]; /* events.c */
extern const struct rpc_method monitoring_queries[];        /* queries.c */
extern const struct embed_file monitoring_schema[];         /* schema/ */
