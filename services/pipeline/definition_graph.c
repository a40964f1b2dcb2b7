/* SPDX-License-Identifier: Apache-2.0 */
/* definition_graph.c - tasks by their names, what needs what, and in which order. */
#include "definition_parts.h"

#include "buf/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CYCLE_SHOWN 8

/* ---- names ---- */

static int
by_task_name(const void *a, const void *b, void *definition)
{
    Task *const *tasks = ((const Definition *)definition)->tasks;

    return strcmp(tasks[*(const size_t *)a]->name, tasks[*(const size_t *)b]->name);
}

static size_t *
sort_names(const Definition *definition, struct arena *arena)
{
    size_t *places = arena_alloc(arena, (definition->n_tasks + 1) * sizeof(*places));

    for (size_t i = 0; i < definition->n_tasks; i++)
        places[i] = i;
    qsort_r(places, definition->n_tasks, sizeof(*places), by_task_name, (void *)definition);
    return places;
}

size_t
graph_task(const struct graph *graph, const char *name)
{
    size_t low = 0, high = graph->definition->n_tasks;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, graph->definition->tasks[graph->by_name[middle]]->name);
        if (order == 0)
            return graph->by_name[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return SIZE_MAX;
}

size_t
definition_task(const Definition *definition, const char *name)
{
    for (size_t i = 0; i < definition->n_tasks; i++)
        if (strcmp(definition->tasks[i]->name, name) == 0)
            return i;
    return SIZE_MAX;
}

bool
definition_is_exclusive(const Definition *definition)
{
    return strcmp(definition->concurrency, "forbid") == 0 ||
           strcmp(definition->concurrency, "replace") == 0;
}

static enum err_code
check_names(const struct graph *graph, struct err *err)
{
    Task *const *tasks = graph->definition->tasks;

    for (size_t i = 1; i < graph->definition->n_tasks; i++) {
        size_t a = graph->by_name[i - 1], b = graph->by_name[i];
        if (strcmp(tasks[a]->name, tasks[b]->name) == 0)
            return err_set(err, ERR_INVALID, "tasks[%zu].name: there is a task '%s' already",
                           a > b ? a : b, tasks[a]->name);
    }
    return ERR_OK;
}

/* ---- needs ---- */

static enum err_code
unknown_need(const Definition *definition, size_t task, size_t need, struct err *err)
{
    const char *name = definition->tasks[task]->needs[need], *near = NULL;

    for (size_t i = 0; i < definition->n_tasks; i++)
        near = text_nearer(name, near, definition->tasks[i]->name);
    unknown_name(err, "task", name, near);
    return err_wrap(err, "tasks[%zu].needs[%zu]", task, need);
}

static enum err_code
check_needs(const struct graph *graph, struct arena *arena, struct err *err)
{
    const Definition *definition = graph->definition;
    size_t *asked_by = arena_zalloc(arena, (definition->n_tasks + 1) * sizeof(*asked_by));
    size_t total = 0;

    for (size_t i = 0; i < definition->n_tasks; i++) {
        const Task *task = definition->tasks[i];
        total += task->n_needs;
        if (total > DEFINITION_NEEDS_MAX)
            return err_set(err, ERR_TOO_LARGE, "tasks[%zu].needs: more than %d of all tasks", i,
                           DEFINITION_NEEDS_MAX);
        for (size_t k = 0; k < task->n_needs; k++) {
            size_t needed = graph_task(graph, task->needs[k]);
            if (needed == SIZE_MAX)
                return unknown_need(definition, i, k, err);
            if (asked_by[needed] == i + 1)
                return err_set(err, ERR_INVALID, "tasks[%zu].needs[%zu]: '%s' is given twice", i, k,
                               task->needs[k]);
            asked_by[needed] = i + 1;
        }
    }
    return ERR_OK;
}

/* ---- order ---- */

struct walk {
    const struct graph *graph;
    bool *seen;    /* being visited, or visited */
    size_t *trail; /* being visited, from the outermost */
    size_t *next;  /* of the trail: which need is visited next */
    size_t depth;
    size_t *order;
    size_t count;
    bool *done;
};

