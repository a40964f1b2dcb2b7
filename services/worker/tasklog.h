/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tasklog.h - what a task has written, bounded: the first and the last half of max_bytes.
 *
 * The bytes are kept in one file as they came (not text: any bytes, no lines needed). Its second half
 * is a ring, so a task may write without end: neither memory nor disk grow. Positions count from the
 * task's first byte. One thread writes, another may read meanwhile. Counted: tasklog_ref() for each
 * further owner; the file may be unlinked before the last one leaves.
 */
#pragma once

#include "err/err.h"

struct tasklog;
/* Creates path, or takes the empty file that is there (folders.h). max_bytes is even. */
MUST_CHECK enum err_code tasklog_open(struct tasklog **log, const char *path, uint64_t max_bytes,
                                      struct err *err);
struct tasklog *tasklog_ref(struct tasklog *log);
void tasklog_unref(struct tasklog *log);
CLEANUP_DEFINE(struct tasklog, tasklog_unref)

/* What the disk refuses is lost; the first reason is kept for tasklog_finish(). */
void tasklog_add(struct tasklog *log, const void *data, size_t len);
uint64_t tasklog_bytes(struct tasklog *log); /* written so far */

/* Up to len bytes from *position on, which is moved to the first byte that is still there. Returns
 * how many; 0: nothing yet. */
size_t tasklog_read(struct tasklog *log, uint64_t *position, void *data, size_t len);

/*
 * Nothing is written any more: the whole, with a line that says how many bytes were left out of its
 * middle (*left_out), as a file: path itself when nothing was, else `whole`, which is created. *file
 * is the one of both, borrowed. ERR_UNAVAILABLE: the disk has refused something.
 */
MUST_CHECK enum err_code tasklog_finish(struct tasklog *log, const char *whole, const char **file,
                                        uint64_t *left_out, struct err *err);
