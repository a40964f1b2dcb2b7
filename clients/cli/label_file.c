/* SPDX-License-Identifier: Apache-2.0 */
/* label_file.c - lines of CSV or NDJSON into labels. */
#include "label_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 1000

struct label_file {
    FILE *in;
    const char *path, *id_column, *label_column;
    size_t line_number;
    bool csv, first; /* first: the line that was read to open it is not yet returned */
    size_t id_at, label_at;
    char line[LABEL_LINE_MAX + 2];
};

static enum err_code
wrong(const struct label_file *f, struct err *err, const char *what)
{
    return err_set(err, ERR_INVALID, "%s, line %zu: %s", f->path, f->line_number, what);
}

/* Without its line end; *got false at the end of the file. */
static MUST_CHECK enum err_code
next_line(struct label_file *f, bool *got, struct err *err)
{
    do {
        errno = 0;
        *got = fgets(f->line, sizeof(f->line), f->in) != NULL;
        if (!*got)
            return ferror(f->in) ? err_set(err, ERR_INTERNAL, "%s: %s", f->path, strerror(errno))
                                 : ERR_OK;
        f->line_number++;
        size_t len = strlen(f->line);
        if (f->line[len ? len - 1 : 0] != '\n' && !feof(f->in))
            return wrong(f, err, "longer than 65535 bytes, or with a NUL byte");
        f->line[strcspn(f->line, "\r\n")] = '\0';
    } while (!*f->line);
    return ERR_OK;
}

/* ---- CSV ---- */

/* One field at *p, unquoted in place; *p is behind its comma, or NULL after the last one. */
static MUST_CHECK enum err_code
next_field(const struct label_file *f, char **p, char **field, struct err *err)
{
    char *from = *p, *to = *field = *p;

    if (*from != '"') {
        char *comma = strchr(from, ',');
        if (comma)
            *comma = '\0';
        *p = comma ? comma + 1 : NULL;
        return ERR_OK;
    }
    for (from++; *from && (*from != '"' || from[1] == '"'); from++) {
        from += *from == '"';
        *to++ = *from;
    }
    if (!*from)
        return wrong(f, err, "a quote has no end");
    if (from[1] && from[1] != ',')
        return wrong(f, err, "text after a quoted field");
    *p = from[1] ? from + 2 : NULL;
    *to = '\0';
    return ERR_OK;
}

static MUST_CHECK enum err_code
read_header(struct label_file *f, struct err *err)
{
    char *p = f->line, *name;

    if (strncmp(p, "\xef\xbb\xbf", 3) == 0)
        p += 3;
    f->id_at = f->label_at = SIZE_MAX;
    for (size_t at = 0; p && at < COLUMNS_MAX; at++) {
        if (next_field(f, &p, &name, err))
            return err->code;
        if (strcmp(name, f->id_column) == 0)
            f->id_at = at;
        if (strcmp(name, f->label_column) == 0)
            f->label_at = at;
    }
    if (f->id_at == SIZE_MAX || f->label_at == SIZE_MAX)
        return err_set(err, ERR_INVALID,
                       "%s: no column '%s' in the header (--id and --label name the columns)",
                       f->path, f->id_at == SIZE_MAX ? f->id_column : f->label_column);
    return ERR_OK;
}

static MUST_CHECK enum err_code
read_row(const struct label_file *f, json_t **label, struct err *err)
{
    char *p = (char *)(uintptr_t)f->line, *field, *id = NULL, *value = NULL;

    for (size_t at = 0; p; at++) {
        if (next_field(f, &p, &field, err))
            return err->code;
        if (at == f->id_at)
            id = field;
        if (at == f->label_at)
            value = field;
    }
    if (!id || !value)
        return wrong(f, err, "fewer fields than the header has");
    if (!*id || !*value)
        return wrong(f, err, *id ? "no label" : "no prediction id");
    *label = json_pack("{ss ss}", "prediction_id", id, "value", value);
    return *label ? ERR_OK : wrong(f, err, "not UTF-8");
}

/* ---- NDJSON ---- */

/* A label or an id as text; NULL: neither text, number nor truth value. */
static char *
text_of(const json_t *value)
{
    if (json_is_string(value))
        return mem_strdup(json_string_value(value));
    if (json_is_boolean(value))
        return mem_strdup(json_is_true(value) ? "true" : "false");
    return json_is_number(value) ? json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(17))
                                 : NULL;
}

static MUST_CHECK enum err_code
read_object(const struct label_file *f, json_t **label, struct err *err)
{
    json_error_t why;
    json_t *object = json_loads(f->line, 0, &why);

    if (!json_is_object(object)) {
        json_decref(object);
        return wrong(f, err, object ? "not a JSON object" : why.text);
    }
    CLEANUP(mem_free) char *id = text_of(json_object_get(object, f->id_column));
    CLEANUP(mem_free) char *value = text_of(json_object_get(object, f->label_column));
    json_decref(object);
    if (!id || !*id || !value || !*value)
        return err_set(err, ERR_INVALID,
                       "%s, line %zu: no '%s' (--id and --label name the members)", f->path,
                       f->line_number, !id || !*id ? f->id_column : f->label_column);
    *label = json_pack("{ss ss}", "prediction_id", id, "value", value);
    return ERR_OK;
}

/* ---- both ---- */

static MUST_CHECK enum err_code
begin(struct label_file *f, struct err *err)
{
    bool got;

    if (next_line(f, &got, err))
        return err->code;
    if (!got)
        return err_set(err, ERR_INVALID, "%s is empty", f->path);
    f->csv = f->line[strspn(f->line, " \t")] != '{';
    f->first = !f->csv;
    return f->csv ? read_header(f, err) : ERR_OK;
}

enum err_code
label_file_open(const char *path, const char *id_column, const char *label_column,
                struct label_file **file, struct err *err)
{
    CLEANUP(label_file_free) struct label_file *f = mem_zalloc(sizeof(*f));

    f->path = strcmp(path, "-") == 0 ? "standard input" : path;
    f->id_column = id_column;
    f->label_column = label_column;
    f->in = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!f->in)
        return err_set(err, ERR_NOT_FOUND, "%s: %s", path, strerror(errno));
    if (begin(f, err))
        return err->code;
    *file = TAKE_PTR(f);
    return ERR_OK;
}

void
label_file_free(struct label_file *f)
{
    if (!f)
        return;
    if (f->in && f->in != stdin)
        fclose(f->in);
    free(f);
}

enum err_code
label_file_next(struct label_file *f, json_t **label, struct err *err)
{
    bool got = true;

    if (!f->first && next_line(f, &got, err))
        return err->code;
    f->first = false;
    *label = NULL;
    if (!got)
        return ERR_OK;
    return f->csv ? read_row(f, label, err) : read_object(f, label, err);
}
