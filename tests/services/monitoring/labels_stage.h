/* SPDX-License-Identifier: Apache-2.0 */
/* labels_stage.h - the monitoring service's handlers on a real database, predictions of an endpoint and their labels. */
#pragma once

#include "../fixture.h"
#include "labels.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define OK(call) cr_assert_eq(call, ERR_OK, "%s: %s", #call, stage.f.err.message)
#define WINDOW 20

typedef Modelbus__Monitoring__V1__PerformanceDegraded PerformanceDegraded;
typedef Modelbus__Monitoring__V1__PerformanceRecovered PerformanceRecovered;

struct stage {
    struct fixture f; /* its state is instances[0] */
    struct monitoring *instances[2];
    struct monitoring_settings settings;
    PerformanceRules
        rules; /* accuracy of windows of WINDOW rows, twice below 0.8; a test may change them */
    /* Of the predictions that come next. */
    int64_t version, generation, age_ms;
    size_t next_row; /* of stage_window() */
};
extern struct stage stage;

void stage_open(void);
void stage_close(void);

/* ---- what comes in ---- */

enum err_code stage_deployed(void);
enum err_code stage_set_rules(void);
void stage_start(void); /* both */
/* Rows "p<first>" on: odd ones are predicted to be positive. Two outputs: "other" is the opposite. */
enum err_code stage_predict(size_t first, size_t count);
/* Labels of rows "p<first>" on. */
enum truth { RIGHT, WRONG };
enum err_code stage_label(size_t first, size_t count, enum truth truth);
/* One label with an id and a value of its own. */
enum err_code stage_label_one(const char *id, const char *value);
/* The next WINDOW rows, predicted and labelled. */
void stage_window(enum truth truth);

/* ---- what is answered ---- */

Performance *stage_performance(void);
/* How many labels or predictions; checks that every label that came is counted once, or waits. */
uint64_t stage_count(enum label_reason reason);
size_t stage_reports(int64_t of_version, bool degraded, PerformanceReport ***list);
double stage_metric(const PerformanceReport *report, enum performance_metric wanted);
