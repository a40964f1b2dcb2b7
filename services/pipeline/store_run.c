/* SPDX-License-Identifier: Apache-2.0 */
/* store_run.c - SQL of runs, their tasks and the attempts at them. */
#include "store.h"

#include "crypto/crypto.h"

#include <stdlib.h>
#include <string.h>

#define PB(suffix) modelbus__pipeline__v1__##suffix

/* ---- runs ---- */

enum err_code
store_add_run(const struct store *store, const struct run *run, const char *trace_id, bool *fresh,
              struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO run (workspace, id, pipeline, version, status, body, trigger, logical_ms,"
        " cause_id, depth, trace_id, traceparent, deadline_ms, created_ms, serial)"
        " VALUES ($1, $2, $3, $4, 'running', $5, $6, $7, $8, $9, $10, $11, 0, $12, $13)"
        " ON CONFLICT DO NOTHING"};
    CLEANUP(db_result_free) struct db_result *result = NULL;
    const Cause *cause = run->body->cause;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(run->id), db_text(run->pipeline),
                          db_int(run->version), db_message(store->arena, &run->body->base),
                          db_text(cause->name), db_int(cause->logical_ms), db_text(cause->id),
                          db_int(run->depth), db_text(trace_id), db_text(run->traceparent),
                          db_int(run->created_ms), db_bool(run->serial)),
                &result, err))
        return err->code;
    *fresh = db_affected(result) == 1;
    return ERR_OK;
}

enum err_code
store_lock_run(const struct store *store, const char *id, struct run **run, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT r.pipeline, r.version, r.status, r.reason, r.body, r.depth, r.traceparent,"
        " r.deadline_ms, r.created_ms, r.finished_ms, r.resumed, r.begun, v.definition, r.serial"
        " FROM run r JOIN pipeline_version v ON v.workspace = r.workspace"
        " AND v.pipeline = r.pipeline AND v.version = r.version"
        " WHERE r.workspace = $1 AND r.id = $2 FOR UPDATE OF r"};
    CLEANUP(db_result_free) struct db_result *result = NULL;
    struct arena *arena = store->arena;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(id)), &result, err))
        return err->code;
    if (db_rows(result) == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no run %s", id);
    struct run *found = arena_alloc(arena, sizeof(*found));
    *found = (struct run){
        .id = arena_strdup(arena, id),
        .workspace = store->workspace,
        .pipeline = db_copy(result, 0, 0, arena),
        .version = db_i64(result, 0, 1),
        .status = db_copy(result, 0, 2, arena),
        .reason = db_copy(result, 0, 3, arena),
        .body = db_unpack(result, 0, 4, &PB(pipeline_run__descriptor), arena, err),
        .depth = db_i64(result, 0, 5),
        .traceparent = db_copy(result, 0, 6, arena),
        .deadline_ms = db_i64(result, 0, 7),
        .created_ms = db_i64(result, 0, 8),
        .finished_ms = db_i64(result, 0, 9),
        .resumed = db_i64(result, 0, 10),
        .begun = db_boolean(result, 0, 11),
        .serial = db_boolean(result, 0, 13),
    };
    if (!found->body)
        return err->code;
    found->definition = db_unpack(result, 0, 12, &PB(definition__descriptor), arena, err);
    if (!found->definition)
        return err->code;
    *run = found;
    return ERR_OK;
}

enum err_code
store_save_run(const struct store *store, const struct run *run, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE run SET status = $2, reason = $3, finished_ms = $4, begun = $5, resumed = $6,"
        " deadline_ms = $7, serial = $8, revision = revision + 1 WHERE id = $1"};

    return db_queue(store->db, &stmt,
                    DB_PARAMS(db_text(run->id), db_text(run->status), db_text(run->reason),
                              db_int(run->finished_ms), db_bool(run->begun), db_int(run->resumed),
                              db_int(run->deadline_ms), db_bool(run->serial)),
                    err);
}

enum err_code
store_active_runs(const struct store *store, const char *pipeline, const char ***ids, size_t *count,
                  struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT id FROM run WHERE workspace = $1 AND pipeline = $2 AND finished_ms = 0"
        " ORDER BY id"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(pipeline)), &result,
                err))
        return err->code;
    *count = db_rows(result);
    *ids = arena_alloc(store->arena, *count * sizeof(**ids));
    for (size_t i = 0; i < *count; i++)
        (*ids)[i] = db_copy(result, i, 0, store->arena);
    return ERR_OK;
}

