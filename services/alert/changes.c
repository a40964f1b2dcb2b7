/* SPDX-License-Identifier: Apache-2.0 */
/* changes.c - changes of alerts with what they cause. */
#include "changes.h"

#include "crypto/crypto.h"
#include "delivery.h"
#include "service.h"

#include <string.h>

static const struct alert_state *
state(const struct change *change)
{
    return change->service->state;
}

/* Somebody is to be told, or not any more, once this has been committed. */
static void
wake(const struct change *change)
{
    if (state(change)->delivery)
        db_after_commit(change->store.db, delivery_wake, state(change)->delivery);
}

enum err_code
change_rulebook(const struct change *change, AlertConfig **rulebook, AlertConfig **rows,
                struct err *err)
{
    AlertConfig *put;

    if (store_load_config(&change->store, &put, err))
        return err->code;
    *rulebook =
        layers_merge(state(change)->layers, change->store.workspace, put, change->store.arena);
    if (rows)
        *rows = put;
    return ERR_OK;
}

/* ---- an alert fires ---- */

static MUST_CHECK enum err_code
tell(const struct change *change, const AlertConfig *rulebook, const Alert *alert, struct err *err)
{
    struct arena *arena = change->store.arena;
    struct labels labels = labels_of(alert);
    const AlertRoute *route = route_of(rulebook->routes, rulebook->n_routes, &labels);
    struct labels group = group_labels(route, &labels, arena);
    struct target target = {"log", route ? route->name : "", group_key(route, &group, arena)};
    int64_t now_ms = change->now_ms;

    if (!route)
        return store_notify(&change->store, &target, alert->id, true, now_ms, now_ms, err);
    for (size_t i = 0; i < route->n_receivers; i++) {
        target.receiver = route->receivers[i];
        if (store_notify(&change->store, &target, alert->id, true, now_ms,
                         now_ms + route->group_wait_s * 1000, err))
            return err->code;
    }
    if (!*route->escalate_to)
        return ERR_OK;
    target.receiver = route->escalate_to;
    return store_escalate(&change->store, &target, alert->id, now_ms,
                          now_ms + route->escalate_after_s * 1000, err);
}

static MUST_CHECK enum err_code
say_fired(const struct change *change, const Alert *alert, struct err *err)
{
    Modelbus__Alert__V1__AlertFired event = MODELBUS__ALERT__V1__ALERT_FIRED__INIT;

    event.fingerprint = alert->fingerprint;
    event.alert_id = alert->id;
    event.name = alert->name;
    event.severity = alert->severity;
    event.labels = alert->labels;
    event.n_labels = alert->n_labels;
    event.annotations = alert->annotations;
    event.n_annotations = alert->n_annotations;
    event.started_at_ms = alert->started_at_ms;
    event.event_type = alert->event_type;
    event.event_id = alert->event_id;
    return change_say(change, &event.base, err);
}

static MUST_CHECK enum err_code
fire(const struct change *change, const AlertConfig *rulebook, const AlertRule *rule,
     const struct event_envelope *envelope, const ProtobufCMessage *event, struct err *err)
{
    struct arena *arena = change->store.arena;
    struct labels labels = rule_labels(rule, event, change->store.workspace, arena);
    struct labels annotations = rule_annotations(rule, event, arena);
    Alert alert = MODELBUS__ALERT__V1__ALERT__INIT;
    char id[37], fingerprint[ALERT_FINGERPRINT_LEN + 1];
    bool fresh;

    crypto_uuid7(id);
    labels_fingerprint(&labels, fingerprint);
    alert.id = id;
    alert.fingerprint = fingerprint;
    alert.name = rule->name;
    alert.severity = (char *)rule_severity(rule);
    alert.labels = labels.items;
    alert.n_labels = labels.count;
    alert.annotations = annotations.items;
    alert.n_annotations = annotations.count;
    alert.started_at_ms = change->now_ms;
    alert.event_type = (char *)envelope->type;
    alert.event_id = (char *)envelope->id;
    if (store_fire(&change->store, &alert,
                   rule->resolve_after_s ? change->now_ms + rule->resolve_after_s * 1000 : 0,
                   &fresh, err))
        return err->code;
    if (!fresh) {
        if (rule->resolve_after_s) /* resolves later than the delivery knows */
            wake(change);
        return ERR_OK;
    }
    if (say_fired(change, &alert, err) || tell(change, rulebook, &alert, err))
        return err->code;
    wake(change);
    return ERR_OK;
}

