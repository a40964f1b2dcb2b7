/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.h - memory that lives as long as one message.
 *
 * Allocations are bumped off blocks and never freed one by one: arena_reset()
 * drops all of them at once and keeps the first block, so a warm arena does not
 * call malloc. A dispatch loop owns one arena a thread and resets it after each
 * event or query; whatever a handler takes from it ends then.
 *
 * limit_bytes bounds the total, against messages that unpack to much more than
 * they weigh: past it arena_alloc() returns NULL for protobuf-c's allocator (the
 * unpack fails) and aborts for our own callers, whose sizes are bounded before.
 * One thread at a time.
 */
#pragma once

#include "err/err.h"

#include <protobuf-c/protobuf-c.h>

struct arena;

struct arena *arena_new(size_t block_bytes, size_t limit_bytes); /* 0: 16 KiB, 64 MiB */
void arena_free(struct arena *arena);
CLEANUP_DEFINE(struct arena, arena_free)

void arena_reset(struct arena *arena);
size_t arena_used(const struct arena *arena); /* bytes handed out since the last reset */

/* 16-byte aligned, uninitialised; never NULL. */
void *arena_alloc(struct arena *arena, size_t bytes) __attribute__((returns_nonnull));
void *arena_zalloc(struct arena *arena, size_t bytes) __attribute__((returns_nonnull));
char *arena_strdup(struct arena *arena, const char *s); /* NULL gives NULL */
char *arena_strndup(struct arena *arena, const char *s, size_t n);
char *arena_printf(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
void *arena_memdup(struct arena *arena, const void *data, size_t bytes);

/* For protobuf_c_message_unpack(): allocates here, frees nothing, fails past the
 * limit. Borrowed, lives as long as the arena. */
ProtobufCAllocator *arena_protobuf(struct arena *arena);

/* Unpack within the arena; NULL when malformed or past the limit. */
#define ARENA_UNPACK(arena, descriptor, bytes, data)                                               \
    protobuf_c_message_unpack(descriptor, arena_protobuf(arena), bytes, data)
