/* SPDX-License-Identifier: Apache-2.0 */
/* refusals.h - tables of files that are refused, each with its reason. */
#pragma once

#include "definition.h"

#include <criterion/criterion.h>

struct refusal {
    const char *text;    /* of the file */
    const char *message; /* how the error begins */
};

static inline void
refusals_hold(const struct refusal *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
        struct err err = {0};
        Definition *definition = NULL;
        enum err_code code =
            definition_parse(rows[i].text, strlen(rows[i].text), arena, &definition, &err);
        cr_expect(code == ERR_INVALID || code == ERR_TOO_LARGE, "accepted: %s", rows[i].text);
        cr_expect_null(definition);
        cr_expect_eq(strncmp(err.message, rows[i].message, strlen(rows[i].message)), 0,
                     "%s\ngives: %s\nnot:   %s", rows[i].text, err.message, rows[i].message);
    }
}
