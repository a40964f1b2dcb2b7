/* SPDX-License-Identifier: Apache-2.0 */
/* test_catalog.c - the table of events agrees with the wire contract and with itself. */
#include "catalog.h"

#include "modelbus/registry/v1/events.pb-c.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

static bool
is_topic(const char *suffix)
{
    for (const struct event_topic *t = event_topics; t->suffix; t++)
        if (strcmp(t->suffix, suffix) == 0)
            return true;
    return false;
}

/* Whether name is type or a type of one of its fields, at any depth. */
static bool
carries(const ProtobufCMessageDescriptor *type, const char *name)
{
    if (strcmp(type->name, name) == 0)
        return true;
    for (unsigned i = 0; i < type->n_fields; i++)
        if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE &&
            carries(type->fields[i].descriptor, name))
            return true;
    return false;
}

static bool
in_catalog(const char *name)
{
    for (const struct event_type *t = event_types; t->descriptor; t++)
        if (carries(t->descriptor, name))
            return true;
    return false;
}

/* Returns how many messages the file has. */
static int
check_file(const char *path)
{
    FILE *file = fopen(path, "r");
    char line[512], package[128] = "", message[128], name[260];
    int count = 0;

    cr_assert_not_null(file, "%s", path);
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "package %127[^;]", package) == 1 ||
            sscanf(line, "message %127[A-Za-z0-9]", message) != 1)
            continue;
        snprintf(name, sizeof(name), "%s.%s", package, message);
        cr_expect(in_catalog(name), "%s is neither an event nor part of one", name);
        count++;
    }
    fclose(file);
    return count;
}

Test(catalog, has_every_message_of_the_events_files)
{
    glob_t files;
    int messages = 0, events = 0;

    cr_assert_eq(glob(PROTO_FOLDER "/*/v1/events.proto", 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++)
        messages += check_file(files.gl_pathv[i]);
    globfree(&files);
    for (const struct event_type *t = event_types; t->descriptor; t++)
        events++;
    cr_assert_geq(messages, events);
    cr_assert_gt(events, 0);
}

Test(catalog, keys_are_string_fields)
{
    for (const struct event_type *t = event_types; t->descriptor; t++) {
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field_by_name(t->descriptor, t->key_field);

        cr_assert_not_null(field, "%s has no field %s", t->descriptor->name, t->key_field);
        cr_assert_eq(field->type, PROTOBUF_C_TYPE_STRING, "%s", t->descriptor->name);
        cr_assert_neq(field->label, PROTOBUF_C_LABEL_REPEATED, "%s", t->descriptor->name);
        cr_assert_not(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF, "%s", t->descriptor->name);
    }
}

Test(catalog, topics_and_types_are_there_once)
{
    for (const struct event_type *t = event_types; t->descriptor; t++) {
        cr_expect(is_topic(t->topic), "%s: no topic %s", t->descriptor->name, t->topic);
        cr_expect(*t->doc && *t->producer);
        for (const struct event_type *u = t + 1; u->descriptor; u++)
            cr_expect_str_neq(t->descriptor->short_name, u->descriptor->short_name);
    }
    for (const struct event_topic *t = event_topics; t->suffix; t++) {
        cr_expect_gt(t->partitions, 0);
        for (const struct event_topic *u = t + 1; u->suffix; u++)
            cr_expect_str_neq(t->suffix, u->suffix);
    }
}

Test(catalog, finds_types_by_descriptor_and_by_name)
{
    const ProtobufCMessageDescriptor *moved = &modelbus__registry__v1__alias_moved__descriptor;

    cr_assert_eq(event_type_of(moved)->descriptor, moved);
    cr_assert_eq(event_type_named("modelbus.registry.v1.AliasMoved")->descriptor, moved);
    cr_assert_eq(event_type_named("AliasMoved")->descriptor, moved);
    cr_assert_null(event_type_named("modelbus.registry.v1.Alias"));
    cr_assert_null(event_type_of(&modelbus__common__v1__tag__descriptor));
}

Test(catalog, key_is_the_value_of_the_key_field)
{
    Modelbus__Registry__V1__AliasMoved moved = MODELBUS__REGISTRY__V1__ALIAS_MOVED__INIT;
    const struct event_type *type = event_type_named("AliasMoved");

    cr_assert_str_eq(event_key(type, &moved.base), "");
    moved.model_name = (char[]){"fraud"};
    cr_assert_str_eq(event_key(type, &moved.base), "fraud");
}

Test(catalog, documentation_names_every_event_and_topic)
{
    CLEANUP(buf_done) struct buf out = {0};

    event_catalog_markdown(&out);
    for (const struct event_type *t = event_types; t->descriptor; t++)
        cr_expect(memmem(out.data, out.len, t->descriptor->name, strlen(t->descriptor->name)), "%s",
                  t->descriptor->name);
    for (const struct event_topic *t = event_topics; t->suffix; t++)
        cr_expect(memmem(out.data, out.len, t->suffix, strlen(t->suffix)), "%s", t->suffix);
}
