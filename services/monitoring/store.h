/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - durable state of monitoring (PostgreSQL schema "monitoring").
 *
 * store.c is the only file of this service that contains SQL. Every call works on the caller's
 * connection, and in its transaction when it has one; every statement is bound to the workspace.
 * What is filled lives in the arena. Nothing here logs. Errors are those of db.h, and
 * ERR_NOT_FOUND with a sentence where it says so.
 */
#pragma once

#include "change.h"
#include "watch.h"

#include "modelbus/registry/v1/events.pb-c.h"

typedef Modelbus__Registry__V1__ModelRegistered ModelRegistered;

/* ---- versions and references ---- */

MUST_CHECK enum err_code store_learn_version(const struct store *store,
                                             const ModelRegistered *registered, struct err *err);
/* *registered NULL: not known. */
MUST_CHECK enum err_code store_find_version(const struct store *store, const char *model_name,
                                            int64_t version, ModelRegistered **registered,
                                            struct err *err);
/* endpoint "": of the version's sample. Replaces. */
MUST_CHECK enum err_code store_put_reference(const struct store *store, const Reference *head,
                                             const char *endpoint, const struct buf *rows,
                                             struct err *err);
/* *head NULL: there is none. */
MUST_CHECK enum err_code store_find_reference(const struct store *store, const char *model_name,
                                              int64_t version, const char *endpoint,
                                              Reference **head, const uint8_t **rows, size_t *len,
                                              struct err *err);

/* ---- endpoints ---- */

struct monitor_row {
    int64_t revision;
    MonitorRules *rules;
    WatchState *state;
};
/* Make the row unless it is there. */
MUST_CHECK enum err_code store_add_monitor(const struct store *store, const char *endpoint,
                                           const WatchState *state, struct err *err);
/* ERR_NOT_FOUND. Locks it until the transaction ends when lock. */
MUST_CHECK enum err_code store_get_monitor(const struct store *store, const char *endpoint,
                                           bool lock, struct monitor_row *row, struct err *err);
/* The revision alone, locked; 0: there is no row. */
MUST_CHECK enum err_code store_lock_monitor(const struct store *store, const char *endpoint,
                                            int64_t *revision, struct err *err);
/* rules NULL: as they are. due_ms: of the window; 0: it is not. Not waited for. */
MUST_CHECK enum err_code store_set_monitor(const struct store *store, const char *endpoint,
                                           int64_t revision, const MonitorRules *rules,
                                           const WatchState *state, int64_t due_ms,
                                           struct err *err);
/* One of any workspace whose window is due, locked; *endpoint NULL: none that is not locked. */
MUST_CHECK enum err_code store_find_due(const struct store *store, int64_t now_ms,
                                        const char **workspace, const char **endpoint,
                                        struct err *err);
/* What is due by now_ms is due at due_ms. */
MUST_CHECK enum err_code store_postpone(const struct store *store, const char *endpoint,
                                        int64_t now_ms, int64_t due_ms, struct err *err);
/* With its panes and reports. */
MUST_CHECK enum err_code store_delete_monitor(const struct store *store, const char *endpoint,
                                              struct err *err);
/* By name, those after `after`. */
MUST_CHECK enum err_code store_list_monitors(const struct store *store, const char *after,
                                             int64_t limit, Monitor ***monitors, size_t *count,
                                             bool *more, struct err *err);

/* ---- panes ---- */

/* Not waited for. */
MUST_CHECK enum err_code store_add_part(const struct store *store, const char *endpoint,
                                        int64_t pane, uint32_t part, const struct buf *rows,
                                        struct err *err);
/* Of the panes from first to last. Not waited for. */
MUST_CHECK enum err_code store_drop_parts(const struct store *store, const char *endpoint,
                                          int64_t first, int64_t last, struct err *err);
/* Apply a pane's pieces to an empty reservoir. */
MUST_CHECK enum err_code store_read_parts(const struct store *store, const char *endpoint,
                                          int64_t pane, struct reservoir *sample, struct err *err);

/* ---- reports ---- */

/* And forget those of the endpoint older than the newest `kept`. Not waited for. */
MUST_CHECK enum err_code store_add_report(const struct store *store, const Report *report,
                                          int64_t kept, struct err *err);
/* ERR_NOT_FOUND. */
MUST_CHECK enum err_code store_get_report(const struct store *store, const char *id,
                                          Report **report, struct err *err);
/* Newest first, those of windows before the number, without columns. version 0: all. */
MUST_CHECK enum err_code store_list_reports(const struct store *store, const char *endpoint,
                                            int64_t version, bool drifted, int64_t before,
                                            int64_t limit, Report ***reports, size_t *count,
                                            bool *more, struct err *err);
