/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parts.h - how the gateway's files fit together.
 *
 * listener.c opens the public port, authenticates every request when its headers are there and
 * hands it to proxy.c (a method of a service) or to an own handler (artifacts.c). Each
 * request has a struct exchange in its arena.
 */
#pragma once

#include "artifact/artifact.h"
#include "gateway.h"
#include "routes.h"
#include "rpc/rpc.h"
#include "service.h"
#include "streams.h"
#include "tokens.h"
#include "trace/trace.h"

struct gateway_settings {
    char *admin_token;
    char *alert_url;
    int64_t artifact_max_bytes;
    char *artifact_url;
    char *auth;
    char *bind;
    char *deployment_url, *experiment_url, *monitoring_url, *pipeline_url, *registry_url;
    int64_t event_streams;
    int64_t max_body;
    int64_t threads;
    char *task_token;
    char *tls_cert, *tls_key;
    char *worker_token;
};

/* A row of the table made ready. */
struct target {
    const struct rest_route *route;
    const ProtobufCMethodDescriptor *method; /* NULL: an own handler */
};

/* A token that is a setting. caller->subject empty: it is not set. */
enum { FIXED_ADMIN, FIXED_WORKER, FIXED_TASK, FIXED_TOKENS };
struct fixed_token {
    struct auth_caller caller;
    uint8_t hash[32];
};
void fixed_token_set(struct fixed_token *fixed, int which, const char *token);

struct gateway {
    struct service *service;
    const struct gateway_settings *settings;
    bool open;                              /* AUTH=none */
    struct tokens *tokens;                  /* NULL when open */
    struct fixed_token fixed[FIXED_TOKENS]; /* of the settings */
    struct artifact_store *artifacts;
    struct rpc_client *peers[PEER_COUNT];
    struct target *targets;
    struct http_route *routes;
    struct buf openapi; /* what /openapi.json answers */
    struct streams *streams;
    struct http_server *http;
};

struct exchange {
    struct gateway *gateway;
    const struct target *target;
    struct auth_caller caller;
    char request_id[65];
    struct trace trace; /* the caller's; trace_id empty: none was given */
    struct http_request *http;
    const char *if_none_match;
    bool if_match;
    /* Dead letters of all services, one service after the other. */
    enum peer peer, last_peer;
    ProtobufCMessage *request;
    struct artifact_writer *upload;
};

/* listener.c */
MUST_CHECK enum err_code listener_start(struct gateway *gateway, struct err *err);
/* ERR_INVALID: a route without a valid scope or a sentence, of an unknown method, or naming fields
 * that are not in its messages. Fills targets and routes. */
MUST_CHECK enum err_code listener_compile(struct gateway *gateway, const struct rest_route *rows,
                                          struct err *err);
/* auth.c */
MUST_CHECK enum err_code authenticate(struct gateway *gateway, struct http_request *r,
                                      struct auth_caller *caller, struct err *err);
/* proxy.c */
void proxy(void *arg, struct http_request *r);

/* artifacts.c and own answers */
enum err_code artifact_data(void *arg, struct http_request *r, const void *data, size_t len,
                            struct err *err);
void artifact_end(void *arg, struct http_request *r);
void artifact_get(void *arg, struct http_request *r);
void event_stream(void *arg, struct http_request *r);
void whoami(void *arg, struct http_request *r);
void version(void *arg, struct http_request *r);
void openapi(void *arg, struct http_request *r); /* for anyone */

/* queries.c */
extern const struct rpc_method gateway_queries[];
extern const struct embed_file gateway_schema[];
extern const struct embed_file gateway_openapi[]; /* openapi_base.json */

/* wiring.c: service_spec's start and stop */
extern const struct config_key gateway_config[];
extern struct gateway_settings gateway_settings;
enum err_code gateway_start(struct service *service, struct err *err);
bool gateway_stop(struct service *service, int64_t deadline_ms);
