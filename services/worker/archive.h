/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.h - tar files in and out, by the system's tar (GNU), in a process of its own.
 *
 * Archives come from outside. Each is listed first and refused whole when a member has an absolute
 * path or a "..", is neither file, folder nor link, or when there are more than ARCHIVE_MEMBERS_MAX or
 * they are larger than ARCHIVE_BYTES_MAX in all. GNU tar itself follows no link out of the folder
 * that it made while unpacking. Compressed ones (gzip, xz, zstd) need these programs.
 */
#pragma once

#include "err/err.h"

#define ARCHIVE_MEMBERS_MAX 1000000
#define ARCHIVE_BYTES_MAX (64ull << 30)

/* ERR_INVALID with the member's name, ERR_TOO_LARGE; ERR_CANCELLED. */
MUST_CHECK enum err_code archive_unpack(int fd, const char *folder, const _Atomic bool *give_up,
                                        struct err *err);
/* What is in the open folder into the file at path, which is created: the same tree gives the same
 * bytes. Links stay links. */
MUST_CHECK enum err_code archive_pack(int folder, const char *path, const _Atomic bool *give_up,
                                      struct err *err);

/* One line of `tar --list --verbose --numeric-owner --full-time --quoting-style=escape`; *bytes grows. */
MUST_CHECK enum err_code archive_check_line(const char *line, uint64_t *bytes, struct err *err);
