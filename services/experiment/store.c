/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - all SQL of experiments and runs. */
#include "store.h"

#include "buf/buf.h"
#include "db/db_page.h"

/* A statement that only writes: waits for the answer unless the store queues. */
static MUST_CHECK enum err_code
put(const struct store *store, const struct db_stmt *stmt, const struct db_param *params,
    size_t count, struct err *err)
{
    if (store->queue)
        return db_queue(store->db, stmt, params, count, err);
    return db_exec(store->db, stmt, params, count, NULL, err);
}

/* ---- experiments ---- */

enum err_code
store_ensure_experiment(const struct store *store, const char *name, int64_t now_ms,
                        struct err *err)
{
    static const struct db_stmt stmt = {"INSERT INTO experiment (workspace, name, created_at_ms)"
                                        " VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"};

    return put(store, &stmt, DB_PARAMS(db_text(store->workspace), db_text(name), db_int(now_ms)),
               err);
}

enum err_code
store_add_experiment(const struct store *store, const Experiment *experiment, struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO experiment (workspace, name, tags, created_at_ms)"
        " VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"};
    CLEANUP(db_result_free) struct db_result *result = NULL;
    Experiment tags = MODELBUS__EXPERIMENT__V1__EXPERIMENT__INIT;

    tags.tags = experiment->tags;
    tags.n_tags = experiment->n_tags;
    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(experiment->name),
                          db_message(store->arena, &tags.base), db_int(experiment->created_at_ms)),
                &result, err))
        return err->code;
    if (db_affected(result) != 1)
        return err_set(err, ERR_EXISTS, "experiment '%s' exists", experiment->name);
    return ERR_OK;
}

static MUST_CHECK enum err_code
read_experiment(const struct store *store, const struct db_result *result, size_t row,
                Experiment **found, struct err *err)
{
    Experiment *experiment = db_unpack(
        result, row, 1, &modelbus__experiment__v1__experiment__descriptor, store->arena, err);

    if (!experiment)
        return err->code;
    experiment->name = db_copy(result, row, 0, store->arena);
    experiment->created_at_ms = db_i64(result, row, 2);
    *found = experiment;
    return ERR_OK;
}

enum err_code
store_get_experiment(const struct store *store, const char *name, Experiment **found,
                     struct err *err)
{
    static const struct db_stmt stmt = {"SELECT name, tags, created_at_ms FROM experiment"
                                        " WHERE workspace = $1 AND name = $2"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(name)), &result,
                err))
        return err->code;
    if (db_rows(result) == 0)
        return err_set(err, ERR_NOT_FOUND, "experiment '%s'", name);
    return read_experiment(store, result, 0, found, err);
}

enum err_code
store_list_experiments(const struct store *store, const char *after, int64_t limit,
                       Experiment ***experiments, size_t *count, bool *more, struct err *err)
{
    static const struct db_stmt stmt = {DB_PAGE_SELECT(
        "SELECT name, tags, created_at_ms", "experiment WHERE workspace = $1 AND name > $2", "e",
        "name", "octet_length(tags)", "$3", "$4")};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(after), db_int(limit),
                          db_int(DB_PAGE_BYTES)),
                &result, err))
        return err->code;
    size_t rows = db_page_rows(result, 3, limit, more);
    Experiment **list = arena_alloc(store->arena, rows * sizeof(*list));
    for (size_t i = 0; i < rows; i++)
        if (read_experiment(store, result, i, &list[i], err))
            return err->code;
    *experiments = list;
    *count = rows;
    return ERR_OK;
}

/* ---- runs ---- */

#define INSERT_RUN                                                                                 \
    "INSERT INTO run (workspace, run_id, experiment, run_name, status, started_at_ms,"             \
    " finished_at_ms, started_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT"
#define RUN_PARAMS(store, run)                                                                     \
    DB_PARAMS(db_text((store)->workspace), db_text((run)->run_id), db_text((run)->experiment),     \
              db_text((run)->run_name), db_int((run)->status), db_int((run)->started_at_ms),       \
              db_int((run)->finished_at_ms), db_text((run)->started_by))

