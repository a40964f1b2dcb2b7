/* SPDX-License-Identifier: Apache-2.0 */
/* argo_text.c - ${...} and conditions in Argo's words. */
#include "argo.h"
#include "output.h"

#include "matcher.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void
note_use(struct argo_scope *scope, const char *task, const char *output)
{
    json_t *use;
    size_t i;

    json_array_foreach(scope->uses, i,
                       use) if (strcmp(json_text_at(use, "task"), task) == 0 &&
                                strcmp(json_text_at(use, "output"), output) == 0) return;
    json_array_append_new(scope->uses, json_pack("{ss ss}", "task", task, "output", output));
}

/* "tasks.A.outputs.B" */
static enum err_code
of_task(struct argo_scope *scope, const char *name, struct buf *out, struct err *err)
{
    const char *point = strchr(name, '.');
    CLEANUP(mem_free) char *task = mem_strndup(name, point ? (size_t)(point - name) : 0);

    if (point && strcmp(point, ".status") == 0 && scope->in_dag) {
        buf_printf(out, "{{tasks.%s.status}}", task);
        return ERR_OK;
    }
    if (!point || strncmp(point, ".outputs.", 9) != 0)
        return err_set(err, ERR_UNSUPPORTED, "${tasks.%s} is not exported here", name);
    if (scope->in_dag) {
        buf_printf(out, "{{tasks.%s.outputs.parameters.%s}}", task, point + 9);
        return ERR_OK;
    }
    note_use(scope, task, point + 9);
    buf_printf(out, "{{inputs.parameters.%s-%s}}", task, point + 9);
    return ERR_OK;
}

static enum err_code
of_name(struct argo_scope *scope, const char *name, struct buf *out, struct err *err)
{
    if (strncmp(name, "params.", 7) == 0)
        buf_printf(out, "{{workflow.parameters.%s}}", name + 7);
    else if (strcmp(name, "run.id") == 0)
        buf_str(out, "{{workflow.uid}}");
    else if (strcmp(name, "run.pipeline") == 0)
        buf_str(out, json_text_at(scope->definition, "name"));
    else if (strcmp(name, "task.name") == 0)
        buf_str(out, json_text_at(scope->task, "name"));
    else if (strcmp(name, "item") == 0)
        buf_str(out, scope->in_dag ? "{{item}}" : "{{inputs.parameters.item}}");
    else if (strncmp(name, "tasks.", 6) == 0)
        return of_task(scope, name + 6, out, err);
    else
        return err_set(err, ERR_UNSUPPORTED, "Argo has nothing like ${%s}", name);
    return ERR_OK;
}

enum err_code
argo_text(struct argo_scope *scope, const char *text, struct buf *out, struct err *err)
{
    for (const char *p = text; *p;) {
        const char *dollar = strchr(p, '$');
        buf_add(out, p, dollar ? (size_t)(dollar - p) : strlen(p));
        if (!dollar)
            break;
        p = dollar + 1;
        if (p[0] == '$' && p[1] == '{') {
            buf_str(out, "${");
            p += 2;
        } else if (p[0] == '{') {
            size_t len = strcspn(p, "}");
            CLEANUP(mem_free) char *name = mem_strndup(p + 1, len - 1);
            if (!p[len] || of_name(scope, name, out, err))
                return p[len] ? err->code
                              : err_set(err, ERR_INVALID, "'%.100s': a brace is missing", text);
            p += len + 1;
        } else {
            buf_char(out, '$');
        }
    }
    return ERR_OK;
}

/* Alternatives in which * stands for any text, as a regular expression. */
static void
pattern(const struct matcher *m, struct buf *out)
{
    buf_str(out, "'^(");
    for (size_t i = 0; i < m->len; i++) {
        char c = m->value[i];
        if (c == '*')
            buf_str(out, ".*");
        else if (c == '|')
            buf_char(out, c);
        else if (isalnum((unsigned char)c) || c == '_' || c == '-')
            buf_char(out, c);
        else
            buf_printf(out, c == '\'' ? "\\'" : "\\\\%c", c);
    }
    buf_str(out, ")$'");
}

static void
quoted(const char *text, size_t len, struct buf *out)
{
    buf_char(out, '\'');
    for (size_t i = 0; i < len; i++)
        buf_printf(out, text[i] == '\'' || text[i] == '\\' ? "\\%c" : "%c", text[i]);
    buf_char(out, '\'');
}

/* A task's status: ours are lower-case words, Argo's begin with a capital. */
static void
status_value(const struct matcher *m, struct buf *out)
{
    CLEANUP(mem_free) char *word = mem_strndup(m->value, m->len);

    if (word[0])
        word[0] = (char)toupper((unsigned char)word[0]);
    quoted(word, strlen(word), out);
}

enum err_code
argo_condition(struct argo_scope *scope, const char *condition, struct buf *out, struct err *err)
{
    static const char *const operators[] = {
        [MATCH_EQ] = "==", [MATCH_NE] = "!=", [MATCH_LIKE] = "=~", [MATCH_UNLIKE] = "!~",
        [MATCH_LT] = "<",  [MATCH_LE] = "<=", [MATCH_GT] = ">",    [MATCH_GE] = ">="};
    struct matcher m;

    if (matcher_parse(condition, &m, err))
        return err->code;
    bool number = m.op >= MATCH_LT;
    size_t len = strlen(m.name);
    bool status = len > 7 && strcmp(m.name + len - 7, ".status") == 0;
    buf_str(out, number ? "" : "'");
    if (of_name(scope, m.name, out, err))
        return err->code;
    buf_printf(out, "%s %s ", number ? "" : "'", operators[m.op]);
    if (number)
        buf_add(out, m.value, m.len);
    else if (m.op == MATCH_LIKE || m.op == MATCH_UNLIKE)
        pattern(&m, out);
    else if (status)
        status_value(&m, out);
    else
        quoted(m.value, m.len, out);
    return ERR_OK;
}