/* ---- it is resolved ---- */

enum err_code
change_resolve(const struct change *change, Alert *alert, const char *reason, struct err *err)
{
    Modelbus__Alert__V1__AlertResolved event = MODELBUS__ALERT__V1__ALERT_RESOLVED__INIT;
    struct target *targets;
    size_t count;

    if (store_resolve(&change->store, alert->id, change->now_ms, reason, err) ||
        store_told(&change->store, alert->id, &targets, &count, err))
        return err->code;
    for (size_t i = 0; i < count; i++)
        if (store_notify(&change->store, &targets[i], alert->id, false, change->now_ms,
                         change->now_ms, err))
            return err->code;
    /* It may have inhibited others. */
    if (store_unhold(&change->store, change->now_ms, err))
        return err->code;
    event.fingerprint = alert->fingerprint;
    event.alert_id = alert->id;
    event.name = alert->name;
    event.severity = alert->severity;
    event.labels = alert->labels;
    event.n_labels = alert->n_labels;
    event.started_at_ms = alert->started_at_ms;
    event.resolved_at_ms = change->now_ms;
    event.reason = (char *)reason;
    wake(change);
    return change_say(change, &event.base, err);
}

static MUST_CHECK enum err_code
resolve_by_event(const struct change *change, const AlertRule *rule, const ProtobufCMessage *event,
                 struct err *err)
{
    struct labels labels = rule_labels(rule, event, change->store.workspace, change->store.arena);
    char fingerprint[ALERT_FINGERPRINT_LEN + 1];
    Alert *alert;

    labels_fingerprint(&labels, fingerprint);
    if (store_find_firing(&change->store, fingerprint, &alert, err))
        return err->code;
    return alert ? change_resolve(change, alert, "event", err) : ERR_OK;
}

enum err_code
change_event(const struct change *change, const struct event_envelope *envelope,
             const struct event_type *type, const ProtobufCMessage *event, struct err *err)
{
    int64_t max_age_ms =
        __atomic_load_n(
            &((const struct alert_settings *)change->service->spec->config_target)->max_event_age_s,
            __ATOMIC_RELAXED) *
        1000;
    bool old = envelope->time_ms > 0 && change->now_ms - envelope->time_ms > max_age_ms;
    AlertConfig *rulebook = NULL;

    if (change_rulebook(change, &rulebook, NULL, err))
        return err->code;
    for (size_t i = 0; i < rulebook->n_rules; i++) {
        const AlertRule *rule = rulebook->rules[i];
        if (rule_resolves(rule, type, event) && resolve_by_event(change, rule, event, err))
            return err_wrap(err, "rule '%s'", rule->name);
        if (!old && rule_fires(rule, type, event) &&
            fire(change, rulebook, rule, envelope, event, err))
            return err_wrap(err, "rule '%s'", rule->name);
    }
    return ERR_OK;
}

/* ---- what people do ---- */

enum err_code
change_acknowledge(const struct change *change, const char *id, const char *comment,
                   struct err *err)
{
    Alert *alert;

    if (store_get_alert(&change->store, id, STORE_LOCK, &alert, err))
        return err->code;
    if (strcmp(alert->state, "firing") != 0)
        return err_set(err, ERR_PRECONDITION, "alert %s is resolved", id);
    if (store_acknowledge(&change->store, id, change->now_ms, change->by, comment, err))
        return err->code;
    return store_drop_escalations(&change->store, id, err);
}

enum err_code
change_resolve_by_hand(const struct change *change, const char *id, struct err *err)
{
    Alert *alert;

    if (store_get_alert(&change->store, id, STORE_LOCK, &alert, err))
        return err->code;
    if (strcmp(alert->state, "firing") != 0)
        return err_set(err, ERR_PRECONDITION, "alert %s is resolved already", id);
    return change_resolve(change, alert, change->by, err);
}

