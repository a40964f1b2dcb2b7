/* SPDX-License-Identifier: Apache-2.0 */
/*
 * label_rules.h - how an endpoint's predictions are compared with labels, and how labels are read.
 *
 * On plain values; nothing here does I/O; any thread. The defaults are in
 * proto/modelbus/monitoring/v1/queries.proto.
 */
#pragma once

#include "performance.h"
#include "rules.h"

#include "modelbus/monitoring/v1/events.pb-c.h"

typedef Modelbus__Monitoring__V1__PredictionLabel Label;
typedef Modelbus__Monitoring__V1__PerformanceRules PerformanceRules;

#define LABELS_MAX 10000u            /* of one message */
#define LABELS_WINDOW_MAX 100000u    /* rows */
#define LABELS_HORIZON_MAX 31536000u /* s: a year */
#define LABELS_BOUND_MAX 1e15        /* of limit and max_drop */

/* NULL: off. ERR_INVALID names the field, what it is and what it may be. */
MUST_CHECK enum err_code label_rules_check(const PerformanceRules *rules, struct err *err);
/* Of a message: not too many, each with an id and a value of at most VALUE_NAME_MAX bytes. ERR_INVALID
 * names the first that is not. */
MUST_CHECK enum err_code labels_check(const char *endpoint, Label *const *labels, size_t count,
                                      struct err *err);

/* What checked rules mean; texts are borrowed. */
struct label_rules {
    bool on, classes;
    const char *output, *positive; /* empty: the first column; 0 and 1 */
    double threshold;
    int64_t horizon_ms;
    uint32_t window_rows;
    double sample;
    struct performance_bounds bounds;
    struct rules streaks; /* raise_after and clear_after alone, for episode_window() */
    const PerformanceRules *message;
};
struct label_rules label_rules_of(const PerformanceRules *message); /* NULL: off */
/* What was stored by the one is of no use to the other. */
bool label_rules_differ(const PerformanceRules *a, const PerformanceRules *b);

/* A label's text: 0 or 1, or a number. False: it is neither. */
bool label_read(const struct label_rules *rules, const char *text, double *value);
/* Whether a prediction waits for its label: its id alone decides, so that all instances agree. */
bool label_sampled(const struct label_rules *rules, const char *prediction_id);

/* What becomes of labels and predictions. Stored by number: add at the end. */
enum label_reason {
    LABEL_RECEIVED,
    LABEL_JOINED,
    LABEL_DUPLICATE,
    LABEL_CONFLICTING,
    LABEL_UNKNOWN,
    LABEL_LATE,
    LABEL_OUTSIDE_SAMPLE,
    LABEL_INVALID,
    LABEL_OFF,
    LABEL_DROPPED,
    PREDICTION_STORED,
    PREDICTION_REPEATED,
    PREDICTION_UNLABELLED,
    PREDICTION_UNUSABLE,
    PREDICTION_DROPPED,
    LABEL_REASONS
};
const char *label_reason_name(enum label_reason reason); /* "outside_sample" (label_state.c) */
