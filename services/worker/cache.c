/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c - one file an artifact; its time of modification is its last use. */
#include "cache.h"

#include "artifact/artifact.h"
#include "crypto/crypto.h"
#include "life/life.h"
#include "sync/sync.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK_BYTES (64u << 10)
#define WAIT_MS 500

struct fetching {
    const char *hex;
    struct fetching *next;
};

struct cache {
    char *folder;
    uint64_t max_bytes;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct fetching *fetching; /* on their threads' stacks */
};

enum err_code
cache_open(struct cache **cache, const char *folder, uint64_t max_bytes, struct err *err)
{
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return err_set(err, ERR_UNAVAILABLE, "%s: %s", folder, strerror(errno));
    struct cache *c = mem_zalloc(sizeof(*c));
    c->folder = mem_strdup(folder);
    c->max_bytes = max_bytes;
    pthread_mutex_init(&c->lock, NULL);
    sync_cond_init(&c->changed);
    *cache = c;
    return ERR_OK;
}

void
cache_free(struct cache *cache)
{
    if (!cache)
        return;
    pthread_cond_destroy(&cache->changed);
    pthread_mutex_destroy(&cache->lock);
    free(cache->folder);
    free(cache);
}

/* ---- the bound ---- */

struct kept {
    char name[SHA256_HEX + 1];
    struct timespec used;
    uint64_t bytes;
};

static int
older_first(const void *a, const void *b)
{
    const struct timespec *x = &((const struct kept *)a)->used;
    const struct timespec *y = &((const struct kept *)b)->used;

    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

static struct kept *
list_kept(DIR *dir, size_t *count, uint64_t *bytes)
{
    const struct dirent *entry;
    struct kept *kept = NULL;
    struct stat st;

    *count = 0;
    *bytes = 0;
    while ((entry = readdir(dir))) {
        if (strlen(entry->d_name) != SHA256_HEX ||
            fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        kept = mem_realloc(kept, (*count + 1) * sizeof(*kept));
        struct kept *k = &kept[(*count)++];
        memcpy(k->name, entry->d_name, sizeof(k->name));
        k->used = st.st_mtim;
        k->bytes = (uint64_t)st.st_size;
        *bytes += k->bytes;
    }
    return kept;
}

static void
shrink(struct cache *cache)
{
    DIR *dir = opendir(cache->folder);
    uint64_t bytes;
    size_t count;

    if (!dir)
        return;
    struct kept *kept = list_kept(dir, &count, &bytes);
    if (bytes > cache->max_bytes)
        qsort(kept, count, sizeof(*kept), older_first);
    for (size_t i = 0; i < count && bytes > cache->max_bytes; i++) {
        if (unlinkat(dirfd(dir), kept[i].name, 0) == 0)
            bytes -= kept[i].bytes;
    }
    free(kept);
    closedir(dir);
}

/* ---- one artifact ---- */

static enum err_code
verify(const char *path, const char *hex, struct err *err)
{
    CLEANUP(sha256_stream_free) struct sha256_stream *sha = sha256_stream_new();
    CLEANUP(mem_free) char *chunk = mem_alloc(CHUNK_BYTES);
    uint8_t digest[SHA256_BYTES];
    char found[SHA256_HEX + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = -1;

    while (fd >= 0 && (n = read(fd, chunk, CHUNK_BYTES)) > 0)
        sha256_stream_add(sha, chunk, (size_t)n);
    if (n < 0)
        err_set(err, ERR_UNAVAILABLE, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (n < 0)
        return ERR_UNAVAILABLE;
    sha256_stream_end(sha, digest);
    crypto_hex(digest, sizeof(digest), found);
    if (strcmp(found, hex) != 0)
        return err_set(err, ERR_INVALID, "the bytes that came have another digest");
    return ERR_OK;
}

static enum err_code
fetch_new(struct cache *cache, const char *uri, const char *path, cache_fetch fetch, void *arg,
          int *fd, struct err *err)
{
    CLEANUP(mem_free) char *part = mem_printf("%s.new", path);
    enum err_code code = fetch(arg, uri, part, err);

    if (!code)
        code = verify(part, strrchr(path, '/') + 1, err);
    if (!code && rename(part, path) != 0)
        code = err_set(err, ERR_UNAVAILABLE, "%s: %s", path, strerror(errno));
    if (code) {
        unlink(part);
        return code;
    }
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return err_set(err, ERR_UNAVAILABLE, "%s: %s", path, strerror(errno));
    shrink(cache);
    return ERR_OK;
}

static bool
is_fetching(const struct cache *cache, const char *hex)
{
    for (const struct fetching *f = cache->fetching; f; f = f->next)
        if (strcmp(f->hex, hex) == 0)
            return true;
    return false;
}

static void
leave(struct cache *cache, struct fetching *self)
{
    struct fetching **at = &cache->fetching;

    pthread_mutex_lock(&cache->lock);
    while (*at != self)
        at = &(*at)->next;
    *at = self->next;
    pthread_cond_broadcast(&cache->changed);
    pthread_mutex_unlock(&cache->lock);
}

enum err_code
cache_get(struct cache *cache, const char *uri, cache_fetch fetch, void *arg,
          const _Atomic bool *give_up, int *fd, struct err *err)
{
    if (!artifact_uri_valid(uri))
        return err_set(err, ERR_INVALID, "'%.80s' is not an artifact's URI", uri);
    CLEANUP(mem_free) char *path = mem_printf("%s/%s", cache->folder, uri + 7);
    struct fetching self = {.hex = uri + 7};
    enum err_code code = ERR_OK;

    pthread_mutex_lock(&cache->lock);
    while (is_fetching(cache, self.hex) && !*give_up)
        sync_wait(&cache->changed, &cache->lock, life_monotonic_ms() + WAIT_MS);
    self.next = cache->fetching;
    cache->fetching = &self;
    pthread_mutex_unlock(&cache->lock);
    if (*give_up) {
        code = err_set(err, ERR_CANCELLED, "given up");
    } else if ((*fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)) >= 0) {
        futimens(*fd, NULL);
    } else {
        code = fetch_new(cache, uri, path, fetch, arg, fd, err);
    }
    leave(cache, &self);
    return code;
}
