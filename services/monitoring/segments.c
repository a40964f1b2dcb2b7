/* SPDX-License-Identifier: Apache-2.0 */
/* segments.c - rows by the value of a column. */
#include "segments.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct reservoir_column *
column_of(const struct reservoir *r, const char *name)
{
    const struct reservoir_column *c = r ? reservoir_find(r, name, false) : NULL;

    return c || !r ? c : reservoir_find(r, name, true);
}

/* What a cell is told apart by; 0: missing. As in verdicts, floats are compared with floats. */
static uint64_t
key_of(const struct reservoir_column *c, size_t row)
{
    double value;
    uint64_t key;

    if (c->words)
        return c->cells[row];
    memcpy(&value, &c->cells[row], sizeof(value));
    if (isnan(value))
        return 0;
    value = (double)(float)value + 0.; /* -0 is 0 */
    memcpy(&key, &value, sizeof(key));
    return key + 1;
}

struct value {
    uint64_t key;
    size_t rows, first; /* a row that has it */
};

static int
by_key(const void *a, const void *b)
{
    const struct value *x = a, *y = b;

    return x->key != y->key ? (x->key > y->key) - (x->key < y->key)
                            : (x->first > y->first) - (x->first < y->first);
}

static int
by_rows(const void *a, const void *b)
{
    const struct value *x = a, *y = b;

    return x->rows != y->rows ? (x->rows < y->rows) - (x->rows > y->rows)
                              : (x->key > y->key) - (x->key < y->key);
}

/* The different values, the most frequent first. */
static size_t
count_values(const struct reservoir *r, const struct reservoir_column *c, struct value *values)
{
    size_t rows = reservoir_rows(r), count = 0, different = 0;

    for (size_t i = 0; i < rows; i++) {
        uint64_t key = key_of(c, i);
        if (key)
            values[count++] = (struct value){.key = key, .rows = 1, .first = i};
    }
    qsort(values, count, sizeof(*values), by_key);
    for (size_t i = 0; i < count; i++) {
        if (different && values[different - 1].key == values[i].key)
            values[different - 1].rows++;
        else
            values[different++] = values[i];
    }
    qsort(values, different, sizeof(*values), by_rows);
    return different;
}

static const char *
name_of(const struct reservoir_column *c, size_t row, struct arena *arena)
{
    double value;

    if (c->words) {
        const char *text = reservoir_text(c, c->cells[row]);
        return text ? arena_strdup(arena, text)
                    : arena_printf(arena, "#%016" PRIx64, c->cells[row]);
    }
    memcpy(&value, &c->cells[row], sizeof(value));
    return arena_printf(arena, "%.7g", value);
}

static void
sort_rows(struct segments *s, const struct reservoir *r, const uint64_t *keys, bool words,
          struct arena *arena)
{
    const struct reservoir_column *c = column_of(r, s->column);
    size_t rows = reservoir_rows(r);
    struct segments_rows *set = &s->sets[s->set_count++];

    *set = (struct segments_rows){.rows = r, .of = arena_alloc(arena, rows + 1)};
    for (size_t i = 0; i < rows; i++) {
        uint64_t key = c && c->words == words ? key_of(c, i) : 0;
        size_t k = 0;
        while (k < s->count && keys[k] != key)
            k++;
        set->of[i] = (uint8_t)k;
        set->counts[k]++;
    }
}

void
segments_cut(const struct judge_rows *rows, const char *column, uint32_t min_rows,
             struct arena *arena, struct segments *s)
{
    const struct reservoir *main = column_of(rows->sample, column) ? rows->sample : rows->learned;
    const struct reservoir_column *c = column_of(main, column);
    uint64_t keys[SEGMENTS_VALUES];

    *s = (struct segments){.column = column};
    if (!c) {
        s->problem = rows->learned
                         ? "the reference has no such column"
                         : "the sample has no such column; its reference is being learned";
        return;
    }
    struct value *values = arena_alloc(arena, (reservoir_rows(main) + 1) * sizeof(*values));
    size_t different = count_values(main, c, values);
    for (; s->count < different && s->count < SEGMENTS_VALUES; s->count++) {
        const struct value *v = &values[s->count];
        if (v->rows < min_rows)
            break;
        keys[s->count] = v->key;
        s->values[s->count] = name_of(c, v->first, arena);
    }
    if (s->count == 0) {
        s->problem = "no value of it has min_rows rows in the reference";
        return;
    }
    if (column_of(rows->sample, column))
        sort_rows(s, rows->sample, keys, c->words, arena);
    if (column_of(rows->learned, column))
        sort_rows(s, rows->learned, keys, c->words, arena);
    for (size_t p = 0; p < rows->pane_count; p++) {
        sort_rows(s, rows->panes[p], keys, c->words, arena);
        for (size_t k = 0; k <= s->count; k++)
            s->current[k] += s->sets[s->set_count - 1].counts[k];
    }
}

const struct segments_rows *
segments_of(const struct segments *s, const struct reservoir *rows)
{
    for (size_t i = 0; i < s->set_count; i++)
        if (s->sets[i].rows == rows)
            return &s->sets[i];
    return NULL;
}
