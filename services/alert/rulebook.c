/* SPDX-License-Identifier: Apache-2.0 */
/* rulebook.c - which entries count, and what rules make of events. */
#include "rulebook.h"

#include "fields.h"

#include <stdlib.h>
#include <string.h>

const struct entry_type entry_types[ENTRY_KINDS] = {
    [ENTRY_RULE] = {"rule", "rules", &modelbus__alert__v1__alert_rule__descriptor},
    [ENTRY_RECEIVER] = {"receiver", "receivers", &modelbus__alert__v1__alert_receiver__descriptor},
    [ENTRY_ROUTE] = {"route", "routes", &modelbus__alert__v1__alert_route__descriptor},
    [ENTRY_INHIBITION] = {"inhibition", "inhibitions",
                          &modelbus__alert__v1__alert_inhibition__descriptor},
};

static char **
text_field(const ProtobufCMessage *message, const char *name)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);

    return (char **)((char *)message + field->offset);
}

const char *
entry_name(const ProtobufCMessage *entry)
{
    return *text_field(entry, "name");
}

void
entry_set_origin(ProtobufCMessage *entry, const char *origin)
{
    *text_field(entry, "origin") = (char *)origin;
}

static ProtobufCMessage ***
list_of(const AlertConfig *config, enum entry_kind kind, size_t **count)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(
        config->base.descriptor, entry_types[kind].list);

    *count = (size_t *)((char *)config + field->quantifier_offset);
    return (ProtobufCMessage ***)((char *)config + field->offset);
}

ProtobufCMessage **
rulebook_entries(const AlertConfig *config, enum entry_kind kind, size_t *count)
{
    size_t *n;
    ProtobufCMessage **list = *list_of(config, kind, &n);

    *count = *n;
    return list;
}

void
rulebook_add(AlertConfig *config, enum entry_kind kind, ProtobufCMessage *entry,
             struct arena *arena)
{
    size_t *n;
    ProtobufCMessage ***list = list_of(config, kind, &n);

    /* Grows to powers of two. */
    if ((*n & (*n - 1)) == 0) {
        ProtobufCMessage **larger = arena_alloc(arena, (*n ? 2 * *n : 1) * sizeof(*larger));
        if (*n)
            memcpy(larger, *list, *n * sizeof(*larger));
        *list = larger;
    }
    (*list)[(*n)++] = entry;
}

ProtobufCMessage *
rulebook_find(const AlertConfig *config, enum entry_kind kind, const char *name)
{
    size_t count;
    ProtobufCMessage **list = rulebook_entries(config, kind, &count);

    for (size_t i = 0; i < count; i++)
        if (strcmp(entry_name(list[i]), name) == 0)
            return list[i];
    return NULL;
}

const AlertReceiver *
rulebook_receiver(const AlertConfig *config, const char *name)
{
    return (const AlertReceiver *)rulebook_find(config, ENTRY_RECEIVER, name);
}

const AlertRoute *
rulebook_route(const AlertConfig *config, const char *name)
{
    return (const AlertRoute *)rulebook_find(config, ENTRY_ROUTE, name);
}

static int
by_position(const void *a, const void *b)
{
    const AlertRoute *x = *(AlertRoute *const *)a, *y = *(AlertRoute *const *)b;

    if (x->position != y->position)
        return x->position < y->position ? -1 : 1;
    return strcmp(x->name, y->name);
}

AlertConfig *
rulebook_merge(const AlertConfig *const *layers, size_t count, struct arena *arena)
{
    AlertConfig *merged = arena_alloc(arena, sizeof(*merged));

    modelbus__alert__v1__alert_config__init(merged);
    for (size_t i = count; i-- > 0;) {
        for (int kind = 0; layers[i] && kind < ENTRY_KINDS; kind++) {
            size_t n;
            ProtobufCMessage **list = rulebook_entries(layers[i], (enum entry_kind)kind, &n);
            for (size_t k = 0; k < n; k++)
                if (!rulebook_find(merged, (enum entry_kind)kind, entry_name(list[k])))
                    rulebook_add(merged, (enum entry_kind)kind, list[k], arena);
        }
    }
    if (merged->n_routes)
        qsort(merged->routes, merged->n_routes, sizeof(merged->routes[0]), by_position);
    return merged;
}

/* ---- rules and events ---- */

const char *
rule_severity(const AlertRule *rule)
{
    return *rule->severity ? rule->severity : "warning";
}

static Label *
label(const char *key, const char *value, struct arena *arena)
{
    Label *l = arena_alloc(arena, sizeof(*l));

    modelbus__alert__v1__label__init(l);
    l->key = (char *)key;
    l->value = (char *)value;
    return l;
}

struct labels
rule_labels(const AlertRule *rule, const ProtobufCMessage *event, const char *workspace,
            struct arena *arena)
{
    struct labels labels = {arena_alloc(arena, (rule->n_labels + 3) * sizeof(Label *)), 0};

    labels.items[labels.count++] = label("alertname", rule->name, arena);
    labels.items[labels.count++] = label("severity", rule_severity(rule), arena);
    labels.items[labels.count++] = label("workspace", workspace, arena);
    for (size_t i = 0; i < rule->n_labels; i++)
        labels.items[labels.count++] = label(
            rule->labels[i]->key,
            template_expand(event, rule->labels[i]->value, ALERT_LABEL_VALUE_MAX, arena), arena);
    labels_sort(&labels);
    return labels;
}

struct labels
rule_annotations(const AlertRule *rule, const ProtobufCMessage *event, struct arena *arena)
{
    struct labels all = {arena_alloc(arena, (rule->n_annotations + 1) * sizeof(Label *)), 0};

    for (size_t i = 0; i < rule->n_annotations; i++)
        all.items[all.count++] =
            label(rule->annotations[i]->key,
                  template_expand(event, rule->annotations[i]->value, ALERT_ANNOTATION_MAX, arena),
                  arena);
    return all;
}

static bool
all_hold(char *const *conditions, size_t count, const ProtobufCMessage *event)
{
    for (size_t i = 0; i < count; i++)
        if (!condition_holds(event, conditions[i]))
            return false;
    return true;
}

bool
rule_fires(const AlertRule *rule, const struct event_type *type, const ProtobufCMessage *event)
{
    return !rule->disabled && event_type_named(rule->event) == type &&
           all_hold(rule->when, rule->n_when, event);
}

bool
rule_resolves(const AlertRule *rule, const struct event_type *type, const ProtobufCMessage *event)
{
    return !rule->disabled && *rule->resolve_on && event_type_named(rule->resolve_on) == type &&
           all_hold(rule->resolve_when, rule->n_resolve_when, event);
}