enum err_code
store_ensure_run(const struct store *store, const Run *run, struct err *err)
{
    /* The update changes nothing but locks the row. */
    static const struct db_stmt stmt = {
        INSERT_RUN " (workspace, run_id) DO UPDATE SET revision = run.revision"};

    return put(store, &stmt, RUN_PARAMS(store, run), err);
}

enum err_code
store_add_run(const struct store *store, const Run *run, struct err *err)
{
    static const struct db_stmt stmt = {INSERT_RUN " DO NOTHING"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, RUN_PARAMS(store, run), &result, err))
        return err->code;
    if (db_affected(result) != 1)
        return err_set(err, ERR_EXISTS, "run '%s' exists", run->run_id);
    return ERR_OK;
}

enum err_code
store_lock_run(const struct store *store, const char *run_id, RunStatus *status, int64_t *revision,
               struct err *err)
{
    static const struct db_stmt stmt = {"SELECT status, revision FROM run"
                                        " WHERE workspace = $1 AND run_id = $2 FOR UPDATE"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(run_id)), &result,
                err))
        return err->code;
    if (db_rows(result) == 0)
        return err_set(err, ERR_NOT_FOUND, "run '%s'", run_id);
    *status = (RunStatus)db_i64(result, 0, 0);
    *revision = db_i64(result, 0, 1);
    return ERR_OK;
}

enum err_code
store_finish_run(const struct store *store, const char *run_id, RunStatus status, int64_t now_ms,
                 struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE run SET status = $3, finished_at_ms = $4, revision = revision + 1"
        " WHERE workspace = $1 AND run_id = $2"};

    return db_exec_expect(
        store->db, &stmt,
        DB_PARAMS(db_text(store->workspace), db_text(run_id), db_int(status), db_int(now_ms)), 1,
        err);
}

#define RUN_COLUMNS                                                                                \
    "SELECT run_id, experiment, run_name, status, started_at_ms, finished_at_ms, started_by,"      \
    " revision"

static Run *
read_run(const struct store *store, const struct db_result *result, size_t row)
{
    Run *run = arena_alloc(store->arena, sizeof(*run));

    modelbus__experiment__v1__run__init(run);
    run->run_id = db_copy(result, row, 0, store->arena);
    run->experiment = db_copy(result, row, 1, store->arena);
    run->run_name = db_copy(result, row, 2, store->arena);
    run->status = (RunStatus)db_i64(result, row, 3);
    run->started_at_ms = db_i64(result, row, 4);
    run->finished_at_ms = db_i64(result, row, 5);
    run->started_by = db_copy(result, row, 6, store->arena);
    run->revision = db_i64(result, row, 7);
    return run;
}

/* What several runs have of one table, as rows (number of the run, from 1; columns), in the order of the
 * runs: each reader below cuts its rows into the runs' lists. */
#define OF_RUNS(columns, table)                                                                    \
    "SELECT r.n, " columns " FROM unnest($2::text[]) WITH ORDINALITY AS r (run_id, n) JOIN " table \
    " t ON t.workspace = $1 AND t.run_id = r.run_id ORDER BY r.n, 2"

static MUST_CHECK enum err_code
rows_of_runs(const struct store *store, const struct db_stmt *stmt, Run **runs, size_t count,
             struct db_result **result, struct err *err)
{
    const char **ids = arena_alloc(store->arena, count * sizeof(*ids));

    for (size_t i = 0; i < count; i++)
        ids[i] = runs[i]->run_id;
    return db_exec(store->db, stmt,
                   DB_PARAMS(db_text(store->workspace), db_text_array(store->arena, ids, count)),
                   result, err);
}

static Tag **
read_tags(const struct store *store, const struct db_result *result)
{
    size_t rows = db_rows(result);
    Tag **tags = arena_alloc(store->arena, rows * sizeof(*tags));

    for (size_t row = 0; row < rows; row++) {
        tags[row] = arena_alloc(store->arena, sizeof(Tag));
        modelbus__common__v1__tag__init(tags[row]);
        tags[row]->key = db_copy(result, row, 1, store->arena);
        tags[row]->value = db_copy(result, row, 2, store->arena);
    }
    return tags;
}

static Metric *
read_metric(const struct store *store, const struct db_result *result, size_t row)
{
    Metric *metric = arena_alloc(store->arena, sizeof(*metric));

    modelbus__common__v1__metric__init(metric);
    metric->key = db_copy(result, row, 1, store->arena);
    metric->step = db_i64(result, row, 2);
    metric->timestamp_ms = db_i64(result, row, 3);
    metric->value = db_f64(result, row, 4);
    return metric;
}

