/* SPDX-License-Identifier: Apache-2.0 */
/* backlog.c - what waits in the outbox. */
#include "backlog.h"

#include "life/life.h"
#include "metrics/metrics.h"

static const struct db_stmt measure = {
    "SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8"
    " FROM (SELECT created_at FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT $1) "
    "waiting"};

void
backlog_init(struct backlog *backlog)
{
    *backlog = (struct backlog){
        .pending =
            metrics_gauge("modelbus_outbox_pending",
                          "Events that wait to be published, at most 100000 are counted.", NULL),
        .oldest = metrics_gauge("modelbus_outbox_oldest_seconds",
                                "Age of the oldest event that waits to be published.", NULL),
    };
}

enum err_code
backlog_measure(struct backlog *backlog, struct db_conn *conn, struct err *err)
{
    CLEANUP(db_result_free) struct db_result *result = NULL;
    int64_t now = life_monotonic_ms();

    if (now < backlog->next_ms)
        return ERR_OK;
    if (db_exec(conn, &measure, DB_PARAMS(db_int(BACKLOG_MAX)), &result, err))
        return err_wrap(err, "measure the outbox");
    metric_set(backlog->pending, (double)db_i64(result, 0, 0));
    metric_set(backlog->oldest, db_f64(result, 0, 1));
    backlog->next_ms = now + BACKLOG_EVERY_MS;
    return ERR_OK;
}

void
backlog_clear(struct backlog *backlog)
{
    metric_set(backlog->pending, 0);
    metric_set(backlog->oldest, 0);
    backlog->next_ms = 0;
}
