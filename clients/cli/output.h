/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output.h - what commands print: tables and fields for people, JSON for programs.
 *
 * On a terminal, tables have coloured heads and values of state; piped, the same columns
 * separated by two spaces or more, without colours. With --json the document itself.
 */
#pragma once

#include "command.h"

enum { COLOR_RED = 31, COLOR_GREEN = 32, COLOR_YELLOW = 33, COLOR_CYAN = 36, COLOR_DIM = 2 };

/* With --json, print value and say true: the handler has nothing left to print. */
bool output_json(const struct cli *cli, const json_t *value);

/* One column: a head and the path of the value in a row ("artifact.uri"). */
struct column {
    const char *head, *path;
    /* NULL: strings as they are, numbers, true as "yes"; arrays joined by commas. */
    char *(*format)(const json_t *value);
};
/* rows: an array of objects; columns ends with head NULL. Prints "none" for people when empty. */
void output_table(const struct cli *cli, const json_t *rows, const struct column *columns,
                  const char *none);
/* One object as "name  value" lines. Values that are not there are left out. */
void output_fields(const struct cli *cli, const json_t *row, const struct column *fields);

/* The same of what was set: what is 0, empty or false is the default and left out. */
void output_set_fields(const struct cli *cli, const json_t *row, const struct column *fields);

/* The value at "a.b"; NULL when not there. Borrowed. */
const json_t *json_at(const json_t *value, const char *path);
const char *json_text_at(const json_t *value, const char *path); /* "" when not a string */
int64_t json_int_at(const json_t *value, const char *path);      /* 0 when not a number */

/* Formats for columns; the caller frees. */
char *format_time(const json_t *ms);       /* "2026-11-21 04:51:19" UTC */
char *format_bytes(const json_t *bytes);   /* "1.4 MB" */
char *format_enum(const json_t *name);     /* "STAGE_PRODUCTION": "production" */
char *format_metrics(const json_t *array); /* "auc 0.9921, log_loss 0.11" */
char *format_tags(const json_t *array);    /* "depth=3, trees=50" */
char *format_aliases(const json_t *array); /* "champion=2" */
char *format_uri(const json_t *uri);       /* the first 19 characters */

/* Counts as a row of blocks, one a count, the greatest full. */
char *format_bars(const uint64_t *counts, size_t n);

/* "error: ..." with the next step on standard error, as JSON with --json. */
void output_error(const struct cli *cli, const struct err *err);
/* text in color when the output has colours. */
void output_color(const struct cli *cli, int color, const char *text, FILE *out);
