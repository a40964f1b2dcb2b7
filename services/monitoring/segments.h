/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segments.h - the rows of a window and of its reference by the value of a column.
 *
 * Segments are the column's most frequent values in the reference (the sample, or what was learned when the
 * sample has no such column) that have enough rows there, at most SEGMENTS_VALUES, and all other
 * rows together. They are cut out of the rows that are compared anyway, so they cost no
 * state. Pure; everything lives in the arena.
 */
#pragma once

#include "judge.h"

#define SEGMENTS_VALUES 10

/* One set of rows, each with its segment: 0 … count - 1, count for the others. */
struct segments_rows {
    const struct reservoir *rows;
    uint8_t *of;
    size_t counts[SEGMENTS_VALUES + 1];
};

struct segments {
    const char *column;
    const char *problem; /* static: why there are none; NULL: there are */
    size_t count;
    const char *values[SEGMENTS_VALUES]; /* the most frequent first */
    struct segments_rows sets[2 + RULES_PANES_MAX];
    size_t set_count;
    size_t current[SEGMENTS_VALUES + 1]; /* rows of the window */
};

void segments_cut(const struct judge_rows *rows, const char *column, uint32_t min_rows,
                  struct arena *arena, struct segments *segments);
/* NULL: these rows have no such column. */
const struct segments_rows *segments_of(const struct segments *segments,
                                        const struct reservoir *rows);
