/* SPDX-License-Identifier: Apache-2.0 */
/* verdict.c - one column against its reference: choose, count, compute, decide, record. */
#include "drift/internal.h"

#include <math.h>

#define EVIDENTLY_SMALL 1000 /* rows of the reference up to which tests are taken */
#define EVIDENTLY_VALUES 20  /* of the reference; with more, numbers are binned */
#define SIGMA_FLOOR .001

struct pair {
    struct sample ref, cur;
    enum drift_kind kind;
};

static enum drift_method
choose(const struct pair *pair, enum drift_profile profile)
{
    bool numeric = pair->kind == DRIFT_NUMERIC;

    if (profile != DRIFT_EVIDENTLY)
        return numeric ? DRIFT_KS : DRIFT_CHI2_CONTINGENCY;
    size_t values = count_distinct(&pair->ref, &pair->cur, 5);
    if (pair->ref.count > EVIDENTLY_SMALL)
        return numeric && values > 5 ? DRIFT_WASSERSTEIN : DRIFT_JENSENSHANNON;
    if (numeric && values > 5)
        return DRIFT_KS;
    return values > 2 ? DRIFT_CHISQUARE : DRIFT_Z;
}

static const char *
not_applicable(const struct pair *pair, const struct drift_verdict *v, bool chosen)
{
    enum drift_method m = v->method;

    if (!drift_offers(v->profile, m))
        return "the profile does not have this method";
    if (pair->kind == DRIFT_CATEGORICAL && (m == DRIFT_KS || m == DRIFT_WASSERSTEIN))
        return "the method needs numbers";
    if (v->profile == DRIFT_EVIDENTLY && !chosen && pair->kind == DRIFT_NUMERIC &&
        (m == DRIFT_CHISQUARE || m == DRIFT_Z))
        return "Evidently takes this method for categories only";
    return NULL;
}

/* False: no table can be made of the values. */
static bool
count(const struct pair *pair, struct counts *counts, struct drift_verdict *v)
{
    bool test =
        v->method == DRIFT_CHISQUARE || v->method == DRIFT_Z || v->method == DRIFT_CHI2_CONTINGENCY;
    bool numbers = pair->kind == DRIFT_NUMERIC && !pair->ref.codes;

    if (numbers && v->profile == DRIFT_NATIVE && v->method != DRIFT_Z) {
        count_native(&pair->ref, &pair->cur, counts, v);
        return true;
    }
    if (numbers && !test && v->profile != DRIFT_NATIVE &&
        count_distinct(&pair->ref, NULL, EVIDENTLY_VALUES) > EVIDENTLY_VALUES)
        return count_sturges(&pair->ref, &pair->cur, counts, v);
    count_values(&pair->ref, &pair->cur, counts, &v->digest);
    v->bins = counts->bins;
    v->bin_rule = "one for each value";
    return true;
}

/* A bin that nobody fell into (the native one for others) is no category of a test. */
static void
drop_empty(struct counts *t)
{
    size_t kept = 0;

    for (size_t i = 0; i < t->bins; i++)
        if (t->ref[i] || t->cur[i]) {
            t->ref[kept] = t->ref[i];
            t->cur[kept++] = t->cur[i];
        }
    t->bins = kept;
}

static void
by_counts(const struct pair *pair, struct drift_verdict *v)
{
    bool native = v->profile == DRIFT_NATIVE;
    struct counts t;

    if (v->method == DRIFT_HELLINGER && !native && pair->kind == DRIFT_NUMERIC) {
        v->variant = "through densities";
        if (!hellinger_sturges(&pair->ref, &pair->cur, v, &v->statistic))
            v->statistic = NAN;
        return;
    }
    if (!count(pair, &t, v))
        return;
    switch (v->method) {
    case DRIFT_PSI:
        v->zero_rule = native ? "(count + 1/2) / (n + bins/2)"
                              : "1e-4, or 1e-6 of the least share where that is <= 1e-4";
        v->log_base = M_E;
        v->statistic = drift_psi(&t, native ? ZERO_JEFFREYS : ZERO_EVIDENTLY);
        break;
    case DRIFT_JENSENSHANNON:
        v->variant = "distance";
        v->log_base = native ? 2 : M_E;
        v->statistic = drift_jensenshannon(&t, v->log_base);
        break;
    case DRIFT_HELLINGER:
        v->variant = "shares";
        v->statistic = drift_hellinger(&t);
        break;
    case DRIFT_CHISQUARE:
        drop_empty(&t);
        test_goodness(&t, v);
        break;
    case DRIFT_Z:
        test_proportions(&t, v);
        break;
    default:
        drop_empty(&t);
        test_contingency(&t, v->profile == DRIFT_SCIPY, v);
        break;
    }
    counts_done(&t);
}

static void
by_transport(const struct pair *pair, struct drift_verdict *v)
{
    double distance = drift_wasserstein(&pair->ref, &pair->cur), sigma;

    switch (v->profile) {
    case DRIFT_SCIPY:
        v->variant = "not divided";
        v->scale = 1;
        break;
    case DRIFT_EVIDENTLY:
        v->variant = "divided by max(sigma_ref, 0.001)";
        sigma = drift_deviation(&pair->ref, false);
        v->scale = sigma < SIGMA_FLOOR ? SIGMA_FLOOR : sigma;
        break;
    default:
        v->variant = "divided by sigma_ref, or by 0.001 where that is 0";
        sigma = drift_deviation(&pair->ref, true);
        v->scale = sigma == 0 ? SIGMA_FLOOR : sigma;
    }
    v->statistic = distance / v->scale;
}

