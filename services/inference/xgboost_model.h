/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xgboost_model.h - what an XGBoost model file says, checked.
 *
 * Reads both encodings (JSON, UBJSON) of XGBoost 1.7 to 3.x's schema
 * (https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html): boosters gbtree,
 * dart (weights multiplied into the leaves) and gblinear. base_score is brought into margin space.
 * Refused as ERR_UNSUPPORTED: vector leaves, recoded categories (3.1's `cats`), unknown
 * boosters and objectives. Everything that indexes is checked: children are in range, each
 * node has one parent (so there are no cycles), depth <= XGB_DEPTH_MAX.
 */
#pragma once

#include "link.h"
#include "trees.h"

#define XGB_DEPTH_MAX 1000

struct xgb_model {
    char booster[16];
    char objective[64];
    enum link link;
    size_t features, groups;
    char **feature_names;  /* NULL: none given */
    struct ensemble trees; /* gbtree and dart */
    float *weights;        /* gblinear: [features + 1][groups], bias last; else NULL */
    float *base;           /* groups */
};

/* *model must be zero; on success the caller calls xgb_model_done(). */
MUST_CHECK enum err_code xgb_model_read(bool binary, const void *data, size_t len,
                                        struct xgb_model *model, struct err *err);
void xgb_model_done(struct xgb_model *model);
