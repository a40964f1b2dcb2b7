/* SPDX-License-Identifier: Apache-2.0 */
/* store_work.c - SQL of workers, what they hold, logs and the cache of outputs. */
#include "store.h"

#include "crypto/crypto.h"

#define PB(suffix) modelbus__pipeline__v1__##suffix

/* ---- workers ---- */

enum err_code
store_lock_worker(const struct store *store, const char *name, struct worker_row *row,
                  struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT instance, replaced, since_ms, seen_ms, drain, stopping, body FROM worker"
        " WHERE workspace = $1 AND name = $2 FOR UPDATE"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    *row = (struct worker_row){.instance = "", .replaced = ""};
    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(name)), &result,
                err))
        return err->code;
    if (db_rows(result) == 0)
        return ERR_OK;
    *row = (struct worker_row){
        .instance = db_copy(result, 0, 0, store->arena),
        .replaced = db_copy(result, 0, 1, store->arena),
        .since_ms = db_i64(result, 0, 2),
        .seen_ms = db_i64(result, 0, 3),
        .drain = db_boolean(result, 0, 4),
        .stopping = db_boolean(result, 0, 5),
        .body = db_unpack(result, 0, 6, &PB(worker__descriptor), store->arena, err),
        .known = true,
    };
    return row->body ? ERR_OK : err->code;
}

enum err_code
store_put_worker(const struct store *store, const struct worker_row *row, struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO worker (workspace, name, instance, replaced, since_ms, body, stopping,"
        " seen_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
        " ON CONFLICT (workspace, name) DO UPDATE SET instance = excluded.instance,"
        " replaced = excluded.replaced, since_ms = excluded.since_ms, body = excluded.body,"
        " stopping = excluded.stopping, seen_ms = excluded.seen_ms"};

    return db_queue(store->db, &stmt,
                    DB_PARAMS(db_text(store->workspace), db_text(row->body->worker),
                              db_text(row->instance), db_text(row->replaced), db_int(row->since_ms),
                              db_message(store->arena, &row->body->base), db_bool(row->stopping),
                              db_int(row->seen_ms)),
                    err);
}

enum err_code
store_drain_worker(const struct store *store, const char *name, bool drain, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE worker SET drain = $3 WHERE workspace = $1 AND name = $2"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(name), db_bool(drain)), &result, err))
        return err->code;
    if (db_affected(result) != 1)
        return err_set(err, ERR_NOT_FOUND, "there is no worker '%s'", name);
    return ERR_OK;
}

enum err_code
store_list_workers(const struct store *store, const char *after, int64_t limit, Worker ***workers,
                   size_t *count, bool *more, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT w.body, w.drain OR w.stopping, w.seen_ms, (SELECT count(*) FROM attempt a"
        " WHERE a.workspace = w.workspace AND a.worker = w.name AND a.status = 'running')"
        " FROM worker w WHERE workspace = $1 AND name > $2 ORDER BY name LIMIT $3 + 1"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(after), db_int(limit)), &result, err))
        return err->code;
    *more = db_rows(result) > (size_t)limit;
    *count = *more ? (size_t)limit : db_rows(result);
    *workers = arena_alloc(store->arena, *count * sizeof(**workers));
    for (size_t i = 0; i < *count; i++) {
        Worker *worker = db_unpack(result, i, 0, &PB(worker__descriptor), store->arena, err);
        if (!worker)
            return err->code;
        worker->draining = db_boolean(result, i, 1);
        worker->seen_at_ms = db_i64(result, i, 2);
        worker->running = (uint32_t)db_i64(result, i, 3);
        (*workers)[i] = worker;
    }
    return ERR_OK;
}

/* ---- leases ---- */

enum err_code
store_list_held(const struct store *store, const char *worker, struct held **held, size_t *count,
                struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT lease, instance, stop, leased_until_ms, started_ms, cpu, memory_mb, gpu"
        " FROM attempt WHERE workspace = $1 AND worker = $2 AND status = 'running'"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(worker)), &result,
                err))
        return err->code;
    *count = db_rows(result);
    *held = arena_alloc(store->arena, *count * sizeof(**held));
    for (size_t i = 0; i < *count; i++)
        (*held)[i] = (struct held){
            .lease = db_copy(result, i, 0, store->arena),
            .instance = db_copy(result, i, 1, store->arena),
            .stop = db_copy(result, i, 2, store->arena),
            .leased_until_ms = db_i64(result, i, 3),
            .started_ms = db_i64(result, i, 4),
            .cpu = db_f64(result, i, 5),
            .memory_mb = db_i64(result, i, 6),
            .gpu = db_i64(result, i, 7),
        };
    return ERR_OK;
}

