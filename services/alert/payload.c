/* SPDX-License-Identifier: Apache-2.0 */
/* payload.c - a group of alerts in the forms that receivers understand. */
#include "payload.h"

#include "buf/text.h"

#include <stdio.h>
#include <string.h>

#define NEVER "0001-01-01T00:00:00Z" /* Alertmanager's zero time */
#define SLACK_TEXT_MAX 2800          /* of the 3000 bytes of a section */
#define SLACK_BLOCKS_MAX 20          /* of 50 */

static bool
fires(const Alert *alert)
{
    return strcmp(alert->state, "firing") == 0;
}

static size_t
count_firing(const AlertGroup *group)
{
    size_t n = 0;

    for (size_t i = 0; i < group->n_alerts; i++)
        n += fires(group->alerts[i]);
    return n;
}

const char *
payload_status(const AlertGroup *group)
{
    return count_firing(group) ? "firing" : "resolved";
}

static const char *
find(Label *const *labels, size_t count, const char *key)
{
    struct labels all = {(Label **)labels, count};

    return labels_get(&all, key);
}

static const char *
annotation(const Alert *alert, const char *key)
{
    return find(alert->annotations, alert->n_annotations, key);
}

/* ---- JSON ---- */

static void
add_string(struct buf *out, const char *text)
{
    buf_json_str(out, text, strlen(text));
}

static void
add_field(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, "\"%s\":", name);
    add_string(out, text);
}

static void
add_time(struct buf *out, const char *name, int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    char text[32];

    gmtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    buf_printf(out, "\"%s\":\"%s.%03dZ\"", name, text, (int)(ms % 1000));
}

/* As an object. common: only what all alerts of the group have. */
static void
add_labels(struct buf *out, const char *name, Label *const *labels, size_t count)
{
    buf_printf(out, "\"%s\":{", name);
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_char(out, ',');
        add_string(out, labels[i]->key);
        buf_char(out, ':');
        add_string(out, labels[i]->value);
    }
    buf_char(out, '}');
}

static bool
has(Label *const *labels, size_t count, const Label *label)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(labels[i]->key, label->key) == 0)
            return strcmp(labels[i]->value, label->value) == 0;
    return false;
}

static void
add_common(struct buf *out, const char *name, const AlertGroup *group, bool annotations)
{
    const Alert *first = group->n_alerts ? group->alerts[0] : NULL;
    size_t n = !first ? 0 : annotations ? first->n_annotations : first->n_labels;
    bool any = false;

    buf_printf(out, "\"%s\":{", name);
    for (size_t i = 0; i < n; i++) {
        const Label *label = annotations ? first->annotations[i] : first->labels[i];
        bool all = true;
        for (size_t k = 1; k < group->n_alerts && all; k++) {
            const Alert *a = group->alerts[k];
            all = annotations ? has(a->annotations, a->n_annotations, label)
                              : has(a->labels, a->n_labels, label);
        }
        if (!all)
            continue;
        if (any)
            buf_char(out, ',');
        any = true;
        add_string(out, label->key);
        buf_char(out, ':');
        add_string(out, label->value);
    }
    buf_char(out, '}');
}

static void
add_link(struct buf *out, const Alert *alert, const char *external_url)
{
    CLEANUP(buf_done) struct buf url = {0};

    buf_str(&url, external_url);
    if (*external_url)
        buf_printf(&url, "/api/v1/alerts/%s", alert->id);
    add_field(out, "generatorURL", url.len ? url.data : "");
}

void
payload_webhook(const AlertGroup *group, const char *receiver, const char *external_url,
                struct buf *out)
{
    buf_str(out, "{\"version\":\"4\",");
    add_field(out, "groupKey", group->key);
    buf_printf(out, ",\"truncatedAlerts\":%lld,", (long long)group->truncated);
    add_field(out, "status", payload_status(group));
    buf_char(out, ',');
    add_field(out, "receiver", receiver);
    buf_char(out, ',');
    add_labels(out, "groupLabels", group->labels, group->n_labels);
    buf_char(out, ',');
    add_common(out, "commonLabels", group, false);
    buf_char(out, ',');
    add_common(out, "commonAnnotations", group, true);
    buf_char(out, ',');
    add_field(out, "externalURL", external_url);
    buf_str(out, ",\"alerts\":[");
    for (size_t i = 0; i < group->n_alerts; i++) {
        const Alert *alert = group->alerts[i];
        buf_str(out, i ? ",{" : "{");
        add_field(out, "status", alert->state);
        buf_char(out, ',');
        add_labels(out, "labels", alert->labels, alert->n_labels);
        buf_char(out, ',');
        add_labels(out, "annotations", alert->annotations, alert->n_annotations);
        buf_char(out, ',');
        add_time(out, "startsAt", alert->started_at_ms);
        buf_char(out, ',');
        if (fires(alert))
            add_field(out, "endsAt", NEVER);
        else
            add_time(out, "endsAt", alert->resolved_at_ms);
        buf_char(out, ',');
        add_link(out, alert, external_url);
        buf_char(out, ',');
        add_field(out, "fingerprint", alert->fingerprint);
        buf_char(out, '}');
    }
    buf_str(out, "]}");
}

