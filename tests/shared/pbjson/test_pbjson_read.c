/* SPDX-License-Identifier: Apache-2.0 */
/* test_pbjson_read.c - JSON into messages: every type, its borders, and what is refused. */
#include "pbjson/pbjson.h"
#include "sample.pb-c.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct arena *arena;
static struct err err;

static void
set_up(void)
{
    arena = arena_new(0, 1 << 20);
}

static void
tear_down(void)
{
    arena_free(arena);
}

TestSuite(pbjson_read, .init = set_up, .fini = tear_down);

static Sample__All *
good(const char *text)
{
    ProtobufCMessage *message = NULL;
    enum err_code code =
        pbjson_read(&sample__all__descriptor, text, strlen(text), 0, arena, &message, &err);

    cr_assert_eq(code, ERR_OK, "%s: %s", text, err.message);
    return (Sample__All *)message;
}

static void
bad(const char *text, const char *message)
{
    ProtobufCMessage *out = NULL;
    enum err_code code =
        pbjson_read(&sample__all__descriptor, text, strlen(text), 0, arena, &out, &err);

    cr_assert_eq(code, ERR_INVALID, "%s was taken", text);
    cr_assert(strstr(err.message, message), "%s: '%s' lacks '%s'", text, err.message, message);
    cr_assert_null(out);
}

Test(pbjson_read, integers_up_to_their_borders)
{
    Sample__All *all = good("{\"int_32\":-2147483648,\"int_64\":9223372036854775807,"
                            "\"uint_32\":4294967295,\"uint_64\":\"18446744073709551615\","
                            "\"sint_64\":\"-9223372036854775808\",\"fixed_32\":1e3}");

    cr_assert_eq(all->int_32, INT32_MIN);
    cr_assert_eq(all->int_64, INT64_MAX);
    cr_assert_eq(all->uint_32, UINT32_MAX);
    cr_assert_eq(all->uint_64, UINT64_MAX);
    cr_assert_eq(all->sint_64, INT64_MIN);
    cr_assert_eq(all->fixed_32, 1000);
}

Test(pbjson_read, integers_past_their_borders_are_refused)
{
    bad("{\"int_32\":2147483648}", "int_32: number out of range");
    bad("{\"uint_32\":-1}", "out of range");
    bad("{\"int_64\":9.3e18}", "out of range");
    bad("{\"uint_64\":\"-1\"}", "out of range");
    bad("{\"int_32\":1.5}", "expected a whole number");
    bad("{\"int_32\":\"01\"}", "expected a whole number");
    bad("{\"int_32\":\"\"}", "expected a whole number");
}

Test(pbjson_read, reals_with_nan_infinity_and_negative_zero)
{
    Sample__All *all =
        good("{\"real_32\":\"NaN\",\"real_64\":\"-Infinity\",\"reals\":[-0.0,5e-324,1]}");

    cr_assert(isnan(all->real_32));
    cr_assert_eq(all->real_64, -INFINITY);
    cr_assert(signbit(all->reals[0]));
    cr_assert_eq(all->reals[1], 5e-324);
}

Test(pbjson_read, a_float_that_would_round_to_infinity_is_refused)
{
    cr_assert_eq(good("{\"real_32\":3.4028235e38}")->real_32, 0x1.fffffep127f);
    bad("{\"real_32\":3.4028236e38}", "out of range");
}

Test(pbjson_read, bytes_in_either_alphabet)
{
    Sample__All *all = good("{\"data\":\"+/8=\",\"blobs\":[\"-_8\",\"\"]}");

    cr_assert_eq(all->data.len, 2);
    cr_assert_eq(memcmp(all->data.data, "\xfb\xff", 2), 0);
    cr_assert_eq(all->blobs[0].len, 2);
    cr_assert_eq(memcmp(all->blobs[0].data, "\xfb\xff", 2), 0);
    cr_assert_eq(all->blobs[1].len, 0);
    bad("{\"data\":\"a\"}", "not base64");
    bad("{\"data\":\"ab!=\"}", "not base64");
}

