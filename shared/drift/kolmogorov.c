/* SPDX-License-Identifier: Apache-2.0 */
/* kolmogorov.c - distribution of the one-sample Kolmogorov-Smirnov statistics; see special.h. */
#include "drift/internal.h"

#include <math.h>
#include <stdlib.h>

#define SCALE_BITS 128
#define BELL_TERMS 2048

/* One term of [BT]: the binomial probability of j at p = d + j/n, over p. */
static double
smirnov_term(double n, double d, double j)
{
    double t = n * d, rest = n - j, failures = rest - t;

    if (failures <= 0)
        return 0;
    if (j == 0)
        return exp(n * log1p(-d)) / d;
    double e = drift_stirling_error(n) - drift_stirling_error(j) - drift_stirling_error(rest) -
               drift_deviance(j, j + t, -t) - drift_deviance(rest, failures, t);
    return exp(e) * sqrt(n / (2 * M_PI * j * rest)) * n / (j + t);
}

double
drift_smirnov_sf(double n, double d)
{
    if (isnan(n) || isnan(d) || n < 1)
        return NAN;
    if (d <= 0 || d >= 1)
        return d <= 0;
    if (n > 1e6)
        return exp(-(6 * n * d + 1) * (6 * n * d + 1) / (18 * n));
    double last = floor(n * (1 - d)), middle = floor((n - n * d) / 2), sum = 0;
    /*
     * A large n has a smooth bell of terms that vanishes with all its derivatives at both ends, like
     * exp(-nd^2 / 2pq), so a sum over equally spaced ones is exact but for exp(-sqrt(4 pi a N)) with
     * a = nd^2 / 2 and N terms: below 1e-30 here.
     */
    double step = n > 4 * BELL_TERMS && n * d * d > 1 ? floor(n / BELL_TERMS) : 1;
    for (double j = middle; j <= last; j += step)
        sum += smirnov_term(n, d, j);
    for (double j = middle - step; j >= 0; j -= step)
        sum += smirnov_term(n, d, j);
    return fmin(d * step * sum, 1);
}

static void
multiply(const double *a, const double *b, double *out, size_t m)
{
    for (size_t i = 0; i < m * m; i++)
        out[i] = 0;
    for (size_t i = 0; i < m; i++)
        for (size_t k = 0; k < m; k++) {
            double x = a[i * m + k];
            for (size_t j = 0; x != 0 && j < m; j++)
                out[i * m + j] += x * b[k * m + j];
        }
}

static void
swap(double **a, double **b)
{
    double *t = *a;

    *a = *b;
    *b = t;
}

/* [MTW]: d = (k - h) / n with k whole and 0 <= h < 1; the matrix H of size m = 2k - 1. */
static void
durbin_matrix(double *matrix, size_t m, double h)
{
    double power = 1;

    for (size_t i = 0; i < m * m; i++)
        matrix[i] = i % m <= i / m + 1;
    for (size_t i = 0; i < m; i++) {
        power *= h; /* h^(i+1) */
        matrix[i * m] -= power;
        matrix[(m - 1) * m + (m - 1 - i)] -= power;
    }
    matrix[(m - 1) * m] += pow(fmax(2 * h - 1, 0), (double)m);
    for (size_t i = 0; i < m; i++) {
        double factorial = 1;
        for (size_t step = 1; step <= i + 1; step++) {
            factorial *= (double)step;
            matrix[i * m + (i + 1 - step)] /= factorial;
        }
    }
}

