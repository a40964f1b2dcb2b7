/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.h - from margins (sums of trees, dot products) to predictions.
 *
 * In float and in the order of operations of XGBoost (src/common/math.h), so that results are
 * equal to its own to the last bit.
 */
#pragma once

#include <stddef.h>

enum link {
    LINK_IDENTITY,
    LINK_LOGISTIC, /* 1 / (1 + e^-x) */
    LINK_EXP,
    LINK_SOFTMAX, /* over the row's margins */
    LINK_ARGMAX,  /* index of the largest margin, the first of equals: one value a row */
    LINK_HINGE    /* x > 0 */
};

/* Values a row that link_apply() writes. */
size_t link_width(enum link link, size_t margins);

/* margins: n rows of width each. out: n × link_width(); may be margins itself. */
void link_apply(enum link link, const float *margins, size_t n, size_t width, float *out);
