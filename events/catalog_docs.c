/* SPDX-License-Identifier: Apache-2.0 */
/* catalog_docs.c - the catalogue as docs/events.md. */
#include "catalog.h"

#include <string.h>

static const char *
type_name(const ProtobufCFieldDescriptor *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return "int32";
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return "int64";
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return "uint32";
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return "uint64";
    case PROTOBUF_C_TYPE_FLOAT:
        return "float";
    case PROTOBUF_C_TYPE_DOUBLE:
        return "double";
    case PROTOBUF_C_TYPE_BOOL:
        return "bool";
    case PROTOBUF_C_TYPE_STRING:
        return "string";
    case PROTOBUF_C_TYPE_BYTES:
        return "bytes";
    case PROTOBUF_C_TYPE_ENUM:
        return ((const ProtobufCEnumDescriptor *)f->descriptor)->name;
    case PROTOBUF_C_TYPE_MESSAGE:
        return ((const ProtobufCMessageDescriptor *)f->descriptor)->name;
    }
    return "unknown";
}

static void
add_event(struct buf *out, const struct event_type *t)
{
    buf_printf(out, "### %s\n\n%s\n\n", t->descriptor->short_name, t->doc);
    buf_printf(out, "Type `%s`, key `%s`, said by %s.\n\n", t->descriptor->name, t->key_field,
               t->producer);
    buf_str(out, "| number | field | type |\n|---|---|---|\n");
    for (unsigned i = 0; i < t->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &t->descriptor->fields[i];

        buf_printf(out, "| %u | %s | %s%s |\n", f->id, f->name,
                   f->label == PROTOBUF_C_LABEL_REPEATED ? "repeated " : "", type_name(f));
    }
    buf_char(out, '\n');
}

void
event_catalog_markdown(struct buf *out)
{
    buf_str(out,
            "# Events\n\n"
            "Generated from `events/catalog.c`. Messages are CloudEvents 1.0 in Kafka's binary "
            "mode:\nheaders `ce_*`, `content-type: application/protobuf`, the value is the "
            "plain protobuf message\n(see `proto/`). Topics begin with a prefix, `modelbus` "
            "unless it is set. In workspaces other\nthan `default` the Kafka key is "
            "`<workspace>/<key>`.\n\n"
            "Attributes: `ce_id`, `ce_source`, `ce_type` (these three others' events must have), "
            "`ce_time`,\n`ce_subject` (the key), `ce_dataschema`, `ce_workspace` (left out: "
            "`default`) and `ce_causationid`,\nthe id of the event during whose handling this one "
            "was said; an event that a command or a clock\nbrought about has none. With "
            "`traceparent` they make the chain that `modelbus event trace ID` walks.\n\n"
            "| topic | partitions | compacted | content |\n|---|---|---|---|\n");
    for (const struct event_topic *t = event_topics; t->suffix; t++)
        buf_printf(out, "| [%s](#topic-%s) | %d | %s | %s |\n", t->suffix, t->suffix, t->partitions,
                   t->compacted ? "yes" : "no", t->doc);
    for (const struct event_topic *t = event_topics; t->suffix; t++) {
        bool any = false;

        buf_printf(out, "\n## Topic %s\n\n%s\n\n", t->suffix, t->doc);
        for (const struct event_type *e = event_types; e->descriptor; e++) {
            if (strcmp(e->topic, t->suffix) == 0) {
                add_event(out, e);
                any = true;
            }
        }
        if (!any)
            buf_str(out, "No event of this version goes here yet.\n");
    }
}