static enum err_code
cycle(const struct walk *walk, size_t back_to, struct err *err)
{
    Task *const *tasks = walk->graph->definition->tasks;
    char text[CYCLE_SHOWN * 70] = "";
    size_t start = walk->depth, len = 0;

    while (walk->trail[start - 1] != back_to)
        start--;
    start--;
    for (size_t i = start; i < walk->depth && i < start + CYCLE_SHOWN - 2; i++)
        len +=
            (size_t)snprintf(text + len, sizeof(text) - len, "%s -> ", tasks[walk->trail[i]]->name);
    size_t last = walk->trail[walk->depth - 1];
    if (walk->depth - start > CYCLE_SHOWN - 2)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "... -> %s -> ", tasks[last]->name);
    snprintf(text + len, sizeof(text) - len, "%s", tasks[back_to]->name);
    return err_set(err, ERR_INVALID, "tasks[%zu].needs[%zu]: a cycle: %s", last,
                   walk->next[walk->depth - 1] - 1, text);
}

static void
enter(struct walk *walk, size_t task)
{
    walk->seen[task] = true;
    walk->trail[walk->depth] = task;
    walk->next[walk->depth++] = 0;
}

/* Depth first, from one task. */
static enum err_code
visit(struct walk *walk, size_t from, struct err *err)
{
    enter(walk, from);
    while (walk->depth) {
        size_t at = walk->trail[walk->depth - 1];
        const Task *task = walk->graph->definition->tasks[at];
        if (walk->next[walk->depth - 1] == task->n_needs) {
            walk->order[walk->count++] = at;
            walk->done[at] = true;
            walk->depth--;
            continue;
        }
        size_t needed = graph_task(walk->graph, task->needs[walk->next[walk->depth - 1]++]);
        if (walk->done[needed])
            continue;
        if (walk->seen[needed])
            return cycle(walk, needed, err);
        enter(walk, needed);
    }
    return ERR_OK;
}

static enum err_code
sort_by_needs(struct graph *graph, struct arena *arena, struct err *err)
{
    size_t count = graph->definition->n_tasks + 1;
    struct walk walk = {
        .graph = graph,
        .seen = arena_zalloc(arena, count),
        .done = arena_zalloc(arena, count),
        .trail = arena_alloc(arena, count * sizeof(size_t)),
        .next = arena_alloc(arena, count * sizeof(size_t)),
        .order = arena_alloc(arena, count * sizeof(size_t)),
    };

    for (size_t i = 0; i < graph->definition->n_tasks; i++)
        if (!walk.seen[i] && visit(&walk, i, err))
            return err->code;
    graph->order = walk.order;
    return ERR_OK;
}

const size_t *
definition_order(const Definition *definition, struct arena *arena)
{
    struct graph graph = {.definition = definition, .by_name = sort_names(definition, arena)};
    struct err err;

    if (sort_by_needs(&graph, arena, &err))
        abort(); /* it was not checked */
    return graph.order;
}

/* ---- closure ---- */

bool
graph_needs(const struct graph *graph, size_t task, size_t other)
{
    return graph->closure[task * graph->words + other / 64] >> (other % 64) & 1;
}

static void
close_over(struct graph *graph, struct arena *arena)
{
    const Definition *definition = graph->definition;

    graph->words = definition->n_tasks / 64 + 1;
    graph->closure =
        arena_zalloc(arena, definition->n_tasks * graph->words * sizeof(*graph->closure));
    for (size_t i = 0; i < definition->n_tasks; i++) {
        const Task *task = definition->tasks[graph->order[i]];
        uint64_t *row = graph->closure + graph->order[i] * graph->words;
        for (size_t k = 0; k < task->n_needs; k++) {
            size_t needed = graph_task(graph, task->needs[k]);
            row[needed / 64] |= UINT64_C(1) << (needed % 64);
            for (size_t w = 0; w < graph->words; w++)
                row[w] |= graph->closure[needed * graph->words + w];
        }
    }
}

enum err_code
graph_check(const Definition *definition, struct arena *arena, struct graph *graph, struct err *err)
{
    *graph = (struct graph){.definition = definition, .by_name = sort_names(definition, arena)};
    if (check_names(graph, err) || check_needs(graph, arena, err) ||
        sort_by_needs(graph, arena, err))
        return err->code;
    close_over(graph, arena);
    return ERR_OK;
}
