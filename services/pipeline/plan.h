/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - what comes next in a run, on plain values.
 *
 * A run is a row a task (struct task_row). The tasks are looked at in an order in which each comes
 * after what it needs, once: what a task comes to is known before those that need it are asked.
 *
 *     for each task in plan->order:
 *         plan_task()   may it begin, is it skipped, does it wait?
 *         plan_items()  of one that has begun: how many of its items may start
 *         plan_settle() of one that has begun: has it ended, and how?
 *     plan_run()        has the run ended, and how?
 *
 * Nothing here does I/O; any thread.
 */
#pragma once

#include "definition.h"

enum task_status {
    TASK_WAITING,
    TASK_ACTIVE, /* has begun */
    TASK_SUCCEEDED,
    TASK_FAILED,
    TASK_SKIPPED,
    TASK_CANCELLED,
};
const char *task_status_name(enum task_status status); /* "waiting"; of TASK_ACTIVE "running" */

/* A task of a run. items: 1 without a map. An item is in one of: not started (redo, and from next_item
 * on), active (has an attempt that has not ended), succeeded, failed, or was cancelled. */
struct task_row {
    enum task_status status;
    const char *reason;
    uint32_t items, next_item, succeeded, failed, active;
    int64_t *redo; /* items below next_item that start again */
    size_t redo_count;
    int64_t finished_ms;
    bool changed; /* differs from its row in the database */
};

struct plan {
    const Definition *definition;
    const size_t *order;
    struct plan_needs {
        const size_t *places;
        size_t count;
    } * needs; /* of each task */
};
/* Of a checked definition, borrowed; in arena. */
struct plan *plan_new(const Definition *definition, struct arena *arena);
/* marked[i]: task i, or something that it needs by way of others, is `place`. n_tasks long, in arena. */
bool *plan_downstream(const struct plan *plan, size_t place, struct arena *arena);

enum plan_step { PLAN_WAIT, PLAN_BEGIN, PLAN_SKIP };
/* Of a waiting task. *reason (in arena) says why it is skipped. */
enum plan_step plan_task(const struct plan *plan, const struct task_row *rows, size_t place,
                         struct arena *arena, const char **reason);

/* A map has at most so many attempts at once, whatever it allows. */
#define PLAN_ACTIVE_MAX 1000
/* Of an active task. */
uint32_t plan_items(const Task *task, const struct task_row *row);
/* Take the next item, which plan_items() allowed; it is active then. */
uint32_t plan_take(struct task_row *row);
/* An active task that has nothing left to do ends. */
void plan_settle(struct task_row *row, bool cancelling, int64_t now_ms);

/* NULL: it has not ended. "succeeded", "failed" (*reason names the first task that failed) or
 * "cancelled". */
const char *plan_run(const struct plan *plan, const struct task_row *rows, bool cancelling,
                     struct arena *arena, const char **reason);

/* When the next attempt begins after so many failed ones (from 1), ms from now; random in [0, 1). */
int64_t plan_backoff_ms(const Modelbus__Pipeline__V1__Retries *retries, uint32_t failures,
                        double random);
