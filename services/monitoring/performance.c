/* SPDX-License-Identifier: Apache-2.0 */
/* performance.c - metrics of predictions and labels, and whether they are good enough. */
#include "performance.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    bool classes, greater; /* greater is better */
} metrics[PERFORMANCE_METRICS] = {
    [PERFORMANCE_ACCURACY] = {"accuracy", true, true},
    [PERFORMANCE_PRECISION] = {"precision", true, true},
    [PERFORMANCE_RECALL] = {"recall", true, true},
    [PERFORMANCE_F1] = {"f1", true, true},
    [PERFORMANCE_AUC] = {"auc", true, true},
    [PERFORMANCE_LOG_LOSS] = {"log_loss", true, false},
    [PERFORMANCE_RMSE] = {"rmse", false, false},
    [PERFORMANCE_MAE] = {"mae", false, false},
};

const char *
performance_name(enum performance_metric metric)
{
    return metrics[metric].name;
}

bool
performance_from_name(const char *name, enum performance_metric *metric)
{
    for (enum performance_metric m = 0; m < PERFORMANCE_METRICS; m++)
        if (strcmp(metrics[m].name, name) == 0) {
            *metric = m;
            return true;
        }
    return false;
}

bool
performance_of_classes(enum performance_metric metric)
{
    return metrics[metric].classes;
}

/* ---- metrics ---- */

/* A sum whose error does not grow with the number of its terms (Neumaier 1974). */
struct sum {
    double sum, lost;
};

static void
add(struct sum *s, double x)
{
    double sum = s->sum + x;

    s->lost += fabs(s->sum) >= fabs(x) ? (s->sum - sum) + x : (x - sum) + s->sum;
    s->sum = sum;
}

static double
mean(const struct sum *s, size_t count)
{
    return (s->sum + s->lost) / (double)count;
}

static void
set_none(struct performance *p, enum performance_metric metric, const char *reason)
{
    p->value[metric] = NAN;
    p->reason[metric] = reason;
}

static int
by_output(const void *a, const void *b)
{
    double x = ((const struct performance_row *)a)->output;
    double y = ((const struct performance_row *)b)->output;

    return (x > y) - (x < y);
}

/* Ranks are counted in halves, so that everything up to the division is exact. */
static double
auc(const struct performance_row *rows, size_t count, size_t positives)
{
    uint64_t halves = 0; /* twice the ranks of positive rows */

    for (size_t i = 0, end; i < count; i = end) {
        size_t of_class = 0;
        for (end = i; end < count && rows[end].output == rows[i].output; end++)
            of_class += rows[end].label == 1;
        halves += of_class * (i + 1 + end);
    }
    uint64_t least = (uint64_t)positives * (positives + 1);
    return (double)(halves - least) / 2 / ((double)positives * (double)(count - positives));
}

static double
log_loss(const struct performance_row *rows, size_t count)
{
    struct sum loss = {0};

    for (size_t i = 0; i < count; i++) {
        double p = fmin(fmax(rows[i].output, DBL_EPSILON), 1 - DBL_EPSILON);
        add(&loss, -log(rows[i].label == 1 ? p : 1 - p));
    }
    return mean(&loss, count);
}

static double
share(size_t part, size_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

struct performance
performance_classes(struct performance_row *rows, size_t count, double threshold)
{
    size_t tp = 0, fp = 0, fn = 0;
    struct performance p = {0};

    qsort(rows, count, sizeof(*rows), by_output);
    for (size_t i = 0; i < count; i++) {
        bool predicted = rows[i].output > threshold, positive = rows[i].label == 1;
        tp += predicted && positive;
        fp += predicted && !positive;
        fn += !predicted && positive;
    }
    p.positives = tp + fn;
    p.value[PERFORMANCE_ACCURACY] = share(count - fp - fn, count);
    p.value[PERFORMANCE_PRECISION] = share(tp, tp + fp);
    p.value[PERFORMANCE_RECALL] = share(tp, tp + fn);
    p.value[PERFORMANCE_F1] = share(2 * tp, 2 * tp + fp + fn);
    if (p.positives == 0 || p.positives == count)
        set_none(&p, PERFORMANCE_AUC, "all labels of the window are of one class");
    else
        p.value[PERFORMANCE_AUC] = auc(rows, count, p.positives);
    if (rows[0].output < 0 || rows[count - 1].output > 1)
        set_none(&p, PERFORMANCE_LOG_LOSS, "the outputs are not probabilities");
    else
        p.value[PERFORMANCE_LOG_LOSS] = log_loss(rows, count);
    set_none(&p, PERFORMANCE_RMSE, "a classification");
    set_none(&p, PERFORMANCE_MAE, "a classification");
    return p;
}

struct performance
performance_numbers(const struct performance_row *rows, size_t count)
{
    struct sum squares = {0}, sizes = {0};
    struct performance p = {0};

    for (size_t i = 0; i < count; i++) {
        double difference = rows[i].output - rows[i].label;
        add(&squares, difference * difference);
        add(&sizes, fabs(difference));
    }
    p.value[PERFORMANCE_RMSE] = sqrt(mean(&squares, count));
    p.value[PERFORMANCE_MAE] = mean(&sizes, count);
    for (enum performance_metric m = 0; m < PERFORMANCE_METRICS; m++)
        if (metrics[m].classes)
            set_none(&p, m, "a regression");
        else if (!isfinite(p.value[m]))
            set_none(&p, m, "outputs and labels differ by more than a double holds");
    return p;
}

/* ---- bounds ---- */

enum drift_outcome
performance_judge(const struct performance_bounds *bounds, const struct performance *window,
                  double baseline, double *bound, const char **reason)
{
    bool greater = metrics[bounds->metric].greater;
    double value = window->value[bounds->metric];
    double limit = bounds->limit != 0 ? bounds->limit : NAN;
    double dropped =
        bounds->max_drop > 0 ? baseline + (greater ? -bounds->max_drop : bounds->max_drop) : NAN;

    /* fmax() and fmin() pass a NaN by. */
    *bound = greater ? fmax(limit, dropped) : fmin(limit, dropped);
    *reason = NULL;
    if (isnan(value))
        *reason = window->reason[bounds->metric];
    else if (isnan(*bound))
        *reason = bounds->max_drop > 0 ? "there is no window to compare with"
                                       : "neither limit nor max_drop is set: only measured";
    if (*reason)
        return DRIFT_UNDECIDED;
    return (greater ? value < *bound : value > *bound) ? DRIFT_FOUND : DRIFT_ABSENT;
}