void
drift_decide(struct drift_verdict *v)
{
    bool small = v->comparator[0] == '<', equal = v->comparator[1] == '=';

    v->score = isnan(v->p) && !small ? v->statistic : v->p_adjusted;
    if (isnan(v->score)) {
        /* What Evidently computes as NaN is not drifted there; what it refuses is undecided. */
        bool refused = v->reason && isnan(v->statistic);
        v->outcome = v->profile == DRIFT_EVIDENTLY && !refused ? DRIFT_ABSENT : DRIFT_UNDECIDED;
        if (!v->reason)
            v->reason = "the statistic is not a number";
        return;
    }
    bool drift = small ? v->score < v->threshold : v->score >= v->threshold;
    if (small && equal && v->score == v->threshold)
        drift = true;
    v->outcome = drift ? DRIFT_FOUND : DRIFT_ABSENT;
}

static void
finish(struct drift_verdict *v, double threshold)
{
    v->threshold = isnan(threshold) ? drift_threshold(v->profile, v->method) : threshold;
    v->p_adjusted = v->p;
    switch (v->method) {
    case DRIFT_KS:
        v->comparator = v->profile == DRIFT_EVIDENTLY ? "<=" : "<";
        break;
    case DRIFT_CHI2_CONTINGENCY:
    case DRIFT_CHISQUARE:
    case DRIFT_Z:
        v->comparator = "<";
        break;
    default:
        v->comparator = ">=";
    }
    drift_decide(v);
}

static struct drift_verdict
blank(enum drift_profile profile, enum drift_method method)
{
    return (struct drift_verdict){.profile = profile,
                                  .method = method,
                                  .variant = "",
                                  .nan_policy =
                                      profile == DRIFT_NATIVE ? "a finding of its own" : "dropped",
                                  .family = 1,
                                  .statistic = NAN,
                                  .p = NAN,
                                  .p_adjusted = NAN,
                                  .score = NAN};
}

void
drift_compare(const struct drift_column *ref, const struct drift_column *cur,
              const struct drift_plan *plan, struct drift_verdict *verdict)
{
    struct drift_verdict v = blank(plan->profile, plan->method);
    struct pair pair = {.kind = ref->codes || cur->codes ? DRIFT_CATEGORICAL : ref->kind};
    bool chosen = plan->method == DRIFT_AUTO;
    bool drop = plan->profile == DRIFT_EVIDENTLY ||
                (plan->profile == DRIFT_NATIVE && plan->method == DRIFT_WASSERSTEIN);

    sample_open(&pair.ref, ref, !drop);
    sample_open(&pair.cur, cur, !drop);
    v.n_ref = pair.ref.count;
    v.n_cur = pair.cur.count;
    v.missing_ref = pair.ref.missing;
    v.missing_cur = pair.cur.missing;
    v.infinite_ref = pair.ref.infinite;
    v.infinite_cur = pair.cur.infinite;
    v.infinite_policy = drop ? "dropped" : "kept";
    if (chosen && v.n_ref && v.n_cur)
        v.method = choose(&pair, plan->profile);
    if (!v.n_ref || !v.n_cur)
        v.reason = v.n_ref ? "the current column has no value" : "the reference has no value";
    else
        v.reason = not_applicable(&pair, &v, chosen);
    if (!v.reason && v.method == DRIFT_KS)
        test_ks(&pair.ref, &pair.cur, &v);
    else if (!v.reason && v.method == DRIFT_WASSERSTEIN)
        by_transport(&pair, &v);
    else if (!v.reason)
        by_counts(&pair, &v);
    finish(&v, plan->threshold);
    sample_done(&pair.ref);
    sample_done(&pair.cur);
    *verdict = v;
}

void
drift_compare_missing(const struct drift_column *ref, const struct drift_column *cur,
                      double threshold, struct drift_verdict *verdict)
{
    struct drift_verdict v = blank(DRIFT_NATIVE, DRIFT_CHI2_CONTINGENCY);
    struct sample r, c;
    uint64_t in_ref[2], in_cur[2];
    struct counts t = {.bins = 2, .ref = in_ref, .cur = in_cur};

    sample_open(&r, ref, true);
    sample_open(&c, cur, true);
    in_ref[0] = v.missing_ref = r.missing;
    in_cur[0] = v.missing_cur = c.missing;
    in_ref[1] = r.count;
    in_cur[1] = c.count;
    v.n_ref = t.n_ref = r.count + r.missing;
    v.n_cur = t.n_cur = c.count + c.missing;
    v.infinite_ref = r.infinite;
    v.infinite_cur = c.infinite;
    v.infinite_policy = "kept";
    v.nan_policy = "compared";
    v.bin_rule = "missing, present";
    v.bins = 2;
    sample_done(&r);
    sample_done(&c);
    drop_empty(&t);
    if (t.n_ref && t.n_cur)
        test_contingency(&t, false, &v);
    else
        v.reason = "there are no rows";
    finish(&v, threshold);
    *verdict = v;
}
