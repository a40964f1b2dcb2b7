/* SPDX-License-Identifier: Apache-2.0 */
/* migrate.c - bring a schema to what this program expects. */
#include "crypto/crypto.h"
#include "db/conn.h"

#include <stdio.h>
#include <string.h>

static const struct db_stmt lock = {"SELECT pg_advisory_lock($1)"};
static const struct db_stmt applied = {
    "SELECT sha256 FROM schema_migration WHERE set = $1 AND name = $2"};
static const struct db_stmt record = {
    "INSERT INTO schema_migration (set, name, sha256) VALUES ($1, $2, $3)"};

/* Waits as long as another instance migrates; the lock ends with the connection. */
static enum err_code
prepare(struct db_conn *conn, const char *schema, struct err *err)
{
    char text[512];

    conn->answer_ms = 0;
    snprintf(text, sizeof(text), "migrate:%s", schema);
    if (db_script(conn, "SET statement_timeout = 0; SET lock_timeout = 0", err) ||
        db_exec(conn, &lock, DB_PARAMS(db_int(db_lock_key(text))), NULL, err))
        return err->code;
    snprintf(text, sizeof(text),
             "CREATE SCHEMA IF NOT EXISTS \"%s\";"
             "CREATE TABLE IF NOT EXISTS schema_migration ("
             " set text NOT NULL, name text NOT NULL, sha256 text NOT NULL,"
             " at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (set, name))",
             schema);
    return db_script(conn, text, err);
}

static enum err_code
apply(struct db_conn *conn, const char *set, const struct embed_file *file, struct err *err)
{
    CLEANUP(db_result_free) struct db_result *result = NULL;
    char digest[SHA256_HEX + 1];

    crypto_sha256_hex(file->text, strlen(file->text), digest);
    if (db_exec(conn, &applied, DB_PARAMS(db_text(set), db_text(file->name)), &result, err))
        return err->code;
    if (db_rows(result) > 0) {
        if (strcmp(db_str(result, 0, 0), digest) != 0)
            return err_set(err, ERR_INTERNAL,
                           "it was applied with other content; migrations are never edited");
        return ERR_OK;
    }
    if (db_begin(conn, err) || db_script(conn, file->text, err) ||
        db_exec(conn, &record, DB_PARAMS(db_text(set), db_text(file->name), db_text(digest)), NULL,
                err) ||
        db_commit(conn, err)) {
        db_rollback(conn);
        return err->code;
    }
    return ERR_OK;
}

enum err_code
db_migrate(struct db_pool *pool, const char *set, const struct embed_file *files, struct err *err)
{
    CLEANUP(db_return) struct db_conn *conn = NULL;

    if (db_connect(pool, &conn, err) || prepare(conn, db_schema(pool), err))
        return err_wrap(err, "migrate schema '%s'", db_schema(pool));
    for (; files && files->name; files++)
        if (apply(conn, set, files, err))
            return err_wrap(err, "migration %s/%s", set, files->name);
    return ERR_OK;
}
