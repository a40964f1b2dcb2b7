/* SPDX-License-Identifier: Apache-2.0 */
/*
 * routes.h - the REST interface as one table.
 *
 * A row maps verb and path to a method of a service. Path parameters and the listed query
 * parameters have the names of the request's fields; the body, when there is one, is the request
 * as JSON (what the path says wins). Adding a query to REST is adding a row, and to
 * openapi_bounds.c what its service enforces on the fields of the request.
 */
#pragma once

#include "http/http.h"

#include <protobuf-c/protobuf-c.h>

enum peer {
    PEER_NONE,
    PEER_EXPERIMENT,
    PEER_REGISTRY,
    PEER_DEPLOYMENT,
    PEER_MONITORING,
    PEER_ALERT,
    PEER_PIPELINE,
    PEER_GATEWAY,
    PEER_COUNT
};

struct rest_route {
    const char *verb, *path; /* NULL ends the table */
    enum peer peer;          /* PEER_NONE with bus: path or query parameter {service} says which */
    bool bus;                /* a method of modelbus.bus.v1.Bus, which every service offers */
    const char *method;
    const char *scope;     /* "registry:read"; a route without one does not start */
    const char *doc;       /* a sentence, for the description of the interface */
    const char *operation; /* its name there; NULL: the method's */
    const char *fails;     /* statuses of errors beyond those that openapi.c derives: "409 412" */
    const char *queries;   /* space-separated names; "page" stands for page_size and page_token */
    const char *etag;      /* response field that is the ETag: "version.revision" */
    const char *match;     /* request field that If-Match fills: "expected_revision" */
    int status;            /* of success; 0: 200 */
    int64_t deadline_ms;   /* of the call; 0: 5 s. Longer for long polls. */
    http_handler handler;  /* instead of a method: answered by the gateway itself */
    http_data stream;
};
extern const struct rest_route rest_routes[];

/* Name of a peer in {service}, and its interface. */
const char *peer_name(enum peer peer);
enum peer peer_find(const char *name); /* PEER_NONE: unknown */
const ProtobufCServiceDescriptor *peer_interface(enum peer peer);
