/* SPDX-License-Identifier: Apache-2.0 */
/* compose.h - what a notification that is due says. */
#pragma once

#include "changes.h"

/*
 * In the transaction that has claimed n. *group NULL: nothing is to be told now; the notification
 * was dropped or put off. In arena.
 */
MUST_CHECK enum err_code compose(const struct change *change, const AlertConfig *rulebook,
                                 const struct notification *n, AlertGroup **group, struct err *err);
/* A message for trying out a receiver. */
AlertGroup *compose_test(const char *workspace, int64_t now_ms, struct arena *arena);
