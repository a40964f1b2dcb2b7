/* SPDX-License-Identifier: Apache-2.0 */
/* prune.h - old rows of the fabric's tables: published events, inbox keys, stored replies. */
#pragma once

#include "db/db.h"

#define PRUNE_ROWS 2000 /* of a table, a call: short enough to stand between two events */

/* Delete rows older than their retention (outbox.h). *more: a table may have more of them. */
MUST_CHECK enum err_code prune_tables(struct db_conn *conn, int64_t outbox_retention_ms, bool *more,
                                      struct err *err);
