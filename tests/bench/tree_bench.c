/* SPDX-License-Identifier: Apache-2.0 */
/*
 * µs a row of the native trees: depth 6, 30 features, rows that vary (one repeated row
 * would flatter the branch predictor). Prints; judges nothing.
 */
#include "trees.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define FEATURES 30
#define ROWS 4096
#define SECONDS 0.5

static uint64_t state = 88172645463325252u;

static float
uniform(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (float)(state >> 40) / 16777216.0f;
}

/* Complete trees of random splits; children of node i at 2i + 1 and 2i + 2. */
static struct trees *
make(size_t count, uint32_t depth)
{
    size_t nodes = ((size_t)2 << depth) - 1, inner = nodes / 2;
    struct ensemble e = {.features = FEATURES,
                         .groups = 1,
                         .base = mem_calloc(1, sizeof(float)),
                         .trees = mem_calloc(count, sizeof(struct tree)),
                         .tree_count = count,
                         .nodes = mem_calloc(count * nodes, sizeof(struct tree_node)),
                         .node_count = count * nodes};

    for (size_t t = 0; t < count; t++) {
        e.trees[t] = (struct tree){.first = t * nodes, .count = nodes, .depth = depth};
        for (size_t i = 0; i < nodes; i++) {
            struct tree_node *n = &e.nodes[t * nodes + i];
            n->u.value = uniform();
            n->feature = (uint32_t)(uniform() * FEATURES);
            n->left = i < inner ? (uint32_t)(2 * i + 1) : 0;
        }
    }
    return trees_compile(&e);
}

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double
measure(const struct trees *trees, const float *rows, size_t batch, float *out)
{
    double start = now(), end;
    size_t done = 0;

    do {
        for (size_t r = 0; r + batch <= ROWS; r += batch)
            trees_predict(trees, rows + r * FEATURES, batch, out);
        done += ROWS / batch * batch;
    } while ((end = now()) - start < SECONDS);
    return (end - start) / (double)done * 1e6;
}

int
main(void)
{
    static const size_t counts[] = {100, 500};
    static const uint32_t depths[] = {6, 10}; /* 10: the compact layout */
    float *rows = mem_calloc(ROWS * FEATURES, sizeof(float));
    float *holes = mem_calloc(ROWS * FEATURES, sizeof(float));
    float out[256];

    for (size_t i = 0; i < ROWS * FEATURES; i++) {
        rows[i] = uniform();
        holes[i] = uniform() < 0.1f ? __builtin_nanf("") : rows[i];
    }
    printf("trees depth   1 row  with NaN  batch 32   (us a row)\n");
    for (size_t d = 0; d < ARRAY_LEN(depths); d++)
        for (size_t c = 0; c < ARRAY_LEN(counts); c++) {
            struct trees *trees = make(counts[c], depths[d]);
            printf("%5zu %5u %7.2f %9.2f %9.2f\n", counts[c], depths[d],
                   measure(trees, rows, 1, out), measure(trees, holes, 1, out),
                   measure(trees, rows, 32, out));
            trees_free(trees);
        }
    free(rows);
    free(holes);
    return 0;
}
