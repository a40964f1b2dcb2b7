/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.h - one loaded version of a model, as an endpoint serves it.
 *
 * Immutable after model_new() but for the counters of references. Whoever keeps a model longer
 * than the turn in which it was taken from its endpoint (endpoints.h) holds a reference.
 */
#pragma once

#include "metrics/metrics.h"
#include "runtime.h"

#include <stdatomic.h>

#define MODEL_URI_MAX 200

struct model_spec { /* borrowed by model_new() */
    const char *endpoint, *name;
    int64_t version, generation;
    const char *uri;
    bool fallback;              /* named as the fallback of a target that failed */
    char *const *feature_names; /* the registry's; used when the file has none */
    size_t feature_count;
};

struct model {
    atomic_uint refs;
    char *endpoint, *name;
    int64_t version, generation;
    char version_text[24];
    char uri[MODEL_URI_MAX];
    bool fallback;
    struct runtime *runtime;
    const struct runtime_info *info;
    char **feature_names; /* info->features of them: the file's, the registry's, or f0, f1, … */
    uint32_t *by_name;    /* hash table of index + 1 */
    uint32_t mask;
    int64_t loaded_at_ms; /* set by the loader before the model is published */
    double load_ms;
    struct metric *answered; /* modelbus_inference_requests_total{status="200"} */
};

/* Takes runtime in every case. ERR_INVALID: the registry's features are not the file's. */
MUST_CHECK enum err_code model_new(const struct model_spec *spec, struct runtime *runtime,
                                   struct model **model, struct err *err);
struct model *model_ref(struct model *model);
void model_unref(struct model *model); /* NULL allowed; frees with the last reference */
CLEANUP_DEFINE(struct model, model_unref)

/* Index of a feature, -1: none. hint is tried first (records repeat an order). */
int64_t model_feature(const struct model *model, const char *name, size_t len, size_t hint);

/* Predict one row of zeros: pages are touched, and a runtime that crashes does it on the loader's
 * thread. ERR_INVALID when the model's answer to zeros is not a number. */
MUST_CHECK enum err_code model_warm_up(const struct model *model, struct err *err);
