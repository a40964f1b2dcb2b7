/* SPDX-License-Identifier: Apache-2.0 */
/* folder.c - paths, files that appear whole, and the supervisor's lock. */
#include "localdir/localdir.h"

#include "buf/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_CHECK_MS 10

int64_t
localdir_monotonic_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t
localdir_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

char *
localdir_default(void)
{
    const char *data = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");

    if (data && data[0] == '/')
        return mem_printf("%s/modelbus", data);
    return mem_printf("%s/.local/share/modelbus", home ? home : "");
}

char *
localdir_absolute(const char *dir)
{
    char cwd[PATH_MAX];
    char *path;

    if (!dir)
        return localdir_default();
    if (dir[0] == '/' || !getcwd(cwd, sizeof(cwd)))
        path = mem_strdup(dir);
    else
        path = mem_printf("%s/%s", cwd, strncmp(dir, "./", 2) == 0 ? dir + 2 : dir);
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
        path[n - 1] = '\0';
    return path;
}

char *
localdir_path(const char *dir, const char *format, ...)
{
    va_list args;
    char *tail = NULL;

    va_start(args, format);
    if (vasprintf(&tail, format, args) < 0)
        tail = mem_strdup("");
    va_end(args);
    char *path = mem_printf("%s/%s", dir, tail);
    free(tail);
    return path;
}

enum err_code
localdir_make(const char *path, mode_t mode, struct err *err)
{
    CLEANUP(mem_free) char *copy = mem_strdup(path);

    for (char *p = copy + 1;; p++) {
        if (*p && *p != '/')
            continue;
        char end = *p;
        *p = '\0';
        if (mkdir(copy, mode) && errno != EEXIST)
            return err_set(err, ERR_UNAVAILABLE, "folder %s: %s", copy, strerror(errno));
        *p = end;
        if (!end)
            return ERR_OK;
    }
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path) && errno != ENOENT ? -1 : 0;
}

enum err_code
localdir_remove(const char *path, struct err *err)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) && errno != ENOENT)
        return err_set(err, ERR_UNAVAILABLE, "remove %s: %s", path, strerror(errno));
    return ERR_OK;
}

static bool
write_all(int fd, const char *text, size_t len)
{
    while (len) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text += n;
        len -= (size_t)n;
    }
    return true;
}

enum err_code
localdir_write(const char *path, const char *text, size_t len, mode_t mode, struct err *err)
{
    CLEANUP(mem_free) char *part = mem_printf("%s.new", path);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

    if (fd < 0)
        return err_set(err, ERR_UNAVAILABLE, "write %s: %s", part, strerror(errno));
    bool ok = fchmod(fd, mode) == 0 && write_all(fd, text, len);
    if (close(fd) || !ok || rename(part, path))
        return err_set(err, ERR_UNAVAILABLE, "write %s: %s", path, strerror(errno));
    return ERR_OK;
}

enum err_code
localdir_read_json(const char *path, json_t **value, struct err *err)
{
    json_error_t where;

    if (access(path, R_OK))
        return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_UNAVAILABLE, "%s: %s", path,
                       strerror(errno));
    json_t *read = json_load_file(path, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(read)) {
        json_decref(read);
        return err_set(err, ERR_INVALID, "%s: %s", path, read ? "not an object" : where.text);
    }
    *value = read;
    return ERR_OK;
}

enum err_code
localdir_write_json(const char *path, const json_t *value, mode_t mode, struct err *err)
{
    CLEANUP(mem_free) char *text = json_dumps(value, JSON_INDENT(2));

    if (!text)
        return err_set(err, ERR_INTERNAL, "%s: cannot be written as JSON", path);
    return localdir_write(path, text, strlen(text), mode, err);
}

static int
lock_ask(const char *dir, int command, struct flock *lock)
{
    CLEANUP(mem_free) char *path = localdir_path(dir, "run/supervisor.lock");
    int fd = open(path, (command == F_SETLK ? O_RDWR | O_CREAT : O_RDWR) | O_CLOEXEC, 0600);

    if (fd < 0)
        return -1;
    *lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, command, lock)) {
        int cause = errno;
        close(fd);
        errno = cause;
        return -1;
    }
    return fd;
}

enum err_code
localdir_lock(const char *dir, int *fd, struct err *err)
{
    struct flock lock;
    int held = lock_ask(dir, F_SETLK, &lock);

    if (held >= 0) {
        *fd = held;
        return ERR_OK;
    }
    if (errno != EAGAIN && errno != EACCES)
        return err_set(err, ERR_UNAVAILABLE, "lock in %s/run: %s", dir, strerror(errno));
    return err_set(err, ERR_EXISTS, "a platform runs in %s already (supervisor's pid %d)", dir,
                   (int)localdir_supervisor(dir));
}

pid_t
localdir_supervisor(const char *dir)
{
    struct flock lock;
    int fd = lock_ask(dir, F_GETLK, &lock);

    if (fd < 0)
        return 0;
    close(fd);
    return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

bool
localdir_wait_gone(const char *dir, int64_t timeout_ms)
{
    int64_t end = localdir_monotonic_ms() + timeout_ms;

    while (localdir_supervisor(dir)) {
        if (localdir_monotonic_ms() >= end)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = LOCK_CHECK_MS * 1000000}, NULL);
    }
    return true;
}