void
payload_alertmanager(const AlertGroup *group, const char *external_url, struct buf *out)
{
    buf_char(out, '[');
    for (size_t i = 0; i < group->n_alerts; i++) {
        const Alert *alert = group->alerts[i];
        buf_str(out, i ? ",{" : "{");
        add_labels(out, "labels", alert->labels, alert->n_labels);
        buf_char(out, ',');
        add_labels(out, "annotations", alert->annotations, alert->n_annotations);
        buf_char(out, ',');
        add_time(out, "startsAt", alert->started_at_ms);
        buf_char(out, ',');
        add_time(out, "endsAt", fires(alert) ? group->ends_at_ms : alert->resolved_at_ms);
        if (*external_url) { /* an empty one is refused: not a URI */
            buf_char(out, ',');
            add_link(out, alert, external_url);
        }
        buf_char(out, '}');
    }
    buf_char(out, ']');
}

/* ---- for people ---- */

void
payload_title(const AlertGroup *group, struct buf *out)
{
    size_t firing = count_firing(group);
    const char *name = group->n_alerts ? group->alerts[0]->name : "";

    for (size_t i = 1; i < group->n_alerts; i++)
        if (strcmp(group->alerts[i]->name, name) != 0)
            name = "";
    if (firing)
        buf_printf(out, "[FIRING:%zu]", firing);
    else
        buf_str(out, "[RESOLVED]");
    buf_printf(out, " %s", *name ? name : "alerts");
    const char *separator = " (";
    for (size_t i = 0; i < group->n_labels; i++) {
        if (strcmp(group->labels[i]->key, "alertname") == 0)
            continue;
        buf_printf(out, "%s%s", separator, group->labels[i]->value);
        separator = ", ";
    }
    if (separator[0] == ',')
        buf_char(out, ')');
}

/* The same alert in a few lines. */
static void
describe(const Alert *alert, struct buf *out)
{
    const char *summary = annotation(alert, "summary");
    const char *description = annotation(alert, "description");

    buf_printf(out, "%s: %s", fires(alert) ? "FIRING" : "RESOLVED", alert->name);
    buf_printf(out, " (%s)\n", alert->severity);
    if (*summary)
        buf_printf(out, "%s\n", summary);
    if (*description)
        buf_printf(out, "%s\n", description);
    for (size_t i = 0; i < alert->n_labels; i++)
        if (strcmp(alert->labels[i]->key, "alertname") != 0 &&
            strcmp(alert->labels[i]->key, "severity") != 0)
            buf_printf(out, "%s: %s\n", alert->labels[i]->key, alert->labels[i]->value);
}

/* Slack takes &, < and > for its own marks. */
static void
add_slack_text(struct buf *out, const char *text)
{
    CLEANUP(buf_done) struct buf escaped = {0};

    buf_reserve(&escaped, 1);
    for (const char *p = text; *p;) {
        size_t n = text_utf8_sequence(p, strlen(p));
        if (n == 0)
            n = 1;
        if (escaped.len + 5 > SLACK_TEXT_MAX)
            break;
        if (*p == '&')
            buf_str(&escaped, "&amp;");
        else if (*p == '<')
            buf_str(&escaped, "&lt;");
        else if (*p == '>')
            buf_str(&escaped, "&gt;");
        else
            buf_add(&escaped, p, n);
        p += n;
    }
    buf_json_str(out, escaped.data, escaped.len);
}

static void
add_section(struct buf *out, const char *text)
{
    buf_str(out, ",{\"type\":\"section\",\"text\":{\"type\":\"mrkdwn\",\"text\":");
    add_slack_text(out, text);
    buf_str(out, "}}");
}

