/* SPDX-License-Identifier: Apache-2.0 */
/* arena.c - a list of blocks and a bump pointer. */
#include "arena/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 16

struct block {
    struct block *next;
    size_t size;
    _Alignas(ALIGNMENT) unsigned char data[];
};

struct arena {
    struct block *first; /* kept over resets */
    struct block *current;
    size_t offset; /* within current */
    size_t used;
    size_t block_bytes;
    size_t limit_bytes;
    ProtobufCAllocator protobuf;
};

static struct block *
block_new(size_t size)
{
    struct block *block = mem_alloc(sizeof(*block) + size);

    block->next = NULL;
    block->size = size;
    return block;
}

static void *
try_alloc(struct arena *arena, size_t bytes)
{
    if (bytes > arena->limit_bytes - arena->used)
        return NULL;
    size_t need = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (need > arena->current->size - arena->offset) {
        struct block *block = block_new(need > arena->block_bytes ? need : arena->block_bytes);
        arena->current->next = block;
        arena->current = block;
        arena->offset = 0;
    }
    void *p = arena->current->data + arena->offset;
    arena->offset += need;
    /* used may pass the limit by the padding; keep the subtraction above safe. */
    arena->used = need > arena->limit_bytes - arena->used ? arena->limit_bytes : arena->used + need;
    return p;
}

static void *
protobuf_alloc(void *arena, size_t bytes)
{
    return try_alloc(arena, bytes);
}

static void
protobuf_free(void *arena, void *p)
{
    (void)arena;
    (void)p;
}

struct arena *
arena_new(size_t block_bytes, size_t limit_bytes)
{
    struct arena *arena = mem_zalloc(sizeof(*arena));

    arena->block_bytes = block_bytes ? block_bytes : 16 << 10;
    arena->limit_bytes = limit_bytes ? limit_bytes : 64 << 20;
    arena->first = arena->current = block_new(arena->block_bytes);
    arena->protobuf = (ProtobufCAllocator){protobuf_alloc, protobuf_free, arena};
    return arena;
}

static void
free_after(struct block *block)
{
    struct block *next;

    for (struct block *b = block->next; b; b = next) {
        next = b->next;
        free(b);
    }
    block->next = NULL;
}

void
arena_free(struct arena *arena)
{
    if (!arena)
        return;
    free_after(arena->first);
    free(arena->first);
    free(arena);
}

void
arena_reset(struct arena *arena)
{
    free_after(arena->first);
    arena->current = arena->first;
    arena->offset = 0;
    arena->used = 0;
}

size_t
arena_used(const struct arena *arena)
{
    return arena->used;
}

void *
arena_alloc(struct arena *arena, size_t bytes)
{
    void *p = try_alloc(arena, bytes);

    if (!p) {
        fprintf(stderr, "arena: %zu bytes over the limit of %zu\n", bytes, arena->limit_bytes);
        abort();
    }
    return p;
}

void *
arena_zalloc(struct arena *arena, size_t bytes)
{
    return memset(arena_alloc(arena, bytes), 0, bytes);
}

char *
arena_strdup(struct arena *arena, const char *s)
{
    return s ? arena_strndup(arena, s, strlen(s)) : NULL;
}

char *
arena_strndup(struct arena *arena, const char *s, size_t n)
{
    char *copy = arena_alloc(arena, n + 1);

    memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

char *
arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = arena_alloc(arena, (size_t)n + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)n + 1, format, args);
    va_end(args);
    return text;
}

void *
arena_memdup(struct arena *arena, const void *data, size_t bytes)
{
    void *copy = arena_alloc(arena, bytes);

    if (bytes)
        memcpy(copy, data, bytes);
    return copy;
}

ProtobufCAllocator *
arena_protobuf(struct arena *arena)
{
    return &arena->protobuf;
}
