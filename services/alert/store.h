/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - durable state of alerts (PostgreSQL schema "alert").
 *
 * store.c (what is configured, alerts, silences) and store_notify.c (notifications) are the only
 * files of this service that contain SQL. Every call works on the caller's connection, and in its
 * transaction when it has one; every statement is bound to the workspace, but those of the
 * delivery, which serves all of them. What is filled lives in the arena. Nothing here logs. Errors
 * are those of db.h, and ERR_NOT_FOUND with a sentence where it says so.
 */
#pragma once

#include "change.h"
#include "rulebook.h"

enum store_lock { STORE_READ, STORE_LOCK };

/* ---- what is configured ---- */

MUST_CHECK enum err_code store_load_config(const struct store *store, AlertConfig **config,
                                           struct err *err);
MUST_CHECK enum err_code store_put_config(const struct store *store, enum entry_kind kind,
                                          const ProtobufCMessage *entry, struct err *err);
MUST_CHECK enum err_code store_delete_config(const struct store *store, enum entry_kind kind,
                                             const char *name, bool *existed, struct err *err);

/* ---- alerts ---- */

/*
 * Insert an alert that fires, or count an event of the one that has its fingerprint and fires
 * already, whose annotations are replaced. *fresh: it was inserted. Locks its row.
 */
MUST_CHECK enum err_code store_fire(const struct store *store, const Alert *alert,
                                    int64_t resolve_at_ms, bool *fresh, struct err *err);
/* *alert NULL: none fires. Locks it. */
MUST_CHECK enum err_code store_find_firing(const struct store *store, const char *fingerprint,
                                           Alert **alert, struct err *err);
/* ERR_NOT_FOUND. */
MUST_CHECK enum err_code store_get_alert(const struct store *store, const char *id,
                                         enum store_lock lock, Alert **alert, struct err *err);
MUST_CHECK enum err_code store_resolve(const struct store *store, const char *id, int64_t now_ms,
                                       const char *by, struct err *err);
MUST_CHECK enum err_code store_acknowledge(const struct store *store, const char *id,
                                           int64_t now_ms, const char *by, const char *comment,
                                           struct err *err);
/* Newest first, those before the id. */
MUST_CHECK enum err_code store_list_alerts(const struct store *store, const char *before,
                                           bool include_resolved, int64_t limit, Alert ***alerts,
                                           size_t *count, bool *more, struct err *err);
/* All that fire; rule NULL: of every rule. At most STORE_FIRING_MAX, newest first. */
#define STORE_FIRING_MAX 5000
MUST_CHECK enum err_code store_list_firing(const struct store *store, const char *rule,
                                           Alert ***alerts, size_t *count, struct err *err);
/* Of all workspaces one whose time is over, locked; *workspace NULL: none. */
MUST_CHECK enum err_code store_find_overdue(const struct store *store, int64_t now_ms,
                                            const char **workspace, const char **id,
                                            struct err *err);

/* ---- silences ---- */

MUST_CHECK enum err_code store_add_silence(const struct store *store, const Silence *silence,
                                           struct err *err);
/* ERR_NOT_FOUND. */
MUST_CHECK enum err_code store_end_silence(const struct store *store, const char *id,
                                           int64_t now_ms, struct err *err);
/* Newest first, those before the id that end after since_ms. */
MUST_CHECK enum err_code store_list_silences(const struct store *store, const char *before,
                                             int64_t since_ms, int64_t limit, Silence ***silences,
                                             size_t *count, bool *more, struct err *err);

/* ---- notifications ---- */

/* Whom to tell, and in which group. */
struct target {
    const char *receiver, *route, *group_key;
};
#define KIND_CHANGE "change"
#define KIND_REPEAT "repeat"
#define KIND_ESCALATION "escalation"

/*
 * The alert joins the group's last notification of kind change that nobody has attempted, unless
 * that speaks of the same labels already, else a new one that is due at due_ms.
 */
MUST_CHECK enum err_code store_notify(const struct store *store, const struct target *target,
                                      const char *alert_id, bool firing, int64_t now_ms,
                                      int64_t due_ms, struct err *err);
MUST_CHECK enum err_code store_escalate(const struct store *store, const struct target *target,
                                        const char *alert_id, int64_t now_ms, int64_t due_ms,
                                        struct err *err);
/* Who was told, or is about to be told, that the alert fires. What is held or waits to escalate
 * is dropped. */
MUST_CHECK enum err_code store_told(const struct store *store, const char *alert_id,
                                    struct target **targets, size_t *count, struct err *err);
