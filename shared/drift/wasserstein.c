/* SPDX-License-Identifier: Apache-2.0 */
/* wasserstein.c - the first Wasserstein distance in one dimension: the area between the two
 * distribution functions (S. S. Vallender, 1974), as scipy.stats.wasserstein_distance. */
#include "drift/internal.h"

#include <math.h>
#include <stdlib.h>

#define BLOCK 128
#define PART 512

/*
 * The height |i/n - j/m| is kept as i m - j n, which is whole and so exact. Steps of width 0 count as
 * well: with infinities 0 times infinity is scipy's NaN. Partial sums keep the rounding small.
 */
double
drift_wasserstein(const struct sample *ref, const struct sample *cur)
{
    double *r = sample_sorted(ref), *c = sample_sorted(cur);
    size_t n = ref->count, m = cur->count, i = 0, j = 0;
    double last = r[0] < c[0] ? r[0] : c[0], unit = 1 / ((double)n * (double)m), sum = 0;
    int64_t gap = 0;
    bool first = true; /* no step ends at the least value */

    while (i < n || j < m) {
        size_t left = (i < n ? n - i : 0) + (j < m ? m - j : 0);
        double part = 0;
        for (size_t k = 0; k < (left < PART ? left : PART); k++) {
            bool from_ref = j == m || (i < n && r[i] <= c[j]);
            double next = from_ref ? r[i] : c[j];
            if (!first)
                part += fabs((double)gap * unit) * (next - last);
            first = false;
            gap += from_ref ? (int64_t)m : -(int64_t)n;
            i += from_ref;
            j += !from_ref;
            last = next;
        }
        sum += part;
    }
    free(r);
    free(c);
    return sum;
}

/* numpy's order of summation: at an offset of 1e15 the last bit of the mean decides the digits of
 * the deviation, and Evidently's has numpy's. */
static double
pairwise(const double *v, size_t n, double center, bool squares)
{
    double part[8] = {0}, sum = 0;
    size_t i = 0;

#define TERM(k) (squares ? (center - v[k]) * (center - v[k]) : v[k])
    if (n > BLOCK) {
        size_t half = n / 2 - n / 2 % 8;
        return pairwise(v, half, center, squares) + pairwise(v + half, n - half, center, squares);
    }
    for (; i + 8 <= n; i += 8)
        for (size_t k = 0; k < 8; k++)
            part[k] += TERM(i + k);
    if (n >= 8)
        sum = ((part[0] + part[1]) + (part[2] + part[3])) +
              ((part[4] + part[5]) + (part[6] + part[7]));
    for (; i < n; i++)
        sum += TERM(i);
#undef TERM
    return sum;
}

double
drift_deviation(const struct sample *sample, bool scaled)
{
    double n = (double)sample->count, most = 0;

    if (!scaled) {
        double mean = pairwise(sample->values, sample->count, 0, false) / n;
        return sqrt(pairwise(sample->values, sample->count, mean, true) / n);
    }
    for (size_t i = 0; i < sample->count; i++)
        most = fmax(most, fabs(sample->values[i]));
    if (most == 0)
        return 0;
    double mean = 0, square = 0;
    for (size_t i = 0; i < sample->count; i++)
        mean += sample->values[i] / most / n;
    for (size_t i = 0; i < sample->count; i++) {
        double x = sample->values[i] / most - mean;
        square += x * x / n;
    }
    /* A constant column leaves a rest of rounding, not a deviation. */
    return sqrt(square) <= 1e-15 ? 0 : sqrt(square) * most;
}
