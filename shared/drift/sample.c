/* SPDX-License-Identifier: Apache-2.0 */
/* sample.c - which values of a column take part, and how many different ones there are. */
#include "drift/internal.h"

#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 256 /* of the table of different values; limit is far below */
#define LIMIT_MAX 64
#define KEPT_BYTES (1 << 30)

static void
open_numbers(struct sample *s, const struct drift_column *column, bool keep_infinite)
{
    const double *v = column->numbers;
    size_t odd = 0;

    for (size_t i = 0; i < column->rows; i++)
        odd += !(fabs(v[i]) <= 0x1.fffffffffffffp1023);
    s->values = v;
    s->count = column->rows;
    if (!odd)
        return;
    s->owned_values = mem_alloc(column->rows * sizeof(double));
    s->values = s->owned_values;
    s->count = 0;
    for (size_t i = 0; i < column->rows; i++) {
        bool infinite = isinf(v[i]) != 0;
        s->missing += isnan(v[i]) != 0;
        s->infinite += infinite;
        if (!isnan(v[i]) && (keep_infinite || !infinite))
            s->owned_values[s->count++] = v[i];
    }
}

static void
open_codes(struct sample *s, const struct drift_column *column)
{
    s->codes = column->codes;
    s->count = column->rows;
    for (size_t i = 0; i < column->rows; i++)
        s->missing += column->codes[i] == DRIFT_MISSING;
    if (s->missing == column->missing)
        return;
    s->owned_codes = mem_alloc(column->rows * sizeof(uint32_t));
    s->codes = s->owned_codes;
    s->count = 0;
    for (size_t i = 0; i < column->rows; i++)
        if (column->codes[i] != DRIFT_MISSING)
            s->owned_codes[s->count++] = column->codes[i];
}

void
sample_open(struct sample *sample, const struct drift_column *column, bool keep_infinite)
{
    *sample = (struct sample){.missing = column->missing, .integers = column->integers};
    if (column->codes)
        open_codes(sample, column);
    else if (column->numbers)
        open_numbers(sample, column, keep_infinite);
}

void
sample_done(struct sample *sample)
{
    free(sample->owned_values);
    free(sample->owned_codes);
}

double *
sample_sorted(const struct sample *sample)
{
    double *sorted = mem_alloc((sample->count + 1) * sizeof(*sorted));

    sort_doubles(sample->values, sample->count, sorted);
    return sorted;
}

struct seen {
    uint64_t keys[SLOTS];
    bool used[SLOTS];
    size_t count;
};

static void
see(struct seen *seen, uint64_t key)
{
    size_t slot = (key * 0x9E3779B97F4A7C15u) >> 56;

    while (seen->used[slot] && seen->keys[slot] != key)
        slot = (slot + 1) % SLOTS;
    seen->count += !seen->used[slot];
    seen->used[slot] = true;
    seen->keys[slot] = key;
}

static void
see_all(struct seen *seen, const struct sample *s, size_t limit)
{
    uint64_t last = 0;

    for (size_t i = 0; i < s->count && seen->count <= limit; i++) {
        uint64_t key;
        if (s->codes) {
            key = s->codes[i];
        } else {
            double value = s->values[i] + 0.0; /* -0.0 becomes 0.0 */
            memcpy(&key, &value, sizeof(key));
        }
        if (key != last || !seen->count)
            see(seen, key);
        last = key;
    }
}

size_t
count_distinct(const struct sample *a, const struct sample *b, size_t limit)
{
    struct seen seen = {0};

    limit = limit > LIMIT_MAX ? LIMIT_MAX : limit;
    see_all(&seen, a, limit);
    if (b)
        see_all(&seen, b, limit);
    return seen.count;
}

size_t
few_values(const struct sample *sample, size_t limit, double *values)
{
    struct seen seen = {0};
    size_t k = 0;

    see_all(&seen, sample, limit);
    if (seen.count > limit)
        return seen.count;
    for (size_t slot = 0; slot < SLOTS; slot++)
        if (seen.used[slot])
            memcpy(&values[k++], &seen.keys[slot], sizeof(*values));
    sort_doubles(values, k, values);
    return k;
}

size_t
distinct_values(const struct sample *a, const struct sample *b, double **out)
{
    size_t n = a->count + b->count, k = 0;
    double *all = mem_alloc((n + 1) * sizeof(*all));

    for (size_t i = 0; i < a->count; i++)
        all[i] = a->values[i] + 0.0;
    for (size_t i = 0; i < b->count; i++)
        all[a->count + i] = b->values[i] + 0.0;
    sort_doubles(all, n, all);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || all[i] != all[k - 1])
            all[k++] = all[i];
    *out = all;
    return k;
}

size_t
drift_distinct(const struct drift_column *ref, const struct drift_column *cur, size_t limit)
{
    struct sample r, c;

    sample_open(&r, ref, false);
    sample_open(&c, cur, false);
    size_t count = count_distinct(&r, &c, limit);
    sample_done(&r);
    sample_done(&c);
    return count;
}

uint64_t
drift_digest(const struct drift_column *column)
{
    if (column->codes)
        return fnv(FNV_START, column->codes, column->rows * sizeof(*column->codes));
    return fnv(FNV_START, column->numbers, column->rows * sizeof(*column->numbers));
}

void
drift_keep_memory(void)
{
    mallopt(M_MMAP_THRESHOLD, KEPT_BYTES);
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
}
