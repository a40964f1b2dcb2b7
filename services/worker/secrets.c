/* SPDX-License-Identifier: Apache-2.0 */
/* secrets.c - read a secret, if nobody else can. */
#include "secrets.h"

#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What neither group nor others may do: the group may read. */
#define FORBIDDEN_MODE (S_IWGRP | S_IXGRP | S_IRWXO)

static enum err_code
read_open(int fd, const char *name, struct buf *value, struct err *err)
{
    struct stat st;
    ssize_t n = 1;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return err_set(err, ERR_INVALID, "secret '%s' is not a file", name);
    if (st.st_mode & FORBIDDEN_MODE)
        return err_set(err, ERR_FORBIDDEN,
                       "secret '%s' has mode %04o: others must not be able to read it (chmod 0600)",
                       name, (unsigned)(st.st_mode & 07777));
    buf_reserve(value, SECRET_BYTES_MAX + 2);
    while (n > 0 && value->len <= SECRET_BYTES_MAX) {
        n = read(fd, value->data + value->len, SECRET_BYTES_MAX + 1 - value->len);
        value->len += n > 0 ? (size_t)n : 0;
    }
    if (n < 0)
        return err_set(err, ERR_UNAVAILABLE, "secret '%s': %s", name, strerror(errno));
    if (value->len > SECRET_BYTES_MAX)
        return err_set(err, ERR_INVALID, "secret '%s' has more than %u bytes", name,
                       SECRET_BYTES_MAX);
    if (value->len > 0 && value->data[value->len - 1] == '\n')
        value->len--;
    if (value->len > 0 && value->data[value->len - 1] == '\r')
        value->len--;
    value->data[value->len] = '\0';
    if (value->len == 0 || memchr(value->data, '\0', value->len))
        return err_set(err, ERR_INVALID, "secret '%s' is empty or has a NUL in it", name);
    return ERR_OK;
}

enum err_code
secret_read(const char *folder, const char *name, struct buf *value, struct err *err)
{
    if (!files_name_valid(name))
        return err_set(err, ERR_INVALID, "'%.80s' is not a secret's name", name);
    CLEANUP(mem_free) char *path = mem_printf("%s/%s", folder ? folder : "", name);
    int fd = folder && *folder ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;

    if (fd < 0)
        return err_set(err, ERR_NOT_FOUND, "this worker has no secret '%s'", name);
    enum err_code code = read_open(fd, name, value, err);
    close(fd);
    return code;
}

void
secret_wipe(struct buf *value)
{
    if (value->data)
        explicit_bzero(value->data, value->cap);
    buf_done(value);
}
