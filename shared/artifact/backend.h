/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend.h - what a place that keeps artifacts must be able to do; private to artifact/.
 *
 * artifact.c owns digests, bounds and URIs; a backend moves bytes. hex is the digest,
 * already checked. One row a URL scheme in artifact.c.
 */
#pragma once

#include "artifact/artifact.h"

struct artifact_backend {
    const char *scheme; /* "file://" */
    enum err_code (*open)(const char *location, void **store, struct err *err);
    void (*close)(void *store);
    /* An upload whose name is known only at its end. */
    enum err_code (*begin)(void *store, void **upload, struct err *err);
    enum err_code (*append)(void *upload, const void *data, size_t len, struct err *err);
    /* Durable and visible under hex, or not at all; the upload is gone in both cases. */
    enum err_code (*commit)(void *upload, const char *hex, struct err *err);
    void (*discard)(void *upload);
    enum err_code (*stat)(void *store, const char *hex, uint64_t *bytes, struct err *err);
    enum err_code (*read)(void *store, const char *hex, int *fd, uint64_t *bytes, struct err *err);
};

extern const struct artifact_backend artifact_file_backend;

/* Shared by backends: all of data into fd; a full disk is ERR_UNAVAILABLE. */
MUST_CHECK enum err_code artifact_write_all(int fd, const void *data, size_t len, struct err *err);
/* ERR_UNAVAILABLE, ERR_INTERNAL … by errno, with "what path: reason". */
enum err_code artifact_io_error(struct err *err, const char *what, const char *path);
/* fsync of the folder that holds path, so that a rename there lasts. */
MUST_CHECK enum err_code artifact_sync_folder(const char *folder, struct err *err);
