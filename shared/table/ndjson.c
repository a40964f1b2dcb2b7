/* SPDX-License-Identifier: Apache-2.0 */
/* ndjson.c - an object a line; members in any order, absent ones are missing values. */
#include "table/internal.h"

#include <jansson.h>
#include <string.h>

static enum err_code
store_value(struct input *in, const char *name, size_t column, const json_t *value, struct err *err)
{
    switch (json_typeof(value)) {
    case JSON_NULL:
        return ERR_OK;
    case JSON_INTEGER:
        return store_number(in, column, (double)json_integer_value(value), true, err);
    case JSON_REAL:
        return store_number(in, column, json_real_value(value), false, err);
    case JSON_STRING:
        return store_word(in, column, json_string_value(value), json_string_length(value), err);
    case JSON_TRUE:
        return store_word(in, column, "true", 4, err);
    case JSON_FALSE:
        return store_word(in, column, "false", 5, err);
    default:
        return input_error(in, err, ERR_INVALID,
                           "'%.100s' is %s; drift check compares numbers and words", name,
                           json_is_array(value) ? "a list" : "an object");
    }
}

/* What Python's json.dumps() writes of a float without allow_nan=False. */
static bool
not_json(const char *record)
{
    return strstr(record, "NaN") || strstr(record, "Infinity");
}

enum err_code
read_ndjson(struct input *in, struct err *err)
{
    char *record;
    size_t len, column;

    for (;;) {
        json_error_t error;
        const char *name;
        json_t *value, *row;

        if (input_record(in, false, &record, &len, err))
            return err->code;
        if (!record)
            return ERR_OK;
        if (strspn(record, " \t") == len)
            continue;
        row = json_loadb(record, len, JSON_REJECT_DUPLICATES, &error);
        if (!row)
            return input_error(in, err, ERR_INVALID, "%s (column %d)%s", error.text, error.column,
                               not_json(record) ? "; NaN and Infinity are no JSON: write null"
                                                : "");
        enum err_code code = ERR_OK;
        if (!json_is_object(row))
            code = input_error(in, err, ERR_INVALID, "not an object; NDJSON has one a line");
        json_object_foreach(row, name, value)
        {
            if (!code)
                code = store_column(in, name, strlen(name), &column, err);
            if (!code && column != SIZE_MAX)
                code = store_value(in, name, column, value, err);
        }
        json_decref(row);
        if (code)
            return code;
        in->table->rows[in->side]++;
    }
}
