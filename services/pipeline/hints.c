/* SPDX-License-Identifier: Apache-2.0 */
/* hints.c - who is told after a commit that something has changed. */
#include "pipeline.h"
#include "scheduler.h"

#include "db/db_listen.h"

#include <stdio.h>
#include <string.h>

struct change
pipeline_call(const void *arg, const struct rpc_call *call)
{
    struct change change = change_of_call(arg, call);

    change.now_ms = pipeline_state(&change)->clock();
    return change;
}

struct change
pipeline_event(const void *arg, const struct event_context *context)
{
    struct change change = change_of_event(arg, context);

    change.store.queue = true; /* its arena ends before the commit */
    change.now_ms = pipeline_state(&change)->clock();
    return change;
}

struct hint {
    struct pipeline_state *state;
    const char *topic;
    int64_t due_ms;
};

static void
tell(void *arg)
{
    const struct hint *hint = arg;

    if (*hint->topic)
        pipeline_wake(hint->state, hint->topic);
    if (hint->due_ms != INT64_MAX && hint->state->scheduler)
        scheduler_due(hint->state->scheduler, hint->due_ms);
}

static void
tell_all(void *arg)
{
    struct pipeline_state *state = arg;

    pipeline_wake(state, "");
    if (state->scheduler)
        scheduler_due(state->scheduler, 0);
}

void
pipeline_hint(const struct change *change, const char *topic, int64_t due_ms)
{
    if (change->store.queue) {
        db_after_commit(change->store.db, tell_all, pipeline_state(change));
        return;
    }
    struct hint *hint = arena_alloc(change->store.arena, sizeof(*hint));
    *hint = (struct hint){pipeline_state(change), arena_strdup(change->store.arena, topic), due_ms};
    db_after_commit(change->store.db, tell, hint);
}

void
pipeline_wake(struct pipeline_state *state, const char *topic)
{
    char text[DB_TOPIC_MAX + 1];

    service_wake(state->service, topic);
    if (!state->listener)
        return;
    snprintf(text, sizeof(text), "%s|%s", state->instance, topic);
    db_notify(state->listener, text);
}

void
pipeline_heard(void *arg, const char *topic)
{
    struct pipeline_state *state = arg;
    const char *bar = strchr(topic, '|');

    if (bar && strncmp(topic, state->instance, (size_t)(bar - topic)) == 0)
        return;
    service_wake(state->service, bar ? bar + 1 : "");
}
