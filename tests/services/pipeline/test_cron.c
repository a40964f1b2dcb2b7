/* SPDX-License-Identifier: Apache-2.0 */
/* test_cron.c - when expressions are due: what they say, summer time, and a slow reference. */
#include "cron.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OK(call) cr_assert_eq(call, ERR_OK, "%s: %s", #call, err.message)
#define MINUTE INT64_C(60000)
#define DAY_MINUTES 1440

static struct err err;

static int64_t
ms(const char *text)
{
    struct tm tm = {0};

    cr_assert(strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm) || strptime(text, "%Y-%m-%dT%H:%MZ", &tm),
              "%s", text);
    return (int64_t)timegm(&tm) * 1000;
}

static const char *
show(int64_t at)
{
    static char text[4][40];
    static int turn;
    time_t seconds = (time_t)(at / 1000);
    struct tm tm;
    char *out = text[turn++ % 4];

    if (at == INT64_MAX)
        return "never";
    gmtime_r(&seconds, &tm);
    strftime(out, sizeof(text[0]), tm.tm_sec ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%dT%H:%MZ", &tm);
    return out;
}

/* Due times after one, from a list separated by blanks. */
static void
due(const char *expression, const char *zone_name, const char *after, const char *expected)
{
    CLEANUP(cron_zone_free) struct cron_zone *zone = NULL;
    struct cron cron;
    char *copy = strdup(expected), *save = NULL;
    int64_t at = ms(after);

    OK(cron_parse(expression, &cron, &err));
    OK(cron_zone_open(zone_name, &zone, &err));
    for (char *p = strtok_r(copy, " ", &save); p; p = strtok_r(NULL, " ", &save)) {
        int64_t next = cron_next(&cron, zone, at);
        cr_expect_str_eq(show(next), p, "%s in %s after %s: %s, not %s", expression, zone_name,
                         show(at), show(next), p);
        at = next;
    }
    free(copy);
}

static void
refused(const char *expression, const char *message)
{
    struct cron cron;

    cr_expect_eq(cron_parse(expression, &cron, &err), ERR_INVALID, "%s", expression);
    cr_expect_str_eq(err.message, message, "%s: %s", expression, err.message);
}

Test(cron, fields)
{
    const char *after = "2026-01-01T00:00Z"; /* a Thursday */

    due("* * * * *", "", after, "2026-01-01T00:01Z 2026-01-01T00:02Z");
    due("5 3 * * *", "", after, "2026-01-01T03:05Z 2026-01-02T03:05Z");
    due("0,30 9-10 * * 1-5", "", after,
        "2026-01-01T09:00Z 2026-01-01T09:30Z 2026-01-01T10:00Z 2026-01-01T10:30Z "
        "2026-01-02T09:00Z");
    due("10-50/20 0 * * *", "", after, "2026-01-01T00:10Z 2026-01-01T00:30Z 2026-01-01T00:50Z");
    due("0 0 1 JAN,jul *", "", after, "2026-07-01T00:00Z 2027-01-01T00:00Z");
    due("0 12 * * sun", "", after, "2026-01-04T12:00Z 2026-01-11T12:00Z");
    due("0 12 * * 7", "", after, "2026-01-04T12:00Z");
    due("0 12 * * fri-SUN", "", after, "2026-01-02T12:00Z 2026-01-03T12:00Z 2026-01-04T12:00Z");
    due("  0\t12  *  * 5-7 ", "", after, "2026-01-02T12:00Z 2026-01-03T12:00Z 2026-01-04T12:00Z");
}

Test(cron, seconds_come_first)
{
    due("*/20 * * * * *", "", "2026-01-01T00:00Z",
        "2026-01-01T00:00:20Z 2026-01-01T00:00:40Z 2026-01-01T00:01Z");
    due("30 59 23 31 12 *", "", "2026-01-01T00:00Z", "2026-12-31T23:59:30Z 2027-12-31T23:59:30Z");
    due("* * * * * *", "Europe/Berlin", "2026-10-25T00:59:59Z",
        "2026-10-25T01:00Z 2026-10-25T01:00:01Z");
}

Test(cron, either_day_matches_when_both_are_restricted)
{
    due("0 0 13 * 5", "", "2026-02-01T00:00Z",
        "2026-02-06T00:00Z 2026-02-13T00:00Z 2026-02-20T00:00Z 2026-02-27T00:00Z "
        "2026-03-06T00:00Z 2026-03-13T00:00Z");
    due("0 0 */2 * 5", "", "2026-02-01T00:00Z", "2026-02-13T00:00Z 2026-02-27T00:00Z");
    due("0 0 13 * *", "", "2026-02-01T00:00Z", "2026-02-13T00:00Z 2026-03-13T00:00Z");
}

Test(cron, shorthands)
{
    due("@hourly", "", "2026-01-01T00:10Z", "2026-01-01T01:00Z");
    due("@daily", "", "2026-01-01T00:10Z", "2026-01-02T00:00Z");
    due("@weekly", "", "2026-01-01T00:10Z", "2026-01-04T00:00Z");
    due("@monthly", "", "2026-01-01T00:10Z", "2026-02-01T00:00Z");
    due("@Yearly", "", "2026-01-01T00:10Z", "2027-01-01T00:00Z");
}

Test(cron, leap_days_and_days_that_never_come)
{
    due("0 0 29 2 *", "", "2026-01-01T00:00Z", "2028-02-29T00:00Z 2032-02-29T00:00Z");
    due("0 0 29 2 *", "", "2096-02-29T00:00Z", "2104-02-29T00:00Z");
    due("0 0 31 2 *", "", "2026-01-01T00:00Z", "never");
    due("* * 31 2,4,6,9,11 *", "Europe/Berlin", "2026-01-01T00:00Z", "never");
    due("0 0 31 * *", "", "2026-01-31T00:00Z", "2026-03-31T00:00Z 2026-05-31T00:00Z");
    due("0 0 29 2 1", "", "2026-02-01T00:00Z", "2026-02-02T00:00Z");
}

Test(cron, any_millisecond_and_any_age_of_the_clock)
{
    struct cron cron;

    OK(cron_parse("* * * * *", &cron, &err));
    cr_expect_eq(cron_next(&cron, NULL, 59999), 60000);
    cr_expect_eq(cron_next(&cron, NULL, 60000), 120000);
    cr_expect_eq(cron_next(&cron, NULL, -1), 0);
    cr_expect_eq(cron_next(&cron, NULL, -60001), -60000);
    cr_expect_eq(cron_next(&cron, NULL, INT64_MAX), INT64_MAX);
    cr_expect_lt(cron_next(&cron, NULL, INT64_MIN), 0);
}

/* ---- summer time ---- */

Test(cron, a_time_that_the_clock_jumps_over_is_due_at_the_jump)
{
    due("30 2 * * *", "Europe/Berlin", "2026-03-28T01:30Z", "2026-03-29T01:00Z 2026-03-30T00:30Z");
    due("*/20 2 * * *", "Europe/Berlin", "2026-03-28T01:40Z",
        "2026-03-29T01:00Z 2026-03-30T00:00Z");
    due("0 2,3 * * *", "Europe/Berlin", "2026-03-28T02:00Z", /* at the same moment: once */
        "2026-03-29T01:00Z 2026-03-30T00:00Z");
    due("30 2 * * *", "America/New_York", "2026-03-07T07:30Z",
        "2026-03-08T07:00Z 2026-03-09T06:30Z");
    due("15 2 * * *", "Australia/Lord_Howe", "2026-10-02T16:00Z",
        "2026-10-03T15:30Z 2026-10-04T15:15Z");
    due("0 0 * * *", "America/Sao_Paulo", "2018-11-03T03:00Z",
        "2018-11-04T03:00Z 2018-11-05T02:00Z");
    /* Samoa had no 30 December 2011. */
    due("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00Z", "2011-12-30T10:00Z 2012-12-29T22:00Z");
}

Test(cron, a_time_that_the_clock_shows_twice_is_due_at_the_first)
{
    due("30 2 * * *", "Europe/Berlin", "2026-10-24T00:30Z", "2026-10-25T00:30Z 2026-10-26T01:30Z");
    due("*/20 2 * * *", "Europe/Berlin", "2026-10-24T00:40Z",
        "2026-10-25T00:00Z 2026-10-25T00:20Z 2026-10-25T00:40Z 2026-10-26T01:00Z");
    due("0 3 * * *", "Europe/Berlin", "2026-10-24T01:00Z", "2026-10-25T02:00Z 2026-10-26T02:00Z");
    due("30 1 * * *", "America/New_York", "2026-10-31T05:30Z",
        "2026-11-01T05:30Z 2026-11-02T06:30Z");
    due("45 1 * * *", "Australia/Lord_Howe", "2026-04-03T14:45Z",
        "2026-04-04T14:45Z 2026-04-05T15:15Z");
    /* Asked in the middle of the hour that comes again. */
    due("30 2 * * *", "Europe/Berlin", "2026-10-25T01:10Z", "2026-10-26T01:30Z");
    due("*/20 2,3 * * *", "Europe/Berlin", "2026-10-25T01:10Z", "2026-10-25T02:00Z");
}

Test(cron, an_expression_with_any_hour_goes_by_real_time)
{
    due("30 * * * *", "Europe/Berlin", "2026-03-28T23:59Z",
        "2026-03-29T00:30Z 2026-03-29T01:30Z 2026-03-29T02:30Z");
    due("30 * * * *", "Europe/Berlin", "2026-10-25T00:00Z",
        "2026-10-25T00:30Z 2026-10-25T01:30Z 2026-10-25T02:30Z");
    due("0 */2 * * *", "Europe/Berlin", "2026-03-28T22:59Z",
        "2026-03-28T23:00Z 2026-03-29T02:00Z 2026-03-29T04:00Z");
    due("0 */2 * * *", "Europe/Berlin", "2026-10-24T21:00Z",
        "2026-10-24T22:00Z 2026-10-25T00:00Z 2026-10-25T01:00Z 2026-10-25T03:00Z");
    due("*/15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:29Z",
        "2026-04-04T14:30Z 2026-04-04T14:45Z 2026-04-04T15:00Z 2026-04-04T15:15Z "
        "2026-04-04T15:30Z");
    due("*/15 * * * *", "Australia/Lord_Howe", "2026-10-03T15:15Z",
        "2026-10-03T15:30Z 2026-10-03T15:45Z");
    /* Half a year ahead, with the clock changed in between. */
    due("30 * 1 7 *", "America/New_York", "2026-01-01T00:00Z", "2026-07-01T04:30Z");
}

Test(cron, zones_without_summer_time_and_far_years)
{
    due("30 9 * * *", "Asia/Kolkata", "2026-01-01T00:00Z", "2026-01-01T04:00Z 2026-01-02T04:00Z");
    due("0 * * * *", "Asia/Kolkata", "2026-01-01T00:00Z", "2026-01-01T00:30Z 2026-01-01T01:30Z");
    due("0 12 * * *", "Etc/GMT+5", "2026-01-01T00:00Z", "2026-01-01T17:00Z");
    due("0 12 1 7 *", "Europe/Berlin", "2035-01-01T00:00Z", "2035-07-01T10:00Z");
}

Test(cron, zones_that_are_not_there)
{
    static const char *const names[] = {"Europe/Berln",
                                        "europe/berlin",
                                        "Foo5",
                                        "EST5EDT,M3.2.0",
                                        "/etc/localtime",
                                        "../../etc/passwd",
                                        "America",
                                        "Europe/../Europe/Berlin",
                                        "leapseconds",
                                        "right/UTC",
                                        "+02:00",
                                        "Europe//Berlin",
                                        " ",
                                        "Europe/Berlin "};
    struct cron_zone *zone = NULL;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        cr_expect_eq(cron_zone_open(names[i], &zone, &err), ERR_INVALID, "%s", names[i]);
        cr_expect_null(zone);
    }
    OK(cron_zone_open("UTC", &zone, &err));
    cr_expect_null(zone);
    OK(cron_zone_open("", &zone, &err));
    cr_expect_null(zone);
}

