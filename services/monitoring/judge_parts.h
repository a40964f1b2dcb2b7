/* SPDX-License-Identifier: Apache-2.0 */
/* judge_parts.h - what judge.c, compare.c and settle.c share; inside of judge.h. */
#pragma once

#include "segments.h"

/* A column of the reference; rows NULL: it has no such column. */
struct known {
    const struct reservoir *rows;
    const struct reservoir_column *column;
};

/* What is known of a window's column in all panes. */
struct met {
    bool mixed, floats, words, numbers;
};

/* A column that is judged. */
struct watched {
    const char *name;
    bool output;
    struct known known;
    struct met met;
    struct drift_plan plan;
};

/* The rows with one value of a column; NULL stands for all rows. */
struct cut {
    const struct segments *segments;
    uint8_t segment;
};

/* compare.c: the column's two sides, as far as they are in cut. What sides point to lives until the
 * scratch memory is used again. */
struct scratch {
    void *memory;
    size_t bytes;
};
void compare_gather(const struct judge_rows *rows, const struct watched *column,
                    const struct cut *cut, struct scratch *scratch, struct drift_column *sides);
struct known compare_known(const struct judge_rows *rows, const char *name, bool output);
struct met compare_meet(const struct judge_rows *rows, const char *name, bool output);

/* A verdict or a finding; beside out->columns. */
struct entry {
    struct drift_verdict *verdict; /* NULL: a finding */
    size_t column;                 /* which one of those that are checked */
    Segment *segment;              /* NULL: of the whole window */
};

struct work {
    const struct rules *rules;
    const struct judge_rows *rows;
    struct arena *arena;
    struct judgement *out;
    struct entry *entries;
    size_t room;
    struct watched *watched; /* columns that can be compared */
    size_t *watched_as;      /* entry.column of them */
    size_t watched_count, segment_checks;
    struct scratch scratch;
};

/* settle.c: correct, fill and count; what is not listed goes. */
void judge_settle(struct work *work);
