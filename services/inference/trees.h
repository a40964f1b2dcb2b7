/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trees.h - decision-tree ensembles: one plain form that file readers build, and one
 * fast form that predicts.
 *
 * A reader fills a struct ensemble. Trees keep their order: a prediction starts at
 * the group's base and adds one float after the other in tree order, which makes the
 * sums equal to XGBoost's to the last bit.
 *
 * trees_compile() lays trees of up to TREES_COMPLETE_DEPTH out as complete binary
 * trees of 8-byte nodes and walks eight of them side by side without a branch
 * (i = 2i + 1 + !(x < threshold)); deeper or categorical trees are walked by child index.
 */
#pragma once

#include "err/err.h"

#define TREES_COMPLETE_DEPTH 8
#define TREES_COMPLETE_BYTES (64u << 20) /* further trees use the compact layout */

#define TREE_DEFAULT_LEFT 0x80000000u /* a missing value (NaN) goes left */
#define TREE_CATEGORICAL 0x40000000u  /* set, not threshold: members go right */
#define TREE_FEATURE 0x3fffffffu

struct tree_node {
    union {
        float value;  /* threshold: x < value goes left; or the leaf's value */
        uint32_t set; /* TREE_CATEGORICAL: index into sets */
    } u;
    uint32_t feature; /* with the flags above */
    uint32_t left;    /* from the tree's first node; the right child follows; 0: leaf */
};

struct tree {
    size_t first, count; /* in nodes; children come after their parent */
    uint32_t depth;      /* edges on the longest path */
    uint32_t group;      /* output that it adds to */
    bool categorical;
};

struct tree_set { /* categories, ascending */
    size_t first, count;
};

struct ensemble {
    size_t features, groups;
    float *base; /* one a group, in margin space */
    struct tree *trees;
    size_t tree_count, tree_cap;
    struct tree_node *nodes;
    size_t node_count, node_cap;
    struct tree_set *sets;
    size_t set_count, set_cap;
    uint32_t *categories;
    size_t category_count, category_cap;
};

void ensemble_done(struct ensemble *e); /* frees the content; zero afterwards */

struct trees;
/* Takes e's content (e is zero afterwards). Feature, child and set indices and order have been
 * checked by the reader. */
struct trees *trees_compile(struct ensemble *e);
void trees_free(struct trees *trees);
CLEANUP_DEFINE(struct trees, trees_free)

/* rows: n × features, row by row; NaN is missing. margins: n × groups, overwritten.
 * Any thread, concurrently. */
void trees_predict(const struct trees *trees, const float *rows, size_t n, float *margins);
