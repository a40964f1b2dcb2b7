/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_json_reader.c - the pull parser: skipping and reading everything must agree on
 * what is JSON (but for what only reading checks), and numbers must be what strtod says.
 */
#include "json/json_reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void
read_number(struct json_reader *r)
{
    struct json_reader again = *r, integer = *r;
    const char *start = r->p;
    char text[1024];
    double x;
    float f;
    int64_t n;

    if (!jr_number(r, &x))
        return;
    if (jr_float(&again, &f) && !isnan(x) && isfinite(x)) {
        while (*start == ' ' || *start == '\n' || *start == '\t' || *start == '\r')
            start++;
        size_t len = (size_t)(r->p - start);
        memcpy(text, start, len);
        text[len] = '\0';
        if (strtod(text, NULL) != x || strtof(text, NULL) != f)
            abort();
    }
    if (jr_integer(&integer, &n) && (double)n != x)
        abort();
}

static void
read_value(struct json_reader *r, struct arena *arena)
{
    struct json_text key;
    const char *s;
    size_t len;
    bool b;

    switch (jr_peek(r)) {
    case JSON_T_OBJECT:
        jr_enter_object(r);
        while (jr_member(r, &key)) {
            jr_key_is(&key, "shape");
            read_value(r, arena);
        }
        break;
    case JSON_T_ARRAY:
        jr_enter_array(r);
        while (jr_element(r))
            read_value(r, arena);
        break;
    case JSON_T_STRING:
        if (jr_string(r, arena, &s, &len) && s[len] != '\0')
            abort();
        break;
    case JSON_T_NUMBER:
        read_number(r);
        break;
    case JSON_T_TRUE:
    case JSON_T_FALSE:
        jr_boolean(r, &b);
        break;
    default:
        jr_skip(r);
        break;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_free) struct arena *arena = arena_new(0, 1 << 20);
    struct json_reader r;
    struct err err = {0};

    jr_open(&r, (const char *)data, size);
    jr_skip(&r);
    bool skipped = jr_finish(&r, &err) == ERR_OK;
    if (!skipped && err.message[0] == '\0')
        abort();
    jr_open(&r, (const char *)data, size);
    read_value(&r, arena);
    if (jr_finish(&r, &err) == ERR_OK && !skipped)
        abort();
    return 0;
}
