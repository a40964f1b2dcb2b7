/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sort.c - order statistics of doubles by their bit patterns.
 *
 * Flipped once (the sign bit of positive numbers, all bits of negative ones) the patterns order
 * like the numbers, so a radix sort needs no comparison. Three passes of 11 bits order by the leading
 * 33; the few neighbours that agree in those and are not in order are settled by insertion, and
 * where they are many, all six passes are made.
 */
#include "drift/internal.h"

#include <stdlib.h>
#include <string.h>

#define DIGIT_BITS 11
#define DIGITS 6
#define BUCKETS (1u << DIGIT_BITS)
#define LEADING 3 /* the first digit of the leading ones */
#define SHIFT(digit) ((digit) ? (digit)*DIGIT_BITS - 2 : 0) /* 9 + 5 * 11 bits */
#define DIGIT(key, digit) ((key) >> SHIFT(digit) & (BUCKETS - 1))
#define MOVES_MAX 4
#define SMALL 48
#define TOP_BITS 16

static inline uint64_t
to_key(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits ^ ((uint64_t)((int64_t)bits >> 63) | 0x8000000000000000u);
}

static inline double
from_key(uint64_t key)
{
    uint64_t bits = key ^ (((key >> 63) - 1) | 0x8000000000000000u);
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void
insertion_sort(double *values, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        double value = values[i];
        size_t j = i;
        for (; j > 0 && values[j - 1] > value; j--)
            values[j] = values[j - 1];
        values[j] = value;
    }
}

/* How often each digit from first on is what. Without a loop over digits, which would take most of the time. */
static void
count_digits(const uint64_t *keys, size_t count, unsigned first, uint32_t (*seen)[BUCKETS])
{
    for (size_t i = 0; i < count; i++) {
        seen[3][DIGIT(keys[i], 3)]++;
        seen[4][DIGIT(keys[i], 4)]++;
        seen[5][DIGIT(keys[i], 5)]++;
    }
    for (size_t i = 0; first == 0 && i < count; i++) {
        seen[0][DIGIT(keys[i], 0)]++;
        seen[1][DIGIT(keys[i], 1)]++;
        seen[2][DIGIT(keys[i], 2)]++;
    }
}

/* A stable pass for each digit from first on, 0 or LEADING. */
static void
radix_passes(uint64_t **keys, uint64_t **spare, size_t count, unsigned first)
{
    uint32_t(*seen)[BUCKETS] = mem_calloc(DIGITS, sizeof(*seen));
    uint64_t *from = *keys, *to = *spare;

    count_digits(from, count, first, seen);
    for (unsigned d = first; d < DIGITS; d++) {
        uint32_t *bucket = seen[d], at = 0;
        if (bucket[DIGIT(from[0], d)] == count)
            continue;
        for (size_t b = 0; b < BUCKETS; b++) {
            uint32_t here = bucket[b];
            bucket[b] = at;
            at += here;
        }
        for (size_t i = 0; i < count; i++)
            to[bucket[DIGIT(from[i], d)]++] = from[i];
        uint64_t *t = from;
        from = to;
        to = t;
    }
    *keys = from;
    *spare = to;
    free(seen);
}

/* False: more than a few moves a key would be needed. */
static bool
settle(uint64_t *keys, size_t count)
{
    size_t moves = 0;

    for (size_t i = 1; i < count; i++) {
        uint64_t key = keys[i];
        size_t j = i;
        for (; j > 0 && keys[j - 1] > key && moves <= MOVES_MAX * count; j--) {
            keys[j] = keys[j - 1];
            moves++;
        }
        keys[j] = key;
        if (moves > MOVES_MAX * count)
            return false;
    }
    return true;
}

void
sort_doubles(const double *values, size_t count, double *sorted)
{
    if (count < SMALL) {
        for (size_t i = 0; i < count; i++)
            sorted[i] = values[i];
        insertion_sort(sorted, count);
        return;
    }
    /* The result's own memory is one of the two that the passes go back and forth between. */
    CLEANUP(mem_free) uint64_t *other = mem_alloc(count * sizeof(*other));
    uint64_t *keys = (uint64_t *)(void *)sorted, *spare = other;
    for (size_t i = 0; i < count; i++)
        keys[i] = to_key(values[i]);
    radix_passes(&keys, &spare, count, LEADING);
    if (!settle(keys, count))
        radix_passes(&keys, &spare, count, 0);
    for (size_t i = 0; i < count; i++)
        sorted[i] = from_key(keys[i]);
}

/* Only the buckets (by leading bits) in which a rank falls are gathered and sorted. */
void
select_ranks(const double *values, size_t count, const size_t *ranks, size_t rank_count,
             double *out)
{
    uint32_t *seen = mem_calloc((size_t)1 << TOP_BITS, sizeof(*seen));
    bool *wanted = mem_calloc((size_t)1 << TOP_BITS, sizeof(*wanted));
    size_t before = 0, gathered = 0, r = 0, skipped[RANKS_MAX];

    for (size_t i = 0; i < count; i++)
        seen[to_key(values[i]) >> (64 - TOP_BITS)]++;
    /* skipped: how many smaller values will not be gathered. */
    for (size_t b = 0; r < rank_count; b++) {
        for (; r < rank_count && ranks[r] < before + seen[b]; r++) {
            wanted[b] = true;
            skipped[r] = before - gathered;
        }
        before += seen[b];
        if (wanted[b])
            gathered += seen[b];
    }
    double *near = mem_alloc((gathered + 1) * sizeof(*near));
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        near[n] = values[i];
        n += wanted[to_key(values[i]) >> (64 - TOP_BITS)];
    }
    sort_doubles(near, gathered, near);
    for (r = 0; r < rank_count; r++)
        out[r] = near[ranks[r] - skipped[r]];
    free(near);
    free(seen);
    free(wanted);
}
