/* SPDX-License-Identifier: Apache-2.0 */
/* output.c - tables, fields, JSON documents, errors. formats.c writes the single values. */
#include "output.h"

#include "buf/buf.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool
output_json(const struct cli *cli, const json_t *value)
{
    if (!cli->json)
        return false;
    json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
    putchar('\n');
    return true;
}

void
output_color(const struct cli *cli, int color, const char *text, FILE *out)
{
    if (cli->color && color)
        fprintf(out, "\033[%dm%s\033[0m", color, text);
    else
        fputs(text, out);
}

const json_t *
json_at(const json_t *value, const char *path)
{
    for (const char *p = path; value && *p;) {
        size_t len = strcspn(p, ".");
        CLEANUP(mem_free) char *name = mem_strndup(p, len);
        value = json_object_get(value, name);
        p += len + (p[len] == '.');
    }
    return value;
}

const char *
json_text_at(const json_t *value, const char *path)
{
    const char *text = json_string_value(json_at(value, path));

    return text ? text : "";
}

int64_t
json_int_at(const json_t *value, const char *path)
{
    return json_integer_value(json_at(value, path));
}

static char *
format_any(const json_t *value)
{
    struct buf out = {0};
    size_t i;
    const json_t *item;

    if (json_is_string(value))
        return mem_strdup(json_string_value(value));
    if (json_is_integer(value))
        return mem_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    if (json_is_real(value))
        return mem_printf("%.6g", json_real_value(value));
    if (json_is_boolean(value))
        return mem_strdup(json_is_true(value) ? "yes" : "no");
    if (!json_is_array(value))
        return mem_strdup("");
    buf_str(&out, "");
    json_array_foreach((json_t *)(uintptr_t)value, i, item)
    {
        CLEANUP(mem_free) char *one = format_any(item);
        buf_printf(&out, "%s%s", i ? "," : "", one);
    }
    buf_reserve(&out, 1);
    return buf_take(&out);
}

/* Characters, not bytes, so that columns line up. */
static size_t
width_of(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

static int
color_of(const char *text)
{
    static const struct {
        const char *text;
        int color;
    } states[] = {
        {"serving", COLOR_GREEN},  {"ready", COLOR_GREEN},      {"production", COLOR_GREEN},
        {"finished", COLOR_GREEN}, {"failed", COLOR_RED},       {"backoff", COLOR_RED},
        {"killed", COLOR_RED},     {"deploying", COLOR_YELLOW}, {"starting", COLOR_YELLOW},
        {"pending", COLOR_YELLOW}, {"running", COLOR_CYAN},     {"archived", COLOR_DIM},
    };

    for (size_t i = 0; i < ARRAY_LEN(states); i++)
        if (strcmp(states[i].text, text) == 0)
            return states[i].color;
    return 0;
}

static char *
cell(const json_t *row, const struct column *column)
{
    const json_t *value = json_at(row, column->path);

    if (!value || json_is_null(value))
        return mem_strdup("");
    return column->format ? column->format(value) : format_any(value);
}

static void
print_cell(const struct cli *cli, const char *text, int color, size_t width, bool last)
{
    output_color(cli, color, text, stdout);
    if (!last)
        printf("%*s", (int)(width - width_of(text) + 2), "");
}

void
output_table(const struct cli *cli, const json_t *rows, const struct column *columns,
             const char *none)
{
    size_t count = 0, height = json_array_size(rows), *width;
    char **cells;

    if (!height) {
        printf("%s\n", none);
        return;
    }
    while (columns[count].head)
        count++;
    width = mem_calloc(count, sizeof(*width));
    cells = mem_calloc(count * height, sizeof(*cells));
    for (size_t c = 0; c < count; c++) {
        width[c] = width_of(columns[c].head);
        for (size_t r = 0; r < height; r++) {
            char *text = cells[r * count + c] = cell(json_array_get(rows, r), &columns[c]);
            if (width_of(text) > width[c])
                width[c] = width_of(text);
        }
    }
    for (size_t c = 0; c < count; c++)
        print_cell(cli, columns[c].head, COLOR_DIM, width[c], c + 1 == count);
    putchar('\n');
    for (size_t r = 0; r < height; r++) {
        for (size_t c = 0; c < count; c++) {
            char *text = cells[r * count + c];
            print_cell(cli, text, color_of(text), width[c], c + 1 == count);
            free(text);
        }
        putchar('\n');
    }
    free(cells);
    free(width);
}

void
output_fields(const struct cli *cli, const json_t *row, const struct column *fields)
{
    size_t width = 0;

    for (const struct column *f = fields; f->head; f++)
        if (width_of(f->head) > width)
            width = width_of(f->head);
    for (const struct column *f = fields; f->head; f++) {
        CLEANUP(mem_free) char *text = cell(row, f);
        if (!*text)
            continue;
        print_cell(cli, f->head, COLOR_DIM, width, false);
        output_color(cli, color_of(text), text, stdout);
        putchar('\n');
    }
}

void
output_set_fields(const struct cli *cli, const json_t *row, const struct column *fields)
{
    json_t *set = json_object();
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)row, name, value)
    {
        if (json_is_true(value) || (json_is_string(value) && *json_string_value(value)) ||
            (json_is_number(value) && json_number_value(value) != 0))
            json_object_set(set, name, value);
    }
    if (json_object_size(set) == 0)
        puts("the default ones");
    output_fields(cli, set, fields);
    json_decref(set);
}

/* What helps next, by the kind of failure; the message itself may say more. */
static const char *
next_step(enum err_code code)
{
    switch (code) {
    case ERR_UNAUTHENTICATED:
        return "give a token: --token, or export MODELBUS_TOKEN";
    case ERR_FORBIDDEN:
        return "ask for a token with the role, or use another one";
    case ERR_UNAVAILABLE:
    case ERR_DEADLINE:
        return "is the platform up? see `modelbus local status` and `modelbus local logs`";
    case ERR_CONFLICT:
        return "it changed meanwhile: look again and decide again";
    default:
        return NULL;
    }
}

void
output_error(const struct cli *cli, const struct err *err)
{
    const char *hint = next_step(err->code);

    if (cli->json) {
        json_t *document = json_pack("{s{ss ss ss*}}", "error", "code", err_name(err->code),
                                     "message", err->message, "hint", hint);
        json_dumpf(document, stderr, JSON_COMPACT);
        fputc('\n', stderr);
        json_decref(document);
        return;
    }
    output_color(cli, COLOR_RED, "error: ", stderr);
    fprintf(stderr, "%s\n", err->message);
    if (hint)
        fprintf(stderr, "  %s\n", hint);
}
