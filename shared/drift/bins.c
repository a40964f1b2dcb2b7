/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bins.c - numbers into bins, in the two ways that drift.h describes.
 *
 * Sturges' bins repeat numpy's arithmetic (numpy.histogram_bin_edges, numpy.linspace) operation by
 * operation: at 64, 1024, 4096 values its rounding makes one bin more, and so must we.
 */
#include "drift/internal.h"

#include <math.h>
#include <stdlib.h>

#define NATIVE_VALUES 20
#define NATIVE_BINS 10
#define BLOCK 2048

static void
set_edges(struct drift_verdict *verdict, const double *edges, size_t count, size_t bins)
{
    verdict->bins = bins;
    verdict->digest = fnv(FNV_START, edges, count * sizeof(*edges));
    verdict->edge_count = count <= DRIFT_EDGES_MAX ? count : 0;
    for (size_t i = 0; i < verdict->edge_count; i++)
        verdict->edges[i] = edges[i];
}

/* A bin for each value of the reference; the last is for all others. */
static void
count_known(const struct sample *sample, const double *values, size_t k, uint64_t *counts)
{
    for (size_t i = 0; i < sample->count; i++) {
        size_t bin = 0;
        while (bin < k && values[bin] != sample->values[i])
            bin++;
        counts[bin]++;
    }
}

/* At most NATIVE_BINS - 1 edges: comparing with all is quicker than searching. In blocks, so that
 * the values are read from memory once. */
static void
count_open(const struct sample *sample, const double *edges, size_t edge_count, uint64_t *counts)
{
    uint64_t above[NATIVE_BINS] = {0}; /* values that are not below the edge */

    for (size_t from = 0; from < sample->count; from += BLOCK) {
        const double *values = sample->values + from;
        size_t n = sample->count - from < BLOCK ? sample->count - from : BLOCK;
        for (size_t e = 0; e < edge_count; e++) {
            double edge = edges[e];
            uint64_t here = 0;
            for (size_t i = 0; i < n; i++)
                here += values[i] >= edge;
            above[e] += here;
        }
    }
    uint64_t rest = sample->count;
    for (size_t e = 0; e < edge_count; e++) {
        counts[e] = rest - above[e];
        rest = above[e];
    }
    counts[edge_count] = rest;
}

void
count_native(const struct sample *ref, const struct sample *cur, struct counts *counts,
             struct drift_verdict *verdict)
{
    double values[NATIVE_VALUES];
    size_t known = few_values(ref, NATIVE_VALUES, values), k = 0;

    *counts = (struct counts){.n_ref = ref->count, .n_cur = cur->count};
    counts->ref = mem_calloc(NATIVE_VALUES + 2, sizeof(uint64_t));
    counts->cur = mem_calloc(NATIVE_VALUES + 2, sizeof(uint64_t));
    if (known <= NATIVE_VALUES && 2 * known <= ref->count) {
        count_known(ref, values, known, counts->ref);
        count_known(cur, values, known, counts->cur);
        counts->bins = known + 1;
        set_edges(verdict, values, known, known + 1);
        verdict->bin_rule = "values of the reference and one bin for all others";
        return;
    }
    size_t ranks[NATIVE_BINS - 1];
    double deciles[NATIVE_BINS - 1];
    for (size_t i = 0; i < NATIVE_BINS - 1; i++)
        ranks[i] = ref->count * (i + 1) / NATIVE_BINS;
    select_ranks(ref->values, ref->count, ranks, NATIVE_BINS - 1, deciles);
    for (size_t i = 0; i < NATIVE_BINS - 1; i++)
        if (k == 0 || deciles[i] != deciles[k - 1])
            deciles[k++] = deciles[i];
    count_open(ref, deciles, k, counts->ref);
    count_open(cur, deciles, k, counts->cur);
    counts->bins = k + 1;
    set_edges(verdict, deciles, k, k + 1);
    verdict->bin_rule = "deciles of the reference, ends open";
}

/* numpy.linspace(low, high, bins + 1); false: not strictly ascending. */
static bool
even_edges(double low, double high, size_t bins, double *edges)
{
    double delta = high - low, step = delta / (double)bins;

    for (size_t i = 0; i <= bins; i++)
        edges[i] = step == 0 ? (double)i / (double)bins * delta + low : (double)i * step + low;
    edges[bins] = high;
    for (size_t i = 0; i < bins; i++)
        if (!(edges[i] < edges[i + 1]))
            return false;
    return true;
}

