/* SPDX-License-Identifier: Apache-2.0 */
/* test_worker_folders.c - which folders are used again, and that nothing is in them. */
#include "folders.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define OK(call) cr_assert_eq(call, ERR_OK, "%s: %s", #call, err.message)

static struct err err;
static char dir[] = "/tmp/worker-folders-XXXXXX";
static struct folders *folders;

static void
open_all(void)
{
    cr_assert_not_null(mkdtemp(dir));
    OK(folders_open(&folders, dir, &err));
}

static void
close_all(void)
{
    CLEANUP(mem_free) char *command = mem_printf("rm -rf %s", dir);

    folders_free(folders);
    cr_assert_eq(system(command), 0);
}

TestSuite(worker_folders, .init = open_all, .fini = close_all);

static char *path_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *
path_of(const char *format, ...)
{
    static char path[256];
    va_list args;
    int n = snprintf(path, sizeof(path), "%s/", dir);

    va_start(args, format);
    vsnprintf(path + n, sizeof(path) - (size_t)n, format, args);
    va_end(args);
    return path;
}

static int
entries(const char *path)
{
    DIR *opened = opendir(path);
    int count = -2; /* . and .. */

    cr_assert_not_null(opened, "%s", path);
    while (readdir(opened))
        count++;
    closedir(opened);
    return count;
}

static void
put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    cr_assert_geq(fd, 0, "%s", path);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* As prepare and task find it: four empty folders with the modes of new ones, at most an empty log. */
static ino_t
check_taken(const char *name)
{
    static const char *const inner[] = {"", "/work", "/inputs", "/outputs", "/tmp"};
    struct stat st;
    ino_t own = 0;

    for (size_t i = 0; i < ARRAY_LEN(inner); i++) {
        cr_assert_eq(lstat(path_of("%s%s", name, inner[i]), &st), 0, "%s%s", name, inner[i]);
        cr_expect(S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0700, "%s%s", name, inner[i]);
        cr_expect_leq(listxattr(path_of("%s%s", name, inner[i]), NULL, 0), 0);
        if (i > 0)
            cr_expect_eq(entries(path_of("%s%s", name, inner[i])), 0, "%s%s", name, inner[i]);
        else
            own = st.st_ino;
    }
    bool has_log = lstat(path_of("%s/log", name), &st) == 0;
    cr_expect(!has_log || (S_ISREG(st.st_mode) && st.st_size == 0 && st.st_nlink == 1));
    cr_expect_eq(entries(path_of("%s", name)), 4 + has_log);
    return own;
}

Test(worker_folders, what_was_left_as_it_was_is_used_again)
{
    OK(folders_take(folders, "a", &err));
    OK(folders_take(folders, "b", &err));
    ino_t a = check_taken("a"), b = check_taken("b");
    put(path_of("a/log"), "");
    OK(folders_give(folders, "a", &err));
    OK(folders_give(folders, "b", &err));
    OK(folders_take(folders, "c", &err));
    OK(folders_take(folders, "d", &err));
    OK(folders_take(folders, "e", &err));
    cr_expect_eq(check_taken("c"), b);
    cr_expect_eq(check_taken("d"), a);
    check_taken("e");
    cr_expect_eq(entries(path_of("spare")), 0);
    OK(folders_give(folders, "never", &err));
}

/* What a task may leave behind; run in its folder. */
Test(worker_folders, what_a_task_has_changed_is_no_other_ones)
{
    static const char *const left[] = {
        "touch work/file",
        "mkdir outputs/deep",
        "touch tmp/.hidden",
        "echo said > log",
        "ln -sf /etc/passwd log",
        "ln log tmp/other; touch log",
        "touch log; ln log ../elsewhere",
        "touch log; chmod 644 log",
        "mkdir more",
        "touch log.whole",
        "rmdir work",
        "rmdir work; ln -s /tmp work",
        "chmod 755 inputs",
        "chmod 0 work",
        "chmod +t .",
        "chmod g+s tmp",
    };

    for (size_t i = 0; i < ARRAY_LEN(left); i++) {
        OK(folders_take(folders, "task", &err));
        check_taken("task");
        CLEANUP(mem_free)
        char *command = mem_printf("cd %s/task && { %s; } 2>/dev/null", dir, left[i]);
        (void)!system(command);
        OK(folders_give(folders, "task", &err));
        cr_expect_eq(access(path_of("task"), F_OK), -1, "%s", left[i]);
        cr_expect_eq(entries(path_of("spare")), 0, "%s", left[i]);
        OK(folders_take(folders, "next", &err));
        check_taken("next");
        CLEANUP(mem_free) char *gone = mem_printf("rm -rf %s/next %s/elsewhere", dir, dir);
        cr_assert_eq(system(gone), 0);
    }
    OK(folders_take(folders, "task", &err));
    if (setxattr(path_of("task/work"), "user.note", "x", 1, 0) == 0) {
        OK(folders_give(folders, "task", &err));
        cr_expect_eq(entries(path_of("spare")), 0);
    }
}

Test(worker_folders, spare_ones_are_bounded_and_do_not_outlive_the_worker)
{
    char name[16];

    for (int i = 0; i < FOLDERS_SPARE_MAX + 3; i++) {
        snprintf(name, sizeof(name), "t%d", i);
        OK(folders_take(folders, name, &err));
    }
    for (int i = 0; i < FOLDERS_SPARE_MAX + 3; i++) {
        snprintf(name, sizeof(name), "t%d", i);
        OK(folders_give(folders, name, &err));
    }
    cr_expect_eq(entries(path_of("spare")), FOLDERS_SPARE_MAX);
    cr_expect_eq(entries(dir), 1);
    folders_free(folders);
    OK(folders_open(&folders, dir, &err));
    cr_expect_eq(entries(path_of("spare")), 0);
}
