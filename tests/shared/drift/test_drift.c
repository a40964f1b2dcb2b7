/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts: what must hold for any columns, and what the definitions say of chosen ones. That the
 * figures are scipy's and Evidently's is tested against them in tests/integration/drift. */
#include "drift/drift.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

static uint64_t state = 88172645463325252u;

static double
uniform(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) / 9007199254740992.;
}

static double
normal(void)
{
    return sqrt(-2 * log(1 - uniform())) * cos(2 * M_PI * uniform());
}

static struct drift_column
draw(double *values, size_t n, double shift)
{
    for (size_t i = 0; i < n; i++)
        values[i] = normal() + shift;
    return (struct drift_column){.kind = DRIFT_NUMERIC, .numbers = values, .rows = n};
}

static struct drift_verdict
compare(const struct drift_column *ref, const struct drift_column *cur, enum drift_profile profile,
        enum drift_method method)
{
    struct drift_plan plan = {profile, method, NAN};
    struct drift_verdict verdict;

    drift_compare(ref, cur, &plan, &verdict);
    return verdict;
}

#define COLUMN(array)                                                                              \
    {                                                                                              \
        .kind = DRIFT_NUMERIC, .numbers = (array), .rows = ARRAY_LEN(array)                        \
    }

Test(drift, a_column_against_itself_is_no_drift_by_any_method)
{
    double values[700];
    struct drift_column column = draw(values, ARRAY_LEN(values), 0);

    for (int profile = 0; profile < DRIFT_PROFILE_COUNT; profile++)
        for (int method = 0; method < DRIFT_METHOD_COUNT; method++) {
            if (!drift_offers((enum drift_profile)profile, (enum drift_method)method))
                continue;
            struct drift_verdict v =
                compare(&column, &column, (enum drift_profile)profile, (enum drift_method)method);
            bool refused =
                profile == DRIFT_EVIDENTLY && (method == DRIFT_CHISQUARE || method == DRIFT_Z);
            cr_assert_eq(v.outcome, refused ? DRIFT_UNDECIDED : DRIFT_ABSENT, "%d %d", profile,
                         method);
            if (!refused)
                cr_assert_leq(fabs(v.statistic), 1e-7);
        }
}

Test(drift, every_method_sees_a_shift_of_one_sigma)
{
    double a[800], b[600];
    struct drift_column ref = draw(a, ARRAY_LEN(a), 0), cur = draw(b, ARRAY_LEN(b), 1);
    enum drift_method methods[] = {DRIFT_KS,          DRIFT_PSI,
                                   DRIFT_WASSERSTEIN, DRIFT_JENSENSHANNON,
                                   DRIFT_HELLINGER,   DRIFT_CHI2_CONTINGENCY,
                                   DRIFT_CHISQUARE};

    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        cr_assert_eq(compare(&ref, &cur, DRIFT_NATIVE, methods[i]).outcome, DRIFT_FOUND, "%zu", i);
}

Test(drift, order_of_rows_and_scale_by_a_power_of_two_change_nothing)
{
    double a[300], b[200], c[300], d[200];
    struct drift_column ref = draw(a, 300, 0), cur = draw(b, 200, .2);
    struct drift_column ref2 = COLUMN(c), cur2 = COLUMN(d);

    for (size_t i = 0; i < 300; i++)
        c[i] = a[299 - i] * 1024;
    for (size_t i = 0; i < 200; i++)
        d[i] = b[199 - i] * 1024;
    enum drift_method methods[] = {DRIFT_KS, DRIFT_PSI, DRIFT_WASSERSTEIN, DRIFT_JENSENSHANNON,
                                   DRIFT_HELLINGER};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        double before = compare(&ref, &cur, DRIFT_NATIVE, methods[i]).statistic;
        double after = compare(&ref2, &cur2, DRIFT_NATIVE, methods[i]).statistic;
        cr_assert_leq(fabs(before - after), 1e-12, "%zu", i);
    }
}

Test(drift, one_outlier_hides_nothing_from_fixed_edges)
{
    double a[2000], b[2000];
    struct drift_column ref = draw(a, 2000, 0), cur = draw(b, 2000, .9);
    double before = compare(&ref, &cur, DRIFT_NATIVE, DRIFT_PSI).statistic;
    double evidently = compare(&ref, &cur, DRIFT_EVIDENTLY, DRIFT_PSI).statistic;

    b[0] = 1e9;
    cr_assert_leq(fabs(compare(&ref, &cur, DRIFT_NATIVE, DRIFT_PSI).statistic - before), .01);
    cr_assert_lt(compare(&ref, &cur, DRIFT_EVIDENTLY, DRIFT_PSI).statistic, evidently / 10);
}

