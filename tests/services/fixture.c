/* SPDX-License-Identifier: Apache-2.0 */
/* fixture.c - a service's handlers on a real database. */
#include "fixture.h"

#include "crypto/crypto.h"
#include "life/life.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct embed_file events_schema[];

#define MUST(f, call) cr_assert_eq(call, ERR_OK, "%s: %s", #call, (f)->err.message)

void
fixture_open(struct fixture *f, const struct service_spec *spec)
{
    const char *url = getenv("MODELBUS_TEST_POSTGRES_URL");
    char id[37];

    cr_assert(url, "MODELBUS_TEST_POSTGRES_URL is not set");
    *f = (struct fixture){.workspace = "default", .subject = "user:ann", .source = "/pipeline/a"};
    crypto_uuid7(id);
    snprintf(f->schema, sizeof(f->schema), "test_%s_%.8s%.4s%.4s", spec->name, id, id + 9, id + 24);
    f->spec = *spec;
    f->service.spec = &f->spec;
    f->arena = arena_new(0, 0);
    MUST(f, db_pool_open(&f->service.db, url, f->schema, 20, 10000, &f->err));
    MUST(f, db_migrate(f->service.db, "events", events_schema, &f->err));
    MUST(f, db_migrate(f->service.db, spec->name, spec->schema, &f->err));
    struct outbox_options options = {
        .db = f->service.db,
        .prefix = "modelbus",
        .service = spec->name,
        .retention_ms = 3600 * 1000,
    };
    MUST(f, outbox_open(&f->service.outbox, &options, &f->err));
}

void
fixture_close(struct fixture *f)
{
    struct db_conn *db;
    char sql[128];

    MUST(f, db_borrow(f->service.db, &db, &f->err));
    snprintf(sql, sizeof(sql), "DROP SCHEMA %s CASCADE", f->schema);
    MUST(f, db_script(db, sql, &f->err));
    db_return(db);
    outbox_free(f->service.outbox);
    db_pool_free(f->service.db);
    arena_free(f->arena);
}

static const ProtobufCMethodDescriptor *
method_types(const struct fixture *f, const char *name)
{
    const ProtobufCMethodDescriptor *method =
        protobuf_c_service_descriptor_get_method_by_name(f->spec.interface, name);

    cr_assert(method, "no method %s", name);
    return method;
}

/* What an error is before a handler sets it: who passes it on unset is found out, as in a dispatcher. */
static const struct err unset = {.code = ERR_INTERNAL, .message = "nobody has set this"};

/* A handler that fails must say so in err as well, or its caller is told nothing. */
static void
check_said(const char *name, enum err_code code, struct err *err)
{
    bool said = strcmp(err->message, unset.message) != 0;

    cr_assert_eq(code, said ? err->code : ERR_OK, "%s returned %s and said %s", name,
                 err_name(code), said ? err_name(err->code) : "nothing");
    if (!said)
        *err = (struct err){0};
}

enum err_code
fixture_call_in(struct fixture *f, struct arena *arena, const char *name, const void *request,
                void *reply, struct err *err)
{
    const struct rpc_method *method = f->spec.methods;
    const ProtobufCMethodDescriptor *types = method_types(f, name);
    struct rpc_call call = {.method = name, .request_id = "test", .arena = arena};

    while (method->name && strcmp(method->name, name) != 0)
        method++;
    cr_assert(method->name, "no handler for %s", name);
    cr_assert_eq(((const ProtobufCMessage *)request)->descriptor, types->input);
    snprintf(call.caller.subject, sizeof(call.caller.subject), "%s", f->subject);
    snprintf(call.caller.workspace, sizeof(call.caller.workspace), "%s", f->workspace);
    protobuf_c_message_init(types->output, reply);
    *err = (struct err){0};
    if (db_borrow(f->service.db, &call.db, err))
        return err->code;
    *err = unset;
    enum err_code code = method->command ? db_begin(call.db, err) : ERR_OK;
    if (!code)
        code = method->handler(&f->service, request, reply, &call, err);
    if (!code && method->command)
        code = db_commit(call.db, err);
    if (code && method->command)
        db_rollback(call.db);
    db_return(call.db);
    check_said(name, code, err);
    return code;
}

