/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - the table of methods and one method's run: decode, check, handle, encode. */
#include "internal.h"

#include "life/life.h"
#include "log/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_ATTEMPTS 3
#define WAIT_MARGIN_MS 500 /* for the answer to arrive in time */

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const struct rpc_entry *)a)->row->name,
                  ((const struct rpc_entry *)b)->row->name);
}

static struct rpc_entry *
find(const struct rpc_table *table, const char *name)
{
    struct rpc_method row = {.name = name};
    struct rpc_entry key = {.row = &row};

    return bsearch(&key, table->entries, table->count, sizeof(key), by_name);
}

static enum err_code
add_row(struct rpc_table *table, const struct rpc_interface *interface,
        const struct rpc_method *row, struct err *err)
{
    const ProtobufCMethodDescriptor *types =
        protobuf_c_service_descriptor_get_method_by_name(interface->descriptor, row->name);

    if (!types)
        return err_set(err, ERR_INTERNAL, "method %s: not in service %s", row->name,
                       interface->descriptor->name);
    if (!row->handler || !row->scope || !auth_scope_valid(row->scope) || row->deadline_ms <= 0)
        return err_set(err, ERR_INTERNAL, "method %s: needs a handler, a scope and a deadline",
                       row->name);
    if (row->command && !table->db)
        return err_set(err, ERR_INTERNAL, "method %s: a command needs a database", row->name);
    for (size_t i = 0; i < table->count; i++)
        if (strcmp(table->entries[i].row->name, row->name) == 0)
            return err_set(err, ERR_INTERNAL, "method %s: twice", row->name);
    table->entries = mem_realloc(table->entries, (table->count + 1) * sizeof(table->entries[0]));
    table->entries[table->count++] = (struct rpc_entry){
        .row = row,
        .types = types,
        .arg = interface->arg,
        .ok = metrics_counter("modelbus_rpc_requests_total", "Queries and commands.", "method",
                              row->name, "code", "OK", NULL),
        .seconds = metrics_histogram("modelbus_rpc_seconds", "Time of a query or command.",
                                     metrics_latency_bounds, metrics_latency_bound_count, "method",
                                     row->name, NULL),
    };
    return ERR_OK;
}

enum err_code
rpc_table_build(struct rpc_table *table, const struct rpc_interface *interfaces, struct db_pool *db,
                struct err *err)
{
    table->db = db;
    for (; interfaces->descriptor; interfaces++) {
        size_t before = table->count;
        for (const struct rpc_method *row = interfaces->methods; row->name; row++)
            if (add_row(table, interfaces, row, err))
                return err->code;
        if (table->count - before != interfaces->descriptor->n_methods)
            return err_set(err, ERR_INTERNAL, "service %s: %zu rows for %u methods",
                           interfaces->descriptor->name, table->count - before,
                           interfaces->descriptor->n_methods);
    }
    qsort(table->entries, table->count, sizeof(table->entries[0]), by_name);
    return ERR_OK;
}

void
rpc_wait(struct rpc_call *call, const char *topic, int64_t until_ms)
{
    if (!call->wait)
        return;
    snprintf(call->wait->topic, sizeof(call->wait->topic), "%s", topic);
    call->wait->until_ms = until_ms < call->deadline_ms - WAIT_MARGIN_MS
                               ? until_ms
                               : call->deadline_ms - WAIT_MARGIN_MS;
}

struct run {
    const struct rpc_entry *entry;
    struct rpc_call *call;
    const ProtobufCMessage *request;
    const uint8_t *body;
    size_t body_len;
    const uint8_t *reply;
    size_t reply_len;
};

static enum err_code
handle(struct run *run, struct err *err)
{
    const ProtobufCMessageDescriptor *type = run->entry->types->output;
    ProtobufCMessage *response = arena_alloc(run->call->arena, type->sizeof_message);

    protobuf_c_message_init(type, response);
    enum err_code code =
        run->entry->row->handler(run->entry->arg, run->request, response, run->call, err);
    if (code)
        return code;
    run->reply_len = protobuf_c_message_get_packed_size(response);
    uint8_t *reply = arena_alloc(run->call->arena, run->reply_len);
    protobuf_c_message_pack(response, reply);
    run->reply = reply;
    return ERR_OK;
}

/* The reply that this request id got before; *found false: the row has just been pruned. */
static enum err_code
stored_reply(struct run *run, const uint8_t sha256[SHA256_BYTES], bool *found, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT method, body_sha256, reply FROM rpc_request"
        " WHERE workspace = $1 AND subject = $2 AND request_id = $3"};
    CLEANUP(db_result_free) struct db_result *result = NULL;
    const struct auth_caller *caller = &run->call->caller;
    const uint8_t *digest;
    size_t len;

    if (db_exec(run->call->db, &stmt,
                DB_PARAMS(db_text(caller->workspace), db_text(caller->subject),
                          db_text(run->call->request_id)),
                &result, err))
        return err->code;
    *found = db_rows(result) == 1;
    if (!*found)
        return ERR_OK;
    db_bin(result, 0, 1, run->call->arena, &digest, &len);
    if (strcmp(db_str(result, 0, 0), run->entry->row->name) != 0 || len != SHA256_BYTES ||
        memcmp(digest, sha256, SHA256_BYTES) != 0)
        return err_set(err, ERR_INVALID,
                       "request id '%s' was used for something else; a new request needs a new id",
                       run->call->request_id);
    db_bin(result, 0, 2, run->call->arena, &run->reply, &run->reply_len);
    return ERR_OK;
}

