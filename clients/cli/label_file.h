/* SPDX-License-Identifier: Apache-2.0 */
/*
 * label_file.h - labels from a file, one by one: CSV with a header, or NDJSON (an object a line).
 *
 * What the first line begins with says which. Memory does not grow with the file. CSV is RFC 4180 with
 * commas, without line breaks inside of quotes. Errors name file and line.
 */
#pragma once

#include "err/err.h"

#include <jansson.h>

#define LABEL_LINE_MAX 65535 /* bytes */

struct label_file;
/* path "-": standard input. id_column, label_column: borrowed. ERR_NOT_FOUND; ERR_INVALID: the
 * header lacks a column, or is not there. */
MUST_CHECK enum err_code label_file_open(const char *path, const char *id_column,
                                         const char *label_column, struct label_file **file,
                                         struct err *err);
void label_file_free(struct label_file *file);
CLEANUP_DEFINE(struct label_file, label_file_free)
/* The next label as PushLabels wants it, the caller's; NULL at the end. */
MUST_CHECK enum err_code label_file_next(struct label_file *file, json_t **label, struct err *err);
