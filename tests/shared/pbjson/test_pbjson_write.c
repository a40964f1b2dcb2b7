/* SPDX-License-Identifier: Apache-2.0 */
/* test_pbjson_write.c - messages as JSON text. */
#include "pbjson/pbjson.h"
#include "sample.pb-c.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <string.h>

static void
expect(const Sample__All *all, unsigned flags, const char *text)
{
    CLEANUP(buf_done) struct buf out = {0};

    pbjson_write(&all->base, flags, &out);
    cr_assert_str_eq(out.data, text);
}

Test(pbjson_write, defaults_are_left_out)
{
    Sample__All all = SAMPLE__ALL__INIT;

    expect(&all, 0, "{}");
    expect(&all, PBJSON_PRETTY, "{}");
}

Test(pbjson_write, defaults_are_written_when_asked_for)
{
    Sample__Inner inner = SAMPLE__INNER__INIT;
    CLEANUP(buf_done) struct buf out = {0};

    pbjson_write(&inner.base, PBJSON_DEFAULTS, &out);
    cr_assert_str_eq(out.data, "{\"name\":\"\",\"value\":0,\"numbers\":[]}");
}

Test(pbjson_write, integers_up_to_their_borders)
{
    Sample__All all = SAMPLE__ALL__INIT;

    all.int_32 = INT32_MIN;
    all.int_64 = INT64_MIN;
    all.uint_32 = UINT32_MAX;
    all.uint_64 = UINT64_MAX;
    expect(&all, 0,
           "{\"int_32\":-2147483648,\"int_64\":-9223372036854775808,\"uint_32\":4294967295,"
           "\"uint_64\":\"18446744073709551615\"}");
}

Test(pbjson_write, reals_are_shortest_and_minus_zero_is_no_default)
{
    Sample__All all = SAMPLE__ALL__INIT;

    all.real_32 = 0.1f;
    all.real_64 = -0.0;
    expect(&all, 0, "{\"real_32\":0.1,\"real_64\":-0.0}");
    all.real_32 = FLT_MAX;
    all.real_64 = 5e-324;
    expect(&all, 0, "{\"real_32\":3.4028235e+38,\"real_64\":5e-324}");
    all.real_32 = NAN;
    all.real_64 = -INFINITY;
    expect(&all, 0, "{\"real_32\":\"NaN\",\"real_64\":\"-Infinity\"}");
}

Test(pbjson_write, strings_are_escaped_and_bytes_are_base64)
{
    Sample__All all = SAMPLE__ALL__INIT;
    uint8_t bytes[] = {0xfb, 0xff, 0x00, 0x01};

    all.text = (char *)"a\"\\\n\x01\xc3\xa9\xff";
    all.data = (ProtobufCBinaryData){4, bytes};
    expect(&all, 0, "{\"text\":\"a\\\"\\\\\\n\\u0001\xc3\xa9\xef\xbf\xbd\",\"data\":\"+/8AAQ==\"}");
}

Test(pbjson_write, enums_by_name_and_unknown_ones_by_number)
{
    Sample__All all = SAMPLE__ALL__INIT;
    Sample__Color colors[] = {SAMPLE__COLOR__COLOR_NEGATIVE, (Sample__Color)77};

    all.color = SAMPLE__COLOR__COLOR_GREEN;
    all.n_colors = 2;
    all.colors = colors;
    expect(&all, 0, "{\"color\":\"COLOR_GREEN\",\"colors\":[\"COLOR_NEGATIVE\",77]}");
}

Test(pbjson_write, maps_are_objects)
{
    Sample__All all = SAMPLE__ALL__INIT;
    Sample__All__CountsEntry count = SAMPLE__ALL__COUNTS_ENTRY__INIT;
    Sample__All__ByNumberEntry by_number = SAMPLE__ALL__BY_NUMBER_ENTRY__INIT;
    Sample__All__CountsEntry *counts[] = {&count};
    Sample__All__ByNumberEntry *by_numbers[] = {&by_number};

    count.key = (char *)"a";
    by_number.key = -5;
    all.n_counts = 1;
    all.counts = counts;
    all.n_by_number = 1;
    all.by_number = by_numbers;
    expect(&all, 0, "{\"counts\":{\"a\":0},\"by_number\":{\"-5\":{}}}");
}

Test(pbjson_write, the_set_member_of_a_oneof_even_when_zero)
{
    Sample__All all = SAMPLE__ALL__INIT;

    all.choice_case = SAMPLE__ALL__CHOICE_CHOICE_NUMBER;
    expect(&all, 0, "{\"choice_number\":0}");
}

Test(pbjson_write, pretty_has_a_line_a_value)
{
    Sample__All all = SAMPLE__ALL__INIT;
    Sample__Inner inner = SAMPLE__INNER__INIT;
    Sample__Inner *inners[] = {&inner};

    inner.name = (char *)"x";
    all.flag = 1;
    all.n_inners = 1;
    all.inners = inners;
    expect(&all, PBJSON_PRETTY,
           "{\n  \"flag\": true,\n  \"inners\": [\n    {\n      \"name\": \"x\"\n    }\n  ]\n}");
}

Test(pbjson_write, what_is_written_reads_back_to_the_same_bytes)
{
    const char text[] =
        "{\"int_32\":-1,\"uint_64\":\"18446744073709551615\",\"real_32\":3.4028235e38,"
        "\"real_64\":0.1,\"data\":\"AAEC\",\"inner\":{\"numbers\":[1,-2]},\"texts\":[\"\"],"
        "\"by_flag\":{\"false\":\"no\"},\"choice_inner\":{}}";
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    CLEANUP(buf_done) struct buf out = {0};
    ProtobufCMessage *first, *second;
    uint8_t a[512], b[512];
    struct err err;

    cr_assert_eq(pbjson_read(&sample__all__descriptor, text, strlen(text), 0, arena, &first, &err),
                 ERR_OK, "%s", err.message);
    pbjson_write(first, PBJSON_PRETTY, &out);
    cr_assert_eq(pbjson_read(&sample__all__descriptor, out.data, out.len, 0, arena, &second, &err),
                 ERR_OK);
    size_t n = protobuf_c_message_pack(first, a);
    cr_assert_eq(n, protobuf_c_message_pack(second, b));
    cr_assert_eq(memcmp(a, b, n), 0);
}
