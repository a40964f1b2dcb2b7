/* SPDX-License-Identifier: Apache-2.0 */
/* queries.c - questions and commands about alerts and what is configured for them. */
#include "changes.h"
#include "delivery.h"
#include "page.h"
#include "service.h"

#include "crypto/crypto.h"

#include <string.h>

#define LAST_ID "ffffffff-ffff-ffff-ffff-ffffffffffff"
#define SECRET_SET "(set)"

/* REQUEST(GetAlert), RESPONSE(GetAlert): the generated types. */
#define REQUEST(method) const Modelbus__Alert__V1__##method##Request
#define RESPONSE(method) Modelbus__Alert__V1__##method##Response

static MUST_CHECK enum err_code
check_id(const char *id, struct err *err)
{
    return crypto_is_uuid(id) ? ERR_OK : err_set(err, ERR_INVALID, "id: not a UUID");
}

/* ---- alerts ---- */

static enum err_code
list_alerts(void *arg, REQUEST(ListAlerts) * request, RESPONSE(ListAlerts) * response,
            struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    const char *list = request->include_resolved ? "ListAlerts all" : "ListAlerts";
    const char *before = LAST_ID;
    int64_t limit;
    bool more;

    if (page_read(call->arena, request->page, list, &before, 1, &limit, err) ||
        check_id(before, err) ||
        store_list_alerts(&change.store, before, request->include_resolved, limit,
                          &response->alerts, &response->n_alerts, &more, err))
        return err->code;
    if (more)
        response->next_page_token =
            page_next(call->arena, list, response->alerts[response->n_alerts - 1]->id);
    return ERR_OK;
}

static enum err_code
get_alert(void *arg, REQUEST(GetAlert) * request, RESPONSE(GetAlert) * response,
          struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);

    if (check_id(request->id, err) ||
        store_get_alert(&change.store, request->id, STORE_READ, &response->alert, err))
        return err->code;
    return store_list_notifications(&change.store, request->id, &response->notifications,
                                    &response->n_notifications, err);
}

static enum err_code
acknowledge_alert(void *arg, REQUEST(AcknowledgeAlert) * request,
                  RESPONSE(AcknowledgeAlert) * response, struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);

    if (check_id(request->id, err) ||
        value_check_text("comment", request->comment, VALUE_TEXT_MAX, err) ||
        change_acknowledge(&change, request->id, request->comment, err))
        return err->code;
    return store_get_alert(&change.store, request->id, STORE_READ, &response->alert, err);
}

static enum err_code
resolve_alert(void *arg, REQUEST(ResolveAlert) * request, RESPONSE(ResolveAlert) * response,
              struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);

    if (check_id(request->id, err) || change_resolve_by_hand(&change, request->id, err))
        return err->code;
    return store_get_alert(&change.store, request->id, STORE_READ, &response->alert, err);
}

/* ---- silences ---- */

static enum err_code
list_silences(void *arg, REQUEST(ListSilences) * request, RESPONSE(ListSilences) * response,
              struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    const char *list = request->include_expired ? "ListSilences all" : "ListSilences";
    const char *before = LAST_ID;
    int64_t limit;
    bool more;

    if (page_read(call->arena, request->page, list, &before, 1, &limit, err) ||
        check_id(before, err) ||
        store_list_silences(&change.store, before, request->include_expired ? -1 : change.now_ms,
                            limit, &response->silences, &response->n_silences, &more, err))
        return err->code;
    if (more)
        response->next_page_token =
            page_next(call->arena, list, response->silences[response->n_silences - 1]->id);
    return ERR_OK;
}

