/* SPDX-License-Identifier: Apache-2.0 */
/* doc.c - forward to the JSON or the UBJSON reader. */
#include "doc.h"

#include <stdlib.h>
#include <string.h>

#define FORWARD(d, call, ...)                                                                      \
    ((d)->binary ? ubj_##call(&(d)->u.ubj __VA_OPT__(, ) __VA_ARGS__)                              \
                 : jr_##call(&(d)->u.json __VA_OPT__(, ) __VA_ARGS__))

void
doc_open(struct doc *d, bool binary, const void *data, size_t len)
{
    d->binary = binary;
    if (binary)
        ubj_open(&d->u.ubj, data, len);
    else
        jr_open(&d->u.json, data, len);
}

bool
doc_enter_object(struct doc *d)
{
    return FORWARD(d, enter_object);
}

bool
doc_member(struct doc *d, struct json_text *key)
{
    return FORWARD(d, member, key);
}

bool
doc_enter_array(struct doc *d)
{
    return FORWARD(d, enter_array);
}

bool
doc_element(struct doc *d)
{
    return FORWARD(d, element);
}

bool
doc_at_object(struct doc *d)
{
    return d->binary ? ubj_at_object(&d->u.ubj) : jr_peek(&d->u.json) == JSON_T_OBJECT;
}

bool
doc_integer(struct doc *d, int64_t *value)
{
    bool truth;

    if (d->binary)
        return ubj_integer(&d->u.ubj, value);
    enum json_type type = jr_peek(&d->u.json);
    if (type != JSON_T_TRUE && type != JSON_T_FALSE)
        return jr_integer(&d->u.json, value);
    if (!jr_boolean(&d->u.json, &truth))
        return false;
    *value = truth;
    return true;
}

bool
doc_raw_string(struct doc *d, struct json_text *text)
{
    return d->binary ? ubj_string(&d->u.ubj, text) : jr_raw_string(&d->u.json, text);
}

bool
doc_string(struct doc *d, struct arena *arena, const char **s, size_t *len)
{
    struct json_text text;

    if (!d->binary)
        return jr_string(&d->u.json, arena, s, len);
    if (!ubj_string(&d->u.ubj, &text))
        return false;
    *s = arena_strndup(arena, text.data, text.len);
    *len = text.len;
    return true;
}

bool
doc_skip(struct doc *d)
{
    return FORWARD(d, skip);
}

bool
doc_fail(struct doc *d, const char *what)
{
    return FORWARD(d, fail, what);
}

bool
doc_failed(const struct doc *d)
{
    return d->binary ? d->u.ubj.failed : d->u.json.failed;
}

bool
doc_object(struct doc *d, const struct doc_field *fields, size_t count, void *object)
{
    struct json_text key;

    if (!doc_enter_object(d))
        return false;
    while (doc_member(d, &key)) {
        const struct doc_field *f = fields;
        while (f < fields + count && !jr_key_is(&key, f->name))
            f++;
        if (f < fields + count ? !f->read(d, (char *)object + f->offset) : !doc_skip(d))
            return false;
    }
    return !doc_failed(d);
}

bool
doc_floats(struct doc *d, void *floats)
{
    struct doc_floats *out = floats;
    double wide = 0;
    float value = 0;

    out->len = 0;
    if (!doc_enter_array(d))
        return false;
    while (doc_element(d)) {
        if (d->binary ? !ubj_number(&d->u.ubj, &wide) : !jr_float(&d->u.json, &value))
            return false;
        if (out->len == out->cap) {
            out->cap = out->cap ? out->cap * 2 : 64;
            out->data = mem_realloc(out->data, out->cap * sizeof(*out->data));
        }
        out->data[out->len++] = d->binary ? (float)wide : value;
    }
    return !doc_failed(d);
}

bool
doc_ints(struct doc *d, void *ints)
{
    struct doc_ints *out = ints;
    int64_t value;

    out->len = 0;
    if (!doc_enter_array(d))
        return false;
    while (doc_element(d)) {
        if (!doc_integer(d, &value))
            return false;
        if (out->len == out->cap) {
            out->cap = out->cap ? out->cap * 2 : 64;
            out->data = mem_realloc(out->data, out->cap * sizeof(*out->data));
        }
        out->data[out->len++] = value;
    }
    return !doc_failed(d);
}

void
doc_floats_done(struct doc_floats *v)
{
    free(v->data);
    *v = (struct doc_floats){0};
}

void
doc_ints_done(struct doc_ints *v)
{
    free(v->data);
    *v = (struct doc_ints){0};
}

enum err_code
doc_finish(struct doc *d, struct err *err)
{
    return FORWARD(d, finish, err);
}

bool
doc_text_copy(const struct json_text *text, char *out, size_t size)
{
    size_t n = text->len < size ? text->len : size - 1;

    memcpy(out, text->data, n);
    out[n] = '\0';
    return n == text->len;
}