enum err_code
store_depth(const struct store *store, const char *trace_id, int64_t before_ms, int64_t *depth,
            struct err *err)
{
    static const struct db_stmt stmt = {"SELECT max(depth) + 1 FROM run WHERE trace_id = $1"
                                        " AND created_ms < $2"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(trace_id), db_int(before_ms)), &result, err))
        return err->code;
    *depth = db_i64(result, 0, 0);
    return ERR_OK;
}

/* ---- tasks ---- */

enum err_code
store_add_tasks(const struct store *store, const char *run, size_t count, struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO task (run, place) SELECT $1::uuid, n FROM generate_series(0, $2::int - 1) n"};

    return db_queue(store->db, &stmt, DB_PARAMS(db_text(run), db_int((int64_t)count)), err);
}

static size_t
count_of(const char *array)
{
    size_t n = *array && array[1] != '}';

    for (; *array; array++)
        n += *array == ',';
    return n;
}

/* "{1,2}" */
static int64_t *
read_numbers(const char *array, size_t *count, struct arena *arena)
{
    int64_t *numbers = arena_alloc(arena, count_of(array) * sizeof(*numbers));
    size_t n = 0;
    char *end;

    for (const char *p = array + 1; *p && *p != '}'; p = *end == ',' ? end + 1 : end)
        numbers[n++] = strtoll(p, &end, 10);
    *count = n;
    return numbers;
}

enum err_code
store_load_tasks(const struct store *store, const char *run, struct task_row *rows, size_t count,
                 struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT status, reason, items, next_item, succeeded, failed, active, finished_ms, redo,"
        " place FROM task WHERE run = $1"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(run)), &result, err))
        return err->code;
    if (db_rows(result) != count)
        return err_set(err, ERR_INTERNAL, "run %s has %zu tasks, not %zu", run, db_rows(result),
                       count);
    for (size_t i = 0; i < count; i++) {
        struct task_row *row = &rows[db_i64(result, i, 9)];
        *row = (struct task_row){
            .status = (enum task_status)db_i64(result, i, 0),
            .reason = db_copy(result, i, 1, store->arena),
            .items = (uint32_t)db_i64(result, i, 2),
            .next_item = (uint32_t)db_i64(result, i, 3),
            .succeeded = (uint32_t)db_i64(result, i, 4),
            .failed = (uint32_t)db_i64(result, i, 5),
            .active = (uint32_t)db_i64(result, i, 6),
            .finished_ms = db_i64(result, i, 7),
        };
        row->redo = read_numbers(db_str(result, i, 8), &row->redo_count, store->arena);
    }
    return ERR_OK;
}

enum err_code
store_save_task(const struct store *store, const char *run, size_t place,
                const struct task_row *row, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE task SET status = $3, reason = $4, items = $5, next_item = $6, succeeded = $7,"
        " failed = $8, active = $9, finished_ms = $10, redo = $11::bigint[]"
        " WHERE run = $1 AND place = $2"};

    return db_queue(store->db, &stmt,
                    DB_PARAMS(db_text(run), db_int((int64_t)place), db_int(row->status),
                              db_text(row->reason), db_int(row->items), db_int(row->next_item),
                              db_int(row->succeeded), db_int(row->failed), db_int(row->active),
                              db_int(row->finished_ms),
                              db_int_array(store->arena, row->redo, row->redo_count)),
                    err);
}

enum err_code
store_put_list(const struct store *store, const char *run, size_t place, const char *const *items,
               size_t count, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE task SET list = $3::text[] WHERE run = $1 AND place = $2"};

    return db_queue(
        store->db, &stmt,
        DB_PARAMS(db_text(run), db_int((int64_t)place), db_text_array(store->arena, items, count)),
        err);
}

enum err_code
store_get_items(const struct store *store, const char *run, size_t place, uint32_t from,
                uint32_t count, const char **items, struct err *err)
{
    static const struct db_stmt stmt = {"SELECT unnest(list[$3::int + 1:$3::int + $4::int]) FROM "
                                        "task WHERE run = $1 AND place = $2"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(run), db_int((int64_t)place), db_int(from), db_int(count)),
                &result, err))
        return err->code;
    if (db_rows(result) != count)
        return err_set(err, ERR_INTERNAL, "run %s: items %u to %u are not there", run, from,
                       from + count - 1);
    for (uint32_t i = 0; i < count; i++)
        items[i] = db_copy(result, i, 0, store->arena);
    return ERR_OK;
}

