/* SPDX-License-Identifier: Apache-2.0 */
/* openapi.c - the route table as an OpenAPI document: operations, parameters, answers. */
#include "openapi.h"

#include "parts.h"

#include "modelbus/bus/v1/queries.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The routes that the gateway answers itself. reply NULL: bytes. */
static const struct {
    http_handler handler;
    const char *reply;
} own[] = {{whoami, "Caller"}, {version, "Version"}, {artifact_end, "StoredArtifact"}};

static const struct {
    int status;
    const char *text;
} problems[] = {
    {400, "The request is malformed, or a value is out of its bounds."},
    {401, "No token, or one that is unknown, revoked or expired."},
    {403, "The token lacks the scope, or may not choose the workspace."},
    {404, "There is no such thing."},
    {409, "It exists already, or is not at the expected revision."},
    {412, "The state does not allow it, or If-Match lost."},
    {413, "Larger than is taken."},
    {415, "The body is not application/json."},
    {429, "Too many at a time."},
    {500, "A fault of ours."},
    {501, "This gateway has no artifact store."},
    {503, "A part is away or full; try again."},
    {504, "The answer did not come in time."},
};

/* Of a route, while it is described. */
struct row {
    const struct rest_route *route;
    const ProtobufCMethodDescriptor *method; /* NULL: own handler */
};

static void
set(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) != 0)
        abort(); /* out of memory */
}

static json_t *
ref(const char *kind, const char *name)
{
    char text[160];

    snprintf(text, sizeof(text), "#/components/%s/%s", kind, name);
    return json_pack("{s:s}", "$ref", text);
}

static bool
in_path(const char *path, const char *name)
{
    char braced[80];

    snprintf(braced, sizeof(braced), "{%s}", name);
    return strstr(path, braced) != NULL;
}

/* Fields of the request that do not come in the body. */
static bool
not_in_body(void *arg, const char *field)
{
    return in_path(((const struct row *)arg)->route->path, field);
}

static void
add_param(json_t *list, const char *name, bool path, json_t *schema)
{
    json_t *param =
        json_pack("{s:s,s:s,s:o}", "name", name, "in", path ? "path" : "query", "schema", schema);
    if (path)
        set(param, "required", json_true());
    json_array_append_new(list, param);
}

static json_t *
service_names(void)
{
    json_t *names = json_array();

    for (int i = 1; i < PEER_COUNT; i++)
        json_array_append_new(names, json_string(peer_name((enum peer)i)));
    return json_pack("{s:s,s:o}", "type", "string", "enum", names);
}

static void
add_named(json_t *list, const struct row *row, const char *name, bool path)
{
    json_t *schema;

    if (row->route->bus && strcmp(name, "service") == 0)
        schema = service_names();
    else if (row->method)
        schema = openapi_param(row->method->input, protobuf_c_message_descriptor_get_field_by_name(
                                                       row->method->input, name));
    else if (row->route->handler == event_stream)
        schema = json_pack("{s:s}", "type", "string");
    else
        schema = json_pack("{s:s,s:s}", "type", "string", "pattern", "^sha256:[0-9a-f]{64}$");
    if (path && !json_object_get(schema, "pattern") && !json_object_get(schema, "enum") &&
        strcmp(json_string_value(json_object_get(schema, "type")), "string") == 0)
        set(schema, "minLength", json_integer(1));
    add_param(list, name, path, schema);
}

static void
add_page(json_t *list, const struct row *row)
{
    const ProtobufCMessageDescriptor *page =
        protobuf_c_message_descriptor_get_field_by_name(row->method->input, "page")->descriptor;

    for (unsigned i = 0; i < page->n_fields; i++)
        add_param(list, page->fields[i].name, false, openapi_param(page, &page->fields[i]));
}

static json_t *
parameters(const struct row *row)
{
    const struct rest_route *route = row->route;
    bool get = strcmp(route->verb, "GET") == 0;
    json_t *list = json_array();
    char name[64];

    for (const char *p = strchr(route->path, '{'); p; p = strchr(p + 1, '{')) {
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(p + 1, "*}"), p + 1);
        add_named(list, row, name, true);
    }
    for (const char *p = route->queries; p && *p; p += strspn(p, " ")) {
        size_t len = strcspn(p, " ");
        snprintf(name, sizeof(name), "%.*s", (int)len, p);
        if (strcmp(name, "page") == 0)
            add_page(list, row);
        else
            add_named(list, row, name, false);
        p += len;
    }
    json_array_append_new(list, ref("parameters", "Workspace"));
    if (!get && row->method)
        json_array_append_new(list, ref("parameters", "IdempotencyKey"));
    if (route->match)
        json_array_append_new(list, ref("parameters", "IfMatch"));
    if (get && route->etag)
        json_array_append_new(list, ref("parameters", "IfNoneMatch"));
    return list;
}

static json_t *
content(const char *type, json_t *schema)
{
    return json_pack("{s:{s:o}}", type, "schema", schema);
}

/* NULL: none. */
static json_t *
body(const struct row *row, json_t *schemas)
{
    const char *verb = row->route->verb;
    bool required = false;
    json_t *schema;

    if (row->route->stream)
        return json_pack("{s:b,s:o}", "required", 0, "content",
                         content("application/octet-stream", json_object()));
    if (!row->method || strcmp(verb, "GET") == 0 || strcmp(verb, "DELETE") == 0)
        return NULL;
    schema = openapi_body(schemas, row->method->input, not_in_body, (void *)row, &required);
    if (!schema)
        return NULL;
    return json_pack("{s:b,s:o}", "required", required, "content",
                     content("application/json", schema));
}

