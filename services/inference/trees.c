/* SPDX-License-Identifier: Apache-2.0 */
/* trees.c - the fast form of tree ensembles, see trees.h. */
#include "trees.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LANES 8
#define ROWS_AT_ONCE 64 /* a block's nodes stay in the first-level cache for this many rows */

#define DEFAULT_RIGHT 0x80000000u
#define FEATURE 0x7fffffffu

struct cell {
    float threshold;
    uint32_t feature; /* with DEFAULT_RIGHT */
};

/* Eight complete trees of one depth, or (count 0) one compact tree. */
struct block {
    uint32_t depth, count;
    const struct cell *cells; /* LANES × (2^depth - 1), tree by tree */
    const float *leaves;      /* LANES × 2^depth */
    uint32_t group[LANES];
    const struct tree_node *nodes;
};

struct trees {
    struct ensemble e; /* base, sets and the nodes of compact trees */
    struct block *blocks;
    size_t block_count;
    void **memory; /* one allocation a complete block */
    size_t memory_count;
};

void
ensemble_done(struct ensemble *e)
{
    free(e->base);
    free(e->trees);
    free(e->nodes);
    free(e->sets);
    free(e->categories);
    *e = (struct ensemble){0};
}

/* A leaf above the block's depth is repeated below itself: whichever way the walk takes
 * from there, it ends at the same value. */
static void
lay_out(const struct tree_node *nodes, uint32_t node, uint32_t depth, size_t at, size_t inner,
        struct cell *cells, float *leaves)
{
    const struct tree_node *n = &nodes[node];

    if (depth == 0) {
        leaves[at - inner] = n->u.value;
        return;
    }
    uint32_t left = node, right = node;
    if (n->left) {
        cells[at].threshold = n->u.value;
        cells[at].feature =
            (n->feature & TREE_FEATURE) | (n->feature & TREE_DEFAULT_LEFT ? 0 : DEFAULT_RIGHT);
        left = n->left;
        right = n->left + 1;
    }
    lay_out(nodes, left, depth - 1, 2 * at + 1, inner, cells, leaves);
    lay_out(nodes, right, depth - 1, 2 * at + 2, inner, cells, leaves);
}

static bool
fits(const struct tree *t)
{
    return t->depth <= TREES_COMPLETE_DEPTH && !t->categorical;
}

/* The trees from first on that make one block; *bytes is its memory. */
static size_t
block_extent(const struct ensemble *e, size_t first, uint32_t *depth, size_t *bytes)
{
    size_t n = 0;

    *depth = 0;
    while (n < LANES && first + n < e->tree_count && fits(&e->trees[first + n])) {
        if (e->trees[first + n].depth > *depth)
            *depth = e->trees[first + n].depth;
        n++;
    }
    *bytes = LANES * ((((size_t)1 << *depth) - 1) * sizeof(struct cell) +
                      ((size_t)1 << *depth) * sizeof(float));
    return n;
}

static void *
fill_block(const struct ensemble *e, size_t first, size_t n, uint32_t depth, size_t bytes,
           struct block *block)
{
    size_t inner = ((size_t)1 << depth) - 1;
    void *memory = mem_zalloc(bytes);
    struct cell *cells = memory;
    float *leaves = (float *)(void *)(cells + LANES * inner);

    *block = (struct block){.depth = depth, .count = (uint32_t)n, .cells = cells, .leaves = leaves};
    for (size_t k = 0; k < n; k++) {
        const struct tree *t = &e->trees[first + k];
        block->group[k] = t->group;
        lay_out(e->nodes + t->first, 0, depth, 0, inner, cells + k * inner,
                leaves + k * (inner + 1));
    }
    return memory;
}