Test(drift, ks_of_small_samples_by_hand)
{
    double a[] = {1, 2, 3}, b[] = {4, 5, 6, 7};
    struct drift_column ref = COLUMN(a), cur = COLUMN(b);
    struct drift_verdict v = compare(&ref, &cur, DRIFT_SCIPY, DRIFT_KS);

    cr_assert_eq(v.statistic, 1);
    cr_assert_leq(fabs(v.p - 2. / 35), 1e-15);
    cr_assert_str_eq(v.variant, "exact");
}

Test(drift, an_exact_p_above_1_by_rounding_is_the_asymptotic_one)
{
    double a[] = {1, 3, 5, 7, 9}, b[] = {2, 4, 6, 8, 10};
    struct drift_column ref = COLUMN(a), cur = COLUMN(b);
    struct drift_verdict v = compare(&ref, &cur, DRIFT_EVIDENTLY, DRIFT_KS);

    cr_assert_eq(v.p, 1);
}

Test(drift, psi_of_two_bins_by_hand)
{
    double a[] = {0, 0, 1, 1}, b[] = {0, 1, 1, 1};
    struct drift_column ref = COLUMN(a), cur = COLUMN(b);
    struct drift_verdict v = compare(&ref, &cur, DRIFT_EVIDENTLY, DRIFT_PSI);

    cr_assert_leq(fabs(v.statistic - (.25 * log(2) + -.25 * log(2. / 3))), 1e-15);
    v = compare(&ref, &cur, DRIFT_NATIVE, DRIFT_PSI); /* three bins, one for other values */
    double r[] = {2.5 / 5.5, 2.5 / 5.5, .5 / 5.5}, c[] = {1.5 / 5.5, 3.5 / 5.5, .5 / 5.5}, psi = 0;
    for (int i = 0; i < 3; i++)
        psi += (r[i] - c[i]) * log(r[i] / c[i]);
    cr_assert_leq(fabs(v.statistic - psi), 1e-15);
    cr_assert_eq(v.bins, 3);
    cr_assert_eq(v.edge_count, 2);
}

Test(drift, contingency_with_and_without_yates_by_hand)
{
    uint32_t a[40], b[40];
    struct drift_column ref = {.kind = DRIFT_CATEGORICAL, .codes = a, .rows = 40}, cur = ref;

    cur.codes = b;
    for (uint32_t i = 0; i < 40; i++) {
        a[i] = i < 10;
        b[i] = i < 20;
    }
    /* 30 10 / 20 20: 80 (30*20 - 10*20)^2 / (40*40*50*30), Yates takes 40 off the difference. */
    cr_assert_leq(fabs(compare(&ref, &cur, DRIFT_NATIVE, DRIFT_AUTO).statistic - 16. / 3), 1e-12);
    cr_assert_leq(
        fabs(compare(&ref, &cur, DRIFT_SCIPY, DRIFT_AUTO).statistic - 80. * 360 * 360 / 2.4e6),
        1e-12);
}

Test(drift, an_unseen_category_is_drift_for_evidently_even_in_one_row)
{
    uint32_t a[50] = {0}, b[50] = {0};
    struct drift_column ref = {.kind = DRIFT_CATEGORICAL, .codes = a, .rows = 50}, cur = ref;

    cur.codes = b;
    a[0] = 1;
    b[0] = 2;
    struct drift_verdict v = compare(&ref, &cur, DRIFT_EVIDENTLY, DRIFT_AUTO);
    cr_assert_eq(v.method, DRIFT_CHISQUARE);
    cr_assert_eq(v.statistic, INFINITY);
    cr_assert_eq(v.outcome, DRIFT_FOUND);
    cr_assert_eq(compare(&ref, &cur, DRIFT_NATIVE, DRIFT_AUTO).outcome, DRIFT_ABSENT);
}

