/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml.c - the rules file: YAML becomes the JSON that REST would take, and pbjson does the rest.
 *
 * Where each value began is remembered by its path ("rules[2].labels[0]"), so that whatever finds a
 * fault by its path, here or in pbjson or in check.c, gets a line and a column.
 */
#include "rulebook.h"

#include "pbjson/pbjson.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define DEPTH_MAX 16
#define NODES_MAX 50000
#define PATH_MAX_BYTES 300

struct mark {
    char *path;
    size_t line, column;
};

struct reader {
    yaml_parser_t parser;
    struct mark *marks;
    size_t count;
};

static enum err_code
fail_at(struct err *err, const yaml_mark_t *mark, const char *what)
{
    return err_set(err, ERR_INVALID, "line %zu, column %zu: %s", mark->line + 1, mark->column + 1,
                   what);
}

static enum err_code
next(struct reader *r, yaml_event_t *event, struct err *err)
{
    if (yaml_parser_parse(&r->parser, event))
        return ERR_OK;
    return fail_at(err, &r->parser.problem_mark,
                   r->parser.problem ? r->parser.problem : "not YAML");
}

static enum err_code
note(struct reader *r, const char *path, const yaml_mark_t *mark, struct err *err)
{
    if (r->count == NODES_MAX)
        return err_set(err, ERR_TOO_LARGE, "more than %d values", NODES_MAX);
    if ((r->count & (r->count - 1)) == 0)
        r->marks = mem_realloc(r->marks, (r->count ? 2 * r->count : 1) * sizeof(*r->marks));
    r->marks[r->count++] = (struct mark){mem_strdup(path), mark->line + 1, mark->column + 1};
    return ERR_OK;
}

/* ---- values ---- */

static enum err_code read_value(struct reader *r, const yaml_event_t *event, const char *path,
                                int depth, json_t **value, struct err *err);

/* A plain scalar may be a number, a boolean or nothing; a quoted one is a text. */
static json_t *
scalar(const yaml_event_t *event, bool text_only)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !text_only;
    size_t digits = strspn(text + (text[0] == '-'), "0123456789") + (text[0] == '-');

    if (plain && (len == 0 || strcmp(text, "null") == 0 || strcmp(text, "~") == 0))
        return json_null();
    if (plain && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
        return json_boolean(text[0] == 't');
    if (plain && digits == len && len < 19 && isdigit((unsigned char)text[len - 1]))
        return json_integer(strtoll(text, NULL, 10));
    return json_stringn(text, len);
}

static bool
is_labels(const char *path)
{
    const char *point = strrchr(path, '.');

    return point && (strcmp(point, ".labels") == 0 || strcmp(point, ".annotations") == 0);
}

static enum err_code
read_key(const yaml_event_t *event, char key[PATH_MAX_BYTES / 2], struct err *err)
{
    const char *text = (const char *)event->data.scalar.value;

    if (event->type != YAML_SCALAR_EVENT)
        return fail_at(err, &event->start_mark, "a name is expected");
    if (event->data.scalar.length >= PATH_MAX_BYTES / 2 ||
        strlen(text) != event->data.scalar.length)
        return fail_at(err, &event->start_mark, "the name is too long");
    memcpy(key, text, event->data.scalar.length + 1);
    return ERR_OK;
}

/* One `key: value` of a mapping; *end: there was none. In a mapping of labels it becomes an element
 * {key, value} of a list. */
static enum err_code
read_pair(struct reader *r, const char *path, int depth, bool labels, json_t *into, bool *end,
          struct err *err)
{
    char key[PATH_MAX_BYTES / 2], inner[PATH_MAX_BYTES + PATH_MAX_BYTES / 2 + 24];
    yaml_event_t event;
    json_t *value = NULL;

    if (next(r, &event, err))
        return err->code;
    *end = event.type == YAML_MAPPING_END_EVENT;
    enum err_code code = *end ? ERR_OK : read_key(&event, key, err);
    if (!code && !*end && !labels && json_object_get(into, key))
        code = fail_at(err, &event.start_mark, "the name is given twice");
    yaml_event_delete(&event);
    if (code || *end)
        return code;
    if (next(r, &event, err))
        return err->code;
    if (labels)
        snprintf(inner, sizeof(inner), "%s[%zu]", path, json_array_size(into));
    else
        snprintf(inner, sizeof(inner), "%s%s%s", path, *path ? "." : "", key);
    if (strlen(inner) >= PATH_MAX_BYTES)
        code = fail_at(err, &event.start_mark, "too deep");
    else if (labels && event.type != YAML_SCALAR_EVENT)
        code = fail_at(err, &event.start_mark, "a text is expected");
    else if (labels && !(code = note(r, inner, &event.start_mark, err)))
        value = json_pack("{s:s,s:o}", "key", key, "value", scalar(&event, true));
    else if (!code)
        code = read_value(r, &event, inner, depth + 1, &value, err);
    if (!code &&
        (labels ? json_array_append_new(into, value) : json_object_set_new(into, key, value)) != 0)
        code = fail_at(err, &event.start_mark, "not UTF-8");
    yaml_event_delete(&event);
    return code;
}

static enum err_code
read_mapping(struct reader *r, const char *path, int depth, json_t **value, struct err *err)
{
    bool labels = is_labels(path), end = false;
    json_t *into = labels ? json_array() : json_object();

    while (!end)
        if (read_pair(r, path, depth, labels, into, &end, err)) {
            json_decref(into);
            return err->code;
        }
    *value = into;
    return ERR_OK;
}

