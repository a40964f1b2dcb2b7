/* SPDX-License-Identifier: Apache-2.0 */
/* stand_in.h - the rpc client replaced by a script: what was asked, and what is answered. */
#pragma once

#include "rpc/rpc.h"
#include "trace/trace.h"

struct stand_in {
    char method[64], request_id[RPC_REQUEST_ID_MAX + 1];
    struct auth_caller caller;
    struct trace trace; /* of the thread that asked */
    int calls;
    uint8_t body[4096]; /* of the last request */
    size_t len;
    /* The answer, given on another thread. */
    enum err_code code;
    const ProtobufCMessage *reply;
};
extern struct stand_in stand_in;
