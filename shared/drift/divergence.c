/* SPDX-License-Identifier: Apache-2.0 */
/*
 * divergence.c - distances between two tables of shares.
 *
 * PSI: S. Kullback, "Information Theory and Statistics", 1959 (the symmetric divergence J). Jensen-
 * Shannon: J. Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. IT 37, 1991; its
 * root is a metric. Hellinger: E. Hellinger, 1909, as sqrt(1 - sum sqrt(p q)).
 */
#include "drift/internal.h"

#include <math.h>

/* Evidently's stand-in for a share of 0, for one side alone and never renormalised. */
static double
evidently_zero(const uint64_t *counts, size_t bins, uint64_t n)
{
    uint64_t least = n;

    for (size_t i = 0; i < bins; i++)
        if (counts[i] && counts[i] < least)
            least = counts[i];
    double share = (double)least / (double)n;
    return share <= 1e-4 ? share / 1e6 : 1e-4;
}

static double
share_of(uint64_t count, uint64_t n, size_t bins, enum zero_rule rule, double zero)
{
    if (rule == ZERO_JEFFREYS)
        return ((double)count + .5) / ((double)n + .5 * (double)bins);
    return count ? (double)count / (double)n : zero;
}

double
drift_psi(const struct counts *t, enum zero_rule rule)
{
    double zero_ref = evidently_zero(t->ref, t->bins, t->n_ref);
    double zero_cur = evidently_zero(t->cur, t->bins, t->n_cur);
    double sum = 0;

    for (size_t i = 0; i < t->bins; i++) {
        double r = share_of(t->ref[i], t->n_ref, t->bins, rule, zero_ref);
        double c = share_of(t->cur[i], t->n_cur, t->bins, rule, zero_cur);
        sum += (r - c) * log(r / c);
    }
    return sum;
}

double
drift_jensenshannon(const struct counts *t, double base)
{
    double sum = 0;

    for (size_t i = 0; i < t->bins; i++) {
        double r = (double)t->ref[i] / (double)t->n_ref, c = (double)t->cur[i] / (double)t->n_cur;
        double middle = (r + c) / 2;
        sum += (r > 0 ? r * log(r / middle) : 0) + (c > 0 ? c * log(c / middle) : 0);
    }
    /* Rounding may leave a shade below 0, of which scipy's root is NaN. */
    return sqrt(fmax(sum, 0) / log(base) / 2);
}

double
drift_hellinger(const struct counts *t)
{
    double sum = 0;

    for (size_t i = 0; i < t->bins; i++)
        sum += sqrt((double)t->ref[i] / (double)t->n_ref * ((double)t->cur[i] / (double)t->n_cur));
    return sqrt(1 - fmin(fmax(sum, 0), 1));
}
