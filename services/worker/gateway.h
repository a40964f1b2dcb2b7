/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gateway.h - what a worker asks of the platform, over REST: one function a request.
 *
 * Blocking; any thread (connections are kept per thread, http/http.h). give_up: asked about once a second
 * while a request is under way; when it is true the call ends with ERR_CANCELLED. May be NULL.
 *
 * Errors: ERR_UNAVAILABLE when no answer came, else by the answer's status, with what the
 * gateway says; gateway_retriable() tells what may pass by itself. Messages live in the arena.
 */
#pragma once

#include "arena/arena.h"
#include "artifact/artifact.h"
#include "err/err.h"

#include "modelbus/pipeline/v1/queries.pb-c.h"

typedef Modelbus__Pipeline__V1__Lease Lease;
typedef Modelbus__Pipeline__V1__PollTasksRequest PollTasksRequest;
typedef Modelbus__Pipeline__V1__PollTasksResponse PollTasksResponse;
typedef Modelbus__Pipeline__V1__TaskEnding TaskEnding;
typedef Modelbus__Pipeline__V1__FinishTasksRequest FinishTasksRequest;
typedef Modelbus__Pipeline__V1__FinishTasksResponse FinishTasksResponse;
typedef Modelbus__Pipeline__V1__Output Output;

/* At most as many leases as a worker may hold, each with its environment. */
#define GATEWAY_ANSWER_MAX (32u << 20)
#define GATEWAY_ANSWER_ARENA (4 * (size_t)GATEWAY_ANSWER_MAX) /* that an answer may need */

struct gateway;
/* url: "http://host:port"; token: NULL or empty for none. Copied. ERR_INVALID. */
MUST_CHECK enum err_code gateway_open(struct gateway **gateway, const char *url, const char *token,
                                      const char *worker, struct err *err);
void gateway_free(struct gateway *gateway);
CLEANUP_DEFINE(struct gateway, gateway_free)

/* Whether the same request may succeed later: also when the token is refused, which is mended at the gateway. */
bool gateway_retriable(enum err_code code);

MUST_CHECK enum err_code gateway_poll(struct gateway *gateway, const PollTasksRequest *request,
                                      const _Atomic bool *give_up, struct arena *arena,
                                      PollTasksResponse **response, struct err *err);
MUST_CHECK enum err_code gateway_finish(struct gateway *gateway, const FinishTasksRequest *request,
                                        const _Atomic bool *give_up, struct arena *arena,
                                        FinishTasksResponse **response, struct err *err);
MUST_CHECK enum err_code gateway_write_log(struct gateway *gateway, const char *lease,
                                           uint64_t offset, const void *data, size_t len,
                                           const _Atomic bool *give_up, struct err *err);

/* The file's content becomes an artifact. */
MUST_CHECK enum err_code gateway_upload(struct gateway *gateway, const char *path, uint64_t bytes,
                                        const _Atomic bool *give_up, char uri[ARTIFACT_URI_LEN + 1],
                                        struct err *err);
/* Into path; the digest is the caller's to check. */
MUST_CHECK enum err_code gateway_download(struct gateway *gateway, const char *uri,
                                          const char *path, const _Atomic bool *give_up,
                                          struct err *err);
