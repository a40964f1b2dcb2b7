/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mask.h - secrets in a stream of bytes become "***", also where a chunk ends within one.
 *
 * What may be the beginning of a secret is held back until it is known, so nothing of a secret
 * is passed on early. Of secrets that begin alike the longest counts. Values shorter than MASK_MIN
 * bytes are not masked: they would tear holes into every log, and hide nothing. One thread.
 */
#pragma once

#include "buf/buf.h"

#define MASK_MIN 4

struct mask;
struct mask *mask_new(void);
void mask_free(struct mask *mask);
CLEANUP_DEFINE(struct mask, mask_free)

/* Before the first mask_add(). Copied, and wiped by mask_free(). */
void mask_secret(struct mask *mask, const char *value, size_t len);
/* Append to out what of the stream is certain by now. */
void mask_add(struct mask *mask, const char *data, size_t len, struct buf *out);
/* The stream has ended: what was held back. */
void mask_end(struct mask *mask, struct buf *out);

/* A secret is in these bytes. */
bool mask_finds(const struct mask *mask, const char *data, size_t len);