Test(drift, nothing_to_compare_is_undecided_and_says_so)
{
    double values[] = {1, 2, 3}, nothing[] = {NAN, NAN};
    struct drift_column ref = COLUMN(values), cur = COLUMN(nothing), empty = {0};

    for (int profile = 0; profile < DRIFT_PROFILE_COUNT; profile++) {
        struct drift_verdict v = compare(&ref, &cur, (enum drift_profile)profile, DRIFT_AUTO);
        cr_assert_eq(v.outcome, DRIFT_UNDECIDED);
        cr_assert_not_null(v.reason);
        cr_assert_eq(v.missing_cur, 2);
        cr_assert_eq(compare(&empty, &ref, (enum drift_profile)profile, DRIFT_AUTO).outcome,
                     DRIFT_UNDECIDED);
    }
}

Test(drift, infinities_are_kept_or_dropped_by_profile)
{
    double a[] = {1, 2, 3, INFINITY}, b[] = {1, 2, -INFINITY, NAN};
    struct drift_column ref = COLUMN(a), cur = COLUMN(b);

    cr_assert_eq(compare(&ref, &cur, DRIFT_EVIDENTLY, DRIFT_KS).n_ref, 3);
    cr_assert_eq(compare(&ref, &cur, DRIFT_NATIVE, DRIFT_KS).n_cur, 3);
    cr_assert_eq(compare(&ref, &cur, DRIFT_NATIVE, DRIFT_WASSERSTEIN).n_cur, 2);
    cr_assert_eq(compare(&ref, &cur, DRIFT_NATIVE, DRIFT_KS).infinite_ref, 1);
}

Test(drift, missing_rows_are_a_finding_of_their_own)
{
    double a[200], b[200];
    struct drift_column ref = draw(a, 200, 0), cur = draw(b, 200, 0);
    struct drift_verdict v;

    drift_compare_missing(&ref, &cur, .05, &v);
    cr_assert_eq(v.p, 1);
    for (size_t i = 0; i < 40; i++)
        b[i] = NAN;
    cur.missing = 10; /* rows that are not in the array */
    drift_compare_missing(&ref, &cur, .05, &v);
    cr_assert_eq(v.outcome, DRIFT_FOUND);
    cr_assert_eq(v.missing_cur, 50);
    cr_assert_eq(v.n_cur, 210);
}

Test(drift, evidently_chooses_by_rows_kind_and_values)
{
    double a[1001], b[30];
    struct drift_column ref = draw(a, 1000, 0), cur = draw(b, 30, 0);

    cr_assert_eq(compare(&ref, &cur, DRIFT_EVIDENTLY, DRIFT_AUTO).method, DRIFT_KS);
    ref = draw(a, 1001, 0);
    cr_assert_eq(compare(&ref, &cur, DRIFT_EVIDENTLY, DRIFT_AUTO).method, DRIFT_WASSERSTEIN);
    for (size_t i = 0; i < 1001; i++)
        a[i] = (double)(i % 5);
    for (size_t i = 0; i < 30; i++)
        b[i] = (double)(i % 4);
    cr_assert_eq(compare(&ref, &cur, DRIFT_EVIDENTLY, DRIFT_AUTO).method, DRIFT_JENSENSHANNON);
    ref.rows = 500;
    cr_assert_eq(compare(&ref, &cur, DRIFT_EVIDENTLY, DRIFT_AUTO).method, DRIFT_CHISQUARE);
    for (size_t i = 0; i < 1001; i++)
        a[i] = 1;
    for (size_t i = 0; i < 30; i++)
        b[i] = -0.0;
    cr_assert_eq(compare(&ref, &cur, DRIFT_EVIDENTLY, DRIFT_AUTO).method, DRIFT_Z);
}

Test(drift, corrections_of_a_known_list)
{
    /* R: p.adjust(c(.01,.04,.03,.005), "holm") and "BH". */
    double p[] = {.01, .04, .03, .005}, adjusted[4];
    double holm[] = {.03, .06, .06, .02}, bh[] = {.02, .04, .04, .02};

    drift_adjust(p, 4, DRIFT_HOLM, adjusted);
    for (int i = 0; i < 4; i++)
        cr_assert_leq(fabs(adjusted[i] - holm[i]), 1e-15, "%d: %g", i, adjusted[i]);
    drift_adjust(p, 4, DRIFT_BENJAMINI_HOCHBERG, adjusted);
    for (int i = 0; i < 4; i++)
        cr_assert_leq(fabs(adjusted[i] - bh[i]), 1e-15, "%d: %g", i, adjusted[i]);
    drift_adjust(p, 4, DRIFT_CORRECT_NONE, p); /* in place */
    cr_assert_eq(p[3], .005);
}

