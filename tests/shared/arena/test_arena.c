/* SPDX-License-Identifier: Apache-2.0 */
/* test_arena.c - alignment, growth, reset and the limit. */
#include "arena/arena.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

Test(arena, memory_is_aligned_and_apart)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(64, 0);
    char *p[100];

    for (int i = 0; i < 100; i++) {
        p[i] = arena_alloc(arena, (size_t)i + 1);
        cr_assert_eq((uintptr_t)p[i] % 16, 0);
        memset(p[i], i, (size_t)i + 1);
    }
    for (int i = 0; i < 100; i++)
        for (int k = 0; k <= i; k++)
            cr_assert_eq(p[i][k], i);
}

Test(arena, larger_than_a_block)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(64, 0);

    memset(arena_alloc(arena, 100000), 1, 100000);
    cr_assert_geq(arena_used(arena), 100000);
}

Test(arena, reset_gives_the_first_block_again)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(1024, 0);
    void *first = arena_alloc(arena, 100);

    arena_alloc(arena, 5000);
    arena_reset(arena);
    cr_assert_eq(arena_used(arena), 0);
    cr_assert_eq(arena_alloc(arena, 100), first);
}

Test(arena, protobuf_gets_null_past_the_limit)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(64, 1000);
    ProtobufCAllocator *allocator = arena_protobuf(arena);

    cr_assert_not_null(allocator->alloc(allocator->allocator_data, 500));
    cr_assert_null(allocator->alloc(allocator->allocator_data, 600));
    cr_assert_null(allocator->alloc(allocator->allocator_data, SIZE_MAX));
    arena_reset(arena);
    cr_assert_not_null(allocator->alloc(allocator->allocator_data, 1000));
}

Test(arena, our_own_callers_abort_past_the_limit, .signal = SIGABRT)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(64, 1000);

    arena_alloc(arena, 1001);
}

Test(arena, copies_of_text_and_bytes)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);

    cr_assert_str_eq(arena_strdup(arena, "abc"), "abc");
    cr_assert_null(arena_strdup(arena, NULL));
    cr_assert_str_eq(arena_strndup(arena, "abcdef", 2), "ab");
    cr_assert_str_eq(arena_printf(arena, "%03d", 7), "007");
    cr_assert_eq(memcmp(arena_memdup(arena, "a\0b", 3), "a\0b", 3), 0);
    cr_assert_not_null(arena_memdup(arena, NULL, 0));
    cr_assert_eq(*(char *)arena_zalloc(arena, 1), 0);
}
