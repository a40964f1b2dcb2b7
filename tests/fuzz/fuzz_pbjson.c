/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_pbjson.c - the transcoder, both ways: what was read can be packed, written and read
 * again, and gives the same bytes; what unpacks from random bytes can be written.
 */
#include "pbjson/pbjson.h"
#include "sample.pb-c.h"

#include <stdlib.h>
#include <string.h>

static void
from_json(const char *text, size_t size, struct arena *arena)
{
    CLEANUP(buf_done) struct buf out = {0};
    ProtobufCMessage *first, *second;
    struct err err = {0};

    if (pbjson_read(&sample__all__descriptor, text, size, 0, arena, &first, &err)) {
        if (err.message[0] == '\0')
            abort();
        return;
    }
    if (pbjson_check(first, &err))
        abort();
    pbjson_write(first, size % 2 ? PBJSON_PRETTY : 0, &out);
    if (pbjson_read(&sample__all__descriptor, out.data, out.len, 0, arena, &second, &err))
        abort();
    size_t n = protobuf_c_message_get_packed_size(first);
    if (n != protobuf_c_message_get_packed_size(second))
        abort();
    uint8_t *a = malloc(2 * n + 1);
    protobuf_c_message_pack(first, a);
    protobuf_c_message_pack(second, a + n);
    if (memcmp(a, a + n, n) != 0)
        abort();
    free(a);
}

static void
from_wire(const uint8_t *data, size_t size, struct arena *arena)
{
    CLEANUP(buf_done) struct buf out = {0};
    struct err err = {0};
    ProtobufCMessage *message = ARENA_UNPACK(arena, &sample__all__descriptor, size, data);

    if (!message)
        return;
    if (pbjson_check(message, &err) && err.message[0] == '\0')
        abort();
    pbjson_write(message, PBJSON_DEFAULTS, &out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 1 << 20);

    from_json((const char *)data, size, arena);
    arena_reset(arena);
    from_wire(data, size, arena);
    return 0;
}
