/* SPDX-License-Identifier: Apache-2.0 */
/*
 * environment.h - the variables of a task: a clean minimum, the lease's, its secrets, MODELBUS_*.
 * Later ones win. Nothing else of the worker's own environment than PATH is handed on.
 */
#pragma once

#include "gateway.h"
#include "mask.h"

struct environment_options {
    const Lease *lease;
    const char *folder; /* the task's, absolute */
    const char *gateway_url;
    const char *secrets_dir; /* NULL: no secrets */
    const char *task_token;  /* NULL or empty: none */
};

/* Values that are secret are given to the mask too. ERR_INVALID: a name or value that is not one; errors of
 * secret_read(). */
MUST_CHECK enum err_code environment_make(const struct environment_options *options,
                                          struct mask *mask, char ***environment, struct err *err);
void environment_free(char **environment); /* wipes it */

/* Value of a variable, or NULL. */
const char *environment_get(char *const *environment, const char *name);

/* Where execve() finds the program: itself when it has a '/', else found in the task's PATH. */
MUST_CHECK enum err_code environment_program(char *const *environment, const char *name,
                                             char **program, struct err *err);