void
payload_slack(const AlertGroup *group, const char *external_url, struct buf *out)
{
    CLEANUP(buf_done) struct buf text = {0};
    size_t shown = group->n_alerts < SLACK_BLOCKS_MAX ? group->n_alerts : SLACK_BLOCKS_MAX;

    payload_title(group, &text);
    buf_str(out, "{\"text\":");
    add_slack_text(out, text.data);
    buf_str(out, ",\"blocks\":[{\"type\":\"section\",\"text\":{\"type\":\"mrkdwn\",\"text\":");
    add_slack_text(out, text.data);
    buf_str(out, "}}");
    for (size_t i = 0; i < shown; i++) {
        buf_clear(&text);
        describe(group->alerts[i], &text);
        if (*external_url)
            buf_printf(&text, "%s/api/v1/alerts/%s\n", external_url, group->alerts[i]->id);
        add_section(out, text.data);
    }
    if (shown < group->n_alerts || group->truncated) {
        buf_clear(&text);
        buf_printf(&text, "and %lld more",
                   (long long)(group->n_alerts - shown) + (long long)group->truncated);
        add_section(out, text.data);
    }
    buf_str(out, "]}");
}

/* ---- e-mail ---- */

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void
add_base64(struct buf *out, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i += 3) {
        unsigned n = (unsigned)(unsigned char)data[i] << 16;
        if (i + 1 < len)
            n |= (unsigned)(unsigned char)data[i + 1] << 8;
        if (i + 2 < len)
            n |= (unsigned char)data[i + 2];
        buf_char(out, base64_digits[n >> 18]);
        buf_char(out, base64_digits[n >> 12 & 63]);
        buf_char(out, i + 1 < len ? base64_digits[n >> 6 & 63] : '=');
        buf_char(out, i + 2 < len ? base64_digits[n & 63] : '=');
    }
}

/* RFC 2047 words of whole characters; a plain text as it is. Line breaks become blanks. */
static void
add_subject(struct buf *out, const char *text)
{
    size_t len = strlen(text), at = 0;
    bool plain = len < 70;

    for (size_t i = 0; i < len; i++)
        plain = plain && (unsigned char)text[i] >= 0x20 && (unsigned char)text[i] < 0x7f;
    if (plain) {
        buf_str(out, text);
        return;
    }
    for (int words = 0; at < len && words < 10; words++) {
        size_t n = 0;
        while (at + n < len) {
            size_t c = text_utf8_sequence(text + at + n, len - at - n);
            if (c == 0)
                c = 1;
            if (n + c > 42)
                break;
            n += c;
        }
        buf_str(out, words ? "\r\n =?UTF-8?B?" : "=?UTF-8?B?");
        add_base64(out, text + at, n);
        buf_str(out, "?=");
        at += n;
    }
}

void
payload_email(const AlertGroup *group, const char *id, const char *from, char *const *to,
              size_t to_count, const char *external_url, int64_t now_ms, struct buf *out)
{
    CLEANUP(buf_done) struct buf text = {0};
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm;
    char date[64];

    gmtime_r(&seconds, &tm);
    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
    buf_printf(out, "Date: %s\r\nFrom: <%s>\r\nTo: ", date, from);
    for (size_t i = 0; i < to_count; i++)
        buf_printf(out, "%s<%s>", i ? ",\r\n " : "", to[i]);
    buf_str(out, "\r\nSubject: ");
    payload_title(group, &text);
    add_subject(out, text.data);
    buf_printf(
        out,
        "\r\nMessage-ID: <%s@modelbus>\r\nX-Modelbus-Notification: %s\r\n"
        "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        id, id);
    buf_clear(&text);
    for (size_t i = 0; i < group->n_alerts; i++) {
        if (i)
            buf_char(&text, '\n');
        describe(group->alerts[i], &text);
        if (*external_url)
            buf_printf(&text, "%s/api/v1/alerts/%s\n", external_url, group->alerts[i]->id);
    }
    if (group->truncated)
        buf_printf(&text, "\nand %lld more\n", (long long)group->truncated);
    for (size_t at = 0; at < text.len; at += 57) {
        add_base64(out, text.data + at, text.len - at < 57 ? text.len - at : 57);
        buf_str(out, "\r\n");
    }
}
