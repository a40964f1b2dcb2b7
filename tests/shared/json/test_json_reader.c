/* SPDX-License-Identifier: Apache-2.0 */
/* test_json_reader.c - numbers to the last bit, strings, structure and what is refused. */
#include "json/json_reader.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
valid(const char *text)
{
    struct json_reader r;
    struct err err = {0};

    jr_open(&r, text, strlen(text));
    jr_skip(&r);
    return jr_finish(&r, &err) == ERR_OK;
}

static double
number(const char *text)
{
    struct json_reader r;
    struct err err = {0};
    double x = 12345;

    jr_open(&r, text, strlen(text));
    jr_number(&r, &x);
    cr_assert_eq(jr_finish(&r, &err), ERR_OK, "%s: %s", text, err.message);
    return x;
}

static float
real_32(const char *text)
{
    struct json_reader r;
    struct err err = {0};
    float x = 12345;

    jr_open(&r, text, strlen(text));
    jr_float(&r, &x);
    cr_assert_eq(jr_finish(&r, &err), ERR_OK, "%s: %s", text, err.message);
    return x;
}

Test(json_reader, grammar_of_rfc_8259)
{
    static const char *const good[] = {"0",    "-0",        "1e5",  "1.5E-7",     "\"\"",
                                       "[]",   "{}",        "true", "null",       " [ 1 , 2 ] ",
                                       "[[]]", "{\"a\":1}", "NaN",  "[-Infinity]"};
    static const char *const bad[] = {
        "",          "01",         "-",           "+1",      ".5",       "1.",
        "1e",        "-NaN",       "nan",         "Infinit", "[1,]",     "[,1]",
        "[1 2]",     "{\"a\":1,}", "{a:1}",       "{\"a\"}", "{\"a\":}", "{\"a\" 1}",
        "\"a",       "\"\\x\"",    "\"\\u12\"",   "\"\n\"",  "tru",      "truex",
        "nul",       "[",          "]",           "{",       "[1}",      "1 2",
        "{\"a\":1]", "{1:2}",      "\"a\" \"b\"", "[1,,2]",  "--1",      "0x10",
        "'a'",       "/* c */ 1",  "[\"\t\"]",    "-01",     "1e+",      "{\"a\":1 \"b\":2}"};

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        cr_assert(valid(good[i]), "%s", good[i]);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        cr_assert_not(valid(bad[i]), "%s", bad[i]);
}

Test(json_reader, doubles_are_correctly_rounded)
{
    static const char *const texts[] = {"0.1",
                                        "123456789012345678",
                                        "9007199254740993",
                                        "9007199254740992.9999",
                                        "1e22",
                                        "1e23",
                                        "8.442911973260991817129021160e15",
                                        "2.2250738585072011e-308",
                                        "4.9406564584124654e-324",
                                        "1.7976931348623157e308",
                                        "0.000000000000000000000000000000001",
                                        "9007199254740991e-22"};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        cr_assert_eq(number(texts[i]), strtod(texts[i], NULL), "%s", texts[i]);
    cr_assert(signbit(number("-0")));
    cr_assert(isnan(number("NaN")));
    cr_assert_eq(number("-Infinity"), -INFINITY);
    cr_assert_eq(number("1e-9999"), 0);
}

Test(json_reader, floats_round_once)
{
    /* The nearest double of the first lies in the middle of two floats. */
    static const char *const texts[] = {"1.00000005960464477540",
                                        "1.00000005960464477539",
                                        "16777217",
                                        "16777217.0000001",
                                        "33554435",
                                        "0.1",
                                        "17.99",
                                        "1.17549435e-38",
                                        "1e-45",
                                        "7.006492321624085e-46",
                                        "7.006492321624086e-46",
                                        "3.4028235e38",
                                        "3.4028235677973362e38"};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        cr_assert_eq(real_32(texts[i]), strtof(texts[i], NULL), "%s", texts[i]);
    cr_assert(signbit(real_32("-0.0")));
    cr_assert(isnan(real_32("null")));
}

Test(json_reader, random_floats_agree_with_strtof)
{
    unsigned long long seed = 42;
    char text[64];

    for (int i = 0; i < 200000; i++) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        int digits = (int)(seed >> 60) + 1;
        int exponent = (int)(seed >> 52 & 63) - 32;
        snprintf(text, sizeof(text), "%.*e", digits, (double)(seed >> 11) * 0x1p-53);
        snprintf(strchr(text, 'e'), 8, "e%d", exponent);
        cr_assert_eq(real_32(text), strtof(text, NULL), "%s", text);
        cr_assert_eq(number(text), strtod(text, NULL), "%s", text);
    }
}

