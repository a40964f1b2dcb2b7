/* SPDX-License-Identifier: Apache-2.0 */
/* test_err.c - codes, their names and statuses, and messages in a bounded buffer. */
#include "err/err.h"

#include <criterion/criterion.h>
#include <string.h>

Test(err, each_code_has_a_name_that_reads_back)
{
    for (int i = 0; i < ERR_CODE_COUNT; i++)
        cr_assert_eq(err_from_name(err_name((enum err_code)i)), (enum err_code)i);
    cr_assert_eq(err_from_name("NO_SUCH"), ERR_INTERNAL);
    cr_assert_str_eq(err_name((enum err_code)999), "INTERNAL");
}

Test(err, http_statuses_both_ways)
{
    cr_assert_eq(err_http_status(ERR_NOT_FOUND), 404);
    cr_assert_eq(err_from_http_status(404), ERR_NOT_FOUND);
    cr_assert_eq(err_from_http_status(204), ERR_OK);
    cr_assert_eq(err_from_http_status(409), ERR_EXISTS);
    cr_assert_eq(err_from_http_status(418), ERR_INVALID);
    cr_assert_eq(err_from_http_status(502), ERR_UNAVAILABLE);
    cr_assert_eq(err_from_http_status(599), ERR_INTERNAL);
}

Test(err, only_what_may_pass_is_retriable)
{
    cr_assert(err_retriable(ERR_UNAVAILABLE));
    cr_assert(err_retriable(ERR_RATE_LIMITED));
    cr_assert_not(err_retriable(ERR_INVALID));
    cr_assert_not(err_retriable(ERR_CONFLICT));
}

Test(err, set_fills_and_returns_the_code)
{
    struct err err;

    cr_assert_eq(err_set(&err, ERR_CONFLICT, "run '%s'", "r1"), ERR_CONFLICT);
    cr_assert_eq(err.code, ERR_CONFLICT);
    cr_assert_str_eq(err.message, "run 'r1'");
    cr_assert_eq(err_set(NULL, ERR_CONFLICT, "nobody reads this"), ERR_CONFLICT);
}

Test(err, wrap_puts_context_in_front)
{
    struct err err;

    cr_assert_eq(err_set(&err, ERR_NOT_FOUND, "no row"), ERR_NOT_FOUND);
    cr_assert_eq(err_wrap(&err, "model '%s'", "x"), ERR_NOT_FOUND);
    cr_assert_str_eq(err.message, "model 'x': no row");
}

Test(err, long_messages_are_cut_within_the_buffer)
{
    char text[2 * ERR_MESSAGE_MAX];
    struct err err;

    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    cr_assert_eq(err_set(&err, ERR_INVALID, "%s", text), ERR_INVALID);
    cr_assert_eq(strlen(err.message), ERR_MESSAGE_MAX - 1);
    cr_assert_eq(err_wrap(&err, "%s", text), ERR_INVALID);
    cr_assert_eq(strlen(err.message), ERR_MESSAGE_MAX - 1);
}

Test(err, take_leaves_null_behind)
{
    CLEANUP(mem_free) char *text = mem_strdup("x");
    char *taken = TAKE_PTR(text);

    cr_assert_null(text);
    cr_assert_str_eq(taken, "x");
    free(taken);
}

Test(err, strings_of_the_heap)
{
    CLEANUP(mem_free) char *printed = mem_printf("%d-%s", 7, "x");
    CLEANUP(mem_free) char *cut = mem_strndup("abcdef", 3);

    cr_assert_str_eq(printed, "7-x");
    cr_assert_str_eq(cut, "abc");
    cr_assert_null(mem_strdup(NULL));
}
