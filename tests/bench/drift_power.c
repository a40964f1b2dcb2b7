/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often a check of ten features alarms when one of them moved by so many sigma: the table of
 * docs/monitoring.md. 1,000 streams a cell, rows a side as the columns say. Judges nothing.
 */
#include "drift/drift.h"

#include <math.h>
#include <stdio.h>

#define STREAMS 1000
#define FEATURES 10
#define ROWS_MAX 1000

static uint64_t state = 88172645463325252u;

static double
uniform(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return ((double)(state >> 11) + .5) / 9007199254740992.;
}

static struct drift_column
draw(double *values, size_t rows, double shift)
{
    for (size_t i = 0; i < rows; i++)
        values[i] = sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform()) + shift;
    return (struct drift_column){.numbers = values, .rows = rows};
}

static double
rate(enum drift_method method, enum drift_correction correction, size_t rows, double shift)
{
    struct drift_plan plan = {DRIFT_NATIVE, method, NAN};
    struct drift_verdict verdicts[FEATURES], *all[FEATURES];
    static double a[ROWS_MAX], b[ROWS_MAX];
    size_t alarms = 0;

    for (size_t s = 0; s < STREAMS; s++) {
        bool any = false;
        for (size_t f = 0; f < FEATURES; f++) {
            struct drift_column ref = draw(a, rows, 0), cur = draw(b, rows, f ? 0 : shift);
            drift_compare(&ref, &cur, &plan, &verdicts[f]);
            all[f] = &verdicts[f];
        }
        drift_correct(all, FEATURES, correction);
        for (size_t f = 0; f < FEATURES; f++)
            any |= verdicts[f].outcome == DRIFT_FOUND;
        alarms += any;
    }
    return 100. * (double)alarms / STREAMS;
}

int
main(void)
{
    static const size_t rows[] = {100, 300, 1000};
    static const double shifts[] = {0, .1, .2, .3, .5, 1};
    static const struct {
        const char *name;
        enum drift_method method;
        enum drift_correction correction;
    } ways[] = {{"ks, not corrected", DRIFT_KS, DRIFT_CORRECT_NONE},
                {"ks, Holm", DRIFT_KS, DRIFT_HOLM},
                {"ks, Benjamini-Hochberg", DRIFT_KS, DRIFT_BENJAMINI_HOCHBERG},
                {"psi >= 0.2", DRIFT_PSI, DRIFT_CORRECT_NONE},
                {"wasserstein >= 0.1", DRIFT_WASSERSTEIN, DRIFT_CORRECT_NONE}};

    printf("| method | rows a side | no shift |");
    for (size_t i = 1; i < ARRAY_LEN(shifts); i++)
        printf(" %g σ |", shifts[i]);
    printf("\n|---|---|---|---|---|---|---|---|\n");
    for (size_t w = 0; w < ARRAY_LEN(ways); w++)
        for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
            printf("| %s | %zu |", ways[w].name, rows[r]);
            for (size_t i = 0; i < ARRAY_LEN(shifts); i++)
                printf(" %.1f %% |", rate(ways[w].method, ways[w].correction, rows[r], shifts[i]));
            printf("\n");
            fflush(stdout);
        }
    return 0;
}