/* ---- attempts ---- */

enum err_code
store_add_attempt(const struct store *store, const struct attempt *attempt, int64_t now_ms,
                  struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO attempt (lease, workspace, run, place, index, attempt, status, spec, item,"
        " failures, losses, cpu, memory_mb, gpu, labels, due_ms, cache_key, outputs, finished_ms)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15::text[], $16,"
        " $17, $18, $19)"};
    const Resources *resources = attempt->spec->resources;
    bool cached = attempt->outputs != NULL;

    return db_queue(
        store->db, &stmt,
        DB_PARAMS(db_text(attempt->lease), db_text(store->workspace), db_text(attempt->run),
                  db_int((int64_t)attempt->place), db_int(attempt->index), db_int(attempt->attempt),
                  db_text(cached ? "cached" : "ready"),
                  db_message(store->arena, &attempt->spec->base), db_text(attempt->item),
                  db_int(attempt->failures), db_int(attempt->losses), db_double(resources->cpu),
                  db_int(resources->memory_mb), db_int(resources->gpu),
                  db_text_array(store->arena, attempt->labels, attempt->label_count),
                  db_int(attempt->due_ms),
                  attempt->cache_key ? db_bytes(attempt->cache_key, SHA256_BYTES) : db_null(),
                  db_message(store->arena, cached ? &attempt->outputs->base : NULL),
                  db_int(cached ? now_ms : 0)),
        err);
}

enum err_code
store_last_attempt(const struct store *store, const char *run, size_t place, int32_t index,
                   int64_t *attempt, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT max(attempt) FROM attempt WHERE run = $1 AND place = $2 AND index = $3"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(run), db_int((int64_t)place), db_int(index)),
                &result, err))
        return err->code;
    *attempt = db_i64(result, 0, 0);
    return ERR_OK;
}

enum err_code
store_runs_of(const struct store *store, const char *const *leases, size_t count,
              const char *const **known, const char *const **runs, size_t *known_count,
              struct err *err)
{
    static const struct db_stmt stmt = {"SELECT lease, run FROM attempt WHERE workspace = $1"
                                        " AND lease = ANY($2::text[]::uuid[]) ORDER BY run, lease"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text_array(store->arena, leases, count)),
                &result, err))
        return err->code;
    size_t n = *known_count = db_rows(result);
    const char **both = arena_alloc(store->arena, 2 * n * sizeof(*both));
    for (size_t i = 0; i < n; i++) {
        both[i] = db_copy(result, i, 0, store->arena);
        both[n + i] = db_copy(result, i, 1, store->arena);
    }
    *known = both;
    *runs = both + n;
    return ERR_OK;
}

static struct attempt *
read_attempt(const struct store *store, const struct db_result *result, size_t row, struct err *err)
{
    struct arena *arena = store->arena;
    struct attempt *found = arena_alloc(arena, sizeof(*found));

    *found = (struct attempt){
        .lease = db_copy(result, row, 0, arena),
        .run = db_copy(result, row, 1, arena),
        .place = (size_t)db_i64(result, row, 2),
        .index = (int32_t)db_i64(result, row, 3),
        .attempt = db_i64(result, row, 4),
        .status = db_copy(result, row, 5, arena),
        .item = db_copy(result, row, 6, arena),
        .failures = db_i64(result, row, 7),
        .losses = db_i64(result, row, 8),
        .due_ms = db_i64(result, row, 9),
        .started_ms = db_i64(result, row, 10),
        .leased_until_ms = db_i64(result, row, 11),
        .worker = db_copy(result, row, 12, arena),
        .instance = db_copy(result, row, 13, arena),
        .stop = db_copy(result, row, 14, arena),
        .spec = db_unpack(result, row, 15, &PB(lease__descriptor), arena, err),
    };
    if (!found->spec)
        return NULL;
    if (!db_is_null(result, row, 16)) {
        size_t len;
        db_bin(result, row, 16, arena, &found->cache_key, &len);
    }
    return found;
}

