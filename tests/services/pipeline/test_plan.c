/* SPDX-License-Identifier: Apache-2.0 */
/* test_plan.c - what comes next in a run. */
#include "plan.h"

#include <criterion/criterion.h>
#include <string.h>

static struct arena *arena;
static struct plan *plan;
static struct task_row rows[20];
static const char *reason;

static void
open_it(void)
{
    arena = arena_new(0, 0);
    memset(rows, 0, sizeof(rows));
}

static void
close_it(void)
{
    arena_free(arena);
}

TestSuite(plan, .init = open_it, .fini = close_it);

static void
read_it(const char *yaml)
{
    Definition *definition = NULL;
    struct err err = {0};

    cr_assert_eq(definition_parse(yaml, strlen(yaml), arena, &definition, &err), ERR_OK, "%s",
                 err.message);
    plan = plan_new(definition, arena);
    for (size_t i = 0; i < definition->n_tasks; i++)
        rows[i].reason = "";
}

#define DIAMOND                                                                                    \
    "name: d\ntasks:\n"                                                                            \
    "  - {name: last, run: [x], needs: [left, right]}\n"                                           \
    "  - {name: left, run: [x], needs: [first]}\n"                                                 \
    "  - {name: right, run: [x], needs: [first]}\n"                                                \
    "  - {name: first, run: [x]}\n"                                                                \
    "  - {name: tidy, run: [x], needs: [left], run_on: failure}\n"                                 \
    "  - {name: report, run: [x], needs: [last], run_on: always}\n"
enum { LAST, LEFT, RIGHT, FIRST, TIDY, REPORT };

static enum plan_step
next(size_t place)
{
    return plan_task(plan, rows, place, arena, &reason);
}

Test(plan, a_task_waits_for_all_that_it_needs)
{
    read_it(DIAMOND);
    cr_expect_eq(plan->order[0], FIRST);
    cr_expect_eq(next(FIRST), PLAN_BEGIN);
    cr_expect_eq(next(LEFT), PLAN_WAIT);
    rows[FIRST].status = TASK_ACTIVE;
    cr_expect_eq(next(LEFT), PLAN_WAIT);
    rows[FIRST].status = TASK_SUCCEEDED;
    cr_expect_eq(next(LEFT), PLAN_BEGIN);
    rows[LEFT].status = TASK_SUCCEEDED;
    cr_expect_eq(next(LAST), PLAN_WAIT);
    rows[RIGHT].status = TASK_SUCCEEDED;
    cr_expect_eq(next(LAST), PLAN_BEGIN);
    cr_expect_eq(next(TIDY), PLAN_SKIP);
}

Test(plan, what_failed_skips_what_needs_it_and_begins_what_asks_for_it)
{
    read_it(DIAMOND);
    rows[FIRST].status = TASK_SUCCEEDED;
    rows[RIGHT].status = TASK_SUCCEEDED;
    rows[LEFT].status = TASK_FAILED;
    cr_expect_eq(next(LAST), PLAN_SKIP);
    cr_expect_str_eq(reason, "it needs left, which failed");
    cr_expect_eq(next(TIDY), PLAN_BEGIN);
    cr_expect_eq(next(REPORT), PLAN_WAIT);
    rows[LAST].status = TASK_SKIPPED;
    cr_expect_eq(next(REPORT), PLAN_BEGIN);
    rows[LEFT].status = TASK_SKIPPED;
    cr_expect_eq(next(LAST), PLAN_SKIP);
    cr_expect_str_eq(reason, "it needs left, which did not run");
}

