/* SPDX-License-Identifier: Apache-2.0 */
/*
 * performance.h - how good are predictions? Outputs and labels in, metrics out.
 *
 * The numbers are scikit-learn's (sklearn.metrics, to 1e-12):
 *
 *   accuracy   share of rows whose predicted class is the label's
 *   precision  tp / (tp + fp); 0 when no row is predicted positive, as zero_division does by default
 *   recall     tp / (tp + fn); 0 when no label is positive
 *   f1         2 tp / (2 tp + fp + fn); 0 when the divisor is
 *   auc        probability that a positive row has a greater output than a negative one, ties
 *              counting half: the Mann-Whitney U by midranks (Hanley, McNeil 1982, Radiology 143)
 *   log_loss   mean of -ln of the probability of the label's class, outputs clipped to
 *              [2^-52, 1 - 2^-52] as sklearn does with doubles, classes 0 and 1 both known
 *   rmse, mae  root of the mean square, and mean, of output - label
 *
 * Of a classification labels are 0 or 1, and a row is predicted positive when its output is greater
 * than the threshold. Outputs and labels must be finite. Where a metric does not exist it is NaN
 * and a reason says why. Nothing here fails, logs or keeps state; any thread. O(n log n).
 */
#pragma once

#include "drift/drift.h"

enum performance_metric {
    PERFORMANCE_ACCURACY,
    PERFORMANCE_PRECISION,
    PERFORMANCE_RECALL,
    PERFORMANCE_F1,
    PERFORMANCE_AUC,
    PERFORMANCE_LOG_LOSS,
    PERFORMANCE_RMSE,
    PERFORMANCE_MAE,
    PERFORMANCE_METRICS
};
const char *performance_name(enum performance_metric metric);
bool performance_from_name(const char *name, enum performance_metric *metric);
bool performance_of_classes(enum performance_metric metric); /* else of a regression */

struct performance_row {
    double output, label;
};

struct performance {
    double value[PERFORMANCE_METRICS];       /* NaN: not defined */
    const char *reason[PERFORMANCE_METRICS]; /* static; why not, else NULL */
    size_t positives;
};
/* Of at least one row, sorted by output on return. */
struct performance performance_classes(struct performance_row *rows, size_t count,
                                       double threshold);
struct performance performance_numbers(const struct performance_row *rows, size_t count);

/* What a metric may be. */
struct performance_bounds {
    enum performance_metric metric;
    double limit;    /* not worse than this; 0: no limit */
    double max_drop; /* nor by more than this worse than the baseline; 0: no such bound */
};
/* DRIFT_FOUND: degraded. *bound: the one that was compared, the stricter of two; NaN: none.
 * *reason: static, why DRIFT_UNDECIDED, else NULL. baseline NaN: there is none. */
enum drift_outcome performance_judge(const struct performance_bounds *bounds,
                                     const struct performance *window, double baseline,
                                     double *bound, const char **reason);
