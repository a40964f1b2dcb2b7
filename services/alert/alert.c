/* SPDX-License-Identifier: Apache-2.0 */
/* alert.c - labels, matchers, groups. */
#include "alert.h"

#include "buf/text.h"
#include "crypto/crypto.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define REPEAT_S (4 * 3600)
#define BACKOFF_MIN_MS 1000
#define BACKOFF_MAX_MS 300000
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

enum err_code
alert_check_name(const char *what, const char *name, struct err *err)
{
    size_t len = strnlen(name, ALERT_NAME_MAX + 1);

    if (len == 0 || len > ALERT_NAME_MAX || strspn(name, LETTERS DIGITS "_.-") != len ||
        strchr(".-", name[0]))
        return err_set(err, ERR_INVALID,
                       "%s: 1 to %d letters, digits, '_', '.' and '-', not beginning with "
                       "'.' or '-'",
                       what, ALERT_NAME_MAX);
    return ERR_OK;
}

bool
alert_label_name_valid(const char *name)
{
    size_t len = strnlen(name, ALERT_NAME_MAX + 1);

    return len > 0 && len <= ALERT_NAME_MAX && strspn(name, LETTERS DIGITS "_") == len &&
           !isdigit((unsigned char)name[0]);
}

/* ---- labels ---- */

static int
by_key(const void *a, const void *b)
{
    return strcmp((*(Label *const *)a)->key, (*(Label *const *)b)->key);
}

void
labels_sort(const struct labels *labels)
{
    if (labels->count)
        qsort(labels->items, labels->count, sizeof(labels->items[0]), by_key);
}

const char *
labels_get(const struct labels *labels, const char *name)
{
    for (size_t i = 0; i < labels->count; i++)
        if (strcmp(labels->items[i]->key, name) == 0)
            return labels->items[i]->value;
    return "";
}

void
labels_fingerprint(const struct labels *labels, char text[ALERT_FINGERPRINT_LEN + 1])
{
    CLEANUP(buf_done) struct buf all = {0};
    char hex[SHA256_HEX + 1];

    for (size_t i = 0; i < labels->count; i++) {
        buf_add(&all, labels->items[i]->key, strlen(labels->items[i]->key) + 1);
        buf_add(&all, labels->items[i]->value, strlen(labels->items[i]->value) + 1);
    }
    crypto_sha256_hex(all.data, all.len, hex);
    memcpy(text, hex, ALERT_FINGERPRINT_LEN);
    text[ALERT_FINGERPRINT_LEN] = '\0';
}

/* ---- matchers ---- */

enum err_code
matchers_check(const char *what, char *const *texts, size_t count, struct err *err)
{
    struct matcher matcher;

    if (count > ALERT_MATCHERS_MAX)
        return err_set(err, ERR_INVALID, "%s: at most %d matchers", what, ALERT_MATCHERS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (matcher_parse(texts[i], &matcher, err))
            return err_wrap(err, "%s[%zu]", what, i);
        if (matcher.op >= MATCH_LT || !alert_label_name_valid(matcher.name))
            return err_set(err, ERR_INVALID, "%s[%zu]: '%.100s' %s", what, i, texts[i],
                           matcher.op >= MATCH_LT ? "compares numbers, but labels are texts"
                                                  : "does not begin with the name of a label");
    }
    return ERR_OK;
}

bool
matchers_hold(char *const *texts, size_t count, const struct labels *labels)
{
    struct matcher matcher;
    struct err err;

    for (size_t i = 0; i < count; i++)
        if (matcher_parse(texts[i], &matcher, &err) ||
            !matcher_holds(&matcher, labels_get(labels, matcher.name)))
            return false;
    return true;
}

/* ---- routes and groups ---- */

const AlertRoute *
route_of(AlertRoute *const *routes, size_t count, const struct labels *labels)
{
    for (size_t i = 0; i < count; i++)
        if (matchers_hold(routes[i]->match, routes[i]->n_match, labels))
            return routes[i];
    return NULL;
}

struct labels
group_labels(const AlertRoute *route, const struct labels *labels, struct arena *arena)
{
    static char *by_name[] = {"alertname"};
    bool given = route && route->n_group_by;
    char *const *names = given ? route->group_by : by_name;
    size_t n = given ? route->n_group_by : ARRAY_LEN(by_name);
    struct labels group = {arena_alloc(arena, labels->count * sizeof(Label *)), 0};

    if (strcmp(names[0], "...") == 0)
        return *labels;
    for (size_t i = 0; i < labels->count; i++)
        for (size_t k = 0; k < n; k++)
            if (strcmp(labels->items[i]->key, names[k]) == 0) {
                group.items[group.count++] = labels->items[i];
                break;
            }
    return group;
}

char *
group_key(const AlertRoute *route, const struct labels *group, struct arena *arena)
{
    CLEANUP(buf_done) struct buf key = {0};

    buf_printf(&key, "%s/{", route ? route->name : "");
    for (size_t i = 0; i < group->count; i++) {
        buf_printf(&key, "%s%s=", i ? "," : "", group->items[i]->key);
        buf_json_str(&key, group->items[i]->value, strlen(group->items[i]->value));
    }
    buf_char(&key, '}');
    return arena_strdup(arena, key.data);
}

int64_t
route_repeat_ms(const AlertRoute *route)
{
    return (route && route->repeat_interval_s ? route->repeat_interval_s : REPEAT_S) * 1000;
}

/* ---- muting ---- */

static bool
same_values(char *const *names, size_t count, const struct labels *a, const struct labels *b)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(labels_get(a, names[i]), labels_get(b, names[i])) != 0)
            return false;
    return true;
}

bool
inhibited(AlertInhibition *const *inhibitions, size_t count, Alert *const *firing,
          size_t firing_count, const Alert *alert)
{
    struct labels target = labels_of(alert);

    for (size_t i = 0; i < count; i++) {
        const AlertInhibition *rule = inhibitions[i];
        if (!matchers_hold(rule->target, rule->n_target, &target))
            continue;
        for (size_t k = 0; k < firing_count; k++) {
            struct labels source = labels_of(firing[k]);
            if (strcmp(firing[k]->fingerprint, alert->fingerprint) != 0 &&
                matchers_hold(rule->source, rule->n_source, &source) &&
                same_values(rule->equal, rule->n_equal, &source, &target))
                return true;
        }
    }
    return false;
}

int64_t
silenced_until(Silence *const *silences, size_t count, const struct labels *labels, int64_t now_ms)
{
    int64_t until = 0;

    for (size_t i = 0; i < count; i++)
        if (silences[i]->ends_at_ms > now_ms && silences[i]->ends_at_ms > until &&
            matchers_hold(silences[i]->match, silences[i]->n_match, labels))
            until = silences[i]->ends_at_ms;
    return until;
}

int64_t
delivery_backoff_ms(int64_t attempts, double random)
{
    int64_t wait = BACKOFF_MIN_MS;

    while (--attempts > 0 && wait < BACKOFF_MAX_MS)
        wait *= 2;
    if (wait > BACKOFF_MAX_MS)
        wait = BACKOFF_MAX_MS;
    return wait - (int64_t)((double)wait / 4 * random);
}
