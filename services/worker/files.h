/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.h - folders, names and programs: what the parts of the worker share. Any thread.
 */
#pragma once

#include "err/err.h"

/* Letters, digits, '.', '_', '-', at most 128 and no leading '.': fit to be one component of a path. */
bool files_name_valid(const char *name);

/* Make path (its parent exists); it being there already is an error. Mode 0700. */
MUST_CHECK enum err_code files_make(const char *path, struct err *err);

/* Remove what is called name in folder, however deep, whatever modes its folders have. Its
 * symbolic links are not followed, and it is no error when it is not there. */
MUST_CHECK enum err_code files_remove(const char *folder, const char *name, struct err *err);

/*
 * Run a program found in PATH, its standard input from stdin_fd and its standard output to stdout_fd (-1:
 * /dev/null), until it ends. ERR_INVALID: it failed; the message is the first thing it said. ERR_CANCELLED:
 * *give_up became true, it was killed.
 */
MUST_CHECK enum err_code files_run(const char *const *argv, int stdin_fd, int stdout_fd,
                                   const _Atomic bool *give_up, struct err *err);
