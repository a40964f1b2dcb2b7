/* SPDX-License-Identifier: Apache-2.0 */
/* Artifacts in a local folder. */
#include "artifact/artifact.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HELLO "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

static char folder[64];
static struct artifact_store *store;

static void
setup(void)
{
    char url[96];
    struct err err = {0};

    snprintf(folder, sizeof(folder), "/tmp/artifact-XXXXXX");
    cr_assert(mkdtemp(folder));
    snprintf(url, sizeof(url), "file://%s/deep/store", folder);
    cr_assert_eq(artifact_store_open(&store, url, &err), ERR_OK, "%s", err.message);
}

static void
teardown(void)
{
    char command[128];

    artifact_store_free(store);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

static int
uploads_left(void)
{
    char path[128];
    struct dirent *entry;
    int count = 0;

    snprintf(path, sizeof(path), "%s/deep/store/tmp", folder);
    DIR *dir = opendir(path);
    while ((entry = readdir(dir)))
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

TestSuite(artifact, .init = setup, .fini = teardown);

Test(artifact, is_named_by_its_content)
{
    char uri[ARTIFACT_URI_LEN + 1], again[ARTIFACT_URI_LEN + 1], text[8] = "";
    uint64_t bytes;
    struct err err;
    int fd;

    cr_assert_eq(artifact_put_bytes(store, "hello", 5, uri, &err), ERR_OK);
    cr_assert_str_eq(uri, HELLO);
    cr_assert_eq(artifact_put_bytes(store, "hello", 5, again, &err), ERR_OK);
    cr_assert_eq(artifact_stat(store, uri, &bytes, &err), ERR_OK);
    cr_assert_eq(bytes, 5u);
    cr_assert_eq(artifact_open(store, uri, &fd, &bytes, &err), ERR_OK);
    cr_assert_eq(read(fd, text, sizeof(text)), 5);
    close(fd);
    cr_assert_str_eq(text, "hello");
    cr_assert_eq(uploads_left(), 0);
}

Test(artifact, bounds_and_expected_names_leave_nothing_behind)
{
    struct artifact_writer *writer;
    char uri[ARTIFACT_URI_LEN + 1];
    uint64_t bytes;
    struct err err;

    cr_assert_eq(artifact_create(store, 4, &writer, &err), ERR_OK);
    cr_assert_eq(artifact_write(writer, "hello", 5, &err), ERR_TOO_LARGE);
    artifact_abort(writer);
    cr_assert_eq(artifact_create(store, 5, &writer, &err), ERR_OK);
    cr_assert_eq(artifact_write(writer, "hullo", 5, &err), ERR_OK);
    cr_assert_eq(artifact_finish(writer, HELLO, uri, &bytes, &err), ERR_INVALID);
    cr_assert_eq(artifact_stat(store, HELLO, &bytes, &err), ERR_NOT_FOUND);
    cr_assert_eq(uploads_left(), 0);
}

Test(artifact, fetch_verifies_the_content)
{
    char uri[ARTIFACT_URI_LEN + 1], path[96], object[192];
    struct err err;

    snprintf(path, sizeof(path), "%s/copy", folder);
    cr_assert_eq(artifact_put_bytes(store, "hello", 5, uri, &err), ERR_OK);
    cr_assert_eq(artifact_fetch(store, uri, path, &err), ERR_OK, "%s", err.message);
    cr_assert_eq(access(path, R_OK), 0);
    unlink(path);
    snprintf(object, sizeof(object), "%s/deep/store/objects/2c/%s", folder, uri + 7);
    cr_assert_eq(chmod(object, 0644), 0);
    cr_assert_eq(truncate(object, 4), 0);
    cr_assert_eq(artifact_fetch(store, uri, path, &err), ERR_INTERNAL);
    cr_assert_neq(access(path, F_OK), 0);
}

Test(artifact, refuses_what_is_no_name)
{
    uint64_t bytes;
    struct err err;

    cr_assert(artifact_uri_valid(HELLO));
    cr_assert(!artifact_uri_valid("sha256:zz"));
    cr_assert(!artifact_uri_valid(HELLO "0"));
    cr_assert_eq(artifact_stat(store, "../../etc/passwd", &bytes, &err), ERR_INVALID);
    cr_assert_eq(artifact_stat(store, NULL, &bytes, &err), ERR_INVALID);
}

Test(artifact, old_leftovers_go_at_open)
{
    char path[128], url[96];
    struct artifact_store *second;
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct err err;

    snprintf(path, sizeof(path), "%s/deep/store/tmp/upload-old", folder);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    cr_assert_eq(utimensat(AT_FDCWD, path, old, 0), 0);
    snprintf(path, sizeof(path), "%s/deep/store/tmp/upload-new", folder);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    snprintf(url, sizeof(url), "file://%s/deep/store", folder);
    cr_assert_eq(artifact_store_open(&second, url, &err), ERR_OK);
    artifact_store_free(second);
    cr_assert_eq(uploads_left(), 1);
}
