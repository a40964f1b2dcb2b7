/* SPDX-License-Identifier: Apache-2.0 */
/*
 * changes.h - changes of endpoints with the events that they cause, in one transaction.
 *
 * What handlers of events and of queries both do. Each call reads what it needs, asks the
 * rules (deployment.h), writes through the store and publishes to the outbox, all on
 * change->store.db, whose transaction the caller commits. A new desired state says
 * ModelDeployed and EndpointState; locks are taken in the order model, endpoint.
 */
#pragma once

#include "store.h"

#include "modelbus/monitoring/v1/events.pb-c.h"
#include "modelbus/registry/v1/events.pb-c.h"

struct deployment_settings {
    int64_t pod_timeout_s; /* a pod not heard of for this long is left out */
};

/* Pods not heard of since then (Unix epoch, ms) are left out. */
int64_t change_pods_since(const struct change *change);

/* What an endpoint is bound to, checked by deployment_check_binding(). */
struct binding {
    const char *model_name;
    const char *alias; /* "": stays at version */
    int64_t version;
};

/* Create an endpoint; it waits when alias or version are not known yet. ERR_EXISTS. */
MUST_CHECK enum err_code change_create(const struct change *change, const char *name,
                                       const struct binding *binding, struct err *err);
/* Bind it anew, which ends a hold. model_name NULL: as it is. It keeps its target while alias or version
 * are not known. ERR_NOT_FOUND, ERR_CONFLICT (generation). */
MUST_CHECK enum err_code change_update(const struct change *change, const char *name,
                                       const struct binding *binding, int64_t expected_generation,
                                       struct err *err);
/* Says EndpointState (deleted) and EndpointDeleted. ERR_NOT_FOUND. */
MUST_CHECK enum err_code change_delete(const struct change *change, const char *name,
                                       struct err *err);
/* Says RolledBack too and holds the endpoint. to_version 0: see deployment_rollback().
 * ERR_PRECONDITION when there is nothing to go back to; ERR_NOT_FOUND, ERR_CONFLICT. */
MUST_CHECK enum err_code change_rollback(const struct change *change, const char *name,
                                         int64_t to_version, const char *reason,
                                         int64_t expected_generation, struct err *err);

/* Versions of a model that a rollback does not go to. */
struct avoided {
    const char *model_name;
    int64_t *versions;
    size_t count;
};
/* The rollback itself, of a locked endpoint that has a target. avoided may be NULL. Nothing is written
 * when it fails with ERR_PRECONDITION. */
MUST_CHECK enum err_code change_go_back(const struct change *change, struct endpoint *endpoint,
                                        int64_t to_version, const struct avoided *avoided,
                                        const char *reason, struct err *err);

/* ---- drift.c ---- */

/* ERR_NOT_FOUND. */
MUST_CHECK enum err_code change_policy(const struct change *change, const char *name,
                                       const DriftPolicy *policy, struct err *err);
/* An episode of drift has begun: what the policy asks for, once; the decision is kept. Says RetrainRequested
 * when it asks for another model. */
MUST_CHECK enum err_code change_drift_detected(const struct change *change,
                                               const Modelbus__Monitoring__V1__DriftDetected *event,
                                               struct err *err);

/* ---- changes.c ---- */

/* The registry has a new version: endpoints that wait for it deploy it. */
MUST_CHECK enum err_code change_version_known(const struct change *change, Target *target,
                                              struct err *err);
/* An alias moved: endpoints bound to it follow. */
MUST_CHECK enum err_code change_alias_moved(const struct change *change,
                                            const Modelbus__Registry__V1__AliasMoved *event,
                                            struct err *err);
/* A pod's report. Those of old generations and of unknown endpoints change nothing. */
MUST_CHECK enum err_code change_pod_report(const struct change *change, const char *endpoint,
                                           PodState *pod, struct err *err);

/* The desired state, for the state topic. */
MUST_CHECK enum err_code change_say_state(struct outbox *outbox, struct db_conn *db,
                                          const char *workspace, const struct endpoint *endpoint,
                                          struct err *err);

/* ---- what main.c wires ---- */
extern const struct event_subscription deployment_events[]; /* events.c */
extern const struct rpc_method deployment_queries[];        /* queries.c */
extern const struct embed_file deployment_schema[];         /* schema/ */
/* Write the state topic again (service_spec.republish); events.c. */
enum err_code deployment_republish(void *arg, struct outbox *outbox, struct db_conn *conn,
                                   struct err *err);
