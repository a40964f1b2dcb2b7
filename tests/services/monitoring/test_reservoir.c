/* SPDX-License-Identifier: Apache-2.0 */
/* test_reservoir.c - rows drawn evenly, and the same again from their pieces. */
#include "reservoir.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef Modelbus__Serving__V1__Column Column;

static struct err err;

/* Rows of one numeric feature and one word, numbered from `from` on. */
struct batch {
    PredictionsLogged message;
    Column number, word;
    Column *features[2];
    float floats[1000];
    char *words[1000];
};

static char *const colors[] = {"red", "green", "blue", ""};

static struct batch *
batch(size_t from, size_t count)
{
    static struct batch b;

    b.message = (PredictionsLogged)MODELBUS__SERVING__V1__PREDICTIONS_LOGGED__INIT;
    b.number = b.word = (Column)MODELBUS__SERVING__V1__COLUMN__INIT;
    for (size_t i = 0; i < count; i++) {
        b.floats[i] = (float)(from + i);
        b.words[i] = colors[(from + i) % 4];
    }
    b.number.name = "n";
    b.number.floats = b.floats;
    b.number.n_floats = count;
    b.word.name = "w";
    b.word.strings = b.words;
    b.word.n_strings = count;
    b.features[0] = &b.number;
    b.features[1] = &b.word;
    b.message.features = b.features;
    b.message.n_features = 2;
    b.message.row_count = (uint32_t)count;
    return &b;
}

static void
feed(struct reservoir *r, size_t from, size_t count)
{
    struct batch *b = batch(from, count);

    cr_assert_eq(reservoir_check(&b->message, &err), ERR_OK, "%s", err.message);
    reservoir_feed(r, &b->message, 0, count);
}

static double
number_at(const struct reservoir *r, size_t slot)
{
    double value;

    memcpy(&value, &r->columns[0].cells[slot], sizeof(value));
    return value;
}

static void
expect_same(const struct reservoir *a, const struct reservoir *b)
{
    cr_assert_eq(a->seen, b->seen);
    cr_assert_eq(a->room, b->room);
    cr_assert_eq(a->column_count, b->column_count);
    for (size_t i = 0; i < a->column_count; i++) {
        const struct reservoir_column *x = &a->columns[i], *y = &b->columns[i];
        cr_assert_str_eq(x->name, y->name);
        cr_assert(x->output == y->output && x->words == y->words && x->mixed == y->mixed &&
                  x->floats == y->floats && x->integers == y->integers);
        cr_assert_arr_eq(x->cells, y->cells, reservoir_rows(a) * sizeof(*x->cells));
    }
}

Test(reservoir, keeps_all_until_it_is_full)
{
    CLEANUP(reservoir_free) struct reservoir *r = reservoir_new(100);

    feed(r, 0, 60);
    feed(r, 60, 40);
    cr_assert_eq(reservoir_rows(r), 100);
    for (size_t i = 0; i < 100; i++)
        cr_expect_float_eq(number_at(r, i), (double)i, 0);
    cr_expect_eq(r->columns[1].cells[3], 0, "an empty word is missing");
    cr_expect_eq(r->columns[1].cells[0], r->columns[1].cells[4]);
    cr_expect_neq(r->columns[1].cells[0], r->columns[1].cells[1]);
}

/* Of 10,000 rows 100 stay, 400 times: each tenth of the stream is drawn 4,000 times but for chance
 * (standard deviation 60), and rows stay whole. */
Test(reservoir, draws_each_part_of_the_stream_as_often)
{
    size_t tenths[10] = {0};

    for (int turn = 0; turn < 400; turn++) {
        CLEANUP(reservoir_free) struct reservoir *r = reservoir_new(100);
        for (size_t from = 0; from < 10000; from += 1000)
            feed(r, from, 1000);
        cr_assert_eq(r->seen, 10000);
        for (size_t i = 0; i < 100; i++) {
            size_t row = (size_t)number_at(r, i);
            tenths[row / 1000]++;
            cr_assert_eq(r->columns[1].cells[i],
                         reservoir_word(colors[row % 4], strlen(colors[row % 4])));
        }
    }
    for (size_t i = 0; i < 10; i++)
        cr_expect(tenths[i] > 3640 && tenths[i] < 4360, "tenth %zu: %zu", i, tenths[i]);
}