static MUST_CHECK enum err_code
add_params_and_tags(const struct store *store, Run **runs, size_t count, struct err *err)
{
    static const struct db_stmt param_stmt = {OF_RUNS("t.key, t.value", "param")};
    static const struct db_stmt tag_stmt = {OF_RUNS("t.key, t.value", "tag")};
    CLEANUP(db_result_free) struct db_result *params = NULL;
    CLEANUP(db_result_free) struct db_result *tags = NULL;

    if (rows_of_runs(store, &param_stmt, runs, count, &params, err) ||
        rows_of_runs(store, &tag_stmt, runs, count, &tags, err))
        return err->code;
    Tag **list = read_tags(store, params);
    for (size_t row = 0; row < db_rows(params); row++) {
        Run *run = runs[db_i64(params, row, 0) - 1];
        if (run->n_params++ == 0)
            run->params = &list[row];
    }
    list = read_tags(store, tags);
    for (size_t row = 0; row < db_rows(tags); row++) {
        Run *run = runs[db_i64(tags, row, 0) - 1];
        if (run->n_tags++ == 0)
            run->tags = &list[row];
    }
    return ERR_OK;
}

static MUST_CHECK enum err_code
add_metrics_and_models(const struct store *store, Run **runs, size_t count, struct err *err)
{
    static const struct db_stmt metric_stmt = {
        OF_RUNS("t.key, t.step, t.timestamp_ms, t.value", "metric_latest")};
    static const struct db_stmt model_stmt = {OF_RUNS("t.model_name, t.model", "model")};
    CLEANUP(db_result_free) struct db_result *metrics = NULL;
    CLEANUP(db_result_free) struct db_result *models = NULL;

    if (rows_of_runs(store, &metric_stmt, runs, count, &metrics, err) ||
        rows_of_runs(store, &model_stmt, runs, count, &models, err))
        return err->code;
    Metric **metric_list = arena_alloc(store->arena, db_rows(metrics) * sizeof(Metric *));
    for (size_t row = 0; row < db_rows(metrics); row++) {
        Run *run = runs[db_i64(metrics, row, 0) - 1];
        metric_list[row] = read_metric(store, metrics, row);
        if (run->n_metrics++ == 0)
            run->metrics = &metric_list[row];
    }
    AttachedModel **model_list = arena_alloc(store->arena, db_rows(models) * sizeof(void *));
    for (size_t row = 0; row < db_rows(models); row++) {
        Run *run = runs[db_i64(models, row, 0) - 1];
        model_list[row] =
            db_unpack(models, row, 2, &modelbus__experiment__v1__attached_model__descriptor,
                      store->arena, err);
        if (!model_list[row])
            return err_wrap(err, "run '%s'", run->run_id);
        if (run->n_models++ == 0)
            run->models = &model_list[row];
    }
    return ERR_OK;
}

enum err_code
store_get_run(const struct store *store, const char *run_id, Run **found, struct err *err)
{
    static const struct db_stmt stmt = {RUN_COLUMNS
                                        " FROM run WHERE workspace = $1 AND run_id = $2"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt, DB_PARAMS(db_text(store->workspace), db_text(run_id)), &result,
                err))
        return err->code;
    if (db_rows(result) == 0)
        return err_set(err, ERR_NOT_FOUND, "run '%s'", run_id);
    Run *run = read_run(store, result, 0);
    if (add_params_and_tags(store, &run, 1, err) || add_metrics_and_models(store, &run, 1, err))
        return err->code;
    *found = run;
    return ERR_OK;
}

#define LIST_RUNS(filter)                                                                          \
    DB_PAGE_SELECT(RUN_COLUMNS,                                                                    \
                   "run WHERE workspace = $1 AND " filter                                          \
                   " AND (started_at_ms, run_id) < ($3::bigint, $4::text)",                        \
                   "r", "started_at_ms DESC, run_id DESC", "detail_bytes", "$5", "$6")