/* Waiting escalations of an acknowledged alert. */
MUST_CHECK enum err_code store_drop_escalations(const struct store *store, const char *alert_id,
                                                struct err *err);
/* What is held is looked at again now. */
MUST_CHECK enum err_code store_unhold(const struct store *store, int64_t now_ms, struct err *err);
MUST_CHECK enum err_code store_list_notifications(const struct store *store, const char *alert_id,
                                                  Notification ***notifications, size_t *count,
                                                  struct err *err);

/* ---- delivery, of all workspaces ---- */

struct notification {
    int64_t seq, attempts;
    int64_t attempted_at_ms; /* first; 0: never */
    bool held;
    const char *id, *workspace, *kind;
    struct target target;
    AlertGroup *group; /* NULL: was never attempted */
};
/* One that is due and whose turn it is in its group, locked; *found NULL: none. store->workspace
 * is not used. */
MUST_CHECK enum err_code store_claim(const struct store *store, int64_t now_ms,
                                     struct notification **found, struct err *err);
/* When the next one is due, or an alert's time is over; INT64_MAX: never. */
MUST_CHECK enum err_code store_next_due(const struct store *store, int64_t *due_ms,
                                        struct err *err);

/* firing: what it says; told: an earlier notification to this receiver and group was attempted that
 * says that it fires. */
struct entry {
    Alert *alert;
    bool firing, told;
};
MUST_CHECK enum err_code store_list_entries(const struct store *store,
                                            const struct notification *notification,
                                            struct entry **entries, size_t *count, struct err *err);
/* Alerts that fire and that the receiver was told of in this group. */
MUST_CHECK enum err_code store_list_group(const struct store *store, const struct target *target,
                                          Alert ***alerts, size_t *count, struct err *err);
MUST_CHECK enum err_code store_drop_entry(const struct store *store, int64_t seq,
                                          const char *alert_id, struct err *err);
/* Move an entry into a notification of its own that is held until due_ms. */
MUST_CHECK enum err_code store_hold_entry(const struct store *store,
                                          const struct notification *notification,
                                          const char *alert_id, int64_t now_ms, int64_t due_ms,
                                          struct err *err);
/* The attempt begins: what is told stays as it is; until due_ms nobody else tries. group NULL:
 * it has been written before. */
MUST_CHECK enum err_code store_attempt(const struct store *store,
                                       const struct notification *notification,
                                       const AlertGroup *group, int64_t now_ms, int64_t due_ms,
                                       struct err *err);
/* The attempt has failed. Nothing happens when somebody else has tried meanwhile. */
MUST_CHECK enum err_code store_retry(const struct store *store,
                                     const struct notification *notification, int64_t due_ms,
                                     const char *why, struct err *err);
/* Delivered, or (why not "") given up. *mine false: somebody else has tried meanwhile. */
MUST_CHECK enum err_code store_finish(const struct store *store,
                                      const struct notification *notification, int64_t now_ms,
                                      const char *why, bool *mine, struct err *err);
MUST_CHECK enum err_code store_postpone(const struct store *store, int64_t seq, bool held,
                                        int64_t due_ms, struct err *err);
MUST_CHECK enum err_code store_drop_notification(const struct store *store, int64_t seq,
                                                 struct err *err);
/* The group's repetition is due then; due_ms 0: there is none. */
MUST_CHECK enum err_code store_set_repeat(const struct store *store, const struct target *target,
                                          int64_t now_ms, int64_t due_ms, struct err *err);
/* Alerts, silences and notifications that ended before then; at most STORE_PRUNE_ROWS of each. */
#define STORE_PRUNE_ROWS 2000
MUST_CHECK enum err_code store_prune(const struct store *store, int64_t before_ms, struct err *err);
/* Alerts that fire, notifications to deliver, and since when the oldest of those waits (0: none
 * does). */
MUST_CHECK enum err_code store_measure(const struct store *store, int64_t *firing, int64_t *waiting,
                                       int64_t *oldest_ms, struct err *err);

/* store.c, for store_notify.c: the columns of an alert `a`, and one of their rows. */
#define ALERT_COLUMNS                                                                              \
    "a.body, a.annotations, a.firing, a.resolved_at_ms, a.resolved_by, a.acknowledged_at_ms,"      \
    " a.acknowledged_by, a.comment, a.events, a.last_event_at_ms"
#define ALERT_COLUMN_COUNT 10
MUST_CHECK enum err_code store_read_alert(const struct store *store, const struct db_result *result,
                                          size_t row, Alert **alert, struct err *err);
