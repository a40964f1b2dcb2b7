/* SPDX-License-Identifier: Apache-2.0 */
/* push.c - a model file or folder becomes a version. */
#include "push.h"

#include "api.h"
#include "output.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const struct option_row push_options[] = {
    {"description", "TEXT", "of the version", NULL, 0},
    {"tag", "KEY=VALUE", "a tag; may be repeated", NULL, 0},
    {"metric", "KEY=NUMBER", "a metric; may be repeated", NULL, 0},
    {"feature", "NAME", "name of the next feature in the model's order; may be repeated", NULL, 0},
    {NULL, NULL, NULL, NULL, 0},
};

static bool
is_model_file(const char *name)
{
    static const char *const endings[] = {".json", ".ubj", ".ubjson", ".xgb", ".bst", ".model"};
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; dot && i < ARRAY_LEN(endings); i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return true;
    return false;
}

/* MLflow's MLmodel: `flavors:` holds one map a flavor, and python_function's is for any loader;
 * the native flavors name the file as `data:`. */
static char *
mlmodel_data(const char *folder)
{
    CLEANUP(mem_free) char *path = mem_printf("%s/MLmodel", folder);
    CLEANUP(mem_free) char *line = NULL;
    FILE *file = fopen(path, "re");
    bool native = false;
    char *found = NULL;
    size_t room = 0;

    while (file && !found && getline(&line, &room, file) > 0) {
        char *text = line + strspn(line, " ");
        text[strcspn(text, "\r\n")] = '\0';
        if (text == line + 2)
            native = strncmp(text, "python_function", 15) != 0;
        if (!native || text != line + 4 || strncmp(text, "data:", 5) != 0)
            continue;
        text += 5 + strspn(text + 5, " '\"");
        text[strcspn(text, "'\"")] = '\0';
        /* Only below the folder. */
        if (*text && *text != '/' && !strstr(text, ".."))
            found = mem_printf("%s/%s", folder, text);
    }
    if (file)
        fclose(file);
    return found;
}

enum err_code
push_find_file(const char *path, char **file, struct err *err)
{
    struct dirent **names;
    struct stat st;
    char *found = NULL;
    int models = 0;

    if (stat(path, &st))
        return err_set(err, ERR_NOT_FOUND, "%s: %s", path, strerror(errno));
    if (S_ISREG(st.st_mode)) {
        *file = mem_strdup(path);
        return ERR_OK;
    }
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ERR_INVALID, "%s is neither a file nor a folder", path);
    found = mlmodel_data(path);
    if (found && stat(found, &st) == 0 && S_ISREG(st.st_mode)) {
        *file = found;
        return ERR_OK;
    }
    free(found);
    found = NULL;
    int count = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (is_model_file(names[i]->d_name)) {
            models++;
            free(found);
            found = mem_printf("%s/%s", path, names[i]->d_name);
        }
        free(names[i]);
    }
    if (count >= 0)
        free(names);
    if (models == 1) {
        *file = found;
        return ERR_OK;
    }
    free(found);
    return err_set(err, ERR_INVALID,
                   models ? "%s has %d model files: name the one to use"
                          : "%s has no model file (.json, .ubj, .xgb, .bst, "
                            ".model) and no MLmodel that names one",
                   path, models);
}

/* KEY=VALUE of an option; *value points behind the sign. The caller frees the key. */
static enum err_code
split(const char *option, const char *form, const char *text, char **key, const char **value,
      struct err *err)
{
    const char *equals = strchr(text, '=');

    if (!equals || equals == text)
        return err_set(err, ERR_INVALID, "--%s wants %s, not '%s'", option, form, text);
    *key = mem_strndup(text, (size_t)(equals - text));
    *value = equals + 1;
    return ERR_OK;
}

/* What JSON has no number for is a text, as protobuf writes it. */
static json_t *
number(double x)
{
    return isnan(x)   ? json_string("NaN")
           : isinf(x) ? json_string(x > 0 ? "Infinity" : "-Infinity")
                      : json_real(x);
}

enum err_code
push_metrics(const struct cli *cli, json_t *metrics, struct err *err)
{
    for (size_t i = 0; i < cli->given_count; i++) {
        const char *text = cli->given[i].value, *value = NULL;
        CLEANUP(mem_free) char *key = NULL;
        char *end;

        if (strcmp(cli->given[i].row->name, "metric") != 0)
            continue;
        if (split("metric", "KEY=NUMBER", text, &key, &value, err))
            return err->code;
        double x = strtod(value, &end);
        if (end == value || *end)
            return err_set(err, ERR_INVALID, "--metric wants KEY=NUMBER, not '%s'", text);
        json_array_append_new(metrics, json_pack("{ss so}", "key", key, "value", number(x)));
    }
    return ERR_OK;
}

/* Options that may be repeated, as the request's lists. */
static enum err_code
add_details(const struct cli *cli, json_t *body, struct err *err)
{
    json_t *tags = json_array(), *metrics = json_array(), *features = json_array();

    json_object_set_new(body, "tags", tags);
    json_object_set_new(body, "metrics", metrics);
    json_object_set_new(body, "feature_names", features);
    for (size_t i = 0; i < cli->given_count; i++) {
        const char *option = cli->given[i].row->name, *text = cli->given[i].value, *value = NULL;
        CLEANUP(mem_free) char *key = NULL;

        if (strcmp(option, "feature") == 0)
            json_array_append_new(features, json_string(text));
        if (strcmp(option, "tag") != 0)
            continue;
        if (split(option, "KEY=VALUE", text, &key, &value, err))
            return err->code;
        json_array_append_new(tags, json_pack("{ss ss}", "key", key, "value", value));
    }
    return push_metrics(cli, metrics, err);
}

enum err_code
push_version(struct cli *cli, const char *name, const char *path, json_t **version, struct err *err)
{
    CLEANUP(mem_free) char *file = NULL;
    CLEANUP(mem_free) char *uri = NULL;
    CLEANUP(mem_free) char *encoded = api_encode(name);
    const char *description = cli_option(cli, "description");
    json_t *answer = NULL;
    int64_t bytes;

    if (push_find_file(path, &file, err) || api_upload(cli, file, &uri, &bytes, err))
        return err->code;
    const char *slash = strrchr(file, '/');
    json_t *body = json_pack("{s{ss sI ss} ss}", "artifact", "uri", uri, "size_bytes",
                             (json_int_t)bytes, "file_name", slash ? slash + 1 : file,
                             "description", description ? description : "");
    enum err_code code = add_details(cli, body, err);
    if (!code)
        code = api_call(cli, "POST", body, &answer, err, "models/%s/versions", encoded);
    json_decref(body);
    if (code)
        return code;
    *version = json_incref(json_object_get(answer, "version"));
    json_decref(answer);
    return ERR_OK;
}
