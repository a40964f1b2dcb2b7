/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reservoir_pack.c - a reservoir's changes as bytes.
 *
 *     u32 room, u64 seen, u32 columns, u32 slots
 *     a column that is new:   u8 1, u8 flags, u8 length and bytes of the name
 *     a column that was sent: u8 0, u8 flags
 *     u16 slot …
 *     a column: u8 4 or 8, then its cell in each of the slots in so many bytes
 *     when texts are kept: u8 1, then of each column of words u8 count, and that many times
 *         u64 word, u32 count, u8 length and bytes of the text
 *     when columns were left out: u8 2, u32 how many
 */
#include "reservoir.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TEXTS = 1, LEFT_OUT = 2 };
enum { FLAG_OUTPUT = 1, FLAG_WORDS = 2, FLAG_MIXED = 4, FLAG_FLOATS = 8, FLAG_INTEGERS = 16 };

_Static_assert(RESERVOIR_ROOM_MAX <= UINT16_MAX + 1, "a slot is 16 bits");
_Static_assert(RESERVOIR_NAME_MAX <= UINT8_MAX, "a name's length is 8 bits");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "cells are copied as they are");

static void
put(struct buf *buf, uint64_t value, size_t bytes)
{
    buf_add(buf, &value, bytes);
}

static uint8_t
flags_of(const struct reservoir_column *c)
{
    return (uint8_t)((c->output ? FLAG_OUTPUT : 0) | (c->words ? FLAG_WORDS : 0) |
                     (c->mixed ? FLAG_MIXED : 0) | (c->floats ? FLAG_FLOATS : 0) |
                     (c->integers ? FLAG_INTEGERS : 0));
}

static double
as_number(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void
put_cells(struct buf *buf, const struct reservoir_column *c, const uint16_t *slots, size_t count)
{
    bool small = c->floats && !c->words;

    put(buf, small ? 4 : 8, 1);
    buf_reserve(buf, count * 8);
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = c->cells[slots[i]];
        if (small) {
            float value = (float)as_number(bits);
            buf_add(buf, &value, sizeof(value));
        } else {
            buf_add(buf, &bits, sizeof(bits));
        }
    }
}

static void
put_texts(struct buf *buf, const struct reservoir *r)
{
    put(buf, TEXTS, 1);
    for (size_t i = 0; i < r->column_count; i++) {
        const struct reservoir_column *c = &r->columns[i];
        if (!c->words)
            continue;
        put(buf, c->text_count, 1);
        for (size_t k = 0; k < c->text_count; k++) {
            put(buf, c->texts[k].word, 8);
            put(buf, c->texts[k].count, 4);
            put(buf, strlen(c->texts[k].text), 1);
            buf_str(buf, c->texts[k].text);
        }
    }
}

void
reservoir_pack(struct reservoir *r, bool all, struct buf *buf)
{
    size_t rows = reservoir_rows(r), count = 0;
    CLEANUP(mem_free) uint16_t *slots = mem_calloc(rows + 1, sizeof(*slots));

    for (size_t i = 0; i < rows; i++)
        if (all || r->dirty[i])
            slots[count++] = (uint16_t)i;
    put(buf, r->room, 4);
    put(buf, r->seen, 8);
    put(buf, r->column_count, 4);
    put(buf, count, 4);
    for (size_t i = 0; i < r->column_count; i++) {
        struct reservoir_column *c = &r->columns[i];
        put(buf, all || c->fresh, 1);
        put(buf, flags_of(c), 1);
        if (all || c->fresh) {
            put(buf, strlen(c->name), 1);
            buf_str(buf, c->name);
        }
        c->fresh = false;
    }
    buf_add(buf, slots, count * sizeof(*slots));
    for (size_t i = 0; i < r->column_count; i++)
        put_cells(buf, &r->columns[i], slots, count);
    if (r->texts)
        put_texts(buf, r);
    if (r->left_out) {
        put(buf, LEFT_OUT, 1);
        put(buf, r->left_out, 4);
    }
    memset(r->dirty, 0, r->room);
    r->changed = false;
}

/* ---- the way back ---- */

struct reader {
    const uint8_t *at, *end;
    bool bad;
};

static uint64_t
get(struct reader *in, size_t bytes)
{
    uint64_t value = 0;

    if ((size_t)(in->end - in->at) < bytes) {
        in->bad = true;
        return 0;
    }
    memcpy(&value, in->at, bytes);
    in->at += bytes;
    return value;
}

static enum err_code
damaged(struct err *err)
{
    return err_set(err, ERR_INTERNAL, "stored rows are damaged");
}

