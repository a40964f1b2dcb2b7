/* SPDX-License-Identifier: Apache-2.0 */
/* bus_queries.c - handlers of modelbus.bus.v1.Bus. */
#include "bus_queries.h"

#include "deadletter.h"

#include "modelbus/bus/v1/queries.pb-c.h"

#include <string.h>

#define STATUS_PARTITIONS_MAX 1024

typedef Modelbus__Bus__V1__ListMethodsRequest ListMethodsRequest;
typedef Modelbus__Bus__V1__ListMethodsResponse ListMethodsResponse;
typedef Modelbus__Bus__V1__MethodInfo MethodInfo;
typedef Modelbus__Bus__V1__ListDeadLettersRequest ListDeadLettersRequest;
typedef Modelbus__Bus__V1__ListDeadLettersResponse ListDeadLettersResponse;
typedef Modelbus__Bus__V1__GetDeadLetterRequest GetDeadLetterRequest;
typedef Modelbus__Bus__V1__GetDeadLetterResponse GetDeadLetterResponse;
typedef Modelbus__Bus__V1__ReplayDeadLetterRequest ReplayDeadLetterRequest;
typedef Modelbus__Bus__V1__ReplayDeadLetterResponse ReplayDeadLetterResponse;
typedef Modelbus__Bus__V1__GetBusStatusRequest GetBusStatusRequest;
typedef Modelbus__Bus__V1__GetBusStatusResponse GetBusStatusResponse;
typedef Modelbus__Bus__V1__PartitionStatus PartitionStatus;
typedef Modelbus__Bus__V1__DeadLetter DeadLetter;
typedef Modelbus__Bus__V1__DeadLetterInfo DeadLetterInfo;
typedef Modelbus__Bus__V1__Header Header;

static size_t
count_methods(const struct rpc_method *methods)
{
    size_t n = 0;

    while (methods && methods[n].name)
        n++;
    return n;
}

static void
add_methods(ListMethodsResponse *response, const ProtobufCServiceDescriptor *interface,
            const struct rpc_method *methods, struct arena *arena)
{
    for (size_t i = 0; i < count_methods(methods); i++) {
        const ProtobufCMethodDescriptor *d =
            protobuf_c_service_descriptor_get_method_by_name(interface, methods[i].name);
        MethodInfo *info = arena_alloc(arena, sizeof(*info));
        modelbus__bus__v1__method_info__init(info);
        info->name = (char *)methods[i].name;
        info->scope = (char *)methods[i].scope;
        info->command = methods[i].command;
        info->deadline_ms = methods[i].deadline_ms;
        info->request_type = (char *)d->input->name;
        info->response_type = (char *)d->output->name;
        response->methods[response->n_methods++] = info;
    }
}

static enum err_code
list_methods(void *arg, const ListMethodsRequest *request, ListMethodsResponse *response,
             struct rpc_call *call, struct err *err)
{
    const struct service *service = arg;
    const struct service_spec *spec = service->spec;

    (void)request;
    (void)err;
    response->methods =
        arena_alloc(call->arena, (count_methods(spec->methods) + count_methods(bus_queries)) *
                                     sizeof(*response->methods));
    add_methods(response, spec->interface, spec->methods, call->arena);
    add_methods(response, &modelbus__bus__v1__bus__descriptor, bus_queries, call->arena);
    return ERR_OK;
}

static DeadLetterInfo *
letter_to_proto(const struct service *service, const struct dead_letter_row *row,
                struct arena *arena)
{
    const struct bus_message *m = &row->message;
    DeadLetterInfo *info = arena_alloc(arena, sizeof(*info));
    DeadLetter *l = arena_alloc(arena, sizeof(*l));

    modelbus__bus__v1__dead_letter_info__init(info);
    modelbus__bus__v1__dead_letter__init(l);
    info->letter = l;
    info->replayed_at_ms = row->replayed_at_ms;
    l->id = (char *)row->id;
    l->consumer = (char *)service->spec->name;
    l->topic = (char *)row->topic;
    l->partition = row->partition;
    l->offset = row->offset;
    l->event_type = (char *)row->event_type;
    l->error_code = (char *)row->error_code;
    l->error_message = (char *)row->error_message;
    l->failed_at_ms = row->failed_at_ms;
    l->key = (ProtobufCBinaryData){m->key_len, (uint8_t *)m->key};
    l->value = (ProtobufCBinaryData){m->value_len, (uint8_t *)m->value};
    l->headers = arena_alloc(arena, m->header_count * sizeof(*l->headers));
    for (size_t i = 0; i < m->header_count; i++) {
        Header *h = arena_alloc(arena, sizeof(*h));
        modelbus__bus__v1__header__init(h);
        h->name = (char *)m->headers[i].name;
        h->value = (ProtobufCBinaryData){m->headers[i].len, (uint8_t *)m->headers[i].value};
        l->headers[l->n_headers++] = h;
    }
    return info;
}

