/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml.c - libyaml's events into a JSON value.
 *
 * Where each value began is remembered by its path ("rules[2].labels[0]"), so that whatever finds a
 * fault by its path gets a line and a column.
 */
#include "yaml/yaml.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define PATH_MAX_BYTES 300

struct mark {
    char *path;
    size_t line, column;
};

struct yaml_doc {
    json_t *value;
    struct mark *marks;
    size_t count;
};

struct reader {
    yaml_parser_t parser;
    const struct yaml_limits *limits;
    struct yaml_doc *doc;
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
    struct yaml_doc *doc = r->doc;

    if (doc->count == r->limits->nodes)
        return err_set(err, ERR_TOO_LARGE, "line %zu: more than %zu values", mark->line + 1,
                       r->limits->nodes);
    if ((doc->count & (doc->count - 1)) == 0)
        doc->marks =
            mem_realloc(doc->marks, (doc->count ? 2 * doc->count : 1) * sizeof(*doc->marks));
    doc->marks[doc->count++] = (struct mark){mem_strdup(path), mark->line + 1, mark->column + 1};
    return ERR_OK;
}

/* ---- values ---- */

static enum err_code read_value(struct reader *r, const yaml_event_t *event, const char *path,
                                size_t depth, json_t **value, struct err *err);

static json_t *
scalar(const yaml_event_t *event, bool text_only)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && !text_only;

    if (plain && (len == 0 || strcmp(text, "null") == 0 || strcmp(text, "~") == 0))
        return json_null();
    return json_stringn(text, len);
}

static bool
is_pairs(const struct reader *r, const char *path)
{
    const char *point = strrchr(path, '.');
    const char *name = point ? point + 1 : path;

    for (const char *const *pairs = r->limits->pairs; pairs && *pairs; pairs++)
        if (strcmp(name, *pairs) == 0)
            return true;
    return false;
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

/* One `key: value` of a mapping; *end: there was none. In a mapping of pairs it becomes an element
 * {key, value} of a list. */
static enum err_code
read_pair(struct reader *r, const char *path, size_t depth, bool pairs, json_t *into, bool *end,
          struct err *err)
{
    char key[PATH_MAX_BYTES / 2], inner[PATH_MAX_BYTES + PATH_MAX_BYTES / 2 + 24];
    yaml_event_t event;
    json_t *value = NULL;

    if (next(r, &event, err))
        return err->code;
    *end = event.type == YAML_MAPPING_END_EVENT;
    enum err_code code = *end ? ERR_OK : read_key(&event, key, err);
    if (!code && !*end && !pairs && json_object_get(into, key))
        code = fail_at(err, &event.start_mark, "the name is given twice");
    yaml_event_delete(&event);
    if (code || *end)
        return code;
    if (next(r, &event, err))
        return err->code;
    if (pairs)
        snprintf(inner, sizeof(inner), "%s[%zu]", path, json_array_size(into));
    else
        snprintf(inner, sizeof(inner), "%s%s%s", path, *path ? "." : "", key);
    if (strlen(inner) >= PATH_MAX_BYTES)
        code = fail_at(err, &event.start_mark, "too deep");
    else if (pairs && event.type != YAML_SCALAR_EVENT)
        code = fail_at(err, &event.start_mark, "a text is expected");
    else if (pairs && !(code = note(r, inner, &event.start_mark, err)))
        value = json_pack("{s:s,s:o}", "key", key, "value", scalar(&event, true));
    else if (!code)
        code = read_value(r, &event, inner, depth + 1, &value, err);
    if (!code &&
        (pairs ? json_array_append_new(into, value) : json_object_set_new(into, key, value)) != 0)
        code = fail_at(err, &event.start_mark, "not UTF-8");
    yaml_event_delete(&event);
    return code;
}

static enum err_code
read_mapping(struct reader *r, const char *path, size_t depth, json_t **value, struct err *err)
{
    bool pairs = is_pairs(r, path), end = false;
    json_t *into = pairs ? json_array() : json_object();

    while (!end)
        if (read_pair(r, path, depth, pairs, into, &end, err)) {
            json_decref(into);
            return err->code;
        }
    *value = into;
    return ERR_OK;
}

static enum err_code
read_list(struct reader *r, const char *path, size_t depth, json_t **value, struct err *err)
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
read_value(struct reader *r, const yaml_event_t *event, const char *path, size_t depth,
           json_t **value, struct err *err)
{
    if (depth > r->limits->depth || strlen(path) >= PATH_MAX_BYTES)
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

static enum err_code
expected(const struct reader *r, const yaml_event_t *event, struct err *err)
{
    return err_set(err, ERR_INVALID, "line %zu, column %zu: %s is expected",
                   event->start_mark.line + 1, event->start_mark.column + 1,
                   r->limits->expects ? r->limits->expects : "a mapping");
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
                             : expected(r, &event, err);
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
void
yaml_doc_locate(const struct yaml_doc *doc, struct err *err)
{
    char path[ERR_MESSAGE_MAX];
    const struct mark *best = doc->count ? &doc->marks[0] : NULL;
    size_t len = 0, best_len = 0;

    for (const char *p = err->message; *p && len + 1 < sizeof(path); p++) {
        bool colon = p[0] == ':' && p[1] == ' ';
        if (!colon && !isalnum((unsigned char)*p) && !strchr("_[].", *p))
            break;
        path[len++] = colon ? '.' : *p;
        p += colon;
    }
    for (size_t i = 0; i < doc->count; i++) {
        size_t n = strlen(doc->marks[i].path);
        if (n > best_len && n <= len && memcmp(doc->marks[i].path, path, n) == 0 &&
            (n == len || strchr(".[", path[n]))) {
            best = &doc->marks[i];
            best_len = n;
        }
    }
    if (best)
        (void)err_wrap(err, "line %zu, column %zu", best->line, best->column);
}

const json_t *
yaml_doc_value(const struct yaml_doc *doc)
{
    return doc->value;
}

void
yaml_doc_free(struct yaml_doc *doc)
{
    if (!doc)
        return;
    for (size_t i = 0; i < doc->count; i++)
        free(doc->marks[i].path);
    free(doc->marks);
    json_decref(doc->value);
    free(doc);
}

enum err_code
yaml_doc_read(const char *text, size_t len, const struct yaml_limits *limits, struct yaml_doc **out,
              struct err *err)
{
    CLEANUP(yaml_doc_free) struct yaml_doc *doc = mem_zalloc(sizeof(*doc));
    struct reader r = {.limits = limits, .doc = doc};

    if (len > limits->bytes)
        return err_set(err, ERR_TOO_LARGE, "more than %zu bytes", limits->bytes);
    if (!yaml_parser_initialize(&r.parser))
        abort();
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    enum err_code code = read_document(&r, &doc->value, err);
    yaml_parser_delete(&r.parser);
    if (code)
        return code;
    if (!doc->value)
        doc->value = json_object();
    *out = TAKE_PTR(doc);
    return ERR_OK;
}
