/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shipper.h - one thread that sends what tasks write to the gateway while they run.
 *
 * For those who follow only: the whole log becomes an artifact at the end. So nothing waits for it. Of each task at
 * most SHIPPER_BYTES every SHIPPER_MS, and no request while there is nothing new; while the gateway is
 * away, it waits. A task that outruns it so far that the log has left something out is followed
 * no further: what is sent has no gaps.
 */
#pragma once

#include "gateway.h"
#include "tasklog.h"

#define SHIPPER_MS 200
#define SHIPPER_BYTES (256u << 10)

struct shipper;
struct shipper *shipper_start(struct gateway *gateway); /* borrowed */
void shipper_stop(struct shipper *shipper);             /* and frees; NULL allowed */

/* lease is copied, the log is shared. */
void shipper_add(struct shipper *shipper, const char *lease, struct tasklog *log);
void shipper_wake(struct shipper *shipper, const struct tasklog *log); /* it has grown */
/* Nothing more is sent; what is under way may still arrive. */
void shipper_remove(struct shipper *shipper, const struct tasklog *log);
