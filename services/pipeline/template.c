/* SPDX-License-Identifier: Apache-2.0 */
/* template.c - ${...} replaced. */
#include "template.h"

#include "buf/buf.h"

#include <string.h>

/* Bytes that stand for themselves; what follows them is "${", "$${" or the end. */
static size_t
plain(const char *text)
{
    const char *p = text;

    for (; *p; p++)
        if (p[0] == '$' && (p[1] == '{' || (p[1] == '$' && p[2] == '{')))
            break;
    return (size_t)(p - text);
}

static enum err_code
add(struct buf *out, const char *text, size_t len, size_t max, struct err *err)
{
    if (len > max - out->len)
        return err_set(err, ERR_TOO_LARGE, "more than %zu bytes once ${...} are filled in", max);
    buf_add(out, text, len);
    return ERR_OK;
}

/* p: behind the brace. */
static enum err_code
add_value(struct buf *out, const char **p, template_find find, void *arg, size_t max,
          struct arena *arena, struct err *err)
{
    const char *end = strchr(*p, '}');

    if (!end || end == *p)
        return err_set(err, ERR_INVALID,
                       "'${%.60s': a name and } are expected; write $${ for a dollar and a brace",
                       *p);
    const char *name = arena_strndup(arena, *p, (size_t)(end - *p));
    const char *value = find(arg, name, err);
    if (!value)
        return err_wrap(err, "${%.100s}", name);
    *p = end + 1;
    return add(out, value, strlen(value), max, err);
}

enum err_code
template_fill(const char *text, template_find find, void *arg, size_t max, struct arena *arena,
              const char **filled, struct err *err)
{
    CLEANUP(buf_done) struct buf out = {0};
    enum err_code code = ERR_OK;

    while (*text && !code) {
        size_t len = plain(text);
        code = add(&out, text, len, max, err);
        text += len;
        if (code || !*text)
            break;
        if (text[1] == '$') {
            code = add(&out, "${", 2, max, err);
            text += 3;
        } else {
            text += 2;
            code = add_value(&out, &text, find, arg, max, arena, err);
        }
    }
    if (!code)
        *filled = arena_strndup(arena, out.data ? out.data : "", out.len);
    return code;
}