Test(pbjson_read, enums_by_name_and_number)
{
    Sample__All *all = good("{\"color\":\"COLOR_NEGATIVE\",\"colors\":[5,\"COLOR_RED\"]}");

    cr_assert_eq(all->color, SAMPLE__COLOR__COLOR_NEGATIVE);
    cr_assert_eq(all->colors[0], SAMPLE__COLOR__COLOR_GREEN);
    bad("{\"color\":\"COLOR_REED\"}", "did you mean COLOR_RED?");
    bad("{\"color\":3}", "no enum value has this number");
}

Test(pbjson_read, names_in_lower_camel_case)
{
    Sample__All *all = good("{\"createdAtMs\":7,\"int_32\":1,\"choiceText\":\"x\"}");

    cr_assert_eq(all->created_at_ms, 7);
    cr_assert_str_eq(all->choice_text, "x");
    bad("{\"createdAtMs\":7,\"created_at_ms\":7}", "given twice");
}

Test(pbjson_read, maps_with_each_kind_of_key)
{
    Sample__All *all = good("{\"counts\":{\"a\":1},\"by_number\":{\"-5\":{\"name\":\"x\"}},"
                            "\"by_flag\":{\"true\":\"yes\"}}");

    cr_assert_eq(all->n_counts, 1);
    cr_assert_str_eq(all->counts[0]->key, "a");
    cr_assert_eq(all->counts[0]->value, 1);
    cr_assert_eq(all->by_number[0]->key, -5);
    cr_assert_str_eq(all->by_number[0]->value->name, "x");
    cr_assert(all->by_flag[0]->key);
    bad("{\"by_flag\":{\"yes\":\"\"}}", "by_flag.yes: expected true or false");
    bad("{\"counts\":{\"a\":null}}", "counts.a");
}

Test(pbjson_read, a_message_whose_name_ends_like_a_map_is_none)
{
    Sample__All *all = good("{\"three\":[{\"key\":\"k\",\"more\":\"m\"}]}");

    cr_assert_str_eq(all->three[0]->more, "m");
}

Test(pbjson_read, one_of_a_oneof)
{
    Sample__All *all = good("{\"choice_text\":\"\"}");

    cr_assert_eq(all->choice_case, SAMPLE__ALL__CHOICE_CHOICE_TEXT);
    bad("{\"choice_text\":\"\",\"choice_number\":1}", "another field of this choice");
}

Test(pbjson_read, null_is_the_same_as_absent)
{
    Sample__All *all = good("{\"text\":null,\"inner\":null,\"texts\":null}");

    cr_assert_str_eq(all->text, "");
    cr_assert_null(all->inner);
    cr_assert_eq(all->n_texts, 0);
    bad("{\"texts\":[null]}", "texts[0]: expected a string, got null");
}

Test(pbjson_read, errors_have_the_path)
{
    bad("{\"inners\":[{},{\"value\":\"x\"}]}", "inners[1].value: expected a number, got 'x'");
    bad("{\"inner\":{\"numbers\":[1,true]}}", "inner.numbers[1]: expected a whole number, got a");
    bad("{\"texts\":{}}", "texts: expected an array, got an object");
    bad("[]", "expected an object, got an array");
    bad("{\"text\":\"a\",}", "JSON, line 1");
}

Test(pbjson_read, unknown_fields_name_the_nearest_or_are_ignored)
{
    const char text[] = "{\"createdatms\":1,\"flagg\":true,\"text\":\"t\"}";
    ProtobufCMessage *message;

    bad("{\"flagg\":true}", "did you mean flag?");
    cr_assert_eq(pbjson_read(&sample__all__descriptor, text, strlen(text), PBJSON_IGNORE_UNKNOWN,
                             arena, &message, &err),
                 ERR_OK);
    cr_assert_str_eq(((Sample__All *)message)->text, "t");
}

Test(pbjson_read, duplicates_bad_utf8_and_nuls_are_refused)
{
    bad("{\"int_32\":1,\"int_32\":2}", "duplicate");
    bad("{\"text\":\"\xff\"}", "JSON");
    bad("{\"text\":\"a\\u0000b\"}", "JSON");
}

