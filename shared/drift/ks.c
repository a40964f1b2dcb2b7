/* SPDX-License-Identifier: Apache-2.0 */
/* ks.c - the two-sample Kolmogorov-Smirnov test as scipy.stats.ks_2samp(method="auto"). */
#include "drift/internal.h"

#include <math.h>
#include <stdlib.h>

#define EXACT_MAX 10000 /* of the larger sample */

/* The greatest |i n - j m| over all values, i and j being how many are not above it: D n m, whole. */
static uint64_t
greatest_gap(const double *r, size_t n_ref, const double *c, size_t n_cur)
{
    int64_t n = (int64_t)n_ref, m = (int64_t)n_cur, gap = 0, greatest = 0;
    size_t i = 0, j = 0;

    while (i < n_ref && j < n_cur) {
        double x = r[i], y = c[j];
        if (x <= y)
            for (; i < n_ref && r[i] == x; i++)
                gap += m;
        if (y <= x)
            for (; j < n_cur && c[j] == y; j++)
                gap -= n;
        int64_t size = gap < 0 ? -gap : gap;
        greatest = size > greatest ? size : greatest;
    }
    return (uint64_t)greatest;
}

void
test_ks(const struct sample *ref, const struct sample *cur, struct drift_verdict *verdict)
{
    double *r = sample_sorted(ref), *c = sample_sorted(cur);
    uint64_t n = ref->count, m = cur->count, g = drift_gcd(n, m);
    uint64_t h = greatest_gap(r, n, c, m) / g;
    bool exact = n <= EXACT_MAX && m <= EXACT_MAX;

    free(r);
    free(c);
    verdict->statistic = (double)h / ((double)(n / g) * (double)m);
    if (exact)
        verdict->p = drift_ks_exact_sf(n, m, h);
    /* Above 1 by rounding scipy takes the asymptotic p, too. */
    if (!exact || verdict->p > 1) {
        exact = false;
        double harmonic = (double)n * (double)m / ((double)n + (double)m);
        verdict->p = drift_kstwo_sf(nearbyint(harmonic), verdict->statistic);
    }
    verdict->variant = exact ? "exact" : "asymptotic";
}
