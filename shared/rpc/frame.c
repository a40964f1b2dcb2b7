/* SPDX-License-Identifier: Apache-2.0 */
/* frame.c - requests and replies as bytes. */
#include "internal.h"

#include "modelbus/rpc/v1/frame.pb-c.h"

#include <stdio.h>
#include <string.h>

enum err_code
rpc_frame_encode(const struct auth_signed *what, const char *traceparent, const void *key,
                 size_t key_len, nng_msg **msg, struct err *err)
{
    Modelbus__Rpc__V1__Request request = MODELBUS__RPC__V1__REQUEST__INIT;
    Modelbus__Rpc__V1__Caller caller = MODELBUS__RPC__V1__CALLER__INIT;
    uint8_t mac[SHA256_BYTES];

    auth_sign(what, key, key_len, mac);
    caller.subject = (char *)what->caller->subject;
    caller.workspace = (char *)what->caller->workspace;
    caller.roles = what->caller->roles;
    caller.scopes = (char *)what->caller->scopes;
    request.method = (char *)what->method;
    request.request_id = (char *)what->request_id;
    request.deadline_ms = what->deadline_ms;
    request.traceparent = (char *)traceparent;
    request.caller = &caller;
    request.issued_ms = what->issued_ms;
    request.body = (ProtobufCBinaryData){.len = what->body_len, .data = (uint8_t *)what->body};
    request.mac = (ProtobufCBinaryData){.len = sizeof(mac), .data = mac};
    size_t len = modelbus__rpc__v1__request__get_packed_size(&request);
    if (len > RPC_MESSAGE_MAX)
        return err_set(err, ERR_TOO_LARGE, "a request of %zu bytes, at most %u", len,
                       RPC_MESSAGE_MAX);
    if (nng_msg_alloc(msg, len) != 0)
        return err_set(err, ERR_UNAVAILABLE, "no memory for a request of %zu bytes", len);
    modelbus__rpc__v1__request__pack(&request, nng_msg_body(*msg));
    return ERR_OK;
}

nng_msg *
rpc_reply_encode(const char *request_id, const uint8_t *body, size_t len, const struct err *err)
{
    Modelbus__Rpc__V1__Response response = MODELBUS__RPC__V1__RESPONSE__INIT;
    struct err too_large;
    nng_msg *msg;

    if (!err && len > RPC_MESSAGE_MAX - 1024) {
        err_set(&too_large, ERR_TOO_LARGE, "the reply has %zu bytes, at most %u; ask for less", len,
                RPC_MESSAGE_MAX);
        err = &too_large;
    }
    response.request_id = (char *)request_id;
    if (err) {
        response.error_code = (char *)err_name(err->code);
        response.error_message = (char *)err->message;
    } else {
        response.body = (ProtobufCBinaryData){.len = len, .data = (uint8_t *)body};
    }
    if (nng_msg_alloc(&msg, modelbus__rpc__v1__response__get_packed_size(&response)) != 0)
        return NULL;
    modelbus__rpc__v1__response__pack(&response, nng_msg_body(msg));
    return msg;
}

static bool
printable(const char *s)
{
    for (; *s; s++)
        if (*s < 0x20 || *s == 0x7f)
            return false;
    return true;
}

/* A string of the frame: present, bounded, without control characters. */
static enum err_code
bounded(const char *what, const char *text, size_t min, size_t max, struct err *err)
{
    size_t len = strlen(text);

    if (len < min || len > max || !printable(text))
        return err_set(err, ERR_INVALID, "rpc frame: %s must be %zu to %zu printable characters",
                       what, min, max);
    return ERR_OK;
}

static enum err_code
read_caller(const Modelbus__Rpc__V1__Caller *from, struct auth_caller *to, struct err *err)
{
    if (!from)
        return err_set(err, ERR_UNAUTHENTICATED, "rpc frame: no caller");
    if (bounded("subject", from->subject, 1, AUTH_SUBJECT_MAX, err) ||
        bounded("workspace", from->workspace, 1, AUTH_WORKSPACE_MAX, err) ||
        bounded("scopes", from->scopes, 0, AUTH_SCOPES_MAX, err))
        return err->code;
    memset(to, 0, sizeof(*to));
    snprintf(to->subject, sizeof(to->subject), "%s", from->subject);
    snprintf(to->workspace, sizeof(to->workspace), "%s", from->workspace);
    snprintf(to->scopes, sizeof(to->scopes), "%s", from->scopes);
    to->roles = from->roles;
    return auth_workspace_check(to->workspace, err);
}

enum err_code
rpc_frame_decode(const void *data, size_t len, const void *key, size_t key_len, int64_t now_ms,
                 struct arena *arena, struct rpc_call *call, const uint8_t **body, size_t *body_len,
                 struct err *err)
{
    struct auth_caller caller;
    struct trace trace;

    if (len > RPC_MESSAGE_MAX)
        return err_set(err, ERR_TOO_LARGE, "a request of %zu bytes, at most %u", len,
                       RPC_MESSAGE_MAX);
    Modelbus__Rpc__V1__Request *frame =
        modelbus__rpc__v1__request__unpack(arena_protobuf(arena), len, data);
    if (!frame)
        return err_set(err, ERR_INVALID, "rpc frame: not a modelbus.rpc.v1.Request");
    if (bounded("method", frame->method, 1, 100, err) ||
        bounded("request_id", frame->request_id, 1, RPC_REQUEST_ID_MAX, err) ||
        read_caller(frame->caller, &caller, err))
        return err->code;
    struct auth_signed what = {
        .method = frame->method,
        .request_id = frame->request_id,
        .issued_ms = frame->issued_ms,
        .deadline_ms = frame->deadline_ms,
        .caller = &caller,
        .body = frame->body.data,
        .body_len = frame->body.len,
    };
    if (auth_verify(&what, key, key_len, frame->mac.data, frame->mac.len, now_ms, err))
        return err->code;
    if (frame->deadline_ms < 0)
        return err_set(err, ERR_INVALID, "rpc frame: deadline_ms must not be negative");
    call->caller = caller;
    call->method = frame->method;
    call->request_id = frame->request_id;
    call->deadline_ms = frame->deadline_ms;
    call->arena = arena;
    call->db = NULL;
    if (trace_parse(frame->traceparent, &trace))
        trace_set_current(&trace);
    else
        trace_set_current(NULL);
    *body = frame->body.data;
    *body_len = frame->body.len;
    return ERR_OK;
}
