/* SPDX-License-Identifier: Apache-2.0 */
/* changes.c - pipelines are applied, paused and deleted; runs go on. */
#include "changes.h"

#include "cron.h"
#include "triggers.h"

#include "trace/trace.h"

#include <string.h>

/* ---- applied ---- */

static const char *
schedule_of(const Trigger *trigger, struct arena *arena)
{
    return arena_printf(arena, "%s %s", trigger->cron, trigger->time_zone);
}

static MUST_CHECK enum err_code
next_due(const Trigger *trigger, int64_t after_ms, int64_t *due_ms, struct err *err)
{
    CLEANUP(cron_zone_free) struct cron_zone *zone = NULL;
    struct cron cron;

    *due_ms = INT64_MAX;
    if (trigger->disabled)
        return ERR_OK;
    if (cron_parse(trigger->cron, &cron, err) || cron_zone_open(trigger->time_zone, &zone, err))
        return err->code;
    *due_ms = cron_next(&cron, zone, after_ms);
    return ERR_OK;
}

static const Trigger *
cron_trigger(const Definition *definition, const char *name)
{
    for (size_t i = 0; i < definition->n_triggers; i++)
        if (*definition->triggers[i]->cron && strcmp(definition->triggers[i]->name, name) == 0)
            return definition->triggers[i];
    return NULL;
}

/* A schedule that stays goes on where it was, so that applying a file misses and repeats nothing. */
static MUST_CHECK enum err_code
set_triggers(const struct change *change, const Definition *definition, bool paused, bool keep,
             struct err *err)
{
    const struct store *store = &change->store;
    struct cron_state *before;
    size_t count;

    if (store_list_cron(store, definition->name, &before, &count, err))
        return err->code;
    for (size_t i = 0; i < count; i++)
        if (!cron_trigger(definition, before[i].trigger) &&
            store_drop_cron(store, definition->name, before[i].trigger, err))
            return err->code;
    for (size_t i = 0; i < definition->n_triggers; i++) {
        const Trigger *trigger = definition->triggers[i];
        struct cron_state state = {trigger->name, schedule_of(trigger, store->arena), INT64_MAX};
        if (!*trigger->cron)
            continue;
        if (!paused && next_due(trigger, change->now_ms, &state.next_due_ms, err))
            return err->code;
        for (size_t k = 0; keep && k < count; k++)
            if (strcmp(before[k].trigger, state.trigger) == 0 &&
                strcmp(before[k].schedule, state.schedule) == 0 &&
                before[k].next_due_ms != INT64_MAX && !trigger->disabled)
                state.next_due_ms = before[k].next_due_ms;
        if (store_put_cron(store, definition->name, &state, 0, err))
            return err->code;
    }
    return ERR_OK;
}

static size_t
heard_of(const Definition *definition, const char ***heard, struct arena *arena)
{
    size_t count = 0;

    *heard = arena_alloc(arena, definition->n_triggers * sizeof(**heard));
    for (size_t i = 0; i < definition->n_triggers; i++) {
        const Trigger *trigger = definition->triggers[i];
        if (*trigger->event || *trigger->pipeline)
            (*heard)[count++] = *trigger->event ? trigger->event : "PipelineFinished";
    }
    return count;
}

bool
same_message(const ProtobufCMessage *a, const ProtobufCMessage *b, struct arena *arena)
{
    struct db_param x = db_message(arena, a), y = db_message(arena, b);

    return x.value.bytes.len == y.value.bytes.len &&
           memcmp(x.value.bytes.data, y.value.bytes.data, x.value.bytes.len) == 0;
}

enum err_code
change_apply(const struct change *change, const char *text, bool dry_run, const char **outcome,
             const char **name, struct err *err)
{
    const struct store *store = &change->store;
    Definition *definition;
    Pipeline *newest = NULL;
    const char **heard;
    int64_t version;
    bool paused;

    if (definition_parse(text, strlen(text), store->arena, &definition, err))
        return err->code;
    *name = definition->name;
    if (store_lock_pipeline(store, definition->name, &version, &paused, err) ||
        (version && store_get_pipeline(store, definition->name, version, &newest, err)))
        return err->code;
    if (newest && same_message(&newest->definition->base, &definition->base, store->arena)) {
        *outcome = "unchanged";
        return ERR_OK;
    }
    *outcome = newest ? "changed" : "created";
    if (dry_run)
        return ERR_OK;
    size_t count = heard_of(definition, &heard, store->arena);
    pipeline_hint(change, "", 0);
    if (store_put_version(store, version + 1, definition, heard, count, change->by, change->now_ms,
                          err) ||
        set_triggers(change, definition, paused, true, err))
        return err->code;
    return store_grow_revision(store, err);
}

