/* SPDX-License-Identifier: Apache-2.0 */
/*
 * special.h - the probability functions behind the tests, on plain numbers.
 *
 * All are tail probabilities P(X >= x), computed as such and not as 1 - P(X < x) where that would
 * cancel. Relative error about 1e-12, also far out in the tail. NaN in, NaN out. Threads: any.
 *
 * Sources
 *   [L]  C. Loader, "Fast and accurate computation of binomial probabilities", 2000: saddle-point
 *        form of binomial and Poisson terms, which keeps their digits at any size
 *   [G]  W. Gautschi, "A computational procedure for incomplete gamma functions", ACM TOMS 5, 1979;
 *        DLMF 8.11.4 (series), 8.9.2 (continued fraction, by Lentz's method)
 *   [BT] Z. W. Birnbaum, F. H. Tingey, "One-sided confidence contours for probability distribution
 *        functions", 1951: the exact one-sided distribution
 *   [MTW] G. Marsaglia, W. W. Tsang, J. Wang, "Evaluating Kolmogorov's distribution", JSS 8(18), 2003:
 *        J. Durbin's matrix, exact
 *   [PG] W. Pelz, I. J. Good, "Approximating the lower tail-areas of the Kolmogorov-Smirnov one-sample
 *        statistic", JRSS B 38, 1976
 *   [SL] R. Simard, P. L'Ecuyer, "Computing the two-sided Kolmogorov-Smirnov distribution", JSS 39(11),
 *        2011: which of them where; the regions are those of scipy.stats.kstwo
 *   [H]  J. L. Hodges, "The significance probability of the Smirnov two-sample test", 1958
 *   [V]  T. Viehmann, "Numerically more stable computation of the p-values for the two-sample
 *        Kolmogorov-Smirnov test", arXiv 2102.08037, 2021
 */
#pragma once

#include <stdint.h>

/* Chi-squared with df > 0 degrees of freedom. x infinite: 0. [G] */
double drift_chi2_sf(double x, double df);
/* Upper regularised incomplete gamma function Q(a, x), a > 0, x >= 0. [G, L] */
double drift_gamma_q(double a, double x);
/* Two-sided normal: P(|Z| >= z). */
double drift_normal_sf2(double z);

/* One-sample one-sided Kolmogorov-Smirnov, P(D+ >= d) of n > 0. O(n); [BT, L]. From n = 10^6 on
 * exp(-(6nd + 1)^2 / 18n), as scipy.special.smirnov. */
double drift_smirnov_sf(double n, double d);
/* One-sample two-sided, P(D >= d): scipy.stats.kstwo.sf. [SL] */
double drift_kstwo_sf(double n, double d);

/*
 * Two-sample two-sided, exactly: the share of the lattice paths from (0,0) to (m,n) that reach
 * |x/m - y/n| >= h / lcm(m,n), as scipy.stats.ks_2samp counts them [H, V]. O(m n h / lcm), for
 * m = n O(n). May exceed 1 by rounding, which is the caller's sign to take the asymptotic one;
 * 0 where it is below 1e-300.
 */
double drift_ks_exact_sf(uint64_t m, uint64_t n, uint64_t h);

uint64_t drift_gcd(uint64_t a, uint64_t b); /* greatest common divisor */
