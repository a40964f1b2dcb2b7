/* SPDX-License-Identifier: Apache-2.0 */
/* prepared.c - which statements a connection has prepared: a set of their addresses. */
#include "db/conn.h"

#include <stdio.h>
#include <stdlib.h>

void
prepared_name(const struct db_stmt *stmt, char name[PREPARED_NAME_MAX])
{
    snprintf(name, PREPARED_NAME_MAX, "s%zx", (size_t)(uintptr_t)stmt);
}

/* The slot that holds stmt, or the empty one where it belongs. */
static size_t
find(const struct db_conn *conn, const struct db_stmt *stmt)
{
    size_t mask = conn->prepared_cap - 1;
    size_t at = (size_t)(((uintptr_t)stmt * 0x9E3779B97F4A7C15u) >> 32) & mask;

    while (conn->prepared[at] && conn->prepared[at] != stmt)
        at = (at + 1) & mask;
    return at;
}

bool
prepared_has(const struct db_conn *conn, const struct db_stmt *stmt)
{
    return conn->prepared_cap > 0 && conn->prepared[find(conn, stmt)] == stmt;
}

static void
resize(struct db_conn *conn, size_t cap)
{
    const struct db_stmt **old = conn->prepared;
    size_t old_cap = conn->prepared_cap;

    conn->prepared = mem_calloc(cap, sizeof(*conn->prepared));
    conn->prepared_cap = cap;
    for (size_t i = 0; i < old_cap; i++)
        if (old[i])
            conn->prepared[find(conn, old[i])] = old[i];
    free(old);
}

void
prepared_add(struct db_conn *conn, const struct db_stmt *stmt)
{
    if (2 * (conn->prepared_count + 1) > conn->prepared_cap)
        resize(conn, conn->prepared_cap ? 2 * conn->prepared_cap : 64);
    size_t at = find(conn, stmt);
    conn->prepared_count += conn->prepared[at] == NULL;
    conn->prepared[at] = stmt;
}

void
prepared_remove(struct db_conn *conn, const struct db_stmt *stmt)
{
    if (!prepared_has(conn, stmt))
        return;
    conn->prepared[find(conn, stmt)] = NULL;
    conn->prepared_count--;
    /* Closes the gap that would hide entries behind it; only failures come here. */
    resize(conn, conn->prepared_cap);
}