Test(json_reader, numbers_past_the_range_are_refused)
{
    struct json_reader r;
    double x = 1;
    float f = 1;

    jr_open(&r, "1e309", 5);
    cr_assert_not(jr_number(&r, &x));
    jr_open(&r, "1e39", 4);
    cr_assert_not(jr_float(&r, &f));
    cr_assert_eq(x, 1);
    cr_assert_eq(f, 1);
}

Test(json_reader, integers_up_to_the_border)
{
    static const char *const bad[] = {"9223372036854775808",
                                      "-9223372036854775809",
                                      "1.0",
                                      "1e2",
                                      "99999999999999999999",
                                      "NaN",
                                      "true"};
    struct json_reader r;
    int64_t n;

    jr_open(&r, "9223372036854775807", 19);
    cr_assert(jr_integer(&r, &n));
    cr_assert_eq(n, INT64_MAX);
    jr_open(&r, "-9223372036854775808", 20);
    cr_assert(jr_integer(&r, &n));
    cr_assert_eq(n, INT64_MIN);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        jr_open(&r, bad[i], strlen(bad[i]));
        cr_assert_not(jr_integer(&r, &n), "%s", bad[i]);
    }
}

static const char *
string(const char *text, size_t *len)
{
    static struct arena *arena;
    struct json_reader r;
    const char *s = NULL;

    if (!arena)
        arena = arena_new(0, 0);
    jr_open(&r, text, strlen(text));
    return jr_string(&r, arena, &s, len) ? s : NULL;
}

Test(json_reader, escapes_and_surrogates)
{
    size_t len;

    cr_assert_str_eq(string("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", &len), "\"\\/\b\f\n\r\t");
    cr_assert_str_eq(string("\"\\u00e9\\u20AC\\ud83d\\ude00\"", &len),
                     "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    cr_assert_eq(memcmp(string("\"a\\u0000b\"", &len), "a\0b", 4), 0);
    cr_assert_eq(len, 3);
    cr_assert_null(string("\"\\ud83d\"", &len));
    cr_assert_null(string("\"\\ude00\"", &len));
    cr_assert_null(string("\"\\ud83d\\u0041\"", &len));
}

Test(json_reader, utf8_at_its_borders)
{
    size_t len;

    cr_assert_not_null(
        string("\"\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xf4\x8f\xbf\xbf\"", &len));
    cr_assert_null(string("\"\xc0\x80\"", &len)); /* overlong */
    cr_assert_null(string("\"\xe0\x9f\xbf\"", &len));
    cr_assert_null(string("\"\xed\xa0\x80\"", &len));     /* surrogate */
    cr_assert_null(string("\"\xf4\x90\x80\x80\"", &len)); /* past U+10FFFF */
    cr_assert_null(string("\"\xe2\x82\"", &len));         /* cut */
}

Test(json_reader, names_match_with_their_escapes_resolved)
{
    const char text[] = "{\"sh\\u0061pe\":1,\"shape\":2,\"shap\":3}";
    struct json_reader r;
    struct json_text key;
    int matches = 0;
    struct err err;

    jr_open(&r, text, strlen(text));
    jr_enter_object(&r);
    while (jr_member(&r, &key)) {
        matches += jr_key_is(&key, "shape");
        jr_skip(&r);
    }
    cr_assert_eq(jr_finish(&r, &err), ERR_OK);
    cr_assert_eq(matches, 2);
}

Test(json_reader, depth_is_bounded)
{
    char text[2 * JSON_DEPTH_MAX + 3] = "";

    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    cr_assert(valid(text));
    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    cr_assert_not(valid(text));
}

Test(json_reader, the_first_error_sticks_with_its_offset)
{
    struct json_reader r;
    struct err err;
    double x;

    jr_open(&r, "[1, x, 2]", 9);
    jr_enter_array(&r);
    while (jr_element(&r))
        jr_number(&r, &x);
    cr_assert_eq(jr_peek(&r), JSON_T_END);
    jr_fail(&r, "something later");
    cr_assert_eq(jr_finish(&r, &err), ERR_INVALID);
    cr_assert_str_eq(err.message, "JSON, byte 4: expected a number");
}

Test(json_reader, an_unfinished_value_is_an_error_at_the_end)
{
    struct json_reader r;
    struct err err;

    jr_open(&r, "[1]", 3);
    jr_enter_array(&r);
    cr_assert_eq(jr_finish(&r, &err), ERR_INVALID);
}

Test(json_reader, strings_stay_within_the_arenas_limit)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(64, 100);
    char text[300];
    struct json_reader r;
    const char *s;
    size_t len;

    memset(text, 'a', sizeof(text));
    text[0] = text[sizeof(text) - 1] = '"';
    jr_open(&r, text, sizeof(text));
    cr_assert_not(jr_string(&r, arena, &s, &len));
}
