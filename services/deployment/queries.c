/* SPDX-License-Identifier: Apache-2.0 */
/* queries.c - questions and commands about endpoints. */
#include "changes.h"
#include "page.h"

/* REQUEST(GetEndpoint), RESPONSE(GetEndpoint): the generated types. */
#define REQUEST(method) const Modelbus__Deployment__V1__##method##Request
#define RESPONSE(method) Modelbus__Deployment__V1__##method##Response

static MUST_CHECK enum err_code
describe(const struct change *change, const struct endpoint *endpoint, Endpoint **message,
         struct err *err)
{
    Endpoint *m = arena_alloc(change->store.arena, sizeof(*m));
    const char *detail;

    modelbus__deployment__v1__endpoint__init(m);
    if (store_list_pods(&change->store, endpoint->name, change_pods_since(change), &m->pods,
                        &m->n_pods, err))
        return err->code;
    m->name = (char *)endpoint->name;
    m->model_name = (char *)endpoint->model_name;
    m->alias = (char *)endpoint->alias;
    m->fixed_version = endpoint->fixed_version;
    m->generation = endpoint->generation;
    m->target = endpoint->target;
    m->held = endpoint->held;
    m->drift_policy = endpoint->policy;
    m->created_at_ms = endpoint->created_at_ms;
    m->updated_at_ms = endpoint->updated_at_ms;
    m->status = deployment_status(endpoint, m->pods, m->n_pods, &detail);
    /* What is wrong now comes before what was noted. */
    m->status_detail =
        (char *)(*endpoint->detail && m->status != ENDPOINT_STATUS(FAILED) ? endpoint->detail
                                                                           : detail);
    *message = m;
    return ERR_OK;
}

static MUST_CHECK enum err_code
get(const struct change *change, const char *name, Endpoint **message, struct err *err)
{
    struct endpoint *endpoint;

    if (store_get_endpoint(&change->store, name, STORE_READ, &endpoint, err))
        return err->code;
    return describe(change, endpoint, message, err);
}

static enum err_code
create_endpoint(void *arg, REQUEST(CreateEndpoint) * request, RESPONSE(CreateEndpoint) * response,
                struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    struct binding binding = {request->model_name, request->alias, request->version};

    if (deployment_check_name(request->name, err) ||
        deployment_check_binding(binding.model_name, &binding.alias, binding.version, err) ||
        change_create(&change, request->name, &binding, err))
        return err->code;
    return get(&change, request->name, &response->endpoint, err);
}

static enum err_code
get_endpoint(void *arg, REQUEST(GetEndpoint) * request, RESPONSE(GetEndpoint) * response,
             struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);

    if (deployment_check_name(request->name, err))
        return err->code;
    return get(&change, request->name, &response->endpoint, err);
}

static enum err_code
list_endpoints(void *arg, REQUEST(ListEndpoints) * request, RESPONSE(ListEndpoints) * response,
               struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    struct endpoint **endpoints;
    const char *after = "";
    int64_t limit;
    size_t count;
    bool more;

    if (page_read(call->arena, request->page, "ListEndpoints", &after, 1, &limit, err) ||
        store_list_endpoints(&change.store, after, limit, &endpoints, &count, &more, err))
        return err->code;
    response->endpoints = arena_alloc(call->arena, count * sizeof(Endpoint *));
    for (size_t i = 0; i < count; i++)
        if (describe(&change, endpoints[i], &response->endpoints[i], err))
            return err->code;
    response->n_endpoints = count;
    if (more)
        response->next_page_token =
            page_next(call->arena, "ListEndpoints", endpoints[count - 1]->name);
    return ERR_OK;
}

static enum err_code
update_endpoint(void *arg, REQUEST(UpdateEndpoint) * request, RESPONSE(UpdateEndpoint) * response,
                struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    bool rename = *request->model_name;
    struct binding binding = {rename ? request->model_name : NULL, request->alias,
                              request->version};

    if (deployment_check_name(request->name, err) ||
        deployment_check_binding(rename ? request->model_name : "any", &binding.alias,
                                 binding.version, err) ||
        change_update(&change, request->name, &binding, request->expected_generation, err))
        return err->code;
    return get(&change, request->name, &response->endpoint, err);
}

