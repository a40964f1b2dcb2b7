/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alert.h - labels, matchers, groups: the rules of alerts, on plain values.
 *
 * An alert is its labels: alertname, severity, workspace and those of its rule. Two events that
 * give the same labels are the same alert. Numbers that vary (scores, counts) are annotations.
 *
 * Matchers (matcher.h) are on labels: a label that is not there is the empty text, and comparisons of
 * numbers are refused.
 *
 * Nothing here does I/O; any thread.
 */
#pragma once

#include "arena/arena.h"
#include "buf/buf.h"
#include "matcher.h"
#include "values.h"

#include "modelbus/alert/v1/events.pb-c.h"
#include "modelbus/alert/v1/queries.pb-c.h"

typedef Modelbus__Alert__V1__Label Label;
typedef Modelbus__Alert__V1__Alert Alert;
typedef Modelbus__Alert__V1__AlertGroup AlertGroup;
typedef Modelbus__Alert__V1__AlertRule AlertRule;
typedef Modelbus__Alert__V1__AlertReceiver AlertReceiver;
typedef Modelbus__Alert__V1__AlertRoute AlertRoute;
typedef Modelbus__Alert__V1__AlertInhibition AlertInhibition;
typedef Modelbus__Alert__V1__AlertConfig AlertConfig;
typedef Modelbus__Alert__V1__Silence Silence;
typedef Modelbus__Alert__V1__Notification Notification;

#define ALERT_NAME_MAX MATCHER_NAME_MAX
#define ALERT_MATCHERS_MAX 20      /* of one list */
#define ALERT_LABELS_MAX 30        /* of a rule: labels, and as many annotations */
#define ALERT_LABEL_VALUE_MAX 250  /* bytes; longer values of events are cut */
#define ALERT_ANNOTATION_MAX 2000  /* bytes; the same */
#define ALERT_SECONDS_MAX 31536000 /* of every duration */
#define ALERT_FINGERPRINT_LEN 16
#define ALERT_GROUP_MAX 100 /* alerts in one notification; further ones are counted */

/* ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$ */
MUST_CHECK enum err_code alert_check_name(const char *what, const char *name, struct err *err);
/* ^[A-Za-z_][A-Za-z0-9_]{0,99}$ */
bool alert_label_name_valid(const char *name);

struct labels {
    Label **items; /* by name, each name once */
    size_t count;
};
/* Sorts in place. */
void labels_sort(const struct labels *labels);
const char *labels_get(const struct labels *labels, const char *name); /* "" when not there */
void labels_fingerprint(const struct labels *labels, char text[ALERT_FINGERPRINT_LEN + 1]);
static inline struct labels
labels_of(const Alert *alert)
{
    return (struct labels){alert->labels, alert->n_labels};
}

/* Labels only: at most ALERT_MATCHERS_MAX, no operators of numbers. what: for the message. */
MUST_CHECK enum err_code matchers_check(const char *what, char *const *texts, size_t count,
                                        struct err *err);
/* All hold; texts were checked. */
bool matchers_hold(char *const *texts, size_t count, const struct labels *labels);

/* Of routes in order the first that matches; NULL: none. */
const AlertRoute *route_of(AlertRoute *const *routes, size_t count, const struct labels *labels);
/* The labels by which the route groups, in arena. route NULL: as a route without group_by. */
struct labels group_labels(const AlertRoute *route, const struct labels *labels,
                           struct arena *arena);
/* route/{name="value",…}; in arena. */
char *group_key(const AlertRoute *route, const struct labels *group, struct arena *arena);
int64_t route_repeat_ms(const AlertRoute *route); /* route may be NULL */

/* Is an alert with these labels muted by a firing one? */
bool inhibited(AlertInhibition *const *inhibitions, size_t count, Alert *const *firing,
               size_t firing_count, const Alert *alert);
/* The latest end of silences that match and have not ended at now_ms; 0: none. */
int64_t silenced_until(Silence *const *silences, size_t count, const struct labels *labels,
                       int64_t now_ms);

/* How long to wait after so many failed attempts (from 1): doubles from 1 s to 5 minutes; random in
 * [0, 1) takes off up to a quarter, so that receivers that come back are not hit at once. */
int64_t delivery_backoff_ms(int64_t attempts, double random);
