/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c - files of the pod's folder. */
#include "cache.h"

#include "crypto/crypto.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_MAX (1u << 20)
#define ARTIFACT_MAX ((size_t)1 << 31)

struct cache {
    int artifacts, states; /* folders */
    uint64_t max_bytes;
};

static enum err_code
open_folder(const char *dir, const char *name, int *fd, struct err *err)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
        return err_set(err, ERR_INVALID, "the cache folder's name is too long");
    /* Parents first; what exists is fine. */
    for (char *p = path + 1; *p; p++)
        if (*p == '/') {
            *p = '\0';
            if (mkdir(path, 0750) != 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
                return err_set(err, ERR_INTERNAL, "folder '%s': %s", path, strerror(errno));
            *p = '/';
        }
    if (mkdir(path, 0750) != 0 && errno != EEXIST)
        return err_set(err, ERR_INTERNAL, "folder '%s': %s", path, strerror(errno));
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *fd >= 0 ? ERR_OK : err_set(err, ERR_INTERNAL, "folder '%s': %s", path, strerror(errno));
}

enum err_code
cache_open(struct cache **cache, const char *dir, uint64_t max_bytes, struct err *err)
{
    struct cache *c = mem_zalloc(sizeof(*c));

    *c = (struct cache){.artifacts = -1, .states = -1, .max_bytes = max_bytes};
    if (open_folder(dir, "artifacts", &c->artifacts, err) ||
        open_folder(dir, "states", &c->states, err)) {
        cache_free(c);
        return err->code;
    }
    *cache = c;
    return ERR_OK;
}

void
cache_free(struct cache *cache)
{
    if (!cache)
        return;
    if (cache->artifacts >= 0)
        close(cache->artifacts);
    if (cache->states >= 0)
        close(cache->states);
    free(cache);
}

static enum err_code
read_file(int folder, const char *name, size_t max, struct buf *bytes, struct err *err)
{
    struct stat st;
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return err_set(err, ERR_NOT_FOUND, "'%s': %s", name, strerror(errno));
    if (fstat(fd, &st) != 0 || st.st_size < 0 || (uint64_t)st.st_size > max) {
        close(fd);
        return err_set(err, ERR_TOO_LARGE, "'%s' is larger than %zu bytes", name, max);
    }
    buf_clear(bytes);
    buf_reserve(bytes, (size_t)st.st_size);
    while (bytes->len < (size_t)st.st_size) {
        ssize_t n = read(fd, bytes->data + bytes->len, (size_t)st.st_size - bytes->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            close(fd);
            return err_set(err, ERR_NOT_FOUND, "'%s': %s", name,
                           n < 0 ? strerror(errno) : "shorter than it was");
        }
        bytes->len += (size_t)n;
    }
    bytes->data[bytes->len] = '\0';
    close(fd);
    return ERR_OK;
}

static enum err_code
write_file(int folder, const char *name, const void *data, size_t len, struct err *err)
{
    const char *p = data;
    char temporary[NAME_MAX + 1];

    snprintf(temporary, sizeof(temporary), ".%.200s.new", name);
    int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return err_set(err, ERR_UNAVAILABLE, "'%s': %s", name, strerror(errno));
    for (size_t at = 0; at < len;) {
        ssize_t n = write(fd, p + at, len - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            err_set(err, ERR_UNAVAILABLE, "'%s': %s", name, strerror(errno));
            goto fail;
        }
        at += (size_t)n;
    }
    if (fsync(fd) != 0 || renameat(folder, temporary, folder, name) != 0) {
        err_set(err, ERR_UNAVAILABLE, "'%s': %s", name, strerror(errno));
        goto fail;
    }
    close(fd);
    return ERR_OK;

fail:
    close(fd);
    unlinkat(folder, temporary, 0);
    return err->code;
}

static bool
digest_of(const char *uri, char hex[SHA256_HEX + 1])
{
    if (strncmp(uri, "sha256:", 7) != 0 || strlen(uri) != 7 + SHA256_HEX ||
        strspn(uri + 7, "0123456789abcdef") != SHA256_HEX)
        return false;
    memcpy(hex, uri + 7, SHA256_HEX + 1);
    return true;
}

