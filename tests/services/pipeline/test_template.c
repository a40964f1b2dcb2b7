/* SPDX-License-Identifier: Apache-2.0 */
/* test_template.c - ${...} in texts. */
#include "template.h"

#include <criterion/criterion.h>
#include <string.h>

static struct err err;
static struct arena *arena;

static void
set_up(void)
{
    arena = arena_new(0, 0);
}

static void
tear_down(void)
{
    arena_free(arena);
}

TestSuite(template, .init = set_up, .fini = tear_down);

static const char *
find(void *arg, const char *name, struct err *e)
{
    (void)arg;
    if (strcmp(name, "a") == 0)
        return "ONE";
    if (strcmp(name, "tasks.x.outputs.y") == 0)
        return "${a}"; /* values are not filled in again */
    if (strcmp(name, "empty") == 0)
        return "";
    err_set(e, ERR_INVALID, "there is no such name");
    return NULL;
}

static const char *
fill(const char *text)
{
    const char *filled = NULL;

    cr_assert_eq(template_fill(text, find, NULL, 100, arena, &filled, &err), ERR_OK, "%s: %s", text,
                 err.message);
    return filled;
}

Test(template, names_are_replaced)
{
    cr_expect_str_eq(fill(""), "");
    cr_expect_str_eq(fill("plain"), "plain");
    cr_expect_str_eq(fill("${a}"), "ONE");
    cr_expect_str_eq(fill("<${a}${a}>-${empty}-"), "<ONEONE>--");
    cr_expect_str_eq(fill("${tasks.x.outputs.y}"), "${a}");
}

Test(template, dollars_without_a_brace_are_dollars)
{
    cr_expect_str_eq(fill("$ $$ $a a$ {a} $"), "$ $$ $a a$ {a} $");
    cr_expect_str_eq(fill("$${a}"), "${a}");
    cr_expect_str_eq(fill("$$${a}"), "$${a}");
    cr_expect_str_eq(fill("$${${a}"), "${ONE");
}

static void
refused(const char *text, size_t max, enum err_code code, const char *message)
{
    const char *filled = "untouched";

    cr_expect_eq(template_fill(text, find, NULL, max, arena, &filled, &err), code, "%s", text);
    cr_expect_str_eq(err.message, message);
    cr_expect_str_eq(filled, "untouched");
}

Test(template, faults)
{
    refused("x ${a", 100, ERR_INVALID,
            "'${a': a name and } are expected; write $${ for a dollar and a brace");
    refused("${}", 100, ERR_INVALID,
            "'${}': a name and } are expected; write $${ for a dollar and a brace");
    refused("${b}", 100, ERR_INVALID, "${b}: there is no such name");
    refused("${ a }", 100, ERR_INVALID, "${ a }: there is no such name");
}

Test(template, the_result_is_bounded)
{
    const char *filled;

    cr_expect_eq(template_fill("${a}", find, NULL, 3, arena, &filled, &err), ERR_OK);
    refused("${a}x", 3, ERR_TOO_LARGE, "more than 3 bytes once ${...} are filled in");
    refused("abcd", 3, ERR_TOO_LARGE, "more than 3 bytes once ${...} are filled in");
}