enum err_code
store_list_runs(const struct store *store, const char *experiment, int64_t before_ms,
                const char *before_id, int64_t limit, Run ***runs, size_t *count, bool *more,
                struct err *err)
{
    static const struct db_stmt of_one = {LIST_RUNS("experiment = $2")};
    static const struct db_stmt of_all = {LIST_RUNS("$2::text = ''")};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, *experiment ? &of_one : &of_all,
                DB_PARAMS(db_text(store->workspace), db_text(experiment), db_int(before_ms),
                          db_text(before_id), db_int(limit), db_int(DB_PAGE_BYTES)),
                &result, err))
        return err->code;
    size_t rows = db_page_rows(result, 8, limit, more);
    Run **list = arena_alloc(store->arena, rows * sizeof(*list));
    for (size_t i = 0; i < rows; i++)
        list[i] = read_run(store, result, i);
    if (add_params_and_tags(store, list, rows, err) ||
        add_metrics_and_models(store, list, rows, err))
        return err->code;
    *runs = list;
    *count = rows;
    return ERR_OK;
}

/* ---- what runs log ---- */

/* $3 and $4: keys and values. */
static MUST_CHECK enum err_code
put_pairs(const struct store *store, const struct db_stmt *stmt, const char *run_id,
          Tag *const *tags, size_t count, struct db_result **result, struct err *err)
{
    const char **keys = arena_alloc(store->arena, count * sizeof(*keys));
    const char **values = arena_alloc(store->arena, count * sizeof(*values));

    for (size_t i = 0; i < count; i++) {
        keys[i] = tags[i]->key;
        values[i] = tags[i]->value;
    }
    const struct db_param params[] = {db_text(store->workspace), db_text(run_id),
                                      db_text_array(store->arena, keys, count),
                                      db_text_array(store->arena, values, count)};
    if (result)
        return db_exec(store->db, stmt, params, 4, result, err);
    return count ? put(store, stmt, params, 4, err) : ERR_OK;
}

enum err_code
store_check_params(const struct store *store, const char *run_id, Tag *const *params, size_t count,
                   struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT p.key FROM unnest($3::text[], $4::text[]) AS g (key, value)"
        " JOIN param p ON p.workspace = $1 AND p.run_id = $2 AND p.key = g.key"
        " WHERE p.value <> g.value ORDER BY p.key LIMIT 1"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (put_pairs(store, &stmt, run_id, params, count, &result, err))
        return err->code;
    if (db_rows(result))
        return err_set(err, ERR_PRECONDITION, "param '%s' of run '%s' is set to another value",
                       db_str(result, 0, 0), run_id);
    return ERR_OK;
}

enum err_code
store_add_params(const struct store *store, const char *run_id, Tag *const *params, size_t count,
                 struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO param (workspace, run_id, key, value) SELECT $1, $2, g.key, g.value"
        " FROM unnest($3::text[], $4::text[]) AS g (key, value) ON CONFLICT DO NOTHING"};

    return put_pairs(store, &stmt, run_id, params, count, NULL, err);
}

enum err_code
store_set_tags(const struct store *store, const char *run_id, Tag *const *tags, size_t count,
               struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO tag (workspace, run_id, key, value) SELECT $1, $2, g.key, g.value"
        " FROM unnest($3::text[], $4::text[]) AS g (key, value)"
        " ON CONFLICT (workspace, run_id, key) DO UPDATE SET value = excluded.value"};

    return put_pairs(store, &stmt, run_id, tags, count, NULL, err);
}

static const char *
double_text(struct arena *arena, double value)
{
    struct buf buf = {0};

    buf_double(&buf, value);
    const char *text = arena_strdup(arena, buf.data);
    buf_done(&buf);
    return text;
}

