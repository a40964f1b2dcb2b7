/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ownership.h - which instance of a service reads which partition, by advisory locks.
 *
 * On a connection of its own an instance holds the service's member lock, shared, and the lock of
 * each partition that it reads, exclusive. Members are counted in pg_locks and ranked by
 * backend; each takes its even share (shares differ by at most one partition: the floor, and one more for
 * the first ranks). Who has too many releases the extras, who has too few tries the others'
 * locks. Locks end with the connection, also on kill -9 of the instance.
 *
 * Ownership is a matter of efficiency: correctness comes from the compare-and-set on
 * offsets. So a check that is half a second late does no harm. One thread.
 */
#pragma once

#include "db/db.h"

struct ownership;

struct ownership *ownership_new(struct db_pool *pool, const char *service);
void ownership_free(struct ownership *o); /* releases everything */
CLEANUP_DEFINE(struct ownership, ownership_free)

/* The lock of a partition. */
int64_t ownership_key(const char *service, const char *topic, int32_t partition);

/*
 * One check over all partitions of all topics, in the same order everywhere: owned[i] tells and gets
 * what is held. *changed: owned differs from before. ERR_UNAVAILABLE: the connection is
 * lost and nothing is owned any more; the next call starts over.
 * Call between batches only, since it may release partitions.
 */
MUST_CHECK enum err_code ownership_check(struct ownership *o, const int64_t *keys, bool *owned,
                                         size_t count, bool *changed, struct err *err);
