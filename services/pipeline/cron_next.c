/* SPDX-License-Identifier: Apache-2.0 */
/* cron_next.c - the next time at which an expression is due. */
#include "zone.h"

#define DAY 86400
#define HORIZON_S (INT64_C(8) * 366 * DAY)
#define EARLIEST_MS INT64_C(-62135596800000) /* year 1 */
#define LATEST_MS INT64_C(253402300800000)   /* year 10000 */

struct date {
    int64_t day; /* since the epoch */
    int year, month, mday;
};

/* Of the proleptic Gregorian calendar (Howard Hinnant, "chrono-compatible low-level date algorithms",
 * civil_from_days). */
static struct date
date_of(int64_t day)
{
    int64_t z = day + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t of_era = z - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t m = (5 * of_year + 2) / 153;
    int month = (int)(m < 10 ? m + 3 : m - 9);

    return (struct date){
        .day = day,
        .year = (int)(year + era * 400 + (month <= 2)),
        .month = month,
        .mday = (int)(of_year - (153 * m + 2) / 5 + 1),
    };
}

static int
month_days(const struct date *date)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = date->year % 4 == 0 && (date->year % 100 != 0 || date->year % 400 == 0);

    return days[date->month - 1] + (date->month == 2 && leap);
}

static void
next_day(struct date *date)
{
    date->day++;
    if (++date->mday <= month_days(date))
        return;
    date->mday = 1;
    if (++date->month > 12) {
        date->month = 1;
        date->year++;
    }
}

static bool
day_matches(const struct cron *cron, const struct date *date)
{
    int weekday = (int)(((date->day + 4) % 7 + 7) % 7); /* the epoch was a Thursday */
    bool by_month_day = cron->days >> date->mday & 1, by_weekday = cron->weekdays >> weekday & 1;

    if (!(cron->months >> date->month & 1))
        return false;
    return cron->any_day || cron->any_weekday ? by_month_day && by_weekday
                                              : by_month_day || by_weekday;
}

/* The lowest bit from a place on; -1: none. */
static int
bit_from(uint64_t bits, int from)
{
    uint64_t left = from > 63 ? 0 : bits >> from << from;

    return left ? __builtin_ctzll(left) : -1;
}

/* The first matching second of a day from one on; -1: none. */
static int
second_from(const struct cron *cron, int from)
{
    int hour = from / 3600, minute = from / 60 % 60, second = from % 60;

    while ((hour = bit_from(cron->hours, hour)) >= 0) {
        if (hour != from / 3600)
            minute = second = 0;
        while ((minute = bit_from(cron->minutes, minute)) >= 0) {
            if (hour != from / 3600 || minute != from / 60 % 60)
                second = 0;
            second = bit_from(cron->seconds, second);
            if (second >= 0)
                return hour * 3600 + minute * 60 + second;
            minute++;
        }
        minute = 0;
        hour++;
    }
    return -1;
}

/* The first matching wall time after one, at most until; INT64_MAX: none. */
static int64_t
next_wall(const struct cron *cron, int64_t after, int64_t until)
{
    int64_t first = after + 1, day = first / DAY - (first % DAY < 0);
    int from = (int)(first - day * DAY);

    for (struct date date = date_of(day); date.day * DAY <= until; next_day(&date)) {
        if (day_matches(cron, &date)) {
            int second = second_from(cron, from);
            if (second >= 0)
                return date.day * DAY + second;
        }
        from = 0;
    }
    return INT64_MAX;
}

/* By the clock on the wall: each time it names once a day. */
static int64_t
next_named(const struct cron *cron, const struct cron_zone *zone, int64_t after, int64_t until)
{
    int64_t wall = after + zone_offset(zone, after), at;

    do {
        wall = next_wall(cron, wall, until);
        if (wall == INT64_MAX)
            return wall;
        at = zone_first(zone, wall);
    } while (at <= after); /* shown for the second time */
    return at;
}

/* By real time: whenever the clock shows it. */
static int64_t
next_shown(const struct cron *cron, const struct cron_zone *zone, int64_t after, int64_t until)
{
    for (;;) {
        int64_t offset = zone_offset(zone, after + 1);
        int64_t wall = next_wall(cron, after + offset, until);
        /* If the clock changes before, what comes first after the change is to be found anew. */
        int64_t at = wall == INT64_MAX ? until : wall - offset;
        int64_t change = zone_change(zone, after + 1, at);
        if (change == INT64_MAX)
            return wall == INT64_MAX ? wall : at;
        after = change - 1;
    }
}

int64_t
cron_next(const struct cron *cron, const struct cron_zone *zone, int64_t after_ms)
{
    if (after_ms >= LATEST_MS)
        return INT64_MAX;
    if (after_ms < EARLIEST_MS)
        after_ms = EARLIEST_MS;
    int64_t after = after_ms / 1000 - (after_ms % 1000 < 0);
    int64_t until = after + HORIZON_S;
    int64_t at = cron->any_hour ? next_shown(cron, zone, after, until)
                                : next_named(cron, zone, after, until);
    return at == INT64_MAX ? at : at * 1000;
}
