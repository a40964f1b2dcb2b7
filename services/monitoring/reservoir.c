/* SPDX-License-Identifier: Apache-2.0 */
/* reservoir.c - which rows stay. */
#include "reservoir.h"

#include "values.h"

#include "crypto/crypto.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 1000000u /* of a message; its size bounds it sooner */

typedef Modelbus__Serving__V1__Column Column;

struct reservoir *
reservoir_new(size_t room)
{
    struct reservoir *r = mem_zalloc(sizeof(*r));

    r->room = room;
    r->dirty = mem_zalloc(room);
    crypto_random(&r->random, sizeof(r->random));
    r->random |= 1;
    return r;
}

void
reservoir_free(struct reservoir *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->column_count; i++) {
        free(r->columns[i].name);
        free(r->columns[i].cells);
    }
    free(r->columns);
    free(r->dirty);
    free(r);
}

size_t
reservoir_rows(const struct reservoir *r)
{
    return r->seen < r->room ? (size_t)r->seen : r->room;
}

size_t
reservoir_bytes(const struct reservoir *r)
{
    return sizeof(*r) + r->room + r->column_room * sizeof(*r->columns) +
           r->column_count * (r->room * sizeof(uint64_t) + 64);
}

const struct reservoir_column *
reservoir_find(const struct reservoir *r, const char *name, bool output)
{
    for (size_t i = 0; i < r->column_count; i++)
        if (r->columns[i].output == output && strcmp(r->columns[i].name, name) == 0)
            return &r->columns[i];
    return NULL;
}

uint64_t
reservoir_word(const char *text, size_t len)
{
    uint64_t hash = 14695981039346656037u;

    if (len == 0)
        return 0;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)text[i]) * 1099511628211u;
    return hash ? hash : 1;
}