Test(cron, faults_name_the_field)
{
    char longest[CRON_TEXT_MAX + 2];

    refused("0 24 * * *", "hour: 24 is not in 0-23");
    refused("60 * * * *", "minute: 60 is not in 0-59");
    refused("0 0 0 * *", "day of the month: 0 is not in 1-31");
    refused("0 0 * 13 *", "month: 13 is not in 1-12");
    refused("0 0 * * 8", "day of the week: 8 is not in 0-7");
    refused("61 * * * * *", "second: 61 is not in 0-59");
    refused("99999999999999999999 * * * *", "minute: 99999999999999999999 is not in 0-59");
    refused("5/15 * * * *", "minute: a step follows * or a range, as in 0-59/15");
    refused("*/0 * * * *", "minute: the step 0 is not in 1-59");
    refused("*/x * * * *", "minute: 'x' is no step");
    refused("30-10 * * * *", "minute: 30-10 goes backwards");
    refused("1,,2 * * * *", "minute: '' is neither a number nor *");
    refused("1-2-3 * * * *", "minute: '1-2-3' is not understood");
    refused("*5 * * * *", "minute: '*5' is not understood");
    refused("? * * * *", "minute: '?' is neither a number nor *");
    refused("0 0 * * monday",
            "day of the week: 'monday' is neither a number, a name of three letters nor *");
    refused("0 0 * *", "five fields are expected (minute hour day month weekday), or six with "
                       "seconds in front; these are 4");
    refused("", "five fields are expected (minute hour day month weekday), or six with seconds in "
                "front; these are 0");
    refused("@reboot", "'@reboot' is none of @hourly, @daily, @weekly, @monthly, @yearly");
    memset(longest, '*', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    refused(longest, "longer than 200 bytes");
}

/* ---- against a slow reference ---- */

struct slow {
    char text[CRON_TEXT_MAX];
    bool on[5][60];
    bool any[5];
};

static const int lows[5] = {0, 0, 1, 1, 0}, highs[5] = {59, 23, 31, 12, 6};

static void
random_field(struct slow *slow, int field)
{
    int low = lows[field], high = highs[field], span = high - low + 1;
    int a = low + rand() % span, b = a + rand() % (high - a + 1), step = 1 + rand() % 7;
    size_t len = strlen(slow->text);
    char *text = slow->text + len;
    size_t room = sizeof(slow->text) - len;
    int from = low, to = high, by = 1;

    slow->any[field] = false;
    memset(slow->on[field], 0, sizeof(slow->on[field]));
    switch (rand() % 6) {
    case 0:
    case 1:
        slow->any[field] = true;
        snprintf(text, room, "* ");
        break;
    case 2:
        by = step > high ? 1 : step;
        slow->any[field] = true;
        snprintf(text, room, "*/%d ", by);
        break;
    case 3:
        from = to = a;
        snprintf(text, room, "%d ", a);
        break;
    case 4:
        from = a;
        to = b;
        by = step > high ? 1 : step;
        snprintf(text, room, "%d-%d/%d ", a, b, by);
        break;
    default:
        from = a;
        to = b;
        slow->on[field][low] = true;
        snprintf(text, room, "%d,%d-%d ", low, a, b);
    }
    for (int i = from; i <= to; i += by)
        slow->on[field][i] = true;
}

static void
random_expression(struct slow *slow)
{
    slow->text[0] = '\0';
    for (int field = 0; field < 5; field++)
        random_field(slow, field);
}

static bool
slow_day(const struct slow *slow, const struct tm *tm)
{
    bool by_day = slow->on[2][tm->tm_mday], by_weekday = slow->on[4][tm->tm_wday];

    if (!slow->on[3][tm->tm_mon + 1])
        return false;
    if (slow->any[2] || slow->any[4])
        return by_day && by_weekday;
    return by_day || by_weekday;
}

/* Minute by minute; INT64_MAX after days. */
static int64_t
slow_next(const struct slow *slow, int64_t after, int days)
{
    int64_t minute = after / MINUTE + 1, last = minute + days * DAY_MINUTES;

    for (; minute < last; minute++) {
        time_t seconds = (time_t)(minute * 60);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        if (!slow_day(slow, &tm)) {
            minute += DAY_MINUTES - 1 - minute % DAY_MINUTES;
            continue;
        }
        if (slow->on[0][tm.tm_min] && slow->on[1][tm.tm_hour])
            return minute * MINUTE;
    }
    return INT64_MAX;
}

Test(cron, as_a_slow_reference_says)
{
    struct slow slow;
    struct cron cron;

    srand(20261121);
    for (int i = 0; i < 500; i++) {
        random_expression(&slow);
        OK(cron_parse(slow.text, &cron, &err));
        int64_t at =
            ms("2026-01-01T00:00Z") + (int64_t)(rand() % 1000000) * MINUTE + rand() % 60000;
        for (int k = 0; k < 3; k++) {
            int64_t slow_at = slow_next(&slow, at, 800), fast = cron_next(&cron, NULL, at);
            if (slow_at == INT64_MAX) {
                cr_assert_gt(fast, at + 800 * DAY_MINUTES * MINUTE, "%s", slow.text);
                break;
            }
            cr_assert_eq(fast, slow_at, "%s after %s: %s, not %s", slow.text, show(at), show(fast),
                         show(slow_at));
            at = fast;
        }
    }
}

/* Real time in a zone, as the C library knows it. */
Test(cron, by_real_time_as_the_c_library_says)
{
    static const char *const zones[] = {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe"};
    static const char *const starts[] = {"2026-03-07T12:00Z", "2026-03-28T12:00Z",
                                         "2026-04-04T00:00Z", "2026-10-03T00:00Z",
                                         "2026-10-24T12:00Z", "2026-10-31T12:00Z"};
    struct slow slow;
    struct cron cron;

    srand(7);
    for (size_t z = 0; z < ARRAY_LEN(zones); z++) {
        CLEANUP(cron_zone_free) struct cron_zone *zone = NULL;
        OK(cron_zone_open(zones[z], &zone, &err));
        setenv("TZ", zones[z], 1);
        tzset();
        for (int i = 0; i < 300; i++) {
            do {
                random_expression(&slow);
            } while (!slow.any[1]);
            OK(cron_parse(slow.text, &cron, &err));
            int64_t start = ms(starts[rand() % ARRAY_LEN(starts)]), at = start;
            for (int minute = 1; minute <= 2 * DAY_MINUTES; minute++) {
                time_t seconds = (time_t)(start / 1000 + minute * 60);
                struct tm tm;
                localtime_r(&seconds, &tm);
                if (!slow_day(&slow, &tm) || !slow.on[0][tm.tm_min] || !slow.on[1][tm.tm_hour])
                    continue;
                int64_t fast = cron_next(&cron, zone, at);
                cr_assert_eq(fast, (int64_t)seconds * 1000, "%s in %s after %s: %s", slow.text,
                             zones[z], show(at), show(fast));
                at = fast;
            }
        }
    }
}

Test(cron, a_time_of_the_day_is_due_once_each_day_of_a_year)
{
    static const char *const zones[] = {"Europe/Berlin",     "America/New_York",
                                        "Asia/Kolkata",      "Australia/Lord_Howe",
                                        "Africa/Casablanca", "Asia/Kathmandu"};
    char text[40];
    struct cron cron;

    srand(11);
    for (size_t z = 0; z < ARRAY_LEN(zones); z++) {
        CLEANUP(cron_zone_free) struct cron_zone *zone = NULL;
        OK(cron_zone_open(zones[z], &zone, &err));
        setenv("TZ", zones[z], 1);
        tzset();
        for (int minutes = 0; minutes < 4 * 60; minutes += 1 + rand() % 20) {
            snprintf(text, sizeof(text), "%d %d * * *", minutes % 60, minutes / 60);
            OK(cron_parse(text, &cron, &err));
            int64_t at = ms("2026-06-30T12:00Z");
            int last = -1;
            for (int day = 0; day < 365; day++) {
                at = cron_next(&cron, zone, at);
                time_t seconds = (time_t)(at / 1000);
                struct tm tm;
                localtime_r(&seconds, &tm);
                cr_assert_eq((tm.tm_yday + 365 - (last < 0 ? tm.tm_yday - 1 : last)) % 365, 1,
                             "%s in %s: %s", text, zones[z], show(at));
                last = tm.tm_yday;
            }
        }
    }
}

Test(cron, rare_ones_take_no_time)
{
    static const char *const rare[] = {"0 0 31 2 *", "* * 31 2 *", "0 0 29 2 *", "* * 29 2 *",
                                       "59 59 23 29 2 *"};
    CLEANUP(cron_zone_free) struct cron_zone *zone = NULL;
    struct timespec begin, end;
    struct cron cron;
    const int calls = 100;

    OK(cron_zone_open("Europe/Berlin", &zone, &err));
    for (size_t i = 0; i < ARRAY_LEN(rare); i++) {
        OK(cron_parse(rare[i], &cron, &err));
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
        for (int k = 0; k < calls; k++)
            (void)cron_next(&cron, zone, ms("2026-03-01T00:00Z") + k);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
        double each = ((double)(end.tv_sec - begin.tv_sec) * 1e3 +
                       (double)(end.tv_nsec - begin.tv_nsec) / 1e6) /
                      calls;
        cr_log_info("%s: %.3f ms", rare[i], each);
        cr_expect_lt(each, 10.0, "%s: %.3f ms", rare[i], each);
    }
}
