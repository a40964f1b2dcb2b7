/* SPDX-License-Identifier: Apache-2.0 */
/* change.c - what handlers begin with. */
#include "change.h"

#include "life/life.h"
#include "service.h"

struct change
change_of_call(const void *arg, const struct rpc_call *call)
{
    const struct service *service = arg;

    return (struct change){
        .store = {.db = call->db, .workspace = call->caller.workspace, .arena = call->arena},
        .service = service,
        .outbox = service->outbox,
        .by = call->caller.subject,
        .now_ms = life_now_ms(),
    };
}

struct change
change_of_event(const void *arg, const struct event_context *context)
{
    return (struct change){
        .store = {.db = context->db, .workspace = context->workspace, .arena = context->arena},
        .service = arg,
        .outbox = context->outbox,
        .by = context->envelope->source,
        .now_ms = life_now_ms(),
    };
}

enum err_code
change_say(const struct change *change, const ProtobufCMessage *event, struct err *err)
{
    return outbox_publish(change->outbox, change->store.db, change->store.workspace, event, err);
}
