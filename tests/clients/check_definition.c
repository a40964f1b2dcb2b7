/* SPDX-License-Identifier: Apache-2.0 */
/* check_definition.c - the service's reader of definitions as a program, for the tests of what writes them:
 * standard input as the JSON of what was understood (0), or what is wrong with it (1). */
#include "definition.h"
#include "pbjson/pbjson.h"

#include <stdio.h>
#include <stdlib.h>

int
main(void)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 0);
    CLEANUP(buf_done) struct buf json = {0};
    char *text = arena_alloc(arena, DEFINITION_TEXT_MAX + 1);
    size_t len = fread(text, 1, DEFINITION_TEXT_MAX + 1, stdin);
    Definition *definition;
    struct err err = {0};

    if (definition_parse(text, len, arena, &definition, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return EXIT_FAILURE;
    }
    pbjson_write(&definition->base, 0, &json);
    return fwrite(json.data, 1, json.len, stdout) == json.len ? EXIT_SUCCESS : EXIT_FAILURE;
}
