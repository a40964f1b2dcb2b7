/* SPDX-License-Identifier: Apache-2.0 */
/* words.c - strings with numbers: open addressing, at most half full. */
#include "table/internal.h"

#include "buf/fnv.h"

#include <stdlib.h>
#include <string.h>

void
words_done(struct words *words)
{
    for (size_t i = 0; i < words->count; i++)
        free(words->text[i]);
    free(words->text);
    free(words->len);
    free(words->slots);
}

static size_t
hash(const char *text, size_t len)
{
    uint64_t h = fnv(FNV_START, text, len);

    return (size_t)(h ^ h >> 29);
}

static size_t
slot_of(const struct words *words, const char *text, size_t len)
{
    size_t slot = hash(text, len) & (words->slot_count - 1);

    for (; words->slots[slot]; slot = (slot + 1) & (words->slot_count - 1)) {
        size_t id = words->slots[slot] - 1;
        if (words->len[id] == len && memcmp(words->text[id], text, len) == 0)
            break;
    }
    return slot;
}

uint32_t
words_find(const struct words *words, const char *text, size_t len)
{
    if (!words->count)
        return WORD_NONE;
    uint32_t found = words->slots[slot_of(words, text, len)];
    return found ? found - 1 : WORD_NONE;
}

static void
grow(struct words *words)
{
    words->room = words->room ? words->room * 2 : 32;
    words->text = mem_realloc(words->text, words->room * sizeof(*words->text));
    words->len = mem_realloc(words->len, words->room * sizeof(*words->len));
    free(words->slots);
    words->slot_count = words->room * 2;
    words->slots = mem_calloc(words->slot_count, sizeof(*words->slots));
    for (size_t id = 0; id < words->count; id++)
        words->slots[slot_of(words, words->text[id], words->len[id])] = (uint32_t)id + 1;
}

uint32_t
words_add(struct words *words, const char *text, size_t len)
{
    uint32_t found = words_find(words, text, len);

    if (found != WORD_NONE)
        return found;
    if (words->count == words->room)
        grow(words);
    words->text[words->count] = mem_strndup(text, len);
    words->len[words->count] = len;
    words->bytes += len + 1;
    words->slots[slot_of(words, words->text[words->count], len)] = (uint32_t)words->count + 1;
    return (uint32_t)words->count++;
}