Test(reservoir, is_the_same_from_its_pieces)
{
    CLEANUP(reservoir_free) struct reservoir *r = reservoir_new(64);
    CLEANUP(reservoir_free) struct reservoir *again = reservoir_new(64);
    CLEANUP(reservoir_free) struct reservoir *whole = reservoir_new(4096);

    for (size_t from = 0; from < 2000; from += 37) {
        CLEANUP(buf_done) struct buf piece = {0};
        feed(r, from, 37);
        cr_assert(r->changed);
        reservoir_pack(r, false, &piece);
        cr_assert_not(r->changed);
        cr_assert_eq(reservoir_apply(again, piece.data, piece.len, &err), ERR_OK);
        expect_same(r, again);
    }
    CLEANUP(buf_done) struct buf all = {0};
    reservoir_pack(r, true, &all);
    cr_assert_eq(reservoir_apply(whole, all.data, all.len, &err), ERR_OK);
    expect_same(r, whole);
}

/* A word that comes often is called by its name, whatever else comes. */
Test(reservoir, keeps_the_texts_of_frequent_words)
{
    CLEANUP(reservoir_free) struct reservoir *r = reservoir_new(4096);
    CLEANUP(reservoir_free) struct reservoir *again = reservoir_new(4096);
    CLEANUP(buf_done) struct buf piece = {0}, all = {0};
    static char names[1000][80], oft[] = "oft\xff";
    struct batch *b = batch(0, 1000);

    r->texts = true;
    for (size_t i = 0; i < 1000; i++) {
        snprintf(names[i], sizeof(names[i]), "rare %zu", i);
        b->words[i] = i % 4 ? names[i] : oft;
    }
    snprintf(names[1], sizeof(names[1]), "%063d\xc3\xa9", 1); /* longer than what is kept */
    reservoir_feed(r, &b->message, 0, 500);
    reservoir_pack(r, false, &piece);
    cr_assert_eq(reservoir_apply(again, piece.data, piece.len, &err), ERR_OK);
    cr_expect(again->texts);
    piece.len = 0;
    reservoir_feed(r, &b->message, 500, 500);
    reservoir_pack(r, false, &piece);
    cr_assert_eq(reservoir_apply(again, piece.data, piece.len, &err), ERR_OK);
    const struct reservoir_column *w = reservoir_find(again, "w", false);
    cr_expect_eq(w->text_count, (size_t)RESERVOIR_TEXTS);
    cr_expect_str_eq(reservoir_text(w, reservoir_word("oft\xff", 4)), "oft?");
    for (size_t i = 0; i < w->text_count; i++)
        cr_expect_leq(strlen(w->texts[i].text), (size_t)RESERVOIR_TEXT_MAX);
    /* Cut anywhere among the texts it is damaged. */
    reservoir_pack(r, true, &all);
    r->texts = false;
    piece.len = 0;
    reservoir_pack(r, true, &piece);
    for (size_t len = piece.len + 1; len < all.len; len++) {
        CLEANUP(reservoir_free) struct reservoir *cut = reservoir_new(4096);
        CLEANUP(mem_free) char *data = mem_alloc(len);
        memcpy(data, all.data, len);
        cr_assert_eq(reservoir_apply(cut, data, len, &err), ERR_INTERNAL, "%zu bytes", len);
    }
}

Test(reservoir, takes_columns_that_come_and_go)
{
    CLEANUP(reservoir_free) struct reservoir *r = reservoir_new(64);
    CLEANUP(reservoir_free) struct reservoir *again = reservoir_new(64);
    CLEANUP(buf_done) struct buf piece = {0};
    CLEANUP(buf_done) struct buf second = {0};
    struct batch *b = batch(0, 10);

    b->message.n_features = 1;
    reservoir_feed(r, &b->message, 0, 10);
    reservoir_pack(r, false, &piece);
    b = batch(10, 10);
    b->features[0] = &b->word;
    b->message.n_features = 1;
    reservoir_feed(r, &b->message, 0, 10);
    reservoir_pack(r, false, &second);
    cr_expect(isnan(number_at(r, 15)) && number_at(r, 5) == 5);
    cr_expect(r->columns[1].cells[5] == 0 && r->columns[1].cells[12] != 0);
    cr_assert_eq(reservoir_apply(again, piece.data, piece.len, &err), ERR_OK);
    cr_assert_eq(reservoir_apply(again, second.data, second.len, &err), ERR_OK);
    expect_same(r, again);
}

Test(reservoir, notes_a_column_that_changes_its_type)
{
    CLEANUP(reservoir_free) struct reservoir *r = reservoir_new(64);
    struct batch *b;

    feed(r, 0, 10);
    cr_expect(r->columns[0].floats && !r->columns[0].mixed);
    b = batch(10, 5);
    b->word.name = "n";
    b->features[0] = &b->word;
    b->message.n_features = 1;
    reservoir_feed(r, &b->message, 0, 5);
    cr_expect(r->columns[0].mixed && isnan(number_at(r, 12)));
}

