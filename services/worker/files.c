/* SPDX-License-Identifier: Apache-2.0 */
/* files.c - remove trees without recursion, run small programs. */
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define GIVE_UP_MS 500

bool
files_name_valid(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    return len > 0 && len <= 128 && name[len] == '\0' && *name != '.';
}

enum err_code
files_make(const char *path, struct err *err)
{
    if (mkdir(path, 0700) != 0)
        return err_set(err, ERR_UNAVAILABLE, "%s: %s", path, strerror(errno));
    return ERR_OK;
}

/* ---- removing ---- */

static bool
special(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* The entries of what is known to be a folder, whatever modes it had; NULL: errno. */
static DIR *
open_folder(int at, const char *name)
{
    if (fchmodat(at, name, 0700, 0) != 0)
        return NULL;
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? NULL : fdopendir(fd);
}

static bool
is_folder(int at, const char *name)
{
    struct stat st;

    return fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* Folder `name` of `root` goes: its files are removed, its folders become root's. */
static bool
flatten(int root, const char *name, unsigned *moved)
{
    DIR *dir = open_folder(root, name);
    const struct dirent *entry;
    bool good = dir;

    while (good && (entry = readdir(dir))) {
        char to[32];
        if (special(entry->d_name) || unlinkat(dirfd(dir), entry->d_name, 0) == 0)
            continue;
        if (!is_folder(dirfd(dir), entry->d_name) ||
            fchmodat(dirfd(dir), entry->d_name, 0700, 0) != 0)
            good = false;
        /* Not a name of the task's own: those have no leading blank in a folder of ours. */
        snprintf(to, sizeof(to), " %u", (*moved)++);
        good = good && renameat(dirfd(dir), entry->d_name, root, to) == 0;
    }
    int saved = errno;
    if (dir)
        closedir(dir);
    errno = saved;
    return good && unlinkat(root, name, AT_REMOVEDIR) == 0;
}

/* One pass over the entries of root; *left: there were folders, whose folders are here now. */
static bool
empty_once(DIR *root, unsigned *moved, bool *left)
{
    const struct dirent *entry;

    *left = false;
    rewinddir(root);
    while ((entry = readdir(root))) {
        if (special(entry->d_name))
            continue;
        *left = true;
        if (unlinkat(dirfd(root), entry->d_name, 0) != 0 &&
            (!is_folder(dirfd(root), entry->d_name) || !flatten(dirfd(root), entry->d_name, moved)))
            return false;
    }
    return true;
}

enum err_code
files_remove(const char *folder, const char *name, struct err *err)
{
    int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = at >= 0, left = true;
    unsigned moved = 0;
    DIR *root = NULL;

    if (good && unlinkat(at, name, 0) != 0 && errno != ENOENT) {
        root = open_folder(at, name);
        good = root;
        while (good && left)
            good = empty_once(root, &moved, &left);
        good = good && unlinkat(at, name, AT_REMOVEDIR) == 0;
    }
    if (!good)
        err_set(err, ERR_UNAVAILABLE, "cannot remove %s/%s: %s", folder, name, strerror(errno));
    if (root)
        closedir(root);
    if (at >= 0)
        close(at);
    return good ? ERR_OK : ERR_UNAVAILABLE;
}

/* ---- programs ---- */

static MUST_CHECK enum err_code
spawn(const char *const *argv, int in, int out, int words, pid_t *pid, struct err *err)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    static char *const environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8",
                                        NULL};
    sigset_t none, defaults;

    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawn_file_actions_init(&files);
    int standard[] = {in, out};
    for (int i = 0; i < 2; i++) {
        if (standard[i] >= 0)
            posix_spawn_file_actions_adddup2(&files, standard[i], i);
        else
            posix_spawn_file_actions_addopen(&files, i, "/dev/null", O_RDWR, 0);
    }
    posix_spawn_file_actions_adddup2(&files, words, 2);
    int failed = posix_spawnp(pid, argv[0], &files, &attributes, (char *const *)(uintptr_t)argv,
                              environment);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    if (failed)
        return err_set(err, ERR_UNAVAILABLE, "%s: %s", argv[0], strerror(failed));
    return ERR_OK;
}

/* The first line of what a program says on standard error, until it ends. False: given up. */
static bool
listen_to(int words, const _Atomic bool *give_up, char first[200])
{
    struct pollfd wait = {.fd = words, .events = POLLIN};
    char chunk[200];
    size_t len = 0;

    for (;;) {
        if (give_up && *give_up)
            return false;
        if (poll(&wait, 1, GIVE_UP_MS) <= 0)
            continue;
        ssize_t n = read(words, chunk, sizeof(chunk));
        if (n <= 0)
            break;
        size_t room = 199 - len;
        memcpy(first + len, chunk, (size_t)n < room ? (size_t)n : room);
        len += (size_t)n < room ? (size_t)n : room;
    }
    first[len] = '\0';
    first[strcspn(first, "\n")] = '\0';
    return true;
}

enum err_code
files_run(const char *const *argv, int stdin_fd, int stdout_fd, const _Atomic bool *give_up,
          struct err *err)
{
    char first[200] = "";
    int words[2], status;
    pid_t pid;

    if (pipe2(words, O_CLOEXEC) != 0)
        return err_set(err, ERR_UNAVAILABLE, "pipe: %s", strerror(errno));
    enum err_code code = spawn(argv, stdin_fd, stdout_fd, words[1], &pid, err);
    close(words[1]);
    if (code) {
        close(words[0]);
        return code;
    }
    bool given_up = !listen_to(words[0], give_up, first);
    close(words[0]);
    if (given_up)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (given_up)
        return err_set(err, ERR_CANCELLED, "%s: given up", argv[0]);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(err, ERR_INVALID, "%s", first[0] ? first : "it failed");
    return ERR_OK;
}
