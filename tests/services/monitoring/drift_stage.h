/* SPDX-License-Identifier: Apache-2.0 */
/* drift_stage.h - the monitoring service's handlers on a real database, and an endpoint whose rows a test logs. */
#pragma once

#include "../fixture.h"
#include "changes.h"

#include "artifact/artifact.h"
#include "modelbus/deployment/v1/events.pb-c.h"
#include "modelbus/monitoring/v1/events.pb-c.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define OK(call) cr_assert_eq(call, ERR_OK, "%s: %s", #call, stage.f.err.message)
#define FAILS(code, call) cr_assert_eq(call, code, "%s: %s", #call, stage.f.err.message)
#define MORE_MAX 5000

typedef Modelbus__Monitoring__V1__DriftDetected DriftDetected;
typedef Modelbus__Monitoring__V1__DriftCleared DriftCleared;

struct stage {
    struct fixture f; /* its state is instances[0] */
    struct monitoring *instances[2];
    struct artifact_store *artifacts;
    /* Of the rows that come next. */
    int64_t clock_ms;
    int64_t version, generation;
    double output_shift; /* NaN: the rows have no output */
    size_t more_columns; /* copies of x, with other names; at most MORE_MAX */
    bool with_group;     /* rows are "even" or "odd", and the shift is of the odd ones */
};
extern struct stage stage;

void stage_open(void);
void stage_close(void);

/* Rows of one feature: row i is (i % 100) + shift, in an order that mixes; NaN when shift is. The output
 * is the same with a shift of its own. */
enum err_code stage_rows(size_t count, double shift);
enum err_code stage_deployed(void);
/* Windows of 100 rows, and what change() (may be NULL) makes of them. */
enum err_code stage_set_rules(void (*change)(MonitorRules *rules));
/* Deployed, with these rules and a reference of 100 rows. */
void stage_start(void (*change)(MonitorRules *rules));

Monitor *stage_monitor(void);
size_t stage_reports(Report ***list); /* newest first */
