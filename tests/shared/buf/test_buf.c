/* SPDX-License-Identifier: Apache-2.0 */
/* test_buf.c - appending, numbers as text, JSON strings. */
#include "buf/buf.h"
#include "buf/fnv.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

Test(buf, appends_keep_a_nul_behind_the_content)
{
    CLEANUP(buf_done) struct buf b = {0};

    buf_str(&b, "ab");
    buf_char(&b, 'c');
    buf_add(&b, "d\0e", 3);
    buf_add(&b, NULL, 0);
    buf_printf(&b, "%d", 42);
    cr_assert_eq(b.len, 8);
    cr_assert_eq(memcmp(b.data, "abcd\0e42", 9), 0);
}

Test(buf, grows_by_itself)
{
    CLEANUP(buf_done) struct buf b = {0};

    for (int i = 0; i < 100000; i++)
        buf_char(&b, (char)('a' + i % 26));
    cr_assert_eq(b.len, 100000);
    cr_assert_eq(strlen(b.data), 100000);
}

Test(buf, clear_keeps_the_memory_and_take_hands_it_over)
{
    struct buf b = {0};

    buf_str(&b, "text");
    buf_clear(&b);
    cr_assert_eq(b.len, 0);
    cr_assert_str_eq(b.data, "");
    char *taken = buf_take(&b);
    cr_assert_str_eq(taken, "");
    cr_assert_null(b.data);
    free(taken);
    taken = buf_take(&b); /* of nothing */
    cr_assert_str_eq(taken, "");
    free(taken);
}

Test(buf, integers_up_to_the_border)
{
    CLEANUP(buf_done) struct buf b = {0};

    buf_int(&b, INT64_MIN);
    buf_char(&b, ' ');
    buf_int(&b, INT64_MAX);
    buf_char(&b, ' ');
    buf_int(&b, 0);
    cr_assert_str_eq(b.data, "-9223372036854775808 9223372036854775807 0");
}

static void
expect_double(double x, const char *text)
{
    CLEANUP(buf_done) struct buf b = {0};

    buf_double(&b, x);
    cr_assert_str_eq(b.data, text);
}

Test(buf, doubles_are_shortest)
{
    expect_double(0, "0");
    expect_double(-0.0, "-0");
    expect_double(0.1, "0.1");
    expect_double(0.1 + 0.2, "0.30000000000000004");
    expect_double(1e14, "100000000000000");
    expect_double(-123, "-123");
    expect_double(1e300, "1e+300");
    expect_double(5e-324, "5e-324");
    expect_double(DBL_MAX, "1.7976931348623157e+308");
    expect_double(NAN, "NaN");
    expect_double(INFINITY, "Infinity");
    expect_double(-INFINITY, "-Infinity");
}

Test(buf, doubles_read_back_to_the_same)
{
    unsigned long long bits = 1;
    double x;

    for (int i = 0; i < 100000; i++) {
        CLEANUP(buf_done) struct buf b = {0};
        bits = bits * 6364136223846793005ULL + 1442695040888963407ULL;
        memcpy(&x, &bits, sizeof(x));
        if (!isfinite(x))
            continue;
        buf_double(&b, x);
        cr_assert_eq(strtod(b.data, NULL), x, "%s", b.data);
    }
}

Test(buf, json_strings_escape_and_repair)
{
    CLEANUP(buf_done) struct buf b = {0};

    buf_json_str(&b, "a\"\\\n\t\x7f\xc3\xa9\xf0\x9f\x98\x80\xff\xe2\x82", 15);
    cr_assert_str_eq(b.data, "\"a\\\"\\\\\\n\\u0009\\u007f\xc3\xa9\xf0\x9f\x98\x80"
                             "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

Test(buf, json_strings_keep_embedded_nuls)
{
    CLEANUP(buf_done) struct buf b = {0};

    buf_json_str(&b, "a\0b", 3);
    cr_assert_str_eq(b.data, "\"a\\u0000b\"");
}

/* The authors' own test values. */
Test(fnv, stored_digests_keep_their_meaning)
{
    cr_assert_eq(fnv(FNV_START, "", 0), UINT64_C(0xcbf29ce484222325));
    cr_assert_eq(fnv(FNV_START, "a", 1), UINT64_C(0xaf63dc4c8601ec8c));
    cr_assert_eq(fnv(fnv(FNV_START, "foo", 3), "bar", 3), UINT64_C(0x85944171f73967e8));
}