enum err_code
fixture_call(struct fixture *f, const char *method, const void *request, void *reply)
{
    return fixture_call_in(f, f->arena, method, request, reply, &f->err);
}

enum err_code
fixture_hear(struct fixture *f, const char *event_id, const void *event)
{
    const ProtobufCMessageDescriptor *type = ((const ProtobufCMessage *)event)->descriptor;
    const struct event_subscription *row = f->spec.subscriptions;
    struct event_envelope envelope = {.time_ms = life_now_ms()};
    struct event_context context = {
        .envelope = &envelope, .workspace = f->workspace, .outbox = f->service.outbox};

    while (row->type && row->type != type)
        row++;
    cr_assert(row->type, "no handler for %s", type->name);
    snprintf(envelope.id, sizeof(envelope.id), "%s", event_id);
    snprintf(envelope.source, sizeof(envelope.source), "%s", f->source);
    snprintf(envelope.traceparent, sizeof(envelope.traceparent), "%s",
             f->traceparent ? f->traceparent : "");
    snprintf(envelope.type, sizeof(envelope.type), "%s", type->name);
    snprintf(envelope.workspace, sizeof(envelope.workspace), "%s", f->workspace);
    context.arena = arena_new(0, 0);
    f->err = (struct err){0};
    MUST(f, db_borrow(f->service.db, &context.db, &f->err));
    MUST(f, db_begin(context.db, &f->err));
    f->err = unset;
    enum err_code code = row->handler(&f->service, event, &context, &f->err);
    if (!code)
        code = db_commit(context.db, &f->err);
    else
        db_rollback(context.db);
    db_return(context.db);
    arena_free(context.arena);
    if (code)
        check_said(type->name, code, &f->err);
    else
        f->err = (struct err){0}; /* of something that it could do without */
    return code;
}

static struct db_result *
query(struct fixture *f, const struct db_stmt *stmt, const struct db_param *params, size_t count)
{
    struct db_result *result = NULL;
    struct db_conn *db;

    MUST(f, db_borrow(f->service.db, &db, &f->err));
    MUST(f, db_exec(db, stmt, params, count, &result, &f->err));
    db_return(db);
    return result;
}

int64_t
fixture_said(struct fixture *f, const char *type)
{
    static const struct db_stmt stmt = {
        "SELECT count(*) FROM outbox WHERE position(convert_to('.' || $1::text, 'UTF8')"
        " IN headers) > 0"};
    struct db_result *result = query(f, &stmt, DB_PARAMS(db_text(type)));
    int64_t count = db_i64(result, 0, 0);

    db_result_free(result);
    return count;
}

void *
fixture_last(struct fixture *f, const ProtobufCMessageDescriptor *type)
{
    static const struct db_stmt stmt = {
        "SELECT value FROM outbox WHERE position(convert_to($1::text, 'UTF8') IN headers) > 0"
        " ORDER BY id DESC LIMIT 1"};
    struct db_result *result = query(f, &stmt, DB_PARAMS(db_text(type->name)));
    const uint8_t *bytes;
    size_t len;

    cr_assert(db_rows(result) == 1, "no %s was said", type->name);
    db_bin(result, 0, 0, f->arena, &bytes, &len);
    void *event = ARENA_UNPACK(f->arena, type, len, bytes);
    cr_assert(event);
    db_result_free(result);
    return event;
}

int64_t
fixture_number(struct fixture *f, const struct db_stmt *stmt)
{
    struct db_result *result = query(f, stmt, DB_NO_PARAMS);
    int64_t number = db_i64(result, 0, 0);

    db_result_free(result);
    return number;
}
