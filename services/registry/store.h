/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - durable state of models, versions and aliases (PostgreSQL schema "registry").
 *
 * store.c and store_promotion.c are the only files of this service that contain SQL. Every call works on the
 * caller's connection, and in its transaction when it has one; every statement is bound to
 * the workspace. Messages that are filled live in the arena. Nothing here logs. Errors
 * are those of db.h, and ERR_NOT_FOUND with a sentence where it says so.
 */
#pragma once

#include "change.h"
#include "registry.h"

/* Number and insert a version (created_at_ms, created_by and what registry_check_version()
 * lists), creating the model when it is not there: one statement. The model's row stays locked
 * until the transaction ends, so numbers and events are in the same order. */
MUST_CHECK enum err_code store_add_version(const struct store *store, const ModelVersion *version,
                                           int64_t *number, struct err *err);

/* One version, aliases included: by number; number 0: by alias; alias empty as well: the
 * latest. One indexed statement. ERR_NOT_FOUND. */
MUST_CHECK enum err_code store_get_version(const struct store *store, const char *name,
                                           int64_t number, const char *alias, ModelVersion **found,
                                           struct err *err);
/* Newest first, those below `before`; at most limit, fewer when they are large. */
MUST_CHECK enum err_code store_list_versions(const struct store *store, const char *name,
                                             int64_t before, int64_t limit,
                                             ModelVersion ***versions, size_t *count, bool *more,
                                             struct err *err);
/* Each counts the version's revision up. ERR_NOT_FOUND. */
MUST_CHECK enum err_code store_update_version(const struct store *store, const char *name,
                                              int64_t number, const char *description,
                                              Tag *const *tags, size_t tag_count, struct err *err);
MUST_CHECK enum err_code store_set_stage(const struct store *store, const char *name,
                                         int64_t number, Stage stage, struct err *err);
MUST_CHECK enum err_code store_touch_version(const struct store *store, const char *name,
                                             int64_t number, struct err *err);
/* ERR_PRECONDITION while an alias points to it. */
MUST_CHECK enum err_code store_delete_version(const struct store *store, const char *name,
                                              int64_t number, struct err *err);
/* The version in production; 0: none. */
MUST_CHECK enum err_code store_production(const struct store *store, const char *name,
                                          int64_t *number, struct err *err);

/* ERR_EXISTS. */
MUST_CHECK enum err_code store_add_model(const struct store *store, const Model *model,
                                         struct err *err);
/* ERR_NOT_FOUND. */
MUST_CHECK enum err_code store_get_model(const struct store *store, const char *name, Model **found,
                                         struct err *err);
/* By name, those after `after` that start with prefix; at most limit, fewer when they are large. */
MUST_CHECK enum err_code store_list_models(const struct store *store, const char *prefix,
                                           const char *after, int64_t limit, Model ***models,
                                           size_t *count, bool *more, struct err *err);
/* Replaces description and tags, counts the revision up. */
MUST_CHECK enum err_code store_update_model(const struct store *store, const char *name,
                                            const char *description, Tag *const *tags,
                                            size_t tag_count, struct err *err);
/* Lock the model's row until the transaction ends: whoever moves an alias, changes a stage or deletes a
 * version does this first, so such changes of one model come one after the other.
 * ERR_NOT_FOUND. */
MUST_CHECK enum err_code store_lock_model(const struct store *store, const char *name,
                                          struct err *err);

/* *found is initialised by the caller; version and revision stay 0 when it never pointed anywhere,
 * version 0 when it was removed. */
MUST_CHECK enum err_code store_get_alias(const struct store *store, const char *name,
                                         const char *alias, Alias *found, struct err *err);
/* Point the alias to moved->version (0: nowhere) and count its revision up into moved->revision. */
MUST_CHECK enum err_code store_move_alias(const struct store *store, const char *name, Alias *moved,
                                          struct err *err);

/* ---- promotion; whoever decides has locked the model ---- */

MUST_CHECK enum err_code store_set_policy(const struct store *store, const PromotionPolicy *policy,
                                          struct err *err);
/* *found NULL: there is none. */
MUST_CHECK enum err_code store_find_policy(const struct store *store, const char *name,
                                           const char *alias, PromotionPolicy **found,
                                           struct err *err);
/* ERR_NOT_FOUND. */
MUST_CHECK enum err_code store_delete_policy(const struct store *store, const char *name,
                                             const char *alias, struct err *err);

/* Replaces the one of the version on the window; the version is there. */
MUST_CHECK enum err_code store_put_evaluation(const struct store *store,
                                              const Evaluation *evaluation, struct err *err);
/* *found NULL: the version was not evaluated there. */
MUST_CHECK enum err_code store_find_evaluation(const struct store *store, const char *name,
                                               int64_t version, const char *window,
                                               Evaluation **found, struct err *err);
/* By window, those after `after`; at most limit, fewer when they are large. */
MUST_CHECK enum err_code store_list_evaluations(const struct store *store, const char *name,
                                                int64_t version, const char *after, int64_t limit,
                                                Evaluation ***evaluations, size_t *count,
                                                bool *more, struct err *err);
/* Latest first, at most limit. */
MUST_CHECK enum err_code store_latest_evaluations(const struct store *store, const char *name,
                                                  int64_t version, int64_t limit,
                                                  Evaluation ***evaluations, size_t *count,
                                                  struct err *err);

/* *found NULL: the version was not judged on the window. */
MUST_CHECK enum err_code store_find_decision(const struct store *store, const char *name,
                                             const char *alias, int64_t challenger,
                                             const char *window, PromotionDecided **found,
                                             struct err *err);
MUST_CHECK enum err_code store_add_decision(const struct store *store,
                                            const PromotionDecided *decision, struct err *err);
