/* SPDX-License-Identifier: Apache-2.0 */
/* column_rule.c - "age=0.01", "age=psi", "age=0.25,psi". */
#include "column_rule.h"

#include "drift/drift.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool
known_method(const char *name)
{
    enum drift_method method;

    return drift_method_from_name(name, DRIFT_NATIVE, &method);
}

/* Of what stands after the = sign. */
static enum err_code
read_rule(const char *text, const char *rest, struct column_rule *rule, struct err *err)
{
    const char *comma = strchr(rest, ',');
    char *end;

    *rule = (struct column_rule){.threshold = NAN};
    if (!comma && known_method(rest)) {
        rule->method = rest;
        return ERR_OK;
    }
    double value = strtod(rest, &end);
    if (end == rest || (*end && end != comma) || !(value > 0) || isinf(value))
        return err_set(err, ERR_INVALID,
                       "--column: '%s' is not NAME=THRESHOLD, NAME=METHOD or NAME=THRESHOLD,METHOD",
                       text);
    if (comma && !known_method(comma + 1))
        return err_set(err, ERR_INVALID, "--column: '%s': there is no method '%s'", text,
                       comma + 1);
    rule->threshold = value;
    rule->method = comma ? comma + 1 : NULL;
    return ERR_OK;
}

enum err_code
column_rules_read(const struct cli *cli, struct column_rules *rules, struct err *err)
{
    const char *text;

    *rules = (struct column_rules){.items = mem_calloc(CLI_OPTIONS_MAX, sizeof(*rules->items))};
    for (size_t i = 0; (text = cli_option_at(cli, "column", i)); i++) {
        const char *equals = strrchr(text, '=');
        struct column_rule rule;

        if (read_rule(text, equals && equals != text ? equals + 1 : "", &rule, err))
            return err->code;
        CLEANUP(mem_free) char *name = mem_strndup(text, (size_t)(equals - text));
        if (column_rules_find(rules, name))
            return err_set(err, ERR_INVALID, "--column: '%s' is given twice", name);
        rule.name = TAKE_PTR(name);
        rules->items[rules->count++] = rule;
    }
    return ERR_OK;
}

const struct column_rule *
column_rules_find(const struct column_rules *rules, const char *name)
{
    for (size_t i = 0; i < rules->count; i++)
        if (strcmp(rules->items[i].name, name) == 0)
            return &rules->items[i];
    return NULL;
}

void
column_rules_done(struct column_rules *rules)
{
    for (size_t i = 0; i < rules->count; i++)
        free(rules->items[i].name);
    free(rules->items);
    *rules = (struct column_rules){0};
}