enum err_code
store_lock_attempts(const struct store *store, const char *const *leases, size_t count,
                    struct attempt *const **attempts, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT lease, run, place, index, attempt, status, item, failures, losses, due_ms,"
        " started_ms, leased_until_ms, worker, instance, stop, spec, cache_key FROM attempt"
        " WHERE workspace = $1 AND lease = ANY($2::text[]::uuid[]) ORDER BY lease FOR UPDATE"};
    CLEANUP(db_result_free) struct db_result *result = NULL;
    struct attempt **found = arena_zalloc(store->arena, count * sizeof(*found));

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text_array(store->arena, leases, count)),
                &result, err))
        return err->code;
    for (size_t row = 0; row < db_rows(result); row++) {
        struct attempt *attempt = read_attempt(store, result, row, err);
        if (!attempt)
            return err->code;
        for (size_t i = 0; i < count; i++)
            if (strcmp(leases[i], attempt->lease) == 0)
                found[i] = attempt;
    }
    for (size_t i = 0; i < count; i++)
        if (!found[i])
            return err_set(err, ERR_NOT_FOUND, "there is no lease %s", leases[i]);
    *attempts = found;
    return ERR_OK;
}

enum err_code
store_end_attempt(const struct store *store, const char *lease, const struct ending *ending,
                  int64_t now_ms, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE attempt SET status = $2, reason = $3, exit_code = $4, finished_ms = $5,"
        " outputs = $6, log_uri = $7, log_bytes = $8 WHERE lease = $1"};

    return db_queue(
        store->db, &stmt,
        DB_PARAMS(db_text(lease), db_text(ending->status), db_text(ending->reason),
                  db_int(ending->exit_code), db_int(now_ms),
                  db_message(store->arena, ending->outputs ? &ending->outputs->base : NULL),
                  db_text(ending->log_uri ? ending->log_uri : ""), db_int(ending->log_bytes)),
        err);
}

enum err_code
store_cancel_ready(const struct store *store, const char *run, int64_t now_ms, int64_t **places,
                   size_t *count, struct err *err)
{
    static const struct db_stmt stmt = {"UPDATE attempt SET status = 'cancelled', finished_ms = $2"
                                        " WHERE run = $1 AND status = 'ready' RETURNING place"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(run), db_int(now_ms)), &result, err))
        return err->code;
    *count = db_rows(result);
    *places = arena_alloc(store->arena, *count * sizeof(**places));
    for (size_t i = 0; i < *count; i++)
        (*places)[i] = db_i64(result, i, 0);
    return ERR_OK;
}

enum err_code
store_stop_running(const struct store *store, const char *run, const char *why, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE attempt SET stop = $2 WHERE run = $1 AND status = 'running'"};

    return db_queue(store->db, &stmt, DB_PARAMS(db_text(run), db_text(why)), err);
}

enum err_code
store_load_outputs(const struct store *store, const char *run, size_t place,
                   struct item_outputs **outputs, size_t *count, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT DISTINCT ON (a.index) a.index, a.outputs FROM attempt a"
        " JOIN task t ON t.run = a.run AND t.place = a.place"
        " WHERE a.run = $1 AND a.place = $2 AND a.status IN ('succeeded', 'cached')"
        " AND NOT a.stale AND a.index < t.items ORDER BY a.index, a.attempt DESC"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    /* Of what is queued in this transaction, the answer must know. */
    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(run), db_int((int64_t)place)), &result, err))
        return err->code;
    *count = db_rows(result);
    *outputs = arena_alloc(store->arena, *count * sizeof(**outputs));
    for (size_t i = 0; i < *count; i++) {
        (*outputs)[i].index = db_i64(result, i, 0);
        (*outputs)[i].outputs =
            db_unpack(result, i, 1, &PB(attempt__descriptor), store->arena, err);
        if (!(*outputs)[i].outputs)
            return err->code;
    }
    return ERR_OK;
}

enum err_code
store_failed_items(const struct store *store, const char *run, size_t place, uint32_t below,
                   int64_t **items, size_t *count, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT i FROM generate_series(0, $3::int - 1) i WHERE NOT EXISTS (SELECT 1 FROM attempt a"
        " WHERE a.run = $1 AND a.place = $2 AND a.index IN (i, -1)"
        " AND a.status IN ('succeeded', 'cached') AND NOT a.stale) ORDER BY i"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(run), db_int((int64_t)place), db_int(below)),
                &result, err))
        return err->code;
    *count = db_rows(result);
    *items = arena_alloc(store->arena, *count * sizeof(**items));
    for (size_t i = 0; i < *count; i++)
        (*items)[i] = db_i64(result, i, 0);
    return ERR_OK;
}

enum err_code
store_forget_attempts(const struct store *store, const char *run, size_t place, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE attempt SET stale = true WHERE run = $1 AND place = $2 AND NOT stale"};

    return db_queue(store->db, &stmt, DB_PARAMS(db_text(run), db_int((int64_t)place)), err);
}
