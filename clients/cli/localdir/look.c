/* SPDX-License-Identifier: Apache-2.0 */
/* look.c - what a running platform shows: its env file, its logs' ends, its memory. */
#include "localdir/localdir.h"

#include "buf/buf.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAIL_MAX_BYTES (256 * 1024)

enum err_code
localdir_env_write(const char *dir, const json_t *env, struct err *err)
{
    CLEANUP(mem_free) char *path = localdir_path(dir, "env");
    CLEANUP(buf_done) struct buf text = {0};
    const char *name;
    json_t *value;

    buf_str(&text, "# Addresses of the local platform; written by `modelbus local up`.\n");
    json_object_foreach((json_t *)(uintptr_t)env, name, value)
    {
        buf_printf(&text, "export %s='", name);
        for (const char *p = json_string_value(value); *p; p++) {
            if (*p == '\'')
                buf_str(&text, "'\\''");
            else
                buf_char(&text, *p);
        }
        buf_str(&text, "'\n");
    }
    return localdir_write(path, text.data, text.len, 0600, err);
}

/* The value between the quotes, with '\'' undone in place; NULL when the line is not ours. */
static char *
unquote(char *text)
{
    char *to = text + 1;
    char *start = to;

    if (text[0] != '\'')
        return NULL;
    for (char *p = text + 1; *p; p++) {
        if (*p != '\'') {
            *to++ = *p;
        } else if (strncmp(p, "'\\''", 4) == 0) {
            *to++ = '\'';
            p += 3;
        } else {
            *to = '\0';
            return start;
        }
    }
    return NULL;
}

enum err_code
localdir_env_read(const char *dir, json_t **env, struct err *err)
{
    CLEANUP(mem_free) char *path = localdir_path(dir, "env");
    CLEANUP(mem_free) char *line = NULL;
    size_t room = 0;
    FILE *file = fopen(path, "re");

    if (!file)
        return err_set(err, ERR_NOT_FOUND, "%s: no local platform has been started there", dir);
    json_t *read = json_object();
    while (getline(&line, &room, file) > 0) {
        char *value = strchr(line, '=');
        if (strncmp(line, "export ", 7) != 0 || !value)
            continue;
        *value++ = '\0';
        value = unquote(value);
        if (value)
            json_object_set_new(read, line + 7, json_string(value));
    }
    fclose(file);
    *env = read;
    return ERR_OK;
}

void
localdir_env_print(const char *dir, const json_t *env, FILE *out)
{
    static const struct {
        const char *label, *name;
    } rows[] = {
        {"gateway", "MODELBUS_GATEWAY_URL"},
        {"inference", "MODELBUS_INFERENCE_URL"},
        {"brokers", "MODELBUS_BROKERS"},
        {"database", "MODELBUS_POSTGRES_URL"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        fprintf(out, "  %-10s %s\n", rows[i].label,
                json_string_value(json_object_get(env, rows[i].name)));
    fprintf(out, "  %-10s . %s/env\n", "shell", dir);
}

void
localdir_tail(const char *path, unsigned lines, const char *prefix, FILE *out)
{
    CLEANUP(buf_done) struct buf text = {0};
    FILE *file = fopen(path, "re");
    char chunk[4096];
    size_t n;

    if (!file)
        return;
    if (fseek(file, 0, SEEK_END) == 0 && ftell(file) > TAIL_MAX_BYTES)
        fseek(file, -TAIL_MAX_BYTES, SEEK_END);
    else
        rewind(file);
    while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buf_add(&text, chunk, n);
    fclose(file);
    if (!text.len || !lines)
        return;
    const char *start = text.data + text.len - (text.data[text.len - 1] == '\n');
    for (unsigned seen = 0; start > text.data; start--)
        if (start[-1] == '\n' && ++seen == lines)
            break;
    while (*start) {
        size_t len = strcspn(start, "\n");
        fprintf(out, "%s%.*s\n", prefix, (int)len, start);
        start += len + (start[len] == '\n');
    }
}

static int64_t
pss_of(pid_t pid)
{
    char path[64], line[256];
    long long kib = 0;

    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file))
        if (sscanf(line, "Pss: %lld", &kib) == 1)
            break;
    fclose(file);
    return kib * 1024;
}

static pid_t
parent_of(pid_t pid)
{
    char path[64], text[512];
    int parent = 0;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    size_t n = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[n] = '\0';
    /* The name in parentheses may hold anything, so fields count from the last one. */
    const char *after = strrchr(text, ')');
    return after && sscanf(after + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

int64_t
localdir_pss_bytes(pid_t pid, bool tree)
{
    int64_t sum = pss_of(pid);
    DIR *proc = tree ? opendir("/proc") : NULL;
    struct dirent *entry;

    if (!proc)
        return sum;
    while ((entry = readdir(proc))) {
        pid_t other = (pid_t)atoi(entry->d_name);
        if (other <= 0 || other == pid)
            continue;
        pid_t above = parent_of(other);
        for (int depth = 0; above > 1 && above != pid && depth < 8; depth++)
            above = parent_of(above);
        if (above == pid)
            sum += pss_of(other);
    }
    closedir(proc);
    return sum;
}
