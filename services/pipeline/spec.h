/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec.h - what a task comes to in a run: ${...} filled in.
 *
 * Done when an item of a task starts, under the lock of its run: all that its texts may name is known
 * then. What was handed out is written down (the Lease), so that it is the same when it is handed out
 * again.
 */
#pragma once

#include "store.h"

#include "crypto/crypto.h"

/* Where texts find what they name. One run, under its lock. */
struct spec {
    const struct store *store; /* outputs of other tasks are read when they are first named */
    const struct run *run;
    const struct plan *plan;
    const struct task_row *rows;
    struct spec_outputs {
        bool loaded;
        struct item_outputs *items;
        size_t count;
    } * outputs; /* of each task */
    bool broken; /* the last failure was the database's, not the definition's */
};
void spec_open(struct spec *spec, const struct store *store, const struct run *run,
               const struct plan *plan, const struct task_row *rows);
/* A task has put out something since. */
void spec_forget(struct spec *spec, size_t place);

/* Of these ERR_INVALID and ERR_TOO_LARGE with broken false mean that the task fails. */

/* *unmet NULL: all its conditions hold. */
MUST_CHECK enum err_code spec_when(struct spec *spec, size_t place, const char **unmet,
                                   struct err *err);
/* The items of its map; at most DEFINITION_MAP_MAX. */
MUST_CHECK enum err_code spec_items(struct spec *spec, size_t place, const char ***items,
                                    size_t *count, struct err *err);
/* Fill in attempt->spec, labels and, when the task has a cache, cache_key. */
MUST_CHECK enum err_code spec_fill(struct spec *spec, struct attempt *attempt, struct err *err);
