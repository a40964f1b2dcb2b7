/* SPDX-License-Identifier: Apache-2.0 */
/* source.c - what file, environment and command line say about each row. */
#include "config/internal.h"

#include "buf/buf.h"
#include "buf/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX_BYTES (64 << 10)

const char *
config_source_name(enum source source)
{
    static const char *const names[] = {"none", "default", "file", "environment", "flag"};

    return names[source];
}

char *
config_canonical(const char *name)
{
    char *copy = mem_strdup(name);

    for (char *c = copy; *c; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    return copy;
}

struct setting *
config_settings_find(struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->count; i++)
        if (strcmp(settings->rows[i].key->name, name) == 0)
            return &settings->rows[i];
    return NULL;
}

const char *
config_settings_nearest(const struct settings *settings, const char *name)
{
    const char *best = NULL;

    for (size_t i = 0; i < settings->count; i++)
        best = text_nearer(name, best, settings->rows[i].key->name);
    return best;
}

void
config_settings_init(struct settings *settings, const struct config_table *tables)
{
    for (const struct config_table *t = tables; t->keys; t++)
        for (const struct config_key *k = t->keys; k->name; k++) {
            settings->rows =
                mem_realloc(settings->rows, (settings->count + 1) * sizeof(*settings->rows));
            settings->rows[settings->count++] = (struct setting){.key = k, .target = t->target};
        }
}

void
config_settings_done(struct settings *settings)
{
    for (size_t i = 0; i < settings->count; i++)
        free(settings->rows[i].text);
    free(settings->rows);
    *settings = (struct settings){0};
}

static void
put(struct setting *s, const char *text, enum source source)
{
    free(s->text);
    s->text = mem_strdup(text);
    s->source = source;
}

static enum err_code
unknown(const struct settings *settings, const char *where, const char *name, struct err *err)
{
    char *canonical = config_canonical(name);
    const char *nearest = config_settings_nearest(settings, canonical);

    free(canonical);
    return err_set(err, ERR_INVALID, "%s: no setting '%.100s'%s%s%s", where, name,
                   nearest ? " (did you mean " : "", nearest ? nearest : "", nearest ? "?)" : "");
}

static enum err_code
read_file(const char *path, struct buf *out, struct err *err)
{
    FILE *file = fopen(path, "re");
    char chunk[4096];
    size_t n;

    if (!file)
        return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_INVALID,
                       "configuration file '%s': %s", path, strerror(errno));
    while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0 && out->len <= FILE_MAX_BYTES)
        buf_add(out, chunk, n);
    bool failed = ferror(file);
    fclose(file);
    if (failed)
        return err_set(err, ERR_INVALID, "configuration file '%s' cannot be read", path);
    return ERR_OK;
}

static enum err_code
collect_file(struct settings *settings, const char *path, struct err *err)
{
    CLEANUP(buf_done) struct buf text = {0};
    enum err_code code = ERR_OK;
    char **pairs;

    if (read_file(path, &text, err))
        return err->code;
    if (config_parse_yaml(text.data ? text.data : "", text.len, &pairs, err))
        return err_wrap(err, "configuration file '%s'", path);
    for (char **p = pairs; *p && code == ERR_OK; p += 2) {
        char *name = config_canonical(p[0]);
        struct setting *s = config_settings_find(settings, name);
        if (s)
            put(s, p[1], SOURCE_FILE);
        else
            code = unknown(settings, path, p[0], err);
        free(name);
    }
    config_pairs_free(pairs);
    return code;
}

/*
 * Kubernetes gives every pod <SERVICE>_SERVICE_HOST, <SERVICE>_PORT_80_TCP_ADDR and the
 * like for each Service, and a Service may be called like one of our programs.
 */
static bool
is_service_link(const char *name, const char *value)
{
    const char *port = strstr(name, "PORT");

    if (strstr(name, "SERVICE_HOST") || strstr(name, "SERVICE_PORT"))
        return true;
    if (!port || (port != name && port[-1] != '_'))
        return false;
    if (port[4] == '\0')
        return strstr(value, "://") != NULL;
    return port[4] == '_' && isdigit((unsigned char)port[5]);
}

static enum err_code
collect_environment(struct settings *settings, const char *prefix, struct err *err)
{
    size_t prefix_len = strlen(prefix);

    for (char **entry = environ; *entry; entry++) {
        const char *equals = strchr(*entry, '=');
        if (!equals || strncmp(*entry, prefix, prefix_len) != 0 || (*entry)[prefix_len] != '_')
            continue;
        const char *start = *entry + prefix_len + 1;
        char *name = mem_strndup(start, (size_t)(equals - start));
        struct setting *s = config_settings_find(settings, name);
        enum err_code code = ERR_OK;
        if (s)
            put(s, equals + 1, SOURCE_ENV);
        else if (strcmp(name, "CONFIG") != 0 && !is_service_link(name, equals + 1))
            code = unknown(settings, "environment", name, err);
        free(name);
        if (code)
            return code;
    }
    return ERR_OK;
}

enum err_code
config_settings_collect(struct settings *settings, const char *prefix, const char *file,
                        char *const *flags, struct err *err)
{
    for (size_t i = 0; i < settings->count; i++)
        if (settings->rows[i].key->fallback)
            put(&settings->rows[i], settings->rows[i].key->fallback, SOURCE_DEFAULT);
    if ((file && collect_file(settings, file, err)) || collect_environment(settings, prefix, err))
        return err->code;
    for (; *flags; flags += 2)
        put(config_settings_find(settings, flags[0]), flags[1], SOURCE_FLAG);
    return ERR_OK;
}

enum err_code
config_parse_flags(const struct settings *settings, int argc, char *const *argv, char ***flags,
                   char **file, struct err *err)
{
    size_t count = 0;

    /* In *flags at once, so that the caller frees them on failure too. */
    *flags = mem_calloc(2 * (size_t)(argc > 0 ? argc : 0) + 1, sizeof(**flags));
    for (int i = 0; i < argc && argv[i]; i++) {
        const char *arg = argv[i];
        if (strncmp(arg, "--", 2) != 0 || arg[2] == '\0')
            return err_set(err, ERR_INVALID, "unexpected argument '%.100s'", arg);
        const char *equals = strchr(arg, '=');
        const char *value = equals ? equals + 1 : i + 1 < argc ? argv[i + 1] : NULL;
        CLEANUP(mem_free)
        char *given = mem_strndup(arg + 2, equals ? (size_t)(equals - arg) - 2 : strlen(arg) - 2);
        CLEANUP(mem_free) char *name = config_canonical(given);
        bool known =
            strcmp(name, "CONFIG") == 0 || config_settings_find((struct settings *)settings, name);
        if (!known)
            return unknown(settings, "command line", given, err);
        if (!value)
            return err_set(err, ERR_INVALID, "--%.100s needs a value", given);
        i += !equals;
        if (strcmp(name, "CONFIG") == 0) {
            free(*file);
            *file = mem_strdup(value);
        } else {
            (*flags)[count++] = TAKE_PTR(name);
            (*flags)[count++] = mem_strdup(value);
        }
    }
    return ERR_OK;
}
