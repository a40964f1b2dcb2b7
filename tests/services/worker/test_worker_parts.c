/* SPDX-License-Identifier: Apache-2.0 */
/* test_worker_parts.c - names, labels, lists of archives, secrets, variables. */
#include "archive.h"
#include "environment.h"
#include "files.h"
#include "secrets.h"
#include "settings.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OK(call) cr_assert_eq(call, ERR_OK, "%s: %s", #call, err.message)

static struct err err;

Test(worker_parts, names)
{
    char longest[130];

    memset(longest, 'a', sizeof(longest));
    longest[129] = '\0';
    cr_assert_not(files_name_valid(longest));
    longest[128] = '\0';
    cr_assert(files_name_valid(longest));
    cr_assert(files_name_valid("model-1.2_x"));
    static const char *const wrong[] = {"",  ".",   "..",       ".hidden", "a/b",
                                        "/", "a b", "\xc3\xa4", "a\n"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        cr_assert_not(files_name_valid(wrong[i]), "'%s'", wrong[i]);
}

static void
collect(void *arg, const char *name, const char *value)
{
    buf_printf(arg, "%s:%s;", name, value);
}

Test(worker_parts, labels)
{
    CLEANUP(buf_done) struct buf text = {0};

    OK(settings_labels("zone=gpu, team=a,", collect, &text, &err));
    cr_assert_str_eq(text.data, "zone:gpu;team:a;");
    OK(settings_labels(NULL, collect, &text, &err));
    cr_assert_eq(settings_labels("zone", collect, &text, &err), ERR_INVALID);
    cr_assert_eq(settings_labels("zone=", collect, &text, &err), ERR_INVALID);
    cr_assert_eq(settings_labels("a=b c", collect, &text, &err), ERR_INVALID);
}

Test(worker_parts, lists_of_archives)
{
    static const struct {
        const char *line;
        enum err_code code;
    } rows[] = {
        {"-rw-r--r-- 0/0 12 2026-01-31 12:00:00 a/b c\n", ERR_OK},
        {"drwxr-xr-x 1000/1000          0 2026-01-31 12:00:00 a/\n", ERR_OK},
        {"-rw-r--r-- 0/0 12 2026-01-31 12:00:00 a..b/..c/d..\n", ERR_OK},
        {"lrwxrwxrwx 0/0 0 2026-01-31 12:00:00 a -> ../b\n", ERR_OK},
        {"hrw-r--r-- 0/0 0 2026-01-31 12:00:00 a link to b\n", ERR_OK},
        {"hrw-r--r-- 0/0 0 2026-01-31 12:00:00 a link to ../b\n", ERR_INVALID},
        {"hrw-r--r-- 0/0 0 2026-01-31 12:00:00 a link to /b\n", ERR_INVALID},
        {"-rw-r--r-- 0/0 12 2026-01-31 12:00:00 /a\n", ERR_INVALID},
        {"-rw-r--r-- 0/0 12 2026-01-31 12:00:00 ..\n", ERR_INVALID},
        {"-rw-r--r-- 0/0 12 2026-01-31 12:00:00 a/../b\n", ERR_INVALID},
        {"-rw-r--r-- 0/0 12 2026-01-31 12:00:00 a/..\n", ERR_INVALID},
        {"crw-r--r-- 0/0 1,3 2026-01-31 12:00:00 null\n", ERR_INVALID},
        {"prw-r--r-- 0/0 0 2026-01-31 12:00:00 pipe\n", ERR_INVALID},
        {"-rw-r--r-- 0/0 99999999999999 2026-01-31 12:00:00 bomb\n", ERR_TOO_LARGE},
        {"-rw-r--r-- 0/0 99999999999999999999999 2026-01-31 12:00:00 bomb\n", ERR_TOO_LARGE},
        {"-rw-r--r-- 0/0\n", ERR_INVALID},
        {"\n", ERR_INVALID},
        {"", ERR_INVALID},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t bytes = 0;
        cr_assert_eq(archive_check_line(rows[i].line, &bytes, &err), rows[i].code, "%s",
                     rows[i].line);
    }
}

static char folder[64];

static void
set_up(void)
{
    snprintf(folder, sizeof(folder), "/tmp/worker-XXXXXX");
    cr_assert(mkdtemp(folder));
}

static void
tear_down(void)
{
    OK(files_remove("/tmp", folder + strlen("/tmp/"), &err));
    cr_assert_neq(access(folder, F_OK), 0);
}

static void
write_secret(const char *name, const char *value, size_t len, mode_t mode)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    cr_assert_eq(write(fd, value, len), (ssize_t)len);
    cr_assert_eq(fchmod(fd, mode), 0);
    close(fd);
}

