/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compose.c - what a notification that is due says.
 *
 * Of a change: the alerts that changed, and those of the group that fire and were told before. Of a
 * repetition: those of the group that fire. Alerts that are silenced or inhibited are held back;
 * that an alert is over is told to those who have heard that it fires.
 */
#include "compose.h"

#include "delivery.h"

#include "crypto/crypto.h"

#include <string.h>

#define SILENCES_MAX 1000

/* What mutes alerts in the workspace. */
struct mutes {
    const AlertConfig *rulebook;
    Silence **silences;
    size_t silence_count;
    Alert **firing;
    size_t firing_count;
    int64_t now_ms;
};

static MUST_CHECK enum err_code
load_mutes(const struct change *change, const AlertConfig *rulebook, struct mutes *mutes,
           struct err *err)
{
    bool more;

    *mutes = (struct mutes){.rulebook = rulebook, .now_ms = change->now_ms};
    if (store_list_silences(&change->store, "ffffffff-ffff-ffff-ffff-ffffffffffff", change->now_ms,
                            SILENCES_MAX, &mutes->silences, &mutes->silence_count, &more, err))
        return err->code;
    if (rulebook->n_inhibitions == 0)
        return ERR_OK;
    return store_list_firing(&change->store, NULL, &mutes->firing, &mutes->firing_count, err);
}

/* When to look again at an alert that is muted; 0: it is not. */
static int64_t
muted_until(const struct mutes *m, const Alert *alert)
{
    struct labels labels = labels_of(alert);
    int64_t until = silenced_until(m->silences, m->silence_count, &labels, m->now_ms);

    if (!until && inhibited(m->rulebook->inhibitions, m->rulebook->n_inhibitions, m->firing,
                            m->firing_count, alert))
        until = m->now_ms + DELIVERY_INHIBITED_MS;
    return until;
}

static bool
fires(const Alert *alert)
{
    return strcmp(alert->state, "firing") == 0;
}

/* ---- the message ---- */

static void
add_alert(AlertGroup *group, Alert *alert, bool firing, struct arena *arena)
{
    for (size_t i = 0; i < group->n_alerts; i++)
        if (strcmp(group->alerts[i]->fingerprint, alert->fingerprint) == 0)
            return;
    if (group->n_alerts == ALERT_GROUP_MAX) {
        group->truncated++;
        return;
    }
    Alert *told = arena_memdup(arena, alert, sizeof(*alert));
    told->state = firing ? "firing" : "resolved";
    group->alerts[group->n_alerts++] = told;
}

static AlertGroup *
new_group(struct arena *arena)
{
    AlertGroup *group = arena_alloc(arena, sizeof(*group));

    modelbus__alert__v1__alert_group__init(group);
    group->alerts = arena_alloc(arena, ALERT_GROUP_MAX * sizeof(Alert *));
    return group;
}

static void
name_group(AlertGroup *group, const struct notification *n, const AlertRoute *route, int64_t now_ms,
           struct arena *arena)
{
    struct labels labels = labels_of(group->alerts[0]);
    struct labels by = group_labels(route, &labels, arena);

    group->key = (char *)n->target.group_key;
    group->labels = by.items;
    group->n_labels = by.count;
    /* Told again before that, or over. */
    group->ends_at_ms = now_ms + 2 * route_repeat_ms(route) + DELIVERY_GIVE_UP_MS;
}

/* ---- changes ---- */

/* What is left of the entries once those that are muted have been put aside. */
static MUST_CHECK enum err_code
take_entries(const struct change *change, const struct notification *n, const struct mutes *mutes,
             struct entry *entries, size_t count, AlertGroup *group, int64_t *held_until,
             struct err *err)
{
    size_t left = count;

    *held_until = 0;
    for (size_t i = 0; i < count; i++) {
        Alert *alert = entries[i].alert;
        int64_t until = entries[i].firing ? muted_until(mutes, alert) : 0;
        /* What was held back is told late, so only if it is still true. */
        if (entries[i].firing && !until && (!n->held || fires(alert))) {
            add_alert(group, alert, true, change->store.arena);
        } else if (!entries[i].firing && entries[i].told) {
            add_alert(group, alert, false, change->store.arena);
        } else if (until && fires(alert) && left == 1) {
            *held_until = until; /* the whole notification waits */
        } else if (until && fires(alert)) {
            left--;
            if (store_hold_entry(&change->store, n, alert->id, change->now_ms, until, err))
                return err->code;
        } else {
            left--;
            if (store_drop_entry(&change->store, n->seq, alert->id, err))
                return err->code;
        }
    }
    return ERR_OK;
}

