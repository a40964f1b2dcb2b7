/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.h - artifacts that tasks have needed, in a folder, by their digest.
 *
 * Bounded: after each new one the least recently used go until max_bytes are kept. What is
 * not verified is not kept. Several threads may ask for the same artifact: it is fetched once. A
 * descriptor stays good when its file goes.
 */
#pragma once

#include "err/err.h"

struct cache;
/* folder is made when it is not there. */
MUST_CHECK enum err_code cache_open(struct cache **cache, const char *folder, uint64_t max_bytes,
                                    struct err *err);
void cache_free(struct cache *cache);
CLEANUP_DEFINE(struct cache, cache_free)

/* Writes the artifact to path. */
typedef enum err_code (*cache_fetch)(void *arg, const char *uri, const char *path, struct err *err);

/* *fd: the artifact, read-only, the caller's. Errors of fetch; ERR_INVALID: not a URI, or bytes of another
 * digest; ERR_CANCELLED: *give_up became true while another thread fetched. */
MUST_CHECK enum err_code cache_get(struct cache *cache, const char *uri, cache_fetch fetch,
                                   void *arg, const _Atomic bool *give_up, int *fd,
                                   struct err *err);
