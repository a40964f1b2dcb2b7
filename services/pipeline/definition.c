/* SPDX-License-Identifier: Apache-2.0 */
/* definition.c - the file: YAML in the form of the message, then everything that can be wrong. */
#include "definition_parts.h"

#include "pbjson/pbjson.h"
#include "yaml/yaml.h"

#define DEPTH_MAX 8
#define NODES_MAX 100000
/* What a checker needs of the largest definition: texts once more, and a bit for each pair of tasks. */
#define CHECK_BYTES (32u << 20)

enum err_code
definition_check(const Definition *definition, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, CHECK_BYTES);
    struct graph graph;

    if (form_check(definition, err) || parameters_check(definition, arena, err) ||
        graph_check(definition, arena, &graph, err))
        return err->code;
    for (size_t i = 0; i < definition->n_tasks; i++)
        if (task_texts_check(&graph, i, arena, err))
            return err_wrap(err, "tasks[%zu]", i);
    return triggers_check(definition, arena, err);
}

static enum err_code
parse(const struct yaml_doc *doc, struct arena *arena, Definition **definition, struct err *err)
{
    ProtobufCMessage *message = NULL;

    if (pbjson_from(&modelbus__pipeline__v1__definition__descriptor, yaml_doc_value(doc),
                    PBJSON_TEXT, arena, &message, err))
        return err->code;
    *definition = (Definition *)message;
    return definition_check(*definition, err);
}

enum err_code
definition_parse(const char *text, size_t len, struct arena *arena, Definition **definition,
                 struct err *err)
{
    static const struct yaml_limits limits = {.bytes = DEFINITION_TEXT_MAX,
                                              .nodes = NODES_MAX,
                                              .depth = DEPTH_MAX,
                                              .expects = "name:, tasks: …"};
    CLEANUP(yaml_doc_free) struct yaml_doc *doc = NULL;
    Definition *found = NULL;

    if (yaml_doc_read(text, len, &limits, &doc, err))
        return err->code;
    if (parse(doc, arena, &found, err)) {
        yaml_doc_locate(doc, err);
        return err->code;
    }
    *definition = found;
    return ERR_OK;
}
