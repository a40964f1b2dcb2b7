/* SPDX-License-Identifier: Apache-2.0 */
/* definition_form.c - each field of a definition by itself, by the table of definition_rules.c. */
#include "definition_parts.h"

#include "artifact/artifact.h"
#include "buf/text.h"
#include "values.h"

#include <stdio.h>
#include <string.h>

#define SHOWN 60 /* bytes of a refused text that a message repeats */

enum err_code
unknown_name(struct err *err, const char *what, const char *name, const char *near)
{
    return err_set(err, ERR_INVALID, "there is no %s '%.*s'%s%s%s", what, SHOWN, name,
                   near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

/* ---- values ---- */

enum err_code
form_words(const char *text, const char *const *words, struct err *err)
{
    char list[200] = "";
    const char *near = NULL;
    size_t len = 0;

    for (size_t i = 0; words[i]; i++) {
        if (strcmp(text, words[i]) == 0)
            return ERR_OK;
        near = text_nearer(text, near, words[i]);
        len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i ? ", " : "", words[i]);
    }
    return err_set(err, ERR_INVALID, "'%.*s' is none of %s%s%s%s", SHOWN, text, list,
                   near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static enum err_code
check_text(const char *what, const char *text, const struct text_rule *rule, struct err *err)
{
    bool fits = true;

    if (value_check_text(what, text, rule->max, err))
        return err->code;
    if (!rule->lines && strpbrk(text, "\r\n"))
        return err_set(err, ERR_INVALID, "%s: one line is expected", what);
    if (rule->literal && strstr(text, "${"))
        return err_set(err, ERR_INVALID, "%s: '%.*s': ${...} is not filled in here", what, SHOWN,
                       text);
    if (!rule->says)
        return ERR_OK;
    if (rule->artifact)
        fits = artifact_uri_valid(text);
    else
        fits = *text && strchr(rule->first, *text) && !text[strspn(text, rule->rest)];
    if (!fits)
        return err_set(err, ERR_INVALID, "%s: '%.*s' is not %s", what, SHOWN, text, rule->says);
    return ERR_OK;
}

static enum err_code
check_number(const struct field_rule *rule, double x, struct err *err)
{
    if (x == 0 || (x >= rule->min && x <= rule->max && x > 0))
        return ERR_OK;
    return err_set(err, ERR_INVALID, "%s: %.15g is not in %g to %.15g", rule->name, x, rule->min,
                   rule->max);
}

/* ---- fields ---- */

bool
form_is_map(const ProtobufCFieldDescriptor *field)
{
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    size_t len = field->type == PROTOBUF_C_TYPE_MESSAGE ? strlen(entry->short_name) : 0;

    return field->label == PROTOBUF_C_LABEL_REPEATED && len > 5 &&
           strcmp(entry->short_name + len - 5, "Entry") == 0 && entry->n_fields == 2;
}

static const void *
field_at(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    return (const char *)message + field->offset;
}

/* An entry of a map from texts to texts. */
static enum err_code
check_entry(const struct field_rule *rule, const ProtobufCMessage *entry, struct err *err)
{
    const ProtobufCFieldDescriptor *fields = entry->descriptor->fields;
    const char *key = *(char *const *)field_at(entry, &fields[0]);
    const char *value = *(char *const *)field_at(entry, &fields[1]);

    if (check_text("the name", key, rule->key, err))
        return err->code;
    return check_text(key, value, rule->text, err);
}

static enum err_code check_message(const ProtobufCMessage *message, struct err *err);

static enum err_code
check_list(const struct field_rule *rule, const ProtobufCMessage *message,
           const ProtobufCFieldDescriptor *field, struct err *err)
{
    size_t count = *(const size_t *)((const char *)message + field->quantifier_offset);
    void *const *items = *(void *const *const *)field_at(message, field);
    bool map = form_is_map(field);

    if (count > rule->items)
        return err_set(err, ERR_TOO_LARGE, "%s: %zu, at most %zu", rule->name, count, rule->items);
    if (rule->required && count == 0)
        return err_set(err, ERR_INVALID, "%s: at least one is expected", rule->name);
    for (size_t i = 0; i < count; i++) {
        char what[64];
        snprintf(what, sizeof(what), "%s[%zu]", rule->name, i);
        if (map) {
            if (check_entry(rule, items[i], err))
                return err_wrap(err, "%s", rule->name);
        } else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
            if (check_message(items[i], err))
                return err_wrap(err, "%s", what);
        } else if (check_text(what, items[i], rule->text, err)) {
            return err->code;
        }
    }
    return ERR_OK;
}

static enum err_code
check_string(const struct field_rule *rule, const char *text, struct err *err)
{
    if (!*text)
        return rule->required ? err_set(err, ERR_INVALID, "%s: it is missing", rule->name) : ERR_OK;
    if (rule->words)
        return form_words(text, rule->words, err) ? err_wrap(err, "%s", rule->name) : ERR_OK;
    return check_text(rule->name, text, rule->text, err);
}

static enum err_code
check_field(const struct field_rule *rule, const ProtobufCMessage *message,
            const ProtobufCFieldDescriptor *field, struct err *err)
{
    const void *at = field_at(message, field);

    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return check_list(rule, message, field, err);
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return check_string(rule, *(char *const *)at, err);
    case PROTOBUF_C_TYPE_UINT32:
        return check_number(rule, *(const uint32_t *)at, err);
    case PROTOBUF_C_TYPE_DOUBLE:
        return check_number(rule, *(const double *)at, err);
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessage *inner = *(ProtobufCMessage *const *)at;
        return inner && check_message(inner, err) ? err_wrap(err, "%s", rule->name) : ERR_OK;
    }
    default: /* true or false */
        return ERR_OK;
    }
}

static enum err_code
check_message(const ProtobufCMessage *message, struct err *err)
{
    const ProtobufCMessageDescriptor *type = message->descriptor;

    for (unsigned i = 0; i < type->n_fields; i++)
        if (check_field(form_rule(type, type->fields[i].name), message, &type->fields[i], err))
            return err->code;
    return ERR_OK;
}

enum err_code
form_check(const Definition *definition, struct err *err)
{
    return check_message(&definition->base, err);
}
