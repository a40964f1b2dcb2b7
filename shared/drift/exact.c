/* SPDX-License-Identifier: Apache-2.0 */
/* exact.c - the exact two-sample Kolmogorov-Smirnov distribution, by counting lattice paths. */
#include "drift/internal.h"

#include <math.h>
#include <stdlib.h>

/* Twice the reflection sum of binomials, terms as products of ratios, from the last one inwards. */
static double
square_outside(uint64_t n, uint64_t h)
{
    double sum = 0, size = (double)n;

    for (uint64_t k = n / h + 1; k-- > 0;) {
        double term = 1, far = (double)(k * h);
        for (uint64_t j = 0; j < h; j++)
            term = (size - far - (double)j) * term / (size + far + (double)j + 1);
        sum = term * (1 - sum);
    }
    return 2 * sum;
}

static uint64_t
floor_div(int64_t a, uint64_t b)
{
    return a < 0 ? 0 : (uint64_t)a / b;
}

/*
 * Column by column over x = 1..m, the share of paths to (x,y) that left the band, for the y of
 * the band only (outside it is 1): A(x,y) = (x A(x-1,y) + y A(x,y-1)) / (x+y). The reciprocals
 * are tabled, as a division would be most of the time.
 */
static double
band_outside(uint64_t m, uint64_t n, uint64_t g, uint64_t h)
{
    uint64_t mg = m / g, ng = n / g, low = 0, high = (h + mg - 1) / mg;
    uint64_t width = 2 * (h / mg) + 4;
    double *share, *inverse, answer;

    high = high > n + 1 ? n + 1 : high;
    width = width > n + 2 ? n + 2 : width;
    share = mem_alloc((width + 1) * sizeof(*share));
    inverse = mem_alloc((m + n + 1) * sizeof(*inverse));
    for (uint64_t i = 1; i <= m + n; i++)
        inverse[i] = 1 / (double)i;
    for (uint64_t y = 0; y <= width; y++)
        share[y] = y < high ? 0 : 1;
    for (uint64_t x = 1; x <= m; x++) {
        int64_t center = (int64_t)(ng * x);
        uint64_t old_low = low, old_high = high;
        low = center < (int64_t)h ? 0 : floor_div(center - (int64_t)h, mg) + 1;
        high = (ng * x + h + mg - 1) / mg;
        high = high > n + 1 ? n + 1 : high;
        if (high <= low || low > n) {
            answer = 1;
            goto out;
        }
        double below = low == 0 ? 0 : 1;
        const double *old = share + (low - old_low);
        uint64_t kept = old_high > low ? old_high - low : 0;
        for (uint64_t j = 0; j < high - low; j++) {
            double y = (double)(low + j), r = inverse[x + low + j];
            double before = j < kept ? old[j] : 1;
            below = before * ((double)x * r) + below * (y * r);
            share[j] = below;
        }
    }
    answer = share[high - low - 1];
out:
    free(share);
    free(inverse);
    return answer;
}

uint64_t
drift_gcd(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

double
drift_ks_exact_sf(uint64_t m, uint64_t n, uint64_t h)
{
    uint64_t g = drift_gcd(m, n);
    double d = (double)h / ((double)(m / g) * (double)n);

    if (h == 0)
        return 1;
    /* Far out the paths need long counting for a p that is 0 in any use of it. */
    if ((double)m * (double)n / (double)(m + n) * d * d > 370)
        return 0;
    if (m == n)
        return square_outside(n, h);
    return m > n ? band_outside(m, n, g, h) : band_outside(n, m, g, h);
}
