/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - whether entries of the rulebook are right. */
#include "fields.h"
#include "rulebook.h"

#include "buf/text.h"

#include <string.h>

#define URL_MAX 2000
#define AUTHORIZATION_MAX 4000
#define ADDRESSES_MAX 20
#define ADDRESS_MAX 254
#define RECEIVERS_MAX 10
#define POSITION_MAX 1000000

bool
event_can_alert(const struct event_type *type)
{
    static const char *const refused[] = {"predictions",    "features", "labels",
                                          "endpoint-state", "alert",    "dlq"};

    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (strcmp(type->topic, refused[i]) == 0)
            return false;
    return true;
}

static enum err_code
check_event(const char *what, const char *name, const struct event_type **type, struct err *err)
{
    const char *near = NULL;

    *type = event_type_named(name);
    if (*type && event_can_alert(*type))
        return ERR_OK;
    if (*type)
        return err_set(err, ERR_INVALID, "%s: %s is on the topic %s, which alerts are not made of",
                       what, (*type)->descriptor->short_name, (*type)->topic);
    for (const struct event_type *t = event_types; t->descriptor; t++)
        near = text_nearer(name, near, t->descriptor->short_name);
    return err_set(err, ERR_INVALID, "%s: there is no event '%.100s'%s%s", what, name,
                   near ? "; did you mean " : "", near ? near : "");
}

static enum err_code
check_seconds(const char *what, int64_t seconds, struct err *err)
{
    if (seconds < 0 || seconds > ALERT_SECONDS_MAX)
        return err_set(err, ERR_INVALID, "%s: 0 to %d", what, ALERT_SECONDS_MAX);
    return ERR_OK;
}

/* ---- rules ---- */

static enum err_code
check_conditions(const char *what, const struct event_type *type, char *const *texts, size_t count,
                 struct err *err)
{
    if (count > ALERT_MATCHERS_MAX)
        return err_set(err, ERR_INVALID, "%s: at most %d conditions", what, ALERT_MATCHERS_MAX);
    for (size_t i = 0; i < count; i++)
        if (condition_check(type->descriptor, texts[i], err))
            return err_wrap(err, "%s[%zu]", what, i);
    return ERR_OK;
}

static enum err_code
check_label(const AlertRule *rule, size_t at, const struct event_type *fired,
            const struct event_type *resolved, struct err *err)
{
    static const char *const reserved[] = {"alertname", "severity", "workspace"};
    const Label *label = rule->labels[at];

    for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
        if (strcmp(label->key, reserved[i]) == 0)
            return err_set(err, ERR_INVALID, "every alert has the label '%s'", label->key);
    if (template_check(fired->descriptor, label->value, true, err))
        return err->code;
    if (resolved && template_check(resolved->descriptor, label->value, true, err))
        return err_wrap(err, "resolve_on must give the same label");
    return ERR_OK;
}

static enum err_code
check_keys(Label *const *labels, size_t count, size_t at, struct err *err)
{
    const Label *label = labels[at];

    if (!alert_label_name_valid(label->key))
        return err_set(err, ERR_INVALID,
                       "key: 1 to %d letters, digits and '_', not beginning with a digit",
                       ALERT_NAME_MAX);
    for (size_t i = 0; i < at; i++)
        if (strcmp(labels[i]->key, label->key) == 0)
            return err_set(err, ERR_INVALID, "'%s' is given twice", label->key);
    if (count > ALERT_LABELS_MAX)
        return err_set(err, ERR_INVALID, "more than %d", ALERT_LABELS_MAX);
    return value_check_text("value", label->value, ALERT_ANNOTATION_MAX, err);
}

