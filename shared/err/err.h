/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err.h - how a modelbus function fails.
 *
 * A fallible function is MUST_CHECK, returns enum err_code (ERR_OK is 0) and
 * fills its last parameter, a struct err owned by the caller: a code for programs
 * and a sentence for people. On ERR_OK the struct is untouched. Low layers
 * err_set(), upper layers err_wrap() with what they were doing ("model 'x': ...").
 * Nothing here allocates or logs; only dispatch loops and main() log an err, once.
 *
 * Out of memory aborts (see mem_* below): sizes that come from outside have been
 * bounded before (ERR_TOO_LARGE).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/* One row a code in err.c: wire name, HTTP status, whether a retry helps. */
enum err_code {
    ERR_OK = 0,
    ERR_INVALID,         /* the request or message is malformed; never succeeds as it is */
    ERR_UNAUTHENTICATED, /* no or a wrong credential */
    ERR_FORBIDDEN,       /* the caller lacks the scope */
    ERR_NOT_FOUND,
    ERR_EXISTS,       /* create of something that is there already */
    ERR_CONFLICT,     /* compare-and-set lost, stale version; reload and decide again */
    ERR_PRECONDITION, /* the state does not allow it (deleted, archived, no rollback target) */
    ERR_TOO_LARGE,    /* a bound on outside input was exceeded */
    ERR_UNSUPPORTED,  /* understood, but this build or model cannot do it */
    ERR_RATE_LIMITED, /* this caller sends too much; retry later */
    ERR_UNAVAILABLE,  /* a part is away or full; retry with backoff */
    ERR_DEADLINE,     /* the caller's time is used up */
    ERR_CANCELLED,    /* we are stopping */
    ERR_INTERNAL,     /* a bug or an impossible state */
    ERR_CODE_COUNT
};

#define ERR_MESSAGE_MAX 512

struct err {
    enum err_code code;
    char message[ERR_MESSAGE_MAX]; /* one sentence, no newline, UTF-8; cut when longer */
};

/* Fill *err (NULL allowed) and return code, so that callers write
 * `return err_set(err, ERR_NOT_FOUND, "run '%s'", id);`. */
enum err_code err_set(struct err *err, enum err_code code, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Prefix err->message with "context: "; returns err->code. */
enum err_code err_wrap(struct err *err, const char *format, ...) PRINTF_LIKE(2, 3);

const char *err_name(enum err_code code);       /* "NOT_FOUND" */
enum err_code err_from_name(const char *name);  /* unknown: ERR_INTERNAL */
int err_http_status(enum err_code code);        /* 404 */
bool err_retriable(enum err_code code);         /* the same call may succeed later */
enum err_code err_from_http_status(int status); /* nearest code; 2xx is ERR_OK */

/* Cleanup declared with the variable: `CLEANUP(db_pool_free) struct db_pool *p = NULL;`
 * calls db_pool_free(p) when p leaves scope. Each _free accepts NULL. */
#define CLEANUP(function) __attribute__((cleanup(function##_at)))
#define CLEANUP_DEFINE(type, function)                                                             \
    static inline __attribute__((unused)) void function##_at(type **p)                             \
    {                                                                                              \
        function(*p);                                                                              \
    }
/* Transfer out of a CLEANUP variable: returns p and leaves NULL behind. */
#define TAKE_PTR(p)                                                                                \
    __extension__({                                                                                \
        __typeof__(p) take_tmp_ = (p);                                                             \
        (p) = NULL;                                                                                \
        take_tmp_;                                                                                 \
    })

/* malloc family that aborts with a line on stderr instead of returning NULL. */
void *mem_alloc(size_t bytes) __attribute__((malloc, returns_nonnull));
void *mem_zalloc(size_t bytes) __attribute__((malloc, returns_nonnull));
void *mem_calloc(size_t count, size_t bytes)
    __attribute__((returns_nonnull)); /* zeroed; aborts on overflow */
void *mem_realloc(void *p, size_t bytes) __attribute__((returns_nonnull));
char *mem_strdup(const char *s);            /* NULL gives NULL */
char *mem_strndup(const char *s, size_t n); /* adds the NUL */
char *mem_printf(const char *format, ...) PRINTF_LIKE(1, 2);

/* CLEANUP(mem_free) for plain heap pointers of any type. */
static inline __attribute__((unused)) void
mem_free_at(void *p)
{
    __builtin_free(*(void **)p);
}

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