Test(drift, correction_takes_false_alarms_down_to_the_level)
{
    enum { STREAMS = 300, FEATURES = 10, ROWS = 60 };
    size_t plain = 0, corrected = 0;

    for (int s = 0; s < STREAMS; s++) {
        struct drift_verdict verdicts[FEATURES], *all[FEATURES];
        bool any = false, any_corrected = false;
        for (int f = 0; f < FEATURES; f++) {
            double a[ROWS], b[ROWS];
            struct drift_column ref = draw(a, ROWS, 0), cur = draw(b, ROWS, 0);
            verdicts[f] = compare(&ref, &cur, DRIFT_NATIVE, DRIFT_KS);
            all[f] = &verdicts[f];
            any |= verdicts[f].outcome == DRIFT_FOUND;
        }
        drift_correct(all, FEATURES, DRIFT_HOLM);
        for (int f = 0; f < FEATURES; f++)
            any_corrected |= verdicts[f].outcome == DRIFT_FOUND;
        plain += any;
        corrected += any_corrected;
    }
    /* .05 and three standard errors. */
    cr_assert_leq((double)corrected / STREAMS, .05 + 3 * sqrt(.05 * .95 / STREAMS));
    cr_assert_geq((double)plain / STREAMS, .2);
}

Test(drift, the_scale_of_a_distance)
{
    double a[] = {0, 0, 0, 0}, b[] = {1, 1, 1, 1}, c[] = {1e300, -1e300, 1e300}, d[] = {0, 0, 0};
    struct drift_column ref = COLUMN(a), cur = COLUMN(b), wide = COLUMN(c), zero = COLUMN(d);

    cr_assert_eq(compare(&ref, &cur, DRIFT_SCIPY, DRIFT_WASSERSTEIN).statistic, 1);
    cr_assert_eq(compare(&ref, &cur, DRIFT_EVIDENTLY, DRIFT_WASSERSTEIN).statistic, 1000);
    /* Where Evidently's sigma overflows it finds 0; ours does not. */
    cr_assert_eq(compare(&wide, &zero, DRIFT_EVIDENTLY, DRIFT_WASSERSTEIN).statistic, 0);
    cr_assert_gt(compare(&wide, &zero, DRIFT_NATIVE, DRIFT_WASSERSTEIN).statistic, .9);
}

Test(drift, values_that_differ_in_their_last_bits_only_are_in_order)
{
    enum { N = 3000 };
    double a[N], b[N], step = 0x1p-52;
    struct drift_column ref = COLUMN(a), cur = COLUMN(b);

    for (size_t i = 0; i < N; i++) {
        a[i] = 1 + (double)(i * 1009 % N) * step;
        b[i] = 1 + (double)(i * 733 % N + N) * step;
    }
    struct drift_verdict v = compare(&ref, &cur, DRIFT_SCIPY, DRIFT_WASSERSTEIN);
    cr_assert_leq(fabs(v.statistic / (N * step) - 1), 1e-12);
    for (size_t i = 0; i < N; i++)
        b[i] -= N * step;
    cr_assert_eq(compare(&ref, &cur, DRIFT_SCIPY, DRIFT_WASSERSTEIN).statistic, 0);
    cr_assert_eq(compare(&ref, &cur, DRIFT_SCIPY, DRIFT_KS).statistic, 0);
    cr_assert_eq(compare(&ref, &cur, DRIFT_NATIVE, DRIFT_PSI).statistic, 0);
}

Test(drift, names_go_both_ways)
{
    enum drift_method method;
    enum drift_profile profile;
    enum drift_correction correction;

    for (int m = 0; m < DRIFT_METHOD_COUNT; m++) {
        cr_assert(
            drift_method_from_name(drift_method_name((enum drift_method)m), DRIFT_NATIVE, &method));
        cr_assert_eq((int)method, m);
    }
    cr_assert(drift_method_from_name("chi2", DRIFT_EVIDENTLY, &method) &&
              method == DRIFT_CHISQUARE);
    cr_assert(drift_profile_from_name("scipy", &profile) && profile == DRIFT_SCIPY);
    cr_assert(drift_correction_from_name("bh", &correction) &&
              correction == DRIFT_BENJAMINI_HOCHBERG);
    cr_assert_not(drift_method_from_name("kolmogorov", DRIFT_NATIVE, &method));
}
