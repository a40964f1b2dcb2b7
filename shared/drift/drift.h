/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drift.h - has a column changed? Two columns in, one verdict out.
 *
 * A verdict is only worth what its definition is worth: tools agree on the name of a method and
 * differ in bins, zero rules, logarithms and what they do with missing values, and that turns
 * verdicts around. So each method exists in profiles, and a verdict records all that is needed
 * to compute it again:
 *
 *   native     what we would choose (below)
 *   evidently  as Evidently 0.7.23 decides, to the last digit, its choice of method included
 *   scipy      the functions of scipy.stats and scipy.spatial.distance with their defaults
 *
 *                     native                    evidently                 scipy
 *   default, numbers  ks                        <= 1000 rows: ks with >5  ks
 *                                               values, chisquare >2, z;
 *                                               else wasserstein, <=5
 *                                               values: jensenshannon
 *   default, words    chi2_contingency          <= 1000 rows: chisquare,  chi2_contingency
 *                                               <=2 values z; else
 *                                               jensenshannon
 *   missing values    a finding of their own    dropped                   dropped ("omit")
 *   infinities        ordered like numbers;     dropped                   kept
 *                     wasserstein: left out
 *   bins              fixed by the reference,   over both columns: equal  as evidently
 *                     ends open (below)         widths by Sturges, or
 *                                               one for each value
 *   zero shares, psi  (count + 1/2)/(n + k/2)   1e-4, or a millionth of   -
 *                                               the least share
 *   logarithm, js     2                         e                         e
 *   wasserstein       / sigma of the reference  / max(sigma, 0.001)       not divided
 *   chi2_contingency  without Yates             -                         Yates for 2 x 2
 *   threshold         p .05, psi .2, other      p .05, others .1          p .05, others .1
 *                     distances .1
 *   drift when        p < t, distance >= t      ks p <= t, others p < t,  p < t, distance >= t
 *                                               distance >= t
 *
 * Native bins: when the reference has at most 20 different values and at least two rows a value,
 * one bin for each and one for whatever else comes; otherwise ten bins between its deciles (order
 * statistics, no interpolation), the first and the last without an end. One outlier of the
 * current column moves no edge; under equal-width bins it hides a drift (PSI .68 becomes .01).
 *
 * NaN of a statistic: the method does not apply (one category, no variance, overflow). Then, and
 * where a column has no value left, the outcome is UNDECIDED and reason says why; never "no drift".
 * Only in the profile evidently a NaN score is "no drift", as there.
 *
 * Nothing here fails, logs or keeps state; memory is freed before return; any thread may call.
 * With n values of both columns together: psi, jensenshannon and hellinger O(n) for numbers,
 * ks and wasserstein O(n) for the radix sort plus, for the exact p-value of ks at most 10000 values
 * a side, O(n_ref * n_cur * D). Scratch memory: at most 32 bytes a value.
 */
#pragma once

#include "err/err.h"

enum drift_kind { DRIFT_NUMERIC, DRIFT_CATEGORICAL };

enum drift_profile { DRIFT_NATIVE, DRIFT_EVIDENTLY, DRIFT_SCIPY, DRIFT_PROFILE_COUNT };

enum drift_method {
    DRIFT_AUTO,             /* the profile's choice */
    DRIFT_KS,               /* two-sample Kolmogorov-Smirnov, two-sided; numbers */
    DRIFT_PSI,              /* population stability index, natural logarithm */
    DRIFT_CHI2_CONTINGENCY, /* both columns are samples: Pearson's test of homogeneity */
    DRIFT_CHISQUARE,        /* goodness of fit: the reference is the truth */
    DRIFT_Z,                /* two proportions: the share of rows that are not the least value */
    DRIFT_WASSERSTEIN,      /* first order; numbers */
    DRIFT_JENSENSHANNON,    /* the distance: a square root */
    DRIFT_HELLINGER,
    DRIFT_METHOD_COUNT
};

enum drift_correction { DRIFT_CORRECT_NONE, DRIFT_HOLM, DRIFT_BENJAMINI_HOCHBERG };

enum drift_outcome { DRIFT_ABSENT, DRIFT_FOUND, DRIFT_UNDECIDED };

#define DRIFT_MISSING UINT32_MAX

/*
 * One column of one data set, borrowed. Either numbers or codes is given, the same on both sides.
 * Codes are places in a list of categories that both sides share, in the order of the categories
 * (only z looks at the order); at most 2^24. Numbers may be categorical too: then each different
 * value is a category. -0.0 is 0.0.
 */
struct drift_column {
    enum drift_kind kind;
    const double *numbers; /* NaN: missing */
    const uint32_t *codes; /* DRIFT_MISSING: missing */
    size_t rows;           /* of numbers or codes */
    size_t missing;        /* further rows that hold nothing and are not in the array */
    bool integers;         /* the source knows integers only, none missing (numpy's rule of bins) */
};

