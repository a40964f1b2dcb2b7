/* SPDX-License-Identifier: Apache-2.0 */
/* file_backend.c - artifacts in a local folder: objects/ab/<hex>, written under tmp/ first. */
#include "artifact/backend.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LEFTOVER_AGE_S (24 * 3600)

struct folder {
    char *root;
};

struct upload {
    struct folder *folder;
    int fd;
    char *path;
};

enum err_code
artifact_io_error(struct err *err, const char *what, const char *path)
{
    int cause = errno;
    enum err_code code = ERR_INTERNAL;

    if (cause == ENOENT)
        code = ERR_NOT_FOUND;
    else if (cause == ENOSPC || cause == EDQUOT || cause == EMFILE || cause == ENFILE ||
             cause == EIO || cause == EROFS)
        code = ERR_UNAVAILABLE;
    return err_set(err, code, "%s %s: %s", what, path, strerror(cause));
}

enum err_code
artifact_write_all(int fd, const void *data, size_t len, struct err *err)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return artifact_io_error(err, "write", "artifact");
        p += n;
        len -= (size_t)n;
    }
    return ERR_OK;
}

enum err_code
artifact_sync_folder(const char *folder, struct err *err)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    enum err_code code = ERR_OK;

    if (fd < 0)
        return artifact_io_error(err, "open", folder);
    if (fsync(fd) != 0)
        code = artifact_io_error(err, "sync", folder);
    close(fd);
    return code;
}

static enum err_code
make_folder(const char *path, struct err *err)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return artifact_io_error(err, "create folder", path);
    return ERR_OK;
}

static enum err_code
make_parents(const char *path, struct err *err)
{
    CLEANUP(mem_free) char *copy = mem_strdup(path);

    for (char *p = copy + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (make_folder(copy, err))
            return err->code;
        *p = '/';
    }
    return make_folder(copy, err);
}

/* What a process that died in mid-upload left behind. */
static void
clean_leftovers(const char *tmp)
{
    DIR *dir = opendir(tmp);
    time_t oldest = time(NULL) - LEFTOVER_AGE_S;
    struct dirent *entry;
    struct stat st;

    if (!dir)
        return;
    while ((entry = readdir(dir)))
        if (strncmp(entry->d_name, "upload-", 7) == 0 &&
            fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            st.st_mtime < oldest)
            unlinkat(dirfd(dir), entry->d_name, 0);
    closedir(dir);
}

static enum err_code
file_open(const char *location, void **store, struct err *err)
{
    struct folder *folder;

    if (location[0] != '/')
        return err_set(err, ERR_INVALID, "artifact store 'file://%s': the path must be absolute",
                       location);
    CLEANUP(mem_free) char *objects = mem_printf("%s/objects", location);
    CLEANUP(mem_free) char *tmp = mem_printf("%s/tmp", location);
    if (make_parents(objects, err) || make_folder(tmp, err))
        return err->code;
    clean_leftovers(tmp);
    folder = mem_zalloc(sizeof(*folder));
    folder->root = mem_strdup(location);
    *store = folder;
    return ERR_OK;
}

static void
file_close(void *store)
{
    struct folder *folder = store;

    free(folder->root);
    free(folder);
}

static void
file_discard(void *arg)
{
    struct upload *upload = arg;

    close(upload->fd);
    unlink(upload->path);
    free(upload->path);
    free(upload);
}

static enum err_code
file_begin(void *store, void **out, struct err *err)
{
    struct folder *folder = store;
    struct upload *upload = mem_zalloc(sizeof(*upload));

    upload->folder = folder;
    upload->path = mem_printf("%s/tmp/upload-XXXXXX", folder->root);
    upload->fd = mkostemp(upload->path, O_CLOEXEC);
    if (upload->fd < 0) {
        artifact_io_error(err, "create", upload->path);
        free(upload->path);
        free(upload);
        return err->code;
    }
    *out = upload;
    return ERR_OK;
}

static enum err_code
file_append(void *arg, const void *data, size_t len, struct err *err)
{
    struct upload *upload = arg;

    return artifact_write_all(upload->fd, data, len, err);
}

static enum err_code
publish(struct upload *upload, const char *hex, struct err *err)
{
    const char *root = upload->folder->root;
    CLEANUP(mem_free) char *objects = mem_printf("%s/objects", root);
    CLEANUP(mem_free) char *shelf = mem_printf("%s/%.2s", objects, hex);
    CLEANUP(mem_free) char *path = mem_printf("%s/%s", shelf, hex);

    if (access(path, F_OK) == 0) /* the same bytes are there already */
        return ERR_OK;
    if (fchmod(upload->fd, 0444) != 0 || fsync(upload->fd) != 0)
        return artifact_io_error(err, "sync", upload->path);
    if (make_folder(shelf, err) || artifact_sync_folder(objects, err))
        return err->code;
    if (rename(upload->path, path) != 0)
        return artifact_io_error(err, "rename to", path);
    return artifact_sync_folder(shelf, err);
}

static enum err_code
file_commit(void *arg, const char *hex, struct err *err)
{
    enum err_code code = publish(arg, hex, err);

    file_discard(arg); /* after a rename there is nothing left to unlink */
    return code;
}

static enum err_code
file_read(void *store, const char *hex, int *fd, uint64_t *bytes, struct err *err)
{
    struct folder *folder = store;
    CLEANUP(mem_free) char *path = mem_printf("%s/objects/%.2s/%s", folder->root, hex, hex);
    struct stat st;
    int opened = open(path, O_RDONLY | O_CLOEXEC);

    if (opened < 0)
        return errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "artifact sha256:%s", hex)
                               : artifact_io_error(err, "open", path);
    if (fstat(opened, &st) != 0) {
        artifact_io_error(err, "stat", path);
        close(opened);
        return err->code;
    }
    *fd = opened;
    *bytes = (uint64_t)st.st_size;
    return ERR_OK;
}

static enum err_code
file_stat(void *store, const char *hex, uint64_t *bytes, struct err *err)
{
    int fd = -1;

    if (file_read(store, hex, &fd, bytes, err))
        return err->code;
    close(fd);
    return ERR_OK;
}

const struct artifact_backend artifact_file_backend = {
    .scheme = "file://",
    .open = file_open,
    .close = file_close,
    .begin = file_begin,
    .append = file_append,
    .commit = file_commit,
    .discard = file_discard,
    .stat = file_stat,
    .read = file_read,
};
