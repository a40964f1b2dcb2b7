/* SPDX-License-Identifier: Apache-2.0 */
/* source.c - fetch artifacts. */
#include "artifact/source.h"

#include "artifact/artifact.h"
#include "crypto/crypto.h"
#include "http/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FETCH_TIMEOUT_MS 30000

struct source {
    char *url; /* of a gateway */
    char *authorization;
    struct artifact_store *store;
    uint64_t max_bytes;
};

enum err_code
source_open(struct source **source, const char *url, const char *token, uint64_t max_bytes,
            struct err *err)
{
    struct source *s = mem_zalloc(sizeof(*s));

    s->max_bytes = max_bytes;
    if (url && strncmp(url, "file://", 7) == 0) {
        if (artifact_store_open(&s->store, url, err)) {
            source_free(s);
            return err->code;
        }
    } else if (url && *url) {
        size_t len = strlen(url);
        if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) {
            source_free(s);
            return err_set(err, ERR_INVALID,
                           "the artifact URL must start with http://, https:// or file://");
        }
        s->url = mem_strndup(url, url[len - 1] == '/' ? len - 1 : len);
        if (token && *token)
            s->authorization = mem_printf("Authorization: Bearer %s", token);
    }
    *source = s;
    return ERR_OK;
}

void
source_free(struct source *source)
{
    if (!source)
        return;
    artifact_store_free(source->store);
    free(source->url);
    free(source->authorization);
    free(source);
}

static enum err_code
from_store(struct source *source, const char *uri, struct buf *bytes, struct err *err)
{
    uint64_t size;
    int fd;

    if (artifact_open(source->store, uri, &fd, &size, err))
        return err->code;
    if (size > source->max_bytes) {
        close(fd);
        return err_set(err, ERR_TOO_LARGE, "artifact of %llu bytes, at most %llu are loaded",
                       (unsigned long long)size, (unsigned long long)source->max_bytes);
    }
    buf_clear(bytes);
    buf_reserve(bytes, size);
    while (bytes->len < size) {
        ssize_t n = read(fd, bytes->data + bytes->len, size - bytes->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        bytes->len += (size_t)n;
    }
    close(fd);
    return bytes->len == size ? ERR_OK
                              : err_set(err, ERR_UNAVAILABLE, "artifact: %s", strerror(errno));
}

static enum err_code
from_gateway(struct source *source, const char *uri, struct buf *bytes, struct err *err)
{
    struct http_client_response response = {0};
    char *url = mem_printf("%s/api/v1/artifacts/%s", source->url, uri);
    const char *headers[] = {source->authorization, NULL};
    struct http_client_request request = {
        .verb = "GET",
        .url = url,
        .headers = headers,
        .timeout_ms = FETCH_TIMEOUT_MS,
        .max_response = source->max_bytes,
    };
    enum err_code code = http_fetch(&request, &response, err);

    if (!code && (response.status < 200 || response.status > 299)) {
        code = err_from_http_status(response.status);
        err_set(err, code == ERR_OK ? ERR_UNAVAILABLE : code, "the gateway answered %d",
                response.status);
        code = err->code;
    }
    if (!code) {
        buf_done(bytes);
        *bytes = response.body;
        response.body = (struct buf){0};
    }
    http_client_response_done(&response);
    free(url);
    return code;
}

enum err_code
source_fetch(struct source *source, const char *uri, struct buf *bytes, struct err *err)
{
    char hex[SHA256_HEX + 1];
    enum err_code code;

    if (!artifact_uri_valid(uri))
        return err_set(err, ERR_INVALID, "'%.80s' is not an artifact's URI", uri);
    if (source->store)
        code = from_store(source, uri, bytes, err);
    else if (source->url)
        code = from_gateway(source, uri, bytes, err);
    else
        return err_set(err, ERR_UNAVAILABLE, "no artifact URL is configured");
    if (code)
        return err_wrap(err, "artifact %.19s…", uri);
    crypto_sha256_hex(bytes->data ? bytes->data : "", bytes->len, hex);
    if (strcmp(hex, uri + 7) != 0)
        return err_set(err, ERR_INVALID, "artifact %.19s…: the bytes have another digest", uri);
    return ERR_OK;
}
