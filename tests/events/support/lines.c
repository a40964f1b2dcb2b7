/* SPDX-License-Identifier: Apache-2.0 */
#include "lines.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int captured = -1;

void
lines_capture(void)
{
    char path[] = "/tmp/modelbus-lines-XXXXXX";

    captured = mkstemp(path);
    cr_assert_geq(captured, 0);
    unlink(path);
    cr_assert_geq(dup2(captured, STDERR_FILENO), 0);
}

int
lines_with(const char *text)
{
    static char line[8192];
    char path[64];
    int n = 0;

    /* Opened anew: a position of its own. */
    snprintf(path, sizeof(path), "/proc/self/fd/%d", captured);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file);
    while (fgets(line, sizeof(line), file))
        n += strstr(line, text) != NULL;
    fclose(file);
    return n;
}