enum err_code
change_pause(const struct change *change, const char *name, bool paused, struct err *err)
{
    const struct store *store = &change->store;
    Pipeline *pipeline;
    int64_t version;
    bool before;

    if (store_lock_pipeline(store, name, &version, &before, err) ||
        store_get_pipeline(store, name, 0, &pipeline, err))
        return err->code;
    if (before == paused)
        return ERR_OK;
    pipeline_hint(change, "", 0);
    /* Times while it was paused are not missed: they were not wanted. */
    if (store_set_paused(store, name, paused, err) ||
        set_triggers(change, pipeline->definition, paused, false, err))
        return err->code;
    return store_grow_revision(store, err);
}

enum err_code
change_delete(const struct change *change, const char *name, struct err *err)
{
    const struct store *store = &change->store;
    const char **active;
    int64_t version;
    size_t count;

    if (store_lock_pipeline(store, name, &version, NULL, err))
        return err->code;
    if (version == 0)
        return err_set(err, ERR_NOT_FOUND, "there is no pipeline '%s'", name);
    if (store_active_runs(store, name, &active, &count, err))
        return err->code;
    if (count)
        return err_set(err, ERR_PRECONDITION, "%zu runs of '%s' are active; cancel them first",
                       count, name);
    if (store_delete_pipeline(store, name, err))
        return err->code;
    return store_grow_revision(store, err);
}

/* ---- cron ---- */

/* How many of the times that it has missed a trigger wants, the last ones. */
static size_t
wanted_of(const Trigger *trigger)
{
    if (strcmp(trigger->catch_up, "all") == 0)
        return trigger->catch_up_max ? trigger->catch_up_max : CHANGE_BACKFILL;
    return strcmp(trigger->catch_up, "last") == 0;
}

/*
 * From when on the last `wanted` times before late_ms are found, not before from_ms. Looks back in
 * steps that double: a trigger of every second that slept for a year must not count the seconds.
 */
static int64_t
look_back(const struct cron *cron, const struct cron_zone *zone, size_t wanted, int64_t from_ms,
          int64_t late_ms)
{
    int64_t begin_ms = late_ms;
    size_t found = 0;

    for (int64_t span_ms = CHANGE_MISSED_MS; found < wanted && begin_ms > from_ms; span_ms *= 2) {
        begin_ms = late_ms - span_ms;
        found = 0;
        for (int64_t t = cron_next(cron, zone, begin_ms - 1); t < late_ms && found < wanted;
             t = cron_next(cron, zone, t))
            found++;
    }
    return begin_ms > from_ms ? begin_ms : from_ms;
}

/* The times that are due: those that are only late, and of those missed what the trigger wants. */
static MUST_CHECK enum err_code
due_times(const struct change *change, const Trigger *trigger, int64_t from_ms, int64_t **times,
          size_t *count, int64_t *next_ms, struct err *err)
{
    CLEANUP(cron_zone_free) struct cron_zone *zone = NULL;
    CLEANUP(buf_done) struct buf list = {0};
    int64_t late_ms = change->now_ms - CHANGE_MISSED_MS, t;
    size_t wanted = wanted_of(trigger), missed = 0, n = 0;
    struct cron cron;

    if (cron_parse(trigger->cron, &cron, err) || cron_zone_open(trigger->time_zone, &zone, err))
        return err->code;
    t = cron_next(&cron, zone, look_back(&cron, zone, wanted, from_ms, late_ms) - 1);
    for (; t <= change->now_ms; t = cron_next(&cron, zone, t), n++) {
        buf_add(&list, &t, sizeof(t));
        missed += t < late_ms;
    }
    size_t passed = missed > wanted ? missed - wanted : 0;
    *times =
        (int64_t *)arena_memdup(change->store.arena, list.data ? list.data : "", list.len) + passed;
    *count = n - passed;
    *next_ms = t;
    return ERR_OK;
}