/* numpy.histogram_bin_edges(values, "sturges") of n values within [low, high]; the caller frees. */
static bool
sturges_edges(double low, double high, size_t n, bool integers, double **edges, size_t *bins,
              struct drift_verdict *verdict)
{
    double width = (high - low) / (log2((double)n) + 1), count = 1;

    if (low == high) {
        low -= .5;
        high += .5;
    }
    if (width != 0) {
        if (integers && width < 1)
            width = 1;
        count = ceil((high - low) / width);
    }
    if (!(count >= 1 && count < 1e6)) {
        verdict->reason = "the range of the values is beyond a double's reach";
        return false;
    }
    *bins = (size_t)count;
    *edges = mem_alloc((*bins + 1) * sizeof(**edges));
    if (even_edges(low, high, *bins, *edges))
        return true;
    free(*edges);
    verdict->reason = "the values are too close together for bins of equal width";
    return false;
}

static void
count_even(const struct sample *sample, const double *edges, size_t bins, uint64_t *counts)
{
    double low = edges[0], scale = (double)bins / (edges[bins] - low);

    for (size_t i = 0; i < sample->count; i++) {
        double value = sample->values[i], guess = (value - low) * scale;
        size_t bin = guess >= (double)bins ? bins - 1 : guess > 0 ? (size_t)guess : 0;
        /* The guess may be off by rounding; the edges decide. */
        while (bin > 0 && value < edges[bin])
            bin--;
        while (bin + 1 < bins && value >= edges[bin + 1])
            bin++;
        counts[bin]++;
    }
}

static void
range_of(const struct sample *sample, double *low, double *high)
{
    for (size_t i = 0; i < sample->count; i++) {
        *low = sample->values[i] < *low ? sample->values[i] : *low;
        *high = sample->values[i] > *high ? sample->values[i] : *high;
    }
}

static void
count_within(const struct sample *ref, const struct sample *cur, const double *edges, size_t bins,
             struct counts *counts)
{
    *counts = (struct counts){.bins = bins, .n_ref = ref->count, .n_cur = cur->count};
    counts->ref = mem_calloc(bins, sizeof(uint64_t));
    counts->cur = mem_calloc(bins, sizeof(uint64_t));
    count_even(ref, edges, bins, counts->ref);
    count_even(cur, edges, bins, counts->cur);
}

bool
count_sturges(const struct sample *ref, const struct sample *cur, struct counts *counts,
              struct drift_verdict *verdict)
{
    double low = INFINITY, high = -INFINITY, *edges;
    size_t bins;

    range_of(ref, &low, &high);
    range_of(cur, &low, &high);
    if (!sturges_edges(low, high, ref->count + cur->count, ref->integers && cur->integers, &edges,
                       &bins, verdict))
        return false;
    count_within(ref, cur, edges, bins, counts);
    set_edges(verdict, edges, bins + 1, bins);
    verdict->bin_rule = "equal widths over both columns (Sturges)";
    free(edges);
    return true;
}

/* Through densities, as Evidently does: at extreme scales they overflow, and so must we. */
bool
hellinger_sturges(const struct sample *ref, const struct sample *cur, struct drift_verdict *verdict,
                  double *distance)
{
    double *values, *edges, sum = 0;
    size_t n = distinct_values(ref, cur, &values), bins;
    double low = values[0], high = values[n - 1];
    struct counts counts;

    free(values);
    if (!sturges_edges(low, high, n, ref->integers && cur->integers, &edges, &bins, verdict))
        return false;
    count_within(ref, cur, edges, bins, &counts);
    double width = (edges[bins] - edges[0]) / (double)bins;
    for (size_t i = 0; i < bins; i++) {
        double own = edges[i + 1] - edges[i];
        double a = (double)counts.ref[i] / own / (double)counts.n_ref;
        double b = (double)counts.cur[i] / own / (double)counts.n_cur;
        sum += sqrt(a * b) * width;
    }
    *distance = sum != sum ? NAN : sqrt(1 - fmin(fmax(sum, 0), 1));
    set_edges(verdict, edges, bins + 1, bins);
    verdict->bin_rule = "equal widths over the different values of both columns (Sturges)";
    counts_done(&counts);
    free(edges);
    return true;
}
