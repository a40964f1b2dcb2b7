/* SPDX-License-Identifier: Apache-2.0 */
/* counts.c - how often each different value or category was met on either side. */
#include "drift/internal.h"

#include <math.h>
#include <stdlib.h>

void
counts_done(struct counts *counts)
{
    free(counts->ref);
    free(counts->cur);
}

static void
count_codes(const struct sample *ref, const struct sample *cur, struct counts *counts,
            uint64_t *digest)
{
    const struct sample *sides[] = {ref, cur};
    size_t most = 0;

    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < sides[s]->count; i++)
            if (sides[s]->codes[i] >= most)
                most = (size_t)sides[s]->codes[i] + 1;
    counts->ref = mem_calloc(most + 1, sizeof(uint64_t));
    counts->cur = mem_calloc(most + 1, sizeof(uint64_t));
    for (size_t i = 0; i < ref->count; i++)
        counts->ref[ref->codes[i]]++;
    for (size_t i = 0; i < cur->count; i++)
        counts->cur[cur->codes[i]]++;
    for (size_t code = 0; code < most; code++) {
        if (!counts->ref[code] && !counts->cur[code])
            continue;
        counts->ref[counts->bins] = counts->ref[code];
        counts->cur[counts->bins++] = counts->cur[code];
        *digest = fnv(*digest, &code, sizeof(code));
    }
}

static size_t
run_length(const double *sorted, size_t at, size_t count, double value)
{
    size_t i = at;

    while (i < count && sorted[i] == value)
        i++;
    return i - at;
}

static void
count_numbers(const struct sample *ref, const struct sample *cur, struct counts *counts,
              uint64_t *digest)
{
    double *r = sample_sorted(ref), *c = sample_sorted(cur);
    size_t room = ref->count + cur->count + 1, i = 0, j = 0;

    counts->ref = mem_calloc(room, sizeof(uint64_t));
    counts->cur = mem_calloc(room, sizeof(uint64_t));
    while (i < ref->count || j < cur->count) {
        double value = j == cur->count || (i < ref->count && r[i] <= c[j]) ? r[i] : c[j];
        size_t in_ref = run_length(r, i, ref->count, value);
        size_t in_cur = run_length(c, j, cur->count, value);
        counts->ref[counts->bins] = in_ref;
        counts->cur[counts->bins++] = in_cur;
        i += in_ref;
        j += in_cur;
        value += 0.0;
        *digest = fnv(*digest, &value, sizeof(value));
    }
    free(r);
    free(c);
}

void
count_values(const struct sample *ref, const struct sample *cur, struct counts *counts,
             uint64_t *digest)
{
    *counts = (struct counts){.n_ref = ref->count, .n_cur = cur->count};
    *digest = FNV_START;
    if (ref->codes || cur->codes)
        count_codes(ref, cur, counts, digest);
    else
        count_numbers(ref, cur, counts, digest);
}
