/* SPDX-License-Identifier: Apache-2.0 */
/* archive.c - see the list before anything is unpacked. */
#include "archive.h"

#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The rest after `count` fields that are separated by blanks; *sizes: the third. */
static const char *
skip_fields(const char *line, int count, uint64_t *size)
{
    for (int i = 0; i < count; i++) {
        if (i == 2)
            *size = strtoull(line, NULL, 10);
        line += strcspn(line, " ");
        line += i == count - 1 ? *line == ' ' : strspn(line, " ");
    }
    return line;
}

static bool
leads_out(const char *name, size_t len)
{
    if (len > 0 && *name == '/')
        return true;
    for (size_t at = 0; at < len;) {
        size_t n = 0;
        while (at + n < len && name[at + n] != '/')
            n++;
        if (n == 2 && strncmp(name + at, "..", 2) == 0)
            return true;
        at += n + 1;
    }
    return false;
}

enum err_code
archive_check_line(const char *line, uint64_t *bytes, struct err *err)
{
    uint64_t size = 0;
    /* -rw-r--r-- 0/0 1234 2026-01-31 12:00:00 name */
    const char *name = skip_fields(line, 5, &size);
    size_t len = strcspn(name, "\n");
    const char *arrow = *line == 'l'   ? strstr(name, " -> ")
                        : *line == 'h' ? strstr(name, " link to ")
                                       : NULL;

    if (!strchr("-dlh", *line) || !*line)
        return err_set(err, ERR_INVALID, "member '%.*s' is neither file, folder nor link",
                       (int)(len < 200 ? len : 200), name);
    if (arrow)
        len = (size_t)(arrow - name);
    if (len == 0 || leads_out(name, len))
        return err_set(err, ERR_INVALID, "member '%.*s' leads out of the folder",
                       (int)(len < 200 ? len : 200), name);
    if (*line == 'h' && arrow && leads_out(arrow + 9, strcspn(arrow + 9, "\n")))
        return err_set(err, ERR_INVALID, "member '%.*s' links out of the folder",
                       (int)(len < 200 ? len : 200), name);
    *bytes += size;
    if (*bytes > ARCHIVE_BYTES_MAX || size > ARCHIVE_BYTES_MAX)
        return err_set(err, ERR_TOO_LARGE, "more than %llu bytes unpacked",
                       (unsigned long long)ARCHIVE_BYTES_MAX);
    return ERR_OK;
}

static enum err_code
check_list(FILE *list, struct err *err)
{
    CLEANUP(mem_free) char *line = NULL;
    uint64_t bytes = 0;
    size_t room = 0, members = 0;

    rewind(list);
    while (getline(&line, &room, list) > 0) {
        if (++members > ARCHIVE_MEMBERS_MAX)
            return err_set(err, ERR_TOO_LARGE, "more than %d members", ARCHIVE_MEMBERS_MAX);
        if (archive_check_line(line, &bytes, err))
            return err->code;
    }
    return ERR_OK;
}

/* By a name, /dev/stdin, for tar looks for compression only in files that it opens itself. */
static enum err_code
check(int fd, const _Atomic bool *give_up, struct err *err)
{
    static const char *const words[] = {"tar",
                                        "--list",
                                        "--verbose",
                                        "--numeric-owner",
                                        "--full-time",
                                        "--quoting-style=escape",
                                        "--absolute-names",
                                        "--file=/dev/stdin",
                                        NULL};
    FILE *list = tmpfile();
    enum err_code code;

    if (!list)
        return err_set(err, ERR_UNAVAILABLE, "list of members: %s", strerror(errno));
    code = files_run(words, fd, fileno(list), give_up, err);
    if (!code)
        code = check_list(list, err);
    fclose(list);
    return code;
}

enum err_code
archive_unpack(int fd, const char *folder, const _Atomic bool *give_up, struct err *err)
{
    const char *const words[] = {"tar",
                                 "--extract",
                                 "--no-same-owner",
                                 "--no-same-permissions",
                                 "--delay-directory-restore",
                                 "--directory",
                                 folder,
                                 "--file=/dev/stdin",
                                 NULL};

    if (check(fd, give_up, err))
        return err_wrap(err, "the archive");
    if (files_run(words, fd, -1, give_up, err))
        return err_wrap(err, "the archive");
    return ERR_OK;
}

enum err_code
archive_pack(int folder, const char *path, const _Atomic bool *give_up, struct err *err)
{
    char from[32];
    const char *const words[] = {"tar",         "--create",  "--sort=name",  "--mtime=@0",
                                 "--owner=0",   "--group=0", "--format=gnu", "--numeric-owner",
                                 "--directory", from,        "--file=-",     ".",
                                 NULL};
    int out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (out < 0)
        return err_set(err, ERR_UNAVAILABLE, "%s: %s", path, strerror(errno));
    /* The folder that was checked, not what may have its name by now; the child's own copy of it. */
    snprintf(from, sizeof(from), "/proc/self/fd/0");
    enum err_code code = files_run(words, folder, out, give_up, err);
    close(out);
    return code;
}
