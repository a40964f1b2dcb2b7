/* SPDX-License-Identifier: Apache-2.0 */
/* folders.c - a stack of spare folders. */
#include "folders.h"

#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SPARE "spare"
#define MODES 07777

static const char *const inner[] = {"work", "inputs", "outputs", "tmp"};

struct folders {
    const char *dir;
    pthread_mutex_t lock;
    unsigned spare; /* dir/spare/0 to spare-1 */
};

enum err_code
folders_open(struct folders **folders, const char *dir, struct err *err)
{
    CLEANUP(mem_free) char *path = mem_printf("%s/" SPARE, dir);

    if (files_remove(dir, SPARE, err) || files_make(path, err))
        return err->code;
    struct folders *f = mem_zalloc(sizeof(*f));
    f->dir = dir;
    pthread_mutex_init(&f->lock, NULL);
    *folders = f;
    return ERR_OK;
}

void
folders_free(struct folders *folders)
{
    if (!folders)
        return;
    pthread_mutex_destroy(&folders->lock);
    free(folders);
}

static enum err_code
make(const char *folder, struct err *err)
{
    if (files_make(folder, err))
        return err->code;
    for (size_t i = 0; i < ARRAY_LEN(inner); i++) {
        CLEANUP(mem_free) char *path = mem_printf("%s/%s", folder, inner[i]);
        if (files_make(path, err))
            return err->code;
    }
    return ERR_OK;
}

enum err_code
folders_take(struct folders *folders, const char *name, struct err *err)
{
    CLEANUP(mem_free) char *folder = mem_printf("%s/%s", folders->dir, name);
    bool taken = false;

    pthread_mutex_lock(&folders->lock);
    while (!taken && folders->spare > 0) {
        CLEANUP(mem_free)
        char *spare = mem_printf("%s/" SPARE "/%u", folders->dir, --folders->spare);
        taken = rename(spare, folder) == 0;
    }
    pthread_mutex_unlock(&folders->lock);
    return taken ? ERR_OK : make(folder, err);
}

/* ---- as it was ---- */

static bool
is_empty_log(int at, const char *name)
{
    struct stat st;

    return strcmp(name, "log") == 0 && fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(st.st_mode) && (st.st_mode & MODES) == 0600 && st.st_size == 0 &&
           st.st_nlink == 1;
}

static bool
is_inner(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(inner); i++)
        if (strcmp(name, inner[i]) == 0)
            return true;
    return false;
}

/* All entries are those of a new one, count of the inner folders; -1: something else is there. */
static int
count_entries(DIR *dir, bool top)
{
    const struct dirent *entry;
    int count = 0;

    while ((entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (top && is_inner(entry->d_name))
            count++;
        else if (!top || !is_empty_log(dirfd(dir), entry->d_name))
            return -1;
    }
    return count;
}

/* The folder with its mode, without attributes (an access list would be handed on), and with so many inner ones. */
static bool
is_as_made(int at, const char *name, int inner_folders)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return false;
    bool good = fstat(fd, &st) == 0 && (st.st_mode & MODES) == 0700 && st.st_uid == geteuid() &&
                flistxattr(fd, NULL, 0) <= 0;
    DIR *dir = good ? fdopendir(fd) : NULL;
    if (!dir) {
        close(fd);
        return false;
    }
    good = count_entries(dir, inner_folders > 0) == inner_folders;
    for (int i = 0; good && i < inner_folders; i++)
        good = is_as_made(dirfd(dir), inner[i], 0);
    closedir(dir);
    return good;
}

enum err_code
folders_give(struct folders *folders, const char *name, struct err *err)
{
    CLEANUP(mem_free) char *folder = mem_printf("%s/%s", folders->dir, name);
    bool kept = false;

    if (is_as_made(AT_FDCWD, folder, (int)ARRAY_LEN(inner))) {
        pthread_mutex_lock(&folders->lock);
        CLEANUP(mem_free)
        char *spare = mem_printf("%s/" SPARE "/%u", folders->dir, folders->spare);
        kept = folders->spare < FOLDERS_SPARE_MAX && rename(folder, spare) == 0;
        folders->spare += kept;
        pthread_mutex_unlock(&folders->lock);
    }
    return kept ? ERR_OK : files_remove(folders->dir, name, err);
}
