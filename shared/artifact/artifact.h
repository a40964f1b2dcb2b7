/* SPDX-License-Identifier: Apache-2.0 */
/*
 * artifact.h - a content-addressed store of artifacts.
 *
 * An artifact is named by the SHA-256 of its bytes, "sha256:<64 hex>" (its URI). Putting
 * the same bytes twice is one object. A write appears whole or not at all: bytes go to a
 * temporary file, are digested on the way, synced, and renamed. Reading verifies the
 * digest when the whole is read through artifact_fetch(). The backend is chosen by URL:
 * "file:///path" now; "s3://bucket/prefix" fits behind the same functions.
 * Any thread; a writer belongs to one.
 */
#pragma once

#include "err/err.h"

#define ARTIFACT_URI_LEN 71 /* "sha256:" and 64 hex digits */

struct artifact_store;
MUST_CHECK enum err_code artifact_store_open(struct artifact_store **store, const char *url,
                                             struct err *err);
void artifact_store_free(struct artifact_store *store);
CLEANUP_DEFINE(struct artifact_store, artifact_store_free)

bool artifact_uri_valid(const char *uri);

struct artifact_writer;
/* max_bytes bounds the object: past it artifact_write() is ERR_TOO_LARGE. */
MUST_CHECK enum err_code artifact_create(struct artifact_store *store, uint64_t max_bytes,
                                         struct artifact_writer **writer, struct err *err);
MUST_CHECK enum err_code artifact_write(struct artifact_writer *writer, const void *data,
                                        size_t len, struct err *err);
/* Commit; uri is filled; expected (NULL allowed) must match, else ERR_INVALID and nothing is kept.
 * The writer is gone in every case. */
MUST_CHECK enum err_code artifact_finish(struct artifact_writer *writer, const char *expected,
                                         char uri[ARTIFACT_URI_LEN + 1], uint64_t *bytes,
                                         struct err *err);
void artifact_abort(struct artifact_writer *writer);
CLEANUP_DEFINE(struct artifact_writer, artifact_abort)

MUST_CHECK enum err_code artifact_stat(struct artifact_store *store, const char *uri,
                                       uint64_t *bytes, struct err *err);
/* A file descriptor at the start, for streaming (sendfile); the caller closes it. */
MUST_CHECK enum err_code artifact_open(struct artifact_store *store, const char *uri, int *fd,
                                       uint64_t *bytes, struct err *err);
/* Whole content into path (written beside it and renamed), digest verified. */
MUST_CHECK enum err_code artifact_fetch(struct artifact_store *store, const char *uri,
                                        const char *path, struct err *err);
/* Convenience for small contents. */
MUST_CHECK enum err_code artifact_put_bytes(struct artifact_store *store, const void *data,
                                            size_t len, char uri[ARTIFACT_URI_LEN + 1],
                                            struct err *err);
