/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loader.h - the low-priority thread that brings endpoints to their desired state.
 *
 * loader_want() notes the newest state of an endpoint; the thread then gets the artifact (cache,
 * else source), verifies its digest, parses it, warms it up, swaps it in, and reports. Only the
 * newest state of an endpoint counts: those in between are never loaded. A target that fails
 * leaves the old model serving; when nothing is served the state's fallback is tried. Failures
 * that may pass (the store is away) are tried again with backoff until a newer state comes.
 *
 * Reports are modelbus.serving.v1.ModelLoaded and ModelLoadFailed, given to a callback on the
 * loader's thread, and kept for loader_report_again().
 */
#pragma once

#include "cache.h"
#include "endpoints.h"
#include "artifact/source.h"

#include "modelbus/deployment/v1/events.pb-c.h"

struct loader_options {
    struct endpoints *endpoints;
    struct cache *cache; /* NULL: none. The loader's alone once it has started */
    struct source *source;
    const char *pod, *address; /* borrowed */
    void (*report)(void *arg, const ProtobufCMessage *event);
    void *arg;
};

struct loader;
struct loader *loader_new(const struct loader_options *options);
void loader_start(struct loader *loader);
void loader_stop(struct loader *loader); /* waits for the load in hand; loads nothing more */
void loader_free(struct loader *loader);
CLEANUP_DEFINE(struct loader, loader_free)

/* Any thread; copies. What is reported of it has the thread's origin (events/origin.h). False: the
 * generation is not newer than what is known. */
bool loader_want(struct loader *loader, const Modelbus__Deployment__V1__EndpointState *state);
/* Any thread: the thread says again what it serves and what failed. */
void loader_report_again(struct loader *loader);
/* Any thread: every wanted endpoint has a model or a known failure. */
bool loader_settled(struct loader *loader);
/* Before loader_start(): want what the cache remembers. Returns how many states there were. */
size_t loader_recall(struct loader *loader);
