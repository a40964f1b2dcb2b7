/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline.h - what the parts of the service share, and what main.c wires. */
#pragma once

#include "service.h"
#include "store.h"

struct db_listener;
struct scheduler;
struct triggers;

/* What service->state is. */
struct pipeline_state {
    struct service *service;
    struct scheduler *scheduler; /* NULL: nobody (tests that step by themselves) */
    struct db_listener *listener;
    struct triggers *triggers;
    int64_t (*clock)(void); /* Unix epoch, ms */
    char instance[37];      /* tells what others notify from its own echo */
};
static inline struct pipeline_state *
pipeline_state(const struct change *change)
{
    return change->service->state;
}

/* change_of_call() and _of_event() by the service's clock. */
struct change pipeline_call(const void *arg, const struct rpc_call *call);
struct change pipeline_event(const void *arg, const struct event_context *context);

/*
 * Once this transaction has been committed: run again the long polls that wait for the topic, here and at
 * other instances; due_ms: the scheduler has something to do then (INT64_MAX: it has not). The
 * arena of a change by a query must live until after the commit. An event's change tells all topics.
 *
 *     "tasks:<workspace>"  an attempt may be leased, or a worker must be told something
 *     "run:<id>"           a run has changed
 *     "log:<lease>"        an attempt has said something
 */
void pipeline_hint(const struct change *change, const char *topic, int64_t due_ms);
/* The same at once. Any thread. */
void pipeline_wake(struct pipeline_state *state, const char *topic);
/* Another instance has said so; for db_listen(). */
void pipeline_heard(void *state, const char *topic);

/* ---- what main.c wires ---- */

struct pipeline_settings {
    int64_t log_retention_s, max_event_age_s, retention_s;
};
/* Fills pipeline_events from the catalogue; before service_main(). events.c */
void pipeline_subscribe(void);
extern struct event_subscription pipeline_events[]; /* events.c */
extern const struct rpc_method pipeline_queries[];  /* queries.c */
extern const struct embed_file pipeline_schema[];   /* schema/ */
extern const struct config_key pipeline_config[];   /* wiring.c */
extern struct pipeline_settings pipeline_settings;  /* wiring.c */
enum err_code pipeline_start(struct service *service, struct err *err);
bool pipeline_stop(struct service *service, int64_t deadline_ms);
