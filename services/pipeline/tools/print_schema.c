/* SPDX-License-Identifier: Apache-2.0 */
/* print_schema.c - prints the JSON Schema of a pipeline's file. */
#include "definition.h"

#include <stdio.h>

int
main(void)
{
    CLEANUP(buf_done) struct buf out = {0};

    definition_schema(&out);
    return fwrite(out.data, 1, out.len, stdout) == out.len && fflush(stdout) == 0 ? 0 : 1;
}
