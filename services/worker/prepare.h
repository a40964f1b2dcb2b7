/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prepare.h - what is in a task's folder: the archive unpacked, the inputs copied into it.
 *
 * Copies, not links: what a task does to its inputs stays in its folder.
 */
#pragma once

#include "cache.h"
#include "gateway.h"

struct prepare_options {
    const Lease *lease;
    const char *folder; /* folders.h */
    struct cache *cache;
    cache_fetch fetch;
    void *fetch_arg;
    const _Atomic bool *give_up;
};

/* ERR_INVALID: a name that is not one, a hostile archive; errors of cache_get(). */
MUST_CHECK enum err_code prepare_contents(const struct prepare_options *options, struct err *err);
