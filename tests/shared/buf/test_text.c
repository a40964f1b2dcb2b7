/* SPDX-License-Identifier: Apache-2.0 */
/* test_text.c - UTF-8 at its borders, and the nearest name. */
#include "buf/text.h"

#include <criterion/criterion.h>
#include <string.h>

static bool
valid(const char *s)
{
    return text_utf8_valid(s, strlen(s));
}

Test(text, utf8_borders_of_each_length)
{
    cr_assert(valid(""));
    cr_assert(valid("\x01\x7f"));
    cr_assert(valid("\xc2\x80\xdf\xbf"));
    cr_assert(valid("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"));
    cr_assert(valid("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"));
}

Test(text, what_is_not_utf8)
{
    cr_assert_not(valid("\x80"));
    cr_assert_not(valid("\xc0\x80"));         /* overlong */
    cr_assert_not(valid("\xc1\xbf"));         /* overlong */
    cr_assert_not(valid("\xe0\x9f\xbf"));     /* overlong */
    cr_assert_not(valid("\xf0\x8f\xbf\xbf")); /* overlong */
    cr_assert_not(valid("\xed\xa0\x80"));     /* surrogate */
    cr_assert_not(valid("\xf4\x90\x80\x80")); /* past U+10FFFF */
    cr_assert_not(valid("\xf5\x80\x80\x80"));
    cr_assert_not(valid("\xe2\x82"));              /* cut */
    cr_assert_not(valid("eight chars \xff more")); /* past the first eight */
}

Test(text, distance_counts_edits_without_case)
{
    cr_assert_eq(text_distance("kitten", "sitting"), 3);
    cr_assert_eq(text_distance("DB_URL", "db_url"), 0);
    cr_assert_eq(text_distance("", "abc"), 3);
    cr_assert_eq(text_distance("trian", "Train"), 1);
    cr_assert_eq(text_distance("abcd", "badc"), 2);
}

Test(text, overlong_names_are_far_from_all)
{
    char name[TEXT_NAME_MAX + 2];

    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    cr_assert_eq(text_distance(name, "a"), TEXT_NAME_MAX);
    cr_assert_null(text_nearer(name, NULL, "a"));
}

Test(text, nearer_finds_what_was_meant)
{
    static const char *const names[] = {"BROKERS", "DB_CONNS", "DB_URL"};
    const char *best = NULL;

    for (int i = 0; i < 3; i++)
        best = text_nearer("DB_CONS", best, names[i]);
    cr_assert_str_eq(best, "DB_CONNS");
    best = NULL;
    for (int i = 0; i < 3; i++)
        best = text_nearer("SOMETHING_ELSE", best, names[i]);
    cr_assert_null(best);
}
