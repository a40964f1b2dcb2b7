/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_alert_rules.c - the rules file: entries that are right, whose templates and conditions
 * hold on any event of their type, or an error that says where. */
#include "fields.h"
#include "rulebook.h"

#include <stdlib.h>
#include <string.h>

static void
use(const AlertConfig *config, struct arena *arena)
{
    struct err err;

    if (rulebook_check(config, config, &err))
        abort();
    for (size_t i = 0; i < config->n_rules; i++) {
        const AlertRule *rule = config->rules[i];
        const struct event_type *type = event_type_named(rule->event);
        ProtobufCMessage *event = arena_zalloc(arena, type->descriptor->sizeof_message);
        protobuf_c_message_init(type->descriptor, event);
        (void)rule_fires(rule, type, event);
        struct labels labels = rule_labels(rule, event, "default", arena);
        for (size_t k = 0; k < config->n_routes; k++) {
            struct labels group = group_labels(config->routes[k], &labels, arena);
            if (!*group_key(config->routes[k], &group, arena))
                abort();
        }
        (void)route_of(config->routes, config->n_routes, &labels);
        (void)rule_annotations(rule, event, arena);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    struct err err = {0};
    AlertConfig *config = NULL;

    if (rulebook_parse((const char *)data, size, NULL, arena, &config, &err)) {
        if (!err.message[0] || config)
            abort();
        return 0;
    }
    use(config, arena);
    return 0;
}
