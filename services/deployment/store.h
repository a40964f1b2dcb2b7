/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - durable state of endpoints (PostgreSQL schema "deployment").
 *
 * store.c is the only file of this service that contains SQL. Every call works on the
 * caller's connection, and in its transaction when it has one; every statement is bound to
 * the workspace, but store_list_states(). What is filled lives in the arena. Nothing here logs.
 * Errors are those of db.h, and ERR_NOT_FOUND with a sentence where it says so.
 */
#pragma once

#include "change.h"
#include "deployment.h"

/* ---- what the registry has said ---- */

/*
 * Until the transaction ends, nobody else learns a version or alias of this model or binds an
 * endpoint to it: else an endpoint that waits and the news that it waits for could pass each other
 * unseen. shared: for learning versions, which do not exclude each other. Not waited for.
 */
MUST_CHECK enum err_code store_lock_model(const struct store *store, const char *model_name,
                                          bool shared, struct err *err);
/* Remember a version unless known; endpoints: those bound to it that do not have it as target. */
MUST_CHECK enum err_code store_learn_version(const struct store *store, const Target *target,
                                             const char ***endpoints, size_t *count,
                                             struct err *err);
/* Remember where an alias points. *newer false, nothing changed: a later move is known.
 * endpoints: those bound to it. */
MUST_CHECK enum err_code store_learn_alias(const struct store *store, const char *model_name,
                                           const char *alias, int64_t version, int64_t revision,
                                           bool *newer, const char ***endpoints, size_t *count,
                                           struct err *err);
/* *target NULL: not known. By version; version 0: of the alias. */
MUST_CHECK enum err_code store_find_version(const struct store *store, const char *model_name,
                                            int64_t version, const char *alias, Target **target,
                                            struct err *err);

/* ---- endpoints ---- */

enum store_lock { STORE_READ, STORE_LOCK };
/* ERR_NOT_FOUND, also for a deleted one. STORE_LOCK: until the transaction ends; whoever
 * changes an endpoint or records a pod's report does this first. */
MUST_CHECK enum err_code store_get_endpoint(const struct store *store, const char *name,
                                            enum store_lock lock, struct endpoint **found,
                                            struct err *err);
/* *found NULL: there never was one. Locks it. */
MUST_CHECK enum err_code store_find_endpoint(const struct store *store, const char *name,
                                             struct endpoint **found, struct err *err);
/* ERR_EXISTS: somebody else has added it meanwhile. */
MUST_CHECK enum err_code store_add_endpoint(const struct store *store,
                                            const struct endpoint *endpoint, struct err *err);
MUST_CHECK enum err_code store_update_endpoint(const struct store *store,
                                               const struct endpoint *endpoint, struct err *err);
/* By name, those after `after` that are not deleted; at most limit, fewer when they are large. */
MUST_CHECK enum err_code store_list_endpoints(const struct store *store, const char *after,
                                              int64_t limit, struct endpoint ***endpoints,
                                              size_t *count, bool *more, struct err *err);
/* Of all workspaces, deleted ones too, that ever had a desired state: those after (workspace,
 * name), at most limit. For writing the state topic again. */
MUST_CHECK enum err_code store_list_states(const struct store *store, const char *after_workspace,
                                           const char *after_name, int64_t limit,
                                           const char ***workspaces, struct endpoint ***endpoints,
                                           size_t *count, struct err *err);

/* ---- history ---- */

MUST_CHECK enum err_code store_add_change(const struct store *store, const char *endpoint,
                                          const EndpointChange *change, int64_t rollback_before,
                                          struct err *err);
MUST_CHECK enum err_code store_set_outcome(const struct store *store, const char *endpoint,
                                           int64_t generation, const char *outcome,
                                           const char *detail, struct err *err);
/* Newest first, those before the generation; at most limit, fewer when they are large. */
MUST_CHECK enum err_code store_list_changes(const struct store *store, const char *endpoint,
                                            int64_t before, int64_t limit,
                                            struct history_entry **entries, size_t *count,
                                            bool *more, struct err *err);

/* ---- pods ---- */

/* A report; one of an older generation than the pod's last changes nothing. */
MUST_CHECK enum err_code store_put_pod(const struct store *store, const char *endpoint,
                                       const PodState *pod, struct err *err);
/* A sign of life. Not waited for. */
MUST_CHECK enum err_code store_touch_pod(const struct store *store, const char *endpoint,
                                         const char *pod, int64_t at_ms, struct err *err);
/* Pods of an endpoint heard of since; by name. */
/* A pod has gone: what it reported up to then, for any endpoint, no longer counts. */
MUST_CHECK enum err_code store_remove_pod(const struct store *store, const char *pod, int64_t at_ms,
                                          struct err *err);
MUST_CHECK enum err_code store_list_pods(const struct store *store, const char *endpoint,
                                         int64_t since_ms, PodState ***pods, size_t *count,
                                         struct err *err);
/* Forget pods not heard of since. Not waited for. */
MUST_CHECK enum err_code store_forget_pods(const struct store *store, const char *endpoint,
                                           int64_t since_ms, struct err *err);

/* ---- drift ---- */

MUST_CHECK enum err_code store_set_policy(const struct store *store, const char *endpoint,
                                          const DriftPolicy *policy, struct err *err);
/* What an endpoint has decided about drift up to now. */
struct drift_past {
    int64_t number; /* of the last decision; 0: there is none */
    bool known;     /* the episode was decided */
    struct deployment_past done;
};
/* done.retrains: since day_ms. */
MUST_CHECK enum err_code store_drift_past(const struct store *store, const char *endpoint,
                                          const char *episode, int64_t day_ms,
                                          struct drift_past *past, struct err *err);
/* Versions that were left because of drift since then. */
MUST_CHECK enum err_code store_drift_left(const struct store *store, const char *endpoint,
                                          const char *model_name, int64_t since_ms,
                                          int64_t **versions, size_t *count, struct err *err);
MUST_CHECK enum err_code store_add_drift_action(const struct store *store, const char *endpoint,
                                                int64_t number, const DriftAction *action,
                                                struct err *err);
/* Newest first, those before the number; *last: the number of the last one. */
MUST_CHECK enum err_code store_list_drift_actions(const struct store *store, const char *endpoint,
                                                  int64_t before, int64_t limit,
                                                  DriftAction ***actions, int64_t *last,
                                                  size_t *count, bool *more, struct err *err);