Test(plan, a_run_ends_when_all_have_ended)
{
    read_it(DIAMOND);
    for (size_t i = 0; i < 6; i++)
        rows[i].status = TASK_SUCCEEDED;
    rows[TIDY].status = TASK_SKIPPED;
    cr_expect_str_eq(plan_run(plan, rows, false, arena, &reason), "succeeded");
    rows[LEFT].status = TASK_FAILED;
    rows[LEFT].reason = "exit code 3";
    cr_expect_str_eq(plan_run(plan, rows, false, arena, &reason), "failed");
    cr_expect_str_eq(reason, "left failed: exit code 3");
    cr_expect_str_eq(plan_run(plan, rows, true, arena, &reason), "cancelled");
    rows[REPORT].status = TASK_ACTIVE;
    cr_expect_null(plan_run(plan, rows, false, arena, &reason));
}

Test(plan, items_start_within_the_parallelism)
{
    read_it("name: m\ntasks:\n  - {name: a, run: [x], map: {items: [a, b, c], parallelism: 2}}\n");
    const Task *task = plan->definition->tasks[0];
    int64_t redo[] = {1};

    rows[0] = (struct task_row){.status = TASK_ACTIVE, .items = 3};
    cr_expect_eq(plan_items(task, &rows[0]), 2);
    cr_expect_eq(plan_take(&rows[0]), 0);
    cr_expect_eq(plan_take(&rows[0]), 1);
    cr_expect_eq(plan_items(task, &rows[0]), 0);
    rows[0].active = 1;
    rows[0].succeeded = 1;
    cr_expect_eq(plan_items(task, &rows[0]), 1);
    rows[0] = (struct task_row){
        .items = 3, .next_item = 3, .succeeded = 2, .redo = redo, .redo_count = 1};
    cr_expect_eq(plan_items(task, &rows[0]), 1);
    cr_expect_eq(plan_take(&rows[0]), 1);
    cr_expect_eq(plan_items(task, &rows[0]), 0);
}

Test(plan, a_task_settles_when_nothing_is_left_to_do)
{
    struct task_row row = {.status = TASK_ACTIVE, .items = 2, .succeeded = 1, .active = 1};

    plan_settle(&row, false, 5);
    cr_expect_eq(row.status, TASK_ACTIVE);
    row.active = 0;
    plan_settle(&row, false, 5);
    cr_expect_eq(row.status, TASK_ACTIVE);
    plan_settle(&row, true, 5);
    cr_expect_eq(row.status, TASK_CANCELLED);
    row = (struct task_row){.status = TASK_ACTIVE, .items = 2, .succeeded = 1, .failed = 1};
    plan_settle(&row, false, 5);
    cr_expect_eq(row.status, TASK_FAILED);
    cr_expect_eq(row.finished_ms, 5);
    row = (struct task_row){.status = TASK_ACTIVE};
    plan_settle(&row, false, 5);
    cr_expect_eq(row.status, TASK_SUCCEEDED);
}

Test(plan, downstream_is_what_needs_it_by_any_way)
{
    read_it(DIAMOND);
    const bool *marked = plan_downstream(plan, LEFT, arena);
    const bool expected[] = {[LAST] = true, [LEFT] = true, [TIDY] = true, [REPORT] = true};

    for (size_t i = 0; i < 6; i++)
        cr_expect_eq(marked[i], expected[i], "%zu", i);
}

Test(plan, backoff_grows_to_its_cap)
{
    Modelbus__Pipeline__V1__Retries retries = MODELBUS__PIPELINE__V1__RETRIES__INIT;

    retries.base_s = 2;
    retries.factor = 3;
    retries.cap_s = 10;
    cr_expect_eq(plan_backoff_ms(&retries, 1, 0.5), 2000);
    cr_expect_eq(plan_backoff_ms(&retries, 2, 0.5), 6000);
    cr_expect_eq(plan_backoff_ms(&retries, 3, 0.5), 10000);
    cr_expect_eq(plan_backoff_ms(&retries, 1000000, 0.5), 10000);
    retries.jitter = 0.5;
    cr_expect_eq(plan_backoff_ms(&retries, 1, 0.5), 1500);
    retries = (Modelbus__Pipeline__V1__Retries)MODELBUS__PIPELINE__V1__RETRIES__INIT;
    cr_expect_eq(plan_backoff_ms(&retries, 5, 0), 16000);
}
