/* SPDX-License-Identifier: Apache-2.0 */
/* test_parameters.c - values of a run's parameters. */
#include "buf/buf.h"
#include "refusals.h"

#include <string.h>

#define VALUES 6

static struct err err;
static struct arena *arena;
static Definition *definition;
static const char *values[VALUES];

static void
set_up(void)
{
    static const char text[] = "name: p\n"
                               "tasks: [{name: t, run: [x]}]\n"
                               "parameters:\n"
                               "- {name: text, default: 007}\n"
                               "- {name: whole, type: int, default: -3}\n"
                               "- {name: number, type: float, default: 1e-3}\n"
                               "- {name: switch, type: bool, default: false}\n"
                               "- {name: grid, type: list, default_list: [1, 'a\"b']}\n"
                               "- {name: model, required: true}\n";

    arena = arena_new(0, 0);
    cr_assert_eq(definition_parse(text, strlen(text), arena, &definition, &err), ERR_OK, "%s",
                 err.message);
}

static void
tear_down(void)
{
    arena_free(arena);
}

TestSuite(parameters, .init = set_up, .fini = tear_down);

static enum err_code
resolve(const char *name, const char *value)
{
    struct parameter_given given[] = {{"model", "churn"}, {name, value}};

    return parameters_resolve(definition, given, name ? 2 : 1, values, arena, &err);
}

Test(parameters, defaults_are_taken)
{
    static const char *const expected[VALUES] = {
        "007", "-3", "1e-3", "false", "[\"1\",\"a\\\"b\"]", "churn"};

    cr_assert_eq(resolve(NULL, NULL), ERR_OK, "%s", err.message);
    for (size_t i = 0; i < VALUES; i++)
        cr_expect_str_eq(values[i], expected[i]);
}

Test(parameters, given_values_are_checked)
{
    static const struct {
        const char *name, *value;
        size_t at;
        const char *becomes; /* NULL: it is refused */
    } rows[] = {
        {"text", "", 0, ""},
        {"text", "two\nlines", 0, "two\nlines"},
        {"text", "\x01", 0, NULL},
        {"text", "\xff", 0, NULL},
        {"whole", "0012", 1, "0012"},
        {"whole", "1.0", 1, NULL},
        {"whole", "", 1, NULL},
        {"whole", "-", 1, NULL},
        {"whole", "99999999999999999999", 1, NULL},
        {"number", "-.5E+3", 2, "-.5E+3"},
        {"number", "1e999", 2, NULL},
        {"number", "nan", 2, NULL},
        {"number", "0x10", 2, NULL},
        {"number", "1 ", 2, NULL},
        {"switch", "true", 3, "true"},
        {"switch", "True", 3, NULL},
        {"grid", "[]", 4, "[]"},
        {"grid", " [0.10, \"b\", true, -3e2] ", 4, "[\"0.10\",\"b\",\"true\",\"-3e2\"]"},
        {"grid", "[\"\\u00e9\"]", 4, "[\"é\"]"},
        {"grid", "[\"a\\u0000b\"]", 4, NULL},
        {"grid", "[[1]]", 4, NULL},
        {"grid", "[null]", 4, NULL},
        {"grid", "[1", 4, NULL},
        {"grid", "[1] x", 4, NULL},
        {"grid", "a,b", 4, NULL},
        {"grid", "{\"a\": 1}", 4, NULL},
        {"grid", "", 4, NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum err_code code = resolve(rows[i].name, rows[i].value);
        if (!rows[i].becomes) {
            cr_expect_eq(code, ERR_INVALID, "%s = %s", rows[i].name, rows[i].value);
            cr_expect_eq(strncmp(err.message, rows[i].name, strlen(rows[i].name)), 0, "%s",
                         err.message);
            continue;
        }
        cr_assert_eq(code, ERR_OK, "%s", err.message);
        cr_expect_str_eq(values[rows[i].at], rows[i].becomes);
    }
}

Test(parameters, names)
{
    cr_expect_eq(resolve("modell", "x"), ERR_INVALID);
    cr_expect_str_eq(err.message, "there is no parameter 'modell'; did you mean model?");
    cr_expect_eq(resolve("model", "other"), ERR_INVALID);
    cr_expect_str_eq(err.message, "model: given twice");
    cr_expect_eq(parameters_resolve(definition, NULL, 0, values, arena, &err), ERR_INVALID);
    cr_expect_str_eq(err.message, "model: it is required");
}

Test(parameters, lists_are_bounded)
{
    CLEANUP(buf_done) struct buf text = {0};

    for (int i = 0; i < DEFINITION_MAP_MAX; i++)
        buf_str(&text, i ? ",1" : "[1");
    buf_str(&text, "]");
    cr_expect_eq(resolve("grid", text.data), ERR_OK, "%s", err.message);
    text.data[text.len - 1] = ',';
    buf_str(&text, "1]");
    cr_expect_eq(resolve("grid", text.data), ERR_TOO_LARGE);
    buf_clear(&text);
    for (int i = 0; i < 100000; i++)
        buf_char(&text, '[');
    cr_expect_eq(resolve("grid", text.data), ERR_INVALID);
}

#define DEFAULTS(text) "name: p\ntasks: [{name: t, run: [x]}]\nparameters: [" text "]\n"

Test(parameters, defaults_are_checked_with_the_file)
{
    static const struct refusal rows[] = {
        {DEFAULTS("{name: a, type: int}"),
         "line 3, column 14: parameters[0]: default: 'a' needs one, or required: true"},
        {DEFAULTS("{name: a, type: int, default: x}"),
         "line 3, column 44: parameters[0]: default: a: 'x' is not a whole number"},
        {DEFAULTS("{name: a, default: x, required: true}"),
         "line 3, column 46: parameters[0]: required: it has a default"},
        {DEFAULTS("{name: a, default: '${run.id}'}"),
         "line 3, column 33: parameters[0]: default: '${run.id}': ${...} is not filled in here"},
        {DEFAULTS("{name: a, type: list, default: x}"),
         "line 3, column 45: parameters[0]: default: of a list it is default_list"},
        {DEFAULTS("{name: a, default_list: [x]}"),
         "line 3, column 38: parameters[0]: default_list: only of a parameter of type list"},
    };

    refusals_hold(rows, ARRAY_LEN(rows));
}
