/* SPDX-License-Identifier: Apache-2.0 */
/* start.c - runs start: by hand, for times in the past, by triggers. */
#include "changes.h"
#include "cron.h"
#include "triggers.h"

#include "trace/trace.h"

#include <string.h>

#define PB(suffix) modelbus__pipeline__v1__##suffix

static MUST_CHECK enum err_code
set_parameters(PipelineRun *body, const struct start *start, struct arena *arena, struct err *err)
{
    size_t count = start->definition->n_parameters;
    const char **values = arena_alloc(arena, count * sizeof(*values));

    if (parameters_resolve(start->definition, start->given, start->given_count, values, arena, err))
        return err->code;
    body->n_parameters = count;
    body->parameters = arena_alloc(arena, count * sizeof(*body->parameters));
    for (size_t i = 0; i < count; i++) {
        RunParameter *parameter = arena_alloc(arena, sizeof(*parameter));
        PB(run_parameter__init)(parameter);
        parameter->name = start->definition->parameters[i]->name;
        parameter->value = (char *)values[i];
        body->parameters[i] = parameter;
    }
    return ERR_OK;
}

/* It may have ended meanwhile. */
static MUST_CHECK enum err_code
replace_run(const struct change *change, const char *run, struct err *err)
{
    struct advance a;

    if (advance_open(&a, change, run, err))
        return err->code;
    if (a.run->finished_ms)
        return ERR_OK;
    if (advance_cancel(&a, "replaced by another run", err))
        return err->code;
    return advance_close(&a, err);
}

static void
trace_of(const struct start *start, struct trace *trace)
{
    if (start->traceparent && trace_parse(start->traceparent, trace))
        return;
    if (trace_current())
        trace_child(trace_current(), trace);
    else
        trace_start(trace);
}

enum err_code
change_make_room(const struct change *change, const Definition *definition, const char **forbidden,
                 bool *wait, struct err *err)
{
    const char **active;
    size_t count;

    *forbidden = NULL;
    *wait = false;
    if (!definition_is_exclusive(definition))
        return ERR_OK;
    if (store_active_runs(&change->store, definition->name, &active, &count, err))
        return err->code;
    if (count == 0)
        return ERR_OK;
    if (strcmp(definition->concurrency, "forbid") == 0) {
        *forbidden = active[0];
        return ERR_OK;
    }
    for (size_t i = 0; i < count; i++)
        if (replace_run(change, active[i], err))
            return err->code;
    /* What they still run gets its grace. Their rows are locked: none ends before this commits. */
    if (store_active_runs(&change->store, definition->name, &active, &count, err))
        return err->code;
    *wait = count > 0;
    return ERR_OK;
}

enum err_code
change_forbidden(const char *pipeline, const char *active, struct err *err)
{
    return err_set(err, ERR_PRECONDITION,
                   "run %s of '%s' is active, and the pipeline's concurrency is 'forbid': wait "
                   "until that run has ended, or cancel it",
                   active, pipeline);
}

enum err_code
change_start(const struct change *change, const struct start *start, const char **id,
             enum started *outcome, struct err *err)
{
    struct arena *arena = change->store.arena;
    PipelineRun body = MODELBUS__PIPELINE__V1__PIPELINE_RUN__INIT;
    char text[37], traceparent[TRACE_PARENT_LEN + 1];
    const char *forbidden = NULL;
    bool wait = false, fresh;
    struct trace trace;

    if (set_parameters(&body, start, arena, err) ||
        (!start->serial && change_make_room(change, start->definition, &forbidden, &wait, err)))
        return err->code;
    if (forbidden) {
        *id = forbidden;
        *outcome = START_FORBIDDEN;
        return ERR_OK;
    }
    crypto_uuid7(text);
    trace_of(start, &trace);
    trace_format(&trace, traceparent);
    body.cause = start->cause;
    body.started_by = (char *)start->by;
    const struct run run = {
        .id = arena_strdup(arena, text),
        .pipeline = start->definition->name,
        .version = start->version,
        .body = &body,
        .depth = start->depth,
        .serial = start->serial || strcmp(start->definition->concurrency, "replace") == 0,
        .traceparent = traceparent,
        .created_ms = change->now_ms,
    };
    if (store_add_run(&change->store, &run, trace.trace_id, &fresh, err))
        return err->code;
    *outcome = !fresh ? STARTED_BEFORE : wait ? STARTED_TO_WAIT : STARTED;
    *id = run.id;
    return ERR_OK;
}

enum err_code
change_begin(const struct change *change, const char *run, struct err *err)
{
    struct advance a;

    if (advance_open(&a, change, run, err))
        return err->code;
    if (a.run->begun || a.run->finished_ms)
        return ERR_OK;
    if (advance_begin(&a, err))
        return err->code;
    return advance_close(&a, err);
}

enum err_code
change_start_by_hand(const struct change *change, const char *name, int64_t version,
                     const struct parameter_given *given, size_t count, const char **run,
                     struct err *err)
{
    Cause cause = MODELBUS__PIPELINE__V1__CAUSE__INIT;
    enum started outcome;
    Pipeline *pipeline;
    int64_t newest;