static enum err_code
check_rule(const AlertRule *rule, struct err *err)
{
    const struct event_type *fired, *resolved = NULL;

    if (check_event("event", rule->event, &fired, err) ||
        (*rule->resolve_on && check_event("resolve_on", rule->resolve_on, &resolved, err)) ||
        check_conditions("when", fired, rule->when, rule->n_when, err) ||
        check_seconds("resolve_after_s", rule->resolve_after_s, err))
        return err->code;
    if (*rule->severity && strcmp(rule->severity, "critical") != 0 &&
        strcmp(rule->severity, "warning") != 0 && strcmp(rule->severity, "info") != 0)
        return err_set(err, ERR_INVALID, "severity: critical, warning or info");
    if (rule->n_resolve_when && !resolved)
        return err_set(err, ERR_INVALID, "resolve_when: needs resolve_on");
    if (resolved &&
        check_conditions("resolve_when", resolved, rule->resolve_when, rule->n_resolve_when, err))
        return err->code;
    for (size_t i = 0; i < rule->n_labels; i++)
        if (check_keys(rule->labels, rule->n_labels, i, err) ||
            check_label(rule, i, fired, resolved, err))
            return err_wrap(err, "labels[%zu]", i);
    for (size_t i = 0; i < rule->n_annotations; i++)
        if (check_keys(rule->annotations, rule->n_annotations, i, err) ||
            template_check(fired->descriptor, rule->annotations[i]->value, false, err))
            return err_wrap(err, "annotations[%zu]", i);
    return ERR_OK;
}

/* ---- receivers ---- */

static bool
has_control(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            return true;
    return false;
}

static enum err_code
check_url(const char *url, struct err *err)
{
    size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;

    if (!scheme || !url[scheme] || strchr("/?#", url[scheme]) || strlen(url) > URL_MAX ||
        strchr(url, ' ') || has_control(url))
        return err_set(err, ERR_INVALID,
                       "url: http:// or https:// and a host, at most %d bytes without blanks",
                       URL_MAX);
    return value_check_text("url", url, URL_MAX, err);
}

/* What an SMTP server is told between < and >. */
static bool
is_address(const char *text)
{
    const char *at = strrchr(text, '@');

    if (!at || at == text || !at[1] || strlen(text) > ADDRESS_MAX || has_control(text))
        return false;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p > 0x7e || strchr(" <>()[]\\,;:\"", *p))
            return false;
    return strchr(text, '@') == at;
}

static enum err_code
check_receiver(const AlertReceiver *receiver, struct err *err)
{
    bool email = strcmp(receiver->type, "email") == 0, log = strcmp(receiver->type, "log") == 0;

    if (!email && !log && strcmp(receiver->type, "webhook") != 0 &&
        strcmp(receiver->type, "alertmanager") != 0 && strcmp(receiver->type, "slack") != 0)
        return err_set(err, ERR_INVALID, "type: webhook, alertmanager, slack, email or log");
    if (email != (receiver->n_to > 0) || receiver->n_to > ADDRESSES_MAX)
        return err_set(err, ERR_INVALID, "to: 1 to %d addresses of an email receiver",
                       ADDRESSES_MAX);
    for (size_t i = 0; i < receiver->n_to; i++)
        if (!is_address(receiver->to[i]))
            return err_set(err, ERR_INVALID, "to[%zu]: '%.100s' is not an address", i,
                           receiver->to[i]);
    if (strlen(receiver->authorization) > AUTHORIZATION_MAX || has_control(receiver->authorization))
        return err_set(err, ERR_INVALID, "authorization: one line of at most %d bytes",
                       AUTHORIZATION_MAX);
    if (!email && !log)
        return check_url(receiver->url, err);
    if (*receiver->url || *receiver->authorization)
        return err_set(err, ERR_INVALID, "%s: not of a receiver of type %s",
                       *receiver->url ? "url" : "authorization", receiver->type);
    return ERR_OK;
}

/* ---- routes and inhibitions ---- */

static enum err_code
check_label_names(const char *what, char *const *names, size_t count, bool all, struct err *err)
{
    if (count > ALERT_LABELS_MAX)
        return err_set(err, ERR_INVALID, "%s: at most %d", what, ALERT_LABELS_MAX);
    for (size_t i = 0; i < count; i++)
        if (!alert_label_name_valid(names[i]) &&
            !(all && count == 1 && strcmp(names[i], "...") == 0))
            return err_set(err, ERR_INVALID, "%s[%zu]: '%.100s' is no name of a label", what, i,
                           names[i]);
    return ERR_OK;
}

