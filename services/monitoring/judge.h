/* SPDX-License-Identifier: Apache-2.0 */
/*
 * judge.h - a window's rows beside the reference's, column by column.
 *
 * Columns go together by name. What cannot be compared is a finding of its own:
 *   column_gone   the reference has it and the model takes it, the window has it not: drift
 *   column_new    the reference has it not: undecided
 *   type_changed  numbers became words or the reverse, or both came: drift
 *   missing       in the native profile, the share of rows without a value changed: drift
 * p-values of all columns are corrected together. Floats of a window are compared with the
 * reference rounded to floats: else a value that is met often would differ in its last digits.
 *
 * Pure: memory in, memory out (the report lives in arena). Any thread.
 */
#pragma once

#include "reservoir.h"
#include "rules.h"

typedef Modelbus__Monitoring__V1__ColumnVerdict ColumnVerdict;
typedef Modelbus__Monitoring__V1__Histogram Histogram;

#define JUDGE_BARS 20
#define JUDGE_WORST 20 /* columns that an event names */

struct judgement {
    enum drift_outcome outcome;
    size_t checked, drifted;
    ColumnVerdict **columns; /* in the window's order, then those that are gone */
    size_t column_count;
    Histogram **histograms;
    size_t histogram_count;
    size_t compared; /* rows */
};

/* panes: the window's, each a sample of as many rows. features: what the model takes, for column_gone;
 * count 0: all that the reference has. */
void judge(const struct rules *rules, const struct reservoir *reference,
           const struct reservoir *const *panes, size_t pane_count, char *const *features,
           size_t feature_count, struct arena *arena, struct judgement *judgement);

/* The columns that drifted, the clearest first, at most JUDGE_WORST. */
size_t judge_worst(const struct judgement *judgement, ColumnVerdict *worst[JUDGE_WORST]);
