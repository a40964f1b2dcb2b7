/* SPDX-License-Identifier: Apache-2.0 */
/* describe.c - the tables for people: values in force, --help, documentation. */
#include "config/internal.h"

#include "buf/buf.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void
config_print(const struct config *config, FILE *out)
{
    for (size_t i = 0; i < config->settings.count; i++) {
        const struct setting *s = &config->settings.rows[i];
        const char *field = (const char *)s->target + s->key->offset;
        fprintf(out, "%s_%s = ", config->prefix, s->key->name);
        switch (s->key->type) {
        case CONFIG_TYPE_SECRET:
            fputs(*(char *const *)field ? "(set)" : "(not set)", out);
            break;
        case CONFIG_TYPE_STR:
        case CONFIG_TYPE_CHOICE:
            fputs(*(char *const *)field ? *(char *const *)field : "(not set)", out);
            break;
        case CONFIG_TYPE_INT:
            fprintf(out, "%" PRId64, *(const int64_t *)field);
            break;
        case CONFIG_TYPE_BOOL:
            fputs(*(const bool *)field ? "true" : "false", out);
            break;
        case CONFIG_TYPE_DOUBLE:
            fprintf(out, "%g", *(const double *)field);
            break;
        }
        fprintf(out, " (%s)\n", config_source_name(s->source));
    }
}

static char *
flag_name(const char *name)
{
    char *flag = mem_strdup(name);

    for (char *c = flag; *c; c++)
        *c = *c == '_' ? '-' : (char)tolower((unsigned char)*c);
    return flag;
}

/* "1 to 64", "none|token", empty: any. */
static void
add_range(struct buf *out, const struct config_key *k)
{
    if (k->type == CONFIG_TYPE_INT)
        buf_printf(out, "%.0f to %.0f", k->min, k->max);
    else if (k->type == CONFIG_TYPE_DOUBLE)
        buf_printf(out, "%g to %g", k->min, k->max);
    else if (k->type == CONFIG_TYPE_CHOICE)
        buf_str(out, k->choices);
    else if (k->type == CONFIG_TYPE_BOOL)
        buf_str(out, "true or false");
    else
        buf_str(out, "");
}

void
config_help(const char *prefix, const struct config_table *tables, FILE *out)
{
    fprintf(out, "  --config FILE  (%s_CONFIG)\n      YAML file of `name: value` lines\n", prefix);
    for (const struct config_table *t = tables; t->keys; t++)
        for (const struct config_key *k = t->keys; k->name; k++) {
            CLEANUP(mem_free) char *flag = flag_name(k->name);
            CLEANUP(buf_done) struct buf range = {0};
            add_range(&range, k);
            fprintf(out, "  --%s VALUE  (%s_%s)\n      %s", flag, prefix, k->name, k->doc);
            if (range.len)
                fprintf(out, "; %s", range.data);
            if (k->fallback)
                fprintf(out, "; default %s", k->fallback[0] ? k->fallback : "empty");
            fprintf(out, "%s%s\n", k->required ? "; required" : "",
                    k->reloadable ? "; taken over on SIGHUP" : "");
        }
}

static void
add_member(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, ",\"%s\":", name);
    if (value)
        buf_json_str(out, value, strlen(value));
    else
        buf_str(out, "null");
}

static void
add_row(struct buf *json, const char *prefix, const struct config_key *k)
{
    static const char *const types[] = {"string", "secret", "choice", "int", "bool", "double"};
    CLEANUP(mem_free) char *flag = flag_name(k->name);

    buf_printf(json, "\n{\"name\":\"%s\",\"environment\":\"%s_%s\",\"flag\":\"--%s\"", k->name,
               prefix, k->name, flag);
    add_member(json, "type", types[k->type]);
    add_member(json, "choices", k->choices);
    if (k->type == CONFIG_TYPE_INT || k->type == CONFIG_TYPE_DOUBLE) {
        buf_str(json, ",\"min\":");
        buf_double(json, k->min);
        buf_str(json, ",\"max\":");
        buf_double(json, k->max);
    }
    add_member(json, "default", k->fallback);
    buf_printf(json, ",\"required\":%s,\"reloadable\":%s", k->required ? "true" : "false",
               k->reloadable ? "true" : "false");
    add_member(json, "doc", k->doc);
    buf_char(json, '}');
}

void
config_describe(const char *prefix, const struct config_table *tables, FILE *out)
{
    CLEANUP(buf_done) struct buf json = {0};

    buf_char(&json, '[');
    for (const struct config_table *t = tables; t->keys; t++)
        for (const struct config_key *k = t->keys; k->name; k++) {
            if (json.len > 1)
                buf_char(&json, ',');
            add_row(&json, prefix, k);
        }
    buf_str(&json, "\n]");
    fwrite(json.data, 1, json.len, out);
}
