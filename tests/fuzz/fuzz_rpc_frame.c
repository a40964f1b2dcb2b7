/* SPDX-License-Identifier: Apache-2.0 */
/* Request frames as they come off the socket. */
#include "rpc/rpc.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char key[] = "a key of the services";
    static struct arena *arena;
    struct rpc_call call;
    const uint8_t *body;
    size_t body_len;
    struct err err;

    if (!arena)
        arena = arena_new(0, 0);
    if (rpc_frame_decode(data, size, key, sizeof(key), 0, arena, &call, &body, &body_len, &err) ==
        ERR_OK)
        __builtin_trap(); /* nobody guesses the MAC */
    arena_reset(arena);
    return 0;
}
