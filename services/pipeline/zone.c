/* SPDX-License-Identifier: Apache-2.0 */
/* zone.c - the tz database, by way of GLib. */
#include "zone.h"

#include <glib.h>
#include <string.h>

#define DAY 86400
#define NAME_MAX_BYTES 64
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define LETTERS UPPER "abcdefghijklmnopqrstuvwxyz_-"

/* The opaque type is GLib's own: there is nothing to add to it. */
static GTimeZone *
glib_zone(const struct cron_zone *zone)
{
    return (GTimeZone *)zone;
}

/* Names as the database has them: "Europe/Berlin", "Etc/GMT+5", "CET". GLib takes paths and rules
 * ("Foo5") besides, and the database's folder holds other files, in small letters. */
static bool
is_name(const char *name)
{
    size_t plain = strspn(name, LETTERS);

    return strlen(name) <= NAME_MAX_BYTES && strchr(UPPER, name[0]) && !strstr(name, "//") &&
           (name[plain] == '\0' || name[plain] == '/') &&
           strspn(name, LETTERS "/+0123456789") == strlen(name);
}

enum err_code
cron_zone_open(const char *name, struct cron_zone **zone, struct err *err)
{
    GTimeZone *found = NULL;

    if (*name && strcmp(name, "UTC") != 0) {
        found = is_name(name) ? g_time_zone_new_identifier(name) : NULL;
        if (!found)
            return err_set(err, ERR_INVALID,
                           "there is no time zone '%.60s'; a name like Europe/Berlin is expected",
                           name);
    }
    *zone = (struct cron_zone *)found;
    return ERR_OK;
}

void
cron_zone_free(struct cron_zone *zone)
{
    if (zone)
        g_time_zone_unref(glib_zone(zone));
}

int64_t
zone_offset(const struct cron_zone *zone, int64_t at)
{
    if (!zone)
        return 0;
    int interval = g_time_zone_find_interval(glib_zone(zone), G_TIME_TYPE_UNIVERSAL, at);
    return g_time_zone_get_offset(glib_zone(zone), interval);
}

int64_t
zone_change(const struct cron_zone *zone, int64_t from, int64_t to)
{
    int64_t offset = zone_offset(zone, from), low = from, high = from;

    if (!zone)
        return INT64_MAX;
    do {
        if (high >= to)
            return INT64_MAX;
        low = high;
        high = to - low > 7 * DAY ? low + 7 * DAY : to;
    } while (zone_offset(zone, high) == offset);
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (zone_offset(zone, middle) == offset)
            low = middle;
        else
            high = middle;
    }
    return high;
}

int64_t
zone_first(const struct cron_zone *zone, int64_t wall)
{
    /* No clock is more than 14 hours from UTC: this is before, and the change is past it. */
    int64_t before = wall - DAY, change = zone_change(zone, before, wall + DAY);
    int64_t early = wall - zone_offset(zone, before);

    if (early < change)
        return early;
    int64_t late = wall - zone_offset(zone, change);
    return late > change ? late : change;
}
