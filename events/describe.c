/* SPDX-License-Identifier: Apache-2.0 */
/* describe.c - a service as JSON, from its tables; docs/ is generated from this. */
#include "bus_queries.h"
#include "service_parts.h"

#include "buf/buf.h"

#include "modelbus/bus/v1/queries.pb-c.h"

#include <stdio.h>
#include <string.h>

static void
member(struct buf *b, const char *name, const char *value)
{
    buf_printf(b, "\"%s\":", name);
    buf_json_str(b, value, strlen(value));
}

static void
add_queries(struct buf *b, const ProtobufCServiceDescriptor *interface,
            const struct rpc_method *methods)
{
    for (; methods && methods->name; methods++) {
        const ProtobufCMethodDescriptor *d =
            protobuf_c_service_descriptor_get_method_by_name(interface, methods->name);

        if (b->data[b->len - 1] != '[')
            buf_char(b, ',');
        buf_char(b, '{');
        member(b, "name", methods->name);
        buf_char(b, ',');
        member(b, "interface", interface->name);
        buf_char(b, ',');
        member(b, "scope", methods->scope ? methods->scope : "");
        buf_printf(b, ",\"command\":%s,\"deadline_ms\":%lld,", methods->command ? "true" : "false",
                   (long long)methods->deadline_ms);
        member(b, "request", d ? d->input->name : "");
        buf_char(b, ',');
        member(b, "response", d ? d->output->name : "");
        buf_char(b, '}');
    }
}

void
service_describe(const struct service_spec *spec, const struct config_table *tables)
{
    struct buf b = {0};

    buf_char(&b, '{');
    member(&b, "service", spec->name);
    buf_char(&b, ',');
    member(&b, "prefix", spec->prefix);
    buf_char(&b, ',');
    member(&b, "doc", spec->doc ? spec->doc : "");
    buf_str(&b, ",\"config\":");
    fputs(b.data, stdout);
    config_describe(spec->prefix, tables, stdout);
    buf_clear(&b);
    buf_str(&b, ",\"queries\":[");
    if (spec->interface)
        add_queries(&b, spec->interface, spec->methods);
    if (spec->schema)
        add_queries(&b, &modelbus__bus__v1__bus__descriptor, bus_queries);
    buf_str(&b, "],\"hears\":[");
    for (const struct event_subscription *s = spec->subscriptions; s && s->type; s++) {
        if (s != spec->subscriptions)
            buf_char(&b, ',');
        buf_json_str(&b, s->type->name, strlen(s->type->name));
    }
    buf_str(&b, "],\"says\":[");
    for (size_t i = 0; spec->says && spec->says[i]; i++) {
        if (i > 0)
            buf_char(&b, ',');
        buf_json_str(&b, spec->says[i]->name, strlen(spec->says[i]->name));
    }
    buf_str(&b, "]}\n");
    fputs(b.data, stdout);
    buf_done(&b);
}
