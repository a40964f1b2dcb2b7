/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline_graph.c - `modelbus pipeline graph`: as a tree in the terminal, for Graphviz, for Mermaid.
 *
 * In the tree each task stands once, below the one of its needs that comes latest; the others are named.
 */
#include "output.h"
#include "pipeline.h"

#include "buf/buf.h"

#include <stdlib.h>
#include <string.h>

struct graph {
    const struct cli *cli;
    const json_t *tasks;
    size_t count;
    size_t *depth;  /* longest way from a task that needs nothing */
    size_t *parent; /* SIZE_MAX: none */
};

static const char *
name_of(const struct graph *g, size_t task)
{
    return json_text_at(json_array_get(g->tasks, task), "name");
}

static const json_t *
needs_of(const struct graph *g, size_t task)
{
    return json_object_get(json_array_get(g->tasks, task), "needs");
}

static size_t
task_named(const struct graph *g, const char *name)
{
    for (size_t i = 0; i < g->count; i++)
        if (strcmp(name_of(g, i), name) == 0)
            return i;
    return SIZE_MAX;
}

/* Depths grow until they fit: a definition that was applied has no cycle. */
static void
arrange(struct graph *g)
{
    bool changed = true;

    for (size_t round = 0; changed && round <= g->count; round++) {
        changed = false;
        for (size_t i = 0; i < g->count; i++) {
            json_t *need;
            size_t k;
            json_array_foreach((json_t *)needs_of(g, i), k, need)
            {
                size_t other = task_named(g, json_string_value(need));
                if (other == SIZE_MAX || g->depth[other] + 1 <= g->depth[i])
                    continue;
                g->depth[i] = g->depth[other] + 1;
                changed = true;
            }
        }
    }
    for (size_t i = 0; i < g->count; i++) {
        json_t *need;
        size_t k;
        g->parent[i] = SIZE_MAX;
        json_array_foreach((json_t *)needs_of(g, i), k, need)
        {
            size_t other = task_named(g, json_string_value(need));
            if (other != SIZE_MAX && g->depth[other] + 1 == g->depth[i])
                g->parent[i] = other;
        }
    }
}

static void
print_remarks(const struct graph *g, size_t task)
{
    const json_t *row = json_array_get(g->tasks, task);
    const char *on = json_text_at(row, "run_on"), *lead = "  (also needs ";
    json_t *need;
    size_t k;

    if (json_is_object(json_object_get(row, "map")))
        output_color(g->cli, COLOR_CYAN, "  (map)", stdout);
    if (*on && strcmp(on, "success") != 0)
        printf("  (on %s)", on);
    if (json_array_size(json_object_get(row, "when")))
        fputs("  (when ...)", stdout);
    json_array_foreach((json_t *)needs_of(g, task), k, need)
    {
        if (task_named(g, json_string_value(need)) == g->parent[task])
            continue;
        printf("%s%s", lead, json_string_value(need));
        lead = ", ";
    }
    puts(*lead == ',' ? ")" : "");
}

static void
print_below(const struct graph *g, size_t parent, const char *indent)
{
    size_t last = SIZE_MAX;

    for (size_t i = 0; i < g->count; i++)
        if (g->parent[i] == parent)
            last = i;
    for (size_t i = 0; i < g->count; i++) {
        if (g->parent[i] != parent)
            continue;
        bool root = parent == SIZE_MAX;
        CLEANUP(mem_free)
        char *inner = mem_printf("%s%s", indent, root ? "" : i == last ? "   " : "│  ");
        printf("%s%s%s", indent, root ? "" : i == last ? "└─ " : "├─ ", name_of(g, i));
        print_remarks(g, i);
        print_below(g, i, inner);
    }
}

struct style {
    const char *quote, *arrow, *end;
};

static void
print_edges(const struct graph *g, const struct style *style)
{
    const char *q = style->quote;

    for (size_t i = 0; i < g->count; i++) {
        json_t *need;
        size_t k;
        if (!json_array_size(needs_of(g, i)))
            printf("  %s%s%s%s\n", q, name_of(g, i), q, style->end);
        json_array_foreach((json_t *)needs_of(g, i), k, need)
            printf("  %s%s%s %s %s%s%s%s\n", q, json_string_value(need), q, style->arrow, q,
                   name_of(g, i), q, style->end);
    }
}

enum err_code
pipeline_run_graph(struct cli *cli, struct err *err)
{
    json_t *pipeline = NULL;

    if (pipeline_get(cli, &pipeline, err))
        return err->code;
    struct graph g = {.cli = cli, .tasks = json_at(pipeline, "definition.tasks")};
    g.count = json_array_size(g.tasks);
    g.depth = mem_calloc(g.count + 1, sizeof(*g.depth));
    g.parent = mem_calloc(g.count + 1, sizeof(*g.parent));
    arrange(&g);
    if (cli_option(cli, "dot")) {
        printf("digraph \"%s\" {\n  rankdir=LR;\n  node [shape=box];\n",
               json_text_at(pipeline, "name"));
        print_edges(&g, &(struct style){"\"", "->", ";"});
        puts("}");
    } else if (cli_option(cli, "mermaid")) {
        puts("graph LR");
        print_edges(&g, &(struct style){"", "-->", ""});
    } else if (!output_json(cli, g.tasks)) {
        print_below(&g, SIZE_MAX, "");
    }
    free(g.depth);
    free(g.parent);
    json_decref(pipeline);
    return ERR_OK;
}