Test(reservoir, counts_columns_that_have_no_place)
{
    enum { MANY = RESERVOIR_COLUMNS_MAX + 900 };
    CLEANUP(reservoir_free) struct reservoir *r = reservoir_new(64), *again = reservoir_new(64);
    CLEANUP(buf_done) struct buf piece = {0}, second = {0};
    Column *columns = calloc(MANY, sizeof(*columns)), **list = calloc(MANY, sizeof(*list));
    char(*names)[8] = calloc(MANY, sizeof(*names));
    struct batch *b = batch(0, 10);

    for (size_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "c%zu", i);
        columns[i] = b->number;
        columns[i].name = names[i];
        list[i] = &columns[i];
    }
    b->message.features = list;
    b->message.n_features = MANY - 1;
    b->message.outputs = &list[MANY - 1];
    b->message.n_outputs = 1;
    cr_assert_eq(reservoir_check(&b->message, &err), ERR_OK, "%s", err.message);
    reservoir_feed(r, &b->message, 0, 10);
    cr_expect_eq(r->column_count, RESERVOIR_COLUMNS_MAX);
    cr_expect_eq(r->left_out, 900);
    reservoir_pack(r, false, &piece);
    feed(r, 10, 5);
    cr_expect_eq(r->left_out, 900, "at most");
    cr_expect(isnan(number_at(r, 12)) && number_at(r, 3) == 3);
    reservoir_pack(r, false, &second);
    cr_assert_eq(reservoir_apply(again, piece.data, piece.len, &err), ERR_OK, "%s", err.message);
    cr_assert_eq(reservoir_apply(again, second.data, second.len, &err), ERR_OK);
    expect_same(r, again);
    cr_expect_eq(again->left_out, 900);
    /* Neither cut nor a section that nobody knows. */
    CLEANUP(reservoir_free) struct reservoir *cut = reservoir_new(64), *odd = reservoir_new(64);
    cr_expect_eq(reservoir_apply(cut, piece.data, piece.len - 1, &err), ERR_INTERNAL);
    piece.data[piece.len - 5] = 3;
    cr_expect_eq(reservoir_apply(odd, piece.data, piece.len, &err), ERR_INTERNAL);
    free(names);
    free(list);
    free(columns);
}

Test(reservoir, refuses_what_is_malformed)
{
    struct batch *b = batch(0, 10);

    b->number.n_floats = 9;
    cr_expect_eq(reservoir_check(&b->message, &err), ERR_INVALID);
    cr_expect(strstr(err.message, "9 values for 10 rows"), "%s", err.message);
    b = batch(0, 10);
    b->word.name = "n";
    cr_expect_eq(reservoir_check(&b->message, &err), ERR_INVALID);
    cr_expect(strstr(err.message, "twice"), "%s", err.message);
    b = batch(0, 10);
    b->message.row_count = 0;
    cr_expect_eq(reservoir_check(&b->message, &err), ERR_INVALID);
    b = batch(0, 10);
    b->number.name = "a\nb";
    cr_expect_eq(reservoir_check(&b->message, &err), ERR_INVALID);
    b = batch(0, 10);
    int64_t time = 1;
    b->message.timestamps_ms = &time;
    b->message.n_timestamps_ms = 1;
    cr_expect_eq(reservoir_check(&b->message, &err), ERR_INVALID);
}

/* Messages of other columns each time: the columns are bounded. */
Test(reservoir, bounds_columns_and_memory)
{
    CLEANUP(reservoir_free) struct reservoir *r = reservoir_new(RESERVOIR_ROOM_MAX);

    for (size_t fed = 0; fed < RESERVOIR_COLUMNS_MAX; fed++) {
        struct batch *b = batch(0, 1);
        char name[16];
        snprintf(name, sizeof(name), "c%zu", fed);
        b->number.name = name;
        b->message.n_features = 1;
        reservoir_feed(r, &b->message, 0, 1);
    }
    cr_expect_eq(r->left_out, 0);
    feed(r, 0, 1);
    cr_expect_eq(r->left_out, 2);
    cr_expect_eq(r->seen, RESERVOIR_COLUMNS_MAX + 1);
    cr_expect_eq(r->column_count, (size_t)RESERVOIR_COLUMNS_MAX);
    cr_expect_leq(r->room * r->column_count, RESERVOIR_CELLS_MAX);
}

Test(reservoir, refuses_damaged_pieces)
{
    CLEANUP(reservoir_free) struct reservoir *r = reservoir_new(64);
    CLEANUP(buf_done) struct buf piece = {0};

    feed(r, 0, 50);
    reservoir_pack(r, true, &piece);
    for (size_t len = 0; len < piece.len; len++) {
        CLEANUP(reservoir_free) struct reservoir *again = reservoir_new(64);
        CLEANUP(mem_free) char *cut = mem_alloc(len + 1);
        memcpy(cut, piece.data, len);
        cr_assert_eq(reservoir_apply(again, cut, len, &err), ERR_INTERNAL, "%zu bytes", len);
    }
}