static MUST_CHECK enum err_code
fire(const struct change *change, const Pipeline *pipeline, const Trigger *trigger,
     const struct cron_state *was, struct err *err)
{
    const struct store *store = &change->store;
    struct cron_state state = {was->trigger, was->schedule, INT64_MAX};
    struct start start = {
        .definition = pipeline->definition, .version = pipeline->version, .by = "cron"};
    struct trace trace;
    int64_t *times = NULL;
    size_t count = 0;

    if (due_times(change, trigger, was->next_due_ms, &times, &count, &state.next_due_ms, err))
        return err->code;
    struct parameter_given *given = trigger_given(trigger, NULL, store->arena);
    start.given = given;
    start.given_count = trigger->n_parameters;
    for (size_t i = 0; i < count; i++) {
        char traceparent[TRACE_PARENT_LEN + 1];
        Cause cause = MODELBUS__PIPELINE__V1__CAUSE__INIT;
        enum started outcome;
        const char *run;
        cause.kind = "cron";
        cause.name = trigger->name;
        cause.logical_ms = times[i];
        start.cause = &cause;
        trace_start(&trace);
        trace_format(&trace, traceparent);
        start.traceparent = traceparent;
        if (trigger_start(change, &start, &run, &outcome, err))
            return err->code;
    }
    return store_put_cron(store, pipeline->name, &state, count ? times[count - 1] : 0, err);
}

enum err_code
change_fire_cron(const struct change *change, const char *name, struct err *err)
{
    struct cron_state *states;
    Pipeline *pipeline;
    size_t count;

    if (store_get_pipeline(&change->store, name, 0, &pipeline, err) ||
        store_list_cron(&change->store, name, &states, &count, err))
        return err->code;
    for (size_t i = 0; i < count; i++) {
        const Trigger *trigger = cron_trigger(pipeline->definition, states[i].trigger);
        if (trigger && states[i].next_due_ms <= change->now_ms &&
            fire(change, pipeline, trigger, &states[i], err))
            return err_wrap(err, "trigger '%s' of '%s'", states[i].trigger, name);
    }
    return ERR_OK;
}

/* ---- runs go on ---- */

enum err_code
change_cancel(const struct change *change, const char *run, const char *reason, struct err *err)
{
    struct advance a;

    if (advance_open(&a, change, run, err) ||
        advance_cancel(
            &a, *reason ? reason : arena_printf(change->store.arena, "by %s", change->by), err))
        return err->code;
    return advance_close(&a, err);
}

enum err_code
change_resume(const struct change *change, const char *run, const char *task, struct err *err)
{
    const char *forbidden;
    PipelineRun *known;
    struct advance a;
    int64_t newest;
    bool wait;

    if (store_get_run(&change->store, run, &known, err) ||
        store_lock_pipeline(&change->store, known->pipeline, &newest, NULL, err) ||
        advance_open(&a, change, run, err) || advance_resume(&a, *task ? task : NULL, err) ||
        change_make_room(change, a.run->definition, &forbidden, &wait, err))
        return err->code;
    if (forbidden)
        return change_forbidden(known->pipeline, forbidden, err);
    a.run->serial = a.run->serial || wait;
    if (!wait && advance_begin(&a, err))
        return err->code;
    return advance_close(&a, err);
}

enum err_code
change_lose(const struct change *change, const char *run, const char *lease, struct err *err)
{
    static const struct ending lost = {.status = "lost", .reason = "its worker vanished"};
    struct attempt *const *attempts;
    struct advance a;

    if (advance_open(&a, change, run, err) ||
        store_lock_attempts(&change->store, &lease, 1, &attempts, err))
        return err->code;
    const struct attempt *attempt = attempts[0];
    if (strcmp(attempt->status, "running") != 0 || attempt->leased_until_ms >= change->now_ms)
        return ERR_OK;
    if (advance_end(&a, attempt, &lost, err))
        return err->code;
    return advance_close(&a, err);
}