static MUST_CHECK enum err_code
get_columns(struct reader *in, struct reservoir *r, size_t columns, struct err *err)
{
    for (size_t i = 0; i < columns; i++) {
        bool fresh = get(in, 1) == 1;
        unsigned flags = (unsigned)get(in, 1);
        struct reservoir_column c = {.output = flags & FLAG_OUTPUT,
                                     .words = flags & FLAG_WORDS,
                                     .mixed = flags & FLAG_MIXED,
                                     .floats = flags & FLAG_FLOATS,
                                     .integers = flags & FLAG_INTEGERS};
        if (fresh) {
            char name[RESERVOIR_NAME_MAX + 6] = "";
            size_t len = (size_t)get(in, 1);
            if (in->bad || (size_t)(in->end - in->at) < len || i != r->column_count)
                return damaged(err);
            memcpy(name, in->at, len);
            in->at += len;
            c.name = name;
            if (reservoir_add_column(r, &c, err))
                return damaged(err);
            r->columns[i].fresh = false;
        } else if (in->bad || i >= r->column_count || r->columns[i].words != c.words) {
            return damaged(err);
        } else {
            r->columns[i].mixed = c.mixed;
            r->columns[i].floats = c.floats;
            r->columns[i].integers = c.integers;
        }
    }
    return ERR_OK;
}

static bool
get_cells(struct reader *in, struct reservoir_column *c, const uint8_t *slots, size_t count)
{
    size_t size = (size_t)get(in, 1);

    if (in->bad || (size != 4 && size != 8) || (size == 4 && c->words) ||
        (size_t)(in->end - in->at) / size < count)
        return false;
    for (size_t i = 0; i < count; i++, in->at += size) {
        uint16_t slot;
        memcpy(&slot, slots + i * sizeof(slot), sizeof(slot));
        if (size == 8) {
            memcpy(&c->cells[slot], in->at, 8);
        } else {
            float value;
            memcpy(&value, in->at, sizeof(value));
            double wide = (double)value;
            memcpy(&c->cells[slot], &wide, 8);
        }
    }
    return true;
}

static bool
get_text(struct reader *in, struct reservoir_text *text)
{
    text->word = get(in, 8);
    text->count = (uint32_t)get(in, 4);
    size_t len = (size_t)get(in, 1);
    if (in->bad || len > RESERVOIR_TEXT_MAX || (size_t)(in->end - in->at) < len)
        return false;
    memcpy(text->text, in->at, len);
    text->text[len] = '\0';
    in->at += len;
    return true;
}

static bool
get_texts(struct reader *in, struct reservoir *r)
{
    r->texts = true;
    for (size_t i = 0; i < r->column_count; i++) {
        struct reservoir_column *c = &r->columns[i];
        if (!c->words)
            continue;
        size_t count = (size_t)get(in, 1);
        if (in->bad || count > RESERVOIR_TEXTS)
            return false;
        if (count && !c->texts)
            c->texts = mem_calloc(RESERVOIR_TEXTS, sizeof(*c->texts));
        c->text_count = 0;
        for (size_t k = 0; k < count; k++, c->text_count++)
            if (!get_text(in, &c->texts[k]))
                return false;
    }
    return true;
}

static bool
get_rest(struct reader *in, struct reservoir *r)
{
    for (uint64_t last = 0, kind = 0; in->at != in->end; last = kind) {
        kind = get(in, 1);
        if (kind <= last || kind > LEFT_OUT || (kind == TEXTS && !get_texts(in, r)))
            return false;
        if (kind == LEFT_OUT)
            r->left_out = (uint32_t)get(in, 4);
    }
    return !in->bad;
}

enum err_code
reservoir_apply(struct reservoir *r, const void *data, size_t len, struct err *err)
{
    struct reader in = {.at = data, .end = (const uint8_t *)data + len};
    size_t room = (size_t)get(&in, 4);
    uint64_t seen = get(&in, 8);
    size_t columns = (size_t)get(&in, 4), count = (size_t)get(&in, 4);

    if (in.bad || room == 0 || room > r->room || seen < r->seen || columns < r->column_count ||
        columns > RESERVOIR_COLUMNS_MAX)
        return damaged(err);
    if (r->column_count == 0)
        r->room = room; /* before cells are made for it */
    if (get_columns(&in, r, columns, err) || room > r->room)
        return damaged(err);
    r->room = room;
    r->seen = seen;
    const uint8_t *slots = in.at;
    if ((size_t)(in.end - in.at) / sizeof(uint16_t) < count)
        return damaged(err);
    in.at += count * sizeof(uint16_t);
    for (size_t i = 0; i < count; i++) {
        uint16_t slot;
        memcpy(&slot, slots + i * sizeof(slot), sizeof(slot));
        if (slot >= reservoir_rows(r))
            return damaged(err);
    }
    for (size_t i = 0; i < columns; i++)
        if (!get_cells(&in, &r->columns[i], slots, count))
            return damaged(err);
    return get_rest(&in, r) ? ERR_OK : damaged(err);
}