enum err_code
change_end_silence(const struct change *change, const char *id, struct err *err)
{
    wake(change);
    if (store_end_silence(&change->store, id, change->now_ms, err))
        return err->code;
    return store_unhold(&change->store, change->now_ms, err);
}

enum err_code
change_put(const struct change *change, enum entry_kind kind, const ProtobufCMessage *entry,
           struct err *err)
{
    AlertConfig *rulebook = NULL, *rows = NULL;
    size_t count;

    if (entry_check(kind, entry, err) || change_rulebook(change, &rulebook, &rows, err))
        return err->code;
    rulebook_entries(rows, kind, &count);
    if (count >= RULEBOOK_ENTRIES_MAX && !rulebook_find(rows, kind, entry_name(entry)))
        return err_set(err, ERR_PRECONDITION, "the workspace has %d %ss, which is the most",
                       RULEBOOK_ENTRIES_MAX, entry_types[kind].name);
    if (protobuf_c_message_get_packed_size(&rows->base) +
            protobuf_c_message_get_packed_size(entry) >
        RULEBOOK_BYTES_MAX)
        return err_set(err, ERR_PRECONDITION,
                       "what the workspace has configured for alerts is larger than %d bytes",
                       RULEBOOK_BYTES_MAX);
    if (kind == ENTRY_ROUTE &&
        route_check_receivers((const AlertRoute *)entry, rulebook, NULL, err))
        return err->code;
    if (kind == ENTRY_INHIBITION && store_unhold(&change->store, change->now_ms, err))
        return err->code;
    wake(change);
    return store_put_config(&change->store, kind, entry, err);
}

static MUST_CHECK enum err_code
resolve_of_rule(const struct change *change, const char *rule, struct err *err)
{
    Alert **alerts, *alert;
    size_t count;

    if (store_list_firing(&change->store, rule, &alerts, &count, err))
        return err->code;
    for (size_t i = 0; i < count; i++) {
        if (store_get_alert(&change->store, alerts[i]->id, STORE_LOCK, &alert, err))
            return err->code;
        if (strcmp(alert->state, "firing") == 0 &&
            change_resolve(change, alert, "rule removed", err))
            return err->code;
    }
    return ERR_OK;
}

/* With the row gone, every route must still find its receivers. */
static MUST_CHECK enum err_code
check_routes(const struct change *change, const char *receiver, struct err *err)
{
    AlertConfig *rulebook = NULL;

    if (change_rulebook(change, &rulebook, NULL, err))
        return err->code;
    for (size_t i = 0; i < rulebook->n_routes; i++)
        if (route_check_receivers(rulebook->routes[i], rulebook, NULL, err))
            return err_set(err, ERR_PRECONDITION, "route '%s' needs receiver '%s'",
                           rulebook->routes[i]->name, receiver);
    return ERR_OK;
}

enum err_code
change_delete(const struct change *change, enum entry_kind kind, const char *name, struct err *err)
{
    AlertConfig *rulebook = NULL;
    bool existed;

    if (store_delete_config(&change->store, kind, name, &existed, err) ||
        change_rulebook(change, &rulebook, NULL, err))
        return err->code;
    bool other = rulebook_find(rulebook, kind, name) != NULL;
    if (!existed && other)
        return err_set(err, ERR_PRECONDITION,
                       "%s '%s' is not one of the workspace's own: it is built in or from the "
                       "rules file; put one of the same name to hide it",
                       entry_types[kind].name, name);
    if (!existed)
        return err_set(err, ERR_NOT_FOUND, "there is no %s '%s'", entry_types[kind].name, name);
    if (kind == ENTRY_RECEIVER && check_routes(change, name, err))
        return err->code;
    if (kind == ENTRY_RULE && !other && resolve_of_rule(change, name, err))
        return err->code;
    if (kind == ENTRY_INHIBITION && store_unhold(&change->store, change->now_ms, err))
        return err->code;
    wake(change);
    return ERR_OK;
}