static enum err_code
delete_endpoint(void *arg, REQUEST(DeleteEndpoint) * request, RESPONSE(DeleteEndpoint) * response,
                struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);

    (void)response;
    if (deployment_check_name(request->name, err))
        return err->code;
    return change_delete(&change, request->name, err);
}

static enum err_code
rollback_endpoint(void *arg, REQUEST(RollbackEndpoint) * request,
                  RESPONSE(RollbackEndpoint) * response, struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);

    if (deployment_check_name(request->name, err) ||
        value_check_text("reason", request->reason, VALUE_TEXT_MAX, err))
        return err->code;
    if (request->to_version < 0)
        return err_set(err, ERR_INVALID, "to_version: negative");
    if (change_rollback(&change, request->name, request->to_version, request->reason,
                        request->expected_generation, err))
        return err->code;
    return get(&change, request->name, &response->endpoint, err);
}

static enum err_code
list_endpoint_history(void *arg, REQUEST(ListEndpointHistory) * request,
                      RESPONSE(ListEndpointHistory) * response, struct rpc_call *call,
                      struct err *err)
{
    struct change change = change_of_call(arg, call);
    const char *list = arena_printf(call->arena, "ListEndpointHistory %s", request->name);
    struct history_entry *entries;
    struct endpoint *endpoint;
    int64_t limit, before = INT64_MAX;
    size_t count;
    bool more;

    if (deployment_check_name(request->name, err) ||
        page_read_number(call->arena, request->page, list, &before, &limit, err) ||
        store_list_changes(&change.store, request->name, before, limit, &entries, &count, &more,
                           err))
        return err->code;
    if (count == 0)
        return store_get_endpoint(&change.store, request->name, STORE_READ, &endpoint, err);
    response->changes = arena_alloc(call->arena, count * sizeof(EndpointChange *));
    for (size_t i = 0; i < count; i++)
        response->changes[i] = (EndpointChange *)entries[i].change;
    response->n_changes = count;
    if (more)
        response->next_page_token =
            page_next_number(call->arena, list, entries[count - 1].change->generation);
    return ERR_OK;
}

static enum err_code
set_drift_policy(void *arg, REQUEST(SetDriftPolicy) * request, RESPONSE(SetDriftPolicy) * response,
                 struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);

    if (deployment_check_name(request->name, err) ||
        deployment_check_policy(request->policy, err) ||
        change_policy(&change, request->name, request->policy, err))
        return err->code;
    return get(&change, request->name, &response->endpoint, err);
}

static enum err_code
list_drift_actions(void *arg, REQUEST(ListDriftActions) * request,
                   RESPONSE(ListDriftActions) * response, struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    const char *list = arena_printf(call->arena, "ListDriftActions %s", request->name);
    int64_t limit, before = INT64_MAX, last = 0;
    struct endpoint *endpoint;
    bool more;

    if (deployment_check_name(request->name, err) ||
        page_read_number(call->arena, request->page, list, &before, &limit, err) ||
        store_get_endpoint(&change.store, request->name, STORE_READ, &endpoint, err) ||
        store_list_drift_actions(&change.store, request->name, before, limit, &response->actions,
                                 &last, &response->n_actions, &more, err))
        return err->code;
    if (more)
        response->next_page_token = page_next_number(call->arena, list, last);
    return ERR_OK;
}

const struct rpc_method deployment_queries[] = {
    RPC_COMMAND("CreateEndpoint", create_endpoint, "deployment:write", 2000),
    RPC_COMMAND("DeleteEndpoint", delete_endpoint, "deployment:write", 2000),
    RPC_QUERY("GetEndpoint", get_endpoint, "deployment:read", 1000),
    RPC_QUERY("ListDriftActions", list_drift_actions, "deployment:read", 2000),
    RPC_QUERY("ListEndpointHistory", list_endpoint_history, "deployment:read", 2000),
    RPC_QUERY("ListEndpoints", list_endpoints, "deployment:read", 2000),
    RPC_COMMAND("RollbackEndpoint", rollback_endpoint, "deployment:write", 2000),
    RPC_COMMAND("SetDriftPolicy", set_drift_policy, "deployment:write", 2000),
    RPC_COMMAND("UpdateEndpoint", update_endpoint, "deployment:write", 2000),
    {.name = NULL},
};