static enum err_code
check_route(const AlertRoute *route, struct err *err)
{
    if (route->position < 0 || route->position > POSITION_MAX)
        return err_set(err, ERR_INVALID, "position: 0 to %d", POSITION_MAX);
    if (route->n_receivers == 0 || route->n_receivers > RECEIVERS_MAX)
        return err_set(err, ERR_INVALID, "receivers: 1 to %d", RECEIVERS_MAX);
    for (size_t i = 0; i < route->n_receivers; i++)
        if (alert_check_name("receiver", route->receivers[i], err))
            return err_wrap(err, "receivers[%zu]", i);
    if (matchers_check("match", route->match, route->n_match, err) ||
        check_label_names("group_by", route->group_by, route->n_group_by, true, err) ||
        check_seconds("group_wait_s", route->group_wait_s, err) ||
        check_seconds("repeat_interval_s", route->repeat_interval_s, err) ||
        check_seconds("escalate_after_s", route->escalate_after_s, err))
        return err->code;
    if ((route->escalate_after_s > 0) != (*route->escalate_to != '\0'))
        return err_set(err, ERR_INVALID, "escalate_to: goes with escalate_after_s");
    if (*route->escalate_to)
        return alert_check_name("escalate_to", route->escalate_to, err);
    return ERR_OK;
}

static enum err_code
check_inhibition(const AlertInhibition *inhibition, struct err *err)
{
    if (inhibition->n_source == 0 || inhibition->n_target == 0)
        return err_set(err, ERR_INVALID, "%s: at least one matcher",
                       inhibition->n_source == 0 ? "source" : "target");
    if (matchers_check("source", inhibition->source, inhibition->n_source, err) ||
        matchers_check("target", inhibition->target, inhibition->n_target, err))
        return err->code;
    return check_label_names("equal", inhibition->equal, inhibition->n_equal, false, err);
}

enum err_code
entry_check(enum entry_kind kind, const ProtobufCMessage *entry, struct err *err)
{
    if (alert_check_name("name", entry_name(entry), err))
        return err->code;
    switch (kind) {
    case ENTRY_RULE:
        return check_rule((const AlertRule *)entry, err);
    case ENTRY_RECEIVER:
        return check_receiver((const AlertReceiver *)entry, err);
    case ENTRY_ROUTE:
        return check_route((const AlertRoute *)entry, err);
    case ENTRY_INHIBITION:
    case ENTRY_KINDS:
        break;
    }
    return check_inhibition((const AlertInhibition *)entry, err);
}

enum err_code
route_check_receivers(const AlertRoute *route, const AlertConfig *config, const AlertConfig *base,
                      struct err *err)
{
    for (size_t i = 0; i <= route->n_receivers; i++) {
        bool last = i == route->n_receivers;
        const char *name = last ? route->escalate_to : route->receivers[i];
        if (*name && !rulebook_receiver(config, name) && !(base && rulebook_receiver(base, name)))
            return err_set(err, ERR_PRECONDITION, "%s: there is no receiver '%s'",
                           last ? "escalate_to" : "receivers", name);
    }
    return ERR_OK;
}

enum err_code
rulebook_check(const AlertConfig *config, const AlertConfig *base, struct err *err)
{
    for (int kind = 0; kind < ENTRY_KINDS; kind++) {
        size_t count;
        ProtobufCMessage **list = rulebook_entries(config, (enum entry_kind)kind, &count);
        for (size_t i = 0; i < count; i++) {
            enum err_code code = entry_check((enum entry_kind)kind, list[i], err);
            for (size_t k = 0; k < i && !code; k++)
                if (strcmp(entry_name(list[k]), entry_name(list[i])) == 0)
                    code =
                        err_set(err, ERR_INVALID, "name: '%s' is given twice", entry_name(list[i]));
            if (!code && kind == ENTRY_ROUTE)
                code = route_check_receivers((const AlertRoute *)list[i], config, base, err);
            if (code)
                return err_wrap(err, "%s[%zu]", entry_types[kind].list, i);
        }
        if (count > RULEBOOK_ENTRIES_MAX)
            return err_set(err, ERR_TOO_LARGE, "%s: more than %d", entry_types[kind].list,
                           RULEBOOK_ENTRIES_MAX);
    }
    return ERR_OK;
}
