/* SPDX-License-Identifier: Apache-2.0 */
/* event_chain.c - two sorted indexes over all links, and a walk from one of them. */
#include "event_chain.h"

#include "trace/trace.h"

#include <stdlib.h>
#include <string.h>

struct chain {
    struct arena *arena;
    struct link **by_id, **by_cause; /* all links; sorted by chain_of() */
    size_t count, room;
    struct link **members;
    size_t member_count;
    bool more;
};

struct chain *
chain_new(void)
{
    struct chain *c = mem_zalloc(sizeof(*c));

    c->arena = arena_new(1 << 20, CHAIN_BYTES_MAX + (16u << 20));
    return c;
}

void
chain_free(struct chain *c)
{
    if (!c)
        return;
    free(c->by_id);
    free(c->by_cause);
    free(c->members);
    arena_free(c->arena);
    free(c);
}

bool
chain_add(struct chain *c, const struct event_envelope *e, const struct bus_message *m)
{
    if (arena_used(c->arena) + m->value_len > CHAIN_BYTES_MAX)
        return false;
    struct link *link = arena_zalloc(c->arena, sizeof(*link));
    link->id = arena_strdup(c->arena, e->id);
    link->source = arena_strdup(c->arena, e->source);
    link->type = arena_strdup(c->arena, e->type);
    link->subject = arena_strdup(c->arena, e->subject);
    link->workspace = arena_strdup(c->arena, e->workspace);
    link->cause = arena_strdup(c->arena, e->cause);
    link->traceparent = arena_strdup(c->arena, e->traceparent);
    link->topic = arena_strdup(c->arena, m->topic);
    link->partition = m->partition;
    link->offset = m->offset;
    link->time_ms = e->time_ms;
    if (m->value)
        link->value = arena_memdup(c->arena, m->value, m->value_len);
    link->value_len = m->value_len;
    if (c->count == c->room) {
        c->room = c->room ? 2 * c->room : 1024;
        c->by_id = mem_realloc(c->by_id, c->room * sizeof(struct link *));
    }
    c->by_id[c->count++] = link;
    return true;
}

/* ---- order ---- */

static int
compare_time(const struct link *a, const struct link *b)
{
    if (a->time_ms != b->time_ms)
        return a->time_ms < b->time_ms ? -1 : 1;
    int order = strcmp(a->topic, b->topic);
    if (!order)
        order = (a->partition > b->partition) - (a->partition < b->partition);
    return order ? order : (a->offset > b->offset) - (a->offset < b->offset);
}

static int
order_by_id(const void *a, const void *b)
{
    const struct link *x = *(struct link *const *)a, *y = *(struct link *const *)b;
    int order = strcmp(x->id, y->id);

    if (!order)
        order = strcmp(x->source, y->source);
    return order ? order : compare_time(x, y);
}

static int
order_by_cause(const void *a, const void *b)
{
    const struct link *x = *(struct link *const *)a, *y = *(struct link *const *)b;
    int order = strcmp(x->cause, y->cause);

    return order ? order : compare_time(x, y);
}

static int
order_by_time(const void *a, const void *b)
{
    return compare_time(*(struct link *const *)a, *(struct link *const *)b);
}

static void
index_links(struct chain *c)
{
    size_t kept = 0;

    qsort(c->by_id, c->count, sizeof(struct link *), order_by_id);
    for (size_t i = 0; i < c->count; i++) {
        const struct link *link = c->by_id[i], *last = kept ? c->by_id[kept - 1] : NULL;
        if (!last || strcmp(link->id, last->id) != 0 || strcmp(link->source, last->source) != 0)
            c->by_id[kept++] = c->by_id[i];
    }
    c->count = kept;
    c->by_cause = mem_calloc(kept + 1, sizeof(struct link *));
    if (kept)
        memcpy(c->by_cause, c->by_id, kept * sizeof(struct link *));
    qsort(c->by_cause, kept, sizeof(struct link *), order_by_cause);
}

static const char *
id_of(const struct link *link)
{
    return link->id;
}

static const char *
cause_of(const struct link *link)
{
    return link->cause;
}

