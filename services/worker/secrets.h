/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secrets.h - values that only the worker knows: files of a folder. Any thread.
 */
#pragma once

#include "buf/buf.h"

#define SECRET_BYTES_MAX (64u << 10)

/*
 * The value of secret `name`: the file's bytes without the line end at its end. The name is the file's; a link
 * is followed (Kubernetes mounts secrets so). ERR_NOT_FOUND; ERR_FORBIDDEN: the file is one that others may
 * read, or its group may write; ERR_INVALID: not a name, empty, more than SECRET_BYTES_MAX, or a NUL
 * in it. The caller wipes *value.
 */
MUST_CHECK enum err_code secret_read(const char *folder, const char *name, struct buf *value,
                                     struct err *err);
void secret_wipe(struct buf *value); /* and frees */

static inline __attribute__((unused)) void
secret_wipe_at(struct buf *value)
{
    secret_wipe(value);
}
