/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.c - the cells of each column, and the file that they move to.
 *
 * A cell is 64 bits: a number's pattern, or in a NaN that no number here has a word's id, or how many
 * rows without a value come before the next cell.
 */
#include "table/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORD_TAG 0x7FFC000000000000u
#define GAP_TAG 0x7FFD000000000000u
#define TAG_MASK 0xFFFFFFFF00000000u
#define MEMORY_BYTES ((size_t)4 << 20)
#define COLUMN_BYTES 256 /* on average: else places in the file outgrow what is there */
#define ROWS_MAX ((size_t)1 << 31)

void
table_open(struct table **table, const struct table_options *options)
{
    struct table *t = mem_zalloc(sizeof(*t));

    t->options = *options;
    t->spill = -1;
    *table = t;
}

void
table_free(struct table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->names.count; i++)
        for (size_t s = 0; s < TABLE_SIDES; s++) {
            free(table->columns[i].sides[s].cells);
            free(table->columns[i].sides[s].segments);
        }
    free(table->columns);
    words_done(&table->names);
    words_done(&table->words);
    if (table->spill >= 0)
        close(table->spill);
    free(table);
}

static enum err_code
spill_open(struct table *table, struct err *err)
{
    const char *folder = getenv("TMPDIR");

    folder = folder && *folder ? folder : "/tmp";
    table->spill = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (table->spill < 0) {
        /* Not every file system has files without a name. */
        CLEANUP(mem_free) char *path = mem_printf("%s/modelbus-drift-XXXXXX", folder);
        table->spill = mkostemp(path, O_CLOEXEC);
        if (table->spill >= 0)
            unlink(path);
    }
    if (table->spill < 0)
        return err_set(err, ERR_INTERNAL, "no temporary file in %s (TMPDIR): %s", folder,
                       strerror(errno));
    return ERR_OK;
}

static enum err_code
spill_side(struct table *table, struct side *side, struct err *err)
{
    const char *data = (const char *)side->cells;
    size_t bytes = side->count * sizeof(*side->cells), done = 0;

    while (done < bytes) {
        ssize_t n =
            pwrite(table->spill, data + done, bytes - done, (off_t)(table->spill_bytes + done));
        if (n < 0 && errno != EINTR)
            return err_set(err, ERR_INTERNAL, "temporary file: %s", strerror(errno));
        done += n > 0 ? (size_t)n : 0;
    }
    if (side->segment_count == side->segment_room) {
        side->segment_room = side->segment_room ? side->segment_room * 2 : 4;
        side->segments = mem_realloc(side->segments, side->segment_room * sizeof(*side->segments));
    }
    side->segments[side->segment_count++] = (struct segment){table->spill_bytes, side->count};
    table->spill_bytes += bytes;
    side->count = 0;
    return ERR_OK;
}

/* All cells. Only the side that is being read (TABLE_SIDES: none is) keeps its memory. */
static enum err_code
spill(struct table *table, enum table_side reading, struct err *err)
{
    if (table->spill < 0 && spill_open(table, err))
        return err->code;
    for (size_t i = 0; i < table->names.count; i++)
        for (size_t s = 0; s < TABLE_SIDES; s++) {
            struct side *side = &table->columns[i].sides[s];
            if (side->count && spill_side(table, side, err))
                return err->code;
            if (s == reading)
                continue;
            free(side->cells);
            side->cells = NULL;
            side->room = 0;
        }
    table->buffered_cells = 0;
    return ERR_OK;
}

enum err_code
store_end(struct table *table, struct err *err)
{
    return table->spill < 0 ? ERR_OK : spill(table, TABLE_SIDES, err);
}

static bool
asked_for(const struct table *table, const char *name, size_t len)
{
    const struct table_options *o = &table->options;

    for (size_t i = 0; i < o->column_count; i++)
        if (strlen(o->columns[i]) == len && memcmp(o->columns[i], name, len) == 0)
            return true;
    return !o->columns;
}

