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

/* ---- what main.c wires ---- */
extern const struct event_subscription registry_events[]; /* events.c */
extern const struct rpc_method registry_queries[];        /* queries.c */
extern const struct embed_file registry_schema[];         /* schema/ */
