/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c - what comes next in a run. */
#include "plan.h"

#include <math.h>
#include <string.h>

#define BACKOFF_BASE_S 1
#define BACKOFF_CAP_S 300
#define BACKOFF_FACTOR 2

const char *
task_status_name(enum task_status status)
{
    static const char *const names[] = {
        [TASK_WAITING] = "waiting", [TASK_ACTIVE] = "running",  [TASK_SUCCEEDED] = "succeeded",
        [TASK_FAILED] = "failed",   [TASK_SKIPPED] = "skipped", [TASK_CANCELLED] = "cancelled",
    };

    return names[status];
}

struct plan *
plan_new(const Definition *definition, struct arena *arena)
{
    struct plan *plan = arena_alloc(arena, sizeof(*plan));

    plan->definition = definition;
    plan->order = definition_order(definition, arena);
    plan->needs = arena_alloc(arena, definition->n_tasks * sizeof(*plan->needs));
    for (size_t i = 0; i < definition->n_tasks; i++) {
        const Task *task = definition->tasks[i];
        size_t *places = arena_alloc(arena, task->n_needs * sizeof(*places));
        for (size_t k = 0; k < task->n_needs; k++)
            places[k] = definition_task(definition, task->needs[k]);
        plan->needs[i] = (struct plan_needs){places, task->n_needs};
    }
    return plan;
}

bool *
plan_downstream(const struct plan *plan, size_t place, struct arena *arena)
{
    bool *marked = arena_zalloc(arena, plan->definition->n_tasks * sizeof(*marked));

    marked[place] = true;
    for (size_t i = 0; i < plan->definition->n_tasks; i++) {
        size_t at = plan->order[i];
        for (size_t k = 0; k < plan->needs[at].count; k++)
            marked[at] = marked[at] || marked[plan->needs[at].places[k]];
    }
    return marked;
}

static bool
has_ended(const struct task_row *row)
{
    return row->status > TASK_ACTIVE;
}

enum plan_step
plan_task(const struct plan *plan, const struct task_row *rows, size_t place, struct arena *arena,
          const char **reason)
{
    const Task *task = plan->definition->tasks[place];
    const struct plan_needs *needs = &plan->needs[place];
    bool failed = false;
    size_t unfit = SIZE_MAX; /* the first that did not succeed */

    for (size_t i = 0; i < needs->count; i++) {
        const struct task_row *row = &rows[needs->places[i]];
        if (!has_ended(row))
            return PLAN_WAIT;
        failed = failed || row->status == TASK_FAILED;
        if (row->status != TASK_SUCCEEDED && unfit == SIZE_MAX)
            unfit = needs->places[i];
    }
    if (strcmp(task->run_on, "always") == 0)
        return PLAN_BEGIN;
    if (strcmp(task->run_on, "failure") == 0) {
        *reason = "nothing that it needs failed";
        return failed ? PLAN_BEGIN : PLAN_SKIP;
    }
    if (unfit == SIZE_MAX)
        return PLAN_BEGIN;
    *reason = arena_printf(arena, "it needs %s, which %s", plan->definition->tasks[unfit]->name,
                           rows[unfit].status == TASK_FAILED ? "failed" : "did not run");
    return PLAN_SKIP;
}

uint32_t
plan_items(const Task *task, const struct task_row *row)
{
    uint32_t left = row->items - row->next_item + (uint32_t)row->redo_count;
    uint32_t most = task->map && task->map->parallelism && task->map->parallelism < PLAN_ACTIVE_MAX
                        ? task->map->parallelism
                        : PLAN_ACTIVE_MAX;
    uint32_t room = row->active < most ? most - row->active : 0;

    return left < room ? left : room;
}

uint32_t
plan_take(struct task_row *row)
{
    row->active++;
    row->changed = true;
    if (row->redo_count == 0)
        return row->next_item++;
    row->redo_count--;
    return (uint32_t)*row->redo++;
}

void
plan_settle(struct task_row *row, bool cancelling, int64_t now_ms)
{
    bool all = row->succeeded + row->failed == row->items;

    if (row->active > 0 || (!all && !cancelling))
        return;
    row->status = row->failed ? TASK_FAILED : all ? TASK_SUCCEEDED : TASK_CANCELLED;
    row->finished_ms = now_ms;
    row->changed = true;
}

const char *
plan_run(const struct plan *plan, const struct task_row *rows, bool cancelling, struct arena *arena,
         const char **reason)
{
    const struct task_row *failed = NULL;

    for (size_t i = 0; i < plan->definition->n_tasks; i++) {
        size_t at = plan->order[i];
        if (!has_ended(&rows[at]))
            return NULL;
        if (rows[at].status != TASK_FAILED || failed)
            continue;
        failed = &rows[at];
        *reason = arena_printf(arena, "%s failed%s%s", plan->definition->tasks[at]->name,
                               *failed->reason ? ": " : "", failed->reason);
    }
    return cancelling ? "cancelled" : failed ? "failed" : "succeeded";
}

int64_t
plan_backoff_ms(const Modelbus__Pipeline__V1__Retries *retries, uint32_t failures, double random)
{
    double base_s = retries->base_s > 0 ? retries->base_s : BACKOFF_BASE_S;
    double factor = retries->factor > 0 ? retries->factor : BACKOFF_FACTOR;
    double cap = retries->cap_s > 0 ? retries->cap_s : BACKOFF_CAP_S;
    double wait_s = fmin(base_s * pow(factor, (double)failures - 1), cap);

    return (int64_t)(wait_s * (1 - retries->jitter * random) * 1000);
}
