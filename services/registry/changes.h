/* SPDX-License-Identifier: Apache-2.0 */
/*
 * changes.h - changes of the registry with the events that they cause, in one transaction.
 *
 * What handlers of events and of queries both do. Each call reads what it needs, asks the
 * rules (registry.h), writes through the store and publishes to the outbox, all on
 * change->store.db, whose transaction the caller commits.
 */
#pragma once

#include "store.h"

/* Register version (see registry_check_version()) under the next number; fills version, stage, revision,
 * created_at_ms and created_by. Says ModelRegistered. */
MUST_CHECK enum err_code change_register(const struct change *change, ModelVersion *version,
                                         struct err *err);

struct alias_move {
    const char *name, *alias, *reason;
    int64_t version; /* 0: remove */
    int64_t expected_revision, expected_version;
};
/*
 * Move or remove an alias; `champion` takes the stage production along. Says AliasMoved and StageChanged.
 * Nothing happens when it points there already. *previous: where it pointed, 0 nowhere.
 * ERR_NOT_FOUND (model, version, alias to remove), ERR_CONFLICT.
 */
MUST_CHECK enum err_code change_alias(const struct change *change, const struct alias_move *move,
                                      Alias *moved, int64_t *previous, struct err *err);

/* Put a version into a stage; production moves `champion`. Says StageChanged (and AliasMoved). */
MUST_CHECK enum err_code change_stage(const struct change *change, const char *name,
                                      int64_t version, Stage stage, int64_t expected_revision,
                                      struct err *err);

/* Says VersionDeleted. ERR_PRECONDITION while an alias points to it. */
MUST_CHECK enum err_code change_delete_version(const struct change *change, const char *name,
                                               int64_t version, struct err *err);

/* ---- promotion.c ---- */

/* Replace the policy of an alias; fills updated_at_ms and updated_by. ERR_NOT_FOUND: the model. */
MUST_CHECK enum err_code change_set_policy(const struct change *change, PromotionPolicy *policy,
                                           struct err *err);
MUST_CHECK enum err_code change_delete_policy(const struct change *change, const char *name,
                                              const char *alias, struct err *err);
/* Keep what a version reached; fills evaluated_at_ms and evaluated_by. ERR_NOT_FOUND. */
MUST_CHECK enum err_code change_evaluate(const struct change *change, Evaluation *evaluation,
                                         struct err *err);
/*
 * Judge a version against the one that holds the alias now, by its policy; the better one gets it. Says
 * PromotionDecided, and what change_alias() says when it is promoted. Judged on the window before:
 * that decision, *before true, and nothing is said. ERR_NOT_FOUND (model, version); ERR_PRECONDITION
 * (no policy, not evaluated there, holds the alias already) says what to do.
 */
MUST_CHECK enum err_code change_challenge(const struct change *change, const char *name,
                                          int64_t version, const char *alias, const char *window,
                                          PromotionDecided **decision, bool *before,
                                          struct err *err);

/* ---- what main.c wires ---- */
extern const struct event_subscription registry_events[]; /* events.c */
extern const struct rpc_method registry_queries[];        /* queries.c */
extern const struct embed_file registry_schema[];         /* schema/ */
