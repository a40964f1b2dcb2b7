/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layers.h - what is configured outside of the database: built in, and ALERT_RULES_FILE.
 *
 * Both are kept packed, and unpacked for each use into the caller's arena, so that a reload takes
 * nothing away from a handler at work. Any thread.
 */
#pragma once

#include "rulebook.h"

struct layers;
/* path NULL or empty: no file. ERR_NOT_FOUND, or the errors of rulebook_parse() with the path in
 * front. */
MUST_CHECK enum err_code layers_open(struct layers **layers, const char *path, struct err *err);
/* Read the file again; on an error everything stays as it was. */
MUST_CHECK enum err_code layers_reload(struct layers *layers, struct err *err);
void layers_free(struct layers *layers);
CLEANUP_DEFINE(struct layers, layers_free)

/* With rows (what the workspace has put; NULL: nothing), merged. In arena. */
AlertConfig *layers_merge(struct layers *layers, const char *workspace, const AlertConfig *rows,
                          struct arena *arena);
