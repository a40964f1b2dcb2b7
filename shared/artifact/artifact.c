/* SPDX-License-Identifier: Apache-2.0 */
/* artifact.c - digests, bounds and names; bytes are moved by a backend chosen by URL. */
#include "artifact/artifact.h"

#include "artifact/backend.h"
#include "crypto/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define URI_SCHEME "sha256:"
#define URI_SCHEME_LEN 7
#define COPY_BYTES (64 << 10)

static const struct artifact_backend *const backends[] = {&artifact_file_backend};

struct artifact_store {
    const struct artifact_backend *backend;
    void *impl;
};

struct artifact_writer {
    const struct artifact_backend *backend;
    void *upload;
    struct sha256_stream *digest;
    uint64_t bytes, max_bytes;
};

enum err_code
artifact_store_open(struct artifact_store **store, const char *url, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
        size_t len = strlen(backends[i]->scheme);
        void *impl;
        if (strncmp(url, backends[i]->scheme, len) != 0)
            continue;
        if (backends[i]->open(url + len, &impl, err))
            return err->code;
        *store = mem_zalloc(sizeof(**store));
        (*store)->backend = backends[i];
        (*store)->impl = impl;
        return ERR_OK;
    }
    return err_set(err, ERR_INVALID, "artifact store '%s': expected file:///absolute/path", url);
}

void
artifact_store_free(struct artifact_store *store)
{
    if (!store)
        return;
    store->backend->close(store->impl);
    free(store);
}

bool
artifact_uri_valid(const char *uri)
{
    return uri && strncmp(uri, URI_SCHEME, URI_SCHEME_LEN) == 0 &&
           strspn(uri + URI_SCHEME_LEN, "0123456789abcdef") == SHA256_HEX &&
           uri[ARTIFACT_URI_LEN] == '\0';
}

static enum err_code
uri_hex(const char *uri, const char **hex, struct err *err)
{
    if (!artifact_uri_valid(uri))
        return err_set(err, ERR_INVALID,
                       "artifact '%.80s': expected sha256: and 64 lower-case hex digits",
                       uri ? uri : "");
    *hex = uri + URI_SCHEME_LEN;
    return ERR_OK;
}

enum err_code
artifact_create(struct artifact_store *store, uint64_t max_bytes, struct artifact_writer **writer,
                struct err *err)
{
    void *upload;

    if (store->backend->begin(store->impl, &upload, err))
        return err->code;
    *writer = mem_zalloc(sizeof(**writer));
    (*writer)->backend = store->backend;
    (*writer)->upload = upload;
    (*writer)->digest = sha256_stream_new();
    (*writer)->max_bytes = max_bytes;
    return ERR_OK;
}

enum err_code
artifact_write(struct artifact_writer *writer, const void *data, size_t len, struct err *err)
{
    if (len > writer->max_bytes - writer->bytes)
        return err_set(err, ERR_TOO_LARGE, "artifact is larger than %llu bytes",
                       (unsigned long long)writer->max_bytes);
    if (writer->backend->append(writer->upload, data, len, err))
        return err->code;
    sha256_stream_add(writer->digest, data, len);
    writer->bytes += len;
    return ERR_OK;
}

void
artifact_abort(struct artifact_writer *writer)
{
    if (!writer)
        return;
    if (writer->upload)
        writer->backend->discard(writer->upload);
    sha256_stream_free(writer->digest);
    free(writer);
}

enum err_code
artifact_finish(struct artifact_writer *taken, const char *expected, char uri[ARTIFACT_URI_LEN + 1],
                uint64_t *bytes, struct err *err)
{
    CLEANUP(artifact_abort) struct artifact_writer *writer = taken;
    char found[ARTIFACT_URI_LEN + 1] = URI_SCHEME;
    uint8_t digest[SHA256_BYTES];

    sha256_stream_end(writer->digest, digest);
    crypto_hex(digest, sizeof(digest), found + URI_SCHEME_LEN);
    if (expected && strcmp(expected, found) != 0)
        return err_set(err, ERR_INVALID, "artifact is %s, not %.80s", found, expected);
    if (writer->backend->commit(TAKE_PTR(writer->upload), found + URI_SCHEME_LEN, err))
        return err->code;
    memcpy(uri, found, sizeof(found));
    if (bytes)
        *bytes = writer->bytes;
    return ERR_OK;
}

enum err_code
artifact_stat(struct artifact_store *store, const char *uri, uint64_t *bytes, struct err *err)
{
    const char *hex = NULL;

    if (uri_hex(uri, &hex, err))
        return err->code;
    return store->backend->stat(store->impl, hex, bytes, err);
}

enum err_code
artifact_open(struct artifact_store *store, const char *uri, int *fd, uint64_t *bytes,
              struct err *err)
{
    const char *hex = NULL;

    if (uri_hex(uri, &hex, err))
        return err->code;
    return store->backend->read(store->impl, hex, fd, bytes, err);
}

static enum err_code
copy_verified(int from, int to, const char *uri, struct err *err)
{
    CLEANUP(sha256_stream_free) struct sha256_stream *stream = sha256_stream_new();
    CLEANUP(mem_free) char *chunk = mem_alloc(COPY_BYTES);
    char hex[SHA256_HEX + 1];
    uint8_t digest[SHA256_BYTES];
    ssize_t n;

    while ((n = read(from, chunk, COPY_BYTES)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return artifact_io_error(err, "read", uri);
        sha256_stream_add(stream, chunk, (size_t)n);
        if (artifact_write_all(to, chunk, (size_t)n, err))
            return err->code;
    }
    sha256_stream_end(stream, digest);
    crypto_hex(digest, sizeof(digest), hex);
    if (strcmp(hex, uri + URI_SCHEME_LEN) != 0)
        return err_set(err, ERR_INTERNAL, "artifact %s is damaged: its content is sha256:%s", uri,
                       hex);
    return ERR_OK;
}

static enum err_code
sync_parent(const char *path, struct err *err)
{
    CLEANUP(mem_free) char *folder = mem_strdup(path);
    char *slash = strrchr(folder, '/');

    if (!slash)
        return artifact_sync_folder(".", err);
    slash[slash == folder] = '\0';
    return artifact_sync_folder(folder, err);
}

enum err_code
artifact_fetch(struct artifact_store *store, const char *uri, const char *path, struct err *err)
{
    CLEANUP(mem_free) char *part = mem_printf("%s.part-XXXXXX", path);
    uint64_t bytes;
    int from, to;

    if (artifact_open(store, uri, &from, &bytes, err))
        return err->code;
    to = mkostemp(part, O_CLOEXEC);
    if (to < 0) {
        artifact_io_error(err, "create", part);
        close(from);
        return err->code;
    }
    enum err_code code = copy_verified(from, to, uri, err);
    if (!code && fsync(to) != 0)
        code = artifact_io_error(err, "sync", part);
    close(from);
    close(to);
    if (!code && rename(part, path) != 0)
        code = artifact_io_error(err, "rename to", path);
    if (code) {
        unlink(part);
        return code;
    }
    return sync_parent(path, err);
}

enum err_code
artifact_put_bytes(struct artifact_store *store, const void *data, size_t len,
                   char uri[ARTIFACT_URI_LEN + 1], struct err *err)
{
    CLEANUP(artifact_abort) struct artifact_writer *writer = NULL;

    if (artifact_create(store, len, &writer, err) || artifact_write(writer, data, len, err))
        return err->code;
    return artifact_finish(TAKE_PTR(writer), NULL, uri, NULL, err);
}
