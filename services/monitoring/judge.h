/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge.h - a window's rows beside the reference's, column by column.
 *
 * Columns go together by name. What cannot be compared is a finding of its own:
 *   column_gone   the reference has it and the model takes it, the window has it not: drift, unless
 *                 most of the reference's rows have it not either
 *   column_new    the reference has it not (yet): undecided
 *   type_changed  numbers became words or the reverse, or both came: drift
 *   too_many_columns  the window has more than can be watched: drift, when the reference has not
 *   missing       in the native profile, the share of rows without a value changed: drift
 * p-values of all columns, and of all segments (segments.h), are corrected together. Of a segment only
 * verdicts of drift are listed; what else was compared is in its counts. Floats of a window are compared with the
 * reference rounded to floats: else a value that is met often would differ in its last digits.
 *
 * Pure: memory in, memory out (the report lives in arena). Any thread.
 */
#pragma once

#include "reservoir.h"
#include "rules.h"

typedef Modelbus__Monitoring__V1__ColumnVerdict ColumnVerdict;
typedef Modelbus__Monitoring__V1__Histogram Histogram;
typedef Modelbus__Monitoring__V1__Segment Segment;

#define JUDGE_BARS 20
#define JUDGE_WORST 20 /* columns that an event names */

struct judgement {
    enum drift_outcome outcome;
    size_t checked, drifted; /* columns, in whichever segments */
    ColumnVerdict **columns; /* in the window's order, those that are gone, those of segments */
    size_t column_count;
    Segment **segments;
    size_t segment_count;
    Histogram **histograms;
    size_t histogram_count;
    size_t compared; /* rows */
};

/* What is compared; borrowed. */
struct judge_rows {
    /* The reference; one of them may be NULL. Of the sample of the training run, and for columns that
     * it lacks, of rows that were predicted. */
    const struct reservoir *sample, *learned;
    /* The window: each pane is a sample of as many rows. */
    const struct reservoir *const *panes;
    size_t pane_count;
    /* What the model takes, for column_gone; count 0: all that the reference has. */
    char *const *features;
    size_t feature_count;
};
void judge(const struct rules *rules, const struct judge_rows *rows, struct arena *arena,
           struct judgement *judgement);

/* The columns that drifted, each by its clearest verdict, the clearest first. */
size_t judge_worst(const struct judgement *judgement, ColumnVerdict *worst[JUDGE_WORST]);
