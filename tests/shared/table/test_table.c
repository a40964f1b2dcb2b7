/* SPDX-License-Identifier: Apache-2.0 */
/* Columns of two files, in memory and moved to the file. What a wrong file is told stands in
 * tests/e2e/test_drift_check.py. */
#include "table/table.h"

#include "buf/buf.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 500

static struct err err;

/* x: numbers from first on; w: words and, in every seventh row, nothing; n: numbers, then words. */
static void
write_rows(struct buf *out, size_t first)
{
    buf_str(out, "x,w,n\n");
    for (size_t i = first; i < first + ROWS; i++) {
        buf_printf(out, "%zu.5,", i);
        if (i % 7)
            buf_printf(out, "word %zu", i % 5);
        buf_printf(out, ",%s%zu\n", i % 2 ? "n" : "", i);
    }
}

static struct table *
read_both(size_t memory_bytes)
{
    struct table_options options = {.memory_bytes = memory_bytes};
    struct table *table;

    table_open(&table, &options);
    for (size_t s = 0; s < TABLE_SIDES; s++) {
        CLEANUP(buf_done) struct buf text = {0};
        write_rows(&text, s * 1000);
        cr_assert_eq(
            table_read_memory(table, (enum table_side)s, "rows", text.data, text.len, &err), ERR_OK,
            "%s", err.message);
    }
    return table;
}

static void
check_side(struct table *table, enum table_side side, size_t first)
{
    struct table_cells x, w, n;
    size_t word = 0;

    cr_assert_eq(table_load(table, 0, side, &x, &err), ERR_OK, "%s", err.message);
    cr_assert_eq(table_load(table, 1, side, &w, &err), ERR_OK, "%s", err.message);
    cr_assert_eq(table_load(table, 2, side, &n, &err), ERR_OK, "%s", err.message);
    cr_assert_eq(x.number_count, ROWS);
    cr_assert_eq(n.number_count, ROWS / 2);
    cr_assert_eq(n.word_count, ROWS / 2);
    for (size_t i = 0; i < ROWS; i++) {
        char text[32];

        cr_assert_eq(x.numbers[i], (double)(first + i) + .5);
        if ((first + i) % 7) {
            snprintf(text, sizeof(text), "word %zu", (first + i) % 5);
            cr_assert_str_eq(table_word(table, w.words[word++]), text);
        }
        if ((first + i) % 2) {
            snprintf(text, sizeof(text), "n%zu", first + i);
            cr_assert_str_eq(table_word(table, n.words[i / 2]), text);
        } else {
            cr_assert_eq(n.numbers[i / 2], (double)(first + i));
        }
    }
    cr_assert_eq(w.word_count, word);
    table_cells_done(&x);
    table_cells_done(&w);
    table_cells_done(&n);
}

Test(table, cells_are_the_same_wherever_they_are_kept)
{
    /* Nothing moves; only the second side makes both move; each moves often; at every cell. */
    const size_t memory[] = {0, 2000 * 8, 100 * 8, 1};

    for (size_t i = 0; i < ARRAY_LEN(memory); i++) {
        struct table *table = read_both(memory[i]);
        check_side(table, TABLE_REF, 0);
        check_side(table, TABLE_CUR, 1000);
        check_side(table, TABLE_REF, 0);
        table_free(table);
    }
}

Test(table, the_words_of_all_columns_have_the_ids_below_their_number)
{
    struct table *table = read_both(100 * 8);

    cr_assert_eq(table_words(table), 5 + ROWS, "five words, and half of two times ROWS others");
    for (uint32_t id = 0; id < table_words(table); id++)
        for (uint32_t other = 0; other < id; other++)
            cr_assert_str_neq(table_word(table, id), table_word(table, other));
    table_free(table);
}

Test(table, a_side_is_known_without_loading_it)
{
    struct table *table = read_both(1);
    struct table_info x, w, n;

    table_column_info(table, 0, TABLE_CUR, &x);
    table_column_info(table, 1, TABLE_CUR, &w);
    table_column_info(table, 2, TABLE_CUR, &n);
    cr_assert(x.present && !x.integers && x.numbers == ROWS && !x.words && !x.missing);
    cr_assert(w.words + w.missing == ROWS && !w.numbers && w.missing == 72);
    cr_assert_str_eq(w.first_word, "word 0");
    cr_assert_eq(n.first_word_line, 3, "the header is line 1, the first row a number");
    cr_assert_str_eq(n.first_word, "n1001");
    table_free(table);
}

Test(table, a_folder_that_is_not_there_is_an_error_only_when_cells_have_to_move)
{
    struct table_options options = {.memory_bytes = 2 * sizeof(double)};
    struct table *table;

    setenv("TMPDIR", "/nowhere", 1);
    table_open(&table, &options);
    cr_assert_eq(table_read_memory(table, TABLE_REF, "few", "a\n1\n2\n", 6, &err), ERR_OK);
    cr_assert_eq(table_read_memory(table, TABLE_CUR, "many", "a\n1\n2\n3\n", 8, &err),
                 ERR_INTERNAL);
    cr_assert_not_null(strstr(err.message, "/nowhere"));
    table_free(table);
}

/* In memory and in the file, whatever is missing. */
Test(table, loads_a_column_by_its_rows)
{
    for (size_t memory = 64; memory <= 1 << 20; memory <<= 7) {
        CLEANUP(table_free) struct table *table = read_both(memory);
        struct table_column x, w, n;
        char expected[32];
        cr_assert_eq(table_load_rows(table, 0, TABLE_CUR, &x, &err), ERR_OK, "%s", err.message);
        cr_assert_eq(table_load_rows(table, 1, TABLE_CUR, &w, &err), ERR_OK, "%s", err.message);
        cr_assert_eq(table_load_rows(table, 2, TABLE_CUR, &n, &err), ERR_OK, "%s", err.message);
        for (size_t i = 0; i < ROWS; i++) {
            size_t k = 1000 + i;
            cr_expect(x.numbers[i] == (double)k + .5 && x.words[i] == TABLE_NO_WORD);
            cr_expect(isnan(w.numbers[i]));
            snprintf(expected, sizeof(expected), "word %zu", k % 5);
            if (k % 7)
                cr_expect_str_eq(table_word(table, w.words[i]), expected);
            else
                cr_expect_eq(w.words[i], TABLE_NO_WORD);
            cr_expect(isnan(n.numbers[i]) == (k % 2 != 0));
            cr_expect((n.words[i] == TABLE_NO_WORD) == (k % 2 == 0));
        }
        table_column_done(&x);
        table_column_done(&w);
        table_column_done(&n);
    }
}
