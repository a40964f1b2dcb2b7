/* SPDX-License-Identifier: Apache-2.0 */
/*
 * localdir.h - the folder of a local platform, as `modelbus` and its supervisor share it.
 *
 *   DIR/env             shell code with every address, mode 0600 (localdir_env_*)
 *   DIR/state.json      what was chosen once and stays: ports, brokers, database (0600)
 *   DIR/logs/NAME.log   one a part, and NAME.log.1
 *   DIR/run/            supervisor.lock, status.json, the services' sockets
 *   DIR/secrets/        the services' shared key
 *   DIR/artifacts/      the artifact store
 *   DIR/cache/          the pod's copies
 *   DIR/postgres        the private PostgreSQL cluster (or a link to it)
 *
 * The supervisor holds a POSIX lock on run/supervisor.lock for its whole life, so "does it
 * run, and as what pid" is a question to the kernel, never to a stale file.
 * Strings returned are the caller's to free(). One thread at a time.
 */
#pragma once

#include "err/err.h"

#include <jansson.h>
#include <stdio.h>
#include <sys/types.h>

/* $XDG_DATA_HOME/modelbus, else ~/.local/share/modelbus. */
char *localdir_default(void);
/* dir made absolute (it need not exist); a NULL dir is the default one. */
char *localdir_absolute(const char *dir);
char *localdir_path(const char *dir, const char *format, ...) PRINTF_LIKE(2, 3);

/* Every folder on the way, as `mkdir -p -m`. ERR_UNAVAILABLE. */
MUST_CHECK enum err_code localdir_make(const char *path, mode_t mode, struct err *err);
/* path and all below it; links are removed, never followed. ERR_UNAVAILABLE; a path that is not there
 * is fine. */
MUST_CHECK enum err_code localdir_remove(const char *path, struct err *err);
/* Written beside path and renamed. */
MUST_CHECK enum err_code localdir_write(const char *path, const char *text, size_t len, mode_t mode,
                                        struct err *err);
/* A JSON object; *value is the caller's (json_decref()). ERR_NOT_FOUND, ERR_INVALID. */
MUST_CHECK enum err_code localdir_read_json(const char *path, json_t **value, struct err *err);
MUST_CHECK enum err_code localdir_write_json(const char *path, const json_t *value, mode_t mode,
                                             struct err *err);

/* Take the supervisor's lock; *fd stays open for as long as it is held. ERR_EXISTS names who has
 * it. */
MUST_CHECK enum err_code localdir_lock(const char *dir, int *fd, struct err *err);
/* Pid of the supervisor of dir; 0 when none runs. */
pid_t localdir_supervisor(const char *dir);
/* Wait until no supervisor runs in dir; false when timeout_ms passed. */
bool localdir_wait_gone(const char *dir, int64_t timeout_ms);

/*
 * DIR/env: lines of `export NAME='value'`. Written from a JSON object of strings in its order;
 * read back the same way. ERR_NOT_FOUND when the folder has none.
 */
MUST_CHECK enum err_code localdir_env_write(const char *dir, const json_t *env, struct err *err);
MUST_CHECK enum err_code localdir_env_read(const char *dir, json_t **env, struct err *err);
/* The addresses of env for people, one a line. */
void localdir_env_print(const char *dir, const json_t *env, FILE *out);

/* At most lines last lines of a file, each preceded by prefix; nothing when it is not there. */
void localdir_tail(const char *path, unsigned lines, const char *prefix, FILE *out);

/* Proportional set size of pid (and, with tree, of all processes below it), bytes; 0 when it is gone
 * or not ours to ask. */
int64_t localdir_pss_bytes(pid_t pid, bool tree);

int64_t localdir_monotonic_ms(void);
int64_t localdir_now_ms(void);
