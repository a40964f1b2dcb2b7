/* SPDX-License-Identifier: Apache-2.0 */
/* listener.c - the public port: the table made ready, and who may pass. */
#include "parts.h"

#include "crypto/crypto.h"
#include "log/log.h"
#include "modelbus/bus/v1/queries.pb-c.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct http_route public_routes[] = {
    {"GET", "/healthz", service_healthz, NULL, 0, NULL},
    {"GET", "/readyz", service_readyz, NULL, 0, NULL},
    {"GET", "/openapi.json", openapi, NULL, 0, NULL},
};

static enum err_code
check_fields(const struct rest_route *row, const ProtobufCMethodDescriptor *method, struct err *err)
{
    if (row->match && !protobuf_c_message_descriptor_get_field_by_name(method->input, row->match))
        return err_set(err, ERR_INVALID, "route %s %s: %s has no field %s", row->verb, row->path,
                       method->input->name, row->match);
    for (const char *p = strchr(row->path, '{'); p; p = strchr(p + 1, '{')) {
        char name[64] = "";
        size_t len = strcspn(p + 1, "*}");
        memcpy(name, p + 1, len < sizeof(name) ? len : sizeof(name) - 1);
        if (row->bus && strcmp(name, "service") == 0)
            continue;
        if (!protobuf_c_message_descriptor_get_field_by_name(method->input, name))
            return err_set(err, ERR_INVALID, "route %s %s: %s has no field %s", row->verb,
                           row->path, method->input->name, name);
    }
    return ERR_OK;
}

static enum err_code
compile_row(struct gateway *gateway, const struct rest_route *row, size_t i, struct err *err)
{
    struct target *target = &gateway->targets[i];
    const ProtobufCServiceDescriptor *interface =
        row->bus ? &modelbus__bus__v1__bus__descriptor : peer_interface(row->peer);

    if (!row->scope || !auth_scope_valid(row->scope))
        return err_set(err, ERR_INVALID, "route %s %s has no scope", row->verb, row->path);
    if (!row->doc)
        return err_set(err, ERR_INVALID, "route %s %s has no sentence about it", row->verb,
                       row->path);
    target->route = row;
    gateway->routes[i] = (struct http_route){.verb = row->verb,
                                             .pattern = row->path,
                                             .handler = row->handler ? row->handler : proxy,
                                             .stream = row->stream,
                                             .user = target};
    if (row->stream)
        gateway->routes[i].max_body = (uint64_t)gateway->settings->artifact_max_bytes;
    if (row->handler)
        return ERR_OK;
    target->method =
        interface ? protobuf_c_service_descriptor_get_method_by_name(interface, row->method) : NULL;
    if (!target->method)
        return err_set(err, ERR_INVALID, "route %s %s: there is no method %s", row->verb, row->path,
                       row->method);
    return check_fields(row, target->method, err);
}

enum err_code
listener_compile(struct gateway *gateway, const struct rest_route *rows, struct err *err)
{
    size_t count = 0;

    while (rows[count].verb)
        count++;
    gateway->targets = mem_calloc(count, sizeof(*gateway->targets));
    gateway->routes = mem_calloc(count + ARRAY_LEN(public_routes) + 1, sizeof(*gateway->routes));
    for (size_t i = 0; i < count; i++)
        if (compile_row(gateway, &rows[i], i, err))
            return err->code;
    memcpy(gateway->routes + count, public_routes, sizeof(public_routes));
    return ERR_OK;
}

static bool
listed(const char *list, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = list; p && *p; p += strspn(p, " ")) {
        size_t word = strcspn(p, " ");
        if (word == len && memcmp(p, name, len) == 0)
            return true;
        p += word;
    }
    return false;
}

struct query_check {
    const char *list;
    const char *unknown;
};

static void
check_query(void *arg, const char *name, const char *value)
{
    struct query_check *check = arg;
    bool page = strcmp(name, "page_size") == 0 || strcmp(name, "page_token") == 0;

    (void)value;
    if (!listed(check->list, page ? "page" : name))
        check->unknown = name;
}

static enum err_code
check_content_type(struct http_request *r, struct err *err)
{
    const char *length = http_header(r, "Content-Length");
    const char *type = http_header(r, "Content-Type");
    bool body = (length && strcmp(length, "0") != 0) || http_header(r, "Transfer-Encoding");

    if (!body || (type && strncasecmp(type, "application/json", 16) == 0 &&
                  (type[16] == '\0' || type[16] == ';' || type[16] == ' ')))
        return ERR_OK;
    http_error_status(r, 415);
    return err_set(err, ERR_INVALID, "the body must be Content-Type: application/json");
}

static void
release_exchange(void *state)
{
    struct exchange *exchange = state;

    artifact_abort(exchange->upload);
}

static enum err_code
on_headers(void *arg, struct http_request *r, struct err *err)
{
    const struct target *target = http_route_user(r);
    struct query_check check = {0};
    struct exchange *exchange;

    if (!target) /* public_routes */
        return ERR_OK;
    exchange = arena_zalloc(http_arena(r), sizeof(*exchange));
    exchange->gateway = arg;
    exchange->target = target;
    exchange->http = r;
    http_set_state(r, exchange, release_exchange);
    if (authenticate(arg, r, &exchange->caller, err) ||
        auth_require(&exchange->caller, target->route->scope, err))
        return err->code;
    check.list = target->route->queries;
    http_query_each(r, check_query, &check);
    if (check.unknown)
        return err_set(err, ERR_INVALID, "unknown query parameter '%.64s'", check.unknown);
    return target->route->stream ? ERR_OK : check_content_type(r, err);
}

static void
on_error(void *arg, struct http_request *r, const struct err *err)
{
    (void)arg;
    if (err->code == ERR_UNAVAILABLE || err->code == ERR_RATE_LIMITED)
        http_reply_header(r, "Retry-After", "1");
    http_problem(r, err);
}

enum err_code
listener_start(struct gateway *gateway, struct err *err)
{
    const struct gateway_settings *settings = gateway->settings;
    struct http_server_options options = {
        .bind = settings->bind,
        .threads = (unsigned)settings->threads,
        .max_body = (uint64_t)settings->max_body,
        .routes = gateway->routes,
        .arg = gateway,
        .on_error = on_error,
        .on_headers = on_headers,
        .tls_cert_file = settings->tls_cert,
        .tls_key_file = settings->tls_key,
    };

    if (http_server_start(&gateway->http, &options, err))
        return err->code;
    log_info("listening", LOG_STR("what", "REST"), LOG_STR("bind", settings->bind),
             LOG_INT("port", http_server_port(gateway->http)),
             LOG_BOOL("tls", settings->tls_cert != NULL));
    return ERR_OK;
}
