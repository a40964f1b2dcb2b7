/* SPDX-License-Identifier: Apache-2.0 */
/* runtime_xgboost.c - XGBoost boosters as a runtime: trees or weights, then the link. */
#include "runtime.h"
#include "xgboost_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct xgb_runtime {
    struct runtime runtime;
    enum link link;
    size_t groups;
    struct trees *trees; /* NULL: gblinear */
    float *weights;      /* [features + 1][groups], bias last */
    float *base;
    char objective[64];
};

static void
close_runtime(struct runtime *runtime)
{
    struct xgb_runtime *x = (struct xgb_runtime *)runtime;

    runtime_names_free(runtime->info.feature_names, runtime->info.features);
    trees_free(x->trees);
    free(x->weights);
    free(x->base);
    free(x);
}

static void
linear_margins(const struct xgb_runtime *x, const float *rows, size_t n, float *margins)
{
    size_t features = x->runtime.info.features;

    for (size_t r = 0; r < n; r++, rows += features, margins += x->groups)
        for (size_t g = 0; g < x->groups; g++) {
            float sum = x->weights[features * x->groups + g] + x->base[g];
            for (size_t f = 0; f < features; f++)
                if (!isnan(rows[f])) /* a missing value adds nothing */
                    sum += rows[f] * x->weights[f * x->groups + g];
            margins[g] = sum;
        }
}

static void
predict(const struct runtime *runtime, const float *rows, size_t n, float *out, float *scratch)
{
    const struct xgb_runtime *x = (const struct xgb_runtime *)runtime;
    float *margins = runtime->info.scratch ? scratch : out;

    if (x->trees)
        trees_predict(x->trees, rows, n, margins);
    else
        linear_margins(x, rows, n, margins);
    if (x->link != LINK_IDENTITY)
        link_apply(x->link, margins, n, x->groups, out);
}

static enum err_code
open_encoded(const struct runtime_type *type, bool binary, const void *data, size_t len,
             struct runtime **runtime, struct err *err)
{
    struct xgb_model m = {0};

    if (xgb_model_read(binary, data, len, &m, err))
        return err->code;
    struct xgb_runtime *x = mem_zalloc(sizeof(*x));
    memcpy(x->objective, m.objective, sizeof(x->objective));
    x->link = m.link;
    x->groups = m.groups;
    x->runtime.type = type;
    x->runtime.info = (struct runtime_info){
        .format = type->format,
        .platform = m.weights                        ? "xgboost_gblinear"
                    : strcmp(m.booster, "dart") == 0 ? "xgboost_dart"
                                                     : "xgboost_gbtree",
        .objective = x->objective,
        .features = m.features,
        .feature_names = TAKE_PTR(m.feature_names),
        .output = "predict",
        .width = link_width(m.link, m.groups),
        .missing = true,
        .bytes = sizeof(*x) + m.trees.node_count * 2 * sizeof(struct tree_node) +
                 (m.features + 1) * m.groups * sizeof(float),
    };
    if (x->runtime.info.width != m.groups)
        x->runtime.info.scratch = m.groups;
    x->base = m.base;
    m.base = NULL;
    x->weights = TAKE_PTR(m.weights);
    if (!x->weights) {
        m.trees.base = mem_calloc(m.groups, sizeof(float));
        memcpy(m.trees.base, x->base, m.groups * sizeof(float));
        x->trees = trees_compile(&m.trees);
    }
    xgb_model_done(&m);
    *runtime = &x->runtime;
    return ERR_OK;
}

static enum err_code
open_json(const void *data, size_t len, struct runtime **runtime, struct err *err)
{
    return open_encoded(&runtime_xgboost_json, false, data, len, runtime, err);
}

static enum err_code
open_ubjson(const void *data, size_t len, struct runtime **runtime, struct err *err)
{
    return open_encoded(&runtime_xgboost_ubjson, true, data, len, runtime, err);
}

const struct runtime_type runtime_xgboost_json = {"xgboost-json", open_json, predict,
                                                  close_runtime};
const struct runtime_type runtime_xgboost_ubjson = {"xgboost-ubjson", open_ubjson, predict,
                                                    close_runtime};
