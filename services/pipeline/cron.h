/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cron.h - when a cron expression is due, in a time zone.
 *
 * Five fields: minute hour day-of-month month day-of-week; six when seconds come first. Each is *, numbers,
 * ranges a-b, steps a-b/n and lists of these; months and days of the week also by their English
 * names' first three letters, 7 is Sunday. As in Vixie cron a day matches by either of the two day fields
 * when both are restricted. @hourly @daily @weekly @monthly @yearly stand for the usual.
 *
 * Summer time, also as in Vixie cron: an expression with a restricted hour is due once a day it names: a
 * time that the clock jumps over is due at the jump, one that the clock shows twice at the first time.
 * An expression with * (or a step of it) for its hour goes by real time through both.
 *
 * Time zones are those of the system's tz database, by way of GLib (docs/dependencies.md). Any thread.
 */
#pragma once

#include "err/err.h"

#define CRON_TEXT_MAX 200

struct cron {
    uint64_t seconds, minutes; /* bit per value */
    uint32_t hours, days, months, weekdays;
    bool any_hour, any_day, any_weekday; /* was not restricted */
};
/* ERR_INVALID names the field: "hour: 24 is not in 0-23". */
MUST_CHECK enum err_code cron_parse(const char *text, struct cron *cron, struct err *err);

struct cron_zone; /* NULL: UTC */
/* ERR_INVALID: there is no such zone. "" and "UTC" give NULL. */
MUST_CHECK enum err_code cron_zone_open(const char *name, struct cron_zone **zone, struct err *err);
void cron_zone_free(struct cron_zone *zone);
CLEANUP_DEFINE(struct cron_zone, cron_zone_free)

/* The first time after after_ms (Unix epoch) at which it is due; INT64_MAX: none within eight years
 * ("0 0 30 2 *"). */
int64_t cron_next(const struct cron *cron, const struct cron_zone *zone, int64_t after_ms);