    if (store_lock_pipeline(&change->store, name, &newest, NULL, err) ||
        store_get_pipeline(&change->store, name, version, &pipeline, err))
        return err->code;
    cause.kind = "manual";
    const struct start start = {.definition = pipeline->definition,
                                .version = pipeline->version,
                                .cause = &cause,
                                .given = given,
                                .given_count = count,
                                .by = change->by};
    if (change_start(change, &start, run, &outcome, err))
        return err->code;
    if (outcome == START_FORBIDDEN)
        return change_forbidden(name, *run, err);
    return outcome == STARTED_TO_WAIT ? ERR_OK : change_begin(change, *run, err);
}

/* ---- backfill ---- */

static MUST_CHECK enum err_code
find_cron(const Definition *definition, const char *name, const Trigger **found, struct err *err)
{
    size_t count = 0;

    for (size_t i = 0; i < definition->n_triggers; i++) {
        const Trigger *trigger = definition->triggers[i];
        if (!*trigger->cron || (*name && strcmp(trigger->name, name) != 0))
            continue;
        *found = trigger;
        count++;
    }
    if (count == 0)
        return err_set(err, ERR_NOT_FOUND, "'%s' has no cron trigger%s%.100s%s", definition->name,
                       *name ? " '" : "", name, *name ? "'" : "");
    return count == 1 ? ERR_OK
                      : err_set(err, ERR_INVALID, "trigger: '%s' has %zu cron triggers; which?",
                                definition->name, count);
}

static MUST_CHECK enum err_code
times_between(const Trigger *trigger, const struct backfill *backfill, int64_t **times,
              size_t *count, struct arena *arena, struct err *err)
{
    CLEANUP(cron_zone_free) struct cron_zone *zone = NULL;
    struct cron cron;
    size_t n = 0;

    if (cron_parse(trigger->cron, &cron, err) || cron_zone_open(trigger->time_zone, &zone, err))
        return err->code;
    *times = arena_alloc(arena, backfill->max_runs * sizeof(**times));
    for (int64_t t = cron_next(&cron, zone, backfill->from_ms - 1); t <= backfill->to_ms;
         t = cron_next(&cron, zone, t)) {
        if (n == backfill->max_runs)
            return err_set(err, ERR_PRECONDITION,
                           "'%s' is due more than %u times in that range; ask for a part of it, or "
                           "raise max_runs (at most %d)",
                           trigger->name, backfill->max_runs, CHANGE_BACKFILL_MAX);
        (*times)[n++] = t;
    }
    *count = n;
    return ERR_OK;
}

/* What the trigger gives, then what was asked for: the last of a name counts. */
static struct parameter_given *
merge(const Trigger *trigger, const struct backfill *backfill, size_t *count, struct arena *arena)
{
    struct parameter_given *of_trigger = trigger_given(trigger, NULL, arena);
    struct parameter_given *all =
        arena_alloc(arena, (trigger->n_parameters + backfill->given_count) * sizeof(*all));
    size_t n = 0;

    for (size_t i = 0; i < backfill->given_count; i++)
        all[n++] = backfill->given[i];
    for (size_t i = 0; i < trigger->n_parameters; i++) {
        size_t k = 0;
        while (k < backfill->given_count &&
               strcmp(backfill->given[k].name, of_trigger[i].name) != 0)
            k++;
        if (k == backfill->given_count)
            all[n++] = of_trigger[i];
    }
    *count = n;
    return all;
}

enum err_code
change_backfill(const struct change *change, const struct backfill *backfill, const char ***runs,
                size_t *count, uint32_t *skipped, struct err *err)
{
    struct arena *arena = change->store.arena;
    const Trigger *trigger = NULL;
    Pipeline *pipeline;
    int64_t newest, *times = NULL;
    size_t found = 0, given;

    if (store_lock_pipeline(&change->store, backfill->name, &newest, NULL, err) ||
        store_get_pipeline(&change->store, backfill->name, 0, &pipeline, err) ||
        find_cron(pipeline->definition, backfill->trigger, &trigger, err) ||
        times_between(trigger, backfill, &times, &found, arena, err))
        return err->code;
    struct start start = {
        .definition = pipeline->definition,
        .version = pipeline->version,
        .given = merge(trigger, backfill, &given, arena),
        .by = change->by,
        .serial = definition_is_exclusive(pipeline->definition),
    };
    start.given_count = given;
    *runs = arena_alloc(arena, found * sizeof(**runs));
    *count = 0;
    *skipped = 0;
    for (size_t i = 0; i < found; i++) {
        Cause cause = MODELBUS__PIPELINE__V1__CAUSE__INIT;
        enum started outcome;
        cause.kind = "backfill";
        cause.name = trigger->name;
        cause.logical_ms = times[i];
        start.cause = &cause;
        if (change_start(change, &start, &(*runs)[*count], &outcome, err))
            return err->code;
        if (outcome == STARTED)
            ++*count;
        else
            ++*skipped;
    }
    pipeline_hint(change, "", 0);
    return ERR_OK;
}