enum err_code
store_get_spec(const struct store *store, const char *lease, Lease **spec, struct err *err)
{
    static const struct db_stmt stmt = {"SELECT spec FROM attempt WHERE lease = $1"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(lease)), &result, err))
        return err->code;
    if (db_rows(result) == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no lease %s", lease);
    *spec = db_unpack(result, 0, 0, &PB(lease__descriptor), store->arena, err);
    return *spec ? ERR_OK : err->code;
}

enum err_code
store_extend(const struct store *store, const char *worker, const char *const *leases, size_t count,
             int64_t until_ms, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE attempt SET leased_until_ms = $4 WHERE lease IN (SELECT lease FROM attempt"
        " WHERE lease = ANY($3::text[]::uuid[]) AND workspace = $1 AND worker = $2"
        " AND status = 'running' FOR UPDATE SKIP LOCKED)"};

    return db_exec(store->db, &stmt,
                   DB_PARAMS(db_text(store->workspace), db_text(worker),
                             db_text_array(store->arena, leases, count), db_int(until_ms)),
                   NULL, err);
}

enum err_code
store_list_lost(const struct store *store, const char *worker, const char *instance,
                const char *const *leases, size_t count, char ***lost, size_t *lost_count,
                struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT l FROM unnest($4::text[]) l WHERE NOT EXISTS (SELECT 1 FROM attempt"
        " WHERE lease = l::uuid AND workspace = $1 AND worker = $2 AND instance = $3"
        " AND status <> 'lost')"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(worker), db_text(instance),
                          db_text_array(store->arena, leases, count)),
                &result, err))
        return err->code;
    *lost_count = db_rows(result);
    *lost = arena_alloc(store->arena, *lost_count * sizeof(**lost));
    for (size_t i = 0; i < *lost_count; i++)
        (*lost)[i] = db_copy(result, i, 0, store->arena);
    return ERR_OK;
}

enum err_code
store_find_ready(const struct store *store, const struct room *room, int64_t now_ms, int64_t limit,
                 struct attempt **found, size_t *count, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT lease, run, spec FROM attempt WHERE workspace = $1 AND status = 'ready'"
        " AND due_ms <= $2 AND cpu <= $3 AND memory_mb <= $4 AND gpu <= $5"
        " AND labels <@ $6::text[] ORDER BY due_ms, lease LIMIT $7 FOR UPDATE SKIP LOCKED"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_int(now_ms), db_double(room->cpu),
                          db_int(room->memory_mb), db_int(room->gpu),
                          db_text_array(store->arena, room->labels, room->label_count),
                          db_int(limit)),
                &result, err))
        return err->code;
    *count = db_rows(result);
    *found = arena_zalloc(store->arena, *count * sizeof(**found));
    for (size_t i = 0; i < *count; i++) {
        (*found)[i].lease = db_copy(result, i, 0, store->arena);
        (*found)[i].run = db_copy(result, i, 1, store->arena);
        (*found)[i].spec = db_unpack(result, i, 2, &PB(lease__descriptor), store->arena, err);
        if (!(*found)[i].spec)
            return err->code;
    }
    return ERR_OK;
}

enum err_code
store_lease(const struct store *store, const char *lease, const char *worker, const char *instance,
            int64_t now_ms, int64_t until_ms, int64_t stop_ms, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE attempt SET status = 'running', worker = $2, instance = $3, started_ms = $4,"
        " leased_until_ms = $5, stop_ms = $6 WHERE lease = $1"};

    return db_queue(store->db, &stmt,
                    DB_PARAMS(db_text(lease), db_text(worker), db_text(instance), db_int(now_ms),
                              db_int(until_ms), db_int(stop_ms)),
                    err);
}

/* ---- logs ---- */

