/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c - flags, environment, and the local folder's env file. */
#include "settings.h"

#include "buf/buf.h"
#include "localdir/localdir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

char *
setting_dir(const struct cli *cli)
{
    return localdir_absolute(cli_option(cli, "dir"));
}

static const char *
from_folder(struct cli *cli, const char *name)
{
    struct err err;

    if (!cli->env) {
        CLEANUP(mem_free) char *dir = setting_dir(cli);
        /* No file there is an answer too: nothing is set. */
        if (localdir_env_read(dir, &cli->env, &err))
            cli->env = json_object();
    }
    return json_string_value(json_object_get(cli->env, name));
}

const char *
setting(struct cli *cli, const char *flag, const char *name)
{
    const char *value = flag ? cli_option(cli, flag) : NULL;

    if (value)
        return value;
    if (cli_option(cli, "dir"))
        value = from_folder(cli, name);
    if (!value)
        value = getenv(name);
    return value && *value ? value : from_folder(cli, name);
}

enum err_code
setting_need(struct cli *cli, const char *flag, const char *name, const char **value,
             struct err *err)
{
    *value = setting(cli, flag, name);
    if (*value)
        return ERR_OK;
    return err_set(err, ERR_PRECONDITION,
                   "%s is not set: start a platform with `modelbus local up --detach`, or %s%s%s",
                   name, flag ? "use --" : "export it", flag ? flag : "", flag ? "" : "");
}

static enum err_code
read_file(FILE *file, const char *name, size_t max_bytes, char **text, size_t *len, struct err *err)
{
    struct buf all = {0};
    char chunk[65536];
    size_t n;

    while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0) {
        buf_add(&all, chunk, n);
        if (all.len > max_bytes) {
            buf_done(&all);
            return err_set(err, ERR_TOO_LARGE, "%s: more than %zu bytes", name, max_bytes);
        }
    }
    if (ferror(file)) {
        buf_done(&all);
        return err_set(err, ERR_UNAVAILABLE, "%s: %s", name, strerror(errno));
    }
    buf_reserve(&all, 1);
    *len = all.len;
    *text = buf_take(&all);
    (*text)[*len] = '\0';
    return ERR_OK;
}

enum err_code
read_argument(const char *argument, size_t max_bytes, char **text, size_t *len, struct err *err)
{
    if (strcmp(argument, "-") == 0)
        return read_file(stdin, "standard input", max_bytes, text, len, err);
    if (argument[0] != '@') {
        *text = mem_strdup(argument);
        *len = strlen(argument);
        return ERR_OK;
    }
    FILE *file = fopen(argument + 1, "re");
    if (!file)
        return err_set(err, ERR_INVALID, "%s: %s", argument + 1, strerror(errno));
    enum err_code code = read_file(file, argument + 1, max_bytes, text, len, err);
    fclose(file);
    return code;
}

enum err_code
setting_secret(struct cli *cli, const char *flag, const char *name, char **value, struct err *err)
{
    CLEANUP(mem_free) char *file_name = mem_printf("%s_FILE", name);
    const char *given = setting(cli, flag, name);
    const char *file = given ? NULL : setting(cli, NULL, file_name);
    CLEANUP(mem_free) char *argument = file ? mem_printf("@%s", file) : mem_strdup(given);
    size_t len;

    if (!argument)
        return err_set(err, ERR_PRECONDITION,
                       "neither %s nor %s is set: start a platform with `modelbus local up`, or "
                       "export one of them",
                       name, file_name);
    /* "-" would read standard input; a secret never starts with one. */
    if (read_argument(argument, 4096, value, &len, err))
        return err->code;
    (*value)[strcspn(*value, "\r\n")] = '\0';
    return ERR_OK;
}
