/* SPDX-License-Identifier: Apache-2.0 */
/*
 * argo.h - a pipeline as Argo Workflows' YAML (https://argo-workflows.readthedocs.io/en/latest/fields/).
 *
 * What Argo has is mapped; what it has not is refused by its name, never left out in silence:
 *
 *   task                container template, and a task of the DAG template "main"
 *   needs, run_on       depends ("a.Succeeded && b.Succeeded", ...)
 *   when                when
 *   map                 withItems, withParam; parallelism: a DAG template of its own around it
 *   retries             retryStrategy with backoff (whole factors, no jitter)
 *   timeout_s           activeDeadlineSeconds
 *   cache               memoize in the config map <pipeline>-cache
 *   secrets             secretKeyRef: secret of that name, key "value"
 *   inputs, outputs     artifacts at /modelbus/inputs and /modelbus/outputs; texts as parameters
 *   labels              nodeSelector
 *   cron                CronWorkflow
 */
#pragma once

#include "buf/buf.h"
#include "err/err.h"

#include <jansson.h>

struct argo_options {
    const char *image;
    bool code_in_image; /* the image has what the tasks' archives have */
};

/* Of a definition as the gateway gives it: an array of documents, a Workflow or one CronWorkflow for
 * each cron trigger; the caller's. ERR_UNSUPPORTED names the field: "tasks[2].retries.jitter: …". */
MUST_CHECK enum err_code argo_export(const json_t *definition, const struct argo_options *options,
                                     json_t **documents, struct err *err);

/* ---- argo_text.c: ${...} and conditions in Argo's words ---- */

/* What a text needs from other tasks: "A.B" (task, output) each once; an array of texts. */
struct argo_scope {
    const json_t *definition;
    const json_t *task;
    json_t *uses; /* array of {"task", "output"} */
    bool in_dag;  /* said in the DAG (when, withParam), not within the template */
};
MUST_CHECK enum err_code argo_text(struct argo_scope *scope, const char *text, struct buf *out,
                                   struct err *err);
/* A matcher ("params.mode = full") as Argo's expression. */
MUST_CHECK enum err_code argo_condition(struct argo_scope *scope, const char *condition,
                                        struct buf *out, struct err *err);
