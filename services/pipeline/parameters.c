/* SPDX-License-Identifier: Apache-2.0 */
/* parameters.c - values of a run's parameters against their types. */
#include "definition_parts.h"

#include "buf/text.h"
#include "json/json_reader.h"
#include "values.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool
is_type(const Parameter *parameter, const char *type)
{
    return strcmp(*parameter->type ? parameter->type : "string", type) == 0;
}

const Parameter *
parameter_named(const Definition *definition, const char *name)
{
    for (size_t i = 0; i < definition->n_parameters; i++)
        if (strcmp(definition->parameters[i]->name, name) == 0)
            return definition->parameters[i];
    return NULL;
}

enum err_code
parameter_unknown(const Definition *definition, const char *name, struct err *err)
{
    const char *near = NULL;

    for (size_t i = 0; i < definition->n_parameters; i++)
        near = text_nearer(name, near, definition->parameters[i]->name);
    return unknown_name(err, "parameter", name, near);
}

/* ---- values ---- */

static bool
is_whole(const char *text)
{
    const char *digits = text + (*text == '-');
    size_t len = strlen(digits);

    return len > 0 && len <= 18 && strspn(digits, "0123456789") == len;
}

static bool
is_number(const char *text)
{
    char *end;

    if (!*text || strspn(text, "+-.0123456789eE") != strlen(text))
        return false;
    return isfinite(strtod(text, &end)) && *end == '\0';
}

/* One element of a list as a text; NULL: it is another list or object, or none. */
static const char *
element(struct json_reader *r, struct arena *arena)
{
    const char *begin = r->p, *text = NULL;
    size_t len;
    bool yes;

    switch (jr_peek(r)) {
    case JSON_T_STRING:
        if (!jr_string(r, arena, &text, &len))
            return NULL;
        return strlen(text) == len ? text : NULL;
    case JSON_T_TRUE:
    case JSON_T_FALSE:
        return jr_boolean(r, &yes) ? (yes ? "true" : "false") : NULL;
    case JSON_T_NUMBER: /* as it was written */
        begin = r->p;
        if (!jr_skip(r))
            return NULL;
        return arena_strndup(arena, begin, (size_t)(r->p - begin));
    default:
        return NULL;
    }
}

static enum err_code
check_element(const char *text, size_t count, struct err *err)
{
    if (!text)
        return err_set(err, ERR_INVALID, "a list of texts and numbers is expected");
    if (count > DEFINITION_MAP_MAX)
        return err_set(err, ERR_TOO_LARGE, "more than %d elements", DEFINITION_MAP_MAX);
    return value_check_text("an element", text, DEFINITION_VALUE_MAX, err);
}

static void
add_element(struct buf *out, const char *text)
{
    buf_char(out, out->len ? ',' : '[');
    buf_json_str(out, text, strlen(text));
}

static const char *
close_list(struct buf *out, struct arena *arena)
{
    buf_str(out, out->len ? "]" : "[]");
    return arena_strndup(arena, out->data, out->len);
}

static enum err_code
read_list(const char *text, struct arena *arena, const char **checked, struct err *err)
{
    CLEANUP(buf_done) struct buf out = {0};
    struct json_reader r;
    struct err syntax;

    if (strnlen(text, DEFINITION_TEXT_MAX + 1) > DEFINITION_TEXT_MAX)
        return err_set(err, ERR_TOO_LARGE, "longer than %u bytes", DEFINITION_TEXT_MAX);
    jr_open(&r, text, strlen(text));
    if (jr_enter_array(&r))
        for (size_t count = 1; jr_element(&r); count++) {
            const char *item = element(&r, arena);
            if (check_element(item, count, err))
                return err->code;
            add_element(&out, item);
        }
    if (jr_finish(&r, &syntax))
        return err_set(err, ERR_INVALID, "a JSON list is expected, as in [\"a\", \"b\"]: %s",
                       syntax.message);
    *checked = close_list(&out, arena);
    return ERR_OK;
}

