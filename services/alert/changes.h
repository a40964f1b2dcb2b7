/* SPDX-License-Identifier: Apache-2.0 */
/*
 * changes.h - changes of alerts with the events and the notifications that they cause, in one
 * transaction.
 *
 * What handlers of events and of queries and the delivery do. All on change->store.db, whose
 * transaction the caller commits; the delivery is woken then. An alert's row is locked before
 * anything is said of it.
 */
#pragma once

#include "envelope.h"
#include "layers.h"
#include "service.h"
#include "store.h"

struct delivery;

/* What service->state is. */
struct alert_state {
    struct layers *layers;
    struct delivery *delivery; /* NULL: nobody delivers (tests) */
};

struct alert_settings {
    char *allow_private;
    int64_t delivery_threads, delivery_timeout_ms;
    int64_t max_event_age_s;
    int64_t retention_s;
    char *rules_file;
    char *external_url;
    char *smtp_from, *smtp_password, *smtp_url, *smtp_user;
};

/* What counts in the change's workspace, and of it what the workspace has put (rows; may be
 * NULL). */
MUST_CHECK enum err_code change_rulebook(const struct change *change, AlertConfig **rulebook,
                                         AlertConfig **rows, struct err *err);
/* What rules make of an event. */
MUST_CHECK enum err_code change_event(const struct change *change,
                                      const struct event_envelope *envelope,
                                      const struct event_type *type, const ProtobufCMessage *event,
                                      struct err *err);
/* A locked alert that fires is resolved; says AlertResolved, and tells who was told. */
MUST_CHECK enum err_code change_resolve(const struct change *change, Alert *alert,
                                        const char *reason, struct err *err);
MUST_CHECK enum err_code change_acknowledge(const struct change *change, const char *id,
                                            const char *comment, struct err *err);
/* ERR_PRECONDITION: it does not fire any more. */
MUST_CHECK enum err_code change_resolve_by_hand(const struct change *change, const char *id,
                                                struct err *err);
MUST_CHECK enum err_code change_end_silence(const struct change *change, const char *id,
                                            struct err *err);
/* Checks the entry. ERR_INVALID, ERR_PRECONDITION: names what is not there, or too many. */
MUST_CHECK enum err_code change_put(const struct change *change, enum entry_kind kind,
                                    const ProtobufCMessage *entry, struct err *err);
/* ERR_NOT_FOUND; ERR_PRECONDITION: it is not the workspace's own, or a route needs it. The
 * alerts of a rule that is gone are resolved. */
MUST_CHECK enum err_code change_delete(const struct change *change, enum entry_kind kind,
                                       const char *name, struct err *err);

/* ---- what main.c wires ---- */
/* Fills alert_events from the catalogue; before service_main(). events.c */
void alert_subscribe(void);
extern struct event_subscription alert_events[]; /* events.c */
extern const struct rpc_method alert_queries[];  /* queries.c */
extern const struct embed_file alert_schema[];   /* schema/ */
extern const struct config_key alert_config[];   /* wiring.c */
extern struct alert_settings alert_settings;     /* wiring.c */
enum err_code alert_start(struct service *service, struct err *err);
bool alert_stop(struct service *service, int64_t deadline_ms);
void alert_reload(struct service *service);
