/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline.h - what the files of `modelbus pipeline` share. */
#pragma once

#include "command.h"

/* A run that was waited for and did not succeed. */
#define EXIT_RUN_FAILED 9

/* Row of a command's options. */
#define PIPELINE_VERSION_ROW                                                                       \
    {                                                                                              \
        "version", "N", "this version (the newest)", NULL, 0                                       \
    }

/* pipeline_watch.c: follow a run to its end. Sets cli->exit_code. */
MUST_CHECK enum err_code pipeline_watch(struct cli *cli, const char *run, struct err *err);
enum err_code pipeline_run_watch(struct cli *cli, struct err *err);
enum err_code pipeline_run_logs(struct cli *cli, struct err *err);

/* pipeline_graph.c: the tasks of a definition and what they need. */
enum err_code pipeline_run_graph(struct cli *cli, struct err *err);

/* pipeline_export.c: YAML for other engines. */
enum err_code pipeline_run_export(struct cli *cli, struct err *err);

/* The newest definition, or the one of --version, of the pipeline that the first word names;
 * the caller's. */
MUST_CHECK enum err_code pipeline_get(struct cli *cli, json_t **pipeline, struct err *err);