enum err_code
store_column(struct input *in, const char *name, size_t len, size_t *column, struct err *err)
{
    struct table *t = in->table;
    uint32_t id = words_find(&t->names, name, len);

    if (id == WORD_NONE && !asked_for(t, name, len)) {
        *column = SIZE_MAX;
        return ERR_OK;
    }
    if (id == WORD_NONE) {
        if (t->names.count == TABLE_COLUMNS_MAX)
            return input_error(in, err, ERR_TOO_LARGE, "more than %zu columns", TABLE_COLUMNS_MAX);
        id = words_add(&t->names, name, len);
        if (id >= t->column_room) {
            size_t room = t->column_room ? t->column_room * 2 : 64;
            t->columns = mem_realloc(t->columns, room * sizeof(*t->columns));
            memset(t->columns + t->column_room, 0, (room - t->column_room) * sizeof(*t->columns));
            t->column_room = room;
        }
    }
    t->columns[id].sides[in->side].present = true;
    *column = id;
    return ERR_OK;
}

static size_t
memory_bytes(const struct table *table)
{
    size_t all = table->names.count * COLUMN_BYTES;

    if (table->options.memory_bytes)
        return table->options.memory_bytes;
    return all > MEMORY_BYTES ? all : MEMORY_BYTES;
}

static enum err_code
store(struct input *in, struct side *side, uint64_t cell, struct err *err)
{
    struct table *t = in->table;

    if (side->row == t->rows[in->side] + 1)
        return input_error(in, err, ERR_INVALID, "a member is named twice");
    size_t gap = t->rows[in->side] - side->row;
    side->row += gap;
    if (gap && store(in, side, GAP_TAG | gap, err))
        return err->code;
    side->row = t->rows[in->side] + 1;
    if (side->row > ROWS_MAX)
        return input_error(in, err, ERR_TOO_LARGE, "more than %zu rows", ROWS_MAX);
    if (side->count == side->room) {
        side->room = side->room ? side->room * 2 : 8;
        side->cells = mem_realloc(side->cells, side->room * sizeof(*side->cells));
    }
    side->cells[side->count++] = cell;
    if (++t->buffered_cells * sizeof(cell) > memory_bytes(t))
        return spill(t, in->side, err);
    return ERR_OK;
}

enum err_code
store_number(struct input *in, size_t column, double value, bool integer, struct err *err)
{
    struct side *side = &in->table->columns[column].sides[in->side];
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    side->numbers++;
    side->fractions |= !integer;
    return store(in, side, bits, err);
}

enum err_code
store_word(struct input *in, size_t column, const char *text, size_t len, struct err *err)
{
    struct table *t = in->table;
    struct side *side = &t->columns[column].sides[in->side];
    uint32_t id = words_find(&t->words, text, len);

    if (id == WORD_NONE) {
        bool full =
            t->words.count >= TABLE_WORDS_MAX || t->words.bytes + len > TABLE_WORD_BYTES_MAX;
        side->words_lost |= full;
        id = full ? words_add(&t->words, "(other)", 7) : words_add(&t->words, text, len);
    }
    if (!side->words++) {
        side->first_word = id;
        side->first_word_line = in->line;
    }
    return store(in, side, WORD_TAG | id, err);
}

size_t
table_columns(const struct table *table)
{
    return table->names.count;
}

size_t
table_rows(const struct table *table, enum table_side side)
{
    return table->rows[side];
}

const char *
table_column_name(const struct table *table, size_t column)
{
    return table->names.text[column];
}

size_t
table_words(const struct table *table)
{
    return table->words.count;
}

const char *
table_word(const struct table *table, uint32_t id)
{
    return table->words.text[id];
}

void
table_column_info(const struct table *table, size_t column, enum table_side which,
                  struct table_info *info)
{
    const struct side *side = &table->columns[column].sides[which];

