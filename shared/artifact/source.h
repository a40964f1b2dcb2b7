/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source.h - where the bytes of a model come from: the gateway, or a store's folder.
 */
#pragma once

#include "buf/buf.h"

struct source;
/* url: "http://host:port" of a gateway (GET <url>/api/v1/artifacts/<uri>, token as bearer when not
 * NULL), or "file:///folder" of an artifact store; NULL: none, every fetch is ERR_UNAVAILABLE. */
MUST_CHECK enum err_code source_open(struct source **source, const char *url, const char *token,
                                     uint64_t max_bytes, struct err *err);
void source_free(struct source *source);
CLEANUP_DEFINE(struct source, source_free)

/* The whole artifact, its digest verified. Blocks. ERR_NOT_FOUND, ERR_UNAVAILABLE, ERR_TOO_LARGE,
 * ERR_INVALID (digest). */
MUST_CHECK enum err_code source_fetch(struct source *source, const char *uri, struct buf *bytes,
                                      struct err *err);