static uint64_t
number_bits(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static uint64_t
nothing(const struct reservoir_column *c)
{
    return c->words ? 0 : number_bits(NAN);
}

/* ---- messages ---- */

static size_t
values_of(const Column *c)
{
    return c->n_floats + c->n_doubles + c->n_ints + c->n_strings;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp((*(Column *const *)a)->name, (*(Column *const *)b)->name);
}

static MUST_CHECK enum err_code
check_columns(const char *what, Column *const *columns, size_t count, uint32_t rows,
              struct err *err)
{
    CLEANUP(mem_free) Column **sorted = mem_calloc(count + 1, sizeof(*sorted));

    for (size_t i = 0; i < count; i++) {
        const Column *c = sorted[i] = columns[i];
        if (value_check_name("column", c->name, err))
            return err->code;
        if (values_of(c) != rows)
            return err_set(err, ERR_INVALID, "%s '%.80s': %zu values for %u rows", what, c->name,
                           values_of(c), rows);
        if ((c->n_floats != 0) + (c->n_doubles != 0) + (c->n_ints != 0) + (c->n_strings != 0) > 1)
            return err_set(err, ERR_INVALID, "%s '%.80s': values of several types", what, c->name);
    }
    qsort(sorted, count, sizeof(*sorted), by_name);
    for (size_t i = 1; i < count; i++)
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
            return err_set(err, ERR_INVALID, "%s '%.80s' is there twice", what, sorted[i]->name);
    return ERR_OK;
}

enum err_code
reservoir_check(const PredictionsLogged *rows, struct err *err)
{
    if (rows->row_count == 0 || rows->row_count > ROWS_MAX)
        return err_set(err, ERR_INVALID, "row_count %u: must be 1 to %u", rows->row_count,
                       ROWS_MAX);
    if (rows->n_features + rows->n_outputs > RESERVOIR_COLUMNS_MAX)
        return err_set(err, ERR_TOO_LARGE, "%zu columns: at most %d can be watched",
                       rows->n_features + rows->n_outputs, RESERVOIR_COLUMNS_MAX);
    if (rows->n_timestamps_ms != 0 && rows->n_timestamps_ms != rows->row_count)
        return err_set(err, ERR_INVALID, "timestamps_ms: %zu values for %u rows",
                       rows->n_timestamps_ms, rows->row_count);
    if (check_columns("feature", rows->features, rows->n_features, rows->row_count, err) ||
        check_columns("output", rows->outputs, rows->n_outputs, rows->row_count, err))
        return err->code;
    return ERR_OK;
}

/* Fewer rows for many columns: those in the slots that go are forgotten. */
static void
shrink(struct reservoir *r)
{
    size_t room = RESERVOIR_CELLS_MAX / (r->column_count ? r->column_count : 1);

    if (r->room <= room)
        return;
    for (size_t i = 0; i < r->column_count; i++)
        r->columns[i].cells = mem_realloc(r->columns[i].cells, room * sizeof(*r->columns[i].cells));
    r->room = room;
}

enum err_code
reservoir_add_column(struct reservoir *r, const struct reservoir_column *column, struct err *err)
{
    if (r->column_count == RESERVOIR_COLUMNS_MAX) {
        free(column->cells);
        return err_set(err, ERR_TOO_LARGE, "column '%.80s': at most %d columns can be watched",
                       column->name, RESERVOIR_COLUMNS_MAX);
    }
    if (r->column_count == r->column_room) {
        r->column_room = r->column_room ? r->column_room * 2 : 32;
        r->columns = mem_realloc(r->columns, r->column_room * sizeof(*r->columns));
    }
    struct reservoir_column *c = &r->columns[r->column_count++];
    *c = *column;
    c->name = mem_strdup(column->name);
    c->fresh = true;
    if (!c->cells) {
        c->cells = mem_calloc(r->room, sizeof(*c->cells));
        for (size_t i = 0; i < r->room; i++)
            c->cells[i] = nothing(c);
    }
    shrink(r);
    return ERR_OK;
}

/* Where a message's columns are: mostly where they were the last time. */
static MUST_CHECK enum err_code
locate(struct reservoir *r, Column *const *columns, size_t count, bool output, size_t guess,
       size_t *places, struct err *err)
{
    for (size_t i = 0; i < count; i++, guess++) {
        const Column *m = columns[i];
        const struct reservoir_column *c = NULL;
        if (guess < r->column_count && r->columns[guess].output == output &&
            strcmp(r->columns[guess].name, m->name) == 0)
            c = &r->columns[guess];
        else
            c = reservoir_find(r, m->name, output);
        if (!c) {
            struct reservoir_column fresh = {.name = m->name,
                                             .output = output,
                                             .words = m->n_strings > 0,
                                             .floats = m->n_floats > 0,
                                             .integers = m->n_ints > 0};
            if (reservoir_add_column(r, &fresh, err))
                return err->code;
            c = &r->columns[r->column_count - 1];
        }
        places[i] = (size_t)(c - r->columns);
    }
    return ERR_OK;
}

static uint64_t
cell(struct reservoir_column *c, const Column *m, size_t row)
{
    if (c->words != (m->n_strings > 0)) {
        c->mixed = true;
        return nothing(c);
    }
    if (m->n_strings)
        return reservoir_word(m->strings[row], strlen(m->strings[row]));
    c->floats &= m->n_floats > 0;
    c->integers &= m->n_ints > 0;
    return number_bits(m->n_floats    ? (double)m->floats[row]
                       : m->n_doubles ? m->doubles[row]
                                      : (double)m->ints[row]);
}

/* xorshift64*, then the high bits of a product: uniform below n. */
static uint64_t
below(struct reservoir *r, uint64_t n)
{
    r->random ^= r->random >> 12;
    r->random ^= r->random << 25;
    r->random ^= r->random >> 27;
    return (uint64_t)((unsigned __int128)(r->random * 2685821657736338717u) * n >> 64);
}

enum err_code
reservoir_feed(struct reservoir *r, const PredictionsLogged *rows, size_t first, size_t count,
               struct err *err)
{
    size_t columns = rows->n_features + rows->n_outputs, before = r->column_count;
    CLEANUP(mem_free) size_t *places = mem_calloc(columns + 1, sizeof(*places));

    if (locate(r, rows->features, rows->n_features, false, 0, places, err) ||
        locate(r, rows->outputs, rows->n_outputs, true, rows->n_features, places + rows->n_features,
               err)) {
        while (r->column_count > before) {
            r->column_count--;
            free(r->columns[r->column_count].name);
            free(r->columns[r->column_count].cells);
        }
        return err->code;
    }
    bool all = columns == r->column_count;
    for (size_t row = first; row < first + count; row++) {
        uint64_t slot = r->seen < r->room ? r->seen : below(r, r->seen + 1);
        r->seen++;
        if (slot >= r->room)
            continue;
        if (!all)
            for (size_t i = 0; i < r->column_count; i++)
                r->columns[i].cells[slot] = nothing(&r->columns[i]);
        for (size_t i = 0; i < columns; i++) {
            struct reservoir_column *c = &r->columns[places[i]];
            const Column *m =
                i < rows->n_features ? rows->features[i] : rows->outputs[i - rows->n_features];
            c->cells[slot] = cell(c, m, row);
        }
        r->dirty[slot] = 1;
    }
    r->changed = true;
    return ERR_OK;
}
