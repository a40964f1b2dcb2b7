/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage.h - the pipeline service's handlers on a real database, with workers that a test plays and a
 * clock that it moves.
 */
#pragma once

#include "../fixture.h"
#include "changes.h"
#include "scheduler.h"
#include "triggers.h"
#include "work.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define OK(call) cr_assert_eq(call, ERR_OK, "%s: %s", #call, stage.f.err.message)
#define FAILS(code, call) cr_assert_eq(call, code, "%s: %s", #call, stage.f.err.message)

typedef Modelbus__Pipeline__V1__StartRunResponse StartRunResponse;
typedef Modelbus__Pipeline__V1__GetPipelineRunResponse GetRunResponse;
typedef Modelbus__Pipeline__V1__PipelineFinished PipelineFinished;
typedef Modelbus__Pipeline__V1__PipelineStarted PipelineStarted;
typedef Modelbus__Pipeline__V1__TaskFinished TaskFinished;

#define HELD_MAX 200
struct held_lease {
    const char *worker;
    Lease *lease;
    bool brought; /* by a finish; the test has not seen it */
};

struct stage {
    struct fixture f;
    struct pipeline_settings settings;
    struct pipeline_state state;
    int64_t now_ms; /* the clock */
    struct held_lease held[HELD_MAX];
    size_t held_count;
};
extern struct stage stage;

void stage_open(void);
void stage_close(void);

/* Do all that time does now; how many steps did something. */
size_t stage_tick(void);
/* The same by another scheduler, as of another instance. */
size_t stage_tick_by(struct scheduler *scheduler);

/* A method with its request as JSON; the reply (in the fixture's arena) must be of its type. */
enum err_code stage_call(const char *method, const char *request, void **reply);
void *stage_ask(const char *method, const char *request); /* must succeed */

/* Apply a file that must be right; returns "created", "changed", "unchanged". */
const char *stage_apply(const char *yaml);
/* Start a run by hand; its id. parameters: JSON object. */
const char *stage_run(const char *pipeline, const char *parameters);
PipelineRun *stage_get(const char *run);
/* "prepare:succeeded train:running", in the order of the definition. */
const char *stage_tasks(const char *run);
const char *stage_status(const char *run);
/* The newest run of a pipeline; NULL: none. */
PipelineRun *stage_newest(const char *pipeline);
size_t stage_count_runs(const char *pipeline);

/* A worker of 4 cores and 4 GiB polls, naming what it has; what a finish brought comes first. */
PollResponse *stage_poll(const char *worker);
/* The poll alone, naming these leases (NULL-ended; NULL: none). */
PollResponse *stage_poll_as(const char *worker, const char *instance, const char *const *leases);
/* Poll for exactly one lease. */
Lease *stage_lease(const char *worker);
enum err_code stage_finish(const char *worker, const Lease *lease, const char *status);
/* With an output of a small text. */
enum err_code stage_put_out(const char *worker, const Lease *lease, const char *name,
                            const char *value);
/* Lease and finish everything until nothing is left, each with this status; how many. */
size_t stage_work(const char *worker, const char *status);
