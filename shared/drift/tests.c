/* SPDX-License-Identifier: Apache-2.0 */
/* tests.c - chi-squared tests and the test of two proportions, over counts. */
#include "drift/internal.h"

#include <math.h>

/* Expected counts from the margins; Yates (1934) moves each at most 1/2 towards them. */
void
test_contingency(const struct counts *t, bool yates, struct drift_verdict *verdict)
{
    double all = (double)t->n_ref + (double)t->n_cur, sum = 0;

    yates = yates && t->bins == 2;
    for (size_t i = 0; i < t->bins; i++) {
        double column = (double)t->ref[i] + (double)t->cur[i];
        double sides[2][2] = {{(double)t->ref[i], (double)t->n_ref * column / all},
                              {(double)t->cur[i], (double)t->n_cur * column / all}};
        for (size_t s = 0; s < 2; s++) {
            double difference = fabs(sides[s][0] - sides[s][1]);
            if (yates)
                difference -= fmin(.5, difference);
            if (column > 0)
                sum += difference * difference / sides[s][1];
        }
    }
    verdict->variant = yates ? "homogeneity, Yates" : "homogeneity";
    verdict->statistic = t->bins < 2 ? 0 : sum;
    verdict->degrees = t->bins < 2 ? 0 : (double)(t->bins - 1);
    verdict->p = t->bins < 2 ? 1 : drift_chi2_sf(sum, verdict->degrees);
}

void
test_goodness(const struct counts *t, struct drift_verdict *verdict)
{
    double scale = (double)t->n_cur / (double)t->n_ref, sum = 0;

    for (size_t i = 0; i < t->bins; i++) {
        double expected = (double)t->ref[i] * scale, difference = (double)t->cur[i] - expected;
        sum += difference * difference / expected;
    }
    verdict->variant = "goodness of fit to the reference";
    verdict->statistic = sum;
    verdict->degrees = (double)t->bins - 1;
    verdict->p = t->bins < 2 ? NAN : drift_chi2_sf(sum, verdict->degrees);
    if (t->bins < 2)
        verdict->reason = "there is one category only";
}

void
test_proportions(const struct counts *t, struct drift_verdict *verdict)
{
    double n = (double)t->n_ref, m = (double)t->n_cur;

    verdict->variant = "pooled variance, two-sided";
    if (t->bins < 2) {
        verdict->statistic = 0;
        verdict->p = 1;
        return;
    }
    double p = (n - (double)t->ref[0]) / n, q = (m - (double)t->cur[0]) / m;
    double pooled = (p * n + q * m) / (n + m);
    verdict->statistic = (p - q) / sqrt(pooled * (1 - pooled) * (1 / n + 1 / m));
    verdict->p = drift_normal_sf2(verdict->statistic);
}
