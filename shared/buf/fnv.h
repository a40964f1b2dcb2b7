/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fnv.h - FNV-1a, 64 bit (G. Fowler, L. C. Noll, K.-P. Vo; draft-eastlake-fnv): places in hash
 * tables, and digests that tell two runs of bytes apart. Stored digests (references, windows) depend
 * on it, so it stays as it is. Whoever chooses the bytes can make them collide. Any thread.
 *
 *     uint64_t hash = fnv(FNV_START, name, strlen(name));
 *     hash = fnv(hash, more, more_len);   the same as over both, one after the other
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FNV_START UINT64_C(14695981039346656037)

static inline uint64_t
fnv(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ p[i]) * UINT64_C(1099511628211);
    return hash;
}