enum err_code
cache_load(struct cache *cache, const char *uri, struct buf *bytes, struct err *err)
{
    char name[SHA256_HEX + 1], found[SHA256_HEX + 1];

    if (!digest_of(uri, name))
        return err_set(err, ERR_INVALID, "'%.80s' is not an artifact's URI", uri);
    if (read_file(cache->artifacts, name, ARTIFACT_MAX, bytes, err))
        return err->code;
    crypto_sha256_hex(bytes->data, bytes->len, found);
    if (strcmp(name, found) != 0) {
        unlinkat(cache->artifacts, name, 0);
        return err_set(err, ERR_NOT_FOUND, "the cached artifact was corrupt");
    }
    /* The time of use, for eviction. */
    (void)!utimensat(cache->artifacts, name, NULL, AT_SYMLINK_NOFOLLOW);
    return ERR_OK;
}

struct entry {
    char name[NAME_MAX + 1];
    uint64_t bytes;
    struct timespec used;
};

static int
oldest_first(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    return x->used.tv_nsec < y->used.tv_nsec ? -1 : x->used.tv_nsec > y->used.tv_nsec;
}

static DIR *
list(int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

    if (!dir && fd >= 0)
        close(fd);
    return dir;
}

/* Remove artifacts, oldest first, until extra more bytes fit. */
static void
make_room(struct cache *cache, uint64_t extra)
{
    struct entry *entries = NULL;
    size_t count = 0, cap = 0;
    uint64_t total = extra;
    struct dirent *d;
    struct stat st;
    DIR *dir = list(cache->artifacts);

    while (dir && (d = readdir(dir)) != NULL) {
        if (fstatat(cache->artifacts, d->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(st.st_mode))
            continue;
        if (count == cap) {
            cap = cap ? cap * 2 : 64;
            entries = mem_realloc(entries, cap * sizeof(*entries));
        }
        struct entry *e = &entries[count++];
        snprintf(e->name, sizeof(e->name), "%s", d->d_name);
        e->bytes = (uint64_t)st.st_size;
        e->used = st.st_mtim;
        total += e->bytes;
    }
    if (dir)
        closedir(dir);
    if (total > cache->max_bytes && count > 1)
        qsort(entries, count, sizeof(*entries), oldest_first);
    for (size_t i = 0; i < count && total > cache->max_bytes; i++)
        if (unlinkat(cache->artifacts, entries[i].name, 0) == 0)
            total -= entries[i].bytes;
    free(entries);
}

enum err_code
cache_store(struct cache *cache, const char *uri, const void *data, size_t len, struct err *err)
{
    char name[SHA256_HEX + 1];

    if (!digest_of(uri, name))
        return err_set(err, ERR_INVALID, "'%.80s' is not an artifact's URI", uri);
    if (len > cache->max_bytes)
        return err_set(err, ERR_TOO_LARGE, "the artifact is larger than the cache");
    make_room(cache, len);
    return write_file(cache->artifacts, name, data, len, err);
}

/* Names of endpoints may hold any byte: hex is a file name everywhere. */
static bool
state_name(const char *endpoint, char name[NAME_MAX + 1])
{
    size_t len = strlen(endpoint);

    if (len == 0 || len > 100)
        return false;
    crypto_hex(endpoint, len, name);
    return true;
}

enum err_code
cache_remember(struct cache *cache, const char *endpoint, const void *state, size_t len,
               struct err *err)
{
    char name[NAME_MAX + 1];

    if (!state_name(endpoint, name) || len > STATE_MAX)
        return err_set(err, ERR_TOO_LARGE, "the state of '%.80s' is too large to keep", endpoint);
    return write_file(cache->states, name, state, len, err);
}

void
cache_forget(struct cache *cache, const char *endpoint)
{
    char name[NAME_MAX + 1];

    if (state_name(endpoint, name))
        unlinkat(cache->states, name, 0);
}

size_t
cache_each(struct cache *cache, void (*each)(void *arg, const void *state, size_t len), void *arg)
{
    struct buf bytes = {0};
    struct dirent *d;
    struct err ignored;
    size_t count = 0;
    DIR *dir = list(cache->states);

    while (dir && (d = readdir(dir)) != NULL)
        if (d->d_name[0] != '.' &&
            read_file(cache->states, d->d_name, STATE_MAX, &bytes, &ignored) == ERR_OK) {
            each(arg, bytes.data, bytes.len);
            count++;
        }
    if (dir)
        closedir(dir);
    buf_done(&bytes);
    return count;
}
