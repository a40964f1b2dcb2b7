/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings.h - where the platform is: a flag, else the environment, else the env file of the local
 * folder. With --dir the folder's file wins over the environment.
 *
 * Strings are borrowed for the life of *cli.
 */
#pragma once

#include "command.h"

/* "MODELBUS_BROKERS"; flag NULL: none. NULL when nothing gives it. */
const char *setting(struct cli *cli, const char *flag, const char *name);
/* The same, or ERR_PRECONDITION with what to do. */
MUST_CHECK enum err_code setting_need(struct cli *cli, const char *flag, const char *name,
                                      const char **value, struct err *err);
/* The folder of the local platform, absolute; the caller frees it. */
char *setting_dir(const struct cli *cli);
/* A secret that may be given as @FILE or through NAME_FILE; the caller frees it. */
MUST_CHECK enum err_code setting_secret(struct cli *cli, const char *flag, const char *name,
                                        char **value, struct err *err);

/* An argument that is text, @FILE or - (standard input); at most max_bytes. */
MUST_CHECK enum err_code read_argument(const char *argument, size_t max_bytes, char **text,
                                       size_t *len, struct err *err);
