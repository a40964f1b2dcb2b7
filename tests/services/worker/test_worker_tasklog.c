/* SPDX-License-Identifier: Apache-2.0 */
/* test_worker_tasklog.c - the first and the last half, whatever is written. */
#include "tasklog.h"

#include "buf/buf.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OK(call) cr_assert_eq(call, ERR_OK, "%s: %s", #call, err.message)

static struct err err;
static char folder[64], path[96], whole[96];

static void
set_up(void)
{
    snprintf(folder, sizeof(folder), "/tmp/tasklog-XXXXXX");
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/log", folder);
    snprintf(whole, sizeof(whole), "%s/whole", folder);
}

static void
tear_down(void)
{
    unlink(path);
    unlink(whole);
    cr_assert_eq(rmdir(folder), 0);
}

TestSuite(worker_tasklog, .init = set_up, .fini = tear_down);

static void
read_file(const char *name, struct buf *out)
{
    FILE *f = fopen(name, "r");
    char chunk[256];
    size_t n;

    cr_assert(f);
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_add(out, chunk, n);
    fclose(f);
}

/* What has been written in all, "0123…", through a log of 100 bytes in pieces of `piece`. */
static void
check_bounded(size_t total, size_t piece)
{
    CLEANUP(tasklog_unref) struct tasklog *log = NULL;
    CLEANUP(buf_done) struct buf all = {0}, kept = {0}, expected = {0};
    const char *file;
    uint64_t left_out;

    for (size_t i = 0; i < total; i++)
        buf_char(&all, (char)('0' + i % 10 + (i / 10) % 7));
    OK(tasklog_open(&log, path, 100, &err));
    for (size_t at = 0; at < total; at += piece)
        tasklog_add(log, all.data + at, total - at < piece ? total - at : piece);
    cr_assert_eq(tasklog_bytes(log), total);
    OK(tasklog_finish(log, whole, &file, &left_out, &err));
    read_file(file, &kept);
    if (total <= 100) {
        buf_add(&expected, all.data, total);
        cr_assert_eq(left_out, 0);
    } else {
        buf_add(&expected, all.data, 50);
        buf_printf(&expected, "\n[modelbus: %zu bytes were left out here]\n", total - 100);
        buf_add(&expected, all.data + total - 50, 50);
        cr_assert_eq(left_out, total - 100);
    }
    cr_assert_eq(kept.len, expected.len, "%zu by %zu: %zu", total, piece, kept.len);
    cr_assert_eq(memcmp(kept.data, expected.data, kept.len), 0, "%zu by %zu", total, piece);
    unlink(path);
    unlink(whole);
}

Test(worker_tasklog, both_halves_are_kept_at_every_length)
{
    static const size_t pieces[] = {1, 7, 50, 64, 1000};

    for (size_t total = 1; total < 320; total++)
        for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
            check_bounded(total, pieces[i]);
}

Test(worker_tasklog, a_reader_jumps_over_what_is_gone)
{
    CLEANUP(tasklog_unref) struct tasklog *log = NULL;
    uint64_t position = 0;
    char text[100];

    OK(tasklog_open(&log, path, 20, &err));
    cr_assert_eq(tasklog_read(log, &position, text, sizeof(text)), 0);
    tasklog_add(log, "0123456789abcdefghij", 20);
    cr_assert_eq(tasklog_read(log, &position, text, 4), 4);
    cr_assert_eq(memcmp(text, "0123", 4), 0);
    position = 10;
    tasklog_add(log, "ABCDE", 5);
    cr_assert_eq(tasklog_read(log, &position, text, sizeof(text)), 5);
    cr_assert_eq(position, 15);
    cr_assert_eq(memcmp(text, "fghij", 5), 0);
    position = 20;
    cr_assert_eq(tasklog_read(log, &position, text, sizeof(text)), 5);
    cr_assert_eq(memcmp(text, "ABCDE", 5), 0);
    position = 25;
    cr_assert_eq(tasklog_read(log, &position, text, sizeof(text)), 0);
}

Test(worker_tasklog, outlives_its_file)
{
    struct tasklog *log = NULL, *other;
    uint64_t position = 0;
    char text[10];

    OK(tasklog_open(&log, path, 100, &err));
    other = tasklog_ref(log);
    tasklog_add(log, "text", 4);
    struct tasklog *third;
    cr_assert_eq(tasklog_open(&third, path, 100, &err), ERR_UNAVAILABLE);
    tasklog_unref(log);
    unlink(path);
    cr_assert_eq(tasklog_read(other, &position, text, sizeof(text)), 4);
    tasklog_unref(other);
}
