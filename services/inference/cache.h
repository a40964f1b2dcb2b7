/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.h - the pod's folder: artifacts that it has fetched, and the desired states that it has heard.
 *
 *   DIR/artifacts/<64 hex>   bytes named by their SHA-256; verified at each read
 *   DIR/states/<hex of the endpoint's name>   a packed modelbus.deployment.v1.EndpointState
 *
 * Both make a restart without Kafka and without the artifact store possible. The artifacts are
 * bounded: the least recently used go first. Writes appear whole or not at all; a full
 * disk is an error that the caller may ignore. One thread at a time.
 */
#pragma once

#include "buf/buf.h"

struct cache;
MUST_CHECK enum err_code cache_open(struct cache **cache, const char *dir, uint64_t max_bytes,
                                    struct err *err);
void cache_free(struct cache *cache);
CLEANUP_DEFINE(struct cache, cache_free)

/* uri: "sha256:<64 hex>". ERR_NOT_FOUND: not there, or what was there was corrupt and is gone. */
MUST_CHECK enum err_code cache_load(struct cache *cache, const char *uri, struct buf *bytes,
                                    struct err *err);
MUST_CHECK enum err_code cache_store(struct cache *cache, const char *uri, const void *data,
                                     size_t len, struct err *err);

MUST_CHECK enum err_code cache_remember(struct cache *cache, const char *endpoint,
                                        const void *state, size_t len, struct err *err);
void cache_forget(struct cache *cache, const char *endpoint);
/* Each remembered state; unreadable ones are left out. Returns how many were handed out. */
size_t cache_each(struct cache *cache, void (*each)(void *arg, const void *state, size_t len),
                  void *arg);