struct drift_plan {
    enum drift_profile profile;
    enum drift_method method;
    double threshold; /* NaN: the profile's */
};

#define DRIFT_EDGES_MAX 40 /* Sturges has 34 for 2^32 values */

struct drift_verdict {
    enum drift_outcome outcome;
    const char *reason; /* static; why UNDECIDED, else NULL */

    enum drift_profile profile;
    enum drift_method method; /* never AUTO, unless there was nothing to choose by */
    const char *variant; /* static: "exact", "asymptotic", "yates", "divided by sigma_ref" ... */

    size_t n_ref, n_cur; /* values that were compared */
    size_t missing_ref, missing_cur;
    size_t infinite_ref, infinite_cur;
    const char *nan_policy; /* static: "dropped" or "finding of its own" */
    const char *infinite_policy;

    /* How values became counts; rule NULL: no bins. With more than DRIFT_EDGES_MAX edges, or with
     * categories, edge_count is 0 and digest (FNV-1a, 64 bit, of the edges, values or codes in
     * order) still tells two tables apart. Bins are [a,b). */
    const char *bin_rule; /* static */
    size_t bins;
    size_t edge_count;
    double edges[DRIFT_EDGES_MAX]; /* native: the inner edges; else all, the last bin [a,b] */
    uint64_t digest;
    const char *zero_rule; /* static; NULL: zeros stay */
    double log_base;       /* 0: no logarithm */
    double scale;          /* what a wasserstein distance was divided by; else 0 */

    double statistic;  /* NaN: none */
    double degrees;    /* of freedom; 0: none */
    double p;          /* NaN: the method is a distance */
    double p_adjusted; /* by the correction; p when there is none */
    size_t family;     /* how many p-values were corrected together; 1: none */
    double score;      /* what is compared: p_adjusted or the statistic */
    double threshold;
    const char *comparator; /* static: drift when score "<", "<=" or ">=" threshold */
    enum drift_correction correction;
};

/* Fills *verdict whatever the columns hold. */
void drift_compare(const struct drift_column *ref, const struct drift_column *cur,
                   const struct drift_plan *plan, struct drift_verdict *verdict);

/*
 * Whether the share of missing rows changed: chi2_contingency without Yates over rows that have a
 * value and rows that have none (a column nowhere missing: p 1). The native profile's finding.
 */
void drift_compare_missing(const struct drift_column *ref, const struct drift_column *cur,
                           double threshold, struct drift_verdict *verdict);

/*
 * Correct the p-values of the verdicts together and decide them again; distances and verdicts
 * without a p stay as they are. Holm (1979) bounds the probability of any false alarm by the
 * threshold; Benjamini and Hochberg (1995) the expected share of false ones among the alarms.
 */
void drift_correct(struct drift_verdict *const *verdicts, size_t count,
                   enum drift_correction correction);
/* The same on bare p-values, none NaN; adjusted may be p. O(count log count). */
void drift_adjust(const double *p, size_t count, enum drift_correction correction,
                  double *adjusted);

/* Equal-width counts of two columns for drawing, bins <= 256: numbers between the least and the
 * greatest finite value of the two; categories by code, those from bins - 1 on in the last one.
 * *low and *high stay when there is no number. */
void drift_histogram(const struct drift_column *ref, const struct drift_column *cur, size_t bins,
                     uint64_t *ref_counts, uint64_t *cur_counts, double *low, double *high);

/* How many different values; counting stops at limit + 1. */
size_t drift_distinct(const struct drift_column *ref, const struct drift_column *cur, size_t limit);
/* For a program that compares many columns of megabytes: malloc() keeps what a comparison frees, instead of
 * giving it back to the kernel, which would clear every page of it for the next one. Of the whole process, once,
 * at its start. */
void drift_keep_memory(void);
/* FNV-1a, 64 bit, over the values in their order: which reference a verdict is about. */
uint64_t drift_digest(const struct drift_column *column);

/* Whether the profile has the method at all. */
bool drift_offers(enum drift_profile profile, enum drift_method method);
double drift_threshold(enum drift_profile profile, enum drift_method method);

/* "native", "ks", "holm"; "auto", "none". */
const char *drift_profile_name(enum drift_profile profile);
const char *drift_method_name(enum drift_method method);
const char *drift_correction_name(enum drift_correction correction);
const char *drift_outcome_name(enum drift_outcome outcome); /* "no drift", "drift", "undecided" */
bool drift_profile_from_name(const char *name, enum drift_profile *profile);
/* Also "chi2": the contingency test, or goodness of fit in the profile evidently. */
bool drift_method_from_name(const char *name, enum drift_profile profile,
                            enum drift_method *method);
bool drift_correction_from_name(const char *name, enum drift_correction *correction);