/* One attempt in one transaction: claim the id, handle, keep the reply, commit. */
static enum err_code
attempt(struct run *run, const uint8_t sha256[SHA256_BYTES], bool *again, struct err *err)
{
    static const struct db_stmt claim = {
        "INSERT INTO rpc_request (workspace, subject, request_id, method, body_sha256)"
        " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"};
    static const struct db_stmt keep = {
        "UPDATE rpc_request SET reply = $4 WHERE workspace = $1 AND subject = $2"
        " AND request_id = $3"};
    CLEANUP(db_result_free) struct db_result *result = NULL;
    const struct auth_caller *caller = &run->call->caller;
    struct db_conn *db = run->call->db;
    bool found = false;

    if (db_begin(db, err) ||
        db_exec(db, &claim,
                DB_PARAMS(db_text(caller->workspace), db_text(caller->subject),
                          db_text(run->call->request_id), db_text(run->entry->row->name),
                          db_bytes(sha256, SHA256_BYTES)),
                &result, err))
        return err->code;
    if (db_affected(result) == 0) {
        if (stored_reply(run, sha256, &found, err))
            return err->code;
        *again = !found;
        return found ? ERR_OK : err_set(err, ERR_CONFLICT, "request id was being forgotten");
    }
    if (handle(run, err) ||
        db_queue(db, &keep,
                 DB_PARAMS(db_text(caller->workspace), db_text(caller->subject),
                           db_text(run->call->request_id), db_bytes(run->reply, run->reply_len)),
                 err))
        return err->code;
    return db_commit(db, err);
}

static enum err_code
command(struct run *run, struct err *err)
{
    uint8_t sha256[SHA256_BYTES];

    crypto_sha256(run->body, run->body_len, sha256);
    for (int i = 1;; i++) {
        bool again = false;
        enum err_code code = attempt(run, sha256, &again, err);
        if (code == ERR_CONFLICT && !again)
            again = db_retry_advised(run->call->db);
        db_rollback(run->call->db);
        if (!code || !again || i == COMMAND_ATTEMPTS ||
            life_monotonic_ms() > run->call->deadline_ms)
            return code;
    }
}

static enum err_code
run_entry(const struct rpc_table *table, struct run *run, struct err *err)
{
    CLEANUP(db_return) struct db_conn *db = NULL;
    struct rpc_call *call = run->call;
    int64_t now = life_monotonic_ms();
    int64_t limit = now + run->entry->row->deadline_ms;

    if (call->deadline_ms == 0 || call->deadline_ms > limit)
        call->deadline_ms = limit;

    if (auth_require(&call->caller, run->entry->row->scope, err))
        return err->code;
    if (call->deadline_ms <= now)
        return err_set(err, ERR_DEADLINE, "the time for %s was used up before it began",
                       call->method);
    run->request = protobuf_c_message_unpack(run->entry->types->input, arena_protobuf(call->arena),
                                             run->body_len, run->body);
    if (!run->request)
        return err_set(err, ERR_INVALID, "%s: the body is not a %s", call->method,
                       run->entry->types->input->name);
    if (table->db && db_borrow(table->db, &db, err))
        return err->code;
    call->db = db;
    enum err_code code = run->entry->row->command ? command(run, err) : handle(run, err);
    call->db = NULL;
    return code;
}

enum err_code
rpc_run(const struct rpc_table *table, struct rpc_call *call, const uint8_t *body, size_t body_len,
        const uint8_t **reply, size_t *reply_len, struct err *err)
{
    const struct rpc_entry *entry = find(table, call->method);
    struct run run = {.entry = entry, .call = call, .body = body, .body_len = body_len};
    int64_t began = life_monotonic_us();

    if (!entry)
        return err_set(err, ERR_NOT_FOUND, "no method '%s'; ListMethods shows what there is",
                       call->method);
    enum err_code code = run_entry(table, &run, err);
    metric_observe(entry->seconds, (double)(life_monotonic_us() - began) / 1e6);
    if (code) {
        metric_add(metrics_counter("modelbus_rpc_requests_total", "Queries and commands.", "method",
                                   entry->row->name, "code", err_name(code), NULL),
                   1);
        if (code == ERR_INTERNAL)
            log_error("query failed", LOG_STR("method", call->method), LOG_ERR(err));
        else
            log_debug("query refused", LOG_STR("method", call->method), LOG_ERR(err));
        return code;
    }
    metric_add(entry->ok, 1);
    *reply = run.reply;
    *reply_len = run.reply_len;
    return ERR_OK;
}
