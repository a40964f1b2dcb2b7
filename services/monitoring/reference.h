/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reference.h - the compact profile of a version's training sample.
 */
#pragma once

#include "reservoir.h"

#define REFERENCE_ROWS 4096              /* kept of a sample: 32 KiB a column */
#define REFERENCE_BYTES_MAX (256u << 20) /* of a sample's file */

/*
 * From the bytes of a CSV or NDJSON file (table/table.h). Whole rows are drawn, the same each time; *rows: of
 * the file. ERR_INVALID with the line;
 * ERR_TOO_LARGE: more columns than can be watched.
 */
MUST_CHECK enum err_code reference_read(const char *name, const char *data, size_t len,
                                        struct reservoir **reference, uint64_t *rows,
                                        struct err *err);
