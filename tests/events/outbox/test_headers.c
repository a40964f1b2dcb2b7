/* SPDX-License-Identifier: Apache-2.0 */
#include "headers.h"

#include <criterion/criterion.h>
#include <string.h>

Test(headers, come_back_as_they_were)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    const struct bus_header in[] = {{"a", "1\0two", 5}, {"", "", 0}, {"a", NULL, 0}};
    const struct bus_header *out;
    const uint8_t *data;
    size_t len, count;
    struct err err;

    headers_pack(in, ARRAY_LEN(in), arena, &data, &len);
    cr_assert_eq(headers_unpack(data, len, arena, &out, &count, &err), ERR_OK);
    cr_assert_eq(count, 3);
    cr_assert_str_eq(out[0].name, "a");
    cr_assert_eq(out[0].len, 5);
    cr_assert_eq(memcmp(out[0].value, "1\0two", 5), 0);
    cr_assert_str_eq(out[1].name, "");
    cr_assert_not_null(out[1].value);
    cr_assert_eq(out[1].len, 0);
    cr_assert_null(out[2].value, "no value is not an empty value");
}

Test(headers, none_is_no_bytes)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    const struct bus_header *out;
    const uint8_t *data;
    size_t len, count = 7;
    struct err err;

    headers_pack(NULL, 0, arena, &data, &len);
    cr_assert_eq(len, 0);
    cr_assert_eq(headers_unpack(data, len, arena, &out, &count, &err), ERR_OK);
    cr_assert_eq(count, 0);
}

Test(headers, damage_is_an_error_wherever_it_is)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    const struct bus_header in[] = {{"name", "value", 5}, {"n", "v", 1}};
    const struct bus_header *out;
    const uint8_t *data;
    size_t len, count;
    struct err err;

    headers_pack(in, ARRAY_LEN(in), arena, &data, &len);
    for (size_t cut = 1; cut < len; cut++) {
        if (cut == 8 + 4 + 5)
            continue; /* between the two: a shorter list */
        cr_assert_eq(headers_unpack(data, cut, arena, &out, &count, &err), ERR_INTERNAL,
                     "cut at %zu", cut);
    }
}
