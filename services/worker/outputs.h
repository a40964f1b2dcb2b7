/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outputs.h - what a task has put out becomes artifacts.
 *
 * Each declared name must be a regular file in the folder "outputs", or a folder there, which becomes a
 * tar file. No link is followed: neither the file itself nor "outputs" may be one. At most OUTPUT_VALUE_MAX bytes of UTF-8
 * that hold no secret go along as text, without the line end.
 */
#pragma once

#include "gateway.h"
#include "mask.h"

#define OUTPUT_VALUE_MAX 4096

/* Called for each upload, which it may repeat; see gateway_upload(). */
typedef enum err_code (*outputs_upload)(void *arg, const char *path, uint64_t bytes,
                                        char uri[ARTIFACT_URI_LEN + 1], struct err *err);

/* One output of the task in `folder`. *output and its texts are in arena. ERR_INVALID: it is not there, or not
 * what it must be. Tar files are made in folder, and left there. */
MUST_CHECK enum err_code outputs_collect(const char *folder, const char *name,
                                         const struct mask *mask, const _Atomic bool *give_up,
                                         outputs_upload upload, void *arg, struct arena *arena,
                                         Output **output, struct err *err);
