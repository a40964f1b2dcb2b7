/* SPDX-License-Identifier: Apache-2.0 */
/* outputs.c - descriptors, not paths: what was checked is what is read. */
#include "outputs.h"

#include "archive.h"
#include "buf/text.h"
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err_code
open_output(const char *folder, const char *name, int *fd, struct stat *st, struct err *err)
{
    CLEANUP(mem_free) char *outputs = mem_printf("%s/outputs", folder);
    int at = open(outputs, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    /* Of a pipe the open must not wait for a writer. */
    int found = at < 0 ? -1 : openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int failed = errno;

    if (at >= 0)
        close(at);
    if (found < 0 && failed == ELOOP)
        return err_set(err, ERR_INVALID, "output '%s' is a symbolic link", name);
    if (found < 0 && failed == ENOENT)
        return err_set(err, ERR_INVALID, "output '%s' is not there", name);
    if (found < 0)
        return err_set(err, ERR_INVALID, "output '%s': %s", name, strerror(failed));
    if (fstat(found, st) != 0 || (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))) {
        close(found);
        return err_set(err, ERR_INVALID, "output '%s' is neither a file nor a folder", name);
    }
    *fd = found;
    return ERR_OK;
}

/* A folder's tar file takes its place. */
static enum err_code
pack_folder(const char *folder, const char *name, int *fd, struct stat *st,
            const _Atomic bool *give_up, struct err *err)
{
    CLEANUP(mem_free) char *path = mem_printf("%s/%s.tar", folder, name);
    enum err_code code = archive_pack(*fd, path, give_up, err);

    close(*fd);
    *fd = -1;
    if (code)
        return err_wrap(err, "output '%s'", name);
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0 || fstat(*fd, st) != 0)
        return err_set(err, ERR_UNAVAILABLE, "%s: %s", path, strerror(errno));
    return ERR_OK;
}

/* The text, when it is one; NULL. */
static char *
small_value(int fd, uint64_t bytes, const struct mask *mask, struct arena *arena)
{
    char text[OUTPUT_VALUE_MAX];

    if (bytes > sizeof(text))
        return NULL;
    ssize_t n = pread(fd, text, sizeof(text), 0);
    if (n < 0 || memchr(text, '\0', (size_t)n) || !text_utf8_valid(text, (size_t)n) ||
        mask_finds(mask, text, (size_t)n))
        return NULL;
    if (n > 0 && text[n - 1] == '\n')
        n--;
    if (n > 0 && text[n - 1] == '\r')
        n--;
    return arena_strndup(arena, text, (size_t)n);
}

enum err_code
outputs_collect(const char *folder, const char *name, const struct mask *mask,
                const _Atomic bool *give_up, outputs_upload upload, void *arg, struct arena *arena,
                Output **output, struct err *err)
{
    char path[64], uri[ARTIFACT_URI_LEN + 1];
    struct stat st;
    bool packed;
    int fd = -1;

    if (!files_name_valid(name))
        return err_set(err, ERR_INVALID, "'%.80s' is not an output's name", name);
    if (open_output(folder, name, &fd, &st, err))
        return err->code;
    packed = S_ISDIR(st.st_mode);
    enum err_code code = packed ? pack_folder(folder, name, &fd, &st, give_up, err) : ERR_OK;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (!code && upload(arg, path, (uint64_t)st.st_size, uri, err))
        code = err_wrap(err, "output '%s' cannot be stored", name);
    if (!code) {
        Output *made = arena_alloc(arena, sizeof(*made));
        modelbus__pipeline__v1__output__init(made);
        made->name = arena_strdup(arena, name);
        made->uri = arena_strdup(arena, uri);
        made->size_bytes = (uint64_t)st.st_size;
        char *value = packed ? NULL : small_value(fd, (uint64_t)st.st_size, mask, arena);
        made->small = value != NULL;
        made->value = value ? value : made->value;
        *output = made;
    }
    if (fd >= 0)
        close(fd);
    return code;
}
