/* SPDX-License-Identifier: Apache-2.0 */
/* gamma.c - incomplete gamma functions, by way of the saddle-point form of Poisson terms. */
#include "drift/internal.h"

#include <math.h>

#define STEPS_MAX 10000000
#define TINY 1e-300

/* ln Gamma(n + 1) - ln(sqrt(2 pi n) (n / e)^n) */
double
drift_stirling_error(double n)
{
    static const double half_log_2pi = 0.91893853320467274178;
    double square = n * n;
    int sign;

    if (n < 16)
        return n == 0 ? INFINITY : lgamma_r(n + 1, &sign) - (n + .5) * log(n) + n - half_log_2pi;
    return (1. / 12 -
            (1. / 360 - (1. / 1260 - (1. / 1680 - 1. / 1188 / square) / square) / square) /
                square) /
           n;
}

/* x ln(x / y) + y - x for x - y = difference, which the caller knows without cancellation. */
double
drift_deviance(double x, double y, double difference)
{
    double v = difference / (x + y);

    if (fabs(difference) >= .1 * (x + y))
        return x * log(x / y) - difference;
    double sum = difference * v, power = 2 * x * v;
    for (int j = 1; j < 100; j++) {
        power *= v * v;
        double next = sum + power / (2 * j + 1);
        if (next == sum)
            break;
        sum = next;
    }
    return sum;
}

double
drift_gamma_q(double a, double x)
{
    if (isnan(a) || isnan(x) || a <= 0 || x < 0)
        return NAN;
    if (x == 0)
        return 1;
    if (isinf(x))
        return 0;
    /* x^a e^-x / Gamma(a + 1) */
    double front = exp(-drift_stirling_error(a) - drift_deviance(a, x, a - x)) / sqrt(2 * M_PI * a);
    if (x < a + 1) {
        double term = 1, sum = 1;
        for (int k = 1; k < STEPS_MAX && term > sum * 1e-17; k++) {
            term *= x / (a + k);
            sum += term;
        }
        return fmax(1 - front * sum, 0);
    }
    double b = x + 1 - a, c = 1 / TINY, d = 1 / b, h = d;
    for (int k = 1; k < STEPS_MAX; k++) {
        double an = -k * (k - a);
        b += 2;
        d = an * d + b;
        d = 1 / (fabs(d) < TINY ? TINY : d);
        c = b + an / c;
        c = fabs(c) < TINY ? TINY : c;
        h *= c * d;
        if (fabs(c * d - 1) < 1e-16)
            break;
    }
    return fmin(front * a * h, 1);
}

double
drift_chi2_sf(double x, double df)
{
    if (df == 1 && x >= 0)
        return erfc(sqrt(x / 2));
    return drift_gamma_q(df / 2, x / 2);
}

double
drift_normal_sf2(double z)
{
    return erfc(fabs(z) * M_SQRT1_2);
}
