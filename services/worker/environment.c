/* SPDX-License-Identifier: Apache-2.0 */
/* environment.c - "NAME=value" texts, one a name. */
#include "environment.h"

#include "secrets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

static bool
is_variable(const char *name)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
    size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");

    return len > 0 && !name[len] && strchr(letters, *name);
}

static size_t
count_of(char *const *environment)
{
    size_t n = 0;

    while (environment[n])
        n++;
    return n;
}

static void
wipe(char *text)
{
    explicit_bzero(text, strlen(text));
    free(text);
}

static void
set(char ***environment, const char *name, const char *value)
{
    size_t n = count_of(*environment), len = strlen(name);
    char *pair = mem_printf("%s=%s", name, value);

    for (size_t i = 0; i < n; i++) {
        char **at = &(*environment)[i];
        if (strncmp(*at, pair, len + 1) == 0) {
            wipe(*at);
            *at = pair;
            return;
        }
    }
    *environment = mem_realloc(*environment, (n + 2) * sizeof(**environment));
    (*environment)[n] = pair;
    (*environment)[n + 1] = NULL;
}

static void
set_under(char ***environment, const char *name, const char *folder, const char *below)
{
    CLEANUP(mem_free) char *path = mem_printf("%s/%s", folder, below);

    set(environment, name, path);
}

static void
set_int(char ***environment, const char *name, int64_t value)
{
    CLEANUP(mem_free) char *text = mem_printf("%lld", (long long)value);

    set(environment, name, text);
}

static enum err_code
add_lease(char ***environment, const Lease *lease, struct err *err)
{
    for (size_t i = 0; i < lease->n_env; i++) {
        const Modelbus__Pipeline__V1__Lease__EnvEntry *e = lease->env[i];
        if (!is_variable(e->key))
            return err_set(err, ERR_INVALID, "env: '%.80s' is not a variable's name", e->key);
        set(environment, e->key, e->value);
    }
    return ERR_OK;
}

static enum err_code
add_secrets(char ***environment, const struct environment_options *o, struct mask *mask,
            struct err *err)
{
    for (size_t i = 0; i < o->lease->n_secrets; i++) {
        const Modelbus__Pipeline__V1__Lease__SecretsEntry *e = o->lease->secrets[i];
        CLEANUP(secret_wipe) struct buf value = {0};
        if (!is_variable(e->key))
            return err_set(err, ERR_INVALID, "secrets: '%.80s' is not a variable's name", e->key);
        if (secret_read(o->secrets_dir, e->value, &value, err))
            return err->code;
        mask_secret(mask, value.data, value.len);
        set(environment, e->key, value.data);
    }
    return ERR_OK;
}

static void
add_own(char ***environment, const struct environment_options *o, struct mask *mask)
{
    const Lease *lease = o->lease;

    set_under(environment, "MODELBUS_INPUTS", o->folder, "inputs");
    set_under(environment, "MODELBUS_OUTPUTS", o->folder, "outputs");
    set(environment, "MODELBUS_PIPELINE", lease->pipeline);
    set(environment, "MODELBUS_RUN", lease->run);
    set(environment, "MODELBUS_TASK", lease->task);
    set_int(environment, "MODELBUS_INDEX", lease->index);
    set_int(environment, "MODELBUS_ATTEMPT", lease->attempt);
    set(environment, "MODELBUS_GATEWAY_URL", o->gateway_url);
    if (*lease->traceparent)
        set(environment, "TRACEPARENT", lease->traceparent);
    if (o->task_token && *o->task_token) {
        mask_secret(mask, o->task_token, strlen(o->task_token));
        set(environment, "MODELBUS_TOKEN", o->task_token);
    }
}

enum err_code
environment_make(const struct environment_options *options, struct mask *mask, char ***environment,
                 struct err *err)
{
    char **made = mem_zalloc(sizeof(*made));
    const char *path = getenv("PATH");

    set(&made, "PATH", path && *path ? path : DEFAULT_PATH);
    set(&made, "LANG", "C.UTF-8");
    set_under(&made, "HOME", options->folder, "work");
    set_under(&made, "TMPDIR", options->folder, "tmp");
    if (add_lease(&made, options->lease, err) || add_secrets(&made, options, mask, err)) {
        environment_free(made);
        return err->code;
    }
    add_own(&made, options, mask);
    *environment = made;
    return ERR_OK;
}

void
environment_free(char **environment)
{
    for (size_t i = 0; environment && environment[i]; i++)
        wipe(environment[i]);
    free(environment);
}

const char *
environment_get(char *const *environment, const char *name)
{
    size_t len = strlen(name);

    for (; *environment; environment++)
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
            return *environment + len + 1;
    return NULL;
}

enum err_code
environment_program(char *const *environment, const char *name, char **program, struct err *err)
{
    const char *path = environment_get(environment, "PATH");

    if (strchr(name, '/')) {
        *program = mem_strdup(name);
        return ERR_OK;
    }
    while (*name && path && *path) {
        size_t len = strcspn(path, ":");
        char *found = mem_printf("%.*s/%s", (int)len, path, name);
        if (*path == '/' && access(found, X_OK) == 0) {
            *program = found;
            return ERR_OK;
        }
        free(found);
        path += len + (path[len] == ':');
    }
    return err_set(err, ERR_NOT_FOUND, "cannot run '%.100s': it is not in PATH", name);
}