static enum err_code
list_dead_letters(void *arg, const ListDeadLettersRequest *request,
                  ListDeadLettersResponse *response, struct rpc_call *call, struct err *err)
{
    struct service *service = arg;
    struct dead_letter_row *rows;
    const char *next;
    size_t count;

    if (dead_letter_list(call->db, call->caller.workspace,
                         request->page ? request->page->page_size : 0,
                         request->page ? request->page->page_token : "", request->include_replayed,
                         call->arena, &rows, &count, &next, err))
        return err->code;
    response->letters = arena_alloc(call->arena, count * sizeof(*response->letters));
    for (size_t i = 0; i < count; i++)
        response->letters[response->n_letters++] = letter_to_proto(service, &rows[i], call->arena);
    response->next_page_token = (char *)next;
    return ERR_OK;
}

static enum err_code
get_dead_letter(void *arg, const GetDeadLetterRequest *request, GetDeadLetterResponse *response,
                struct rpc_call *call, struct err *err)
{
    struct dead_letter_row row;

    if (dead_letter_get(call->db, call->caller.workspace, request->id, false, call->arena, &row,
                        err))
        return err->code;
    response->letter = letter_to_proto(arg, &row, call->arena);
    return ERR_OK;
}

static enum err_code
replay_dead_letter(void *arg, const ReplayDeadLetterRequest *request,
                   ReplayDeadLetterResponse *response, struct rpc_call *call, struct err *err)
{
    struct service *service = arg;
    struct dead_letter_row row;

    if (dead_letter_get(call->db, call->caller.workspace, request->id, true, call->arena, &row,
                        err) ||
        outbox_publish_raw(service->outbox, call->db, &row.message, err) ||
        dead_letter_mark_replayed(call->db, row.id, &row.replayed_at_ms, err))
        return err->code;
    response->letter = letter_to_proto(service, &row, call->arena);
    return ERR_OK;
}

static enum err_code
get_bus_status(void *arg, const GetBusStatusRequest *request, GetBusStatusResponse *response,
               struct rpc_call *call, struct err *err)
{
    struct service *service = arg;
    struct outbox_status outbox;

    (void)request;
    if (outbox_status(service->outbox, call->db, &outbox, err))
        return err->code;
    response->cluster_id = arena_strdup(call->arena, outbox.cluster);
    response->outbox_pending = outbox.pending;
    response->outbox_relay = outbox.relay;
    if (!service->consumer)
        return ERR_OK;
    struct consumer_partition *p = arena_alloc(call->arena, STATUS_PARTITIONS_MAX * sizeof(*p));
    size_t n = consumer_partitions(service->consumer, p, STATUS_PARTITIONS_MAX);
    response->partitions = arena_alloc(call->arena, n * sizeof(*response->partitions));
    for (size_t i = 0; i < n; i++) {
        PartitionStatus *status = arena_alloc(call->arena, sizeof(*status));
        modelbus__bus__v1__partition_status__init(status);
        status->topic = p[i].topic;
        status->partition = p[i].partition;
        status->next_offset = p[i].next;
        status->end_offset = p[i].end;
        status->lag = p[i].end > p[i].next ? p[i].end - p[i].next : 0;
        response->partitions[response->n_partitions++] = status;
    }
    return ERR_OK;
}

const struct rpc_method bus_queries[] = {
    RPC_QUERY("ListMethods", list_methods, "bus:read", 1000),
    RPC_QUERY("ListDeadLetters", list_dead_letters, "bus:read", 5000),
    RPC_QUERY("GetDeadLetter", get_dead_letter, "bus:read", 5000),
    RPC_COMMAND("ReplayDeadLetter", replay_dead_letter, "bus:admin", 5000),
    RPC_QUERY("GetBusStatus", get_bus_status, "bus:read", 5000),
    {.name = NULL},
};
