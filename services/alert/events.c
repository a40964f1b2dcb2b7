/* SPDX-License-Identifier: Apache-2.0 */
/* events.c - what the alert service hears: every event that a rule may name. */
#include "changes.h"

#include <stdlib.h>

#define EVENTS_MAX 200

struct event_subscription alert_events[EVENTS_MAX];

static enum err_code
on_event(void *arg, const ProtobufCMessage *event, struct event_context *context, struct err *err)
{
    struct change change = change_of_event(arg, context);

    return change_event(&change, context->envelope, event_type_of(event->descriptor), event, err);
}

void
alert_subscribe(void)
{
    size_t count = 0;

    for (const struct event_type *t = event_types; t->descriptor; t++) {
        if (!event_can_alert(t))
            continue;
        if (count == EVENTS_MAX - 1)
            abort(); /* the catalogue has outgrown the table */
        alert_events[count++] =
            (struct event_subscription){.type = t->descriptor, .handler = on_event};
    }
    alert_events[count] = (struct event_subscription){.type = NULL};
}
