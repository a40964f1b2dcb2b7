/* SPDX-License-Identifier: Apache-2.0 */
/*
 * folders.h - the folder of a task, made or used again.
 *
 * What a task has left as it was is the next one's: a file system may take long for a new folder when many have just been
 * removed (ext4 looks at each of the last five seconds). As it was means: the folders below and an empty
 * log, nothing more, nothing in them, with their modes and without attributes. Everything else is removed.
 */
#pragma once

#include "err/err.h"

#define FOLDERS_SPARE_MAX 32

struct folders;
/* In dir, which is there and borrowed; what is spare since a former life is removed. */
MUST_CHECK enum err_code folders_open(struct folders **folders, const char *dir, struct err *err);
void folders_free(struct folders *folders);
CLEANUP_DEFINE(struct folders, folders_free)

/* dir/name with work, inputs, outputs and tmp in it, all empty; there may be an empty log. Any thread. */
MUST_CHECK enum err_code folders_take(struct folders *folders, const char *name, struct err *err);
/* It goes, or waits for the next one. It is no error when it is not there. */
MUST_CHECK enum err_code folders_give(struct folders *folders, const char *name, struct err *err);