Test(worker_parts, secrets, .init = set_up, .fini = tear_down)
{
    static char large[SECRET_BYTES_MAX + 1];
    static const mode_t wrong[] = {0604, 0620, 0610, 0666, 0601};
    CLEANUP(secret_wipe) struct buf value = {0};

    write_secret("good", "two\nlines\r\n", 11, 0640);
    OK(secret_read(folder, "good", &value, &err));
    cr_assert_str_eq(value.data, "two\nlines");
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        write_secret("open", "x", 1, wrong[i]);
        cr_assert_eq(secret_read(folder, "open", &(struct buf){0}, &err), ERR_FORBIDDEN);
    }
    struct buf other = {0};
    write_secret("empty", "\n", 1, 0600);
    cr_assert_eq(secret_read(folder, "empty", &other, &err), ERR_INVALID);
    secret_wipe(&other);
    write_secret("nul", "a\0b", 3, 0600);
    cr_assert_eq(secret_read(folder, "nul", &other, &err), ERR_INVALID);
    secret_wipe(&other);
    memset(large, 'x', sizeof(large));
    write_secret("large", large, sizeof(large), 0600);
    cr_assert_eq(secret_read(folder, "large", &other, &err), ERR_INVALID);
    secret_wipe(&other);
    cr_assert_eq(secret_read(folder, "../x", &other, &err), ERR_INVALID);
    cr_assert_eq(secret_read(folder, "none", &other, &err), ERR_NOT_FOUND);
    cr_assert_eq(secret_read(NULL, "good", &other, &err), ERR_NOT_FOUND);
}

Test(worker_parts, variables_of_a_task)
{
    CLEANUP(mask_free) struct mask *mask = mask_new();
    Modelbus__Pipeline__V1__Lease__EnvEntry path = MODELBUS__PIPELINE__V1__LEASE__ENV_ENTRY__INIT;
    Modelbus__Pipeline__V1__Lease__EnvEntry *entries[] = {&path};
    Lease lease = MODELBUS__PIPELINE__V1__LEASE__INIT;
    const struct environment_options options = {
        .lease = &lease, .folder = "/f", .gateway_url = "http://g", .task_token = "token"};
    char **environment, *program;

    path.key = "PATH";
    path.value = "relative:/usr/bin:/bin";
    lease.env = entries;
    lease.n_env = 1;
    OK(environment_make(&options, mask, &environment, &err));
    cr_assert_str_eq(environment_get(environment, "PATH"), path.value);
    cr_assert_str_eq(environment_get(environment, "HOME"), "/f/work");
    cr_assert_str_eq(environment_get(environment, "MODELBUS_TOKEN"), "token");
    cr_assert_null(environment_get(environment, "TRACEPARENT"));
    cr_assert_null(environment_get(environment, "MODELBUS"));
    OK(environment_program(environment, "sh", &program, &err));
    cr_assert_str_eq(program, "/usr/bin/sh");
    free(program);
    OK(environment_program(environment, "./own", &program, &err));
    cr_assert_str_eq(program, "./own");
    free(program);
    cr_assert_eq(environment_program(environment, "", &program, &err), ERR_NOT_FOUND);
    environment_free(environment);
    path.key = "1X";
    cr_assert_eq(environment_make(&options, mask, &environment, &err), ERR_INVALID);
}
