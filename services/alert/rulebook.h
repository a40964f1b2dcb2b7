/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rulebook.h - rules, receivers, routes and inhibitions: what is right, and which of them count.
 *
 * The same messages whether they are built in (defaults.yaml), from ALERT_RULES_FILE or put by
 * somebody. Entries of a later layer hide those of an earlier one that are of the same kind and
 * name. Nothing here does I/O; any thread.
 */
#pragma once

#include "alert.h"
#include "catalog.h"

#define RULEBOOK_ENTRIES_MAX 500      /* of a kind, of a workspace */
#define RULEBOOK_BYTES_MAX (1 << 20)  /* of a workspace: read for each event, listed in one reply */
#define RULEBOOK_TEXT_MAX (256 << 10) /* bytes of YAML */

enum entry_kind { ENTRY_RULE, ENTRY_RECEIVER, ENTRY_ROUTE, ENTRY_INHIBITION, ENTRY_KINDS };
struct entry_type {
    const char *name; /* "rule" */
    const char *list; /* field of AlertConfig */
    const ProtobufCMessageDescriptor *descriptor;
};
extern const struct entry_type entry_types[ENTRY_KINDS];

/* Every entry has these fields. */
const char *entry_name(const ProtobufCMessage *entry);
void entry_set_origin(ProtobufCMessage *entry, const char *origin);
/* The entries of a kind. Borrowed. */
ProtobufCMessage **rulebook_entries(const AlertConfig *config, enum entry_kind kind, size_t *count);
void rulebook_add(AlertConfig *config, enum entry_kind kind, ProtobufCMessage *entry,
                  struct arena *arena);

/* What a rule may name: events of the catalogue, but not those of the topics where there are too
 * many of them, and not alerts themselves. */
bool event_can_alert(const struct event_type *type);

/* ERR_INVALID begins with the field: "labels[1]: …". Names of receivers are not looked up. */
MUST_CHECK enum err_code entry_check(enum entry_kind kind, const ProtobufCMessage *entry,
                                     struct err *err);
/* All entries; names once; routes name receivers that are there. base: where else receivers may
 * be; NULL. */
MUST_CHECK enum err_code rulebook_check(const AlertConfig *config, const AlertConfig *base,
                                        struct err *err);
MUST_CHECK enum err_code route_check_receivers(const AlertRoute *route, const AlertConfig *config,
                                               const AlertConfig *base, struct err *err);

/*
 * YAML in the form of AlertConfig, where labels and annotations are mappings. Checked by
 * entry_check() and, with base, by rulebook_check(). Errors begin with "line L, column C: ". In
 * arena; ERR_INVALID, ERR_TOO_LARGE. rules_file.c
 */
MUST_CHECK enum err_code rulebook_parse(const char *text, size_t len, const AlertConfig *base,
                                        struct arena *arena, AlertConfig **config, struct err *err);

/* Layers, later ones first to be asked; layer NULL: none. Routes are in their order. In arena. */
AlertConfig *rulebook_merge(const AlertConfig *const *layers, size_t count, struct arena *arena);
/* NULL: there is none of that name. */
ProtobufCMessage *rulebook_find(const AlertConfig *config, enum entry_kind kind, const char *name);
const AlertReceiver *rulebook_receiver(const AlertConfig *config, const char *name); /* or NULL */
const AlertRoute *rulebook_route(const AlertConfig *config, const char *name);       /* or NULL */

/* What a rule makes of an event of its type, or of resolve_on. In arena. */
struct labels rule_labels(const AlertRule *rule, const ProtobufCMessage *event,
                          const char *workspace, struct arena *arena);
struct labels rule_annotations(const AlertRule *rule, const ProtobufCMessage *event,
                               struct arena *arena);
const char *rule_severity(const AlertRule *rule);
/* The event fires it; or, the event resolves what it fired. */
bool rule_fires(const AlertRule *rule, const struct event_type *type,
                const ProtobufCMessage *event);
bool rule_resolves(const AlertRule *rule, const struct event_type *type,
                   const ProtobufCMessage *event);
