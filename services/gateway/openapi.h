/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openapi.h - the REST interface as an OpenAPI 3.1 document, made from the route table and the
 * descriptors of the messages behind it.
 *
 * Served at /openapi.json, printed by `modelbus-gateway --openapi`, committed as
 * docs/openapi.json. Replies are described as pbjson writes them, requests as it reads them
 * (numbers as strings too, null for "left out"), with the bounds of openapi_bounds.c.
 * tests/e2e/test_openapi.py proves that what is described is what happens.
 */
#pragma once

#include "buf/buf.h"
#include "routes.h"

#include <jansson.h>

/* Append the document. */
void openapi_write(const struct rest_route *rows, struct buf *out);

/* What a service enforces on a field of a request beyond its type. */
struct openapi_bound {
    const char *field;   /* fnmatch(3) over "<message's full name>.<field>"; NULL ends the table */
    const char *pattern; /* ECMA 262; of a repeated field: of its items */
    int max_length;      /* UTF-8 bytes */
    int max_items;
    bool unique; /* items */
    bool required, positive, not_negative;
    int64_t max;
    const char *without; /* enum value that is refused */
    const char *format;
};
/* The first row that fits, or NULL. openapi_bounds.c */
const struct openapi_bound *openapi_bound(const ProtobufCMessageDescriptor *message,
                                          const ProtobufCFieldDescriptor *field);

/* openapi_schema.c: schemas as OpenAPI wants them; new references. Messages are added to
 * *schemas (components/schemas) once and referred to. */
json_t *openapi_reply(json_t *schemas, const ProtobufCMessageDescriptor *type);
/* The body of a request; NULL when no field is left. skip: fields that come another way. */
json_t *openapi_body(json_t *schemas, const ProtobufCMessageDescriptor *type,
                     bool (*skip)(void *arg, const char *field), void *arg, bool *required);
/* A field as a path or query parameter. */
json_t *openapi_param(const ProtobufCMessageDescriptor *type,
                      const ProtobufCFieldDescriptor *field);
