/* SPDX-License-Identifier: Apache-2.0 */
/*
 * definition_parts.h - what the files that read and check a definition share; nobody else
 * includes it.
 *
 * Form (definition_form.c): each field by itself, by one table from which the JSON Schema is made as
 * well. Graph (definition_graph.c): names of tasks, needs, cycles. Texts (definition_texts.c): ${...} and
 * conditions. Triggers (definition_triggers.c). Errors begin with the path of the field.
 */
#pragma once

#include "definition.h"

/* ---- form ---- */

/* What a text may be. */
struct text_rule {
    const char *first, *rest; /* bytes that may stand there; NULL: any text */
    size_t max;               /* bytes */
    bool lines;               /* of any text: line ends are allowed */
    bool artifact;            /* "sha256:..." */
    bool literal;             /* ${...} would not be filled in */
    const char *pattern; /* for the schema; NULL: none, and numbers and booleans are texts too */
    const char *says;
};

/* A field of a message. Its number 0, its text "" and its list without elements are always right, unless it
 * is required: they are what it is when it is left out. */
struct field_rule {
    const ProtobufCMessageDescriptor *type;
    const char *name;
    const struct text_rule *text; /* of a text, the elements of a list, the values of a map */
    const struct text_rule *key;  /* of a map */
    const char *const *words;     /* the only texts; NULL-ended */
    double min, max;              /* of a number */
    size_t items;                 /* of a list or a map, at most */
    bool required;
    const char *doc; /* for the schema: a sentence or two */
};
/* Never NULL: every field has one, which a test looks after. */
const struct field_rule *form_rule(const ProtobufCMessageDescriptor *type, const char *field);
bool form_is_map(const ProtobufCFieldDescriptor *field);
MUST_CHECK enum err_code form_check(const Definition *definition, struct err *err);

/* "there is no WHAT 'NAME'; did you mean NEAR?" */
enum err_code unknown_name(struct err *err, const char *what, const char *name, const char *near);

/* text is one of the words; else the error lists them. */
MUST_CHECK enum err_code form_words(const char *text, const char *const *words, struct err *err);

/* ---- graph ---- */

struct graph {
    const Definition *definition;
    size_t *by_name;   /* places of tasks in the order of their names */
    size_t *order;     /* places, each after what it needs */
    uint64_t *closure; /* a row of bits a task: what it needs, also by way of others */
    size_t words;      /* of a row */
};
/* SIZE_MAX: none. */
size_t graph_task(const struct graph *graph, const char *name);
bool graph_needs(const struct graph *graph, size_t task, size_t other);
MUST_CHECK enum err_code graph_check(const Definition *definition, struct arena *arena,
                                     struct graph *graph, struct err *err);

/* ---- the rest ---- */

const Parameter *parameter_named(const Definition *definition, const char *name);
enum err_code parameter_unknown(const Definition *definition, const char *name, struct err *err);
/* A value against the parameter's type; *checked is as parameters_resolve() gives it. */
MUST_CHECK enum err_code parameter_value(const Parameter *parameter, const char *value,
                                         struct arena *arena, const char **checked,
                                         struct err *err);
MUST_CHECK enum err_code parameters_check(const Definition *definition, struct arena *arena,
                                          struct err *err);
MUST_CHECK enum err_code task_texts_check(const struct graph *graph, size_t task,
                                          struct arena *arena, struct err *err);
MUST_CHECK enum err_code triggers_check(const Definition *definition, struct arena *arena,
                                        struct err *err);
