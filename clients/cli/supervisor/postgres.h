/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres.h - a private PostgreSQL cluster in a folder, reached through a unix socket only.
 *
 * The folder ("home") holds data/ and the socket, belongs to the user who runs the server and
 * has mode 0700: who may enter it may use the database, nobody else. Root cannot run
 * PostgreSQL; then the user postgres does, and when that user cannot reach
 * DIR/postgres (a folder below /root), home is below /var/lib/modelbus and DIR/postgres a
 * link to it. A home whose path is too long for a socket gets its socket in a folder
 * under /tmp.
 */
#pragma once

#include "part.h"

#include "err/err.h"

#include <jansson.h>
#include <sys/types.h>

struct postgres {
    char *home;
    char *socket_dir;
    char *bin; /* folder of initdb and postgres */
    uid_t uid;
    gid_t gid;
    char *user; /* to become; NULL: stay who we are */
};

/* Decide and make the folders; remembers in state what must stay. ERR_NOT_FOUND: no server
 * programs, or none of the version that made the data. */
MUST_CHECK enum err_code postgres_plan(struct postgres *postgres, const char *dir, json_t *state,
                                       struct err *err);
void postgres_done(struct postgres *postgres);
/* URL of the database for libpq; the caller frees it. */
char *postgres_url(const struct postgres *postgres);

/* part.enter: becomes the user, makes the cluster when there is none, clears what a crash
 * left, executes the server. */
void postgres_enter(void *postgres);
/* part.ask: the server of part->arg accepts connections. */
bool postgres_ready(const struct part *part);