static enum err_code
create_silence(void *arg, REQUEST(CreateSilence) * request, RESPONSE(CreateSilence) * response,
               struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    Silence *silence = arena_alloc(call->arena, sizeof(*silence));

    if (request->n_match == 0)
        return err_set(err, ERR_INVALID, "match: at least one matcher");
    if (request->duration_s <= 0 || request->duration_s > ALERT_SECONDS_MAX)
        return err_set(err, ERR_INVALID, "duration_s: 1 to %d", ALERT_SECONDS_MAX);
    if (matchers_check("match", request->match, request->n_match, err) ||
        value_check_text("comment", request->comment, VALUE_TEXT_MAX, err))
        return err->code;
    modelbus__alert__v1__silence__init(silence);
    silence->id = arena_alloc(call->arena, 37);
    crypto_uuid7(silence->id);
    silence->match = request->match;
    silence->n_match = request->n_match;
    silence->comment = request->comment;
    silence->created_by = arena_strdup(call->arena, change.by);
    silence->created_at_ms = change.now_ms;
    silence->ends_at_ms = change.now_ms + request->duration_s * 1000;
    response->silence = silence;
    return store_add_silence(&change.store, silence, err);
}

static enum err_code
delete_silence(void *arg, REQUEST(DeleteSilence) * request, RESPONSE(DeleteSilence) * response,
               struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);

    (void)response;
    if (check_id(request->id, err))
        return err->code;
    return change_end_silence(&change, request->id, err);
}

/* ---- what is configured ---- */

/* A Put…Request as the entry that it is: the same fields under the same numbers. */
static MUST_CHECK enum err_code
put(void *arg, enum entry_kind kind, const ProtobufCMessage *request, ProtobufCMessage **entry,
    struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    size_t len = protobuf_c_message_get_packed_size(request);
    uint8_t *packed = arena_alloc(call->arena, len);

    protobuf_c_message_pack(request, packed);
    *entry = ARENA_UNPACK(call->arena, entry_types[kind].descriptor, len, packed);
    if (!*entry)
        return err_set(err, ERR_INTERNAL, "a %s does not decode", entry_types[kind].name);
    if (change_put(&change, kind, *entry, err))
        return err->code;
    entry_set_origin(*entry, "workspace");
    return ERR_OK;
}

/* Whoever has the URL of a Slack webhook can write there. */
static void
hide_secret(AlertReceiver *receiver, struct arena *arena)
{
    const char *host = strstr(receiver->url, "://");

    if (*receiver->authorization)
        receiver->authorization = SECRET_SET;
    if (strcmp(receiver->type, "slack") == 0 && host)
        receiver->url = arena_printf(
            arena, "%.*s/" SECRET_SET,
            (int)((host + 3 - receiver->url) + (long)strcspn(host + 3, "/?")), receiver->url);
}

static MUST_CHECK enum err_code
merged(void *arg, AlertConfig **rulebook, struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);

    if (change_rulebook(&change, rulebook, NULL, err))
        return err->code;
    for (size_t i = 0; i < (*rulebook)->n_receivers; i++)
        hide_secret((*rulebook)->receivers[i], call->arena);
    return ERR_OK;
}