enum err_code
store_add_metrics(const struct store *store, const char *run_id, Metric *const *metrics,
                  size_t count, int64_t now_ms, struct err *err)
{
    static const struct db_stmt stmt = {
        "WITH given AS (SELECT key, step, at, value::float8, n FROM"
        " unnest($3::text[], $4::bigint[], $5::bigint[], $6::text[])"
        " WITH ORDINALITY AS g (key, step, at, value, n)),"
        " history AS (INSERT INTO metric (workspace, run_id, key, step, timestamp_ms, value)"
        " SELECT $1, $2, key, step, at, value FROM given ORDER BY n)"
        " INSERT INTO metric_latest AS l (workspace, run_id, key, step, timestamp_ms, value)"
        " SELECT DISTINCT ON (key) $1, $2, key, step, at, value FROM given"
        " ORDER BY key, step DESC, at DESC, n DESC"
        " ON CONFLICT (workspace, run_id, key) DO UPDATE SET step = excluded.step,"
        " timestamp_ms = excluded.timestamp_ms, value = excluded.value"
        " WHERE (excluded.step, excluded.timestamp_ms) >= (l.step, l.timestamp_ms)"};
    const char **keys = arena_alloc(store->arena, count * sizeof(*keys));
    const char **values = arena_alloc(store->arena, count * sizeof(*values));
    int64_t *steps = arena_alloc(store->arena, count * sizeof(*steps));
    int64_t *times = arena_alloc(store->arena, count * sizeof(*times));

    if (count == 0)
        return ERR_OK;
    for (size_t i = 0; i < count; i++) {
        keys[i] = metrics[i]->key;
        values[i] = double_text(store->arena, metrics[i]->value);
        steps[i] = metrics[i]->step;
        times[i] = metrics[i]->timestamp_ms ? metrics[i]->timestamp_ms : now_ms;
    }
    return put(store, &stmt,
               DB_PARAMS(db_text(store->workspace), db_text(run_id),
                         db_text_array(store->arena, keys, count),
                         db_int_array(store->arena, steps, count),
                         db_int_array(store->arena, times, count),
                         db_text_array(store->arena, values, count)),
               err);
}

enum err_code
store_put_model(const struct store *store, const char *run_id, const AttachedModel *model,
                struct err *err)
{
    static const struct db_stmt stmt = {
        "INSERT INTO model (workspace, run_id, model_name, model) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (workspace, run_id, model_name) DO UPDATE SET model = excluded.model"};

    return put(store, &stmt,
               DB_PARAMS(db_text(store->workspace), db_text(run_id), db_text(model->model_name),
                         db_message(store->arena, &model->base)),
               err);
}

#define BYTES_OF(what, table)                                                                      \
    "coalesce((SELECT sum(" what ") FROM " table " WHERE workspace = $1 AND run_id = $2), 0)"
#define PAIR "octet_length(key) + octet_length(value)"
#define POINT "octet_length(key) + 32" /* step, time, value and their framing */

enum err_code
store_measure_run(const struct store *store, const char *run_id, bool changed, struct err *err)
{
    static const struct db_stmt stmt = {
        "UPDATE run SET revision = revision + $3::bigint, detail_bytes = " BYTES_OF(PAIR, "param") " + " BYTES_OF(
            PAIR,
            "tag") " + " BYTES_OF(POINT,
                                  "metric_latest") " + " BYTES_OF("octet_length(model)",
                                                                  "model") " WHERE workspace = $1 "
                                                                           "AND run_id = $2"};

    return put(store, &stmt,
               DB_PARAMS(db_text(store->workspace), db_text(run_id), db_int(changed ? 1 : 0)), err);
}

enum err_code
store_metric_history(const struct store *store, const char *run_id, const char *key,
                     int64_t after_seq, int64_t limit, Metric ***metrics, size_t *count,
                     int64_t *last_seq, bool *more, struct err *err)
{
    static const struct db_stmt stmt = {
        "SELECT seq, key, step, timestamp_ms, value FROM metric WHERE workspace = $1"
        " AND run_id = $2 AND key = $3 AND seq > $4 ORDER BY seq LIMIT $5::bigint + 1"};
    CLEANUP(db_result_free) struct db_result *result = NULL;

    if (db_exec(store->db, &stmt,
                DB_PARAMS(db_text(store->workspace), db_text(run_id), db_text(key),
                          db_int(after_seq), db_int(limit)),
                &result, err))
        return err->code;
    size_t rows = db_rows(result);
    *more = (int64_t)rows > limit;
    rows = *more ? (size_t)limit : rows;
    Metric **list = arena_alloc(store->arena, rows * sizeof(*list));
    for (size_t i = 0; i < rows; i++)
        list[i] = read_metric(store, result, i);
    *last_seq = rows ? db_i64(result, rows - 1, 0) : after_seq;
    *metrics = list;
    *count = rows;
    return ERR_OK;
}
