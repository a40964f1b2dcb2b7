/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drift.c - what an endpoint does by itself about drift: go back, ask for another model, or both, each
 * unless there is an objection; the decision is kept with its reasons.
 */
#include "changes.h"

#include <string.h>

#define COLUMNS_TOLD 20 /* of a RetrainRequested */

/* "drift of 3 of 30 columns: mean_radius, mean_area, worst_area". */
static char *
drift_reason(struct arena *arena, const Modelbus__Monitoring__V1__DriftDetected *event)
{
    char *text = arena_printf(arena, "drift of %u of %u columns", event->drifted, event->checked);

    for (size_t i = 0; i < event->n_columns && i < 3; i++)
        text = arena_printf(arena, "%s%s %.80s", text, i ? "," : ":", event->columns[i]->column);
    return text;
}

/* *objection: why not, NULL: it has rolled back. That there is nothing to go back to shows before
 * anything is written. */
static MUST_CHECK enum err_code
go_back(const struct change *change, struct endpoint *endpoint, const char *model_name,
        const struct deployment_past *past, const char *reason, const char **objection,
        struct err *err)
{
    const DriftPolicy *policy = endpoint->policy;
    int64_t avoid_s = policy->avoid_s ? policy->avoid_s : DEPLOYMENT_AVOID_S;
    struct avoided avoided = {.model_name = model_name};

    *objection = deployment_rollback_objection(policy, past, change->now_ms, change->store.arena);
    if (*objection)
        return ERR_OK;
    if (store_drift_left(&change->store, endpoint->name, model_name,
                         change->now_ms - avoid_s * 1000, &avoided.versions, &avoided.count, err))
        return err->code;
    if (change_go_back(change, endpoint, 0, &avoided, reason, err) == ERR_OK)
        return ERR_OK;
    if (err->code != ERR_PRECONDITION)
        return err->code;
    *objection = arena_strdup(change->store.arena, err->message);
    *err = (struct err){0};
    return ERR_OK;
}

/* *objection: why not, NULL: it has asked. */
static MUST_CHECK enum err_code
ask_for_retraining(const struct change *change, const struct endpoint *endpoint,
                   const Modelbus__Monitoring__V1__DriftDetected *event,
                   const struct deployment_past *past, char *reason, const char **objection,
                   struct err *err)
{
    Modelbus__Deployment__V1__RetrainRequested say =
        MODELBUS__DEPLOYMENT__V1__RETRAIN_REQUESTED__INIT;
    char *columns[COLUMNS_TOLD];

    *objection =
        deployment_retrain_objection(endpoint->policy, past, change->now_ms, change->store.arena);
    if (*objection)
        return ERR_OK;
    for (; say.n_columns < event->n_columns && say.n_columns < COLUMNS_TOLD; say.n_columns++)
        columns[say.n_columns] = event->columns[say.n_columns]->column;
    say.columns = columns;
    say.endpoint = (char *)endpoint->name;
    say.model_name = event->model_name;
    say.version = event->version;
    say.pipeline = endpoint->policy->pipeline;
    say.episode = event->episode;
    say.report_id = event->report_id;
    if (event->window) {
        say.window_number = event->window->number;
        say.window_start_ms = event->window->start_ms;
        say.window_end_ms = event->window->end_ms;
    }
    say.requested_at_ms = change->now_ms;
    say.reason = reason;
    return change_say(change, &say.base, err);
}

/* Both answers in one line: what was done and because of what, and what was not done and why. */
static char *
explain(struct arena *arena, unsigned answers, const char *reason, const char *no_rollback,
        const char *no_retraining)
{
    bool rolled_back = answers & DEPLOYMENT_ROLL_BACK && !no_rollback;
    bool retrains = answers & DEPLOYMENT_RETRAIN && !no_retraining;
    const char *text = rolled_back || retrains ? reason : "";

    if (answers == DEPLOYMENT_ROLL_BACK || answers == DEPLOYMENT_RETRAIN)
        return arena_strdup(arena, *text ? text : no_rollback ? no_rollback : no_retraining);
    if (no_rollback)
        text = arena_printf(arena, "%s%sno rollback: %s", text, *text ? "; " : "", no_rollback);
    if (no_retraining)
        text = arena_printf(arena, "%s%sno retraining: %s", text, *text ? "; " : "", no_retraining);
    return arena_strdup(arena, text);
}

static MUST_CHECK enum err_code
act(const struct change *change, struct endpoint *endpoint,
    const Modelbus__Monitoring__V1__DriftDetected *event, const struct deployment_past *past,
    DriftAction *action, struct err *err)
{
    char *reason = drift_reason(change->store.arena, event);
    unsigned answers = deployment_answers(endpoint->policy);
    const char *no_rollback = NULL, *no_retraining = NULL;

    if (answers & DEPLOYMENT_ROLL_BACK &&
        go_back(change, endpoint, event->model_name, past, reason, &no_rollback, err))
        return err->code;
    if (answers & DEPLOYMENT_RETRAIN &&
        ask_for_retraining(change, endpoint, event, past, reason, &no_retraining, err))
        return err->code;
    bool rolled_back = answers & DEPLOYMENT_ROLL_BACK && !no_rollback;
    bool retrains = answers & DEPLOYMENT_RETRAIN && !no_retraining;
    if (rolled_back)
        action->to_version = endpoint->target->version;
    if (retrains)
        action->pipeline = endpoint->policy->pipeline;
    action->action = rolled_back && retrains ? DEPLOYMENT_ROLLED_BACK " and " DEPLOYMENT_RETRAINS
                     : rolled_back           ? DEPLOYMENT_ROLLED_BACK
                     : retrains              ? DEPLOYMENT_RETRAINS
                                             : DEPLOYMENT_NOTHING;
    action->why = explain(change->store.arena, answers, reason, no_rollback, no_retraining);
    return ERR_OK;
}

enum err_code
change_drift_detected(const struct change *change,
                      const Modelbus__Monitoring__V1__DriftDetected *event, struct err *err)
{
    DriftAction action = MODELBUS__DEPLOYMENT__V1__DRIFT_ACTION__INIT;
    struct endpoint *endpoint;
    struct drift_past past;

    if (store_find_endpoint(&change->store, event->endpoint, &endpoint, err))
        return err->code;
    if (!endpoint || endpoint->deleted)
        return ERR_OK;
    if (store_drift_past(&change->store, endpoint->name, event->episode,
                         change->now_ms - DEPLOYMENT_DAY_MS, &past, err))
        return err->code;
    if (past.known)
        return ERR_OK;
    action.episode = event->episode;
    action.report_id = event->report_id;
    action.model_name = event->model_name;
    action.version = event->version;
    action.action = DEPLOYMENT_NOTHING;
    action.decided_at_ms = change->now_ms;
    const char *objection =
        deployment_objection(endpoint, event->model_name, event->version, change->store.arena);
    if (objection)
        action.why = (char *)objection;
    else if (act(change, endpoint, event, &past.done, &action, err))
        return err->code;
    return store_add_drift_action(&change->store, endpoint->name, past.number + 1, &action, err);
}

enum err_code
change_policy(const struct change *change, const char *name, const DriftPolicy *policy,
              struct err *err)
{
    struct endpoint *endpoint;

    if (store_get_endpoint(&change->store, name, STORE_LOCK, &endpoint, err))
        return err->code;
    return store_set_policy(&change->store, name, policy, err);
}