static enum err_code
read_list(struct reader *r, const char *path, int depth, json_t **value, struct err *err)
{
    char inner[PATH_MAX_BYTES + 24];
    json_t *list = json_array();
    bool end = false;

    while (!end) {
        yaml_event_t event;
        json_t *item = NULL;
        if (next(r, &event, err)) {
            json_decref(list);
            return err->code;
        }
        end = event.type == YAML_SEQUENCE_END_EVENT;
        snprintf(inner, sizeof(inner), "%s[%zu]", path, json_array_size(list));
        enum err_code code = end ? ERR_OK : read_value(r, &event, inner, depth + 1, &item, err);
        if (!code && !end && json_array_append_new(list, item) != 0)
            code = fail_at(err, &event.start_mark, "not UTF-8");
        yaml_event_delete(&event);
        if (code) {
            json_decref(list);
            return code;
        }
    }
    *value = list;
    return ERR_OK;
}

static enum err_code
read_value(struct reader *r, const yaml_event_t *event, const char *path, int depth, json_t **value,
           struct err *err)
{
    if (depth > DEPTH_MAX || strlen(path) >= PATH_MAX_BYTES)
        return fail_at(err, &event->start_mark, "too deep");
    if (note(r, path, &event->start_mark, err))
        return err->code;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        *value = scalar(event, false);
        if (!*value)
            return fail_at(err, &event->start_mark, "not UTF-8");
        return ERR_OK;
    case YAML_SEQUENCE_START_EVENT:
        return read_list(r, path, depth, value, err);
    case YAML_MAPPING_START_EVENT:
        return read_mapping(r, path, depth, value, err);
    default:
        return fail_at(err, &event->start_mark, "anchors and aliases are not taken");
    }
}

/* ---- the document ---- */

static enum err_code
skip_event(struct reader *r, yaml_event_type_t *type, struct err *err)
{
    yaml_event_t event;

    if (next(r, &event, err))
        return err->code;
    *type = event.type;
    yaml_event_delete(&event);
    return ERR_OK;
}

/* *value NULL: an empty file. */
static enum err_code
read_document(struct reader *r, json_t **value, struct err *err)
{
    yaml_event_type_t type = YAML_NO_EVENT;
    yaml_event_t event;

    if (skip_event(r, &type, err) || skip_event(r, &type, err))
        return err->code;
    if (type == YAML_STREAM_END_EVENT)
        return ERR_OK;
    if (next(r, &event, err))
        return err->code;
    enum err_code code = event.type == YAML_MAPPING_START_EVENT
                             ? read_value(r, &event, "", 0, value, err)
                             : fail_at(err, &event.start_mark, "rules:, receivers: … are expected");
    yaml_event_delete(&event);
    if (code)
        return code;
    if (skip_event(r, &type, err) || skip_event(r, &type, err))
        return err->code;
    if (type != YAML_STREAM_END_EVENT)
        return fail_at(err, &r->parser.mark, "one document is expected");
    return ERR_OK;
}

/* "rules[2]: labels[0]: …" begins with the path rules[2].labels[0]; the longest part of it that
 * was noted says where. */
static void
locate(const struct reader *r, struct err *err)
{
    char path[ERR_MESSAGE_MAX];
    const struct mark *best = r->count ? &r->marks[0] : NULL;
    size_t len = 0, best_len = 0;

    for (const char *p = err->message; *p && len + 1 < sizeof(path); p++) {
        bool colon = p[0] == ':' && p[1] == ' ';
        if (!colon && !isalnum((unsigned char)*p) && !strchr("_[].", *p))
            break;
        path[len++] = colon ? '.' : *p;
        p += colon;
    }
    for (size_t i = 0; i < r->count; i++) {
        size_t n = strlen(r->marks[i].path);
        if (n > best_len && n <= len && memcmp(r->marks[i].path, path, n) == 0 &&
            (n == len || strchr(".[", path[n]))) {
            best = &r->marks[i];
            best_len = n;
        }
    }
    if (best)
        (void)err_wrap(err, "line %zu, column %zu", best->line, best->column);
}

static enum err_code
parse(struct reader *r, const AlertConfig *base, struct arena *arena, AlertConfig **config,
      struct err *err)
{
    ProtobufCMessage *message = NULL;
    json_t *value = NULL;
    enum err_code code = read_document(r, &value, err);

    if (code) {
        json_decref(value);
        return code;
    }
    if (!value)
        value = json_object();
    code =
        pbjson_from(&modelbus__alert__v1__alert_config__descriptor, value, 0, arena, &message, err);
    json_decref(value);
    AlertConfig *found = (AlertConfig *)message;
    if (!code)
        code = rulebook_check(found, base, err);
    if (code) {
        locate(r, err);
        return code;
    }
    /* Routes without a position are asked in the order of the file. */
    for (size_t i = 0; i < found->n_routes; i++)
        if (found->routes[i]->position == 0)
            found->routes[i]->position = (int32_t)i;
    *config = found;
    return ERR_OK;
}

enum err_code
rulebook_parse(const char *text, size_t len, const AlertConfig *base, struct arena *arena,
               AlertConfig **config, struct err *err)
{
    struct reader r = {0};

    if (len > RULEBOOK_TEXT_MAX)
        return err_set(err, ERR_TOO_LARGE, "more than %d bytes", RULEBOOK_TEXT_MAX);
    if (!yaml_parser_initialize(&r.parser))
        abort();
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    enum err_code code = parse(&r, base, arena, config, err);
    yaml_parser_delete(&r.parser);
    for (size_t i = 0; i < r.count; i++)
        free(r.marks[i].path);
    free(r.marks);
    return code;
}
