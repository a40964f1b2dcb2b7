/* SPDX-License-Identifier: Apache-2.0 */
/* test_log.c - lines as they arrive on standard error. */
#include "log/log.h"

#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static int reading;
static char text[65536];

static void
set_up(void)
{
    int ends[2];

    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    reading = ends[0];
    log_init("test", LOG_INFO);
}

TestSuite(log, .init = set_up);

/* What was written so far. */
static const char *
written(void)
{
    size_t used = 0;
    ssize_t n;

    close(STDERR_FILENO);
    while ((n = read(reading, text + used, sizeof(text) - 1 - used)) > 0)
        used += (size_t)n;
    text[used] = '\0';
    return text;
}

Test(log, a_line_has_time_level_service_and_fields)
{
    log_warn("disk full", LOG_STR("path", "/x\"y"), LOG_INT("bytes", -1), LOG_BOOL("ok", false),
             LOG_DOUBLE("share", 0.5), LOG_DOUBLE("none", NAN), LOG_STR("null", NULL));
    const char *line = written();

    cr_assert_eq(strncmp(line, "{\"ts\":\"20", 9), 0, "%s", line);
    cr_assert_eq(line[30], 'Z', "%s", line);
    cr_assert(strstr(line, "\"level\":\"warn\",\"service\":\"test\",\"msg\":\"disk full\","
                           "\"path\":\"/x\\\"y\",\"bytes\":-1,\"ok\":false,\"share\":0.5,"
                           "\"none\":null,\"null\":null}\n"),
              "%s", line);
}

Test(log, an_err_gives_two_fields)
{
    struct err err;

    cr_assert_eq(err_set(&err, ERR_NOT_FOUND, "no row"), ERR_NOT_FOUND);
    log_error("failed", LOG_ERR(&err));
    cr_assert(strstr(written(), "\"error\":\"NOT_FOUND\",\"detail\":\"no row\"}"));
}

Test(log, below_the_level_nothing_is_written)
{
    log_debug("hidden");
    log_set_level(LOG_ERROR);
    log_warn("hidden");
    log_error("shown");
    const char *lines = written();

    cr_assert_null(strstr(lines, "hidden"));
    cr_assert(strstr(lines, "shown"));
}

Test(log, the_threads_trace_is_on_its_lines)
{
    log_set_trace("0123456789abcdef0123456789abcdef");
    log_info("one");
    log_set_trace(NULL);
    log_info("two");
    const char *lines = written();

    cr_assert(strstr(lines, "\"msg\":\"one\",\"trace_id\":\"0123456789abcdef0123456789abcdef\"}"));
    cr_assert(strstr(lines, "\"msg\":\"two\"}"));
}

static void *
write_many(void *arg)
{
    for (int i = 0; i < 50; i++)
        log_info("line", LOG_STR("thread", arg));
    return NULL;
}

Test(log, lines_of_threads_do_not_mix)
{
    pthread_t threads[4];
    int lines = 0;

    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, write_many, (void *)"t"), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (const char *p = written(); *p; p = strchr(p, '\n') + 1, lines++)
        cr_assert_eq(strncmp(p, "{\"ts\":", 6), 0);
    cr_assert_eq(lines, 200);
}

Test(log, levels_by_name)
{
    enum log_level level;
    struct err err;

    cr_assert_eq(log_level_parse("error", &level, &err), ERR_OK);
    cr_assert_eq(level, LOG_ERROR);
    cr_assert_eq(log_level_parse("loud", &level, &err), ERR_INVALID);
}
