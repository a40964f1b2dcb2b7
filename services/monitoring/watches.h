/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watches.h - the watches of a monitoring instance: a cache of what the database holds (watch.h).
 *
 * The thread of the monitoring alone. Each call works in the transaction of change or store. Whoever changes
 * a watch sets its revision to 0 first, so that it is loaded again if the transaction fails, and gives it
 * back by watches_save().
 */
#pragma once

#include "changes.h"

/* The watch of the rows' endpoint, its row locked; made when there is none. */
MUST_CHECK enum err_code watches_take(const struct change *change, struct monitoring *monitoring,
                                      const PredictionsLogged *rows, struct watch **watch,
                                      struct err *err);
/* Of an endpoint whose row is locked and has this revision. */
MUST_CHECK enum err_code watches_get(const struct change *change, struct monitoring *monitoring,
                                     const char *endpoint, int64_t revision, struct watch **watch,
                                     struct err *err);
/* What changed in memory goes to the database, with a revision of its own. */
MUST_CHECK enum err_code watches_save(const struct store *store, struct watch *watch,
                                      struct err *err);
int64_t watches_revision(void); /* a fresh one, never 0 */

/* Of the version that watch is at: its sample, fetched if need be, and what was learned of its rows,
 * as far as there are any. ERR_UNAVAILABLE: the sample cannot be fetched now. */
MUST_CHECK enum err_code watches_load_reference(const struct store *store,
                                                struct monitoring *monitoring, struct watch *watch,
                                                struct err *err);
/* The same when the registry had not told of the version the last time; what is being filled stays. */
MUST_CHECK enum err_code watches_look_again(const struct store *store,
                                            struct monitoring *monitoring, struct watch *watch,
                                            struct err *err);
/* What was learned so far does not count. */
MUST_CHECK enum err_code watches_forget_learning(const struct store *store, struct watch *watch,
                                                 struct err *err);
/* Rows enough are learned: they become part of the reference. */
MUST_CHECK enum err_code watches_keep_learned(const struct store *store, struct watch *watch,
                                              struct err *err);
/* Of all panes. */
MUST_CHECK enum err_code watches_drop_parts(const struct store *store, const struct watch *watch,
                                            struct err *err);
