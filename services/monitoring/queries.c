/* SPDX-License-Identifier: Apache-2.0 */
/* queries.c - questions about what is watched and what was found, and how to watch. */
#include "labels.h"

#include "crypto/crypto.h"
#include "page.h"

/* REQUEST(GetMonitor), RESPONSE(GetMonitor): the generated types. */
#define REQUEST(method) const Modelbus__Monitoring__V1__##method##Request
#define RESPONSE(method) Modelbus__Monitoring__V1__##method##Response

static MUST_CHECK enum err_code
get(const struct change *change, const char *endpoint, Monitor **monitor, struct err *err)
{
    struct monitor_row row;

    if (store_get_monitor(&change->store, endpoint, false, &row, err))
        return err->code;
    *monitor = row.state->monitor;
    (*monitor)->endpoint = arena_strdup(change->store.arena, endpoint);
    (*monitor)->rules = row.rules;
    return ERR_OK;
}

static enum err_code
get_monitor(void *arg, REQUEST(GetMonitor) * request, RESPONSE(GetMonitor) * response,
            struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);

    if (value_check_name("endpoint", request->endpoint, err))
        return err->code;
    return get(&change, request->endpoint, &response->monitor, err);
}

static enum err_code
list_monitors(void *arg, REQUEST(ListMonitors) * request, RESPONSE(ListMonitors) * response,
              struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    const char *after = "";
    int64_t limit;
    bool more;

    if (page_read(call->arena, request->page, "ListMonitors", &after, 1, &limit, err) ||
        store_list_monitors(&change.store, after, limit, &response->monitors, &response->n_monitors,
                            &more, err))
        return err->code;
    if (more)
        response->next_page_token = page_next(
            call->arena, "ListMonitors", response->monitors[response->n_monitors - 1]->endpoint);
    return ERR_OK;
}

static enum err_code
update_monitor(void *arg, REQUEST(UpdateMonitor) * request, RESPONSE(UpdateMonitor) * response,
               struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    MonitorRules none = MODELBUS__MONITORING__V1__MONITOR_RULES__INIT;
    const MonitorRules *rules = request->rules ? request->rules : &none;

    if (value_check_name("endpoint", request->endpoint, err) || rules_check(rules, err) ||
        change_rules(&change, request->endpoint, rules, err) || db_flush(change.store.db, err))
        return err->code;
    return get(&change, request->endpoint, &response->monitor, err);
}

static enum err_code
get_report(void *arg, REQUEST(GetReport) * request, RESPONSE(GetReport) * response,
           struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);

    if (!crypto_is_uuid(request->id))
        return err_set(err, ERR_INVALID, "id '%.80s': not a report's", request->id);
    return store_get_report(&change.store, request->id, &response->report, err);
}

static enum err_code
list_reports(void *arg, REQUEST(ListReports) * request, RESPONSE(ListReports) * response,
             struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    const char *list = arena_printf(call->arena, "ListReports %s %lld %d", request->endpoint,
                                    (long long)request->version, request->drifted);
    int64_t limit, before = INT64_MAX;
    bool more;

    if (value_check_name("endpoint", request->endpoint, err))
        return err->code;
    if (request->version < 0)
        return err_set(err, ERR_INVALID, "version: negative");
    if (page_read_number(call->arena, request->page, list, &before, &limit, err) ||
        store_list_reports(&change.store, request->endpoint, request->version, request->drifted,
                           before, limit, &response->reports, &response->n_reports, &more, err))
        return err->code;
    if (more)
        response->next_page_token = page_next_number(
            call->arena, list, response->reports[response->n_reports - 1]->window->number);
    return ERR_OK;
}

const struct rpc_method monitoring_queries[] = {
    RPC_QUERY("GetMonitor", get_monitor, "monitoring:read", 1000),
    RPC_QUERY("GetPerformance", get_performance, "monitoring:read", 1000),
    RPC_QUERY("GetPerformanceReport", get_performance_report, "monitoring:read", 2000),
    RPC_QUERY("GetReport", get_report, "monitoring:read", 2000),
    RPC_QUERY("ListMonitors", list_monitors, "monitoring:read", 2000),
    RPC_QUERY("ListPerformanceReports", list_performance_reports, "monitoring:read", 2000),
    RPC_QUERY("ListReports", list_reports, "monitoring:read", 2000),
    RPC_COMMAND("PushLabels", push_labels, "monitoring:write", 5000),
    RPC_COMMAND("UpdateMonitor", update_monitor, "monitoring:write", 2000),
    {.name = NULL},
};
