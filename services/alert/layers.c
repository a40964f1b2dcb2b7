/* SPDX-License-Identifier: Apache-2.0 */
/* layers.c - the built-in entries and those of the rules file. */
#include "layers.h"

#include "db/embed.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct embed_file alert_defaults[];

struct packed {
    uint8_t *data;
    size_t len;
};

struct layers {
    char *path; /* NULL: none */
    struct packed built_in;
    pthread_mutex_t lock; /* over file */
    struct packed file;
};

static struct packed
pack(const AlertConfig *config)
{
    struct packed p = {.len = protobuf_c_message_get_packed_size(&config->base)};

    p.data = mem_alloc(p.len + 1);
    protobuf_c_message_pack(&config->base, p.data);
    return p;
}

/* NULL: there is none. */
static AlertConfig *
unpack(const struct packed *p, const char *origin, struct arena *arena)
{
    AlertConfig *config =
        p->data ? (AlertConfig *)ARENA_UNPACK(arena, &modelbus__alert__v1__alert_config__descriptor,
                                              p->len, p->data)
                : NULL;

    for (int kind = 0; config && kind < ENTRY_KINDS; kind++) {
        size_t count;
        ProtobufCMessage **list = rulebook_entries(config, (enum entry_kind)kind, &count);
        for (size_t i = 0; i < count; i++)
            entry_set_origin(list[i], origin);
    }
    return config;
}

static enum err_code
read_file(const char *path, char **text, size_t *len, struct err *err)
{
    FILE *file = fopen(path, "re");

    if (!file)
        return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_INVALID, "%s", strerror(errno));
    *text = mem_alloc(RULEBOOK_TEXT_MAX + 2);
    *len = fread(*text, 1, RULEBOOK_TEXT_MAX + 1, file);
    bool bad = ferror(file) != 0;
    fclose(file);
    return bad ? err_set(err, ERR_INVALID, "cannot be read") : ERR_OK;
}

static enum err_code
load(struct layers *layers, struct packed *file, struct err *err)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    CLEANUP(mem_free) char *text = NULL;
    AlertConfig *config = NULL;
    size_t len = 0;

    if (read_file(layers->path, &text, &len, err) ||
        rulebook_parse(text, len, unpack(&layers->built_in, "", arena), arena, &config, err))
        return err_wrap(err, "%s", layers->path);
    *file = pack(config);
    return ERR_OK;
}

static void
pack_defaults(struct layers *layers)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    AlertConfig *config;
    struct err err;

    if (rulebook_parse(alert_defaults[0].text, strlen(alert_defaults[0].text), NULL, arena, &config,
                       &err)) {
        fprintf(stderr, "defaults.yaml: %s\n", err.message);
        abort(); /* a test would have found it */
    }
    layers->built_in = pack(config);
}

enum err_code
layers_open(struct layers **layers, const char *path, struct err *err)
{
    CLEANUP(layers_free) struct layers *l = mem_zalloc(sizeof(*l));

    pthread_mutex_init(&l->lock, NULL);
    pack_defaults(l);
    if (path && *path) {
        l->path = mem_strdup(path);
        if (load(l, &l->file, err))
            return err->code;
    }
    *layers = TAKE_PTR(l);
    return ERR_OK;
}

enum err_code
layers_reload(struct layers *layers, struct err *err)
{
    struct packed file;

    if (!layers->path)
        return ERR_OK;
    if (load(layers, &file, err))
        return err->code;
    pthread_mutex_lock(&layers->lock);
    struct packed old = layers->file;
    layers->file = file;
    pthread_mutex_unlock(&layers->lock);
    free(old.data);
    return ERR_OK;
}

void
layers_free(struct layers *layers)
{
    if (!layers)
        return;
    pthread_mutex_destroy(&layers->lock);
    free(layers->built_in.data);
    free(layers->file.data);
    free(layers->path);
    free(layers);
}

AlertConfig *
layers_merge(struct layers *layers, const char *workspace, const AlertConfig *rows,
             struct arena *arena)
{
    pthread_mutex_lock(&layers->lock);
    const AlertConfig *file = unpack(&layers->file, "file", arena);
    pthread_mutex_unlock(&layers->lock);
    if (file && strcmp(*file->workspace ? file->workspace : "default", workspace) != 0)
        file = NULL;
    const AlertConfig *all[] = {unpack(&layers->built_in, "built in", arena), file, rows};
    return rulebook_merge(all, ARRAY_LEN(all), arena);
}
