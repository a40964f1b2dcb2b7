/* SPDX-License-Identifier: Apache-2.0 */
/*
 * push.h - a model file or folder becomes a version: shared by `model push` and `deploy`.
 */
#pragma once

#include "command.h"

extern const struct option_row push_options[]; /* --description, --tag, --metric, --feature */

/* The model file of path: path itself, or in a folder the one that MLmodel names, or the only file
 * with a model's ending. The caller frees *file. ERR_INVALID says what is there instead. */
MUST_CHECK enum err_code push_find_file(const char *path, char **file, struct err *err);
/* Upload and register; *version is the ModelVersion, the caller's. */
MUST_CHECK enum err_code push_version(struct cli *cli, const char *name, const char *path,
                                      json_t **version, struct err *err);

/* Append the options --metric KEY=NUMBER as {key, value}; a number may be nan or inf. */
MUST_CHECK enum err_code push_metrics(const struct cli *cli, json_t *metrics, struct err *err);
