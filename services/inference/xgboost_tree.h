/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xgboost_tree.h - one element of an XGBoost file's `trees`, appended to an ensemble.
 */
#pragma once

#include "doc.h"
#include "trees.h"

/* The arrays of one tree; kept from tree to tree so that reading does not allocate. */
struct xgb_tree_arrays {
    struct doc_ints left, right, feature, default_left, split_type;
    struct doc_ints categories, categories_nodes, categories_segments, categories_sizes;
    struct doc_floats condition;
    struct doc_ints order;   /* old node number at each new position */
    const char *unsupported; /* what of the file we do not know; static */
};

/* Reads one tree and appends it with group 0. False: doc's error says why; ERR_UNSUPPORTED with its
 * text when a->unsupported is set. Feature indices are not checked yet (the file may give their
 * number later). */
bool xgb_tree_read(struct doc *doc, struct xgb_tree_arrays *a, struct ensemble *e);
void xgb_tree_arrays_done(struct xgb_tree_arrays *a);
