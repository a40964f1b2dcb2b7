/* SPDX-License-Identifier: Apache-2.0 */
/* formats.c - single JSON values as people read them. */
#include "output.h"

#include "buf/buf.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

char *
format_time(const json_t *ms)
{
    time_t seconds = (time_t)(json_integer_value(ms) / 1000);
    char text[32];
    struct tm parts;

    if (seconds <= 0 || !gmtime_r(&seconds, &parts))
        return mem_strdup("");
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts);
    return mem_strdup(text);
}

char *
format_bytes(const json_t *bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double n = json_number_value(bytes);
    size_t unit = 0;

    while (n >= 1024 && unit + 1 < ARRAY_LEN(units)) {
        n /= 1024;
        unit++;
    }
    return mem_printf(unit ? "%.1f %s" : "%.0f %s", n, units[unit]);
}

/* Enum names begin with their type's name, and no value of ours has an underscore. */
char *
format_enum(const json_t *name)
{
    const char *text = json_string_value(name);
    const char *last = text ? strrchr(text, '_') : NULL;
    char *value = mem_strdup(last ? last + 1 : text ? text : "");

    for (char *p = value; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return value;
}

/* "key=value" of each element, joined. */
static char *
join(const json_t *array, const char *key, const char *value, const char *equals)
{
    struct buf out = {0};
    size_t i;
    const json_t *item;

    buf_reserve(&out, 1);
    json_array_foreach((json_t *)(uintptr_t)array, i, item)
    {
        const json_t *v = json_object_get(item, value);
        buf_printf(&out, "%s%s%s", i ? ", " : "", json_text_at(item, key), equals);
        if (json_is_string(v))
            buf_str(&out, json_string_value(v));
        else
            buf_printf(&out, "%.6g", json_number_value(v));
    }
    return out.len ? buf_take(&out) : (buf_done(&out), mem_strdup(""));
}

char *
format_metrics(const json_t *array)
{
    return join(array, "key", "value", " ");
}

char *
format_tags(const json_t *array)
{
    return join(array, "key", "value", "=");
}

char *
format_aliases(const json_t *array)
{
    return join(array, "alias", "version", "=");
}

char *
format_uri(const json_t *uri)
{
    const char *text = json_string_value(uri);

    return text ? mem_printf("%.19s", text) : mem_strdup("");
}

/* Shares of the greatest count, in eighths. */
char *
format_bars(const uint64_t *counts, size_t n)
{
    static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    struct buf out = {0};
    uint64_t most = 1;

    for (size_t i = 0; i < n; i++)
        most = counts[i] > most ? counts[i] : most;
    buf_reserve(&out, 1);
    for (size_t i = 0; i < n; i++)
        buf_str(&out, blocks[(size_t)ceil((double)counts[i] / (double)most * 8)]);
    return buf_take(&out);
}
