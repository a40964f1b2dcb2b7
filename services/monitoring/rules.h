/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules.h - how an endpoint is watched, and when a row of windows becomes an episode of drift.
 *
 * On plain values; nothing here does I/O; any thread. What MonitorRules leaves out (0 or empty) is the
 * default; the defaults are in proto/modelbus/monitoring/v1/queries.proto.
 */
#pragma once

#include "arena/arena.h"
#include "drift/drift.h"

#include "modelbus/monitoring/v1/queries.pb-c.h"

typedef Modelbus__Monitoring__V1__MonitorRules MonitorRules;
typedef Modelbus__Monitoring__V1__ColumnRule ColumnRule;

#define RULES_WINDOW_MAX 10000000u /* rows */
#define RULES_PANES_MAX 16u        /* windows that overlap */
#define RULES_COLUMNS_MAX 1000u
#define RULES_SEGMENTS_MAX 3u /* columns */

/* ERR_INVALID names the field, what it is and what it may be. */
MUST_CHECK enum err_code rules_check(const MonitorRules *rules, struct err *err);

/* What checked rules mean. */
struct rules {
    bool disabled;
    uint32_t pane_rows; /* a pane ends with so many rows ... */
    int64_t pane_ms;    /* ... or, with pane_min_rows, this long after its first; 0: never */
    uint32_t pane_min_rows;
    uint32_t min_rows; /* of a window, and of a segment */
    uint32_t panes;    /* of a window */
    uint32_t reference_rows;
    struct drift_plan plan;
    enum drift_correction correction;
    uint32_t min_columns, raise_after, clear_after;
    const MonitorRules *message; /* borrowed */
};
struct rules rules_of(const MonitorRules *message);
/* Of one column; *ignore: it is not judged. */
struct drift_plan rules_plan(const struct rules *rules, const char *column, bool *ignore);

/* Windows in a row, and the episode that they make. */
enum episode_turn { EPISODE_GOES_ON, EPISODE_BEGINS, EPISODE_ENDS };
struct episode {
    bool open;
    uint32_t drifted, calm;
};
/* After a window; one that is undecided neither raises nor clears. */
enum episode_turn episode_window(struct episode *episode, const struct rules *rules,
                                 enum drift_outcome outcome);
