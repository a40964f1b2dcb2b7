/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime.h - what turns rows of floats into predictions; one small interface for every
 * kind of model file.
 *
 * A runtime is opened from the bytes of a file, is immutable from then on, predicts from any number of
 * threads at once and is closed once. Nothing it does blocks. A new format is a struct
 * runtime_type in a file of its own and a row in runtime.c.
 *
 * Formats: "xgboost-json", "xgboost-ubjson" (runtime_xgboost.c), "linear-json"
 * (runtime_linear.c, which documents the format).
 */
#pragma once

#include "err/err.h"

#define RUNTIME_FEATURES_MAX 100000
#define RUNTIME_OUTPUTS_MAX 10000
#define RUNTIME_NAME_MAX 200 /* bytes of a feature's or class' name */

struct runtime_info {
    const char *format;    /* as above */
    const char *platform;  /* V2's platform, "xgboost_gbtree" */
    const char *objective; /* what the values mean, "binary:logistic" */
    size_t features;       /* floats a row */
    char **feature_names;  /* features of them, or NULL: the file does not say */
    const char *output;    /* name of the output tensor */
    size_t width;          /* floats a row that predict writes */
    size_t scratch;        /* floats a row that predict needs for itself */
    char **classes;        /* width names of the output's columns, or NULL */
    bool missing;          /* NaN is a missing value; otherwise rows must be finite or infinite */
    size_t bytes;          /* memory, about */
};

struct runtime {
    const struct runtime_type *type;
    struct runtime_info info;
};

struct runtime_type {
    const char *format;
    /* Takes nothing: data is the caller's. ERR_INVALID: malformed, ERR_UNSUPPORTED: good, but
     * needs what is not built, with the feature's name. */
    enum err_code (*open)(const void *data, size_t len, struct runtime **runtime, struct err *err);
    void (*predict)(const struct runtime *runtime, const float *rows, size_t n, float *out,
                    float *scratch);
    void (*close)(struct runtime *runtime);
};

extern const struct runtime_type runtime_xgboost_json, runtime_xgboost_ubjson, runtime_linear;

/* format NULL or "": recognised from the content. */
MUST_CHECK enum err_code runtime_open(const char *format, const void *data, size_t len,
                                      struct runtime **runtime, struct err *err);
void runtime_close(struct runtime *runtime);
CLEANUP_DEFINE(struct runtime, runtime_close)

/* rows: n × features; out: n × width; scratch: n × scratch (may be NULL when that is 0). */
static inline void
runtime_predict(const struct runtime *runtime, const float *rows, size_t n, float *out,
                float *scratch)
{
    runtime->type->predict(runtime, rows, n, out, scratch);
}

/* "xgboost-json,…" for /info. */
const char *runtime_formats(void);

/* For runtimes: free an array of count strings. */
void runtime_names_free(char **names, size_t count);
