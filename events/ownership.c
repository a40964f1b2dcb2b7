/* SPDX-License-Identifier: Apache-2.0 */
/* ownership.c - members counted, even shares taken and given back. */
#include "ownership.h"

#include <stdio.h>
#include <stdlib.h>

struct ownership {
    struct db_pool *pool;
    int64_t member_key;
    struct db_conn *conn; /* NULL: not a member now */
};

static const struct db_stmt join_members = {"SELECT pg_advisory_lock_shared($1)"};
/* A 64-bit advisory key is split into classid and objid, objsubid being 1 (PostgreSQL
 * manual, 54.12 pg_locks). */
static const struct db_stmt count_members = {
    "SELECT count(*), count(*) FILTER (WHERE pid < pg_backend_pid()) FROM pg_locks"
    " WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted AND objsubid = 1"
    " AND classid = (($1::bigint >> 32) & 4294967295)::oid"
    " AND objid = ($1::bigint & 4294967295)::oid"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"};

struct ownership *
ownership_new(struct db_pool *pool, const char *service)
{
    struct ownership *o = mem_zalloc(sizeof(*o));
    char name[300];

    o->pool = pool;
    snprintf(name, sizeof(name), "consumer/%s", service);
    o->member_key = db_lock_key(name);
    return o;
}

void
ownership_free(struct ownership *o)
{
    if (!o)
        return;
    if (o->conn)
        db_return(o->conn);
    free(o);
}

int64_t
ownership_key(const char *service, const char *topic, int32_t partition)
{
    char name[600];

    snprintf(name, sizeof(name), "consumer/%s/%s/%d", service, topic, (int)partition);
    return db_lock_key(name);
}

static enum err_code
join(struct ownership *o, struct err *err)
{
    if (o->conn)
        return ERR_OK;
    if (db_connect(o->pool, &o->conn, err) ||
        db_exec(o->conn, &join_members, DB_PARAMS(db_int(o->member_key)), NULL, err))
        return err_wrap(err, "join the consumers");
    return ERR_OK;
}

static enum err_code
even_share(struct ownership *o, size_t count, size_t *share, struct err *err)
{
    CLEANUP(db_result_free) struct db_result *r = NULL;

    if (db_exec(o->conn, &count_members, DB_PARAMS(db_int(o->member_key)), &r, err))
        return err_wrap(err, "count the consumers");
    size_t members = (size_t)db_i64(r, 0, 0);
    size_t rank = (size_t)db_i64(r, 0, 1);
    if (members == 0)
        return err_set(err, ERR_UNAVAILABLE, "membership was lost");
    *share = count / members + (rank < count % members ? 1 : 0);
    return ERR_OK;
}

static enum err_code
settle(struct ownership *o, const int64_t *keys, bool *owned, size_t count, bool *changed,
       struct err *err)
{
    size_t share = 0, have = 0;

    if (join(o, err) || even_share(o, count, &share, err))
        return err->code;
    for (size_t i = 0; i < count; i++)
        have += owned[i];
    for (size_t i = count; i-- > 0 && have > share;) {
        if (!owned[i])
            continue;
        if (db_unlock(o->conn, keys[i], err))
            return err_wrap(err, "release a partition");
        owned[i] = false;
        *changed = true;
        have--;
    }
    for (size_t i = 0; i < count && have < share; i++) {
        if (owned[i])
            continue;
        if (db_try_lock(o->conn, keys[i], &owned[i], err))
            return err_wrap(err, "take a partition");
        *changed |= owned[i];
        have += owned[i];
    }
    return ERR_OK;
}

enum err_code
ownership_check(struct ownership *o, const int64_t *keys, bool *owned, size_t count, bool *changed,
                struct err *err)
{
    *changed = false;
    if (settle(o, keys, owned, count, changed, err) == ERR_OK)
        return ERR_OK;
    /* Whatever it was, starting over with a new connection puts it right. */
    if (o->conn)
        db_return(TAKE_PTR(o->conn));
    for (size_t i = 0; i < count; i++) {
        *changed |= owned[i];
        owned[i] = false;
    }
    return err->code;
}
