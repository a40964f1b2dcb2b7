/* SPDX-License-Identifier: Apache-2.0 */
/* runtime.c - the table of formats, and how a file without one is recognised. */
#include "runtime.h"

#include "json/json_reader.h"

#include <stdlib.h>
#include <string.h>

static const struct runtime_type *const types[] = {
    &runtime_linear,
    &runtime_xgboost_json,
    &runtime_xgboost_ubjson,
};

const char *
runtime_formats(void)
{
    return "linear-json,xgboost-json,xgboost-ubjson";
}

/* JSON: by a key of the outermost object. UBJSON: '{' and then a length's marker, or the
 * '#' or '$' of a counted object, where JSON has white space or a quote. */
static const struct runtime_type *
recognise(const char *data, size_t len)
{
    struct json_reader r;
    struct json_text key;

    if (len > 1 && data[0] == '{' && memchr("iUIlL#$", data[1], 7))
        return &runtime_xgboost_ubjson;
    jr_open(&r, data, len);
    if (!jr_enter_object(&r))
        return NULL;
    while (jr_member(&r, &key)) {
        if (jr_key_is(&key, "learner"))
            return &runtime_xgboost_json;
        if (jr_key_is(&key, "modelbus_linear"))
            return &runtime_linear;
        if (!jr_skip(&r))
            return NULL;
    }
    return NULL;
}

enum err_code
runtime_open(const char *format, const void *data, size_t len, struct runtime **runtime,
             struct err *err)
{
    const struct runtime_type *type = NULL;

    if (!format || !*format) {
        type = recognise(data, len);
        if (!type)
            return err_set(err, ERR_UNSUPPORTED, "the file's format is not recognised; known: %s",
                           runtime_formats());
    } else {
        for (size_t i = 0; i < ARRAY_LEN(types) && !type; i++)
            if (strcmp(types[i]->format, format) == 0)
                type = types[i];
        if (!type)
            return err_set(err, ERR_UNSUPPORTED, "format '%s' is not supported; known: %s", format,
                           runtime_formats());
    }
    if (type->open(data, len, runtime, err))
        return err_wrap(err, "%s", type->format);
    return ERR_OK;
}

void
runtime_close(struct runtime *runtime)
{
    if (runtime)
        runtime->type->close(runtime);
}

void
runtime_names_free(char **names, size_t count)
{
    for (size_t i = 0; names && i < count; i++)
        free(names[i]);
    free(names);
}
