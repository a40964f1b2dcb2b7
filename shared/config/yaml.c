/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.c - a flat `name: value` file, read event by event so that nothing unfolds. */
#include "config/config.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define TEXT_MAX_BYTES (64 << 10)
#define KEYS_MAX 1000

struct reader {
    yaml_parser_t parser;
    char **pairs; /* 2 * count strings and a NULL */
    size_t count;
};

static enum err_code
next(struct reader *r, yaml_event_t *event, struct err *err)
{
    if (yaml_parser_parse(&r->parser, event))
        return ERR_OK;
    return err_set(err, ERR_INVALID, "line %zu: %s", r->parser.problem_mark.line + 1,
                   r->parser.problem ? r->parser.problem : "not YAML");
}

/* The next event's scalar as *text (owned), or *end at the end of the mapping. */
static enum err_code
next_scalar(struct reader *r, const char *what, char **text, bool *end, struct err *err)
{
    yaml_event_t event;
    enum err_code code = ERR_OK;

    if (next(r, &event, err))
        return err->code;
    size_t line = event.start_mark.line + 1;
    if (end && event.type == YAML_MAPPING_END_EVENT) {
        *end = true;
    } else if (event.type != YAML_SCALAR_EVENT) {
        code =
            err_set(err, ERR_INVALID,
                    "line %zu: expected %s; only flat `name: value` lines are allowed", line, what);
    } else if (strlen((const char *)event.data.scalar.value) != event.data.scalar.length) {
        code = err_set(err, ERR_INVALID, "line %zu: %s contains a NUL", line, what);
    } else {
        *text = mem_strndup((const char *)event.data.scalar.value, event.data.scalar.length);
    }
    yaml_event_delete(&event);
    return code;
}

static enum err_code
read_pair(struct reader *r, bool *end, struct err *err)
{
    CLEANUP(mem_free) char *name = NULL;
    CLEANUP(mem_free) char *value = NULL;
    size_t line = r->parser.mark.line + 1;

    if (next_scalar(r, "a name", &name, end, err) || *end)
        return *end ? ERR_OK : err->code;
    if (next_scalar(r, "a value", &value, NULL, err))
        return err_wrap(err, "'%.100s'", name);
    for (size_t i = 0; i < r->count; i++)
        if (strcmp(r->pairs[2 * i], name) == 0)
            return err_set(err, ERR_INVALID, "line %zu: '%.100s' is given twice", line, name);
    if (r->count == KEYS_MAX)
        return err_set(err, ERR_TOO_LARGE, "more than %d names", KEYS_MAX);
    r->pairs = mem_realloc(r->pairs, (2 * r->count + 3) * sizeof(*r->pairs));
    r->pairs[2 * r->count] = TAKE_PTR(name);
    r->pairs[2 * r->count + 1] = TAKE_PTR(value);
    r->pairs[2 * ++r->count] = NULL;
    return ERR_OK;
}

/* Read one event of one of two types; *got says which. */
static enum err_code
expect(struct reader *r, yaml_event_type_t type, yaml_event_type_t other, yaml_event_type_t *got,
       struct err *err)
{
    yaml_event_t event;

    if (next(r, &event, err))
        return err->code;
    *got = event.type;
    size_t line = event.start_mark.line + 1;
    yaml_event_delete(&event);
    if (*got == type || *got == other)
        return ERR_OK;
    return err_set(err, ERR_INVALID, "line %zu: expected one document of `name: value` lines",
                   line);
}

static enum err_code
read_stream(struct reader *r, struct err *err)
{
    yaml_event_type_t got = YAML_NO_EVENT;
    bool end = false;

    if (expect(r, YAML_STREAM_START_EVENT, YAML_STREAM_START_EVENT, &got, err) ||
        expect(r, YAML_DOCUMENT_START_EVENT, YAML_STREAM_END_EVENT, &got, err))
        return err->code;
    if (got == YAML_STREAM_END_EVENT)
        return ERR_OK;
    if (expect(r, YAML_MAPPING_START_EVENT, YAML_MAPPING_START_EVENT, &got, err))
        return err->code;
    while (!end)
        if (read_pair(r, &end, err))
            return err->code;
    if (expect(r, YAML_DOCUMENT_END_EVENT, YAML_DOCUMENT_END_EVENT, &got, err) ||
        expect(r, YAML_STREAM_END_EVENT, YAML_STREAM_END_EVENT, &got, err))
        return err->code;
    return ERR_OK;
}

enum err_code
config_parse_yaml(const char *text, size_t len, char ***pairs, struct err *err)
{
    struct reader r = {0};

    if (len > TEXT_MAX_BYTES)
        return err_set(err, ERR_TOO_LARGE, "more than %d bytes", TEXT_MAX_BYTES);
    if (!yaml_parser_initialize(&r.parser))
        abort();
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    r.pairs = mem_calloc(1, sizeof(*r.pairs));
    enum err_code code = read_stream(&r, err);
    yaml_parser_delete(&r.parser);
    if (code)
        config_pairs_free(r.pairs);
    else
        *pairs = r.pairs;
    return code;
}

void
config_pairs_free(char **pairs)
{
    if (!pairs)
        return;
    for (char **p = pairs; *p; p++)
        free(*p);
    free(pairs);
}