    *info = (struct table_info){.present = side->present,
                                .words_lost = side->words_lost,
                                .numbers = side->numbers,
                                .words = side->words,
                                .missing = table->rows[which] - side->numbers - side->words,
                                .first_word_line = side->first_word_line};
    info->integers = side->numbers && !side->fractions && !side->words && !info->missing;
    info->first_word = side->words ? table->words.text[side->first_word] : NULL;
}

/* By kind. */
static void
sort_in(void *arg, const uint64_t *from, size_t count)
{
    struct table_cells *cells = arg;

    for (size_t i = 0; i < count; i++) {
        uint64_t tag = from[i] & TAG_MASK;
        if (tag == WORD_TAG)
            cells->words[cells->word_count++] = (uint32_t)from[i];
        else if (tag != GAP_TAG)
            memcpy(&cells->numbers[cells->number_count++], &from[i], sizeof(double));
    }
}

/* By row. */
struct placing {
    struct table_column *cells;
    size_t row;
};

static void
place(void *arg, const uint64_t *from, size_t count)
{
    struct placing *p = arg;

    for (size_t i = 0; i < count; i++) {
        uint64_t tag = from[i] & TAG_MASK;
        if (tag == GAP_TAG)
            p->row += (uint32_t)from[i];
        else if (tag == WORD_TAG)
            p->cells->words[p->row++] = (uint32_t)from[i];
        else
            memcpy(&p->cells->numbers[p->row++], &from[i], sizeof(double));
    }
}

/* All cells, in the order of rows, to take. */
static MUST_CHECK enum err_code
load(struct table *table, const struct side *side,
     void (*take)(void *arg, const uint64_t *from, size_t count), void *arg, struct err *err)
{
    uint64_t block[4096];

    for (size_t s = 0; s < side->segment_count; s++) {
        uint64_t at = side->segments[s].offset;
        uint64_t end = at + side->segments[s].cells * sizeof(uint64_t);
        while (at < end) {
            size_t want = end - at < sizeof(block) ? (size_t)(end - at) : sizeof(block);
            ssize_t got = pread(table->spill, block, want, (off_t)at);
            if (got < (ssize_t)sizeof(uint64_t)) {
                if (got < 0 && errno == EINTR)
                    continue;
                return err_set(err, ERR_INTERNAL, "temporary file: %s",
                               got < 0 ? strerror(errno) : "shorter than written");
            }
            got -= got % (ssize_t)sizeof(uint64_t);
            take(arg, block, (size_t)got / sizeof(uint64_t));
            at += (uint64_t)got;
        }
    }
    take(arg, side->cells, side->count);
    return ERR_OK;
}

enum err_code
table_load(struct table *table, size_t column, enum table_side which, struct table_cells *cells,
           struct err *err)
{
    const struct side *side = &table->columns[column].sides[which];

    *cells = (struct table_cells){0};
    cells->numbers = mem_alloc((side->numbers + 1) * sizeof(*cells->numbers));
    cells->words = mem_alloc((side->words + 1) * sizeof(*cells->words));
    enum err_code code = load(table, side, sort_in, cells, err);
    if (code)
        table_cells_done(cells);
    return code;
}

enum err_code
table_load_rows(struct table *table, size_t column, enum table_side which,
                struct table_column *cells, struct err *err)
{
    struct placing placing = {.cells = cells};
    size_t rows = table->rows[which];

    cells->numbers = mem_alloc((rows + 1) * sizeof(*cells->numbers));
    cells->words = mem_alloc((rows + 1) * sizeof(*cells->words));
    for (size_t i = 0; i < rows; i++) {
        cells->numbers[i] = NAN;
        cells->words[i] = TABLE_NO_WORD;
    }
    enum err_code code = load(table, &table->columns[column].sides[which], place, &placing, err);
    if (code)
        table_column_done(cells);
    return code;
}

void
table_column_done(struct table_column *cells)
{
    free(cells->numbers);
    free(cells->words);
    *cells = (struct table_column){0};
}

void
table_cells_done(struct table_cells *cells)
{
    free(cells->numbers);
    free(cells->words);
    *cells = (struct table_cells){0};
}
