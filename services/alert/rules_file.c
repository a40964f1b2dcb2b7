/* SPDX-License-Identifier: Apache-2.0 */
/* rules_file.c - the rules file: YAML in the form of what REST would take, checked like it. */
#include "rulebook.h"

#include "pbjson/pbjson.h"
#include "yaml/yaml.h"

#define DEPTH_MAX 16
#define NODES_MAX 50000

static enum err_code
parse(const struct yaml_doc *doc, const AlertConfig *base, struct arena *arena,
      AlertConfig **config, struct err *err)
{
    ProtobufCMessage *message = NULL;

    if (pbjson_from(&modelbus__alert__v1__alert_config__descriptor, yaml_doc_value(doc),
                    PBJSON_TEXT, arena, &message, err))
        return err->code;
    *config = (AlertConfig *)message;
    return rulebook_check(*config, base, err);
}

enum err_code
rulebook_parse(const char *text, size_t len, const AlertConfig *base, struct arena *arena,
               AlertConfig **config, struct err *err)
{
    static const char *const pairs[] = {"labels", "annotations", NULL};
    static const struct yaml_limits limits = {.bytes = RULEBOOK_TEXT_MAX,
                                              .nodes = NODES_MAX,
                                              .depth = DEPTH_MAX,
                                              .expects = "rules:, receivers: …",
                                              .pairs = pairs};
    CLEANUP(yaml_doc_free) struct yaml_doc *doc = NULL;
    AlertConfig *found = NULL;

    if (yaml_doc_read(text, len, &limits, &doc, err))
        return err->code;
    if (parse(doc, base, arena, &found, err)) {
        yaml_doc_locate(doc, err);
        return err->code;
    }
    /* Routes without a position are asked in the order of the file. */
    for (size_t i = 0; i < found->n_routes; i++)
        if (found->routes[i]->position == 0)
            found->routes[i]->position = (int32_t)i;
    *config = found;
    return ERR_OK;
}
