/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - load and reload: collect texts, check them all, then write the fields. */
#include "config/internal.h"

#include "buf/buf.h"

#include <stdlib.h>
#include <string.h>

/* Values of all rows, checked; parallel to settings->rows. */
static enum err_code
parse_all(const struct settings *settings, union value *values, struct err *err)
{
    for (size_t i = 0; i < settings->count; i++) {
        const struct setting *s = &settings->rows[i];
        if (!s->text && s->key->required)
            return err_set(err, ERR_INVALID, "%s is required: %s", s->key->name, s->key->doc);
        if (config_value_parse(s, &values[i], err))
            return err->code;
    }
    return ERR_OK;
}

static void
values_free(const struct settings *settings, union value *values)
{
    for (size_t i = 0; i < settings->count; i++)
        if (config_value_is_string(settings->rows[i].key))
            free(values[i].string);
    free(values);
}

/* Write one field; a string moves into *config. */
static void
take_over(struct config *config, const struct setting *s, union value *value)
{
    void *field = (char *)s->target + s->key->offset;

    if (config_value_is_string(s->key)) {
        char *string = TAKE_PTR(value->string);
        if (string) {
            config->strings =
                mem_realloc(config->strings, (config->string_count + 1) * sizeof(*config->strings));
            config->strings[config->string_count++] = string;
        }
        __atomic_store_n((char **)field, string, __ATOMIC_RELAXED);
        return;
    }
    if (s->key->type == CONFIG_TYPE_INT)
        __atomic_store_n((int64_t *)field, value->integer, __ATOMIC_RELAXED);
    else if (s->key->type == CONFIG_TYPE_BOOL)
        __atomic_store_n((bool *)field, value->boolean, __ATOMIC_RELAXED);
    else
        __atomic_store((double *)field, &value->number, __ATOMIC_RELAXED);
}

static bool
equal(const struct setting *s, const union value *value)
{
    const void *field = (const char *)s->target + s->key->offset;

    if (config_value_is_string(s->key)) {
        const char *now = *(char *const *)field;
        return now && value->string ? strcmp(now, value->string) == 0 : now == value->string;
    }
    if (s->key->type == CONFIG_TYPE_INT)
        return *(const int64_t *)field == value->integer;
    if (s->key->type == CONFIG_TYPE_BOOL)
        return *(const bool *)field == value->boolean;
    return *(const double *)field == value->number;
}

enum err_code
config_load(struct config **config, const char *prefix, const struct config_table *tables, int argc,
            char *const *argv, struct err *err)
{
    CLEANUP(config_free) struct config *c = mem_zalloc(sizeof(*c));

    c->prefix = mem_strdup(prefix);
    config_settings_init(&c->settings, tables);
    if (config_parse_flags(&c->settings, argc, argv, &c->flags, &c->file, err))
        return err->code;
    if (!c->file) {
        char *name = mem_printf("%s_CONFIG", prefix);
        c->file = mem_strdup(getenv(name));
        free(name);
    }
    if (config_settings_collect(&c->settings, prefix, c->file, c->flags, err))
        return err->code;

    union value *values = mem_calloc(c->settings.count, sizeof(*values));
    enum err_code code = parse_all(&c->settings, values, err);
    for (size_t i = 0; i < c->settings.count && code == ERR_OK; i++)
        take_over(c, &c->settings.rows[i], &values[i]);
    values_free(&c->settings, values);
    if (code == ERR_OK)
        *config = TAKE_PTR(c);
    return code;
}

enum err_code
config_reload(struct config *config, char **ignored, struct err *err)
{
    CLEANUP(buf_done) struct buf names = {0};
    struct settings fresh = {.count = config->settings.count};
    enum err_code code;

    fresh.rows = mem_calloc(fresh.count, sizeof(*fresh.rows));
    for (size_t i = 0; i < fresh.count; i++) {
        fresh.rows[i].key = config->settings.rows[i].key;
        fresh.rows[i].target = config->settings.rows[i].target;
    }
    union value *values = mem_calloc(fresh.count, sizeof(*values));
    code = config_settings_collect(&fresh, config->prefix, config->file, config->flags, err);
    if (code == ERR_OK)
        code = parse_all(&fresh, values, err);
    for (size_t i = 0; i < fresh.count && code == ERR_OK; i++) {
        struct setting *now = &config->settings.rows[i];
        if (!now->key->reloadable) {
            if (!equal(now, &values[i]))
                buf_printf(&names, "%s%s", names.len ? "," : "", now->key->name);
            continue;
        }
        if (!equal(now, &values[i]))
            take_over(config, now, &values[i]);
        free(now->text);
        now->text = TAKE_PTR(fresh.rows[i].text);
        now->source = fresh.rows[i].source;
    }
    values_free(&fresh, values);
    config_settings_done(&fresh);
    if (code == ERR_OK)
        *ignored = buf_take(&names);
    return code;
}

void
config_free(struct config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->string_count; i++)
        free(config->strings[i]);
    free(config->strings);
    config_settings_done(&config->settings);
    config_pairs_free(config->flags);
    free(config->file);
    free(config->prefix);
    free(config);
}