enum err_code
store_log_end(const struct store *store, const char *lease, bool *known, const char **worker,
              int64_t *next, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT CASE WHEN a.status = 'running' THEN a.worker ELSE '' END, coalesce((SELECT"
        " c.start + octet_length(c.data) FROM log_chunk c WHERE c.lease = a.lease"
        " ORDER BY c.start DESC LIMIT 1), 0)"
        " FROM attempt a WHERE a.workspace = $1 AND a.lease = $2"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(lease)), &result,
                err))
        return err->code;
    *known = db_rows(result) == 1;
    *worker = *known ? db_copy(result, 0, 0, store->arena) : "";
    *next = *known ? db_i64(result, 0, 1) : 0;
    return ERR_OK;
}

enum err_code
store_add_log(const struct store *store, const char *lease, int64_t start, const void *data,
              size_t len, struct err *err)
{
    static const struct db_stmt stmt = {"INSERT INTO log_chunk (lease, start, data)"
                                        " VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"};

    return db_exec(store->db, &stmt, DB_PARAMS(db_text(lease), db_int(start), db_bytes(data, len)),
                   NULL, err);
}

enum err_code
store_find_attempt(const struct store *store, const char *run, size_t place, int32_t index,
                   int64_t attempt, const char **lease, int64_t *number, bool *ended,
                   const char **uri, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT lease, attempt, finished_ms > 0, log_uri FROM attempt WHERE workspace = $1"
        " AND run = $2 AND place = $3 AND index = $4 AND ($5::bigint = 0 OR attempt = $5)"
        " ORDER BY attempt DESC LIMIT 1"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(run), db_int((int64_t)place),
                          db_int(index), db_int(attempt)),
                &result, err))
        return err->code;
    bool found = db_rows(result) == 1;
    *lease = found ? db_copy(result, 0, 0, store->arena) : NULL;
    *number = found ? db_i64(result, 0, 1) : 0;
    *ended = found && db_boolean(result, 0, 2);
    *uri = found ? db_copy(result, 0, 3, store->arena) : "";
    return ERR_OK;
}

enum err_code
store_read_log(const struct store *store, const char *lease, int64_t start, int64_t max,
               const uint8_t **data, size_t *len, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT start, data FROM log_chunk WHERE lease = $1 AND start + octet_length(data) > $2"
        " AND start - $3 < $2 ORDER BY start"};
    CLEANUP(db_result_free) struct db_result *result = NULL;
    CLEANUP(buf_done) struct buf all = {0};

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(lease), db_int(start), db_int(max)), &result,
                err))
        return err->code;
    for (size_t i = 0; i < db_rows(result); i++) {
        int64_t from = db_i64(result, i, 0), skip = start > from ? start - from : 0;
        const uint8_t *chunk;
        size_t bytes;
        db_bin(result, i, 1, store->arena, &chunk, &bytes);
        buf_add(&all, chunk + skip, bytes - (size_t)skip);
    }
    *data = arena_memdup(store->arena, all.data ? all.data : "", all.len);
    *len = all.len;
    return ERR_OK;
}

/* ---- the cache ---- */

enum err_code
store_find_cached(const struct store *store, const uint8_t *key, int64_t since_ms,
                  Attempt **outputs, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT outputs FROM output_cache WHERE workspace = $1 AND key = $2 AND at_ms >= $3"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_bytes(key, SHA256_BYTES), db_int(since_ms)),
                &result, err))
        return err->code;
    *outputs = NULL;
    if (db_rows(result) == 0)
        return ERR_OK;
    *outputs = db_unpack(result, 0, 0, &PB(attempt__descriptor), store->arena, err);
    return *outputs ? ERR_OK : err->code;
}

enum err_code
store_keep_outputs(const struct store *store, const uint8_t *key, const Attempt *outputs,
                   int64_t now_ms, struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO output_cache (workspace, key, outputs, at_ms) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (workspace, key) DO UPDATE SET outputs = excluded.outputs,"
        " at_ms = excluded.at_ms"};

    return db_queue(store->db, &stmt,
                    DB_PARAMS(db_text(store->workspace), db_bytes(key, SHA256_BYTES),
                              db_message(store->arena, &outputs->base), db_int(now_ms)),
                    err);
}
