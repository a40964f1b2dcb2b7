/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zone.h - what a clock on the wall of a time zone shows.
 *
 * Times are seconds: "at" of the Unix epoch, "wall" the same count of what the clock shows. zone.c is
 * the only file that knows GLib. zone NULL: UTC. Any thread.
 */
#pragma once

#include "cron.h"

/* Seconds that the clock is ahead of UTC at a time. */
int64_t zone_offset(const struct cron_zone *zone, int64_t at);
/* The first time in (from, to] at which the offset is another than at from; INT64_MAX: none.
 * Offsets that last for less than a week may be passed over. */
int64_t zone_change(const struct cron_zone *zone, int64_t from, int64_t to);
/* When the clock first shows a wall time, or jumps over it. */
int64_t zone_first(const struct cron_zone *zone, int64_t wall);