/* The three methods of a kind. */
#define METHODS(Kind, KIND, list_function, put_function, delete_function, field, fields)           \
    static enum err_code list_function(void *arg, REQUEST(List##Kind##s) * request,                \
                                       RESPONSE(List##Kind##s) * response, struct rpc_call * call, \
                                       struct err * err)                                           \
    {                                                                                              \
        AlertConfig *rulebook = NULL;                                                              \
                                                                                                   \
        (void)request;                                                                             \
        if (merged(arg, &rulebook, call, err))                                                     \
            return err->code;                                                                      \
        response->fields = rulebook->fields;                                                       \
        response->n_##fields = rulebook->n_##fields;                                               \
        return ERR_OK;                                                                             \
    }                                                                                              \
    static enum err_code put_function(void *arg, REQUEST(Put##Kind) * request,                     \
                                      RESPONSE(Put##Kind) * response, struct rpc_call * call,      \
                                      struct err * err)                                            \
    {                                                                                              \
        return put(arg, KIND, &request->base, (ProtobufCMessage **)&response->field, call, err);   \
    }                                                                                              \
    static enum err_code delete_function(void *arg, REQUEST(Delete##Kind) * request,               \
                                         RESPONSE(Delete##Kind) * response,                        \
                                         struct rpc_call * call, struct err * err)                 \
    {                                                                                              \
        struct change change = change_of_call(arg, call);                                          \
                                                                                                   \
        (void)response;                                                                            \
        if (alert_check_name("name", request->name, err))                                          \
            return err->code;                                                                      \
        return change_delete(&change, KIND, request->name, err);                                   \
    }

METHODS(AlertRule, ENTRY_RULE, list_rules, put_rule, delete_rule, rule, rules)
METHODS(AlertReceiver, ENTRY_RECEIVER, list_receivers, put_any_receiver, delete_receiver, receiver,
        receivers)
METHODS(AlertRoute, ENTRY_ROUTE, list_routes, put_route, delete_route, route, routes)
METHODS(AlertInhibition, ENTRY_INHIBITION, list_inhibitions, put_inhibition, delete_inhibition,
        inhibition, inhibitions)

static enum err_code
put_receiver(void *arg, REQUEST(PutAlertReceiver) * request, RESPONSE(PutAlertReceiver) * response,
             struct rpc_call *call, struct err *err)
{
    if (put_any_receiver(arg, request, response, call, err))
        return err->code;
    hide_secret(response->receiver, call->arena);
    return ERR_OK;
}

/* Not a command: a repeated request may send again. */
static enum err_code
test_receiver(void *arg, REQUEST(TestAlertReceiver) * request,
              RESPONSE(TestAlertReceiver) * response, struct rpc_call *call, struct err *err)
{
    struct change change = change_of_call(arg, call);
    const struct alert_state *state = change.service->state;
    AlertConfig *rulebook = NULL;
    struct err failure;

    if (alert_check_name("name", request->name, err) ||
        change_rulebook(&change, &rulebook, NULL, err))
        return err->code;
    const AlertReceiver *receiver = rulebook_receiver(rulebook, request->name);
    if (!receiver)
        return err_set(err, ERR_NOT_FOUND, "there is no receiver '%s'", request->name);
    response->delivered = delivery_test(state->delivery, receiver, change.store.workspace,
                                        call->arena, &failure) == ERR_OK;
    if (!response->delivered)
        response->error = arena_strdup(call->arena, failure.message);
    return ERR_OK;
}

#define READ "alert:read"
#define WRITE "alert:write"

const struct rpc_method alert_queries[] = {
    RPC_COMMAND("AcknowledgeAlert", acknowledge_alert, WRITE, 2000),
    RPC_COMMAND("CreateSilence", create_silence, WRITE, 2000),
    RPC_COMMAND("DeleteAlertInhibition", delete_inhibition, WRITE, 2000),
    RPC_COMMAND("DeleteAlertReceiver", delete_receiver, WRITE, 2000),
    RPC_COMMAND("DeleteAlertRoute", delete_route, WRITE, 2000),
    RPC_COMMAND("DeleteAlertRule", delete_rule, WRITE, 5000),
    RPC_COMMAND("DeleteSilence", delete_silence, WRITE, 2000),
    RPC_QUERY("GetAlert", get_alert, READ, 1000),
    RPC_QUERY("ListAlertInhibitions", list_inhibitions, READ, 2000),
    RPC_QUERY("ListAlertReceivers", list_receivers, READ, 2000),
    RPC_QUERY("ListAlertRoutes", list_routes, READ, 2000),
    RPC_QUERY("ListAlertRules", list_rules, READ, 2000),
    RPC_QUERY("ListAlerts", list_alerts, READ, 2000),
    RPC_QUERY("ListSilences", list_silences, READ, 2000),
    RPC_COMMAND("PutAlertInhibition", put_inhibition, WRITE, 2000),
    RPC_COMMAND("PutAlertReceiver", put_receiver, WRITE, 2000),
    RPC_COMMAND("PutAlertRoute", put_route, WRITE, 2000),
    RPC_COMMAND("PutAlertRule", put_rule, WRITE, 2000),
    RPC_COMMAND("ResolveAlert", resolve_alert, WRITE, 2000),
    RPC_QUERY("TestAlertReceiver", test_receiver, WRITE, 5000),
    {.name = NULL},
};
