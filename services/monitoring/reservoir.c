/* SPDX-License-Identifier: Apache-2.0 */
/* reservoir.c - which rows stay. */
#include "reservoir.h"

#include "values.h"

#include "buf/fnv.h"
#include "buf/text.h"
#include "crypto/crypto.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 1000000u /* of a message; its size bounds it sooner */
#define NOWHERE SIZE_MAX

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

static void
column_done(struct reservoir_column *c)
{
    free(c->name);
    free(c->cells);
    free(c->texts);
}

void
reservoir_free(struct reservoir *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->column_count; i++)
        column_done(&r->columns[i]);
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
           r->column_count * (r->room * sizeof(uint64_t) + 64 +
                              r->texts * RESERVOIR_TEXTS * sizeof(struct reservoir_text));
}

const struct reservoir_column *
reservoir_find(const struct reservoir *r, const char *name, bool output)
{
    for (size_t i = 0; i < r->column_count; i++)
        if (r->columns[i].output == output && strcmp(r->columns[i].name, name) == 0)
            return &r->columns[i];
    return NULL;
}

bool
reservoir_missing(const struct reservoir_column *c, size_t row)
{
    double value;

    if (c->words)
        return c->cells[row] == 0;
    memcpy(&value, &c->cells[row], sizeof(value));
    return isnan(value);
}

uint64_t
reservoir_word(const char *text, size_t len)
{
    uint64_t hash = fnv(FNV_START, text, len);

    if (len == 0)
        return 0;
    return hash ? hash : 1;
}

static void
copy_text(char out[RESERVOIR_TEXT_MAX + 1], const char *text, size_t len)
{
    size_t used = 0;

    for (size_t at = 0; at < len;) {
        size_t step = text_utf8_sequence(text + at, len - at);
        if (used + (step ? step : 1) > RESERVOIR_TEXT_MAX)
            break;
        memcpy(out + used, step ? text + at : "?", step ? step : 1);
        used += step ? step : 1;
        at += step ? step : 1;
    }
    out[used] = '\0';
}

uint64_t
reservoir_note(struct reservoir_column *c, const char *text, size_t len)
{
    uint64_t word = reservoir_word(text, len);
    size_t least = 0;

    if (word == 0)
        return 0;
    if (!c->texts)
        c->texts = mem_calloc(RESERVOIR_TEXTS, sizeof(*c->texts));
    for (size_t i = 0; i < c->text_count; i++) {
        if (c->texts[i].word == word) {
            c->texts[i].count++;
            return word;
        }
        if (c->texts[i].count < c->texts[least].count)
            least = i;
    }
    if (c->text_count < RESERVOIR_TEXTS)
        least = c->text_count++;
    /* The one met least makes room and leaves its count: what is frequent stays. */
    c->texts[least].word = word;
    c->texts[least].count++;
    copy_text(c->texts[least].text, text, len);
    return word;
}

const char *
reservoir_text(const struct reservoir_column *c, uint64_t word)
{
    for (size_t i = 0; i < c->text_count; i++)
        if (c->texts[i].word == word)
            return c->texts[i].text;
    return NULL;
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
    if (rows->n_timestamps_ms != 0 && rows->n_timestamps_ms != rows->row_count)
        return err_set(err, ERR_INVALID, "timestamps_ms: %zu values for %u rows",
                       rows->n_timestamps_ms, rows->row_count);
    if (check_columns("feature", rows->features, rows->n_features, rows->row_count, err) ||
        check_columns("output", rows->outputs, rows->n_outputs, rows->row_count, err))
        return err->code;
    return ERR_OK;
}

/* Fewer rows for many columns: those in the slots that go are forgotten. An eighth fewer than must be, so that
 * columns which come one by one do not move all the others each time. */
static void
shrink(struct reservoir *r)
{
    if (r->room * r->column_count <= RESERVOIR_CELLS_MAX)
        return;
    size_t room = RESERVOIR_CELLS_MAX / r->column_count / 8 * 7;
    for (size_t i = 0; i < r->column_count; i++)
        r->columns[i].cells = mem_realloc(r->columns[i].cells, room * sizeof(*r->columns[i].cells));
    r->room = room;
}

static struct reservoir_column *
add_column(struct reservoir *r, const struct reservoir_column *column)
{
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
    return c;
}

enum err_code
reservoir_add_column(struct reservoir *r, const struct reservoir_column *column, struct err *err)
{
    if (r->column_count == RESERVOIR_COLUMNS_MAX) {
        free(column->cells);
        free(column->texts);
        return err_set(err, ERR_TOO_LARGE, "column '%.80s': at most %d columns can be watched",
                       column->name, RESERVOIR_COLUMNS_MAX);
    }
    (void)add_column(r, column);
    return ERR_OK;
}

/* Where a message's columns are, mostly where they were the last time, or NOWHERE. How many have a place. */
static size_t
locate(struct reservoir *r, Column *const *columns, size_t count, bool output, size_t guess,
       size_t *places)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++, guess++) {
        const Column *m = columns[i];
        places[i] = NOWHERE;
        if (i >= RESERVOIR_COLUMNS_MAX)
            continue; /* looking for each would take its time */
        const struct reservoir_column *c = NULL;
        if (guess < r->column_count && r->columns[guess].output == output &&
            strcmp(r->columns[guess].name, m->name) == 0)
            c = &r->columns[guess];
        else
            c = reservoir_find(r, m->name, output);
        if (!c && r->column_count == RESERVOIR_COLUMNS_MAX)
            continue;
        if (!c) {
            struct reservoir_column fresh = {.name = m->name,
                                             .output = output,
                                             .words = m->n_strings > 0,
                                             .floats = m->n_floats > 0,
                                             .integers = m->n_ints > 0};
            c = add_column(r, &fresh);
        }
        places[i] = (size_t)(c - r->columns);
        found++;
    }
    return found;
}

static uint64_t
cell(const struct reservoir *r, struct reservoir_column *c, const Column *m, size_t row)
{
    if (c->words != (m->n_strings > 0)) {
        c->mixed = true;
        return nothing(c);
    }
    if (m->n_strings)
        return (r->texts ? reservoir_note(c, m->strings[row], strlen(m->strings[row]))
                         : reservoir_word(m->strings[row], strlen(m->strings[row])));
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

void
reservoir_feed(struct reservoir *r, const PredictionsLogged *rows, size_t first, size_t count)
{
    size_t columns = rows->n_features + rows->n_outputs;
    CLEANUP(mem_free) size_t *places = mem_calloc(columns + 1, sizeof(*places));

    size_t found = locate(r, rows->features, rows->n_features, false, 0, places);
    found += locate(r, rows->outputs, rows->n_outputs, true, rows->n_features,
                    places + rows->n_features);
    if (columns - found > r->left_out)
        r->left_out = (uint32_t)(columns - found);
    bool all = found == r->column_count;
    for (size_t row = first; row < first + count; row++) {
        uint64_t slot = r->seen < r->room ? r->seen : below(r, r->seen + 1);
        r->seen++;
        if (slot >= r->room)
            continue;
        if (!all)
            for (size_t i = 0; i < r->column_count; i++)
                r->columns[i].cells[slot] = nothing(&r->columns[i]);
        for (size_t i = 0; i < columns; i++) {
            if (places[i] == NOWHERE)
                continue;
            struct reservoir_column *c = &r->columns[places[i]];
            const Column *m =
                i < rows->n_features ? rows->features[i] : rows->outputs[i - rows->n_features];
            c->cells[slot] = cell(r, c, m, row);
        }
        r->dirty[slot] = 1;
    }
    r->changed = true;
}