Test(pbjson_read, deep_nesting_is_refused_before_it_is_parsed)
{
    char text[4096];
    ProtobufCMessage *message;

    memset(text, '[', sizeof(text));
    cr_assert_eq(
        pbjson_read(&sample__all__descriptor, text, sizeof(text), 0, arena, &message, &err),
        ERR_TOO_LARGE);
}

Test(pbjson_read, a_small_text_cannot_pass_the_arenas_limit)
{
    CLEANUP(arena_free) struct arena *small = arena_new(0, 64 << 10);
    CLEANUP(buf_done) struct buf text = {0};
    ProtobufCMessage *message = NULL;

    buf_str(&text, "{\"inners\":[{}");
    for (int i = 0; i < 5000; i++)
        buf_str(&text, ",{}");
    buf_str(&text, "]}");
    cr_assert_eq(
        pbjson_read(&sample__all__descriptor, text.data, text.len, 0, small, &message, &err),
        ERR_TOO_LARGE);
    cr_assert_null(message);
}

Test(pbjson_read, set_takes_text_for_each_kind_of_field)
{
    ProtobufCMessage *message = &good("{}")->base;
    Sample__All *all = (Sample__All *)message;

    cr_assert_eq(pbjson_set(message, "int_64", "-42", arena, &err), ERR_OK);
    cr_assert_eq(pbjson_set(message, "flag", "true", arena, &err), ERR_OK);
    cr_assert_eq(pbjson_set(message, "color", "COLOR_RED", arena, &err), ERR_OK);
    cr_assert_eq(pbjson_set(message, "reel_64", "1.5", arena, &err), ERR_NOT_FOUND);
    cr_assert_eq(pbjson_set(message, "real_64", "1.5", arena, &err), ERR_OK);
    cr_assert_eq(pbjson_set(message, "choice_text", "c", arena, &err), ERR_OK);
    cr_assert_eq(all->int_64, -42);
    cr_assert(all->flag);
    cr_assert_eq(all->color, SAMPLE__COLOR__COLOR_RED);
    cr_assert_eq(all->real_64, 1.5);
    cr_assert_eq(all->choice_case, SAMPLE__ALL__CHOICE_CHOICE_TEXT);
}

Test(pbjson_read, set_appends_to_what_was_read)
{
    Sample__All *all = good("{\"texts\":[\"a\",\"b\",\"c\"]}");

    for (int i = 0; i < 6; i++)
        cr_assert_eq(pbjson_set(&all->base, "texts", "more", arena, &err), ERR_OK);
    cr_assert_eq(all->n_texts, 9);
    cr_assert_str_eq(all->texts[2], "c");
    cr_assert_str_eq(all->texts[8], "more");
}

Test(pbjson_read, set_refuses_what_is_no_value)
{
    ProtobufCMessage *message = &good("{}")->base;

    cr_assert_eq(pbjson_set(message, "int_32", "x", arena, &err), ERR_INVALID);
    cr_assert_eq(pbjson_set(message, "flag", "yes", arena, &err), ERR_INVALID);
    cr_assert_eq(pbjson_set(message, "text", "\xc0\x80", arena, &err), ERR_INVALID);
    cr_assert_eq(pbjson_set(message, "inner", "{}", arena, &err), ERR_INVALID);
    cr_assert_eq(pbjson_set(message, "reals", "1e999", arena, &err), ERR_INVALID);
    cr_assert_eq(((Sample__All *)message)->n_reals, 0);
}

Test(pbjson_read, check_finds_bad_utf8_and_unknown_enums_inside)
{
    Sample__All *all = good("{\"inners\":[{\"name\":\"ok\"}]}");

    cr_assert_eq(pbjson_check(&all->base, &err), ERR_OK);
    all->inners[0]->name[0] = (char)0xff;
    cr_assert_eq(pbjson_check(&all->base, &err), ERR_INVALID);
    cr_assert_str_eq(err.message, "inners[0].name: not UTF-8");
    all->inners[0]->name[0] = 'o';
    all->color = 99;
    cr_assert_eq(pbjson_check(&all->base, &err), ERR_INVALID);
    cr_assert_str_eq(err.message, "color: no enum value has the number 99");
}