/* P(D < d) exactly: entry (k,k) of n! / n^n H^n, by repeated squaring with the exponents apart. */
static double
durbin_cdf(double n, double d)
{
    double k = ceil(n * d), p;
    size_t m = (size_t)(2 * k - 1), at = (size_t)(k - 1) * (m + 1);
    double *base = mem_calloc(3 * m * m, sizeof(double)), *owned = base;
    double *result = base + m * m, *spare = result + m * m;
    int base_bits = 0, bits = 0;

    durbin_matrix(base, m, k - n * d);
    for (size_t i = 0; i < m; i++)
        result[i * m + i] = 1;
    for (uint64_t left = (uint64_t)n; left; left >>= 1) {
        if (left & 1) {
            multiply(result, base, spare, m);
            swap(&result, &spare);
            bits += base_bits;
        }
        multiply(base, base, spare, m);
        swap(&base, &spare);
        base_bits *= 2;
        if (fabs(base[at]) > ldexp(1, SCALE_BITS)) {
            for (size_t i = 0; i < m * m; i++)
                base[i] = ldexp(base[i], -SCALE_BITS);
            base_bits += SCALE_BITS;
        }
    }
    p = result[at];
    for (double i = 1; i <= n; i++) {
        p = p * i / n;
        if (p < ldexp(1, -SCALE_BITS)) {
            p = ldexp(p, SCALE_BITS);
            bits -= SCALE_BITS;
        }
    }
    free(owned);
    return ldexp(p, bits);
}

/* [PG]: the limit and three corrections in powers of 1/sqrt(n), as theta functions that converge
 * quickly for small z; the sums run over odd and over all whole numbers. */
static double
pelz_good_cdf(double n, double d)
{
    const double pi2 = M_PI * M_PI, pi4 = pi2 * pi2, pi6 = pi4 * pi2;
    const double root2pi = sqrt(2 * M_PI);
    double z = sqrt(n) * d, z2 = z * z, z4 = z2 * z2, z6 = z4 * z2, z8 = z4 * z4;
    double k0 = 0, k1 = 0, k2 = 0, k3 = 0, k2_all = 0, k3_all = 0;

    for (int i = (int)ceil(16 * z / M_PI); i > 0; i--) {
        double o2 = (2. * i - 1) * (2. * i - 1), o4 = o2 * o2, o6 = o4 * o2, all2 = (double)i * i;
        double odd = exp(-pi2 * o2 / (8 * z2)), all = exp(-pi2 * all2 / (2 * z2));
        k0 += odd;
        k1 += odd * (pi2 / 4 * o2 - z2);
        k2 += odd *
              (6 * z6 + 2 * z4 + (2 * z4 - 5 * z2) * pi2 / 4 * o2 + pi4 * (1 - 2 * z2) / 16 * o4);
        k3 += odd * (-30 * z6 - 90 * z8 + pi2 * (135 * z4 - 96 * z6) / 4 * o2 +
                     pi4 * (212 * z4 - 60 * z2) / 16 * o4 + pi6 * (5 - 30 * z2) / 64 * o6);
        k2_all += all2 * all;
        k3_all += (3 * z2 - pi2 * all2) * all2 * all;
    }
    k2 = k2 * root2pi / (72 * z6 * z) - k2_all * pi2 * root2pi / (36 * z2 * z);
    k3 = k3 * root2pi / (6480 * z8 * z2) + k3_all * pi2 * root2pi / (216 * z6);
    return k0 * root2pi / z + k1 * root2pi / (6 * z4) / sqrt(n) + k2 / n + k3 / (n * sqrt(n));
}

double
drift_kstwo_sf(double n, double d)
{
    double t = n * d, square = t * d;

    if (isnan(d) || !(n >= 1) || n != floor(n))
        return NAN;
    if (d >= 1 || t <= .5)
        return d < 1;
    if (t <= 1) /* n! / n^n (2t - 1)^n, by H. Ruben and J. Gambino */
        return 1 - exp(.5 * log(2 * M_PI * n) - n + drift_stirling_error(n) + n * log(2 * t - 1));
    if (t >= n - 1)
        return 2 * pow(1 - d, n);
    if (d >= .5 || (n <= 140 && square > 4))
        return fmin(2 * drift_smirnov_sf(n, d), 1);
    if (n > 140 && square >= 370)
        return 0;
    if (n > 140 && square >= 2.2)
        return fmin(2 * drift_smirnov_sf(n, d), 1);
    if (square < .03) /* the distribution function is below 1e-17 */
        return 1;
    double cdf =
        n <= 140 || (n <= 1e5 && n * d * sqrt(d) <= 1.4) ? durbin_cdf(n, d) : pelz_good_cdf(n, d);
    return fmin(fmax(1 - cdf, 0), 1);
}
