/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the files of drift/ share: samples, value counts, bins, statistics. */
#pragma once

#include "drift/drift.h"
#include "drift/special.h"

#include "buf/fnv.h"

/* gamma.c */
double drift_stirling_error(double n);
double drift_deviance(double x, double y, double difference);

/* The values of a column that take part: a view, or a copy when some had to go. */
struct sample {
    const double *values;
    const uint32_t *codes;
    double *owned_values;
    uint32_t *owned_codes;
    size_t count, missing, infinite;
    bool integers;
};

void sample_open(struct sample *sample, const struct drift_column *column, bool keep_infinite);
void sample_done(struct sample *sample);
/* A sorted copy, -0.0 before 0.0; the caller frees. No NaN. */
double *sample_sorted(const struct sample *sample);
/* sort.c: ascending; count < 2^32; sorted may be values. */
void sort_doubles(const double *values, size_t count, double *sorted);
#define RANKS_MAX 16
/* The values that would be at the ranks (ascending, at most RANKS_MAX) if sorted. O(count). */
void select_ranks(const double *values, size_t count, const size_t *ranks, size_t rank_count,
                  double *out);
/* Number of different values; counting stops at limit + 1 (limit <= 64). */
size_t count_distinct(const struct sample *a, const struct sample *b, size_t limit);
/* The different numbers, ascending, when they are at most limit (<= 64); else more than limit. */
size_t few_values(const struct sample *sample, size_t limit, double *values);
/* All different values of both, ascending; the caller frees. */
size_t distinct_values(const struct sample *a, const struct sample *b, double **out);

/* How often each bin or category was met on either side. */
struct counts {
    size_t bins;
    uint64_t *ref, *cur;
    uint64_t n_ref, n_cur;
};

void counts_done(struct counts *counts);
/* counts.c: one for each value of either side; codes in their order. *digest says which. */
void count_values(const struct sample *ref, const struct sample *cur, struct counts *counts,
                  uint64_t *digest);
/* bins.c: the three ways of the profiles; they fill bin_rule, bins, edges and digest. */
void count_native(const struct sample *ref, const struct sample *cur, struct counts *counts,
                  struct drift_verdict *verdict);
/* False: no bins can be made (range or width out of a double's reach); reason is set. */
MUST_CHECK bool count_sturges(const struct sample *ref, const struct sample *cur,
                              struct counts *counts, struct drift_verdict *verdict);
MUST_CHECK bool hellinger_sturges(const struct sample *ref, const struct sample *cur,
                                  struct drift_verdict *verdict, double *distance);

/* divergence.c: over shares. */
enum zero_rule { ZERO_JEFFREYS, ZERO_EVIDENTLY };
double drift_psi(const struct counts *counts, enum zero_rule rule);
double drift_jensenshannon(const struct counts *counts, double base);
double drift_hellinger(const struct counts *counts);

/* tests.c: statistic, p and, for chi-squared, degrees of freedom. */
void test_contingency(const struct counts *counts, bool yates, struct drift_verdict *verdict);
void test_goodness(const struct counts *counts, struct drift_verdict *verdict);
void test_proportions(const struct counts *counts, struct drift_verdict *verdict);
void test_ks(const struct sample *ref, const struct sample *cur, struct drift_verdict *verdict);

/* wasserstein.c; both sides not empty */
double drift_wasserstein(const struct sample *ref, const struct sample *cur);
double drift_deviation(const struct sample *sample,
                       bool scaled); /* ddof 0; not scaled: may overflow */

/* verdict.c: the outcome from score, comparator and threshold. */
void drift_decide(struct drift_verdict *verdict);
