/* SPDX-License-Identifier: Apache-2.0 */
/* Tail probabilities against values of scipy 1.17 (30 digits by mpmath where it was available) and
 * against what must hold anywhere. */
#include "drift/special.h"

#include <criterion/criterion.h>
#include <math.h>

static bool
near(double a, double b)
{
    return fabs(a - b) <= 1e-11 * fabs(b);
}

Test(special, chi_squared_known)
{
    cr_assert(near(drift_chi2_sf(3.841458820694124, 1), .05));
    cr_assert(near(drift_chi2_sf(2 * M_LN2, 2), .5)); /* exp(-x/2) */
    cr_assert(near(drift_chi2_sf(1400, 2), exp(-700)));
    cr_assert(near(drift_chi2_sf(5.991464547107979, 2), .05));
    cr_assert_eq(drift_chi2_sf(0, 7), 1);
    cr_assert_eq(drift_chi2_sf(INFINITY, 7), 0);
    cr_assert(isnan(drift_chi2_sf(NAN, 7)));
}

Test(special, gamma_recurrence_holds_where_series_and_fraction_meet)
{
    /* Q(a+1,x) = Q(a,x) + x^a e^-x / Gamma(a+1), from half numbers to 50,000. */
    for (double a = .5; a < 1e5; a *= 3)
        for (double r = .7; r < 1.4; r += .1) {
            double x = a * r, step = exp(a * log(x) - x - lgamma(a + 1));
            double got = drift_gamma_q(a + 1, x), want = drift_gamma_q(a, x) + step;
            cr_assert_leq(fabs(got - want), 1e-10 * want + 1e-13, "a %g x %g: %.17g %.17g", a, x,
                          got, want);
        }
}

Test(special, normal_tail)
{
    cr_assert(near(drift_normal_sf2(1.959963984540054), .05));
    cr_assert_eq(drift_normal_sf2(-1), drift_normal_sf2(1));
}

Test(special, one_sided_kolmogorov_small_cases_by_hand)
{
    /* n = 1: P(D+ >= d) = 1 - d. n = 2: (1-d)^2 + [d < 1/2] 2 d (1/2 - d). */
    cr_assert(near(drift_smirnov_sf(1, .3), .7));
    cr_assert(near(drift_smirnov_sf(2, .25), .75 * .75 + 2 * .25 * .25));
    cr_assert(near(drift_smirnov_sf(2, .75), .0625));
}

Test(special, two_sided_kolmogorov_known)
{
    /* Table of Marsaglia, Tsang, Wang: P(D_10 < .274) = .6284796154565. */
    cr_assert_leq(fabs(1 - drift_kstwo_sf(10, .274) - .62847961545650), 1e-12);
    cr_assert_eq(drift_kstwo_sf(10, .05), 1);
    cr_assert_eq(drift_kstwo_sf(10, 1), 0);
    cr_assert(near(drift_kstwo_sf(1, .75), .5));
    cr_assert(isnan(drift_kstwo_sf(10, NAN)));
    /* The limit: sqrt(n) D = 1.3581 is the 5 % point; the exact one is a shade below. */
    double p = drift_kstwo_sf(1e6, 1.3581015157406195 / 1000);
    cr_assert(p > .0499 && p < .05, "%g", p);
}

Test(special, two_sided_kolmogorov_has_no_steps_between_its_methods)
{
    for (double n = 2; n < 3e5; n = ceil(n * 1.7)) {
        double last = 1;
        for (double z = .2; z < 4; z += .01) {
            double p = drift_kstwo_sf(n, z / sqrt(n));
            cr_assert(p <= last + 1e-9, "n %g z %g: %g after %g", n, z, p, last);
            cr_assert(p >= 0);
            last = p;
        }
    }
}

Test(special, exact_two_sample_by_counting)
{
    /* m = n = 2: of 6 paths 2 reach |i - j| = 2. m = 2, n = 1: D is 1 for 2 of 3. */
    cr_assert(near(drift_ks_exact_sf(2, 2, 2), 1. / 3));
    cr_assert(near(drift_ks_exact_sf(2, 1, 2), 2. / 3));
    cr_assert_eq(drift_ks_exact_sf(7, 5, 0), 1);
    /* All apart: 2 / C(m+n, n). */
    cr_assert(near(drift_ks_exact_sf(6, 4, 12), 2. / 210));
}

Test(special, exact_is_symmetric_and_falls)
{
    double last = 2;

    for (uint64_t h = 0; h <= 30 * 42 / 6; h++) {
        double p = drift_ks_exact_sf(30, 42, h);
        cr_assert_eq(p, drift_ks_exact_sf(42, 30, h));
        cr_assert(p <= last + 1e-12);
        last = p;
    }
}
