/* SPDX-License-Identifier: Apache-2.0 */
/*
 * template.h - ${...} in the texts of a pipeline's file.
 *
 *     ${params.NAME}                 parameter of the run
 *     ${run.id} ${run.pipeline} ${run.version} ${run.logical_ms} ${run.logical_date}
 *     ${task.name} ${task.index} ${task.attempt}
 *     ${item} ${index}               within a task that has a map
 *     ${tasks.NAME.outputs.NAME}     of a task that this one needs (also by way of others): its
 *                                    text when it is small, else its URI; of a map: a JSON list of them
 *     ${tasks.NAME.status}           the same
 *     $${                            a dollar and a brace
 *
 * A name is found by a callback, so that checking (does it exist here?) and filling in are the same walk.
 */
#pragma once

#include "arena/arena.h"
#include "err/err.h"

/* The value of a name ("params.depth"), of any length; NULL: it has none (err is set). */
typedef const char *(*template_find)(void *arg, const char *name, struct err *err);

/* The text with every ${...} replaced; in arena. max: bytes of the result (ERR_TOO_LARGE). ERR_INVALID: a
 * brace that is not closed, an empty name, or what find says. */
MUST_CHECK enum err_code template_fill(const char *text, template_find find, void *arg, size_t max,
                                       struct arena *arena, const char **filled, struct err *err);
