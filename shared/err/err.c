/* SPDX-License-Identifier: Apache-2.0 */
/* err.c - the table of error codes and the allocation helpers that abort. */
#include "err/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int http_status;
    bool retriable;
} codes[ERR_CODE_COUNT] = {
    [ERR_OK] = {"OK", 200, false},
    [ERR_INVALID] = {"INVALID", 400, false},
    [ERR_UNAUTHENTICATED] = {"UNAUTHENTICATED", 401, false},
    [ERR_FORBIDDEN] = {"FORBIDDEN", 403, false},
    [ERR_NOT_FOUND] = {"NOT_FOUND", 404, false},
    [ERR_EXISTS] = {"EXISTS", 409, false},
    [ERR_CONFLICT] = {"CONFLICT", 409, false},
    [ERR_PRECONDITION] = {"PRECONDITION", 412, false},
    [ERR_TOO_LARGE] = {"TOO_LARGE", 413, false},
    [ERR_UNSUPPORTED] = {"UNSUPPORTED", 501, false},
    [ERR_RATE_LIMITED] = {"RATE_LIMITED", 429, true},
    [ERR_UNAVAILABLE] = {"UNAVAILABLE", 503, true},
    [ERR_DEADLINE] = {"DEADLINE", 504, true},
    [ERR_CANCELLED] = {"CANCELLED", 503, true},
    [ERR_INTERNAL] = {"INTERNAL", 500, false},
};

enum err_code
err_set(struct err *err, enum err_code code, const char *format, ...)
{
    va_list args;

    if (err) {
        err->code = code;
        va_start(args, format);
        vsnprintf(err->message, sizeof(err->message), format, args);
        va_end(args);
    }
    return code;
}

enum err_code
err_wrap(struct err *err, const char *format, ...)
{
    char context[ERR_MESSAGE_MAX];
    char joined[ERR_MESSAGE_MAX];
    va_list args;

    if (!err)
        return ERR_INTERNAL;
    va_start(args, format);
    vsnprintf(context, sizeof(context), format, args);
    va_end(args);
    /* The context is kept whole as far as it fits; the cause is cut first. */
    int n = snprintf(joined, sizeof(joined), "%.*s: %s", (int)sizeof(context) - 4, context,
                     err->message);
    if (n > 0)
        memcpy(err->message, joined, sizeof(joined));
    return err->code;
}

const char *
err_name(enum err_code code)
{
    return (unsigned)code < ERR_CODE_COUNT ? codes[code].name : "INTERNAL";
}

enum err_code
err_from_name(const char *name)
{
    for (int i = 0; i < ERR_CODE_COUNT; i++)
        if (strcmp(codes[i].name, name) == 0)
            return (enum err_code)i;
    return ERR_INTERNAL;
}

int
err_http_status(enum err_code code)
{
    return (unsigned)code < ERR_CODE_COUNT ? codes[code].http_status : 500;
}

bool
err_retriable(enum err_code code)
{
    return (unsigned)code < ERR_CODE_COUNT && codes[code].retriable;
}

enum err_code
err_from_http_status(int status)
{
    if (status >= 200 && status < 300)
        return ERR_OK;
    for (int i = 1; i < ERR_CODE_COUNT; i++)
        if (codes[i].http_status == status)
            return (enum err_code)i;
    if (status == 408)
        return ERR_DEADLINE;
    if (status >= 400 && status < 500)
        return ERR_INVALID;
    return status == 502 ? ERR_UNAVAILABLE : ERR_INTERNAL;
}

static void *
must(void *p)
{
    if (!p) {
        fputs("out of memory\n", stderr);
        abort();
    }
    return p;
}

void *
mem_alloc(size_t bytes)
{
    return must(malloc(bytes ? bytes : 1));
}

void *
mem_zalloc(size_t bytes)
{
    return must(calloc(1, bytes ? bytes : 1));
}

void *
mem_calloc(size_t count, size_t bytes)
{
    return must(calloc(count ? count : 1, bytes ? bytes : 1));
}

void *
mem_realloc(void *p, size_t bytes)
{
    return must(realloc(p, bytes ? bytes : 1));
}

char *
mem_strdup(const char *s)
{
    return s ? must(strdup(s)) : NULL;
}

char *
mem_strndup(const char *s, size_t n)
{
    char *copy = mem_alloc(n + 1);

    memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

char *
mem_printf(const char *format, ...)
{
    va_list args;
    char *text = NULL;

    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    return must(n < 0 ? NULL : text);
}