static json_t *
reply(const struct row *row, json_t *schemas)
{
    if (row->method)
        return content("application/json", openapi_reply(schemas, row->method->output));
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (own[i].handler == row->route->handler)
            return content("application/json", ref("schemas", own[i].reply));
    if (row->route->handler == event_stream)
        return content("text/event-stream", json_pack("{s:s}", "type", "string"));
    return content("application/octet-stream", json_object());
}

static bool
can_fail(const struct row *row, int status, bool has_body)
{
    const struct rest_route *route = row->route;
    char text[12];

    snprintf(text, sizeof(text), "%d", status);
    if (route->fails && strstr(route->fails, text))
        return true;
    switch (status) {
    case 400:
    case 401:
    case 403:
    case 500:
    case 503:
        return true;
    case 404:
        return strchr(route->path, '{') != NULL;
    case 409:
        return route->match && has_body;
    case 412:
        return route->match != NULL;
    case 413:
        return has_body;
    case 415:
        return has_body && !route->stream;
    case 504:
        return row->method != NULL;
    default:
        return false;
    }
}

static json_t *
responses(const struct row *row, json_t *schemas, bool has_body)
{
    const struct rest_route *route = row->route;
    json_t *all = json_object(), *headers = json_object();
    json_t *good = json_pack("{s:s,s:o}", "description", "Done.", "content", reply(row, schemas));
    char status[24];

    if (row->method)
        set(headers, "X-Request-Id", ref("headers", "RequestId"));
    if (route->etag || route->handler == artifact_get)
        set(headers, "ETag", ref("headers", "ETag"));
    set(good, "headers", headers);
    snprintf(status, sizeof(status), "%d",
             route->status   ? route->status
             : route->stream ? 201
                             : 200);
    set(all, status, good);
    if (route->etag && strcmp(route->verb, "GET") == 0)
        set(all, "304", json_pack("{s:s}", "description", "It is still that of If-None-Match."));
    for (size_t i = 0; i < ARRAY_LEN(problems); i++) {
        if (!can_fail(row, problems[i].status, has_body))
            continue;
        char name[24];
        snprintf(status, sizeof(status), "%d", problems[i].status);
        snprintf(name, sizeof(name), "Problem%d", problems[i].status);
        set(all, status, ref("responses", name));
    }
    return all;
}

static json_t *
operation(const struct row *row, json_t *schemas)
{
    const struct rest_route *route = row->route;
    const char *tag = route->bus ? "bus" : route->peer ? peer_name(route->peer) : "gateway";
    json_t *request = body(row, schemas);
    json_t *o =
        json_pack("{s:s,s:s,s:[s],s:[{s:[s]}],s:o}", "operationId",
                  route->operation ? route->operation : route->method, "summary", route->doc,
                  "tags", tag, "security", "bearer", route->scope, "parameters", parameters(row));
    if (request)
        set(o, "requestBody", request);
    set(o, "responses", responses(row, schemas, request != NULL));
    return o;
}

static void
add_operation(json_t *paths, const struct rest_route *route, json_t *schemas)
{
    const ProtobufCServiceDescriptor *interface = route->bus ? &modelbus__bus__v1__bus__descriptor
                                                  : route->peer ? peer_interface(route->peer)
                                                                : NULL;
    const struct row row = {
        route, interface && route->method
                   ? protobuf_c_service_descriptor_get_method_by_name(interface, route->method)
                   : NULL};
    char verb[8];
    size_t n = 0;

    for (const char *p = route->verb; *p && n < sizeof(verb) - 1; p++)
        verb[n++] = (char)(*p | 0x20);
    verb[n] = '\0';
    json_t *path = json_object_get(paths, route->path);
    if (!path) {
        path = json_object();
        set(paths, route->path, path);
    }
    set(path, verb, operation(&row, schemas));
}

static void
add_problems(json_t *components)
{
    json_t *into = json_object_get(components, "responses");
    json_t *problem = json_object_get(json_object_get(components, "schemas"), "Problem");
    json_t *codes =
        json_object_get(json_object_get(json_object_get(problem, "properties"), "code"), "enum");

    for (int i = 1; i < ERR_CODE_COUNT; i++)
        json_array_append_new(codes, json_string(err_name((enum err_code)i)));
    for (size_t i = 0; i < ARRAY_LEN(problems); i++) {
        char name[24];
        snprintf(name, sizeof(name), "Problem%d", problems[i].status);
        set(into, name,
            json_pack("{s:s,s:o}", "description", problems[i].text, "content",
                      content("application/problem+json", ref("schemas", "Problem"))));
    }
}

void
openapi_write(const struct rest_route *rows, struct buf *out)
{
    json_t *document = json_loads(gateway_openapi[0].text, JSON_REJECT_DUPLICATES, NULL);
    json_t *components = json_object_get(document, "components");
    json_t *schemas = json_object_get(components, "schemas");

    set(json_object_get(document, "info"), "version", json_string(MODELBUS_VERSION));
    add_problems(components);
    for (; rows->verb; rows++)
        add_operation(json_object_get(document, "paths"), rows, schemas);
    char *text = json_dumps(document, JSON_INDENT(2));
    if (!text)
        abort(); /* out of memory, or openapi_base.json is no JSON */
    buf_printf(out, "%s\n", text);
    free(text);
    json_decref(document);
}
