/* SPDX-License-Identifier: Apache-2.0 */
/* tasklog.c - a file whose second half is a ring. */
#include "tasklog.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BYTES (64u << 10)

struct tasklog {
    atomic_uint owners;
    char *path;
    int fd;
    uint64_t half;
    pthread_mutex_t lock;
    uint64_t bytes; /* under lock; grows when what came is in the file */
    int failed;     /* errno of the first write that failed; the writer's */
};

enum err_code
tasklog_open(struct tasklog **log, const char *path, uint64_t max_bytes, struct err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    struct stat st;

    if (fd < 0)
        return err_set(err, ERR_UNAVAILABLE, "%s: %s", path, strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size != 0) {
        close(fd);
        return err_set(err, ERR_UNAVAILABLE, "%s: is not an empty file", path);
    }
    struct tasklog *l = mem_zalloc(sizeof(*l));
    atomic_init(&l->owners, 1);
    l->path = mem_strdup(path);
    l->fd = fd;
    l->half = max_bytes / 2;
    pthread_mutex_init(&l->lock, NULL);
    *log = l;
    return ERR_OK;
}

struct tasklog *
tasklog_ref(struct tasklog *log)
{
    atomic_fetch_add(&log->owners, 1);
    return log;
}

void
tasklog_unref(struct tasklog *log)
{
    if (!log || atomic_fetch_sub(&log->owners, 1) > 1)
        return;
    close(log->fd);
    pthread_mutex_destroy(&log->lock);
    free(log->path);
    free(log);
}

/* Where a position is in the file, and how many bytes from it on are in one piece. */
static uint64_t
place(const struct tasklog *log, uint64_t position, uint64_t *piece)
{
    uint64_t at = position;

    if (position >= log->half)
        at = log->half + (position - log->half) % log->half;
    *piece = (position < log->half ? log->half : 2 * log->half) - at;
    return at;
}

static void
write_at(struct tasklog *log, uint64_t at, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = pwrite(log->fd, data, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            if (!log->failed)
                log->failed = n < 0 ? errno : EIO;
            return;
        }
        data += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
}

void
tasklog_add(struct tasklog *log, const void *data, size_t len)
{
    const char *from = data;

    /* Under the lock: a reader must not see a piece of the ring that is half overwritten. */
    pthread_mutex_lock(&log->lock);
    while (len > 0) {
        uint64_t piece, at = place(log, log->bytes, &piece);
        size_t n = len < piece ? len : (size_t)piece;
        write_at(log, at, from, n);
        log->bytes += n;
        from += n;
        len -= n;
    }
    pthread_mutex_unlock(&log->lock);
}

uint64_t
tasklog_bytes(struct tasklog *log)
{
    pthread_mutex_lock(&log->lock);
    uint64_t bytes = log->bytes;
    pthread_mutex_unlock(&log->lock);
    return bytes;
}

/* Under lock. */
static size_t
read_locked(struct tasklog *log, uint64_t *position, void *data, size_t len)
{
    uint64_t piece, oldest = log->bytes > 2 * log->half ? log->bytes - log->half : 0;

    if (*position >= log->half && *position < oldest)
        *position = oldest;
    if (*position >= log->bytes)
        return 0;
    uint64_t at = place(log, *position, &piece);
    if (piece > log->bytes - *position)
        piece = log->bytes - *position;
    ssize_t n = pread(log->fd, data, len < piece ? len : (size_t)piece, (off_t)at);
    return n > 0 ? (size_t)n : 0;
}

size_t
tasklog_read(struct tasklog *log, uint64_t *position, void *data, size_t len)
{
    pthread_mutex_lock(&log->lock);
    size_t n = read_locked(log, position, data, len);
    pthread_mutex_unlock(&log->lock);
    return n;
}

/* All from *position to `to` into out; false: errno. */
static bool
copy(struct tasklog *log, uint64_t position, uint64_t to, FILE *out)
{
    char *chunk = mem_alloc(COPY_BYTES);
    bool good = true;

    while (good && position < to) {
        size_t want = to - position < COPY_BYTES ? (size_t)(to - position) : COPY_BYTES;
        size_t n = tasklog_read(log, &position, chunk, want);
        good = n > 0 && fwrite(chunk, 1, n, out) == n;
        position += n;
    }
    free(chunk);
    return good;
}

enum err_code
tasklog_finish(struct tasklog *log, const char *whole, const char **file, uint64_t *left_out,
               struct err *err)
{
    uint64_t missing = log->bytes > 2 * log->half ? log->bytes - 2 * log->half : 0;

    if (log->failed)
        return err_set(err, ERR_UNAVAILABLE, "%s: %s", log->path, strerror(log->failed));
    if (missing > 0) {
        FILE *out = fopen(whole, "wxe");
        bool good = out && copy(log, 0, log->half, out) &&
                    fprintf(out, "\n[modelbus: %llu bytes were left out here]\n",
                            (unsigned long long)missing) > 0 &&
                    copy(log, log->bytes - log->half, log->bytes, out);
        if (out && fclose(out) != 0)
            good = false;
        if (!good)
            return err_set(err, ERR_UNAVAILABLE, "%s: %s", whole, strerror(errno));
    }
    *file = missing > 0 ? whole : log->path;
    *left_out = missing;
    return ERR_OK;
}