struct trees *
trees_compile(struct ensemble *e)
{
    struct trees *trees = mem_zalloc(sizeof(*trees));
    size_t total = 0, bytes;
    uint32_t depth;
    bool any_compact = false;

    trees->e = *e;
    *e = (struct ensemble){0};
    e = &trees->e;
    trees->blocks = mem_calloc(e->tree_count, sizeof(*trees->blocks));
    trees->memory = mem_calloc(e->tree_count, sizeof(*trees->memory));
    for (size_t i = 0; i < e->tree_count;) {
        struct block *block = &trees->blocks[trees->block_count++];
        size_t n = block_extent(e, i, &depth, &bytes);
        if (n > 0 && total + bytes <= TREES_COMPLETE_BYTES) {
            trees->memory[trees->memory_count++] = fill_block(e, i, n, depth, bytes, block);
            total += bytes;
            i += n;
        } else {
            *block = (struct block){.nodes = e->nodes + e->trees[i].first};
            block->group[0] = e->trees[i].group;
            any_compact = true;
            i++;
        }
    }
    free(e->trees);
    e->trees = NULL;
    if (!any_compact) {
        free(e->nodes);
        e->nodes = NULL;
    }
    return trees;
}

void
trees_free(struct trees *trees)
{
    if (!trees)
        return;
    for (size_t i = 0; i < trees->memory_count; i++)
        free(trees->memory[i]);
    free(trees->memory);
    free(trees->blocks);
    ensemble_done(&trees->e);
    free(trees);
}

/* One row through the eight trees of a block. missing is a constant at each call, so that
 * rows without NaN pay nothing for the default directions. */
static inline __attribute__((always_inline)) void
walk_block(const struct block *block, const float *row, const bool missing, float *margins)
{
    const size_t inner = ((size_t)1 << block->depth) - 1;
    const struct cell *cells = block->cells;
    size_t at[LANES] = {0};

    for (uint32_t d = 0; d < block->depth; d++)
        for (size_t k = 0; k < LANES; k++) {
            const struct cell *c = &cells[k * inner + at[k]];
            float x = row[c->feature & FEATURE];
            size_t right;
            if (missing)
                right =
                    (size_t)(x >= c->threshold) | ((size_t)(x != x) & (size_t)(c->feature >> 31));
            else
                right = (size_t) !(x < c->threshold);
            at[k] = 2 * at[k] + 1 + right;
        }
    for (uint32_t k = 0; k < block->count; k++)
        margins[block->group[k]] += block->leaves[k * (inner + 1) + at[k] - inner];
}

/* XGBoost: members go right; negative, too large and unknown categories left. */
static bool
in_set(const struct ensemble *e, uint32_t set, float x)
{
    const struct tree_set *s = &e->sets[set];
    size_t low = s->first, high = s->first + s->count;

    if (!(x >= 0 && x < 16777216.0f))
        return false;
    uint32_t category = (uint32_t)x;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (e->categories[middle] < category)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->first + s->count && e->categories[low] == category;
}

static float
walk_compact(const struct ensemble *e, const struct tree_node *nodes, const float *row)
{
    const struct tree_node *n = nodes;

    while (n->left) {
        float x = row[n->feature & TREE_FEATURE];
        bool right;
        if (isnan(x))
            right = !(n->feature & TREE_DEFAULT_LEFT);
        else if (n->feature & TREE_CATEGORICAL)
            right = in_set(e, n->u.set, x);
        else
            right = !(x < n->u.value);
        n = nodes + n->left + right;
    }
    return n->u.value;
}

void
trees_predict(const struct trees *trees, const float *rows, size_t n, float *margins)
{
    const struct ensemble *e = &trees->e;
    bool missing[ROWS_AT_ONCE];

    for (; n > 0; rows += ROWS_AT_ONCE * e->features, margins += ROWS_AT_ONCE * e->groups) {
        size_t part = n < ROWS_AT_ONCE ? n : ROWS_AT_ONCE;
        for (size_t r = 0; r < part; r++) {
            int any = 0;
            for (size_t f = 0; f < e->features; f++)
                any |= rows[r * e->features + f] != rows[r * e->features + f];
            missing[r] = any;
            memcpy(margins + r * e->groups, e->base, e->groups * sizeof(float));
        }
        for (size_t b = 0; b < trees->block_count; b++) {
            const struct block *block = &trees->blocks[b];
            for (size_t r = 0; r < part; r++) {
                const float *row = rows + r * e->features;
                float *out = margins + r * e->groups;
                if (block->count == 0)
                    out[block->group[0]] += walk_compact(e, block->nodes, row);
                else if (missing[r])
                    walk_block(block, row, true, out);
                else
                    walk_block(block, row, false, out);
            }
        }
        n -= part;
        if (n == 0)
            break;
    }
}
