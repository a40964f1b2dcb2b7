/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.c - counts to draw; no verdict looks at them. */
#include "drift/internal.h"

#include <math.h>

static void
range_of(const struct drift_column *column, double *low, double *high)
{
    for (size_t i = 0; i < column->rows; i++) {
        double value = column->numbers[i];
        if (!isfinite(value))
            continue;
        *low = fmin(*low, value);
        *high = fmax(*high, value);
    }
}

static void
count_numbers(const struct drift_column *column, double low, double high, size_t bins,
              uint64_t *counts)
{
    /* Halves, so that the width of the whole range of a double is finite. */
    double width = high / 2 - low / 2;

    for (size_t i = 0; i < column->rows; i++) {
        double value = column->numbers[i];
        if (!isfinite(value))
            continue;
        double at = width > 0 ? (value / 2 - low / 2) / width * (double)bins : 0;
        size_t bin = at >= (double)bins ? bins - 1 : (size_t)at;
        counts[bin]++;
    }
}

static void
count_codes(const struct drift_column *column, size_t bins, uint64_t *counts)
{
    for (size_t i = 0; i < column->rows; i++)
        if (column->codes[i] != DRIFT_MISSING)
            counts[column->codes[i] < bins ? column->codes[i] : bins - 1]++;
}

void
drift_histogram(const struct drift_column *ref, const struct drift_column *cur, size_t bins,
                uint64_t *ref_counts, uint64_t *cur_counts, double *low, double *high)
{
    double least = INFINITY, most = -INFINITY;

    for (size_t i = 0; i < bins; i++)
        ref_counts[i] = cur_counts[i] = 0;
    if (ref->codes || cur->codes) {
        count_codes(ref, bins, ref_counts);
        count_codes(cur, bins, cur_counts);
        return;
    }
    range_of(ref, &least, &most);
    range_of(cur, &least, &most);
    if (least > most)
        return;
    count_numbers(ref, least, most, bins, ref_counts);
    count_numbers(cur, least, most, bins, cur_counts);
    *low = least;
    *high = most;
}
