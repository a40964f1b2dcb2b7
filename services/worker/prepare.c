/* SPDX-License-Identifier: Apache-2.0 */
/* prepare.c - what a task finds when it starts. */
#include "prepare.h"

#include "archive.h"
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define COPY_BYTES (16u << 20)

/* Shares the blocks where the file system can. */
static ssize_t
copy_some(int from, int to)
{
    ssize_t n = copy_file_range(from, NULL, to, NULL, COPY_BYTES, 0);

    if (n < 0 && (errno == EXDEV || errno == ENOSYS || errno == EINVAL || errno == EOPNOTSUPP))
        n = sendfile(to, from, NULL, COPY_BYTES);
    return n;
}

static enum err_code
copy_input(int from, const char *path, const _Atomic bool *give_up, struct err *err)
{
    int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ssize_t n = to < 0 ? -1 : 1;

    while (n > 0 && !atomic_load(give_up))
        n = copy_some(from, to);
    if (n < 0)
        err_set(err, ERR_UNAVAILABLE, "%s: %s", path, strerror(errno));
    if (to >= 0)
        close(to);
    if (n < 0)
        return ERR_UNAVAILABLE;
    return n > 0 ? err_set(err, ERR_CANCELLED, "given up") : ERR_OK;
}

static enum err_code
get_input(const struct prepare_options *o, const char *name, const char *uri, struct err *err)
{
    CLEANUP(mem_free) char *path = mem_printf("%s/inputs/%s", o->folder, name);
    int fd;

    if (!files_name_valid(name))
        return err_set(err, ERR_INVALID, "'%.80s' is not an input's name", name);
    enum err_code code = cache_get(o->cache, uri, o->fetch, o->fetch_arg, o->give_up, &fd, err);
    if (!code) {
        code = copy_input(fd, path, o->give_up, err);
        close(fd);
    }
    return code ? err_wrap(err, "input '%s'", name) : ERR_OK;
}

static enum err_code
get_archive(const struct prepare_options *o, struct err *err)
{
    CLEANUP(mem_free) char *work = mem_printf("%s/work", o->folder);
    int fd;

    if (cache_get(o->cache, o->lease->archive, o->fetch, o->fetch_arg, o->give_up, &fd, err))
        return err_wrap(err, "the archive");
    enum err_code code = archive_unpack(fd, work, o->give_up, err);
    close(fd);
    return code;
}

enum err_code
prepare_contents(const struct prepare_options *options, struct err *err)
{
    const Lease *lease = options->lease;

    if (*lease->archive && get_archive(options, err))
        return err->code;
    for (size_t i = 0; i < lease->n_inputs; i++)
        if (get_input(options, lease->inputs[i]->key, lease->inputs[i]->value, err))
            return err->code;
    return ERR_OK;
}
