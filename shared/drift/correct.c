/* SPDX-License-Identifier: Apache-2.0 */
/*
 * correct.c - many tests at once.
 *
 * S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6, 1979.
 * Y. Benjamini, Y. Hochberg, "Controlling the false discovery rate", JRSS B 57, 1995.
 */
#include "drift/internal.h"

#include <math.h>
#include <stdlib.h>

struct ranked {
    double p;
    size_t at;
};

static int
by_p(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;

    return (x->p > y->p) - (x->p < y->p);
}

void
drift_adjust(const double *p, size_t count, enum drift_correction correction, double *adjusted)
{
    struct ranked *order;

    if (correction == DRIFT_CORRECT_NONE || count == 0) {
        for (size_t i = 0; i < count; i++)
            adjusted[i] = p[i];
        return;
    }
    order = mem_calloc(count, sizeof(*order));
    for (size_t i = 0; i < count; i++)
        order[i] = (struct ranked){p[i], i};
    qsort(order, count, sizeof(*order), by_p);
    if (correction == DRIFT_HOLM) {
        double least = 0; /* never below that of a smaller p */
        for (size_t i = 0; i < count; i++) {
            least = fmax(least, fmin(order[i].p * (double)(count - i), 1));
            adjusted[order[i].at] = least;
        }
    } else {
        double most = 1; /* never above that of a greater p */
        for (size_t i = count; i-- > 0;) {
            most = fmin(most, order[i].p * (double)count / (double)(i + 1));
            adjusted[order[i].at] = most;
        }
    }
    free(order);
}

void
drift_correct(struct drift_verdict *const *verdicts, size_t count, enum drift_correction correction)
{
    double *p = mem_calloc(count + 1, sizeof(*p));
    size_t n = 0;

    for (size_t i = 0; i < count; i++)
        if (!isnan(verdicts[i]->p))
            p[n++] = verdicts[i]->p;
    drift_adjust(p, n, correction, p);
    for (size_t i = 0, k = 0; i < count; i++) {
        struct drift_verdict *v = verdicts[i];
        if (isnan(v->p))
            continue;
        v->correction = correction;
        v->family = correction == DRIFT_CORRECT_NONE ? 1 : n;
        v->p_adjusted = p[k++];
        drift_decide(v);
    }
    free(p);
}
