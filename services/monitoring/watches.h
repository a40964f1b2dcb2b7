/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watches.h - the watches of a monitoring instance: a cache of what the database holds (watch.h).
 *
 * The consumer's thread alone. Each call works in the transaction of change or store. Whoever changes
 * a watch sets its revision to 0 first, so that it is loaded again if the transaction fails, and gives it
 * back by watches_save().
 */
#pragma once

#include "changes.h"

/* The watch of the rows' endpoint, its row locked; made when there is none. */
MUST_CHECK enum err_code watches_take(const struct change *change, struct monitoring *monitoring,
                                      const PredictionsLogged *rows, struct watch **watch,
                                      struct err *err);
/* What changed in memory goes to the database, with a revision of its own. */
MUST_CHECK enum err_code watches_save(const struct store *store, struct watch *watch,
                                      struct err *err);
int64_t watches_revision(void); /* a fresh one, never 0 */

/* Of the version that watch is at: its sample, fetched if need be, else what was learned of its rows,
 * else none. ERR_UNAVAILABLE: the sample cannot be fetched now. */
MUST_CHECK enum err_code watches_load_reference(const struct store *store,
                                                struct monitoring *monitoring, struct watch *watch,
                                                struct err *err);
/* The full pane becomes the reference. */
MUST_CHECK enum err_code watches_keep_learned(const struct store *store, struct watch *watch,
                                              struct err *err);
/* Of all panes. */
MUST_CHECK enum err_code watches_drop_parts(const struct store *store, const struct watch *watch,
                                            struct err *err);
