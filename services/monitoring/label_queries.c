/* SPDX-License-Identifier: Apache-2.0 */
/* label_queries.c - labels from those who use REST, and what became of them. */
#include "labels.h"

#include "crypto/crypto.h"
#include "page.h"
#include "values.h"

#include <string.h>

/* REQUEST(GetPerformance), RESPONSE(GetPerformance): the generated types. */
#define REQUEST(method) const Modelbus__Monitoring__V1__##method##Request
#define RESPONSE(method) Modelbus__Monitoring__V1__##method##Response

typedef Modelbus__Monitoring__V1__LabelCount LabelCount;

static const char *const meanings[LABEL_REASONS] = {
    [LABEL_RECEIVED] = "labels that came in all; each is in one of the following, or waits",
    [LABEL_JOINED] = "labels that met their prediction",
    [LABEL_DUPLICATE] = "the prediction had this label already: nothing to do",
    [LABEL_CONFLICTING] = "the prediction has another label, which stays: look for two sources of "
                          "labels that disagree, or for request ids that are used twice",
    [LABEL_UNKNOWN] =
        "no prediction with this id came within the horizon: check that ids are the "
        "requests' ids (X-Request-Id; for later rows of a request \"<id>#<row>\"), and "
        "that the pods log all of them",
    [LABEL_LATE] = "the prediction is older than the horizon: raise horizon_s, or label earlier",
    [LABEL_OUTSIDE_SAMPLE] = "the prediction is not in the sample that waits for labels: raise "
                             "sample to use it",
    [LABEL_INVALID] = "the value is not what the task wants (0, 1, true, false, or with positive "
                      "any text; of a regression a number): correct it and push it again",
    [LABEL_OFF] = "came while the endpoint had no task: set rules and push them again",
    [LABEL_DROPPED] = "waited for their predictions and went, because too many waited or because "
                      "task, output or positive class were changed: push them again",
    [PREDICTION_STORED] = "predictions that waited for labels in all",
    [PREDICTION_REPEATED] = "predictions with an id that was there already; the first one counts: "
                            "give each request an id of its own",
    [PREDICTION_UNLABELLED] = "predictions that got no label within the horizon",
    [PREDICTION_UNUSABLE] = "predictions without a finite number in the output that is compared: "
                            "see problem, and the rule output",
    [PREDICTION_DROPPED] =
        "predictions that went before they had a label, because the endpoint has "
        "more than MONITORING_PREDICTIONS_KEPT within the horizon (lower sample "
        "or horizon_s), or because task, output or positive class were changed",
};

static void
view_counts(const LabelState *state, struct arena *arena)
{
    Performance *p = state->performance;

    p->counts = arena_alloc(arena, LABEL_REASONS * sizeof(LabelCount *));
    for (enum label_reason r = 0; r < LABEL_REASONS; r++) {
        LabelCount *count = p->counts[p->n_counts++] = arena_alloc(arena, sizeof(*count));
        *count = (LabelCount)MODELBUS__MONITORING__V1__LABEL_COUNT__INIT;
        count->reason = (char *)(uintptr_t)label_reason_name(r);
        count->count = r < state->n_counts ? state->counts[r] : 0;
        count->meaning = (char *)(uintptr_t)meanings[r];
    }
}

enum err_code
labels_view(const struct change *change, const char *endpoint, Performance **performance,
            struct err *err)
{
    struct labelling l = {.change = change, .endpoint = endpoint};
    struct monitor_row row;

    if (store_get_monitor(&change->store, endpoint, false, &row, err) || labelling_begin(&l, err))
        return err->code;
    Performance *p = *performance = l.state->performance;
    p->endpoint = (char *)(uintptr_t)endpoint;
    p->rules = row.rules->performance;
    if (!label_rules_of(p->rules).on)
        p->state = "off";
    view_counts(l.state, change->store.arena);
    return ERR_OK;
}

enum err_code
get_performance(void *arg, REQUEST(GetPerformance) * request, RESPONSE(GetPerformance) * response,
                struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);

    if (value_check_name("endpoint", request->endpoint, err))
        return err->code;
    return labels_view(&change, request->endpoint, &response->performance, err);
}

/* Labels take one way: the event that this says is handled like anybody's. */
enum err_code
push_labels(void *arg, REQUEST(PushLabels) * request, RESPONSE(PushLabels) * response,
            struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    LabelsReceived event = MODELBUS__MONITORING__V1__LABELS_RECEIVED__INIT;
    struct monitor_row row;

    if (labels_check(request->endpoint, request->labels, request->n_labels, err) ||
        store_get_monitor(&change.store, request->endpoint, false, &row, err))
        return err->code;
    if (!label_rules_of(row.rules->performance).on)
        return err_set(
            err, ERR_PRECONDITION,
            "endpoint '%s' does not compare predictions with labels: say first what they "
            "are (rules.performance.task; `modelbus label rules %s --task classification`)",
            request->endpoint, request->endpoint);
    event.endpoint = request->endpoint;
    event.labels = request->labels;
    event.n_labels = request->n_labels;
    if (change_say(&change, &event.base, err))
        return err_wrap(err, "%zu labels", request->n_labels);
    response->taken = (uint32_t)request->n_labels;
    return ERR_OK;
}

enum err_code
get_performance_report(void *arg, REQUEST(GetPerformanceReport) * request,
                       RESPONSE(GetPerformanceReport) * response, struct rpc_call *call,
                       struct err *err)
{
    struct change change = change_of_call(arg, call);

    if (!crypto_is_uuid(request->id))
        return err_set(err, ERR_INVALID, "id '%.80s': not a report's", request->id);
    return store_get_performance(&change.store, request->id, &response->report, err);
}

enum err_code
list_performance_reports(void *arg, REQUEST(ListPerformanceReports) * request,
                         RESPONSE(ListPerformanceReports) * response, struct rpc_call *call,
                         struct err *err)
{
    struct change change = change_of_call(arg, call);
    const char *list =
        arena_printf(call->arena, "ListPerformanceReports %s %lld %d", request->endpoint,
                     (long long)request->version, request->degraded);
    int64_t limit, before = INT64_MAX;
    bool more;

    if (value_check_name("endpoint", request->endpoint, err))
        return err->code;
    if (request->version < 0)
        return err_set(err, ERR_INVALID, "version: negative");
    if (page_read_number(call->arena, request->page, list, &before, &limit, err) ||
        store_list_performance(&change.store, request->endpoint, request->version,
                               request->degraded, before, limit, &response->reports,
                               &response->n_reports, &more, err))
        return err->code;
    if (more)
        response->next_page_token = page_next_number(
            call->arena, list, response->reports[response->n_reports - 1]->window->number);
    return ERR_OK;
}
