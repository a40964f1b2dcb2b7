/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway.h - what the gateway decides, on plain values: who calls, ETags, request ids,
 * which route tables are sound. No SQL, no sockets.
 */
#pragma once

#include "auth/auth.h"
#include "buf/buf.h"

#include <protobuf-c/protobuf-c.h>

/* "127.0.0.1:80", "[::1]:80", "localhost:80". */
bool gateway_bind_is_loopback(const char *bind);

/* The token of an Authorization header; NULL unless it is "Bearer …". */
const char *gateway_bearer(const char *authorization);

/* Who wants another workspace must be admin. wanted NULL or empty: nothing changes. */
MUST_CHECK enum err_code gateway_choose_workspace(struct auth_caller *caller, const char *wanted,
                                                  struct err *err);

/* The rpc request id of a command. key: 1 … 128 printable ASCII characters, ERR_INVALID
 * otherwise. The id is a digest over the caller, the method and the key, so that two callers who
 * choose the same key do not get each other's answers. */
MUST_CHECK enum err_code gateway_request_id(const struct auth_caller *caller, const char *method,
                                            const char *key, char id[65], struct err *err);

/* `"12"` or 12 → 12; ERR_INVALID for anything else ("*", weak tags, lists). */
MUST_CHECK enum err_code gateway_if_match(const char *header, int64_t *revision, struct err *err);
/* Is etag (with its quotes) among the header's tags, or the header "*"? (RFC 9110, 13.1.2) */
bool gateway_if_none_match(const char *header, const char *etag);
/* `"<n>"` of the int64 field at a dotted path ("version.revision"); false: not there or 0. */
bool gateway_etag(const ProtobufCMessage *message, const char *path, char etag[32]);
