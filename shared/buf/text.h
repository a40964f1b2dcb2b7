/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text.h - what parsers and writers of text share: UTF-8 and the nearest name.
 * Pure functions; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Length of the valid UTF-8 sequence (RFC 3629: shortest form, no surrogates, at most
 * U+10FFFF) at s, of which left bytes exist; 0 when there is none. NUL counts as valid. */
size_t text_utf8_sequence(const char *s, size_t left);
bool text_utf8_valid(const char *s, size_t len);

/* Edit distance of two names (Levenshtein; two neighbours that changed places are one edit), letters
 * compared without case; names longer than TEXT_NAME_MAX bytes are at distance TEXT_NAME_MAX of
 * everything. */
#define TEXT_NAME_MAX 128
size_t text_distance(const char *a, const char *b);

/*
 * Fold over candidates to find what a misspelt name meant:
 *     const char *best = NULL;
 *     for (each row) best = text_nearer(name, best, row->name);
 * Returns candidate when it is nearer to name than best and near enough to be meant (at
 * most a third of its letters differ), else best. NULL: nothing near so far.
 */
const char *text_nearer(const char *name, const char *best, const char *candidate);