enum err_code
parameter_value(const Parameter *parameter, const char *value, struct arena *arena,
                const char **checked, struct err *err)
{
    if (is_type(parameter, "list"))
        return read_list(value, arena, checked, err) ? err_wrap(err, "%s", parameter->name)
                                                     : ERR_OK;
    if (value_check_text(parameter->name, value, DEFINITION_VALUE_MAX, err))
        return err->code;
    const char *expected = NULL;
    if (is_type(parameter, "int") && !is_whole(value))
        expected = "a whole number";
    else if (is_type(parameter, "float") && !is_number(value))
        expected = "a number";
    else if (is_type(parameter, "bool") && strcmp(value, "true") != 0 &&
             strcmp(value, "false") != 0)
        expected = "true or false";
    if (expected)
        return err_set(err, ERR_INVALID, "%s: '%.60s' is not %s", parameter->name, value, expected);
    *checked = arena_strdup(arena, value);
    return ERR_OK;
}

static const char *
default_list(const Parameter *parameter, struct arena *arena)
{
    CLEANUP(buf_done) struct buf out = {0};

    for (size_t i = 0; i < parameter->n_default_list; i++)
        add_element(&out, parameter->default_list[i]);
    return close_list(&out, arena);
}

/* ---- the definition's ---- */

static enum err_code
check_default(const Parameter *parameter, struct arena *arena, struct err *err)
{
    bool list = is_type(parameter, "list"),
         given = *parameter->default_ || parameter->n_default_list;
    const char *checked;

    if (parameter->required && given)
        return err_set(err, ERR_INVALID, "required: it has a default");
    if (list && *parameter->default_)
        return err_set(err, ERR_INVALID, "default: of a list it is default_list");
    if (!list && parameter->n_default_list)
        return err_set(err, ERR_INVALID, "default_list: only of a parameter of type list");
    if (parameter->required || list || (is_type(parameter, "string") && !given))
        return ERR_OK;
    if (!given)
        return err_set(err, ERR_INVALID, "default: '%s' needs one, or required: true",
                       parameter->name);
    return parameter_value(parameter, parameter->default_, arena, &checked, err)
               ? err_wrap(err, "default")
               : ERR_OK;
}

enum err_code
parameters_check(const Definition *definition, struct arena *arena, struct err *err)
{
    for (size_t i = 0; i < definition->n_parameters; i++) {
        const Parameter *parameter = definition->parameters[i];
        if (parameter_named(definition, parameter->name) != parameter)
            return err_set(err, ERR_INVALID,
                           "parameters[%zu].name: there is a parameter '%s' already", i,
                           parameter->name);
        if (check_default(parameter, arena, err))
            return err_wrap(err, "parameters[%zu]", i);
    }
    return ERR_OK;
}

/* ---- a run's ---- */

static const char *
given_value(const char *name, const struct parameter_given *given, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(given[i].name, name) == 0)
            return given[i].value;
    return NULL;
}

enum err_code
parameters_resolve(const Definition *definition, const struct parameter_given *given, size_t count,
                   const char **values, struct arena *arena, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!parameter_named(definition, given[i].name))
            return parameter_unknown(definition, given[i].name, err);
        if (given_value(given[i].name, given, count) != given[i].value)
            return err_set(err, ERR_INVALID, "%s: given twice", given[i].name);
    }
    for (size_t i = 0; i < definition->n_parameters; i++) {
        const Parameter *parameter = definition->parameters[i];
        const char *value = given_value(parameter->name, given, count);
        if (!value && parameter->required)
            return err_set(err, ERR_INVALID, "%s: it is required", parameter->name);
        if (value && parameter_value(parameter, value, arena, &values[i], err))
            return err->code;
        if (!value)
            values[i] = is_type(parameter, "list") ? default_list(parameter, arena)
                                                   : arena_strdup(arena, parameter->default_);
    }
    return ERR_OK;
}