static MUST_CHECK enum err_code
compose_change(const struct change *change, const struct notification *n, const struct mutes *mutes,
               AlertGroup *group, struct err *err)
{
    struct entry *entries;
    Alert **others;
    size_t count, other_count;
    int64_t held_until;

    if (store_list_entries(&change->store, n, &entries, &count, err))
        return err->code;
    if (strcmp(n->kind, KIND_ESCALATION) == 0 && count == 1 &&
        (!fires(entries[0].alert) || entries[0].alert->acknowledged_at_ms))
        return store_drop_notification(&change->store, n->seq, err);
    if (take_entries(change, n, mutes, entries, count, group, &held_until, err))
        return err->code;
    if (held_until)
        return store_postpone(&change->store, n->seq, true, held_until, err);
    if (group->n_alerts == 0)
        return store_drop_notification(&change->store, n->seq, err);
    if (store_list_group(&change->store, &n->target, &others, &other_count, err))
        return err->code;
    for (size_t i = 0; i < other_count; i++)
        if (!muted_until(mutes, others[i]))
            add_alert(group, others[i], true, change->store.arena);
    return ERR_OK;
}

/* ---- repetitions ---- */

static MUST_CHECK enum err_code
compose_repeat(const struct change *change, const AlertRoute *route, const struct notification *n,
               const struct mutes *mutes, AlertGroup *group, struct err *err)
{
    const AlertReceiver *receiver = rulebook_receiver(mutes->rulebook, n->target.receiver);
    /* An Alertmanager has to hear of an alert for as long as it fires, and has people of its
     * own. */
    bool all = receiver && strcmp(receiver->type, "alertmanager") == 0;
    Alert **firing;
    size_t count;

    if (store_list_group(&change->store, &n->target, &firing, &count, err))
        return err->code;
    if (count == 0)
        return store_drop_notification(&change->store, n->seq, err);
    for (size_t i = 0; i < count; i++)
        if ((all || !firing[i]->acknowledged_at_ms) && !muted_until(mutes, firing[i]))
            add_alert(group, firing[i], true, change->store.arena);
    if (group->n_alerts == 0)
        return store_postpone(&change->store, n->seq, false,
                              change->now_ms + route_repeat_ms(route), err);
    return ERR_OK;
}

enum err_code
compose(const struct change *change, const AlertConfig *rulebook, const struct notification *n,
        AlertGroup **group, struct err *err)
{
    const AlertRoute *route = rulebook_route(rulebook, n->target.route);
    AlertGroup *told = new_group(change->store.arena);
    struct mutes mutes;

    if (load_mutes(change, rulebook, &mutes, err) ||
        (strcmp(n->kind, KIND_REPEAT) == 0 ? compose_repeat(change, route, n, &mutes, told, err)
                                           : compose_change(change, n, &mutes, told, err)))
        return err->code;
    *group = told->n_alerts ? told : NULL;
    if (*group)
        name_group(told, n, route, change->now_ms, change->store.arena);
    return ERR_OK;
}

/* ---- a test ---- */

static Label *
label(const char *key, const char *value, struct arena *arena)
{
    Label *l = arena_alloc(arena, sizeof(*l));

    modelbus__alert__v1__label__init(l);
    l->key = (char *)key;
    l->value = (char *)value;
    return l;
}

AlertGroup *
compose_test(const char *workspace, int64_t now_ms, struct arena *arena)
{
    AlertGroup *group = new_group(arena);
    Alert *alert = arena_alloc(arena, sizeof(*alert));
    Label *labels[] = {label("alertname", "Test", arena), label("severity", "info", arena),
                       label("workspace", workspace, arena)};
    Label *summary = label("summary", "a test of this receiver; nothing is wrong", arena);
    struct labels all = {arena_memdup(arena, labels, sizeof(labels)), ARRAY_LEN(labels)};

    modelbus__alert__v1__alert__init(alert);
    alert->id = arena_alloc(arena, 37);
    crypto_uuid7(alert->id);
    alert->fingerprint = arena_alloc(arena, ALERT_FINGERPRINT_LEN + 1);
    labels_fingerprint(&all, alert->fingerprint);
    alert->name = "Test";
    alert->severity = "info";
    alert->labels = all.items;
    alert->n_labels = all.count;
    alert->annotations = arena_memdup(arena, &summary, sizeof(summary));
    alert->n_annotations = 1;
    alert->state = "resolved"; /* so that nobody waits for its end */
    alert->started_at_ms = alert->resolved_at_ms = now_ms;
    group->alerts[group->n_alerts++] = alert;
    group->key = "/{alertname=\"Test\"}";
    group->labels = arena_memdup(arena, labels, sizeof(labels[0]));
    group->n_labels = 1;
    return group;
}