/* The first of the links whose key is not below id. */
static size_t
find(const struct chain *c, struct link *const *links, const char *(*key)(const struct link *),
     const char *id)
{
    size_t low = 0, high = c->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(key(links[middle]), id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const char *
chain_newest(const struct chain *c, const char *type, const char *subject)
{
    const struct link *newest = NULL;

    for (size_t i = 0; i < c->count; i++) {
        const struct link *link = c->by_id[i];
        if (strcmp(link->type, type) == 0 && (!subject || strcmp(link->subject, subject) == 0) &&
            (!newest || compare_time(newest, link) < 0))
            newest = link;
    }
    return newest ? newest->id : NULL;
}

/* ---- the walk ---- */

static void
join(struct chain *c, struct link *link)
{
    if (link->member)
        return;
    if (c->member_count == CHAIN_LENGTH_MAX) {
        c->more = true;
        return;
    }
    link->member = true;
    c->members[c->member_count++] = link;
}

static void
join_named(struct chain *c, const char *id)
{
    for (size_t i = find(c, c->by_id, id_of, id);
         *id && i < c->count && strcmp(c->by_id[i]->id, id) == 0; i++)
        join(c, c->by_id[i]);
}

static void
join_caused(struct chain *c, const char *id)
{
    for (size_t i = find(c, c->by_cause, cause_of, id);
         i < c->count && strcmp(c->by_cause[i]->cause, id) == 0; i++)
        join(c, c->by_cause[i]);
}

static void
join_trace(struct chain *c, const char *traceparent)
{
    struct trace asked, other;

    if (!trace_parse(traceparent, &asked))
        return;
    for (size_t i = 0; i < c->count; i++)
        if (trace_parse(c->by_id[i]->traceparent, &other) &&
            strcmp(asked.trace_id, other.trace_id) == 0)
            join(c, c->by_id[i]);
}

/* Parents within the chain; the first of those that share an id. */
static void
find_parents(struct chain *c)
{
    for (size_t i = 0; i < c->member_count; i++) {
        struct link *link = c->members[i];
        size_t at = find(c, c->by_id, id_of, link->cause);
        if (*link->cause && at < c->count && strcmp(c->by_id[at]->id, link->cause) == 0 &&
            c->by_id[at] != link && c->by_id[at]->member)
            link->parent = c->by_id[at];
    }
}

/* A link and all below it. members is in the order of time, so is each family. */
static void
place(struct chain *c, struct link *link, unsigned depth, struct link **out, size_t *count)
{
    link->placed = true;
    link->depth = depth;
    out[(*count)++] = link;
    for (size_t i = 0; i < c->member_count; i++)
        if (c->members[i]->parent == link && !c->members[i]->placed)
            place(c, c->members[i], depth + 1, out, count);
}

enum err_code
chain_of(struct chain *c, const char *id, struct link ***links, size_t *count, bool *more,
         struct err *err)
{
    index_links(c);
    c->members = mem_calloc(CHAIN_LENGTH_MAX, sizeof(struct link *));
    join_named(c, id);
    if (c->member_count == 0)
        return err_set(err, ERR_NOT_FOUND, "the topics hold no event '%.200s'", id);
    for (size_t i = 0; i < c->member_count; i++) {
        join_named(c, c->members[i]->cause);
        join_caused(c, c->members[i]->id);
        if (strcmp(c->members[i]->id, id) == 0)
            join_trace(c, c->members[i]->traceparent);
    }
    find_parents(c);
    qsort(c->members, c->member_count, sizeof(struct link *), order_by_time);
    *links = arena_alloc(c->arena, c->member_count * sizeof(struct link *));
    *count = 0;
    for (size_t i = 0; i < c->member_count; i++)
        if (!c->members[i]->parent)
            place(c, c->members[i], 0, *links, count);
    /* What is left names itself in a circle: only a producer that lies says so. */
    for (size_t i = 0; i < c->member_count; i++)
        if (!c->members[i]->placed)
            place(c, c->members[i], 0, *links, count);
    *more = c->more;
    return ERR_OK;
}
